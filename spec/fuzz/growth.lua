--- Does the time that some work takes grow with its text, or faster?

local growth = {}

local SMALL, LARGE = 2048, 8192
local SLOW = 0.005 -- seconds of the processor: what is below is no proof, of anything

local function cost(work, text)
  local before = os.clock()
  work(text)
  return os.clock() - before
end

local function cheapest(work, text, times)
  local least = math.huge
  for _ = 1, times do least = math.min(least, cost(work, text)) end
  return least
end

--- Raises when four times the text takes far more than four times as long (16 times is quadratic).
---@param work fun(text: string)
---@param prefix string
---@param unit string what is repeated
---@param suffix string
---@param scale number|nil how many times longer than usual the texts are: for what is fast, or slow
function growth.check(work, prefix, unit, suffix, scale)
  if unit == "" then return end
  local function text(size) return prefix .. unit:rep(size * (scale or 1) // #unit + 1) .. suffix end
  local small, large = text(SMALL), text(LARGE)
  if cost(work, large) < SLOW then return end
  local before, after = cheapest(work, small, 5), cheapest(work, large, 3)
  if after > SLOW and after > 8 * before then
    error(("%q, %q many times, %q: %.1f ms for %d bytes, %.1f ms for %d"):format(prefix, unit, suffix, before * 1000,
      #small, after * 1000, #large))
  end
end

--- A prefix, what is repeated, and a suffix, as two bytes in front of them say.
---@param data string
---@return string prefix, string unit, string suffix
function growth.parts(data)
  local first, second = data:byte(1, 2)
  if not second then return "", "", "" end
  local rest = data:sub(3)
  local from = first % (#rest + 1)
  local to = math.min(#rest, from + second % 32 + 1)
  return rest:sub(1, from), rest:sub(from + 1, to), rest:sub(to + 1)
end

return growth
