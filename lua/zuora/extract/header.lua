--- The header of a file, held against what was asked for: what is not in it would be empty in the target, and what was
--- asked for may be another's file.

local aqua = require "zuora.extract.sources.aqua"
local ascii = require "zuora.support.ascii"
local columns = require "zuora.extract.base.columns"
local json = require "zuora.extract.base.json"
local planner = require "zuora.extract.planner"
local query = require "zuora.extract.query"
local rows = require "zuora.rows"

local header = {}

local raise = require "zuora.error".raise

-- Words of SQL that stand for a value of no column.
local VALUES = { null = true, ["true"] = true, ["false"] = true, current_date = true, current_time = true,
  current_timestamp = true, current_user = true, current_catalog = true, current_schema = true, localtime = true,
  localtimestamp = true }

-- The fields that a query names as they are (what a column of an expression is called only Zuora knows); of SQL only
-- where there is nothing else.
local function fields_of(item, text)
  local parsed, fields = query.parse(text), {}
  for _, name in ipairs(parsed and parsed.select or {}) do
    if name:find "^[%a_][%w_.]*$" and not VALUES[ascii.lower(name)] then
      fields[#fields + 1] = name
    elseif item.kind == "data_query" then
      return {}
    end
  end
  return fields, parsed and parsed.object
end

local function last_of(name) return ascii.lower(name:match "[^.]*$") end

-- The place of a column of another object, whatever that is called there.
local function joined(list, field, taken)
  for i, name in ipairs(list) do
    if not taken[i] and last_of(name) == last_of(field) then return i end
  end
  return nil
end

-- Those that are not there.
local function missing_of(list, object, fields)
  local taken, others, missing = {}, {}, {}
  for _, field in ipairs(fields) do
    local place = columns.find(list, object, field)
    if place then
      taken[place] = true
    elseif field:find(".", 1, true) then
      others[#others + 1] = field
    else
      missing[#missing + 1] = field
    end
  end
  for _, field in ipairs(others) do
    local place = joined(list, field, taken)
    if place then taken[place] = true else missing[#missing + 1] = field end
  end
  return missing
end

--- Raises where a file has not all columns that were asked for.
---@param item table
---@param read table
---@param path string
---@param written { bytes: integer, record_count: integer|nil }
---@param is_loaded boolean a table's columns have names; of a file without rows there may be nothing
---@return string[] header
function header.check(item, read, path, written, is_loaded)
  local it <close>, problem = rows.of_file(path, { form = "lazy" })
  if not it then error(problem, 0) end
  local list = it.columns
  if not is_loaded and written.bytes == 0 and written.record_count == 0 then return {} end
  if is_loaded or #list < 2 then columns.check(item.name, list) end
  local fields, object = fields_of(item, read.query or "")
  fields[#fields + 1] = aqua.deleted_of(item, read)
  local missing = missing_of(list, object, fields)
  if #missing > 0 then
    raise("incomplete", "%s: the file has no column %s, which was asked for", item.name, table.concat(missing, ", "))
  end
  return list
end

-- Kinds of reads that bring other columns than those of all others.
local PARTS = { reconcile = true, backfill = true, audit = true }

--- What the mark is to know of a file whose columns only its header says; nil: they were known before.
---@param item table
---@param read table
---@param list string[] the header
---@return string[]|nil
function header.open_columns(item, read, list)
  if not columns.are_open(item) or PARTS[read.kind:match "^%l+"] then return nil end
  local own = {}
  for i, name in ipairs(columns.minus(list, item.object, { aqua.DELETED })) do
    own[i] = columns.plain(name, item.object)
  end
  return own
end

--- Notes in an item which columns earlier files of it had, and this one has not: in the target they are empty, or stay
--- as they are.
---@param ctx table
---@param item table has `header` and, where there are some, `lost` afterwards
---@param piece table of its read
function header.tell_lost(ctx, item, piece)
  item.header = piece.header or item.header
  local mark = ctx.target and piece.header and not piece.is_mended and ctx.marks:mark(item.of)
  if not mark or mark.hash ~= planner.hash(item) then return end
  local lost = columns.minus(columns.minus(json.decode(mark.columns) or {}, item.object, { "*" }), nil, piece.header)
  item.lost = lost[1] and lost or item.lost
end

return header
