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
  if type(value) ~= "table" then return out(plain(value)) end
  local inner = indent .. "  "
  local list = is_list(value)
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  if #keys == 0 then return out "[]" end
  out(list and "[" or "{")
  for i, key in ipairs(keys) do
    out((i > 1 and ",\n" or "\n") .. inner)
    if not list then out(plain(key) .. ": ") end
    write(value[key], inner, out)
  end
  out("\n" .. indent .. (list and "]" or "}"))
end

--- Writes the text of a value, piece by piece. A function in it stands for what it gives: where there are very many of
--- them, they need not be there at once.
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

--- The value of a text, or nil and what is wrong with it.
json.decode = core.decode

return json
