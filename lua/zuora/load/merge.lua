--- The statements that bring a staged file into its table. The stage holds texts, as the file has them; what they are
--- is said here. They are for one transaction, in this order; one with a `check` gives the number that it must give.

local ascii = require "zuora.support.ascii"
local dialects = require "zuora.load.dialects"
local times = require "zuora.extract.base.times"

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

-- The row of the table that one is put in the place of, where that is said, is the first of the columns.
local function insert_of(load, where, row)
  return ("INSERT INTO %s AS t (%s%s, %s, %s) SELECT %s%s, %s, %s FROM %s AS s%s"):format(load.table,
    row and row .. ", " or "", each(load.columns, function(column) return quoted(column.name) end),
    quoted(merge.OWN.deleted), quoted(merge.OWN.read), row and "t." .. row .. ", " or "",
    each(load.columns, function(column) return cast_of(load, column) end), deleted_of(load), literal(load.read),
    load.stage, where or "")
end

-- Is a row of the table at least as new as that of the stage, as all are when that has been merged?
local function is_kept(load)
  if not load.cursor then return "1 = 1" end
  return ("COALESCE(t.%s >= %s, 1 = 1)"):format(quoted(load.cursor.name), cast_of(load, load.cursor))
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
    { sql = ("DELETE FROM %s AS t WHERE %s"):format(load.table, load.dialect.present(load.table, load.stage,
      ("%s = %s AND %s AND %s"):format(staged, kept, deleted_of(load), is_newer(load)))) },
    { sql = ("DELETE FROM %s AS s WHERE %s OR EXISTS (SELECT 1 FROM %szuora_deleted AS d WHERE %s AND d.at >= %s)")
      :format(load.stage, deleted_of(load), load.prefix, of, cursor) },
  }
end

-- Every row has a key, and one of its own.
local function key_checks(load)
  local staged = key_of(load)
  return {
    { sql = ("SELECT COUNT(*) FROM %s AS s WHERE %s IS NULL"):format(load.stage, staged), check = "0",
      problem = "keyless" },
    { sql = ("SELECT COUNT(*) FROM (SELECT 1 FROM %s AS s GROUP BY %s HAVING COUNT(*) > 1) AS twice"):format(load.stage,
      staged), check = "0", problem = "twice" },
  }
end

-- Adds the statements that put the rows of the stage in the place of those with their keys, where a condition holds (as
-- it does where there is no such row), and beside the others.
local function upsert(steps, load, condition)
  local staged, kept = key_of(load)
  local sets, row, is_replacing = {}, load.dialect.row, load.dialect.is_replacing
  local function set(name, value)
    sets[#sets + 1] = quoted(name) .. " = " .. (is_replacing and "EXCLUDED." .. quoted(name) or value)
  end
  for _, column in ipairs(load.columns) do -- without the key, which is the same: its index stays as it is
    if column ~= load.key then set(column.name, cast_of(load, column)) end
  end
  set(merge.OWN.deleted, deleted_of(load))
  set(merge.OWN.read, literal(load.read))
  local all = table.concat(sets, ", ")
  if is_replacing then -- in the order in which they lie in the table
    steps[#steps + 1] = { sql = insert_of(load, (" LEFT JOIN %s AS t ON %s = %s WHERE %s ORDER BY t.%s "
      .. "ON CONFLICT (%s) DO UPDATE SET %s"):format(load.table, kept, staged, condition, row, row, all), row) }
    return
  end
  steps[#steps + 1] = { sql = ("UPDATE %s AS t SET %s FROM %s AS s WHERE %s = %s AND %s"):format(load.table, all,
    load.stage, kept, staged, condition) }
  steps[#steps + 1] = { sql = insert_of(load, (" WHERE NOT EXISTS (SELECT 1 FROM %s AS t WHERE %s = %s)"):format(
    load.table, kept, staged)) }
end

local function merge_steps(load)
  local steps = key_checks(load)
  if load.deletes == "remove" and load.deleted then
    for _, step in ipairs(removal(load)) do steps[#steps + 1] = step end
  end
  upsert(steps, load, is_newer(load))
  return steps
end

-- --- audits -------------------------------------------------------------------------------------------

--- A row of the table that is not deleted.
---@param load table dialect
---@param alias string of the table
---@return string condition
function merge.lives(load, alias)
  return ("NOT COALESCE(%s.%s, %s)"):format(alias, quoted(merge.OWN.deleted), load.dialect.truth "'false'")
end

--- The rows that a read is about: those of its entity, where there are several.
---@param load table entity
---@param alias string|nil of the table
---@return string condition
function merge.own_rows(load, alias)
  if load.entity == "" then return "1 = 1" end
  local name = (alias and alias .. "." or "") .. quoted(merge.OWN.read)
  return ("substr(%s, 1, %d) = %s"):format(name, #load.entity + 1, literal(load.entity .. "-"))
end

--- A row that has not changed since the mark, or in a time that has not come yet; or nothing says when.
---@param cursor string
---@param bucket { mark: string, latest: string }
---@return string condition
function merge.is_settled(cursor, bucket)
  return ("COALESCE(%s < %s OR %s > %s, 1 = 1)"):format(cursor, literal(times.plain(bucket.mark)), cursor,
    literal(times.plain(bucket.latest)))
end

-- A row of the bucket that a read of kind audit has brought.
local function is_inside(load, alias)
  local bucket, list = load.bucket, { merge.own_rows(load, alias) }
  if bucket.by then
    local month = load.dialect.month(alias .. "." .. quoted(bucket.by))
    if bucket.from then list[#list + 1] = ("%s >= %s"):format(month, literal(bucket.from)) end
    if bucket.to then
      list[#list + 1] = bucket.from and ("%s < %s"):format(month, literal(bucket.to))
        or ("(%s IS NULL OR %s < %s)"):format(month, month, literal(bucket.to))
    end
  end
  return table.concat(list, " AND ")
end

-- What an audit has brought is how it is: rows of the bucket that are there twice, or that are not in the file and have
-- not changed since the mark, are not right. (What has changed since comes again by the next window.)
local function audit_steps(load)
  local steps, inside = key_checks(load), is_inside(load, "t")
  local staged, kept = key_of(load)
  local function add(words, ...) steps[#steps + 1] = { sql = words:format(...) } end
  local cursor = "t." .. quoted(load.cursor.name)
  local is_settled = merge.is_settled(cursor, load.bucket)
  local gone = ("%s AND %s AND %s AND (%s IS NULL OR %s IN (SELECT %s FROM %s AS t WHERE %s EXCEPT SELECT %s "
    .. "FROM %s AS s))"):format(inside, merge.lives(load, "t"), is_settled, kept, kept, kept, load.table, inside,
    staged, load.stage)
  add("DELETE FROM %s AS t WHERE %s AND EXISTS (SELECT 1 FROM %s AS u WHERE u.%s = %s AND %s AND (u.%s > t.%s "
    .. "OR NOT COALESCE(%s, 1 = 0)))", load.table, inside, load.table, quoted(load.key.name), kept,
    merge.own_rows(load, "u"), load.dialect.row, load.dialect.row, is_inside(load, "u"))
  if load.deletes == "remove" then
    if load.deleted then steps[#steps + 1] = removal(load)[1] end
    if load.deleted then add("DELETE FROM %s AS s WHERE %s", load.stage, deleted_of(load)) end
    add("DELETE FROM %szuora_deleted WHERE item = %s AND id IN (SELECT CAST(%s AS TEXT) FROM %s AS s)", load.prefix,
      literal(load.item), staged, load.stage)
    add("INSERT INTO %szuora_deleted (item, id, at) SELECT %s, CAST(%s AS TEXT), COALESCE(CAST(%s AS TEXT), '') "
      .. "FROM %s AS t WHERE %s AND %s IS NOT NULL ON CONFLICT (item, id) DO UPDATE SET at = EXCLUDED.at", load.prefix,
      literal(load.item), kept, cursor, load.table, gone, kept)
    add("DELETE FROM %s AS t WHERE %s", load.table, gone)
  else
    add("UPDATE %s AS t SET %s = %s, %s = %s WHERE %s", load.table, quoted(merge.OWN.deleted),
      load.dialect.truth "'true'", quoted(merge.OWN.read), literal(load.read), gone)
  end
  upsert(steps, load, ("(%s OR %s)"):format(is_settled, is_newer(load)))
  return steps
end

-- What is read whole replaces what was there (and what is from the time before there were entities).
local function replacement(load)
  local name = quoted(merge.OWN.read)
  return { { sql = ("DELETE FROM %s WHERE %s OR substr(%s, 1, 5) = 'full.' OR substr(%s, 1, 6) = 'reset.'"):format(
    load.table, merge.own_rows(load), name, name) }, { sql = insert_of(load) } }
end

-- What is not among the keys of all rows, and was there before they were read, is gone.
local function reconciliation(load)
  local staged = key_of(load)
  local key, cursor = "t." .. quoted(load.key.name), "t." .. quoted(load.names[ascii.lower(load.changed.name)])
  local gone = ("%s AND %s AND (%s IS NULL OR %s < %s)"):format(merge.own_rows(load), load.dialect.absent(key, staged,
    load.stage), cursor, cursor, load.dialect.cast(literal(times.plain(load.bound)), load.changed.kind))
  local steps = key_checks(load)
  if load.deletes == "remove" then
    steps[#steps + 1] = { sql = ("INSERT INTO %szuora_deleted (item, id, at) SELECT %s, CAST(%s AS TEXT), "
      .. "COALESCE(CAST(%s AS TEXT), '') FROM %s AS t WHERE %s ON CONFLICT (item, id) DO UPDATE SET at = EXCLUDED.at "
      .. "WHERE EXCLUDED.at > zuora_deleted.at"):format(load.prefix, literal(load.item), key, cursor, load.table,
      gone) }
    steps[#steps + 1] = { sql = ("DELETE FROM %s AS t WHERE %s"):format(load.table, gone) }
  else
    steps[#steps + 1] = { sql = ("UPDATE %s AS t SET %s = %s, %s = %s WHERE %s AND %s"):format(load.table,
      quoted(merge.OWN.deleted), load.dialect.truth "'true'", quoted(merge.OWN.read), literal(load.read), gone,
      merge.lives(load, "t")) }
  end
  return steps
end

-- A column of rows that are as they were when it was read. (What has changed since comes with a window.)
local function supplement(load)
  local staged, kept = key_of(load)
  local cursor, old = cast_of(load, load.cursor), "t." .. quoted(load.cursor.name)
  local sets = {}
  for _, column in ipairs(load.columns) do
    if column ~= load.key and column ~= load.cursor then
      sets[#sets + 1] = quoted(column.name) .. " = " .. cast_of(load, column)
    end
  end
  local steps = key_checks(load)
  steps[#steps + 1] = { sql = ("UPDATE %s AS t SET %s FROM %s AS s WHERE %s = %s AND (%s = %s "
    .. "OR %s IS NULL AND %s IS NULL)"):format(load.table, table.concat(sets, ", "), load.stage, kept, staged,
    old, cursor, old, cursor) }
  return steps
end

-- What is only ever added may be read again all the same, after a reset.
local function addition(load)
  local steps = {}
  if load.key then
    local staged, kept = key_of(load)
    steps[1] = { sql = ("DELETE FROM %s AS t WHERE %s"):format(load.table, load.dialect.present(load.table, load.stage,
      staged .. " = " .. kept)) }
  end
  steps[#steps + 1] = { sql = insert_of(load) }
  return steps
end

local WAYS = { merge = merge_steps, replace = replacement, append = addition, reconcile = reconciliation,
  backfill = supplement, audit = audit_steps }

-- Those that bring no rows; after others each of the stage is in the table, unless somebody's trigger has swallowed it.
local COLUMNS_OR_KEYS = { reconcile = true, backfill = true }

--- The statements of a load, behind the staging of its file.
---@param load { dialect: table, table: string, stage: string, prefix: string, item: string, entity: string,
--- read: string, mode: string, deletes: string, columns: { name: string, staged: string, kind: string|nil }[],
--- key: table, cursor: table|nil, deleted: string|nil, records: integer, names: table|nil, changed: table|nil,
--- bound: string }
---@return { sql: string, check: string|nil, problem: string|nil }[]
function merge.statements(load)
  local steps = { { sql = "SELECT COUNT(*) FROM " .. load.stage, check = tostring(load.records), problem = "count" } }
  local more = WAYS[load.mode](load)
  table.move(more, 1, #more, #steps + 1, steps)
  if load.key and not COLUMNS_OR_KEYS[load.mode] and load.stage ~= load.table then
    local staged, kept = key_of(load)
    steps[#steps + 1] = { sql = ("SELECT COUNT(*) FROM %s AS s WHERE %s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %s "
      .. "AS t WHERE %s = %s AND %s)"):format(load.stage, staged, load.table, kept, staged, is_kept(load)), check = "0",
      problem = "missing" }
  end
  return steps
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
