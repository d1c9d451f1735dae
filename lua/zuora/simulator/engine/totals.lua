--- The functions of many rows: count, sum, min, max and avg, each as something that is fed with values and
--- then gives its result. Nothing is no value.

local conditions = require "zuora.simulator.engine.conditions"

local totals = {}

-- How many digits stand behind the point.
local function decimals_of(value) return #(tostring(value):match "%.(%d+)$" or "") end

local function sum_of_numbers()
  local sum, count, decimals = 0, 0, 0
  return function(value)
    local number = tonumber(value)
    if number then sum, count, decimals = sum + number, count + 1, math.max(decimals, decimals_of(value)) end
  end, function() return sum, count, decimals end
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
    local sum, count, decimals = state()
    if count > 0 then return ("%." .. decimals .. "f"):format(sum) end
  end
end

function MAKERS.avg()
  local add, state = sum_of_numbers()
  return add, function()
    local sum, count, decimals = state()
    if count > 0 then return ("%." .. decimals + 4 .. "f"):format(sum / count) end
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
