--- JSON for people and programs: the members of an object by name, so that two answers can be compared; numbers as
--- exact as they are; whatever text there is.

local json = {}

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t" }

local function escaped(character) return ESCAPES[character] or ("\\u%04x"):format(character:byte()) end

-- What is no UTF-8 is no JSON.
local function valid(text)
  local pieces, from = {}, 1
  local length, at = utf8.len(text)
  if length then return text end
  while not length do
    pieces[#pieces + 1] = text:sub(from, at - 1) .. "\u{FFFD}"
    from = at + 1
    length, at = utf8.len(text, from)
  end
  return table.concat(pieces) .. text:sub(from)
end

--- A text as JSON.
---@param text string
---@return string
function json.text(text)
  if text:find "[\128-\255]" then text = valid(text) end
  if text:find '[\0-\31\127"\\]' then text = text:gsub('[\0-\31\127"\\]', escaped) end
  return '"' .. text .. '"'
end

-- As few digits as read back the same.
local function number_text(number)
  if math.type(number) == "integer" then return ("%d"):format(number) end
  if number ~= number or number == math.huge or number == -math.huge then return "null" end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(number)
    if tonumber(text) == number then return text end
  end
end

--- A record: an object, also where it is empty.
---@param record table
---@return string
function json.record(record)
  local names, members = {}, {}
  for name in pairs(record) do names[#names + 1] = tostring(name) end
  table.sort(names)
  for i, name in ipairs(names) do
    local member = record[name]
    if member == nil then member = record[tonumber(name)] end
    members[i] = json.text(name) .. ":" .. json.encode(member)
  end
  return "{" .. table.concat(members, ",") .. "}"
end

--- Any value as JSON on one line. What JSON has no word for is null.
---@param value any
---@return string
function json.encode(value)
  local kind = type(value)
  if kind == "string" then return json.text(value) end
  if kind == "number" then return number_text(value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" then return "null" end -- zuora.null
  if next(value) == nil then return "[]" end -- of what is left out, lists are more than objects
  if #value == 0 then return json.record(value) end
  local items = {}
  for i = 1, #value do items[i] = json.encode(value[i]) end
  return "[" .. table.concat(items, ",") .. "]"
end

return json
