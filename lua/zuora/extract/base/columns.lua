--- The columns of a file: they come in an order of their own, and bear the object's name before theirs.

local ascii = require "zuora.support.ascii"
local raise = require "zuora.error".raise

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

--- Are they known only when a file is there: a report's, or all that there are?
---@return boolean
function columns.are_open(item)
  local list = columns.of(item)
  return #list == 0 or columns.find(list, item.object, "*") ~= nil
end

--- A list without some fields.
---@param list string[]
---@param object string|nil
---@param fields string[]
---@return string[]
function columns.minus(list, object, fields)
  local out, left = {}, {}
  for _, field in ipairs(fields) do
    out[ascii.lower(field)], out[ascii.lower((object or "") .. "." .. field)] = true, true
  end
  for _, name in ipairs(list) do
    if not out[ascii.lower(name)] then left[#left + 1] = name end
  end
  return left
end

--- Raises where a file has no header, or a column of it has no name: there is no such table.
---@param of string what it is the file of
---@param header string[]
function columns.check(of, header)
  for i = 1, math.max(#header, 1) do
    if not (header[i] or ""):find "%S" then
      raise("incomplete", "%s: %s", of, #header < 2 and "the file has no header"
        or ("column %d of the file has no name"):format(i))
    end
  end
end

return columns
