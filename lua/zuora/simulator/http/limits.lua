--- What a caller is told of the tenant's limits: refusals, and headers.

local engine = require "zuora.simulator.engine.limits"
local replies = require "zuora.simulator.http.replies"

local limits = {}

local PER_HOUR, PER_DAY = 2250000, 27000000

-- Seconds after which one may try again when too many are at it.
local PATIENCE = 120

--- Lets a request in until its `over` is called, or refuses it.
---@param request table
---@param tenant table
---@return table|nil refusal
function limits.enter(request, tenant)
  local refused_by = tenant.limits:enter()
  if not refused_by then
    function request.over() tenant.limits:leave() end
    return nil
  end
  local refusal
  if refused_by == "requests" then
    refusal = replies.json(429, { reasons = { { code = 70, message =
      ("API Rate limit exceeded for the minute, retry after %d seconds"):format(tenant.limits:seconds_left()) } } })
  else
    refusal = replies.reasons(429, 50000070, "Too many concurrent requests.")
    refusal.headers["Retry-After"] = PATIENCE
  end
  limits.tell(refusal.headers, tenant)
  return refusal
end

--- Puts into the headers of an answer how much is left, where nothing else is said of it.
---@param headers table
---@param tenant table
function limits.tell(headers, tenant)
  local said = {}
  for name in pairs(headers) do said[name:lower()] = true end
  local most, most_at_once = tenant.requests_per_minute, tenant.concurrent_requests
  local left, left_at_once = tenant.limits:left()
  for name, value in pairs {
    ["RateLimit-Limit"] = ("%d, %d;w=60, %d;w=3600, %d;w=86400"):format(most, most, PER_HOUR, PER_DAY),
    ["RateLimit-Remaining"] = left, ["RateLimit-Reset"] = tenant.limits:seconds_left(),
    ["Concurrency-Limit-Type"] = "Default", ["Concurrency-Limit-Limit"] = most_at_once,
    ["Concurrency-Limit-Remaining"] = left_at_once,
  } do
    if not said[name:lower()] then headers[name] = value end
  end
end

--- The same for the token endpoint.
---@param headers table
---@param tenant table
function limits.tell_of_tokens(headers, tenant)
  headers["X-RateLimit-Limit-minute"] = engine.TOKENS_PER_MINUTE
  headers["X-RateLimit-Remaining-minute"] = tenant.limits:count_token()
end

return limits
