--- Queues: first in, first out, and any value may be taken out of the middle.
--
-- An error may come anywhere, be it Ctrl-C or a lack of memory: each change is one store, and what could fail
-- comes before what counts. Interrupted, a change was made, or it was not. So may a finaliser, which looks, and takes
-- out.

-- An empty queue begins anew after so many values: its table need not move on for ever.
local REUSED = 64

local Queue = {}
Queue.__index = Queue

--- The position that the next value will have.
---@return integer
function Queue:next() return self.last + 1 end

--- Puts a value at the end.
---@return integer position for remove
function Queue:push(value)
  local position = self:next()
  self[position] = value
  self.last = position
  return position
end

--- The first value, and its position; nil: the queue is empty.
function Queue:peek()
  local position = self.first
  if position > self.last and self.last <= REUSED then return nil end
  while self[position] == nil and position <= self.last do position = position + 1 end
  self.first = position -- whoever else has looked meanwhile: before it there is nobody
  local value = self[position]
  if value ~= nil then return value, position end
  if self.last > REUSED and position > self.last then self.first, self.last = 1, 0 end
  return nil
end

--- Takes a value out. One that is not there (any more) does no harm.
---@param position integer|nil
function Queue:remove(position, value)
  if position and self[position] == value then self[position] = nil end
end

local queue = {}

function queue.new() return setmetatable({ first = 1, last = 0 }, Queue) end

return queue
