--- JSON that is always written the same way: keys in order, a line for each.

local core = require "zuora.core"

local json = {}

local function is_list(value) return #value > 0 or next(value) == nil end

-- A value that is no table. (lua-cjson writes a slash as "\/".)
local function plain(value)
  return (core.encode { value }:sub(2, -2):gsub("\\(.)", function(c) return c == "/" and "/" or nil end))
end

local function write(value, indent, out)
  if type(value) ~= "table" then return out(plain(value)) end
  local inner = indent .. "  "
  local list = is_list(value)
  local keys = {}
  for key in pairs(list and {} or value) do keys[#keys + 1] = key end
  table.sort(keys)
  local count = list and #value or #keys
  if count == 0 then return out "[]" end
  out(list and "[" or "{")
  for i = 1, count do
    out((i > 1 and ",\n" or "\n") .. inner)
    if not list then out(plain(keys[i]) .. ": ") end
    write(value[list and i or keys[i]], inner, out)
  end
  out("\n" .. indent .. (list and "]" or "}"))
end

--- Writes the text of a value, piece by piece.
---@param value table
---@param out fun(piece: string)
function json.write(value, out) write(value, "", out) end

---@param value table
---@return string
function json.encode(value)
  local pieces = {}
  json.write(value, function(piece) pieces[#pieces + 1] = piece end)
  return table.concat(pieces)
end

-- Where a text goes on behind the string that begins there.
local function behind_string(text, at)
  repeat
    at = text:find('["\\]', at + 1)
    local is_escape = at and text:sub(at, at) == "\\"
    if is_escape then at = at + 1 end
  until not is_escape
  return at and at + 1
end

--- Where the members of a list are in the text of an object, so that they need not all be there as values at once. What
--- is no JSON may have some, too.
---@param text string
---@param name string the list's
---@return integer[]|nil bounds each member is between two of them: "[", commas and "]"
function json.members(text, name)
  local depth, at, key, bounds = 0, 1, 1, nil
  while at do
    local place = text:find('["%[%]{},]', at)
    local c = place and text:sub(place, place)
    at = place and place + 1
    if c == '"' then
      at = behind_string(text, place)
      if depth == 1 then key = place end
    elseif c == "[" or c == "{" then
      depth = depth + 1
      if depth == 2 and select(2, text:find('^"' .. name .. '"%s*:%s*%[', key)) == place then bounds = { place } end
    elseif c == "," then
      if bounds and depth == 2 then bounds[#bounds + 1] = place end
    elseif c then
      depth = depth - 1
      if bounds and depth == 1 then return table.move({ place }, 1, 1, #bounds + 1, bounds) end
    end
  end
  return nil
end

--- The value of a text, or nil and what is wrong with it.
json.decode = core.decode

return json
