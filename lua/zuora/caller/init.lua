--- One call seen through: a token, the request, its answer; and again, where again is safe.

local admission = require "zuora.caller.admission"
local answer = require "zuora.caller.responses"
local check = require "zuora.support.check"
local core = require "zuora.core"
local error_value = require "zuora.error"
local hosts = require "zuora.caller.hosts"
local mask = require "zuora.caller.mask"
local retry = require "zuora.caller.retry"
local transfer = require "zuora.caller.download"
local wait = require "zuora.tasks.wait"

local call = {}

--- The options that every public call takes in its last table, for check.options. Calls that create
-- something take an idempotency key besides.
call.options = {
  track_id = "track_id", entity_id = "entity_id", timeout = "seconds", total_timeout = "seconds", retries = "count",
}
--- Those of every call that brings a file, besides.
call.file_options = check.rules(call.options, { on_progress = "function" })
call.keyed_options = check.rules(call.options, { idempotency_key = "idempotency_key" })

--- What a child made by fork is told that uses its parent's client.
call.INHERITED = "this client belongs to the process that made it: a child made by fork must make its own"

local Caller = {}
Caller.__index = Caller

-- A version 4 UUID.
local function uuid()
  local b = { core.random(16):byte(1, 16) }
  b[7] = b[7] & 0x0f | 0x40
  b[9] = b[9] & 0x3f | 0x80
  return (("%02x"):rep(4) .. ("-" .. ("%02x"):rep(2)):rep(3) .. "-" .. ("%02x"):rep(6)):format(table.unpack(b))
end

-- Failures that are not the network's, by the names of request:response().
local OWN_KIND = { TOO_LARGE = "too_large", FILE = "file", CODED = "http", LENGTHS = "incomplete",
  UNFRAMED = "incomplete", RANGE = "incomplete", SHORT = "incomplete", PART = "incomplete", CODING = "incomplete",
  DEADLINE = "timeout", CANCELLED = "cancelled", CLOSED = "cancelled" }

-- No answer came, or none that is whole (then its status may be known).
local function no_answer(self, operation, message, name, status)
  local kind = OWN_KIND[name] or "transport"
  -- A file that had begun to come is not all there.
  local begun = operation.result == "file" and (status == 200 or status == 206)
  if kind == "transport" and begun then kind = "incomplete" end
  local from_network = kind == "timeout" or OWN_KIND[name] == nil
  if from_network then
    -- libcurl may quote a proxy with its password.
    message = self:host(operation) .. ": " .. message:gsub("//[^/@%s]*@", "//***@")
  end
  return error_value.new { kind = kind, message = message, curl = name, status = status,
    timed_out = name == "OPERATION_TIMEDOUT" or nil, retryable = retry.is_transient(name) }
end

--- The host and port that an operation goes to.
---@return string
function Caller:host(operation) return hosts.authority(operation.url or self.bases[operation.base]) end

-- What is in it may be a server's: an id, a code.
function Caller:tell(hook, info)
  if not self.settings[hook] then return end
  for name, value in pairs(info) do
    if type(value) == "string" then info[name] = error_value.clean(value) end
  end
  self.settings[hook](info)
end

function Caller:log(...)
  if self.settings.log then self.settings.log(error_value.clean((...):format(select(2, ...)))) end
end

-- The headers of this call alone; false: without the standing one. A host that is not Zuora's gets none.
function Caller:headers(operation, options)
  local headers = {}
  if operation.url then return headers end
  for name, value in pairs(options.headers or {}) do headers[name] = value end
  headers["Zuora-Track-Id"] = options.track_id or headers["Zuora-Track-Id"]
  if options.entity_id then
    local name, value = self.entity_header(options.entity_id)
    headers[name] = value
    headers.entityName = false
  end
  if not operation.safe and not operation.unkeyed then
    headers["Idempotency-Key"] = options.idempotency_key or uuid()
  end
  return headers
end

-- Credentials are part of a connection's standing headers: put there again when they have changed.
function Caller:refresh_headers()
  if self.header_version == self.credentials.version then return end
  for base in pairs(self.bases) do
    if base ~= "oauth" then
      local headers = self.credentials.header(base)
      self.connection:headers(base, check.rules(self.standing[base] or {}, headers))
    end
  end
  self.header_version = self.credentials.version
end

-- A call in a coroutine of the user's own may be dropped in its midst. (The session holds what is in flight, so
-- that the request alone would go on.)
local DROPPED = { __gc = function(guard)
  if guard.request then guard.request:cancel() end
end }

-- One try. Returns what `read` makes of the answer, or nil, err.
function Caller:try(operation, exchange, read)
  local slot <close> = admission.is_tenants(operation) and self.limiter:slot() or nil
  local _ <close> = slot -- see the top of loop.lua
  local admitted, err = admission.wait(self, operation, exchange, slot)
  if not admitted then
    err.final = true -- it has had its time, and its retries
    return nil, err
  end
  if slot then
    self:refresh_headers()
    exchange.credentials_version = self.credentials.version
  end
  exchange.request.deadline = math.max(0, exchange.ends_at - self.clock.now())
  local send = operation.send or core[operation.group][operation.name]
  local request <close>, message, name = send(self.connection, exchange.parameters, exchange.request)
  if not request then return nil, no_answer(self, operation, message, name) end
  local guard = slot or setmetatable({}, DROPPED)
  guard.request = request
  self.loop:await(request, exchange.on_wait)
  guard.request = nil
  if slot then slot:give() end -- before the hooks, which may make calls of their own
  local response, _, status
  response, message, name, _, status = request:response()
  if not response then return nil, no_answer(self, operation, message, name, status) end
  if not operation.url then self.limits:note(response.headers) end
  local info = { operation = exchange.name, attempt = exchange.attempts, status = response.status,
    request_id = self:masked(response.headers["zuora-request-id"]),
    track_id = self:masked(response.headers["zuora-track-id"]),
    seconds = response.seconds, bytes = response.bytes }
  self:log("%s: HTTP %d, %d bytes, %.3f s", exchange.name, info.status, info.bytes, info.seconds)
  self:tell("on_response", info)
  response.mask = function(text) return self:masked(text) end
  return read(response)
end

-- Where passwords are refused today, say where they are taken.
function Caller:explain(operation, err)
  if err.kind == "auth" and operation.base == "reporting" and self.settings.by_password and not self.settings.legacy
  then
    err.message = err.message
      .. "; for user name and password use the older Reporting hosts: zuora.new { legacy = true }"
  end
end

-- What an error has from outside. (Its kind and the like are our own words, whatever a password is.)
local FROM_OUTSIDE = { "message", "body", "code", "process_id", "request_id", "track_id" }

-- Should a server have sent a secret back, it goes no further; nor does a link that bears its own signature.
function Caller:masked(text)
  return text and mask.links(self.credentials.mask(text))
end

function Caller:mask(err)
  for _, name in ipairs(FROM_OUTSIDE) do err[name] = self:masked(err[name]) end
  for _, reason in ipairs(err.reasons or {}) do
    for _, name in ipairs(FROM_OUTSIDE) do reason[name] = self:masked(reason[name]) end
  end
end

-- After a 401, once: is there another token?
function Caller:may_renew(err, exchange)
  if err.status ~= 401 or exchange.renewed or not exchange.credentials_version then return false end
  exchange.renewed = true
  return self.credentials.renew(exchange.credentials_version)
end

-- What the user calls an operation that has no method of its own name.
local METHODS = { ["client.files:get"] = "client.files:download", ["client.queries:result"] = "client.queries:download",
  ["client.client:request"] = "client:request" }

function Caller:check_open(operation)
  local problem = self.closed and "attempt to use a closed client"
    or self.loop.session:inherited() and call.INHERITED
  if not problem then return end
  local method = ("client.%s:%s"):format(operation.group, operation.name)
  check.misuse(("%s: %s"):format(METHODS[method] or method, problem))
end

--- Raises when Zuora does not document the operation for the hosts of this client.
---@param where string the user's function
---@param operation table
---@param depth integer|nil how many functions are between the public one and the caller (0)
function Caller:check_offered(where, operation, depth)
  local base, level = operation.base, 3 + (depth or 0)
  if not self.bases[base] then
    error(("%s needs a REST host: give zuora.new an environment, or base_url"):format(where), level)
  end
  -- Whoever gives a base URL of their own knows what is there.
  if operation.hosts == "both" or not self.families[base] or self.families[base] == operation.hosts then return end
  error(("%s: Zuora documents this for the %s hosts only: zuora.new { legacy = %s }"):format(where,
    operation.hosts == "legacy" and "older Reporting" or "REST", tostring(operation.hosts == "legacy")), level)
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

--- Calls an operation, and sees it through.
---@param operation table as core.operations has it
---@param parameters table by their wire names
---@param options table the user's per-call options
---@param read fun(response: table): any|nil, zuora.Error|nil
---@param sink userdata|nil where the body of a file goes
---@return any|nil value, zuora.Error|nil err
function Caller:perform(operation, parameters, options, read, sink)
  local settings = self.settings
  self:check_open(operation)
  local exchange = {
    name = operation.group .. "." .. operation.name,
    parameters = parameters,
    request = { headers = self:headers(operation, options), sink = sink, timeout = options.timeout },
    safe = operation.safe,
    unkeyed = operation.unkeyed,
    sink = sink,
    on_wait = sink and options.on_progress and function() transfer.tell_progress(sink, options.on_progress) end,
    plain = options.resume, -- not packed: what is to be gone on with later, or has come to nothing before
    retries = options.retries or settings.retries,
    attempts = 0, -- requests that were made
    tries = 0,    -- of them, those that count against `retries`: neither before a new token, nor before a pause
    patience = options.total_timeout or settings.total_timeout, -- seconds of pauses in a row
  }
  -- A big file may take hours: a download ends by its own limits, unless it was given one.
  exchange.ends_at = options.ends_at
    or self.clock.now() + (options.total_timeout or sink and math.huge or settings.total_timeout)
  while true do
    exchange.attempts = exchange.attempts + 1
    transfer.ask(exchange)
    local value, err = self:try(operation, exchange, read)
    if err and sink and transfer.look_at_break(exchange, err) then
      local done, message = sink:complete()
      if not done then return nil, error_value.new { kind = "file", message = message } end
      value, err = read { status = 200, headers = {}, to_sink = true }
    end
    if value ~= nil then
      if not exchange.safe and type(value) == "table" and value.id then self.made:note(value.id) end
      self.policy:succeeded(exchange)
      return value
    end
    err.attempts = exchange.attempts
    err.operation = exchange.name
    err.idempotency_key = exchange.request.headers["Idempotency-Key"]
    if operation.url then err.body = nil end -- it may quote a signature
    self:mask(err)
    retry.note_outcome(err, exchange)
    local is_pause = retry.is_pause(err) and not err.final
    if is_pause then self.limits:hold(self:host(operation), err.retry_after) end
    -- The connection may be dead, and nobody has said so.
    if err.timed_out then exchange.request.fresh = true end
    if not self:may_renew(err, exchange) then
      if not is_pause then exchange.tries, exchange.plain = exchange.tries + 1, true end
      exchange.remaining = exchange.ends_at - self.clock.now()
      local delay
      if not err.final then delay = self.policy:delay(err, exchange) end
      if not delay then
        err.final = nil
        self:explain(operation, err)
        return nil, err
      end
      self:log("%s: %s: %s; again in %.2f s", exchange.name, err.kind, err.message, delay)
      self:tell("on_retry", { operation = exchange.name, attempt = exchange.attempts, delay = delay, kind = err.kind,
        status = err.status, code = err.code, request_id = err.request_id, track_id = err.track_id })
      self:check_open(operation)
      self.loop:sleep(delay)
    end
  end
end

--- Calls an operation whose answer is JSON.
---@param shape fun(body: any): any|nil, string|nil what the call returns of it, or what is wrong with it
---@param read function|nil answer.read, or another of its kind
---@return any|nil value, zuora.Error|nil err
function Caller:json(operation, parameters, options, shape, read)
  return self:perform(operation, parameters, options, function(response)
    local body, err = (read or answer.read)(response)
    if body == nil then return nil, err end
    local value, problem, kind = shape(body)
    if value == nil then
      return nil, answer.fault(response, { kind = kind or "json", message = problem, retryable = false })
    end
    return value
  end)
end

--- Calls an operation that answers that it is done, be it with words or with nothing at all.
---@return true|nil done, string|zuora.Error|nil message Zuora's words, or the error
function Caller:done(operation, parameters, options)
  local told, err = self:perform(operation, parameters, options, answer.read_done)
  if told == nil then return nil, err end
  local words = type(told) == "table" and told.response
  if type(words) == "table" then words = words.message end
  return true, type(words) == "string" and error_value.clean(words) or nil
end

--- Cancels a job, and gives what it is then. An answer that says nothing of the job, and is a success by its
--- status, means that it is done: the job itself is asked.
---@param group table the job's operations: cancel and get
---@return any|nil value, zuora.Error|nil err
function Caller:cancel(group, id, options, shape)
  options = self:shared(options)
  local told, err = self:json(group.cancel, { id = id }, options, function(body)
    if type(body) == "table" and (next(body) == nil or body.success == true) then return {} end
    return shape(body)
  end, answer.read_done)
  if told and next(told) == nil then return self:json(group.get, { id = id }, options, shape) end
  return told, err
end

--- Calls an operation whose answer is XML; `parse` is given the text of it.
---@return any|nil value, zuora.Error|nil err
function Caller:xml(operation, parameters, options, parse)
  return self:perform(operation, parameters, options, function(response)
    local text, err = answer.read_text(response, "xml")
    if not text then return nil, err end
    local value, problem = parse(text)
    if value == nil then return nil, answer.fault(response, { kind = "text", message = problem, retryable = false }) end
    return value
  end)
end

--- Calls what is no operation, and gives whatever comes, with the answer it came in.
---@param operation table method, send, safe, unkeyed
---@return any|nil value, table|zuora.Error|nil answered
function Caller:raw(operation, parameters, options)
  local done, err = self:perform(operation, parameters, options, function(response)
    local value, problem = answer.read_any(response)
    if value == nil then return nil, problem end
    return { value = value, response = response }
  end)
  if not done then return nil, err end
  return done.value, { status = done.response.status, headers = done.response.headers }
end

--- Calls an operation of the Reporting API; `shape` is given what is inside its envelope.
---@return any|nil value, zuora.Error|nil err
function Caller:reporting(operation, parameters, options, shape)
  return self:json(operation, parameters, options, function(body)
    if type(body) ~= "table" or body.response == nil then return nil, "the answer has no 'response'" end
    local value, problem = shape(body.response)
    -- A success with words in the place of what was asked for: they say why it is not there.
    if value == nil and type(body.response) == "string" and body.response ~= "" then
      return nil, body.response, "api"
    end
    return value, problem
  end)
end

--- Calls an operation whose answer is a file; see transfer.file.
Caller.file = transfer.file

-- Seconds that a look gets at least: the one at the deadline, so that it can still be answered; and the
-- only one, when the user wants to look once.
local LAST_LOOK, ONLY_LOOK = 2, 30

--- Waits for a record to settle; each look is a call of its own, with its own retries.
---@param subject table see wait.settle; its `look` takes per-call options
---@param options table wait.options and per-call options
---@return table|nil record, zuora.Error|nil err
function Caller:wait(subject, options)
  local look = subject.look
  local shortest = options.timeout == 0 and ONLY_LOOK or LAST_LOOK
  subject.look = function(left)
    return look(self:shared(options, { timeout = options.request_timeout or self.settings.timeout,
      total_timeout = math.min(options.total_timeout or self.settings.total_timeout, math.max(left, shortest)) }))
  end
  subject.is_new = function() return self.made:has(subject.last and subject.last.id) end
  return wait.settle(subject, options, self.waiting)
end

---@param parts table connection, bases, families ("rest" or "legacy", of those bases that were not given by
--- themselves), standing (headers by base), loop, clock, limiter, random, policy, limits, settings,
--- entity_header(id); credentials are put in later, since OAuth makes a call by itself
function call.new(parts)
  parts.made = wait.nursery(parts.clock.now)
  parts.waiting = { now = parts.clock.now, random = parts.random,
    sleep = function(seconds) return parts.loop:sleep(seconds) end }
  return setmetatable(parts, Caller)
end

return call
