--- What differs between the databases that files are loaded into.

local decimals = require "zuora.extract.base.decimals"

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

-- SQLite knows no decimals: the sum of the whole numbers, the sum of the parts behind the point, and how many cells are
-- no decimals, as one text.
local function sqlite_sum(column)
  local text = ("CAST(%s AS TEXT)"):format(column)
  local digits = ("LTRIM(%s, '+-')"):format(text)
  local sign = ("(CASE WHEN %s LIKE '-%%' THEN -1 ELSE 1 END)"):format(text)
  local parts = ("(CASE WHEN INSTR(%s, '.') > 0 THEN CAST(SUBSTR(SUBSTR(%s, INSTR(%s, '.') + 1) || '%s', 1, %d) "
    .. "AS INTEGER) ELSE 0 END)"):format(digits, digits, digits, ("0"):rep(decimals.DIGITS), decimals.DIGITS)
  return ("COALESCE(SUM(%s * CAST(%s AS INTEGER)), 0) || ' ' || COALESCE(SUM(%s * %s), 0) || ' ' || "
    .. "COALESCE(SUM(%s GLOB '*[^0-9.+-]*'), 0)"):format(sign, digits, sign, parts, text)
end

local function sqlite_decimal(text)
  local whole, parts, others = text:match "^(%S+) (%S+) (%S+)$"
  if others ~= "0" then return others .. " of them are no decimals" end
  return decimals.of_parts(math.tointeger(whole), math.tointeger(parts))
end

--- SQLite: decimals stay exact as text.
dialects.sqlite = {
  type_of = function(kind) return SQLITE_TYPES[kind or ""] or "TEXT" end,
  cast = function(column, kind)
    local type = SQLITE_TYPES[kind or ""]
    return type and ("CAST(NULLIF(%s, '') AS %s)"):format(column, type) or ("NULLIF(%s, '')"):format(column)
  end,
  truth = function(column) return ("(%s = 'true')"):format(column) end,
  absent = function(key, staged, stage) return ("%s NOT IN (SELECT %s FROM %s AS s)"):format(key, staged, stage) end,
  -- (An EXISTS would read all of the stage for each row of the table.)
  present = function(table, stage, condition)
    return ("t._rowid_ IN (SELECT t._rowid_ FROM %s AS s CROSS JOIN %s AS t WHERE %s)"):format(stage, table, condition)
  end,
  boolean = "INTEGER",
  add_column = "ADD COLUMN",
  row = "_rowid_", -- tells two rows with the same cells apart
  is_replacing = true, -- an INSERT can say which row it is to be put in the place of
  month = function(column) return ("SUBSTR(%s, 1, 7)"):format(column) end,
  sum = sqlite_sum,
  decimal = sqlite_decimal,
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
  present = function(_, stage, condition)
    return ("EXISTS (SELECT 1 FROM %s AS s WHERE %s)"):format(stage, condition)
  end,
  boolean = "boolean",
  add_column = "ADD COLUMN IF NOT EXISTS",
  row = "ctid",
  month = function(column) return ("TO_CHAR(%s::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM')"):format(column) end,
  sum = function(column) return ("COALESCE(SUM(CAST(%s AS numeric)), 0)"):format(column) end,
  decimal = function(text) return decimals.plain(text) or text end,
}

return dialects
