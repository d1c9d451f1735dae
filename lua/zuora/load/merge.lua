--- The statements that bring a staged file into its table. The stage holds texts, as the file has them; what they are
--- is said here. They are for one transaction, in this order; one with a `check` gives the number that it must give.

local dialects = require "zuora.load.dialects"

local merge = {}

local quoted, literal = dialects.quoted, dialects.literal

-- What every table has besides the file's columns.
merge.OWN = { deleted = "_zuora_deleted", read = "_zuora_read" }

local function each(columns, form)
  local list = {}
  for i, column in ipairs(columns) do list[i] = form(column) end
  return table.concat(list, ", ")
end

-- A column of the stage as its type.
local function cast_of(load, column)
  local staged = "s." .. quoted(column.staged)
  return column.is_cast and staged or load.dialect.cast(staged, column.kind)
end

local function deleted_of(load)
  return load.deleted and load.dialect.truth("s." .. quoted(load.deleted)) or load.dialect.truth "'false'"
end

-- Is a row of the stage at least as new as that of the table? At the same time a deletion wins.
local function is_newer(load)
  if not load.cursor then return "1 = 1" end
  local cursor, old = cast_of(load, load.cursor), "t." .. quoted(load.cursor.name)
  return ("(%s IS NULL OR %s > %s OR %s = %s AND (%s OR NOT COALESCE(t.%s, %s)))"):format(old, cursor, old, cursor, old,
    deleted_of(load), quoted(merge.OWN.deleted), load.dialect.truth "'false'")
end

local function insert_of(load, where)
  return ("INSERT INTO %s AS t (%s, %s, %s) SELECT %s, %s, %s FROM %s AS s%s"):format(load.table,
    each(load.columns, function(column) return quoted(column.name) end), quoted(merge.OWN.deleted),
    quoted(merge.OWN.read), each(load.columns, function(column) return cast_of(load, column) end), deleted_of(load),
    literal(load.read), load.stage, where or "")
end

--- The statement that brings a row of a file into the table as it is, without a stage.
---@param load table
---@param header string[] its cells, in order
---@return string sql with "?1" for the first of them
function merge.direct(load, header)
  local places, values = {}, {}
  for i, name in ipairs(header) do places[name] = "?" .. i end
  for i, column in ipairs(load.columns) do
    values[i] = load.dialect.cast(places[column.staged], column.kind)
  end
  return ("INSERT INTO %s (%s, %s, %s) VALUES (%s, %s, %s)"):format(load.table,
    each(load.columns, function(column) return quoted(column.name) end), quoted(merge.OWN.deleted),
    quoted(merge.OWN.read), table.concat(values, ", "),
    load.dialect.truth(load.deleted and places[load.deleted] or "'false'"), literal(load.read))
end

local function key_of(load) return cast_of(load, load.key), "t." .. quoted(load.key.name) end

-- Rows that are removed are remembered, so that an older file does not bring them back.
local function removal(load)
  local staged, kept = key_of(load)
  local cursor = load.cursor and ("CAST(%s AS TEXT)"):format(cast_of(load, load.cursor)) or "''"
  local of = ("d.item = %s AND d.id = CAST(%s AS TEXT)"):format(literal(load.item), staged)
  return {
    { sql = ("INSERT INTO %szuora_deleted (item, id, at) SELECT %s, CAST(%s AS TEXT), %s FROM %s AS s WHERE %s "
      .. "ON CONFLICT (item, id) DO UPDATE SET at = EXCLUDED.at WHERE EXCLUDED.at > zuora_deleted.at"):format(
      load.prefix, literal(load.item), staged, cursor, load.stage, deleted_of(load)) },
    { sql = ("DELETE FROM %s AS t WHERE EXISTS (SELECT 1 FROM %s AS s WHERE %s = %s AND %s AND %s)"):format(load.table,
      load.stage, staged, kept, deleted_of(load), is_newer(load)) },
    { sql = ("DELETE FROM %s AS s WHERE %s OR EXISTS (SELECT 1 FROM %szuora_deleted AS d WHERE %s AND d.at >= %s)")
      :format(load.stage, deleted_of(load), load.prefix, of, cursor) },
  }
end

local function merge_steps(load)
  local staged, kept = key_of(load)
  local steps = {
    { sql = ("SELECT COUNT(*) FROM (SELECT 1 FROM %s AS s GROUP BY %s HAVING COUNT(*) > 1) AS twice"):format(load.stage,
      staged), check = "0", problem = "twice" },
  }
  if load.deletes == "remove" and load.deleted then
    for _, step in ipairs(removal(load)) do steps[#steps + 1] = step end
  end
  local sets = {} -- without the key, which is the same: its index stays as it is
  for _, column in ipairs(load.columns) do
    if column ~= load.key then sets[#sets + 1] = ("%s = %s, "):format(quoted(column.name), cast_of(load, column)) end
  end
  steps[#steps + 1] = { sql = ("UPDATE %s AS t SET %s%s = %s, %s = %s FROM %s AS s WHERE %s = %s AND %s"):format(
    load.table, table.concat(sets), quoted(merge.OWN.deleted), deleted_of(load), quoted(merge.OWN.read),
    literal(load.read), load.stage, kept, staged, is_newer(load)) }
  steps[#steps + 1] = { sql = insert_of(load, (" WHERE NOT EXISTS (SELECT 1 FROM %s AS t WHERE %s = %s)"):format(
    load.table, kept, staged)) }
  return steps
end

-- What is read whole replaces what was there: of its entity, where there are several.
local function replacement(load)
  local own = load.entity ~= "" and (" WHERE substr(%s, 1, %d) = %s"):format(quoted(merge.OWN.read), #load.entity + 1,
    literal(load.entity .. "-")) or ""
  return { { sql = "DELETE FROM " .. load.table .. own }, { sql = insert_of(load) } }
end

-- What is only ever added may be read again all the same, after a reset.
local function addition(load)
  local steps = { { sql = insert_of(load) } }
  if load.key then
    local staged, kept = key_of(load)
    table.insert(steps, 1, { sql = ("DELETE FROM %s AS t WHERE EXISTS (SELECT 1 FROM %s AS s WHERE %s = %s)"):format(
      load.table, load.stage, staged, kept) })
  end
  return steps
end

--- The statements of a load, behind the staging of its file.
---@param load { dialect: table, table: string, stage: string, prefix: string, item: string, entity: string,
--- read: string, mode: string, deletes: string, columns: { name: string, staged: string, kind: string|nil }[],
--- key: table, cursor: table|nil, deleted: string|nil, records: integer }
---@return { sql: string, check: string|nil, problem: string|nil }[]
function merge.statements(load)
  local steps = { { sql = "SELECT COUNT(*) FROM " .. load.stage, check = tostring(load.records), problem = "count" } }
  local more
  if load.mode == "merge" then
    more = merge_steps(load)
  elseif load.mode == "replace" then
    more = replacement(load)
  else
    more = addition(load)
  end
  return table.move(more, 1, #more, #steps + 1, steps)
end

--- The checks of a load whose rows are in their table, and were not staged.
---@param load table
---@return { sql: string, check: string, problem: string }[]
function merge.checks(load)
  load.stage = load.table
  for _, column in ipairs(load.columns) do column.staged, column.is_cast = column.name, true end
  local list = {}
  for _, step in ipairs(merge.statements(load)) do
    if step.check then list[#list + 1] = step end
  end
  return list
end

return merge
