--- Zuora's two ways to write a time, as one number.

local check = require "zuora.support.check"
local core = require "zuora.core"
local error_value = require "zuora.error"

--- Seconds since the epoch, of a time as a record has it: milliseconds since the epoch (1453166692000), or
--- ISO text ("2018-04-13T02:11:38.464+0000"). Text without a zone is taken for UTC, which AQuA's startTime
--- need not be: Zuora does not say what it is.
---@param value number|string
---@return number|nil seconds an integer unless there is a fraction
---@return zuora.Error|nil err kind `text` for a text that is no time
return function(value)
  local milliseconds = value
  if type(value) == "string" then
    milliseconds = value:match "^%-?%d%d%d%d%d+$" and math.tointeger(tonumber(value))
    if not milliseconds then
      local seconds = core.time(value)
      if seconds then return seconds end
      return nil, error_value.new { kind = "text", message = ("'%s' is no time"):format(error_value.clean(value, 60)) }
    end
  end
  if type(milliseconds) ~= "number" or milliseconds ~= milliseconds or math.abs(milliseconds) == math.huge then
    check.fail("zuora.time", "value", "finite number of milliseconds, or ISO text, expected, got " .. tostring(value))
  end
  return math.tointeger(milliseconds / 1000) or milliseconds / 1000
end
