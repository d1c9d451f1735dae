--- No more requests in flight than Zuora takes from one tenant: a number of slots, first come, first served.
--
-- An attempt makes a slot in a `<close>` variable, acquires it before its request goes out, and releases it when
-- the response is there. However the attempt ends, the next in the queue gets the slot. Nobody looks at a
-- clock: whoever waits is woken by a release, or at its own deadline.

local counted_set = require "zuora.tasks.counted_set"
local queue = require "zuora.tasks.queue"

local semaphore = {}

local Semaphore = {}
Semaphore.__index = Semaphore

local Slot = {}
Slot.__index = Slot

-- The slot of a coroutine of the user's own, which may be dropped in the midst of a call. Then its request ends, too:
-- the session holds what is in flight, so that by itself it would go on.
local Droppable = { __index = Slot, __gc = function(slot)
  if slot.request then slot.request:cancel() end
  slot:release()
end }

--- A slot that is not acquired yet. `request` may be put into it, for as long as it is in flight.
function Semaphore:slot()
  local scheduler = self.scheduler
  local task, is_main = scheduler:in_task()
  local holder = task or scheduler:context()
  local slot = { semaphore = self, task = task or false, holder = holder, key = holder, is_used = false, since = nil,
    position = false, request = nil }
  if task or is_main then return setmetatable(slot, Slot) end
  slot.key = slot
  return setmetatable(slot, Droppable)
end

-- A slot that is held stands under its holder, where that has no other (see `awaiting` in tasks/scheduler.lua). One
-- that may be dropped stands under itself, so that nothing keeps it.
local function is_held(self, slot) return self.held.members[slot.key] == slot end

local function hold(self, slot)
  local held, key = self.held, slot.key
  local other = held.members[key]
  if other == slot then return true end
  slot.since = self.scheduler:tick()
  if other then
    key = slot
    slot.key = key
  end
  held:put(key, slot)
  return true
end

--- How many hold a slot.
---@return integer
function Semaphore:in_use() return self.held:size() end

-- Is this code in the midst of a call that holds a slot?
local function holds_one(self)
  local lineage = self.scheduler:lineage()
  for _, slot in pairs(self.held.members) do
    local born = lineage[slot.holder]
    if born and slot.since < born then return true end
  end
  return false
end

-- Gives free slots to those who wait. (They may not run at once, and nobody may come before them.)
local function pass_on(self)
  local slot, position = self.waiting:peek()
  while slot and self.held:size() < self.limit do
    self.scheduler:wake(slot.task)
    hold(self, slot)
    self.waiting:remove(position, slot)
    slot, position = self.waiting:peek()
  end
end

--- Waits for the slot.
--- Two go over the limit, since to wait would be to wait for ever: a call made in the midst of one that holds
--- a slot (in on_progress, say, or in a task that was started there); and a call in a coroutine of the
--- user's own within a task, where no task that holds a slot can run to release it.
---@param ends_at number until when
---@return boolean acquired false: time is up
function Slot:acquire(ends_at)
  local all = self.semaphore
  local scheduler, waiting = all.scheduler, all.waiting
  self.is_used = true
  -- (A queue that nobody has ever been in need not be looked into.)
  if (waiting.last == 0 or not waiting:peek()) and all.held:size() < all.limit then return hold(all, self) end
  self.position = waiting:next() -- known before it is in there: an error may come anywhere
  self.position = waiting:push(self) -- (the same, unless a finaliser has looked into an empty queue)
  pass_on(all)
  if is_held(all, self) then return true end
  local is_free = scheduler:active() and not self.task or holds_one(all)
  while not is_held(all, self) do
    if is_free or scheduler.clock.now() >= ends_at then
      waiting:remove(self.position, self)
      return is_free and hold(all, self) or false
    end
    scheduler:park(nil, ends_at)
  end
  return true
end

--- Releases the slot, or leaves the queue. Twice is fine.
function Slot:release()
  if not self.is_used then return end
  local all = self.semaphore
  local held, waiting, key = all.held, all.waiting, self.key
  self.request = nil
  if self.position then waiting:remove(self.position, self) end
  if held.members[key] == self then held:put(key, nil) end
  if waiting.last > 0 and waiting:peek() then pass_on(all) end
  self.is_used = false
end

Slot.__close, Droppable.__close = Slot.release, Slot.release

---@param scheduler table
---@param limit integer
function semaphore.new(scheduler, limit)
  return setmetatable({ scheduler = scheduler, limit = limit, waiting = queue.new(),
    held = counted_set.new "k" }, Semaphore)
end

return semaphore
