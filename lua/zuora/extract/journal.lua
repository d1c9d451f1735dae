--- The journal: what has become of each read, the mark of each item, and a history. Every change of a read is a
--- compare-and-set: it holds only as long as nobody else has changed it.

local claims = require "zuora.extract.claims"
local error_value = require "zuora.error"
local mark_table = require "zuora.extract.base.mark_table"
local reads = require "zuora.extract.base.reads"
local store = require "zuora.extract.base.store"

local raise = error_value.raise

local journal = {}

local VERSION = "1"

-- A read that is not over.
local OPEN = "state NOT IN ('done', 'split', 'failed')"

local STATEMENTS = {
  [[CREATE TABLE IF NOT EXISTS zuora_store (name TEXT PRIMARY KEY, value TEXT)]],
  [[CREATE TABLE IF NOT EXISTS zuora_read (plan TEXT, item TEXT, entity TEXT, kind TEXT, read_from TEXT,
    read_to TEXT, generation TEXT, piece TEXT, parent TEXT, attempt TEXT, state TEXT, idempotency_key TEXT, job_id TEXT,
    record_count TEXT, records TEXT, bytes TEXT, sha256 TEXT, path TEXT, totals TEXT, query TEXT, extra TEXT,
    error TEXT, owner TEXT, chain TEXT, planned_at TEXT, updated_at TEXT,
    PRIMARY KEY (plan, item, entity, kind, read_from, read_to, generation, piece))]],
  -- One open read for each item; the pieces of one that was split are not counted.
  [[CREATE UNIQUE INDEX IF NOT EXISTS zuora_read_open ON zuora_read (plan, item, entity)
    WHERE parent = '' AND ]] .. OPEN,
  mark_table.CREATE:format "",
  [[CREATE TABLE IF NOT EXISTS zuora_event (at TEXT, plan TEXT, item TEXT, what TEXT, detail TEXT)]],
  [[CREATE TABLE IF NOT EXISTS zuora_item (plan TEXT, item TEXT, entity TEXT, result TEXT,
    PRIMARY KEY (plan, item, entity))]],
  [[CREATE INDEX IF NOT EXISTS zuora_read_job ON zuora_read (plan, job_id) WHERE job_id <> '']],
}

-- The same for PostgreSQL, where rows have no number by themselves; what is open is found without what is not, and a
-- manifest may lie on another machine.
local SHARED = table.move(STATEMENTS, 1, 4, 1, {})
SHARED[2] = SHARED[2]:gsub("chain TEXT,", "chain TEXT, manifest TEXT,")
SHARED[5] = [[CREATE TABLE IF NOT EXISTS zuora_event (rowid bigserial, at TEXT, plan TEXT, item TEXT, what TEXT,
  detail TEXT)]]
SHARED[6] = [[CREATE INDEX IF NOT EXISTS zuora_read_pieces ON zuora_read (plan, item, entity)
  WHERE ]] .. OPEN
SHARED[7] = [[CREATE INDEX IF NOT EXISTS zuora_read_chain ON zuora_read (plan, item, entity, length(chain), chain)
  WHERE chain <> '']]
SHARED[8] = claims.CREATE
SHARED[9] = STATEMENTS[#STATEMENTS]

local IS_ITEM = "plan = ? AND item = ? AND entity = ?"
local IS_READ = IS_ITEM .. " AND kind = ? AND read_from = ? AND read_to = ? AND generation = ? AND piece = ?"

local Journal = {}
Journal.__index = Journal

local function key_of(read)
  local list = {}
  for i, name in ipairs(reads.KEY) do list[i] = read[name] end
  return table.unpack(list, 1, #reads.KEY)
end

local function with_numbers(read)
  if read then read.attempt, read.generation = tonumber(read.attempt), tonumber(read.generation) end
  return read
end

-- The reads of an item; `rest`: for which a condition holds, and in which order.
local function reads_of(self, of, rest, ...)
  local list = self.store:rows(("SELECT * FROM zuora_read WHERE %s %s"):format(IS_ITEM, rest), of.plan, of.item,
    of.entity, ...)
  for _, read in ipairs(list) do with_numbers(read) end
  return list
end

--- Seconds since the epoch: the database's, where several machines share it.
---@return integer
function Journal:clock() return self.claims and self.store:clock() or os.time() end

local function now(self) return os.date("!%Y-%m-%dT%H:%M:%SZ", self:clock()) end

--- Several changes as one.
function Journal:transaction(f) return self.store:transaction(f) end

--- Makes sure that what was written down is there after a loss of power, too: before anything is done outside.
---@param pause fun()|nil lets others come here, too, for whom the same is good
function Journal:sync(pause) self.store:sync(pause) end

-- --- reads --------------------------------------------------------------------------------------------

local function insert(self, read)
  local before = self:find(read)
  if before and before.planned_at == "" then -- it was found in the folder, see marks.recover
    read.state, read.attempt = before.state, before.attempt
    self.store:run("UPDATE zuora_read SET owner = ? WHERE " .. IS_READ, self.owner, key_of(read))
    self:move(read, "planned", { planned_at = self:clock(), query = read.query, totals = read.totals or "",
      extra = read.extra or "" })
    return read
  end
  read.state, read.planned_at = "planned", tostring(self:clock())
  self.store:run([[INSERT INTO zuora_read (plan, item, entity, kind, read_from, read_to, generation, piece, parent,
    attempt, state, query, totals, extra, owner, planned_at, updated_at, chain, path, error)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '')]], read.plan, read.item, read.entity,
    read.kind, read.read_from, read.read_to, read.generation, read.piece, read.parent, read.attempt, read.state,
    read.query, read.totals or "", read.extra or "", self.owner, read.planned_at, now(self))
  read.owner = self.owner
  return read
end

--- Raises when the item of a read is another worker's by now.
function Journal:hold(read)
  if self.claims then self.claims:hold(read) end
end

-- Does f for as long as the item is this run's.
local function holding(self, of, f, ...)
  if not self.claims then return f(self, ...) end
  local more = table.pack(...)
  return self:transaction(function()
    self.claims:hold(of)
    return f(self, table.unpack(more, 1, more.n))
  end)
end

--- Writes down a read that is to be made, with the text that it will be asked for by.
---@param read table with query, totals and extra (JSON of what else has to be kept)
function Journal:plan(read) return holding(self, read, insert, read) end

--- Takes a read to another state. Raises when it is no longer this run's.
---@param read table is changed, too
---@param state string
---@param changes table<string, string|number>|nil other columns
function Journal:move(read, state, changes)
  local sets, values = { "state = ?", "updated_at = ?" }, { state, now(self) }
  for name, value in pairs(changes or {}) do
    sets[#sets + 1], values[#values + 1] = name .. " = ?", tostring(value)
  end
  local bound = table.move({ key_of(read) }, 1, #reads.KEY, #values + 1, values)
  for _, value in ipairs { self.owner, read.attempt, read.state } do bound[#bound + 1] = value end
  local count = self.store:run(("UPDATE zuora_read SET %s WHERE %s AND owner = ? AND attempt = ? AND state = ?")
    :format(table.concat(sets, ", "), IS_READ), table.unpack(bound))
  if count ~= 1 then
    raise("busy", "%s %s is no longer this run's", read.item, reads.name(read))
  end
  read.state = state
  for name, value in pairs(changes or {}) do read[name] = value end
  with_numbers(read)
end

--- Sets a read back to where its file is brought, or proven, whoever has done it.
---@param read table
---@param changes table<string, string>|nil other columns
---@param state "completed"|"fetched"|nil
function Journal:reopen(read, changes, state)
  holding(self, read, function()
    self.store:run("UPDATE zuora_read SET owner = ? WHERE " .. IS_READ, self.owner, key_of(read))
    self:move(read, state or "completed", changes)
  end)
end

--- The same as open_of; they are this run's now.
---@return table[]
function Journal:open_reads(of)
  return holding(self, of, function()
    self.store:run(("UPDATE zuora_read SET owner = ? WHERE %s AND %s"):format(IS_ITEM, OPEN), self.owner, of.plan,
      of.item, of.entity)
    return self:open_of(of)
  end)
end

--- The reads of an item that are not over, in the order in which they are to be made.
---@return table[]
function Journal:open_of(of)
  return reads_of(self, of, "AND " .. OPEN .. " ORDER BY read_from, piece")
end

--- The read itself, or nil.
function Journal:find(read)
  return with_numbers(self.store:row("SELECT * FROM zuora_read WHERE " .. IS_READ, key_of(read)))
end

--- Another read of the plan that a job was made for, or nil.
---@param read table
---@param job_id string
---@return table|nil other
function Journal:other_of(read, job_id)
  local list = self.store:rows("SELECT * FROM zuora_read WHERE plan = ? AND job_id = ? AND job_id <> ''",
    read.plan, job_id)
  for _, other in ipairs(list) do
    if reads.identity(with_numbers(other)) ~= reads.identity(read) then return other end
  end
  return nil
end

--- The reads of an item that end there, newest generation first; no pieces.
---@param of { plan: string, item: string, entity: string }
---@param kind string
---@param read_to string a stamp
---@return table[]
function Journal:ending_at(of, kind, read_to)
  return reads_of(self, of, [[AND kind = ? AND read_to = ? AND parent = ''
    ORDER BY length(generation) DESC, generation DESC]], kind, read_to)
end

--- How many pieces of a whole are not done.
---@param of { plan: string, item: string, entity: string }
---@param whole string its name
---@return integer
function Journal:pieces_left(of, whole)
  return math.tointeger(tonumber(self.store:row(("SELECT count(*) AS n FROM zuora_read WHERE %s AND parent = ? AND "
    .. "state NOT IN ('done', 'split')"):format(IS_ITEM), of.plan, of.item, of.entity, whole).n))
end

--- A piece of a whole, by its name, that has failed for good, or nil.
function Journal:failed_piece(of, whole) return reads_of(self, of, "AND parent = ? AND state = 'failed'", whole)[1] end

--- The pieces of a whole, in their order, but for those that were split themselves.
---@param of { plan: string, item: string, entity: string }
---@param whole string its name
---@return table[]
function Journal:pieces_of(of, whole)
  return reads_of(self, of, "AND parent = ? AND state <> 'split' ORDER BY read_from, piece", whole)
end

--- The read that another one is a piece of.
---@param read table
---@return table|nil whole
function Journal:parent_of(read)
  for _, whole in ipairs(reads_of(self, read, "AND parent = '' AND state = 'split'")) do
    if reads.name(whole) == read.parent then return whole end
  end
  return nil
end

--- The number of the next file in an item's chain, and the read that is before it.
---@param of { plan: string, item: string, entity: string }
---@return integer number, table|nil previous
function Journal:chain(of)
  local last = reads_of(self, of, "AND chain <> '' ORDER BY length(chain) DESC, chain DESC LIMIT 1")[1]
  return last and tonumber(last.chain) + 1 or 1, last
end

--- The read with that number in the chain.
function Journal:in_chain(of, number) return reads_of(self, of, "AND chain = ?", number)[1] end

--- All reads of an item, by the time of their last change.
---@param of { plan: string, item: string, entity: string }
---@return table[]
function Journal:all(of) return reads_of(self, of, "ORDER BY updated_at, read_to") end

--- Where the files of an item lie, as far as they have been brought.
---@return table<string, boolean>
function Journal:paths(of)
  local known = {}
  self.store:each(function(row) known[row.path] = true end, ("SELECT path FROM zuora_read WHERE %s AND path <> ''")
    :format(IS_ITEM), of.plan, of.item, of.entity)
  return known
end

--- Tells of each file of a plan that is proven, in the order of their paths. (There may be very many. What could not be
--- loaded has failed, and is whole all the same.)
---@param f fun(path: string, sha256: string)
function Journal:each_file(plan, f)
  self.store:each(function(row) f(row.path, row.sha256) end, [[SELECT path, sha256 FROM zuora_read WHERE plan = ? AND
    (state IN ('published', 'loaded', 'done') OR state = 'failed' AND chain <> '') AND path <> '' ORDER BY path]], plan)
end

-- --- marks --------------------------------------------------------------------------------------------

function Journal:marks(plan) return mark_table.all(self.store, plan) end
function Journal:mark(of) return mark_table.get(self.store, of) end
function Journal:set_mark(of, before, after) mark_table.set(self.store, of, before, after) end
function Journal:copy_mark(of, mark) mark_table.copy(self.store, of, mark) end
function Journal:reset(of, mark) return mark_table.reset(self.store, of, mark) end

-- --- history ------------------------------------------------------------------------------------------

function Journal:event(plan, item, what, detail)
  self.store:run("INSERT INTO zuora_event (at, plan, item, what, detail) VALUES (?, ?, ?, ?, ?)", now(self), plan, item,
    what, detail or "")
end

function Journal:events(plan)
  return self.store:rows("SELECT at, item, what, detail FROM zuora_event WHERE plan = ? ORDER BY rowid", plan)
end

--- Writes down what came of an item. (Where several machines share it, that is done when it is given back.)
---@param of table
---@param result string JSON
function Journal:note(of, result)
  self.store:run([[INSERT INTO zuora_item (plan, item, entity, result) VALUES (?, ?, ?, ?)
    ON CONFLICT (plan, item, entity) DO UPDATE SET result = excluded.result]], of.plan, of.item, of.entity, result)
end

--- What came of an item when it was worked on last, as JSON; nil: it never was.
---@param of { plan: string, item: string, entity: string }
---@return string|nil result
function Journal:told(of)
  local row = self.store:row("SELECT result FROM zuora_item WHERE " .. IS_ITEM, of.plan, of.item, of.entity)
  return row and row.result
end

--- What came of the items of a plan when they were worked on last.
---@param plan string
---@return fun(of: table): { result: string, owner: string|nil, lease: number|nil }|nil known result: JSON
function Journal:items(plan)
  local all = self.claims and self.claims:all(plan)
  return function(of)
    if all then return all[claims.key(of.item, of.entity)] end
    local result = self:told { plan = plan, item = of.item, entity = of.entity }
    return result and { result = result }
  end
end

-- --- opening ------------------------------------------------------------------------------------------

-- What a store is of: it is refused for anything else.
local function belong(self, name, value, cure)
  if self.owner ~= "" then
    self.store:run("INSERT INTO zuora_store (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, value)
  end
  local row = self.store:row("SELECT value FROM zuora_store WHERE name = ?", name)
  local known = row and row.value or value
  if known ~= value then
    raise("plan", "%s belongs to the %s '%s', not '%s': %s", self.store.name, name, known, value, cure)
  end
end

--- Says whose store it is from now on, or raises when it is another's.
---@param plan string
---@param tenant string
function Journal:belong_to(plan, tenant)
  local profile = "is this the right profile? If it is, name another "
  if self.claims then return belong(self, "tenant of " .. plan, tenant, profile .. "'plan'") end
  belong(self, "plan", plan, "name another 'store'; or, if nothing of it is needed, remove it")
  belong(self, "tenant", tenant, profile .. "'store'; or, if nothing of it is needed, remove it")
end

--- Whose store it is, as far as that is known.
---@return { plan: string|nil, tenant: string|nil }
function Journal:belongs()
  local owner = {}
  for _, row in ipairs(self.store:rows "SELECT * FROM zuora_store") do owner[row.name] = row.value end
  return owner
end

function Journal:close()
  local _ <close> = self.lock
  local _ <close> = self.store
  self.store:sync()
end

Journal.__close = Journal.close

local VERSION_CURE = "it was made by another version of this module"

-- Where it is damaged.
local CURE = "remove it and %s-wal; the next run finds all again in the manifests that lie beside the files"

-- One that several machines share. (Where there is none, and it is only looked at, it is as though it were empty.)
local function open_shared(uri, owner, lease)
  local held = claims.open(uri, owner or "", lease, OPEN)
  if owner then
    held:make(SHARED)
  elseif not held:is_made() then
    held.store:close()
    return nil
  end
  return setmetatable({ store = held.store, claims = held, owner = held.owner }, Journal)
end

--- Opens a journal. Only one run at a time changes a file; in a database of PostgreSQL each item is claimed.
---@param where string a path, or "postgresql://…"
---@param owner string|nil who changes it; nil: it is only looked at
---@param lease number|nil seconds that a claim holds without being renewed
---@return table journal raises an error of kind `busy` while another run has it
function journal.open(where, owner, lease)
  local is_shared = claims.are_at(where)
  local self = is_shared and open_shared(where, owner, lease)
  if self then
    belong(self, "version", VERSION, VERSION_CURE)
    return self
  end
  local lock = owner and store.lock(where)
  if owner and not lock then
    error(error_value.new { kind = "busy", retryable = true, message = where .. ": another run holds it" }, 0)
  end
  self = setmetatable({ store = store.open(is_shared and ":memory:" or where, not owner, CURE:format(where)),
    lock = lock, owner = owner or "" }, Journal)
  self.store:run "PRAGMA busy_timeout = 10000"
  self.store:run "PRAGMA cache_size = -256" -- KiB, of 2000: little is looked at again, and the system has the rest
  if owner then
    self.store:run "PRAGMA synchronous = FULL"
    self.store:sync_by_hand()
  end
  for _, statement in ipairs(STATEMENTS) do self.store:run(statement) end
  belong(self, "version", VERSION, VERSION_CURE)
  return self
end

return journal
