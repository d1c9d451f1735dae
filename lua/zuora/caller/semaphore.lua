--- No more requests in flight than Zuora takes from one tenant: a number of slots, first come, first served.
--
-- A call makes a slot in a `<close>` variable, acquires it before its request goes out, and releases it when
-- the response is there. However the call ends, the next in the queue gets the slot. Nobody looks at a
-- clock: whoever waits is woken by a release, or at its own deadline.

local queue = require "zuora.tasks.queue"
local counted_set = require "zuora.tasks.counted_set"

local semaphore = {}

local Semaphore = {}
Semaphore.__index = Semaphore

local Slot = {}
Slot.__index = Slot

--- A slot that is not acquired yet.
function Semaphore:slot()
  return setmetatable({ semaphore = self, holder = self.scheduler:context() }, Slot)
end

local function hold(self, slot)
  if not self.held.members[slot] then self.held:put(slot, self.scheduler:tick()) end
  return true
end

-- Is this code in the midst of a call that holds a slot?
local function holds_one(self)
  local lineage = self.scheduler:lineage()
  for slot, tick in pairs(self.held.members) do
    local born = lineage[slot.holder]
    if born and tick < born then return true end
  end
  return false
end

-- Gives free slots to those who wait. (They may not run at once, and nobody may come before them.)
local function pass_on(self)
  local slot, position = self.waiting:peek()
  while slot and self.held:size() < self.limit do
    if slot.position == position then -- else it came no further than into the queue
      self.scheduler:wake(slot.task)
      hold(self, slot)
    end
    self.waiting:remove(position, slot)
    slot, position = self.waiting:peek()
  end
end

--- Waits for the slot, at most `seconds`.
-- Two go over the limit, since to wait would be to wait for ever: a call made in the midst of one that holds
-- a slot (in on_progress, say, or in a task that was started there); and a call in a coroutine of the
-- user's own within a task, where no task that holds a slot can run to give it back.
---@param seconds number
---@return boolean acquired false: time is up
function Slot:acquire(seconds)
  local all, scheduler = self.semaphore, self.semaphore.scheduler
  local ends_at = scheduler.clock.now() + seconds
  self.task = scheduler:in_task()
  self.position = all.waiting:push(self)
  pass_on(all)
  local held = all.held.members
  if held[self] then return true end
  local is_free = scheduler:active() and not self.task or holds_one(all)
  while not held[self] do
    if is_free or scheduler.clock.now() >= ends_at then
      all.waiting:remove(self.position, self)
      return is_free and hold(all, self) or false
    end
    scheduler:park(nil, ends_at)
  end
  return true
end

--- Releases the slot, or leaves the queue. Twice is fine.
function Slot:release()
  local all = self.semaphore
  all.waiting:remove(self.position, self)
  all.held:put(self, nil)
  self.request = nil
  pass_on(all)
end

Slot.__close = Slot.release

-- A coroutine of the user's own may be dropped in the midst of a call: its request ends, too.
function Slot:__gc()
  if self.request then self.request:cancel() end
  self:release()
end

---@param scheduler table
---@param limit integer
function semaphore.new(scheduler, limit)
  return setmetatable({ scheduler = scheduler, limit = limit, waiting = queue.new(),
    held = counted_set.new "k" }, Semaphore) -- slot -> when it was taken
end

return semaphore
