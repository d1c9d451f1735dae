--- What somebody has taken away in a target: a table, or columns of it, that were loaded before.

local ascii = require "zuora.support.ascii"
local columns = require "zuora.extract.base.columns"
local json = require "zuora.extract.base.json"
local phrases = require "zuora.extract.base.phrases"

local raise = require "zuora.error".raise

local losses = {}

-- Was something loaded that is gone on from, or that is of the same whole as a read?
local function is_gone_on(store, item, read)
  local of = read or item.of
  return store:row(([[SELECT 1 AS there FROM %szuora_loads AS l WHERE l.plan = ? AND l.item = ?
    AND l.records <> '0' AND (EXISTS (SELECT 1 FROM %szuora_mark AS m WHERE m.plan = l.plan AND m.item = l.item
    AND m.entity = l.entity AND (COALESCE(m.pending, '') <> '1' OR m.mark <> ''))
    OR l.entity = ? AND l.kind = ? AND l.read_from = ? AND l.read_to = ? AND l.generation = ?) LIMIT 1]]):format(
    store.prefix, store.prefix), of.plan, of.item, of.entity, of.kind or "", of.read_from or "", of.read_to or "",
    of.generation or "") ~= nil
end

--- Raises where somebody has taken away the table of what was loaded before.
---@param store table of the target
---@param item table
---@param read table|nil that is to be loaded now
function losses.check_table(store, item, read)
  if not is_gone_on(store, item, read) then return end
  raise("plan", "%s: it was loaded before, and the target has no table of it now: `%s` has all of it read again",
    item.name, phrases.command(item.of, "reset", item.name))
end

-- What is to be done about columns that were taken away.
local function cure_of(item, gone)
  local reset = phrases.command(item.of, "reset", item.name)
  for _, name in ipairs(gone) do
    if ascii.lower(name) == ascii.lower(item.key) then
      return ("rows are merged by it. Drop the table: `%s` then has all of it read again"):format(reset)
    end
    if ascii.lower(name) == ascii.lower(item.cursor) then return ("`%s` has all of it read again"):format(reset) end
  end
  return ("`%s` reads %s of all rows, `%s` has all of it read again"):format(phrases.backfill(item, gone),
    #gone == 1 and "it" or "them", reset)
end

--- Raises where somebody has taken away a column of rows that were loaded before, and will not all come again: to add
--- it would leave it empty in them.
---@param store table of the target
---@param item table
---@param names string[] columns that are to be loaded
---@param there table<string, string> the table's, by the same in lower case
---@param read table|nil that is to be loaded now
---@return table<string, boolean> backfilled those that may be missing for that, in lower case
function losses.check_columns(store, item, names, there, read)
  local backfilled, taken, gone, known = {}, {}, {}, {}
  if not item.cursor or item.mode == "replace" then return backfilled end -- all rows come again
  store:each(function(row) known[row.name] = not there[row.name] end,
    ("SELECT name FROM %szuora_column WHERE item = ?"):format(store.prefix), item.name)
  for _, long in ipairs(names) do
    local name = columns.plain(long, item.object)
    if known[ascii.lower(name)] then taken[#taken + 1] = name end
  end
  if #taken == 0 or not is_gone_on(store, item, read) then return backfilled end
  for _, name in ipairs(taken) do
    local is_given = columns.find(item.backfill or {}, item.object, name)
    if is_given and not columns.find({ item.key, item.cursor }, item.object, name) then
      backfilled[ascii.lower(name)] = true
    else
      gone[#gone + 1] = name
    end
  end
  if #gone == 0 then return backfilled end
  raise("plan", "%s: the target's table has no column %s any more, which was loaded before: %s", item.name,
    table.concat(gone, ", "), cure_of(item, gone))
end

--- The columns of rows that were loaded before which the mark does not have any more: they were missed for a while, and
--- what changed then is not in them.
---@param store table of the target
---@param item table
---@param mark table
---@return string[] names in lower case, those too that are not asked for now
function losses.gaps(store, item, mark)
  local known, gaps = json.decode(mark.columns) or {}, {}
  local is_known = #known > 0 and not columns.find(known, item.object, "*")
  if not item.cursor or item.mode == "replace" or mark.mark == "" or not is_known then return gaps end
  store:each(function(row) gaps[#gaps + 1] = row.name end,
    ("SELECT name FROM %szuora_column WHERE item = ? ORDER BY name"):format(store.prefix), item.name)
  for i, name in ipairs(known) do known[i] = columns.plain(name, item.object) end
  return columns.minus(columns.minus(gaps, nil, known), nil, { item.key, item.cursor })
end

return losses
