--- What differs between the databases that files are loaded into.

local dialects = {}

local SQLITE_TYPES = { integer = "INTEGER" }

local POSTGRESQL_TYPES = { integer = "bigint", number = "numeric", decimal = "numeric", boolean = "boolean",
  date = "date", datetime = "timestamptz", timestamp = "timestamptz" }

--- An identifier, whatever is in it.
---@param name string
---@return string
function dialects.quoted(name) return '"' .. name:gsub('"', '""') .. '"' end

--- A text as a literal.
---@param text string
---@return string
function dialects.literal(text) return "'" .. text:gsub("'", "''") .. "'" end

--- SQLite: decimals stay exact as text.
dialects.sqlite = {
  type_of = function(kind) return SQLITE_TYPES[kind or ""] or "TEXT" end,
  cast = function(column, kind)
    local type = SQLITE_TYPES[kind or ""]
    return type and ("CAST(NULLIF(%s, '') AS %s)"):format(column, type) or ("NULLIF(%s, '')"):format(column)
  end,
  truth = function(column) return ("(%s = 'true')"):format(column) end,
  absent = function(key, staged, stage) return ("%s NOT IN (SELECT %s FROM %s AS s)"):format(key, staged, stage) end,
  boolean = "INTEGER",
  add_column = "ADD COLUMN",
}

dialects.postgresql = {
  type_of = function(kind) return POSTGRESQL_TYPES[kind or ""] or "text" end,
  cast = function(column, kind)
    local type = POSTGRESQL_TYPES[kind or ""]
    return ("NULLIF(%s, '')%s"):format(column, type and "::" .. type or "")
  end,
  truth = function(column) return ("(%s = 'true')"):format(column) end,
  absent = function(key, staged, stage)
    return ("NOT EXISTS (SELECT 1 FROM %s AS s WHERE %s = %s)"):format(stage, staged, key)
  end,
  boolean = "boolean",
  add_column = "ADD COLUMN IF NOT EXISTS",
}

return dialects
