--- Timers: a binary heap, the earliest first, of which any can be taken out again.
--
-- A timer is a table with `at`. It knows its place in the heap, so that what has been cancelled leaves
-- nothing behind. Of those for the same time, the one that was there first is first.

local Timers = {}
Timers.__index = Timers

local function is_before(one, other)
  return one.at < other.at or one.at == other.at and one.turn < other.turn
end

local function put(heap, i, timer)
  heap[i] = timer
  timer.place = i
end

-- Moves a timer from place `i` up to where it belongs.
local function rise(heap, i, timer)
  while i > 1 do
    local parent = i // 2
    if is_before(heap[parent], timer) then break end
    put(heap, i, heap[parent])
    i = parent
  end
  put(heap, i, timer)
end

-- The same, down.
local function sink(heap, i, timer)
  local size = #heap
  while 2 * i <= size do
    local child = 2 * i
    if child < size and is_before(heap[child + 1], heap[child]) then child = child + 1 end
    if is_before(timer, heap[child]) then break end
    put(heap, i, heap[child])
    i = child
  end
  put(heap, i, timer)
end

---@param timer { at: number }
function Timers:add(timer)
  self.turn = self.turn + 1
  timer.turn = self.turn
  rise(self, #self + 1, timer)
end

--- Takes a timer out. One that is not there (any more) is no matter.
---@param timer { at: number }
function Timers:remove(timer)
  local i, last = timer.place, self[#self]
  if not i then return end
  timer.place = nil
  self[#self] = nil
  if last == timer then return end
  -- The last one takes its place, and may belong further up as well as further down.
  if i > 1 and is_before(last, self[i // 2]) then rise(self, i, last) else sink(self, i, last) end
end

--- Takes out the earliest timer, if it is due.
---@param now number
---@return table|nil timer
function Timers:due(now)
  local timer = self[1]
  if not timer or timer.at > now then return nil end
  self:remove(timer)
  return timer
end

local timers = {}

function timers.new() return setmetatable({ turn = 0 }, Timers) end

return timers
