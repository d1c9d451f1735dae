--- What a request waits for before it goes out: a pause that its host has asked for, the minute's budget of requests, a
-- token, a slot. All of it counts against the call's own time.

local error_value = require "zuora.error"

local admission = {}

--- Is it a call to the tenant itself, with its credentials and within its limits? A token is fetched without,
-- and a link to somebody else's store bears its own.
function admission.is_tenants(operation)
  return operation.group ~= "oauth" and not operation.url
end

local function left(self, call) return call.ends_at - self.clock.now() end

local function sleep(self, operation, call, seconds, why)
  self:log("%s: %s; sent in %.2f s", call.name, why, seconds)
  self.scheduler:sleep(seconds)
  self:check_open(operation)
end

-- A call whose time would be over before the pause fails at once.
local function wait_for_host(self, operation, call)
  local host = self:host(operation)
  local pause = self.rate:held(host)
  while pause > 0 do
    if pause >= left(self, call) or pause > self.settings.retry_after_limit then
      return nil, error_value.new { kind = "timeout", curl = "QUEUED", retryable = true, retry_after = math.ceil(pause),
        not_retried = pause >= left(self, call) and "deadline" or "pause",
        message = ("%s has asked for a pause, of which %.1f s are left"):format(host, pause) }
    end
    sleep(self, operation, call, pause, host .. " has asked for a pause")
    pause = self.rate:held(host)
  end
  return true
end

-- Waits while little of the minute's budget is left; a call whose time would be over by then goes out at once.
local function wait_for_budget(self, operation, call)
  local pause = self.rate:pause()
  if pause > 0 and pause < left(self, call) then
    sleep(self, operation, call, pause, "little is left of this minute's requests")
  end
end

-- The slot comes after the token: a call that waits for the token holds no slot that the token's call, or another one,
-- could need.
local function wait_for_tenant(self, operation, call, slot)
  wait_for_budget(self, operation, call)
  local ready, err = self.credentials:prepare(left(self, call), call.retries)
  if not ready then return nil, err end
  if not slot:acquire(left(self, call)) then
    return nil, error_value.new { kind = "timeout", curl = "QUEUED", not_retried = "deadline",
      message = ("the deadline passed while %d other requests were in flight (concurrency_limit)"):format(
        self.settings.concurrency_limit) }
  end
  self:check_open(operation)
  return true
end

--- Waits until a request may go out. While it waits for one thing, its host may ask for a (longer) pause: then it
-- starts over, so that of a thousand calls no more are refused than were in flight.
---@param self table the caller
---@param operation table
---@param call table name, ends_at, retries
---@param slot table|nil acquired in the end; nil: it is no call to the tenant
---@return true|nil admitted, zuora.Error|nil err
function admission.wait(self, operation, call, slot)
  local host = self:host(operation)
  repeat
    if slot then slot:release() end
    local admitted, err = wait_for_host(self, operation, call)
    if admitted and slot then admitted, err = wait_for_tenant(self, operation, call, slot) end
    if not admitted then return nil, err end
  until self.rate:held(host) == 0
  return true
end

return admission
