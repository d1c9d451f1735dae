--- What Zuora says of its limits with each answer, slowing down before they are reached, and pausing when they have
--- been. Pure: the clock is given, nobody sleeps here.

local rate = {}

local Rate = {}
Rate.__index = Rate

local MINUTE = 60

-- Seconds. However long a pause a host asks for, it is asked again after that: one mad response is not to end a client.
local LONGEST_PAUSE = 3600

local function number(text)
  local value = text and math.tointeger(tonumber(text))
  return value and value >= 0 and value or nil
end

-- "2250000, 50000;w=60, 2250000;w=3600": the limit that is nearest to being reached, then all by the
-- seconds of their windows.
local function read_quotas(limit)
  limit.limit, limit.quotas = number(limit.text:match "^%s*(%d+)"), {}
  for part in limit.text:gmatch "[^,]+" do -- one by one, from their beginning: work that grows with the length alone
    local quota, seconds = part:match "^%s*(%d+)%s*;%s*w%s*=%s*(%d+)"
    local window = number(seconds)
    if window then
      limit.quotas[window] = number(quota)
      if limit.quotas[window] == limit.limit and window < (limit.window or math.huge) then limit.window = window end
    end
  end
end

-- Takes note of one limit. Its own text hardly ever changes, and is read only then.
local function note(self, name, text, remaining, now)
  local limit = self[name]
  if not limit or limit.text ~= text then
    limit = { text = text }
    if name == "rate" then read_quotas(limit) else limit.limit = number(text) end
  end
  remaining = number(remaining)
  if not (limit.limit and remaining) then return nil end
  limit.remaining, limit.at = remaining, now
  self[name] = limit
  return limit
end

--- Takes note of what a response's headers say.
---@param request userdata|table request:header(name, …) gives the values of headers, by names in lower case
function Rate:note(request)
  local limit, remaining, reset, most_at_once, left_at_once, type_at_once, of_address, left_of_address = request:header(
    "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "concurrency-limit-limit",
    "concurrency-limit-remaining", "concurrency-limit-type", "x-ratelimit-limit-minute",
    "x-ratelimit-remaining-minute")
  local now = self.now()
  local budget = limit and remaining and note(self, "rate", limit, remaining, now)
  if budget then budget.reset = number(reset) end
  local concurrency = most_at_once and left_at_once and note(self, "concurrency", most_at_once, left_at_once, now)
  if concurrency then concurrency.type = type_at_once end
  if of_address and left_of_address then note(self, "authentication", of_address, left_of_address, now) end
end

--- Seconds that the next request should wait. When less than the reserve of the minute's budget is left,
--- the requests share what is left of the minute, one after another.
---@return number
function Rate:pause()
  local budget = self.rate
  if not budget or budget.window ~= MINUTE or not budget.reset or self.reserve == 0
    or budget.remaining > budget.limit * self.reserve
  then
    return 0
  end
  local now, ends_at = self.now(), budget.at + math.min(budget.reset, MINUTE)
  if now >= ends_at then return 0 end
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
  local ends_at = self.holds[host]
  return ends_at and math.max(0, ends_at - self.now()) or 0
end

local function view(limit, now)
  if not limit then return nil end
  local copy = { quotas = limit.quotas and {}, age = now - limit.at }
  for window, quota in pairs(limit.quotas or {}) do copy.quotas[window] = quota end
  for _, name in ipairs { "limit", "remaining", "reset", "window", "type" } do copy[name] = limit[name] end
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
