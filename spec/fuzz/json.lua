--- JSON: what decode puts right, and that what was read can be written, and is read the same again.

local core = require "zuora.core"

local json = {}

local EXACT = 2 ^ 53

-- Nothing that decode should have put right.
local function check_value(value, key)
  if value == core.null then
    assert(math.type(key) == "integer", "null in an object")
  elseif type(value) == "number" then
    local exact = math.abs(value) < EXACT and math.floor(value) == value
    assert((math.type(value) == "integer") == exact, "a number of the wrong kind")
    assert(value == value, "not a number")
  elseif type(value) == "table" then
    for name, inner in pairs(value) do check_value(inner, name) end
  end
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for name, inner in pairs(a) do
    if not same(inner, b[name]) then return false end
  end
  for name in pairs(b) do
    if a[name] == nil then return false end
  end
  return true
end

-- For these core.encode raises, and says so: what a double cannot hold, and what would lose its shape.
local REFUSALS = { "cannot be written as JSON without loss", "excessively sparse array", "nested too deeply",
  "no UTF%-8", "not UTF%-8" }

function json.run(data)
  local value, problem = core.decode(data)
  if value == nil then return assert(type(problem) == "string" and problem ~= "", "no reason") end
  if type(value) == "table" or type(value) == "number" then check_value(value, 1) end
  local ok, written = pcall(core.encode, value)
  if not ok then
    for i = 1, #REFUSALS do
      if written:find(REFUSALS[i]) then return end
    end
    error(written)
  end
  local again, why = core.decode(written)
  if not same(value, again) then error(("%q was written as %q and read as %s %s"):format(data, written, again, why)) end
end

return json
