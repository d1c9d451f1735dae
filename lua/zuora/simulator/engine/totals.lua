--- The functions of many rows: count, sum, min, max and avg, each as something that is fed with values and
--- then gives its result. Nothing is no value.

local conditions = require "zuora.simulator.engine.conditions"

local totals = {}

-- How many digits stand behind the point.
local function decimals_of(value) return #(tostring(value):match "%.(%d+)$" or "") end

-- Sums are taken of whole numbers, and of so many digits behind the point: a float would lose some.
local DIGITS = 12
local SCALE = 10 ^ DIGITS // 1 | 0

-- A number as two integers of one sign.
local function parts_of(value)
  local sign, whole, fraction = tostring(value):match "^([+-]?)(%d+)%.?(%d*)$"
  if not whole or #whole > 18 or #fraction > DIGITS then
    local number = tonumber(value)
    if not number then return nil end
    sign, whole, fraction = ("%.12f"):format(number):match "^(-?)(%d+)%.(%d+)$"
  end
  local factor = sign == "-" and -1 or 1
  return factor * math.tointeger(whole), factor * math.tointeger(fraction .. ("0"):rep(DIGITS - #fraction))
end

-- What they come to, with so many digits.
local function text_of(whole, parts, decimals)
  whole, parts = whole + parts // SCALE, parts % SCALE
  local sign = whole < 0 and "-" or ""
  if whole < 0 then
    whole = -whole - (parts > 0 and 1 or 0)
    parts = parts > 0 and SCALE - parts or 0
  end
  local fraction = ("%012d"):format(parts):sub(1, decimals)
  return ("%s%d%s"):format(sign, whole, decimals > 0 and "." .. fraction or "")
end

local function sum_of_numbers()
  local whole, parts, count, decimals = 0, 0, 0, 0
  return function(value)
    local more, more_parts = parts_of(value)
    if not more then return end
    whole, parts, count = whole + more, parts + more_parts, count + 1
    decimals = math.max(decimals, math.min(DIGITS, decimals_of(value)))
  end, function() return whole, parts, count, decimals end
end

local MAKERS = {}

function MAKERS.count()
  local count = 0
  return function() count = count + 1 end, function() return count end
end

-- To as many digits as the values have: 0.1 and 0.2 are 0.3.
function MAKERS.sum()
  local add, state = sum_of_numbers()
  return add, function()
    local whole, parts, count, decimals = state()
    if count > 0 then return text_of(whole, parts, decimals) end
  end
end

function MAKERS.avg()
  local add, state = sum_of_numbers()
  return add, function()
    local whole, parts, count, decimals = state()
    if count > 0 then return ("%." .. decimals + 4 .. "f"):format((whole + parts / SCALE) / count) end
  end
end

local function extreme(wanted)
  return function(kind)
    local order, best = conditions.order(kind), nil
    return function(value)
      if best == nil or order(value, best) == wanted then best = value end
    end, function() return best end
  end
end

MAKERS.min, MAKERS.max = extreme(-1), extreme(1)

--- A function at its beginning.
---@param name string
---@param kind string the type of what it is fed with
---@param is_distinct boolean leave out what has been
---@return fun(value: any) add, fun(): any result
function totals.new(name, kind, is_distinct)
  local add, result = MAKERS[name](kind)
  local seen = {}
  return function(value)
    if value == nil or is_distinct and seen[value] then return end
    seen[value] = is_distinct or nil
    add(value)
  end, result
end

return totals
