--- Lists of very many things that need not be there at once.

local lazy = {}

--- A list whose members are made whenever they are looked at; `#` and ipairs see nothing else of it.
---@generic T
---@param count integer
---@param make fun(place: integer): T
---@return T[]
function lazy.list(count, make)
  return setmetatable({}, {
    __len = function() return count end,
    __index = function(_, place)
      if math.type(place) == "integer" and place >= 1 and place <= count then return make(place) end
      return nil
    end,
    __pairs = ipairs,
  })
end

return lazy
