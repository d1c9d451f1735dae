--- How much may be asked of a tenant: requests in a minute, and requests at the same time. A refused request
--- counts, and is not in progress.

local limits = {}

local Limits = {}
Limits.__index = Limits

local MINUTE = 60

--- What the token endpoint says of itself: it has a count of its own, and refuses nobody.
limits.TOKENS_PER_MINUTE = 100

--- Seconds until all counts begin anew: a minute is the clock's, in the tenant's time.
---@return integer
function Limits:seconds_left()
  local now = self.tenant:now()
  local minute = now // MINUTE
  if minute ~= self.minute then self.minute, self.requests, self.tokens = minute, 0, 0 end
  return math.ceil(MINUTE - now % MINUTE)
end

--- Lets a request in: from now on it is in progress, until it leaves. Or says which limit refuses it.
---@return nil|"requests"|"concurrency" refused_by
function Limits:enter()
  self:seconds_left()
  self.requests = self.requests + 1
  if self.requests > self.tenant.requests_per_minute then return "requests" end
  if self.in_progress >= self.tenant.concurrent_requests then return "concurrency" end
  self.in_progress = self.in_progress + 1
  return nil
end

function Limits:leave() self.in_progress = self.in_progress - 1 end

--- How many more requests are let in: in this minute, and at once.
---@return integer requests, integer at_once
function Limits:left()
  self:seconds_left()
  return math.max(0, self.tenant.requests_per_minute - self.requests),
    math.max(0, self.tenant.concurrent_requests - self.in_progress)
end

--- Counts a request for a token, and says how many more there may be in this minute.
---@return integer
function Limits:count_token()
  self:seconds_left()
  self.tokens = self.tokens + 1
  return math.max(0, limits.TOKENS_PER_MINUTE - self.tokens)
end

---@param tenant table `requests_per_minute` and `concurrent_requests` are its settings
function limits.new(tenant)
  return setmetatable({ tenant = tenant, in_progress = 0, requests = 0, tokens = 0 }, Limits)
end

return limits
