--- One call seen through: a token, the request, its answer; and again, where again is safe.

local answer = require "zuora.answer"
local check = require "zuora.check"
local core = require "zuora.core"
local error_value = require "zuora.error"
local hosts = require "zuora.hosts"
local retry = require "zuora.retry"
local rows = require "zuora.rows"
local wait = require "zuora.wait"

local call = {}

--- The options that every public call takes in its last table, for check.options. Calls that create
-- something take an idempotency key besides.
call.options = {
  track_id = "track_id", entity_id = "entity_id", timeout = "seconds", deadline = "seconds", retries = "count",
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
  UNFRAMED = "incomplete", RANGE = "incomplete", SHORT = "incomplete", CODING = "incomplete",
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
    local authority = hosts.authority(operation.url or self.bases[operation.base])
    message = authority .. ": " .. message:gsub("//[^/@%s]*@", "//***@")
  end
  return error_value.new { kind = kind, message = message, curl = name, status = status,
    timed_out = name == "OPERATION_TIMEDOUT" or nil, retryable = retry.is_transient(name) }
end

function Caller:tell(hook, info)
  if self.settings[hook] then self.settings[hook](info) end
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

-- Is it a call to the tenant itself, with its credentials and within its limits? A token is fetched without,
-- and a link to somebody else's store bears its own.
local function is_tenants(operation)
  return operation.group ~= "oauth" and not operation.url
end

-- Waits while the minute's budget of requests is nearly gone; a call whose time would be over by then takes
-- its chance at once.
function Caller:keep_within_limits(operation, exchange)
  if not is_tenants(operation) then return end
  local pause = self.limits:pause()
  if pause == 0 or pause >= exchange.remaining then return end
  self:log("%s: little is left of this minute's requests; sent in %.2f s", exchange.name, pause)
  self.loop:sleep(pause)
  exchange.remaining = exchange.remaining - pause
  self:check_open(operation)
end

-- One try. Returns what `read` makes of the answer, or nil, err.
function Caller:try(operation, exchange, read)
  self:keep_within_limits(operation, exchange)
  local started = self.clock.now()
  if is_tenants(operation) then
    local ready, err = self.credentials.prepare { deadline = exchange.remaining, retries = exchange.retries }
    if not ready then
      err.final = true -- it has had its retries
      return nil, err
    end
  end
  -- After the token: who waits for it holds no slot that its fetching, or another call, could need.
  local slot <close> = is_tenants(operation) and self.limiter:slot() or nil
  if slot then
    if not slot:take(exchange.remaining - (self.clock.now() - started)) then
      return nil, error_value.new { kind = "timeout", curl = "QUEUED", message = ("the deadline passed while %d other requests were "
        .. "in flight (concurrency_limit)"):format(self.settings.concurrency_limit) }
    end
    self:check_open(operation)
    self:refresh_headers()
    exchange.credentials_version = self.credentials.version
  end
  exchange.request.deadline = math.max(0, exchange.remaining - (self.clock.now() - started))
  local send = operation.send or core[operation.group][operation.name]
  local request <close>, message, name = send(self.connection, exchange.parameters, exchange.request)
  if not request then return nil, no_answer(self, operation, message, name) end
  self.loop:await(request, exchange.on_wait)
  if slot then slot:give() end -- before the hooks, which may make calls of their own
  local response, status
  response, message, name, status = request:response()
  if not response then return nil, no_answer(self, operation, message, name, status) end
  if not operation.url then self.limits:note(response.headers) end
  local info = { operation = exchange.name, attempt = exchange.attempts, status = response.status,
    request_id = response.headers["zuora-request-id"], track_id = response.headers["zuora-track-id"],
    seconds = response.seconds, bytes = response.bytes }
  self:log("%s: HTTP %d, %d bytes, %.3f s", exchange.name, info.status, info.bytes, info.seconds)
  self:tell("on_response", info)
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

-- Should a server have sent a secret back, it goes no further; nor does a link that bears its own signature.
function Caller:mask(err)
  local function mask(fields)
    for name, value in pairs(fields) do
      if type(value) == "string" then
        fields[name] = self.credentials.mask(value):gsub("https?://[^%s\"'<>\\]*[?&][^%s\"'<>\\]*", "***")
      end
    end
  end
  mask(err)
  for _, reason in ipairs(err.reasons or {}) do mask(reason) end
end

-- After a 401, once: is there another token?
function Caller:may_renew(err, exchange)
  if err.status ~= 401 or exchange.renewed or not exchange.credentials_version then return false end
  exchange.renewed = true
  return self.credentials.renew(exchange.credentials_version)
end

function Caller:check_open(operation)
  if self.closed then
    error(("%s.%s: attempt to use a closed client"):format(operation.group, operation.name), 0)
  end
  if self.loop.session:inherited() then
    error(("%s.%s: %s"):format(operation.group, operation.name, call.INHERITED), 0)
  end
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

-- Bytes of a file after which a break is no failure of the call's, but of that connection's.
local PROGRESS = 1024 * 1024

-- Bytes in the file so far, and where it is known how many there will be.
local function tell_progress(sink, on_progress)
  local received, _, total = sink:position()
  local bytes = sink:bytes()
  if bytes > 0 then on_progress(bytes, total and total - received + bytes or nil) end
end

-- What to ask for: all of the file, or what is missing of it.
local function range_headers(exchange)
  local headers, sink = exchange.request.headers, exchange.sink
  headers.Range, headers["If-Range"] = nil, nil
  if not sink then return end
  local received, validator = sink:position()
  exchange.received = received
  -- Packed at first: an export shrinks to a tenth. But of what is packed there are no parts.
  headers["Accept-Encoding"] = (exchange.attempts > 1 or exchange.plain) and "identity" or "gzip"
  if received == 0 or not (validator or exchange.unframed) then return end
  headers.Range, headers["Accept-Encoding"] = ("bytes=%d-"):format(received), "identity"
  -- Of a file without a validator only the end can be asked for: 416 says that there is no more.
  headers["If-Range"] = validator
end

-- A try has failed. Was it a break in a file that is getting on, or the proof that there is no more?
local function look_at_break(exchange, err)
  local sink = exchange.sink
  local received, _, total = sink:position()
  exchange.unframed = err.curl == "UNFRAMED" or nil
  exchange.progressed = received - exchange.received >= PROGRESS
  if err.status == 416 and err.range_total == received and received > 0 and (total or received) == received then
    return true
  end
  if err.curl == "RANGE" or err.status == 416 or err.curl == "SHORT" and received > total then sink:restart() end
  if exchange.progressed then exchange.tries = 0 end
  return false
end

-- Of a call that creates something: has one of its tries gone out, and nobody knows what became of it? Under
-- one key the answers are the same, so that a refusal settles it.
local function note_outcome(exchange, err)
  if exchange.safe then return end
  local status = err.status
  local is_lost = not status and not err.final and not retry.is_unsent(err.curl)
  if is_lost or status and (status >= 500 or err.kind == "json") then
    exchange.unknown = true
  elseif status and status ~= 401 and status ~= 409 and status ~= 429 then
    exchange.unknown = nil
  end
  err.unknown_outcome = exchange.unknown
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
    on_wait = sink and options.on_progress and function() tell_progress(sink, options.on_progress) end,
    plain = options.resume, -- what is to be gone on with later comes as it is
    retries = options.retries or settings.retries,
    attempts = 0, -- requests that were made
    tries = 0,    -- of them, those that count against `retries`: all but the one after a new token
  }
  -- A big file may take hours: a download ends by its own limits, unless it was given one.
  local ends_at = self.clock.now() + (options.deadline or sink and math.huge or settings.deadline)
  while true do
    exchange.attempts = exchange.attempts + 1
    exchange.remaining = ends_at - self.clock.now()
    range_headers(exchange)
    local value, err = self:try(operation, exchange, read)
    if err and sink and look_at_break(exchange, err) then
      local done, message = sink:complete()
      if not done then return nil, error_value.new { kind = "file", message = message } end
      value, err = true, nil
    end
    if value ~= nil then
      self.policy:succeeded(exchange)
      return value
    end
    err.attempts = exchange.attempts
    err.operation = exchange.name
    err.idempotency_key = exchange.request.headers["Idempotency-Key"]
    if operation.url then err.body = nil end -- it may quote a signature
    self:mask(err)
    note_outcome(exchange, err)
    if not self:may_renew(err, exchange) then
      exchange.tries = exchange.tries + 1
      exchange.remaining = ends_at - self.clock.now()
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
---@return any|nil value, zuora.Error|nil err
function Caller:json(operation, parameters, options, shape)
  return self:perform(operation, parameters, options, function(response)
    local body, err = answer.read(response)
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
  local told, err = self:perform(operation, parameters, options, function(response)
    if response.body == "" and response.status >= 200 and response.status < 300 then return {} end
    return answer.read(response)
  end)
  if told == nil then return nil, err end
  local words = type(told) == "table" and told.response
  if type(words) == "table" then words = words.message end
  return true, type(words) == "string" and words or nil
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

-- Media types that are error pages where a file was asked for.
local NO_FILES = "text/html application/json application/xml text/xml application/problem+json"

-- Are these all the records? `stage` has counted them.
local function count_records(stage, target)
  local records, problem = stage:records()
  local broken = problem and problem:find("^the gzip data")
  if target.uncounted and not broken then return true end
  -- A zip archive is kept as it is; of all else that cannot be read it is not known whether it is whole.
  if problem and (target.export or broken or target.expected and not problem:find("zip archive", 1, true)) then
    return nil, error_value.new { kind = target.export and not broken and "text" or "incomplete",
      message = target.what .. ": " .. problem }
  end
  if records and target.expected and records ~= target.expected then
    return nil, error_value.new { kind = "incomplete", message = ("%s has %d records, and should have %d"):format(
      target.what, records, target.expected) }
  end
  return true, nil, records
end

-- Brings all parts into the sink.
local function bring(self, operation, options, target, sink)
  local function read(response)
    target.disposition = response.headers["content-disposition"]
    return answer.read_file(response)
  end
  for i, parameters in ipairs(target.parts) do
    if i > 1 then sink:keep() end
    local done, err = self:perform(operation, parameters, options, read, sink)
    if not done then
      if err.kind == "file" then err.message = (target.path or self.settings.tmpdir) .. ": " .. err.message end
      return nil, err
    end
  end
  return true
end

--- Calls an operation whose answer is a file, once for each part of it, and puts the whole at a path, or
-- opens it as rows.
---@param operation table
---@param options table per-call options, and those of rows
---@param target table what: "file 42", for messages; path; parts: the parameters of each; without a path: as rows;
--- export: UTF-8 and commas, whatever comes; expected: records that there must be; name(Content-Disposition of the
--- answer, its type): the path in the end; refuse: media types that are no file; identity:
--- which file it is; uncounted: what is in it cannot be counted
---@return table|userdata|nil written `{ path, bytes, records }`, or the rows as rows.open gives them
---@return zuora.Error|nil err
function Caller:file(operation, options, target)
  self:check_open(operation)
  -- Several parts are one text only when each is written anew.
  target.export = target.export or #target.parts > 1 or nil
  local stage = core.stage { export = target.export }
  local identity = target.identity or self.bases[operation.base] .. " " .. target.parts[1].id
  local sink <close>, message = core.sink { path = target.path, stage = stage, refuse = target.refuse or NO_FILES,
    directory = not target.path and self.settings.tmpdir or nil,
    identity = target.path and not target.export and identity or nil,
    resume = target.path and options.resume }
  if not sink then return nil, error_value.new { kind = "file", message = message } end
  local sound, err = bring(self, operation, options, target, sink)
  if not sound then return nil, err end
  err = answer.disguised_failure(sink:head(4096))
  if err then
    sink:discard()
    err.message = target.what .. ": " .. err.message
    return nil, err
  end
  local records
  sound, err, records = count_records(stage, target)
  if not sound then
    sink:discard() -- it is all there, and wrong
    return nil, err
  end
  if not target.path then
    local content_type = (sink:content_type() or ""):lower()
    local charset = not target.export and content_type:match 'charset="?([%w-]+)'
    return rows.open(sink:fd(), { form = options.form, columns = options.columns, types = options.types,
      null = options.null, strict = options.strict, charset = charset or nil }, target.what)
  end
  local bytes = sink:bytes()
  if options.on_progress then options.on_progress(bytes, bytes) end
  local path = target.name and target.name(target.disposition, sink:content_type() or "") or target.path
  local done
  done, message = sink:finish(path)
  if not done then return nil, error_value.new { kind = "file", message = message } end
  return { path = path, bytes = bytes, records = records }
end

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
    return look {
      track_id = options.track_id, entity_id = options.entity_id, retries = options.retries,
      timeout = options.request_timeout,
      deadline = math.min(options.deadline or self.settings.deadline, math.max(left, shortest)),
    }
  end
  return wait.settle(subject, options, {
    now = self.clock.now,
    sleep = function(seconds) return self.loop:sleep(seconds) end,
    random = self.random,
  })
end

---@param parts table connection, bases, families ("rest" or "legacy", of those bases that were not given by
--- themselves), standing (headers by base), loop, clock, limiter, random, policy, limits, settings,
--- entity_header(id); credentials are put in later, since OAuth makes a call by itself
function call.new(parts)
  return setmetatable(parts, Caller)
end

return call
