--- Timers: a binary heap, the earliest first, of which any can be taken out again.
--
-- A timer is a table with `at`; the earliest is at index 1. It knows its index in the heap, so that what has been
-- cancelled leaves nothing behind. Of those for the same time, the one that was there first is first.

local Timers = {}
Timers.__index = Timers

local function is_before(one, other)
  return one.at < other.at or one.at == other.at and one.turn < other.turn
end

local function put(heap, i, timer)
  heap[i] = timer
  timer.index = i
end

-- Moves a timer from index `i` up to where it belongs. (Here and below the times are compared at once: heaps
-- are where a thousand waiting tasks spend their time.)
local function rise(heap, i, timer)
  local at = timer.at
  while i > 1 do
    local parent = heap[i // 2]
    if parent.at < at or parent.at == at and parent.turn < timer.turn then break end
    heap[i] = parent
    parent.index = i
    i = i // 2
  end
  put(heap, i, timer)
end

-- The same, down.
local function sink(heap, i, timer)
  local size, at = #heap, timer.at
  while 2 * i <= size do
    local index = 2 * i
    local child, other = heap[index], heap[index + 1]
    if other and (other.at < child.at or other.at == child.at and other.turn < child.turn) then
      child, index = other, index + 1
    end
    if at < child.at or at == child.at and timer.turn < child.turn then break end
    heap[i] = child
    child.index = i
    i = index
  end
  put(heap, i, timer)
end

-- Ctrl-C may raise in the midst of a move (while `moving` is set): then a timer is in no place, and another in two.
-- All are put in order anew before anything else is done.
local function mend(self)
  local all, seen = {}, { [self.leaving or false] = true }
  local function keep(timer)
    if timer and not seen[timer] then
      seen[timer] = true
      all[#all + 1] = timer
    end
  end
  for i = 1, #self do keep(self[i]) end
  keep(self.moving)
  table.sort(all, is_before)
  for i = #self, #all + 1, -1 do self[i] = nil end
  for i, timer in ipairs(all) do put(self, i, timer) end
  if self.leaving then self.leaving.index = nil end
  self.moving = false
end

---@param timer { at: number, turn: integer|nil, index: integer|nil }
function Timers:add(timer)
  if self.moving then mend(self) end
  self.turn = self.turn + 1
  timer.turn = self.turn
  self.leaving = nil
  self.moving = timer
  rise(self, #self + 1, timer)
  self.moving = false
end

--- Takes a timer out. One that is not there (any more) is no matter.
---@param timer { at: number, turn: integer|nil, index: integer|nil }
function Timers:remove(timer)
  if self.moving then mend(self) end
  local i, last = timer.index, self[#self]
  if not i then return end
  self.leaving = timer
  self.moving = last
  self[#self] = nil
  -- The last one moves there, and may belong further up as well as further down.
  if last ~= timer then
    if i > 1 and is_before(last, self[i // 2]) then rise(self, i, last) else sink(self, i, last) end
  end
  timer.index = nil
  self.moving = false
end

local timers = {}

function timers.new() return setmetatable({ turn = 0, moving = false }, Timers) end

return timers
