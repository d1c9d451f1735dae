--- Polling: asking for a record again and again until its status is final.
--
-- Pure: `poll` asks, `verdict` says what the record means, `clock` tells the time and sleeps. How one
-- poll is retried is none of its business; how long to wait between polls is, and which failures to live with.

local error_value = require "zuora.error"

local wait = {}

-- Seconds: however small `min` is, a loop that asks without a pause is a mistake.
local FLOOR = 0.01

--- The options of `wait`, for check.options.
wait.options = {
  timeout = "limit", min = "delay", max = "delay", factor = "factor", jitter = "boolean",
  on_poll = "function", request_timeout = "seconds",
}

--- Seconds of a wait that is given no limit.
wait.TIMEOUT = 900

local DEFAULTS = { timeout = wait.TIMEOUT, min = 1, max = 20, factor = 1.5, jitter = true }

local function setting(options, name)
  local value = options[name]
  if value == nil then value = DEFAULTS[name] end
  return value
end

-- A delay grows from `min` by `factor` to `max`; jitter draws it from the upper part of that, never
-- below `min`, so that many waits do not poll all at once.
local function next_delay(options, attempt, random)
  local min, max = setting(options, "min"), setting(options, "max")
  local delay = math.min(max, min * setting(options, "factor") ^ (attempt - 1))
  if setting(options, "jitter") and delay > min then delay = min + random() * (delay - min) end
  return math.max(FLOOR, delay)
end

-- To wake up costs more than a poll: a thousand waits that began one after another would do it a thousand times. So a
-- pause of a second or more ends at a point of time that all of about its length have in common, a 32nd later at most.
local function together(now, delay)
  if delay < 1 then return delay end
  local step = 2 ^ (math.floor(math.log(delay, 2)) - 5)
  return math.ceil((now + delay) / step) * step - now
end

-- --- polls that fail ---------------------------------------------------------------------------------

-- What has just been made need not be known everywhere at once: so many seconds, and polls in a row, may pass before it
-- is believed that there is no such thing.
local GRACE, GRACE_POLLS = 60, 10

local Recent = {}
Recent.__index = Recent

---@param id string of what was made just now
function Recent:add(id)
  local now = self.now()
  for old, at in pairs(self.made) do
    if now - at >= GRACE then self.made[old] = nil end
  end
  self.made[id] = now
end

---@param id string|nil
---@return boolean
function Recent:has(id)
  local at = id and self.made[id]
  return at ~= nil and self.now() - at < GRACE
end

--- What a client has made in the last minute, by id.
---@param now fun(): number
function wait.recent(now) return setmetatable({ now = now, made = {} }, Recent) end

-- AQuA's words for it, which may come with HTTP 200.
local NO_SUCH_JOB = { ["90001"] = true, ["90002"] = true }

local function is_missing(err)
  return err.kind ~= "auth" and (err.status == 404 or err.category == "not_found" or NO_SUCH_JOB[err.code] == true)
end

-- Can asking again not help? Credentials or a permission are refused, or a reason is named that is the call's own.
-- (A page for people, or nothing at all, comes from whoever stands between Zuora and us, and so may a 404.)
local function is_final(err, subject, last, misses)
  local status = err.status or 0
  if err.retryable or status < 200 or status >= 300 and status < 400 or status >= 500 then return false end
  if status == 401 or status == 403 then return true end
  local names_reason = err.code ~= nil and err.category ~= "internal" or status >= 400 and err.kind == "api"
  if not is_missing(err) then return names_reason end
  if subject.is_new and subject:is_new() then return misses > GRACE_POLLS end
  return names_reason or not (last and last[subject.status or "status"])
end

-- --- the wait ----------------------------------------------------------------------------------------

local function timed_out(subject, options, last, cause)
  local status = last and last[subject.status or "status"]
  status = status and ", last seen as " .. tostring(status) or ""
  return error_value.new { kind = "timeout", record = last, cause = cause,
    message = ("%s had not settled after %g seconds%s; it may still be running%s"):format(subject.label,
      setting(options, "timeout"), status, cause and " (the last poll failed: " .. cause.message .. ")" or "") }
end

--- Polls until the record's status is final.
---@param subject table label: "report run 2c92…", for messages; subject:poll(seconds left, options) -> record | nil,
--- err; subject:verdict(record) -> nil while pending, "completed", or "failed"|"cancelled" and a message; last: the
--- record so far; status: the name of the field that says where it stands ("status"); subject:is_new(): did this client
--- make it just now? (No closures: there may be thousands that wait.)
---@param options table see wait.options
---@param clock { now: (fun(): number), sleep: fun(seconds: number), random: fun(): number }
---@return table|nil record, zuora.Error|nil err
function wait.settle(subject, options, clock)
  local start = clock.now()
  local timeout = setting(options, "timeout")
  local last = subject.last
  local cause
  local attempt, misses = 0, 0
  while true do
    attempt = attempt + 1
    local record, err = subject:poll(math.max(0, timeout - (clock.now() - start)), options)
    if record then
      last, cause, misses = record, nil, 0
      local verdict, message = subject:verdict(record)
      if options.on_poll and options.on_poll(record, attempt, clock.now() - start) == false
        and not verdict then
        return nil, error_value.new { kind = "stopped", record = record,
          message = ("waiting for %s was stopped by on_poll"):format(subject.label) }
      end
      if verdict == "completed" then return record end
      if verdict then
        return nil, error_value.new { kind = verdict, record = record, code = record.errorCode and
          tostring(record.errorCode), message = ("%s %s"):format(subject.label, message) }
      end
    else
      misses = is_missing(err) and misses + 1 or 0
      if is_final(err, subject, last, misses) then
        err.record = last
        return nil, err
      end
      cause = err -- a network that is down for a minute does not end the job, so it does not end the wait
    end
    local left = timeout - (clock.now() - start)
    if left <= 0 then return nil, timed_out(subject, options, last, cause) end
    clock.sleep(math.min(left, together(clock.now(), next_delay(options, attempt, clock.random))))
  end
end

return wait
