--- The columns of a file: they come in an order of their own, and bear the object's name before theirs.

local ascii = require "zuora.support.ascii"

local columns = {}

--- The place of a field; nil when it is not there.
---@param list string[] the header
---@param object string|nil
---@param field string
---@return integer|nil place, string|nil name as the header has it
function columns.find(list, object, field)
  local own, long = ascii.lower(field), ascii.lower((object or "") .. "." .. field)
  for i, name in ipairs(list) do
    local lower = ascii.lower(name)
    if lower == own or lower == long then return i, name end
  end
  return nil
end

--- What a column is called in a table: its own fields without the object's name.
---@param name string
---@param object string|nil
---@return string
function columns.plain(name, object)
  if object and ascii.lower(name:sub(1, #object + 1)) == ascii.lower(object) .. "." then
    return name:sub(#object + 2)
  end
  return name
end

--- The columns of an item, as far as they are known before it is read.
---@return string[]
function columns.of(item) return item.columns or item.parsed and item.parsed.select or {} end

return columns
