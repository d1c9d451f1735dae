--- What a request waits for before it goes out: a pause that its host has asked for, the minute's budget of requests, a
-- token, a slot. All of it counts against the call's own time.

local error_value = require "zuora.error"

local admission = {}

local function sleep(self, call, seconds, why)
  self:log("%s: %s; sent in %.2f s", call.name, why, seconds)
  self.scheduler:sleep(seconds)
  self:check_open(call.operation)
end

-- A call whose time would be over before the pause fails at once.
local function wait_for_host(self, call)
  local host, pause = call.host, self.rate:held(call.host)
  while pause > 0 do
    local left = call.ends_at - self.clock.now()
    if pause >= left or pause > self.settings.retry_after_limit then
      return nil, error_value.new { kind = "timeout", curl = "QUEUED", retryable = true, retry_after = math.ceil(pause),
        not_retried = pause >= left and "deadline" or "pause",
        message = ("%s has asked for a pause, of which %.1f s are left"):format(host, pause) }
    end
    sleep(self, call, pause, host .. " has asked for a pause")
    pause = self.rate:held(host)
  end
  return true
end

-- Waits while little of the minute's budget is left; a call whose time would be over by then goes out at once. The slot
-- comes after the token: a call that waits for the token holds no slot that another one, or the token's, could need.
local function wait_for_tenant(self, call, slot)
  local pause = self.rate:pause()
  if pause > 0 and pause < call.ends_at - self.clock.now() then
    sleep(self, call, pause, "little is left of this minute's requests")
  end
  local ready, err = self.credentials:prepare(call.ends_at, call.retries)
  if not ready then return nil, err end
  if not slot:acquire(call.ends_at) then
    return nil, error_value.new { kind = "timeout", curl = "QUEUED", not_retried = "deadline",
      message = ("the deadline passed while %d other requests were in flight (concurrency_limit)"):format(
        self.settings.concurrency_limit) }
  end
  self:check_open(call.operation)
  return true
end

--- Waits until a request may go out. While it waits for one thing, its host may ask for a (longer) pause: then it
--- starts over, so that of a thousand calls no more are refused than were in flight.
---@param self table the caller
---@param call table operation, name, host, ends_at, retries, is_tenants: is it to the tenant itself, with its
--- credentials and within its limits?
---@param slot table acquired in the end, if it is
---@return true|nil admitted, zuora.Error|nil err
function admission.wait(self, call, slot)
  while true do
    local admitted, err = true, nil
    if self.rate.holds[call.host] then admitted, err = wait_for_host(self, call) end
    if admitted and call.is_tenants then admitted, err = wait_for_tenant(self, call, slot) end
    if not admitted then return nil, err end
    if not self.rate.holds[call.host] or self.rate:held(call.host) == 0 then return true end
    slot:release()
  end
end

return admission
