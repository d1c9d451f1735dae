--- Lines: first come, first served, and who is in the midst may leave.
--
-- An error may come at any place, be it Ctrl-C or a lack of memory: each change is one store, and what could fail
-- comes before what counts. Interrupted, a change was made, or it was not.

local Line = {}
Line.__index = Line

--- Puts a value at the end.
---@return integer place for remove
function Line:push(value)
  local place = self.last + 1
  self[place] = value
  self.last = place
  return place
end

--- The first value, and its place; nil: nobody is left.
function Line:peek()
  while self.first <= self.last do
    local place = self.first
    if self[place] ~= nil then return self[place], place end
    self.first = place + 1
  end
  return nil
end

--- Takes a value out. One that is not there (any more) is no matter.
---@param place integer|nil
function Line:remove(place, value)
  if place and self[place] == value then self[place] = nil end
end

local line = {}

function line.new() return setmetatable({ first = 1, last = 0 }, Line) end

return line
