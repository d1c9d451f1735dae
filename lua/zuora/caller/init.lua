--- One call seen through: a token, the request, its response; and another attempt, where that is safe.

local admission = require "zuora.caller.admission"
local calls = require "zuora.caller.calls"
local check = require "zuora.support.check"
local core = require "zuora.core"
local download = require "zuora.caller.download"
local error_value = require "zuora.error"
local hosts = require "zuora.caller.hosts"
local retry = require "zuora.caller.retry"
local secrets = require "zuora.caller.secrets"
local trace = require "zuora.caller.trace"
local wait = require "zuora.tasks.wait"

local caller = {}

--- The options that every public call takes in its last table, for check.options. Calls that create
--- something take an idempotency key besides.
caller.options = {
  track_id = "track_id", entity_id = "entity_id", timeout = "seconds", total_timeout = "seconds", retries = "count",
}
--- Those of every call that brings a file, besides.
caller.file_options = check.rules(caller.options, { on_progress = "function" })
caller.keyed_options = check.rules(caller.options, { idempotency_key = "idempotency_key" })

-- What a child made by fork is told that uses its parent's client.
local INHERITED = "this client belongs to the process that made it: a child made by fork must make its own"

local Caller = {}
Caller.__index = Caller

-- A version 4 UUID.
local function uuid()
  local b = { core.random(16):byte(1, 16) }
  b[7] = b[7] & 0x0f | 0x40
  b[9] = b[9] & 0x3f | 0x80
  return (("%02x"):rep(4) .. ("-" .. ("%02x"):rep(2)):rep(3) .. "-" .. ("%02x"):rep(6)):format(table.unpack(b))
end

-- What ended a request on our side of the wire, by the names of request:response(); all else is the network's.
local OWN_KIND = { TOO_LARGE = "too_large", FILE = "file", CODED = "http", DEADLINE = "timeout",
  CANCELLED = "cancelled", CLOSED = "cancelled" }

-- No response came, or none that is whole (then its status may be known).
local function no_response(call, message, name, class, status)
  call.failure, call.class = name, class
  local kind = OWN_KIND[name] or class == "incomplete" and "incomplete" or "transport"
  if kind == "transport" or kind == "timeout" then
    -- libcurl may quote a proxy with its password.
    message = call.host .. ": " .. message:gsub("//.*@", "//***@")
  end
  return error_value.new { kind = kind, message = message, curl = name, status = status,
    retryable = OWN_KIND[name] == nil and retry.is_transient(class) }
end

-- Calls a function of the user's. What it is told may be a server's: an id, a code.
function Caller:call_hook(hook, info)
  if not self.settings[hook] then return end
  for name, value in pairs(info) do
    if type(value) == "string" then info[name] = error_value.clean(value) end
  end
  self.settings[hook](info)
end

function Caller:log(...)
  if self.settings.log then self.settings.log(error_value.clean((...):format(select(2, ...)))) end
end

-- The headers of this call alone, nil for none; false: without the default one. A host that is not Zuora's gets none.
function Caller:headers(operation, options)
  if operation.safe and next(options) == nil then return nil end -- as nearly always
  local is_keyed = not operation.safe and not operation.unkeyed
  if operation.url or not (is_keyed or options.headers or options.track_id or options.entity_id) then return nil end
  local headers = check.rules(options.headers or {})
  headers["Zuora-Track-Id"] = options.track_id or headers["Zuora-Track-Id"]
  if options.entity_id then
    local name, value = self.entity_header(options.entity_id)
    headers[name] = value
    headers.entityName = false
  end
  if is_keyed then headers["Idempotency-Key"] = options.idempotency_key or uuid() end
  return headers
end

-- Credentials are among the default headers of a base: put there again when they have changed.
function Caller:refresh_headers()
  for base in pairs(self.bases) do
    if base ~= "oauth" then
      local headers = self.credentials:headers(base)
      self.endpoints:headers(base, check.rules(self.default_headers[base] or {}, headers))
    end
  end
  self.header_version = self.credentials.version
end

-- One attempt. Returns what the handler makes of the response, or nil, err.
function Caller:try(call, handler, context, more)
  local operation = call.operation
  local slot <close> = self.semaphore:slot()
  local _ <close> = slot -- see the top of tasks/scheduler.lua
  local admitted, err = admission.wait(self, call, slot)
  if not admitted then
    call.refused = true -- it has had its time, and its retries
    return nil, err
  end
  if self.settings.on_request then -- which may take its time: the slot is held, since all else has been waited for
    self:call_hook("on_request", trace.request(self, operation, call))
    self:check_open(operation)
  end
  if call.is_tenants then
    local version = self.credentials.version
    if self.header_version ~= version then self:refresh_headers() end
    call.credentials_version = version
  end
  call.request.deadline = math.max(0, call.ends_at - self.clock.now())
  local send = operation.send or core[operation.group][operation.name]
  local request <close>, message, name, class = send(self.endpoints, call.parameters, call.request)
  if not request then return nil, no_response(call, message, name, class) end
  slot.request = request
  self.scheduler:await(request, call.on_wait, slot.task)
  slot.request = nil
  slot:release() -- before the hooks, which may make calls of their own
  if not operation.url then self.rate:note(request) end
  if handler.shape and not self.is_watched then
    local body = core.success(request)
    local value = body and handler.shape(body, context, more, call.parameters)
    if value ~= nil then return value end
  end
  local response, status
  response, message, name, class, status = request:response()
  if not response then return nil, no_response(call, message, name, class, status) end
  if self.is_watched then self:report(call, response) end
  response.mask = self.mask_text
  return handler:read(response, context, more, call.parameters)
end

-- Tells the hooks of a response.
function Caller:report(call, response)
  local info = { operation = call.name, attempt = call.attempts, status = response.status,
    request_id = self:masked(response.headers["zuora-request-id"]),
    track_id = self:masked(response.headers["zuora-track-id"]),
    seconds = response.seconds, bytes = response.bytes }
  if self.settings.on_response then info.body = trace.body(self, call.operation, response) end
  self:log("%s: HTTP %d, %d bytes, %.3f s", call.name, info.status, info.bytes, info.seconds)
  self:call_hook("on_response", info)
end

-- Where passwords are refused today, say where they are taken.
function Caller:explain(operation, err)
  if err.kind == "auth" and operation.base == "reporting" and self.settings.by_password and not self.settings.legacy
  then
    err.message = err.message
      .. "; for user name and password use the legacy Reporting hosts: zuora.new { legacy = true }"
  end
end

-- After a 401, once: is there another token?
function Caller:may_renew(err, call)
  if err.status ~= 401 or call.renewed or not call.credentials_version then return false end
  call.renewed = true
  return self.credentials:renew(call.credentials_version)
end

-- What the user calls an operation that has no method of its own name.
local METHODS = { ["client.files:get"] = "client.files:download", ["client.queries:result"] = "client.queries:download",
  ["client.client:request"] = "client:request" }

--- Why the client cannot be used any more; nil: it can.
---@return string|nil
function Caller:problem()
  return self.closed and "attempt to use a closed client" or self.scheduler.session:inherited() and INHERITED or nil
end

function Caller:check_open(operation)
  if not self.closed and not self.scheduler.session:inherited() then return end
  local method = ("client.%s:%s"):format(operation.group, operation.name)
  check.misuse(("%s: %s"):format(METHODS[method] or method, self:problem()))
end

--- Raises when Zuora does not document the operation for the hosts of this client.
---@param where string the user's function
---@param operation table
function Caller:check_offered(where, operation)
  local base = operation.base
  if not self.bases[base] then
    check.misuse(("%s needs a REST host: give zuora.new an environment, or base_url"):format(where))
  end
  -- Whoever gives a base URL of their own knows what is there.
  if operation.hosts == "both" or not self.families[base] or self.families[base] == operation.hosts then return end
  check.misuse(("%s: Zuora documents this for the %s hosts only: zuora.new { legacy = %s }"):format(where,
    operation.hosts == "legacy" and "legacy Reporting" or "REST", tostring(operation.hosts == "legacy")))
end

--- What a call that needs several requests gives to each of them: all of its options, and what is left of its
--- deadline, which is over all.
---@param options table the user's
---@param more table|nil options of this request alone
---@return table options
function Caller:shared(options, more)
  local shared = check.rules(options, more or {})
  shared.ends_at = options.ends_at or shared.total_timeout and self.clock.now() + shared.total_timeout
  return shared
end

-- The names of operations, as errors and hooks have them.
local names = setmetatable({}, { __mode = "k" })

local function name_of(operation)
  names[operation] = operation.group .. "." .. operation.name
  return names[operation]
end

-- What is known of a call over all of its attempts, and of the last one.
local function begin(self, operation, parameters, options)
  local settings = self.settings
  local total = options.total_timeout or settings.total_timeout
  local headers = self:headers(operation, options)
  return {
    operation = operation,
    name = names[operation] or name_of(operation),
    host = operation.url and hosts.authority(operation.url) or self.hosts[operation.base],
    is_tenants = not operation.url and operation.group ~= "oauth",
    parameters = parameters,
    headers = headers,
    request = { headers = headers, timeout = options.timeout }, -- what the core is given besides the parameters
    safe = operation.safe,
    unkeyed = operation.unkeyed,
    retries = options.retries or settings.retries,
    attempts = 0, -- requests that were made
    tries = 0,    -- of them, those that count against `retries`: neither before a new token, nor before a pause
    patience = total, -- seconds of pauses in a row
    ends_at = options.ends_at or self.clock.now() + total,
    -- And of the last attempt: failure, class (how it broke off, where there was no whole response); refused (it was
    -- not sent); progressed (it failed, and the call got on all the same); credentials_version.
  }
end

-- What the caller adds to an error before anybody sees it.
function Caller:annotate(err, call)
  err.attempts = call.attempts
  err.operation = call.name
  err.idempotency_key = call.headers and call.headers["Idempotency-Key"]
  if call.operation.url then err.body = nil end -- it may quote a signature
  self:mask(err)
  retry.note_outcome(err, call)
end

-- Seconds until the next attempt, or nil and why there is none.
function Caller:next_delay(err, call)
  local is_pause = retry.is_pause(err) and not call.refused
  if is_pause then self.rate:hold(call.host, err.retry_after) end
  -- The connection may be dead, and nobody has said so.
  if call.class == "timeout" then call.request.fresh = true end
  if self:may_renew(err, call) then return 0 end
  if call.progressed then call.tries = 0 end
  if not is_pause then call.tries = call.tries + 1 end
  if call.refused then return nil, err.not_retried or "final" end
  call.remaining = call.ends_at - self.clock.now()
  local delay, reason = self.policy:delay(err, call)
  if not delay then return nil, reason end
  self:log("%s: %s: %s; again in %.2f s", call.name, err.kind, err.message, delay)
  self:call_hook("on_retry", { operation = call.name, attempt = call.attempts, delay = delay, kind = err.kind,
    status = err.status, code = err.code, request_id = err.request_id, track_id = err.track_id })
  self:check_open(call.operation)
  self.scheduler:sleep(delay)
  return delay
end

--- Calls an operation, and sees it through.
---@param operation table as core.operations has it
---@param parameters table by their wire names
---@param options table the user's per-call options
---@param handler table what to make of it. handler:read(response, context, more, parameters) gives a value, or
--- nil, err. Where they are there, handler.shape(body, context, more, parameters) gives the same of the JSON of a
--- success, or nil: then read is called.
--- handler:prepare(call) comes before each attempt: call.request is what the core is given besides the
--- parameters, call.tries counts what has failed before, call.on_wait is called while the response comes. And
--- handler:recover(call, err) comes after an attempt that failed (call.failure and .class say how, where there
--- was no whole response): it gives a value all the same, or nil and perhaps another error, and may set
--- call.progressed, which is then no failure of the call's
---@param context any for handler:read
---@param more any the same
---@return any|nil value, zuora.Error|nil err
function Caller:perform(operation, parameters, options, handler, context, more)
  self:check_open(operation)
  local call = begin(self, operation, parameters, options)
  repeat
    call.attempts = call.attempts + 1
    if handler.prepare then
      call.request.headers = check.rules(call.headers or {})
      handler:prepare(call)
    end
    local value, err = self:try(call, handler, context, more)
    if err and handler.recover then
      local problem
      value, problem = handler:recover(call, err)
      err = problem or err
    end
    if value ~= nil then
      if not call.safe and type(value) == "table" and value.id then self.recent:add(value.id) end
      self.policy:succeeded(call)
      return value
    end
    self:annotate(err, call)
    local delay, reason = self:next_delay(err, call)
    if not delay then
      self:log("%s: %s: %s; not again: %s", call.name, err.kind, err.message, reason)
      err.not_retried = reason
      self:explain(operation, err)
      return nil, err
    end
    call.failure, call.class, call.refused, call.progressed, call.credentials_version = nil, nil, nil, nil, nil
  until false
end

-- What people see of what came from outside.
Caller.masked = secrets.masked
Caller.mask = secrets.mask
Caller.shown = secrets.shown
Caller.word = secrets.word

-- Calls by what their answers are; `file` is a download.
Caller.json = calls.json
Caller.done = calls.done
Caller.cancel = calls.cancel
Caller.xml = calls.xml
Caller.raw = calls.raw
Caller.reporting = calls.reporting
function Caller:file(...) return self:shown(download.file(self, ...)) end

-- Seconds that a poll gets at least: the one at the deadline, so that it can still be answered; and the
-- only one, when the user wants to poll once.
local LAST_POLL, ONLY_POLL = 2, 30

--- The options of a poll, which is a call of its own, with its own retries.
---@param options table of the wait: wait.options and per-call options
---@param left number seconds of the wait
---@return table options
function Caller:poll_options(options, left)
  local shortest = options.timeout == 0 and ONLY_POLL or LAST_POLL
  return self:shared(options, { timeout = options.request_timeout or self.settings.timeout,
    total_timeout = math.min(options.total_timeout or self.settings.total_timeout, math.max(left, shortest)) })
end

--- Waits for a record to settle.
---@param subject table see wait.settle
---@param options table wait.options and per-call options
---@return table|nil record, zuora.Error|nil err
function Caller:wait(subject, options) return self:shown(wait.settle(subject, options, self.waiting)) end

---@param self table endpoints, bases, families ("rest" or "legacy", of those bases that were not given by
--- themselves), default_headers (by base), scheduler, clock, semaphore, random, policy, rate, settings,
--- entity_header(id); credentials are put in later, since OAuth makes a call by itself
function caller.new(self)
  self.recent = wait.recent(self.clock.now)
  self.words, self.submitted = { count = 0 }, {}
  self.waiting = { now = self.clock.now, random = self.random,
    sleep = function(seconds) return self.scheduler:sleep(seconds) end }
  self.hosts = {}
  for base, url in pairs(self.bases) do self.hosts[base] = hosts.authority(url) end
  self.is_watched, self.closed = self.settings.log or self.settings.on_response or false, false
  function self.mask_text(text) return self:masked(text) end
  -- Here a method is found at once, where by way of a metatable it is looked for twice. (So it is in the scheduler.)
  for name, method in pairs(Caller) do self[name] = method end
  return setmetatable(self, Caller)
end

return caller
