--- Dates and times as Zuora and its callers write them, as seconds since the epoch. What names no zone is in
--- the tenant's own, and that is UTC.

local times = {}

local DAY = 86400

local SECONDS = { second = 1, minute = 60, hour = 3600, day = DAY, week = 7 * DAY }

-- Days since the epoch. (os.time is of the machine's zone.) Years begin in March here, so that the day of a
-- leap year comes last.
local function days_of(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

-- Seconds east of UTC, of "", "Z", "+10:00" or "-0330"; nil for anything else.
local function zone_of(text)
  if text == "" or text == "Z" or text == "z" then return 0 end
  local sign, hours, minutes = text:match "^([+-])(%d%d):?(%d%d)$"
  if not sign then return nil end
  return (hours * 3600 + minutes * 60) * (sign == "-" and -1 or 1)
end

-- "10:30", "10:30:01" or "10:30:01.5", as seconds of a day, and what follows.
local function clock_of(text)
  local hours, minutes, rest = text:match "^(%d%d):(%d%d)(.*)$"
  if not hours or tonumber(hours) > 23 or tonumber(minutes) > 59 then return nil end
  local seconds, after = rest:match "^:(%d%d%.?%d*)(.*)$"
  return hours * 3600 + minutes * 60 + (tonumber(seconds) or 0), after or rest
end

--- What a text says: a moment, or a whole day.
---@param text string "2026-03-01", "2026-03-01T10:30:01+10:00", "2026-03-01 10:30:01"
---@return number|nil from, number|nil to the first moment after the day; nil for a moment
function times.of(text)
  local year, month, day, rest = text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$"
  if not year then return nil end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if month < 1 or month > 12 or day < 1 or day > 31 then return nil end
  local midnight = days_of(year, month, day) * DAY
  local seconds, after = clock_of(rest:match "^[T ](.*)$" or "")
  local zone = zone_of(after or rest)
  if not zone then return nil end
  local from = midnight + (seconds or 0) - zone
  return from, not seconds and from + DAY or nil
end

-- So many months later; a day that the month has not is its last one.
local function months_later(moment, count)
  local at = os.date("!*t", math.floor(moment))
  local month = at.year * 12 + at.month - 1 + count
  local first, next_first = days_of(month // 12, month % 12 + 1, 1), days_of((month + 1) // 12, (month + 1) % 12 + 1, 1)
  return (math.min(first + at.day, next_first) - 1) * DAY + moment % DAY
end

--- The same of "now", "today", "now - 1 day" or "today + 2 months (-08:00)".
---@param text string
---@param now number
---@return number|nil from, number|nil to
function times.relative(text, now)
  local word, rest = text:lower():match "^%s*(%a+)%s*(.-)%s*$"
  if word ~= "now" and word ~= "today" then return nil end
  local offset, given = rest:match "^(.-)%s*%((.*)%)$"
  local zone = zone_of(given or "")
  local sign, count, unit = (offset or rest):match "^([+-])%s*(%d+)%s*(%a-)s?$"
  if not zone or not sign and (offset or rest) ~= "" then return nil end
  local from = now + zone
  if word == "today" then from = from - from % DAY end
  count = sign and math.tointeger(tonumber(sign .. count)) or 0
  if unit == "month" or unit == "year" then
    from = months_later(from, count * (unit == "year" and 12 or 1))
  elseif sign then
    if not SECONDS[unit] then return nil end
    from = from + count * SECONDS[unit]
  end
  return from - zone, word == "today" and from - zone + DAY or nil
end

--- "2018-04-13T01:52:10+0000", as datetimes stand in result files.
---@param seconds number
---@return string
function times.stamp(seconds) return os.date("!%Y-%m-%dT%H:%M:%S+0000", math.floor(seconds)) --[[@as string]] end

return times
