--- No more requests in flight than Zuora takes from one tenant: a number of slots, first come, first served.
--
-- A call makes a slot in a `<close>` variable, takes it before its request goes out, and gives it back when
-- the answer is there. However the call ends, the slot goes to the next in the queue. Nobody looks at a
-- clock: who waits is woken by who gives back, or at its own deadline.

local line = require "zuora.tasks.line"
local set = require "zuora.tasks.set"

local semaphore = {}

local Semaphore = {}
Semaphore.__index = Semaphore

local Slot = {}
Slot.__index = Slot

--- A slot that is not taken yet.
function Semaphore:slot()
  return setmetatable({ semaphore = self, holder = self.loop:context() }, Slot)
end

local function hold(self, slot)
  if not self.held.members[slot] then self.held:put(slot, self.loop:tick()) end
  return true
end

-- Is this code in the midst of a call that holds a slot?
local function holds_one(self)
  local lineage = self.loop:lineage()
  for slot, tick in pairs(self.held.members) do
    local born = lineage[slot.holder]
    if born and tick < born then return true end
  end
  return false
end

-- Gives free slots to those who wait. (They may not run at once, and nobody is to come before them.)
local function pass_on(self)
  local slot, place = self.waiting:peek()
  while slot and self.held:size() < self.limit do
    self.loop:wake(slot.task)
    hold(self, slot)
    self.waiting:remove(place, slot)
    slot, place = self.waiting:peek()
  end
end

--- Waits for the slot, at most `seconds`.
-- Two go over the limit, since to wait would be to wait for ever: a call made in the midst of one that holds
-- a slot (in on_progress, say, or in a task that was started there); and a call in a coroutine of the
-- user's own within a task, where no task that holds a slot can run to give it back.
---@param seconds number
---@return boolean taken false: time is up
function Slot:take(seconds)
  local all, loop = self.semaphore, self.semaphore.loop
  local ends_at = loop.clock.now() + seconds
  self.task = loop:in_task()
  self.place = all.waiting:next() -- before it is in there: a finaliser may pass slots on at any place
  all.waiting:push(self)
  pass_on(all)
  local held = all.held.members
  if held[self] then return true end
  local is_free = loop:active() and not self.task or holds_one(all)
  while not held[self] do
    if is_free or loop.clock.now() >= ends_at then
      all.waiting:remove(self.place, self)
      return is_free and hold(all, self) or false
    end
    loop:park(nil, ends_at)
  end
  return true
end

--- Gives the slot back, or leaves the queue. Twice is fine.
function Slot:release()
  local all = self.semaphore
  all.waiting:remove(self.place, self)
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

---@param loop table
---@param limit integer
function semaphore.new(loop, limit)
  return setmetatable({ loop = loop, limit = limit, waiting = line.new(),
    held = set.new "k" }, Semaphore) -- slot -> when it was taken
end

return semaphore
