--- Sets that know their size.
--
-- An error may come anywhere (see queue.lua), and so between a change of the members and that of their number; and
-- a finaliser may make a change of its own in between. Then they are counted anew: each change has a number, which is
-- how one sees at its end that it was not the last.

local Set = {}
Set.__index = Set

local function recount(self)
  local turn, size = self.turn, 0
  for _ in pairs(self.members) do size = size + 1 end
  self.count = size
  self.changing = self.turn ~= turn
end

--- Takes a member in, with a value, or out: nil.
function Set:put(member, value)
  if self.changing then recount(self) end
  local turn, members = self.turn + 1, self.members
  self.turn = turn
  self.changing = true
  local before, count = members[member], self.count
  members[member] = value
  if value == nil then
    if before ~= nil then self.count = count - 1 end
  elseif before == nil then
    self.count = count + 1
  end
  self.changing = self.turn ~= turn
end

---@return integer
function Set:size()
  if self.changing then recount(self) end
  return self.count
end

local set = {}

---@param mode string|nil "k": members that nobody else holds may go
function set.new(mode)
  return setmetatable({ members = setmetatable({}, { __mode = mode }), count = 0, turn = 0, changing = false }, Set)
end

return set
