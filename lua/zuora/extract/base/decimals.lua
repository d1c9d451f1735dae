--- Decimals as texts, each number written in one way alone, so that equal ones are equal texts. Never floats.

local decimals = {}

--- Digits behind the point where a sum is taken in two parts, and how many of its parts are a whole.
decimals.DIGITS = 12
decimals.SCALE = 10 ^ decimals.DIGITS // 1 | 0
local SCALE = decimals.SCALE

--- The same number without what says nothing: "+007.50" is "7.5", "-0.0" is "0".
---@param text string
---@return string|nil plain nil: that is no decimal
function decimals.plain(text)
  local sign, whole, fraction = text:match "^([+-]?)0*(%d*)%.?(%d-)0*$"
  if not sign or not text:find "%d" then return nil end
  if whole == "" and fraction == "" then return "0" end
  return (sign == "-" and "-" or "") .. (whole == "" and "0" or whole) .. (fraction == "" and "" or "." .. fraction)
end

--- The sum of a whole number and of parts of 10^12.
---@param whole integer
---@param parts integer
---@return string plain
function decimals.of_parts(whole, parts)
  whole, parts = whole + parts // SCALE, parts % SCALE
  local sign = ""
  if whole < 0 and parts > 0 then
    whole, parts, sign = whole + 1, SCALE - parts, whole == -1 and "-" or ""
  end
  return decimals.plain(("%s%d.%012d"):format(sign, whole, parts)) --[[@as string]]
end

return decimals
