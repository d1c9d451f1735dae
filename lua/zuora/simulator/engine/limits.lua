--- How much may be asked of a tenant: requests in a minute, and requests at the same time. A refusal counts
--- as a request, and is not in progress.

local replies = require "zuora.simulator.http.replies"

local limits = {}

local Limits = {}
Limits.__index = Limits

local MINUTE = 60
local PER_HOUR, PER_DAY = 2250000, 27000000
local TOKENS_PER_MINUTE = 100

-- Seconds after which one may try again when too many are at it.
local PATIENCE = 120

-- A minute is the clock's, in tenant time: with a new one all counts begin anew.
local function turn(self)
  local now = self.tenant:now()
  local minute = now // MINUTE
  if minute ~= self.minute then self.minute, self.requests, self.tokens = minute, 0, 0 end
  return math.ceil(MINUTE - now % MINUTE)
end

--- Lets a request in: from now on it is in progress, until its `over` is called.
---@param request table
---@return table|nil refusal
function Limits:enter(request)
  local seconds_left = turn(self)
  self.requests = self.requests + 1
  local refusal
  if self.requests > self.tenant.requests_per_minute then
    refusal = replies.json(429, { reasons = { { code = 70,
      message = ("API Rate limit exceeded for the minute, retry after %d seconds"):format(seconds_left) } } })
  elseif self.in_progress >= self.tenant.concurrent_requests then
    refusal = replies.reasons(429, 50000070, "Too many concurrent requests.")
    refusal.headers["Retry-After"] = PATIENCE
  end
  if refusal then
    self:tell(refusal.headers)
    return refusal
  end
  self.in_progress = self.in_progress + 1
  function request.over() self.in_progress = self.in_progress - 1 end
  return nil
end

--- Puts into the headers of an answer how much is left, where nothing else is said of it.
---@param headers table
function Limits:tell(headers)
  local seconds_left, said = turn(self), {}
  for name in pairs(headers) do said[name:lower()] = true end
  local most, most_at_once = self.tenant.requests_per_minute, self.tenant.concurrent_requests
  for name, value in pairs {
    ["RateLimit-Limit"] = ("%d, %d;w=60, %d;w=3600, %d;w=86400"):format(most, most, PER_HOUR, PER_DAY),
    ["RateLimit-Remaining"] = math.max(0, most - self.requests), ["RateLimit-Reset"] = seconds_left,
    ["Concurrency-Limit-Type"] = "Default", ["Concurrency-Limit-Limit"] = most_at_once,
    ["Concurrency-Limit-Remaining"] = math.max(0, most_at_once - self.in_progress),
  } do
    if not said[name:lower()] then headers[name] = value end
  end
end

--- The same for the token endpoint, which has a count of its own.
---@param headers table
function Limits:tell_of_tokens(headers)
  turn(self)
  self.tokens = self.tokens + 1
  headers["X-RateLimit-Limit-minute"] = TOKENS_PER_MINUTE
  headers["X-RateLimit-Remaining-minute"] = math.max(0, TOKENS_PER_MINUTE - self.tokens)
end

---@param tenant table `requests_per_minute` and `concurrent_requests` are its settings
function limits.new(tenant)
  return setmetatable({ tenant = tenant, in_progress = 0, requests = 0, tokens = 0 }, Limits)
end

return limits
