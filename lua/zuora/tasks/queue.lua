--- Queues: first in, first out, and any value may be taken out of the middle.
--
-- An error may come anywhere, be it Ctrl-C or a lack of memory: each change is one store, and what could fail
-- comes before what counts. Interrupted, a change was made, or it was not.

local Queue = {}
Queue.__index = Queue

--- Puts a value at the end.
---@return integer position for remove
function Queue:push(value)
  local position = self.last + 1
  self[position] = value
  self.last = position
  return position
end

--- The first value, and its position; nil: the queue is empty.
function Queue:peek()
  while self.first <= self.last do
    local position = self.first
    if self[position] ~= nil then return self[position], position end
    self.first = position + 1
  end
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
