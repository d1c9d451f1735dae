--- What an audit asks a target for: how many rows a table has, and what they sum up to, by the months in which they
--- were made. Rows that are deleted do not count, nor those that have changed since the mark: their keys are in the
--- stage.

local columns = require "zuora.extract.base.columns"
local dialects = require "zuora.load.dialects"
local merge = require "zuora.load.merge"

local raise = require "zuora.error".raise

local counts = {}

local quoted, literal = dialects.quoted, dialects.literal

-- The months before the first are one bucket, and those behind the last are the last.
local function bucket_of(target, subject)
  if not subject.made then return "''" end
  local month = target.dialect.month("t." .. quoted(subject.made))
  return ("CASE WHEN %s IS NULL OR %s < %s THEN '' WHEN %s >= %s THEN %s ELSE %s END"):format(month, month,
    literal(subject.first), month, literal(subject.last), literal(subject.last), month)
end

-- Zuora is asked for what was changed before the mark: rows with an empty cursor are not among it. Where it leaves none
-- empty, such a row is a mistake, and counts.
local function settled_of(subject)
  local cursor = "t." .. quoted(subject.cursor)
  return merge.is_settled(cursor, subject) .. (subject.is_always_set and "" or (" AND %s IS NOT NULL"):format(cursor))
end

--- The query: a row for each bucket with its key, and what was found as one text.
---@param target table
---@param subject { item: string, object: string, entity: string, key: string, cursor: string, made: string|nil,
--- first: string, last: string, mark: string, latest: string, is_always_set: boolean (the cursor),
--- sums: { total: string, column: string }[] } the names of the table's columns
---@param stage string
---@param header string[] of the stage
---@return string sql
function counts.query(target, subject, stage, header)
  local cells = { "CAST(COUNT(*) AS TEXT)" }
  for i, sum in ipairs(subject.sums) do
    cells[i + 1] = ("CAST(%s AS TEXT)"):format(target.dialect.sum("t." .. quoted(sum.column)))
  end
  local load = { dialect = target.dialect, entity = subject.entity }
  local _, name = columns.find(header, subject.object, subject.key)
  if not name then
    raise("incomplete", "%s: what has changed came without a key", subject.item)
  end
  local staged = "s." .. quoted(name)
  return ("SELECT %s AS bucket, %s AS cells FROM %s%s AS t LEFT JOIN %s AS s ON %s = t.%s WHERE %s IS NULL "
    .. "AND %s AND %s AND %s GROUP BY 1"):format(bucket_of(target, subject), table.concat(cells, " || ';' || "),
    target.store.prefix, quoted(subject.item), stage, staged, quoted(subject.key), staged, merge.lives(load, "t"),
    merge.own_rows(load, "t"), settled_of(subject))
end

--- What came of it.
---@param target table
---@param subject table
---@param rows { bucket: string, cells: string }[]
---@return table<string, table<string, string>> found by the buckets' keys: "count" and "sum(Amount)"
function counts.read(target, subject, rows)
  local found = {}
  for _, row in ipairs(rows) do
    local cells = {}
    for cell in (row.cells .. ";"):gmatch "([^;]*);" do cells[#cells + 1] = cell end
    local one = { count = cells[1] }
    for i, sum in ipairs(subject.sums) do one[sum.total] = target.dialect.decimal(cells[i + 1]) end
    found[row.bucket] = one
  end
  return found
end

--- The first month in which a row of a table was made.
---@param target table
---@param item string
---@param made string the column that says so
---@return string|nil "2026-03"
function counts.first_month(target, item, made)
  return target.store:row(("SELECT MIN(%s) AS month FROM %s%s"):format(target.dialect.month(quoted(made)),
    target.store.prefix, quoted(item))).month
end

--- A generation that no read of an item that ends there has had, as the target knows.
---@param target table
---@param of { plan: string, item: string, entity: string }
---@param kind string
---@param read_to string
---@return integer
function counts.next_generation(target, of, kind, read_to)
  local row = target.store:row(([[SELECT CAST(MAX(CAST(generation AS INTEGER)) AS TEXT) AS newest FROM %szuora_loads
    WHERE plan = ? AND item = ? AND entity = ? AND kind = ? AND read_to = ?]]):format(target.store.prefix), of.plan,
    of.item, of.entity, kind, read_to)
  return (tonumber(row.newest) or -1) + 1
end

return counts
