--- No more requests in flight than Zuora takes from one tenant: a number of slots, first come, first served.
--
-- A call makes a slot in a `<close>` variable, takes it before its request goes out, and gives it back when
-- the answer is there. However the call ends, the slot goes to the next in the queue. Nobody looks at a
-- clock: who waits is woken by who gives back, or at its own deadline.

local limiter = {}

local Limiter = {}
Limiter.__index = Limiter

local Slot = {}
Slot.__index = Slot

--- A slot that is not taken yet.
function Limiter:slot()
  return setmetatable({ limiter = self, holder = self.loop:context() }, Slot)
end

-- --- the queue: a list in both directions, since who gives up leaves from its midst ------------------

local function queue_push(self, slot)
  slot.before, slot.queued = self.last, true
  if self.last then self.last.after = slot else self.first = slot end
  self.last = slot
end

local function queue_remove(self, slot)
  if slot.before then slot.before.after = slot.after else self.first = slot.after end
  if slot.after then slot.after.before = slot.before else self.last = slot.before end
  slot.before, slot.after, slot.queued = nil, nil, nil
end

local function hold(self, slot)
  slot.held = true
  self.taken = self.taken + 1
  local holder = slot.holder
  self.counts[holder] = (self.counts[holder] or 0) + 1
  self.since[holder] = self.since[holder] or self.loop:tick()
  return true
end

-- --- taking and giving -------------------------------------------------------------------------------

--- Waits for the slot, at most `seconds`.
-- Two go over the limit, since to wait would be to wait for ever: a call made in the midst of one that holds
-- a slot (in on_progress, say, or in a task that was started there); and a call in a coroutine of the
-- user's own within a task, where no task that holds a slot can run to give it back.
---@param seconds number
---@return boolean taken false: time is up
function Slot:take(seconds)
  local all = self.limiter
  local loop = all.loop
  local has_room = all.taken < all.limit and not all.first
  if has_room or loop:waits_for_itself(all.since) then return hold(all, self) end
  local ends_at = loop.clock.now() + seconds
  self.task = loop:in_task()
  queue_push(all, self)
  while not self.held do
    if loop:active() and not self.task then
      queue_remove(all, self)
      return hold(all, self)
    end
    if loop.clock.now() >= ends_at then
      queue_remove(all, self)
      return false
    end
    loop:park(nil, ends_at)
  end
  return true
end

--- Gives the slot back, or leaves the queue. Twice is fine.
function Slot:give()
  local all = self.limiter
  if self.queued then queue_remove(all, self) end
  if not self.held then return end
  self.held = nil
  self.request = nil
  local holder = self.holder
  local left = all.counts[holder] - 1
  all.counts[holder] = left > 0 and left or nil
  if left == 0 then all.since[holder] = nil end
  all.taken = all.taken - 1
  local next_one = all.first
  if next_one and all.taken < all.limit then
    queue_remove(all, next_one)
    hold(all, next_one) -- it may not run at once, and nobody is to come before it
    all.loop:wake(next_one.task)
  end
end

Slot.__close = Slot.give

-- A coroutine of the user's own may be dropped in the midst of a call: its request ends, too.
function Slot:__gc()
  if self.request then self.request:cancel() end
  self:give()
end

---@param loop table
---@param limit integer
function limiter.new(loop, limit)
  return setmetatable({ loop = loop, limit = limit, taken = 0, counts = {}, since = {} }, Limiter)
end

return limiter
