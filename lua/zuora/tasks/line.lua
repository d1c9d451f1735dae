--- Lines: first come, first served, and who is in the midst may leave.
--
-- An error may come at any place, be it Ctrl-C or a lack of memory: each change is one store, and what could fail
-- comes before what counts. Interrupted, a change was made, or it was not. So may a finaliser, which looks, and takes
-- out.

local Line = {}
Line.__index = Line

--- The place that the next value will have.
---@return integer
function Line:next() return self.last + 1 end

--- Puts a value at the end.
---@return integer place for remove
function Line:push(value)
  local place = self:next()
  self[place] = value
  self.last = place
  return place
end

--- The first value, and its place; nil: nobody is left.
function Line:peek()
  local place = self.first
  while self[place] == nil and place <= self.last do place = place + 1 end
  self.first = place -- whoever else has looked meanwhile: before it there is nobody
  local value = self[place]
  return value, value ~= nil and place or nil
end

--- Takes a value out. One that is not there (any more) is no matter.
---@param place integer|nil
function Line:remove(place, value)
  if place and self[place] == value then self[place] = nil end
end

local line = {}

function line.new() return setmetatable({ first = 1, last = 0 }, Line) end

return line
