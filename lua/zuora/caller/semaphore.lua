--- No more requests in flight than Zuora takes from one tenant: a number of slots, first come, first served.
--
-- An attempt makes a slot in a `<close>` variable, acquires it before its request goes out, and releases it when
-- the response is there. However the attempt ends, the next in the queue gets the slot. Nobody looks at a
-- clock: whoever waits is woken by a release, or at its own deadline.

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
  return setmetatable({ semaphore = self, task = task, holder = task or scheduler:context(), is_used = false },
    (task or is_main) and Slot or Droppable)
end

-- --- who holds the slots -----------------------------------------------------------------------------

-- `places` says who holds them, up to `top`: a slot, or false. (As keys of a table, slots that come and go by the
-- thousand would have it made anew again and again.) `free` lists the places that are free. An error may come in the
-- midst of a change: then that list is made anew.
local function relist(self)
  self.free_count = 0
  for place = 1, self.top do
    if not self.places[place] then
      self.places[place] = false -- it may have been collected: see free_place
      self.free_count = self.free_count + 1
      self.free[self.free_count] = place
    end
  end
  self.changing = false
end

local function has_room(self)
  if self.changing then relist(self) end
  return self.free_count > 0 or self.top < self.limit
end

local function is_held(self, slot)
  return slot.place ~= nil and self.places[slot.place] == slot or self.beyond[slot] ~= nil
end

-- With or without room: two may go over the limit, see acquire.
local function hold(self, slot)
  if is_held(self, slot) then return true end
  slot.since = self.scheduler:tick()
  if not has_room(self) then
    self.beyond[slot] = true
    return true
  end
  self.changing = true
  local left = self.free_count
  if left == 0 then self.top = self.top + 1 end
  slot.place = self.free[left] or self.top
  self.places[slot.place] = slot
  self.free_count = math.max(0, left - 1)
  self.changing = false
  return true
end

-- (Of a slot that was collected, the weak table of places has nothing any more.)
local function free_place(self, slot)
  if self.changing then relist(self) end
  local place = slot.place
  self.beyond[slot] = nil
  if not place or self.places[place] ~= slot and self.places[place] ~= nil then return end
  self.changing = true
  self.places[place] = false
  slot.place = nil
  self.free_count = self.free_count + 1
  self.free[self.free_count] = place
  self.changing = false
end

--- How many hold a slot.
---@return integer
function Semaphore:in_use()
  if self.changing then relist(self) end
  local count = self.top - self.free_count
  for _ in pairs(self.beyond) do count = count + 1 end
  return count
end

-- Is this code in the midst of a call that holds a slot?
local function holds_one(self)
  local lineage = self.scheduler:lineage()
  local function is_outer(slot)
    local born = slot and lineage[slot.holder]
    return born and slot.since < born
  end
  for place = 1, self.top do
    if is_outer(self.places[place]) then return true end
  end
  for slot in pairs(self.beyond) do
    if is_outer(slot) then return true end
  end
  return false
end

-- --- waiting for one ---------------------------------------------------------------------------------

-- Gives free slots to those who wait. (They may not run at once, and nobody may come before them.)
local function pass_on(self)
  local slot, position = self.waiting:peek()
  while slot and has_room(self) do
    self.scheduler:wake(slot.task)
    hold(self, slot)
    self.waiting:remove(position, slot)
    slot, position = self.waiting:peek()
  end
end

--- Waits for the slot.
-- Two go over the limit, since to wait would be to wait for ever: a call made in the midst of one that holds
-- a slot (in on_progress, say, or in a task that was started there); and a call in a coroutine of the
-- user's own within a task, where no task that holds a slot can run to release it.
---@param ends_at number until when
---@return boolean acquired false: time is up
function Slot:acquire(ends_at)
  local all, scheduler = self.semaphore, self.semaphore.scheduler
  self.is_used = true
  if not all.waiting:peek() and has_room(all) then return hold(all, self) end
  self.position = all.waiting:next() -- known before it is in there: an error may come anywhere
  self.position = all.waiting:push(self) -- (the same, unless a finaliser has looked into an empty queue)
  pass_on(all)
  if is_held(all, self) then return true end
  local is_free = scheduler:active() and not self.task or holds_one(all)
  while not is_held(all, self) do
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
  if not self.is_used then return end
  local all = self.semaphore
  self.request = nil
  if self.position then all.waiting:remove(self.position, self) end
  free_place(all, self)
  if all.waiting:peek() then pass_on(all) end
  self.is_used = false
end

Slot.__close, Droppable.__close = Slot.release, Slot.release

---@param scheduler table
---@param limit integer
function semaphore.new(scheduler, limit)
  return setmetatable({ scheduler = scheduler, limit = limit, waiting = queue.new(), top = 0, free = {}, free_count = 0,
    places = setmetatable({}, { __mode = "v" }), beyond = setmetatable({}, { __mode = "k" }) }, Semaphore)
end

return semaphore
