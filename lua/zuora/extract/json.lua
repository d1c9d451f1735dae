--- JSON that is always written the same way: keys in order, a line for each.

local core = require "zuora.core"

local json = {}

local function is_list(value) return #value > 0 or next(value) == nil end

-- A value that is no table. (lua-cjson writes a slash as "\/".)
local function plain(value)
  return (core.encode { value }:sub(2, -2):gsub("\\(.)", function(c) return c == "/" and "/" or nil end))
end

local function write(value, indent, out)
  if type(value) == "function" then value = value() end
  if type(value) ~= "table" then
    out[#out + 1] = plain(value)
    return
  end
  local inner = indent .. "  "
  local list = is_list(value)
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  if #keys == 0 then
    out[#out + 1] = "[]"
    return
  end
  out[#out + 1] = list and "[" or "{"
  for i, key in ipairs(keys) do
    out[#out + 1] = (i > 1 and ",\n" or "\n") .. inner
    if not list then out[#out + 1] = plain(key) .. ": " end
    local piece = list and {} or out -- a long list is not held in small pieces
    write(value[key], inner, piece)
    if list then out[#out + 1] = table.concat(piece) end
  end
  out[#out + 1] = "\n" .. indent .. (list and "]" or "}")
end

--- The text of a value, in pieces. A function in it stands for what it gives: where there are very many of them, they
--- need not be there at once.
---@param value table
---@return string[]
function json.pieces(value)
  local out = {}
  write(value, "", out)
  return out
end

---@param value table
---@return string
function json.encode(value) return table.concat(json.pieces(value)) end

--- The value of a text, or nil and what is wrong with it.
json.decode = core.decode

return json
