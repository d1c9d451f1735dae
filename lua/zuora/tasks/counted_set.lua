--- Sets that know their size.
--
-- An error may come at any place (see queue.lua), and so between a change of the members and that of their number:
-- then they are counted anew.

local Set = {}
Set.__index = Set

local function recount(self)
  local size = 0
  for _ in pairs(self.members) do size = size + 1 end
  self.count = size
  self.changing = false
end

--- Takes a member in, with a value, or out: nil.
function Set:put(member, value)
  if self.changing then recount(self) end
  local before = self.members[member]
  self.changing = true
  self.members[member] = value
  if (before == nil) ~= (value == nil) then self.count = self.count + (value == nil and -1 or 1) end
  self.changing = false
end

---@return integer
function Set:size()
  if self.changing then recount(self) end
  return self.count
end

local set = {}

---@param mode string|nil "k": members that nobody else holds may go
function set.new(mode)
  return setmetatable({ members = setmetatable({}, { __mode = mode }), count = 0, changing = false }, Set)
end

return set
