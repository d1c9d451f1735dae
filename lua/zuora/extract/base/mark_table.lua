--- The table of marks, wherever it is kept: in the store, or in the target.

local raise = require "zuora.error".raise

local mark_table = {}

mark_table.CREATE = [[CREATE TABLE IF NOT EXISTS %szuora_mark (plan TEXT, item TEXT, entity TEXT, mark TEXT, hash TEXT,
  columns TEXT, tenant TEXT, looked_back TEXT, resets TEXT, pending TEXT, PRIMARY KEY (plan, item, entity))]]

--- How far an item has been read: mark ("": not at all), hash, columns, tenant, looked_back, resets, pending (it was
--- set back, and has not been read since); nil before the first time.
---@param store table
---@param of { plan: string, item: string, entity: string }
---@return table<string, string>|nil
function mark_table.get(store, of)
  return store:row(("SELECT * FROM %szuora_mark WHERE plan = ? AND item = ? AND entity = ?"):format(store.prefix),
    of.plan, of.item, of.entity)
end

--- Up to where each item of a plan has been read, and whether it was set back: as one text.
---@param store table
---@param plan string
---@return table<string, string> by item and entity, with a "/" between
function mark_table.all(store, plan)
  local all = {}
  store:each(function(row) all[row.item .. "/" .. row.entity] = row.mark .. " " .. row.pending end,
    ("SELECT * FROM %szuora_mark WHERE plan = ?"):format(store.prefix), plan)
  return all
end

--- Sets it forward: from what it was (nil: there was none). Raises when somebody else has done so.
---@param store table
---@param of table
---@param before string|nil
---@param after { mark: string, hash: string, columns: string, tenant: string, looked_back: string|nil }
function mark_table.set(store, of, before, after)
  local count
  if before then
    count = store:run(([[UPDATE %szuora_mark SET mark = ?, hash = ?, columns = ?, tenant = ?, looked_back = ?,
      pending = '' WHERE plan = ? AND item = ? AND entity = ? AND mark = ?]]):format(store.prefix), after.mark,
      after.hash, after.columns, after.tenant, after.looked_back or "", of.plan, of.item, of.entity, before)
  else
    count = store:run(([[INSERT INTO %szuora_mark (plan, item, entity, mark, hash, columns, tenant, looked_back, resets,
      pending) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '0', '') ON CONFLICT DO NOTHING]]):format(store.prefix), of.plan,
      of.item, of.entity, after.mark, after.hash, after.columns, after.tenant, after.looked_back or "")
  end
  if count ~= 1 then raise("busy", "the mark of %s was set by another run", of.item) end
end

--- Puts a copy of another's mark in the place of the one that is there.
function mark_table.copy(store, of, mark)
  store:run(("DELETE FROM %szuora_mark WHERE plan = ? AND item = ? AND entity = ?"):format(store.prefix), of.plan,
    of.item, of.entity)
  mark_table.set(store, of, nil, mark)
end

--- Sets an item back: what comes is read again from there, by reads of their own.
---@param store table
---@param of table
---@param mark string a stamp; "": from the beginning
---@return boolean known false: the item has no mark
function mark_table.reset(store, of, mark)
  return store:run(([[UPDATE %szuora_mark SET mark = ?, resets = CAST(CAST(resets AS INTEGER) + 1 AS TEXT),
    pending = '1' WHERE plan = ? AND item = ? AND entity = ?]]):format(store.prefix), mark, of.plan, of.item,
    of.entity) == 1
end

return mark_table
