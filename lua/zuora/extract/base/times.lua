--- Moments: seconds since the epoch, as names of files, as queries have them, and as servers tell them.

local core = require "zuora.core"

local times = {}

--- "20261128T100000Z": sorts as time goes, and may stand in a file's name.
---@param seconds integer
---@return string
function times.stamp(seconds) return os.date("!%Y%m%dT%H%M%SZ", seconds) --[[@as string]] end

--- "2026-11-28T10:00:00Z": as a query wants it.
---@param seconds integer
---@return string
function times.iso(seconds) return os.date("!%Y-%m-%dT%H:%M:%SZ", seconds) --[[@as string]] end

--- The seconds of a stamp; nil for "", the beginning of all things.
---@param stamp string
---@return integer|nil
function times.of(stamp)
  local year, month, day, hour, minute, second = stamp:match "^(%d%d%d%d)(%d%d)(%d%d)T(%d%d)(%d%d)(%d%d)Z$"
  if not year then return nil end
  return math.tointeger(core.time(("%s-%s-%sT%s:%s:%sZ"):format(year, month, day, hour, minute, second)))
end

--- "2026-11-28T10:00:00": as it is compared with the cells of a target, which are in UTC.
---@param stamp string
---@return string
function times.plain(stamp) return (os.date("!%Y-%m-%dT%H:%M:%S", times.of(stamp))) --[[@as string]] end

local MONTHS = {}
for i, name in ipairs { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" } do
  MONTHS[name] = i
end

--- The seconds of an answer's Date; nil for what is none.
---@param text string|nil "Sat, 28 Nov 2026 10:00:00 GMT"
---@return integer|nil
function times.of_header(text)
  local day, month, year, clock = (text or ""):match "(%d%d?) (%a%a%a) (%d%d%d%d) (%d%d:%d%d:%d%d)"
  if not MONTHS[month] then return nil end
  return math.tointeger(core.time(("%s-%02d-%02dT%sZ"):format(year, MONTHS[month], day, clock)))
end

--- A clock that goes on from what a server has told: others may have gone on, too, since it was asked.
---@param now number seconds since the epoch
---@return fun(): integer
function times.clock(now)
  local told_at = core.now()
  return function() return math.floor(now + core.now() - told_at) end
end

--- The last point of the grid that is so long past: where the mark goes. Whoever computes it within one step gets
--- the same.
---@param now integer
---@param settle integer seconds
---@param every integer seconds
---@return integer
function times.grid(now, settle, every) return (now - settle) // every * every end

return times
