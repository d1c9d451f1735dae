--- What Zuora says of its limits with each response, slowing down before they are reached, and pausing when they have
--- been. Pure: the clock is given, nobody sleeps here.

local rate = {}

local Rate = {}
Rate.__index = Rate

local MINUTE = 60

-- Seconds. However long a pause a host asks for, it is asked again after that: one mad response is not to end a client.
local LONGEST_PAUSE = 3600

local function number(text) return text and math.tointeger(tonumber(text:match "^%s*(%d+)%s*$")) end

-- "2250000, 50000;w=60, 2250000;w=3600": the limit that is nearest to being reached, then all by the
-- seconds of their windows.
local function read_rate(headers, now)
  local text = headers["ratelimit-limit"]
  local limit, remaining = number(text and text:match "^%s*(%d+)"), number(headers["ratelimit-remaining"])
  if not (limit and remaining) then return nil end
  local budget = { limit = limit, remaining = remaining, reset = number(headers["ratelimit-reset"]), quotas = {},
    at = now }
  for part in text:gmatch "[^,]+" do -- one by one, and from their beginning: work that grows with the length alone
    local quota, seconds = part:match "^%s*(%d+)%s*;%s*w%s*=%s*(%d+)"
    local window = number(seconds)
    if window then
      budget.quotas[window] = number(quota)
      if budget.quotas[window] == limit and window < (budget.window or math.huge) then budget.window = window end
    end
  end
  return budget
end

local function read_pair(limit, remaining, now)
  limit, remaining = number(limit), number(remaining)
  return limit and remaining and { limit = limit, remaining = remaining, at = now } or nil
end

--- Takes note of a response's headers.
---@param headers table<string, string> names in lower case
function Rate:note(headers)
  local now = self.now()
  self.rate = read_rate(headers, now) or self.rate
  local concurrency = read_pair(headers["concurrency-limit-limit"], headers["concurrency-limit-remaining"], now)
  if concurrency then concurrency.type = headers["concurrency-limit-type"] end
  self.concurrency = concurrency or self.concurrency
  self.authentication = read_pair(headers["x-ratelimit-limit-minute"], headers["x-ratelimit-remaining-minute"], now)
    or self.authentication
end

--- Seconds that the next request should wait. When less than the reserve of the minute's budget is left,
-- the requests share what is left of the minute; one call after another.
---@return number
function Rate:pause()
  local budget, now = self.rate, self.now()
  if self.reserve == 0 or not budget or not budget.reset or budget.window ~= MINUTE then return 0 end
  local ends_at = budget.at + math.min(budget.reset, MINUTE)
  if now >= ends_at or budget.remaining > budget.limit * self.reserve then return 0 end
  if budget.remaining == 0 then return ends_at - now end
  if self.next_at > ends_at then self.next_at = now end -- of another minute
  local at = math.max(now, self.next_at)
  self.next_at = math.min(ends_at, at + (ends_at - at) / budget.remaining)
  return at - now
end

--- A host has asked for a pause (Retry-After).
---@param host string
---@param seconds number
function Rate:hold(host, seconds)
  self.holds[host] = math.max(self.holds[host] or 0, self.now() + math.min(seconds, LONGEST_PAUSE))
end

--- Seconds for which nothing is to go to a host.
---@param host string
---@return number
function Rate:held(host)
  return math.max(0, (self.holds[host] or 0) - self.now())
end

local function view(part, now)
  if not part then return nil end
  local copy = {}
  for name, value in pairs(part) do copy[name] = value end
  copy.at, copy.age = nil, now - part.at
  copy.quotas = part.quotas and {}
  for window, quota in pairs(part.quotas or {}) do copy.quotas[window] = quota end
  return copy
end

--- What was seen last; see client:limits.
function Rate:view()
  local now = self.now()
  return { rate = view(self.rate, now), concurrency = view(self.concurrency, now),
    authentication = view(self.authentication, now) }
end

---@param now fun(): number seconds
---@param reserve number the part of the minute's budget below which requests are spread; 0: never
function rate.new(now, reserve)
  return setmetatable({ now = now, reserve = reserve, next_at = 0, holds = {} }, Rate)
end

return rate
