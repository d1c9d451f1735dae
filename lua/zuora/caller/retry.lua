--- When one call is sent again, and after how long. Pure: no clock of its own, no HTTP.
--
-- A policy belongs to a client. Its bucket of tokens keeps an outage from being multiplied: every
-- retry costs, every success gives back, and an empty bucket means that the first failure is final.

local retry = {}

local BUCKET = 500
local COST, COST_AFTER_TIMEOUT = 5, 10

-- Seconds: the pause before retry i is drawn from 0 to min(CAP, base * 2^(i-1)).
local BASE, BASE_AFTER_LIMIT, CAP = 0.5, 1, 20

-- Failures of the transport, by class, after which another try may be better. What is "local" (a certificate that
-- does not fit, a full disk) will be no better next time.
local TRANSIENT = { unsent = true, broken = true, incomplete = true, timeout = true }

---@param class string as request:response() gives it
---@return boolean
function retry.is_transient(class)
  return TRANSIENT[class] == true
end

--- Does the server ask for a pause? That is no failure: it costs neither a retry nor a token, since nothing goes to
--- that host meanwhile (see caller/admission.lua), and what was in flight when it began is all that is refused.
--- (Retry-After counts whole seconds; 0 names no pause.)
---@param err zuora.Error
---@return boolean
function retry.is_pause(err)
  return (err.status == 429 or err.status == 503) and (err.retry_after or 0) >= 1
end

--- Of a call that creates something: has one of its tries gone out, and nobody knows what became of it? Under
--- one key the answers are the same, so that a refusal settles it.
---@param err zuora.Error gets unknown_outcome
---@param call { safe: boolean, class: string|nil, refused: boolean|nil, unknown: boolean|nil } remembers it
function retry.note_outcome(err, call)
  if call.safe then return end
  local status = err.status
  -- What was refused has not gone out (a status is its token's): what is known of the others stays.
  if not call.refused then
    local is_lost = not status and call.class ~= "unsent"
    -- A success that broke off, or cannot be read, has been done: but who knows what.
    local is_unread = status and status < 300 and err.kind ~= "api"
    -- (408 is whoever has waited too long: for the request, or for Zuora.)
    if is_lost or is_unread or status and (status >= 500 or status == 408) then
      call.unknown = true
    elseif status and status ~= 401 and status ~= 409 and status ~= 429 then
      call.unknown = nil
    end
  end
  err.unknown_outcome = call.unknown
end

--- What has become of a call so far.
---@class zuora.caller.Tries
---@field tries integer
---@field retries integer
---@field safe boolean
---@field unkeyed boolean|nil
---@field remaining number seconds
---@field patience number seconds of pauses in a row
---@field class string|nil of the last attempt
---@field progressed boolean|nil the same
---@field paused number|nil is set here: seconds of pauses so far
---@field cost number|nil is set here: of the last retry

local Policy = {}
Policy.__index = Policy

--- May this call be sent again after this error? Before any counting.
--- A POST that creates something goes out under an idempotency key: without a response that is whole, and after 401,
--- 409 and 429, the same key is safe. A 5xx that was received, be it in part, is Zuora's stored response to
--- that key. What has no key (a PUT) is sent again only when it was never taken.
local function may_repeat(err, call)
  if call.safe then return err.retryable end
  if call.unkeyed then return err.status == 429 or call.class == "unsent" end
  if err.kind == "transport" or err.kind == "incomplete" then return err.retryable and (err.status or 0) < 500 end
  -- What cannot be read may be read when it comes again: under the same key it is the same answer.
  return err.status == 409 or err.status == 429 or err.kind == "json" and err.status == 200
end

--- Seconds to wait before trying again, or nil when the error is final.
---@param err zuora.Error
---@param call zuora.caller.Tries
---@return number|nil delay, string|nil reason why not: "final" (the response would be the same), "not repeatable" (it
--- might be done twice), "attempts", "deadline", "pause" (a longer one is asked for than is waited for), "budget"
function Policy:delay(err, call)
  if not may_repeat(err, call) then return nil, err.retryable and "not repeatable" or "final" end
  local wanted = err.retry_after or 0
  if wanted > self.retry_after_limit then return nil, "pause" end
  if call.progressed then call.paused = 0 end
  if retry.is_pause(err) then
    call.paused = (call.paused or 0) + wanted
    if call.retries == 0 then return nil, "attempts" end
    if wanted >= call.remaining or call.paused > call.patience then return nil, "deadline" end
    return wanted
  end
  if call.tries > call.retries then return nil, "attempts" end
  local base = err.status == 429 and BASE_AFTER_LIMIT or BASE
  local delay = math.max(wanted, self.random() * math.min(CAP, base * 2 ^ (call.tries - 1)))
  if delay >= call.remaining then return nil, "deadline" end
  local cost = call.class == "timeout" and COST_AFTER_TIMEOUT or COST
  if call.progressed then cost = 0 end -- a file that gets on is no outage
  if cost > self.tokens then return nil, "budget" end
  self.tokens = self.tokens - cost
  call.cost = cost
  return delay
end

--- A call has succeeded: what its last retry cost comes back, or 1 for a first try.
---@param call { cost: number|nil }
function Policy:succeeded(call)
  if self.tokens < BUCKET then self.tokens = math.min(BUCKET, self.tokens + (call.cost or 1)) end
end

---@param options { retry_after_limit: number, random: fun(): number } random: from 0 to below 1
function retry.new(options)
  return setmetatable({ tokens = BUCKET, retry_after_limit = options.retry_after_limit, random = options.random },
    Policy)
end

return retry
