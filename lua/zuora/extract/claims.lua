--- Who works on which item, where several machines share a journal. A claim is a lease by the database's clock: who
--- does not renew it in time loses it, with all reads of the item, to whoever comes next.

local core = require "zuora.core"
local digest = require "zuora.extract.base.digest"
local disk = require "zuora.extract.base.disk"
local server = require "zuora.extract.base.server"

local raise = require "zuora.error".raise

local claims = {}

--- Where the journal's tables are: not where a target's may be, which has a table of marks, too.
claims.SCHEMA = "zuora_store"

--- Seconds.
claims.LEASE = 60

-- So many seconds as no worker runs for.
local NEVER = 1e9

claims.CREATE = [[CREATE TABLE IF NOT EXISTS zuora_item (plan TEXT, item TEXT, entity TEXT, owner TEXT DEFAULT '',
  lease_until timestamptz DEFAULT to_timestamp(0), turn integer DEFAULT 0, step TEXT DEFAULT '',
  outcome TEXT DEFAULT '', visited_at timestamptz DEFAULT to_timestamp(0), result TEXT DEFAULT '',
  PRIMARY KEY (plan, item, entity)) WITH (fillfactor = 50)]]

local Claims = {}
Claims.__index = Claims

local SECONDS = "CAST(? AS double precision) * interval '1 second'"

local IS_ITEM = "plan = ? AND item = ? AND entity = ?"

-- Of the items that were named, or of all others: those that were not visited in this step of the grid, and those that
-- were not done when they were visited, before this worker began or so many seconds ago. (Without a step: all of them.)
local DUE = [[plan = ? AND item || '/' || entity %s (CAST(? AS TEXT[])) AND (? = '' OR step < ?
  OR outcome NOT IN ('done', 'up to date')
    AND visited_at < GREATEST(CAST(? AS timestamptz), clock_timestamp() - ]] .. SECONDS .. [[))]]

-- (In a common table expression, so that the limit holds: a subquery could be run once for each row.)
local TAKE = [[WITH picked AS (SELECT plan, item, entity, owner AS former FROM zuora_item WHERE ]] .. DUE .. [[
    AND lease_until < clock_timestamp() ORDER BY step, visited_at, item, entity LIMIT 1 FOR UPDATE SKIP LOCKED)
  UPDATE zuora_item AS t SET owner = ?, lease_until = clock_timestamp() + ]] .. SECONDS .. [[,
    turn = t.turn + CASE WHEN picked.former = '' THEN 0 ELSE 1 END
  FROM picked WHERE t.plan = picked.plan AND t.item = picked.item AND t.entity = picked.entity
  RETURNING t.item, t.entity, CAST(t.turn AS TEXT) AS turn, picked.former]]

-- A list of texts as PostgreSQL's literal.
local function array(list)
  local words = {}
  for i, text in ipairs(list) do words[i] = '"' .. text:gsub('[\\"]', "\\%0") .. '"' end
  return "{" .. table.concat(words, ",") .. "}"
end

--- What an item is known by among those of a plan.
---@param item string
---@param entity string
---@return string
function claims.key(item, entity) return item .. "/" .. entity end

--- Is it the address of a database that several machines can share?
---@param where string
---@return boolean
function claims.are_at(where) return where:find "^postgres://" ~= nil or where:find "^postgresql://" ~= nil end

--- Makes sure that each item has its row.
---@param plan string
---@param list { [1]: table, [2]: string }[] items and entities
function Claims:enlist(plan, list)
  local items, entities = {}, {}
  for i, one in ipairs(list) do items[i], entities[i] = one[1].name, one[2] end
  self.store:run([[INSERT INTO zuora_item (plan, item, entity) SELECT ?, * FROM unnest(CAST(? AS TEXT[]),
    CAST(? AS TEXT[])) ON CONFLICT DO NOTHING]], plan, array(items), array(entities))
end

--- Has items looked at that somebody with a wrong clock has visited in a step that has not come yet.
---@param plan string
---@param step string the first such one
function Claims:forget_steps(plan, step)
  self.store:run("UPDATE zuora_item SET step = '' WHERE plan = ? AND step > ?", plan, step)
end

--- Makes items due, whatever was done in this step.
---@param plan string
---@param keys string[]
function Claims:make_due(plan, keys)
  self.store:run("UPDATE zuora_item SET step = '' WHERE plan = ? AND item || '/' || entity = ANY (CAST(? AS TEXT[]))",
    plan, array(keys))
end

-- A statement with DUE in it; and the values of that.
local function asked(sql, what) return (sql:format(what.keys and "= ANY" or "<> ALL")) end

local function due(what)
  return what.plan, array(what.keys or what.except), what.step or "",
    what.step or "", what.since or "now", what.again or NEVER
end

--- Claims an item that is due and nobody's, with its open reads.
---@param what table plan; keys, or except: which items; step, since, again: see above
---@return { item: string, entity: string, turn: integer, former: string }|nil claim former: who has lost it, or ""
function Claims:take(what)
  return self.store:transaction(function()
    local values = table.pack(due(what))
    values[#values + 1], values[#values + 2] = self.owner, self.lease
    local row = self.store:row(asked(TAKE, what), table.unpack(values))
    if not row then return nil end
    self.store:run("UPDATE zuora_read SET owner = ? WHERE " .. IS_ITEM .. " AND " .. self.open, self.owner, what.plan,
      row.item, row.entity)
    row.turn = math.tointeger(tonumber(row.turn))
    return row
  end)
end

--- How many items are due, whoever has them.
---@return integer
function Claims:left(what)
  return math.tointeger(tonumber(self.store:row(asked("SELECT CAST(count(*) AS TEXT) AS n FROM zuora_item WHERE "
    .. DUE, what), due(what)).n))
end

--- Renews what this worker works on. (What it was given without hearing of it is not renewed.)
---@param plan string
---@param keys string[]
---@return table<string, boolean> held by their keys
function Claims:renew(plan, keys)
  local held = {}
  for _, row in ipairs(self.store:rows("UPDATE zuora_item SET lease_until = clock_timestamp() + " .. SECONDS
    .. " WHERE plan = ? AND owner = ? AND item || '/' || entity = ANY (CAST(? AS TEXT[])) RETURNING item, entity",
    self.lease, plan, self.owner, array(keys))) do
    held[claims.key(row.item, row.entity)] = true
  end
  return held
end

--- Raises when the item is another's by now; within a transaction nobody takes it before the end.
---@param of { plan: string, item: string, entity: string }
function Claims:hold(of)
  if self.store:row("SELECT 1 AS there FROM zuora_item WHERE " .. IS_ITEM .. " AND owner = ? FOR UPDATE", of.plan,
    of.item, of.entity, self.owner)
  then
    return
  end
  raise("busy", "%s is no longer this run's", of.item)
end

--- Gives an item back.
---@param of table
---@param step string the point of the grid up to which it was brought
---@param outcome string
---@param result string JSON
---@return boolean was_held
function Claims:release(of, step, outcome, result)
  return self.store:run([[UPDATE zuora_item SET owner = '', lease_until = to_timestamp(0), step = ?, outcome = ?,
    visited_at = clock_timestamp(), result = ? WHERE ]] .. IS_ITEM .. " AND owner = ?", step, outcome, result, of.plan,
    of.item, of.entity, self.owner) == 1
end

--- Gives an item back, as it is.
---@return boolean was_held
function Claims:give_back(of)
  return self.store:run("UPDATE zuora_item SET owner = '', lease_until = to_timestamp(0) WHERE " .. IS_ITEM
    .. " AND owner = ?", of.plan, of.item, of.entity, self.owner) == 1
end

--- Gives all of them back, as they are.
function Claims:leave()
  self.store:run("UPDATE zuora_item SET owner = '', lease_until = to_timestamp(0) WHERE owner = ?", self.owner)
end

--- All items of a plan: owner ("": nobody) and lease (seconds that are left of it), result.
---@param plan string
---@return table<string, { owner: string, lease: number, result: string }> by their keys
function Claims:all(plan)
  local all = {}
  for _, row in ipairs(self.store:rows([[SELECT item, entity, owner, result,
    CAST(greatest(0, extract(epoch FROM lease_until - clock_timestamp())) AS TEXT) AS lease
    FROM zuora_item WHERE plan = ?]],
    plan)) do
    row.lease = tonumber(row.lease)
    all[claims.key(row.item, row.entity)] = row
  end
  return all
end

-- The last part of an owner's name.
local function id_of(owner) return owner:match "[^/]*$" end

--- A file of a worker's own, for what is renamed.
---@param output string
---@param owner string|nil this one
---@return string path
function Claims:scratch(output, owner) return ("%s/.%s.new"):format(output, id_of(owner or self.owner)) end

--- What tells a worker's other files from those of the others.
function Claims:suffix() return "." .. id_of(self.owner) end

--- The database's time, as `since` wants it.
---@return string
function Claims:now() return self.store:row("SELECT CAST(clock_timestamp() AS TEXT) AS now").now end

-- --- opening ------------------------------------------------------------------------------------------

--- A name for this process that no other has.
---@return string "host/1234/9f86d081884c7d65"
function claims.owner()
  local host = (disk.read "/proc/sys/kernel/hostname" or os.getenv "HOSTNAME" or "host"):match "[^\n]*"
  local pid = (disk.read "/proc/self/stat" or "?"):match "^%S+"
  return ("%s/%s/%s"):format(host, pid, digest.hex(core.random(8)))
end

--- Opens the database of a journal.
---@param uri string
---@param owner string "": it is only looked at
---@param lease number|nil seconds
---@param open string the condition of a read that is open
---@return table claims with its store
function claims.open(uri, owner, lease, open)
  lease = lease or claims.LEASE
  local store = server.connect(uri, claims.SCHEMA, { "SET client_min_messages = warning",
    "SET default_transaction_isolation = 'read committed'", "SET search_path = " .. claims.SCHEMA,
    "SET lock_timeout = '30s'",
    -- Who was stopped in the midst of a transaction holds nobody up for longer than its lease.
    ("SET idle_in_transaction_session_timeout = %d"):format(math.ceil(lease * 1000)) })
  return setmetatable({ store = store, owner = owner, lease = lease, open = open }, Claims)
end

--- Makes the tables, unless they are there.
---@param statements string[]
function Claims:make(statements)
  if self:is_made() then return end
  self.store:make(function()
    if not self.store:row(("SELECT 1 AS there FROM pg_namespace WHERE nspname = '%s'"):format(claims.SCHEMA)) then
      self.store:run("CREATE SCHEMA " .. claims.SCHEMA)
    end
    for _, statement in ipairs(statements) do
      -- As SQLite sorts: by bytes.
      self.store:run((statement:gsub(" TEXT", ' TEXT COLLATE "C"')))
    end
  end)
end

---@return boolean
function Claims:is_made()
  return self.store:row(("SELECT 1 AS there FROM pg_tables WHERE schemaname = '%s' AND tablename = 'zuora_item'")
    :format(claims.SCHEMA)) ~= nil
end

return claims
