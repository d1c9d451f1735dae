--- The simulated Zuora as one function from a request to a response: faults, credentials, headers,
--- idempotency, routes, and the journal of it all.

local access = require "zuora.simulator.http.access"
local aqua = require "zuora.simulator.http.aqua"
local bucket = require "zuora.simulator.engine.bucket"
local content = require "zuora.simulator.engine.content"
local describe = require "zuora.simulator.http.describe"
local faults = require "zuora.simulator.http.faults"
local json = require "zuora.simulator.engine.json"
local limits = require "zuora.simulator.engine.limits"
local packing = require "zuora.simulator.engine.packing"
local queries = require "zuora.simulator.engine.queries"
local replies = require "zuora.simulator.http.replies"
local reporting = require "zuora.simulator.http.reporting"
local reports = require "zuora.simulator.http.reports"
local samples = require "zuora.simulator.http.samples"
local server = require "zuora.simulator.http.server"
local socket = require "socket"

local app = {}

local App = {}
App.__index = App

local ADMIN, TOKEN_PATH = "/_simulator", "/oauth/token"

-- What Zuora compresses, and from how many bytes on.
local COMPRESSIBLE = { ["application/json"] = true, ["application/xml"] = true, ["text/html"] = true,
  ["text/csv"] = true, ["text/plain"] = true }
local COMPRESS_FROM = 1000

-- --- where things are --------------------------------------------------------------------------------

local function login_failed()
  return replies.json(401, { success = false, message = "Token could not be decrypted.", errorCode = "loginFailed" })
end

local function together(some, others)
  return table.move(others, 1, #others, #some + 1, table.move(some, 1, #some, 1, {}))
end

local ANY = { access.bearer, access.keys, access.basic }

local FAMILIES = {
  { "/reporting/api/rest/v1", together(reporting, reports.today), { access.bearer }, replies.unauthorized },
  { "/api/rest/v1", together(reporting, reports.older), { access.keys }, login_failed },
  { "/v1/batch-query", aqua.jobs, ANY, replies.unauthorized },
  { "/apps/api/batch-query", aqua.jobs, ANY, replies.unauthorized },
  { "/v1/files", aqua.files, ANY, replies.unauthorized },
  { "/v1/file", aqua.files, ANY, replies.unauthorized },
  { "/v1/describe", describe, ANY, replies.unauthorized },
  { "/query/jobs", queries, { access.bearer, access.keys }, replies.unauthorized },
  { "/apps/api/file", aqua.files, ANY, replies.unauthorized },
}

-- Doubled and trailing slashes are taken, as Zuora takes them.
local function canonical(path)
  return (path:gsub("//+", "/"):gsub("/$", ""))
end

-- --- rules for headers -------------------------------------------------------------------------------

local function header_problem(request)
  local track, key = request.headers["zuora-track-id"], request.headers["idempotency-key"]
  if track and (#track > 64 or track:find("[:;\"'\128-\255]")) then
    return replies.reasons(400, 50000020, "The value of Zuora-Track-Id is not valid.")
  end
  if key and #key > 255 then
    return replies.reasons(400, 50000020, "The value of Idempotency-Key is longer than 255 characters.")
  end
  if key and request.method ~= "POST" and request.method ~= "PATCH" then
    return replies.reasons(400, 50000020, "Idempotency-Key is for POST and PATCH requests only.")
  end
  if request.body ~= "" and not (request.headers["content-type"] or ""):lower():match("^application/json") then
    return replies.json(415, { code = 415, message = "HTTP 415 Unsupported Media Type" })
  end
  return nil
end

-- --- calls -------------------------------------------------------------------------------------------

local function token_reply(request, tenant)
  if request.method ~= "POST" then return replies.reasons(405, 50000045, "Method not allowed.") end
  if not (request.headers["content-type"] or ""):match("^application/x%-www%-form%-urlencoded") then
    return replies.json(415, { status = 415, error = "Unsupported Media Type", message =
      "Content type '" .. (request.headers["content-type"] or "") .. "' not supported", path = "/oauth/token" })
  end
  local form = server.parse_form(request.body)
  -- RFC 6749 lets a client name itself by HTTP Basic, too.
  local basic = access.basic_of(request)
  if basic then form.client_id, form.client_secret = basic:match("^([^:]*):(.*)$") end
  if form.grant_type ~= "client_credentials" then
    return replies.json(400, { status = 400, error = "unsupported_grant_type",
      message = "Unsupported grant type: " .. tostring(form.grant_type), path = "/oauth/token" })
  end
  if form.client_id ~= tenant.client_id then
    return replies.json(400, { status = 400, message = "Invalid client id", path = "/oauth/token" })
  end
  if form.client_secret ~= tenant.client_secret then
    return replies.json(401, { status = 401, error = "Unauthorized", message = "Bad credentials",
      path = "/oauth/token" })
  end
  local answer = json.decode(samples.token)
  answer.access_token, answer.expires_in = tenant:new_token(), tenant.token_life
  return replies.json(200, answer)
end

-- Is the path below that base, or the base itself?
local function is_below(path, base)
  return path:sub(1, #base) == base and (#path == #base or path:sub(#base + 1, #base + 1) == "/")
end

local function not_found(path)
  return replies.reasons(404, 50000040, "No such path: " .. path)
end

-- Who asks, and for what: a refusal, or what gives the answer that belongs to the request itself.
function App:route(request)
  local tenant, path = self.tenant, canonical(request.path)
  local method = request.method == "HEAD" and "GET" or request.method
  if path == TOKEN_PATH then return nil, function() return token_reply(request, tenant) end end
  if is_below(path, bucket.BASE) then return tenant.bucket:answer(request) end
  for _, family in ipairs(FAMILIES) do
    local base, routes, checks, refuse = table.unpack(family)
    if is_below(path, base) then
      local allowed = false
      for _, check in ipairs(checks) do allowed = allowed or check(request, tenant) end
      if not allowed then return refuse(), nil end
      local problem = header_problem(request)
      if problem then return problem end
      local rest = path:sub(#base + 1)
      for _, route in ipairs(routes) do
        local captures = route[1] == method and table.pack(rest:match("^" .. route[2] .. "$"))
        if captures and captures[1] then
          return nil, function() return route[3](request, tenant, table.unpack(captures, 1, captures.n)) end
        end
      end
    end
  end
  return not_found(path)
end

-- A POST under a key that was used before gets the answer that was given then.
function App:answer_once(request)
  local key = request.method == "POST" and request.headers["idempotency-key"]
  if not key and request.dawdle then server.sleep(request.dawdle) end
  local refusal, answer = self:route(request)
  if refusal then return refusal end
  if not key then return answer() end
  local before = self.tenant:replay(key)
  if before and before.target ~= request.target then
    return replies.reasons(422, 50000020, "The Idempotency-Key was used for another request.")
  end
  if before and not before.response then
    return replies.reasons(409, 50000050, "A request with this Idempotency-Key is in progress.")
  end
  local known = before or self.tenant:remember(key, { target = request.target })
  if request.dawdle then server.sleep(request.dawdle) end
  if not before then
    local ok, made = pcall(answer)
    if not ok then
      self.tenant:forget(key) -- nothing has been answered under it
      error(made, 0)
    end
    known.response = made
  end
  before = known
  local response = {}
  for name, value in pairs(before.response) do response[name] = value end
  return response
end

-- --- faults ------------------------------------------------------------------------------------------

function App:faulty(request, fault)
  if fault.kind == "status" then
    local headers = { ["Content-Type"] = "application/json" }
    for name, value in pairs(fault.headers or {}) do headers[name] = value end
    return { status = fault.status or 500, headers = headers, body = fault.body or "" }
  elseif fault.kind == "envelope" then
    return replies.envelope(fault.envelope)
  elseif fault.kind == "garbage" then
    return { status = 0, raw = fault.raw or "\0\1\2 this is not HTTP\r\n\r\n" }
  elseif fault.kind == "token" then
    self.tenant:expire_tokens()
  elseif fault.kind == "outcome" then
    self.tenant.job_outcome, self.tenant.run_outcome, self.tenant.query_outcome = fault.job, fault.run, fault.query
  elseif fault.kind == "delay" then
    request.dawdle = fault.seconds or 1 -- under an idempotency key others see that it is in progress
  end
  local response = self:answer_once(request)
  response.fault = fault
  return response
end

-- --- the journal -------------------------------------------------------------------------------------

local SECRET_HEADERS = { apiaccesskeyid = true, apisecretaccesskey = true, cookie = true }

local function masked_headers(headers)
  local shown = {}
  for name, value in pairs(headers) do shown[name] = SECRET_HEADERS[name] and "***" or value end
  if shown.authorization then
    shown.authorization = (shown.authorization:match "^[Bb]e?a[rs][ei][rc]e?r? " or "") .. "***"
  end
  return shown
end

-- Credentials go to the token endpoint in a form, by rights; whatever else goes there is not shown.
local function masked_body(request)
  local is_form = (request.headers["content-type"] or ""):match "^application/x%-www%-form%-urlencoded"
  if is_form then return (request.body:gsub("(client_secret=)[^&]*", "%1***")) end
  if canonical(request.path) == TOKEN_PATH and request.body ~= "" then return "***" end
  return request.body
end

-- A link to a result is a credential, too.
local function masked_target(target)
  return (target:gsub("(client_secret=)[^&]*", "%1***"):gsub("(X%-Amz%-Signature=)[^&]*", "%1***"))
end

function App:record(request)
  table.insert(self.journal, {
    method = request.method, path = request.path, target = masked_target(request.target),
    headers = masked_headers(request.headers), body = masked_body(request), connection = request.connection,
    time = math.floor((socket.gettime() - self.started) * 1000) / 1000,
  })
end

-- What was asked for, and what has become of it.
function App:held()
  local tenant, held = self.tenant, { jobs = {}, runs = {}, queries = {} }
  for i, job in ipairs(tenant.aqua.list) do
    held.jobs[i] = { id = job.id, name = job.fields.name, status = job.progress:stage() }
  end
  for i, run in ipairs(tenant.run_list) do
    held.runs[i] = { id = run.id, report = run.reportId, status = run.progress:stage() }
  end
  for i, job in ipairs(tenant.queries) do
    held.queries[i] = { id = job.id, query = job.fields.query, status = job.progress:stage() }
  end
  for name, list in pairs(held) do held[name] = json.array(list) end
  held.struck = next(self.faults.struck) and self.faults.struck or nil
  return held
end

-- --- the admin path ----------------------------------------------------------------------------------

function App:admin(request)
  local what, method = request.path:sub(#ADMIN + 2), request.method
  local given = {}
  if request.body ~= "" then given = json.decode(request.body) end
  if type(given) ~= "table" then return replies.json(400, { message = "A JSON object is expected." }) end
  if method == "GET" and what == "journal" then
    return replies.json(200, { journal = json.array(self.journal) })
  elseif method == "GET" and what == "held" then
    return replies.json(200, self:held())
  elseif method == "DELETE" and what == "journal" then
    self.journal = {}
  elseif method == "POST" and what == "fault" then
    local ok, problem = pcall(self.faults.add, self.faults, given)
    if not ok then return replies.json(400, { message = problem }) end
  elseif method == "DELETE" and what == "fault" then
    self.faults:clear()
    self.tenant.job_outcome, self.tenant.run_outcome, self.tenant.query_outcome = nil, nil, nil
  elseif method == "POST" and what == "clock" then
    self.tenant.offset = self.tenant.offset + (tonumber(given.forward) or 0)
  elseif method == "POST" and what == "stop" then
    self.stopped = true
  elseif method == "POST" and what == "update" then
    local ok, problem = pcall(self.tenant.update, self.tenant, given.object, given.rows)
    if not ok then return replies.json(400, { message = problem }) end
  else
    return replies.json(404, { message = "No such admin path" })
  end
  return replies.json(200, { success = true })
end

-- --- what goes over the wire -------------------------------------------------------------------------

local function media_type_of(response)
  return ((response.headers or {})["Content-Type"] or ""):match("^[^;]*"):lower()
end

-- Packs an answer for whom that is welcome. Packed answers cannot be asked for in parts.
local function pack(response)
  local whole = response.content
  local stream, put = whole.stream(0, whole.length), packing.gzip_stream()
  response.headers["Content-Encoding"] = "gzip"
  response.headers["Vary"] = "Accept-Encoding"
  if response.etag then response.headers["ETag"] = "W/" .. response.etag end
  local fault = response.fault
  if fault and fault.kind == "gzip" then
    response.body = faults.spoil(packing.gzip(whole:read()), fault)
    return
  end
  local ended = false
  response.body = { read = function()
    while not ended do
      local piece = stream()
      ended = piece == nil
      local packed = put(piece)
      if packed ~= "" then return packed end
    end
  end }
end

-- The part of a file that was asked for.
local function cut_to_range(request, response)
  local whole, range, condition = response.content, request.headers.range, request.headers["if-range"]
  response.headers["Accept-Ranges"] = "bytes"
  response.headers["ETag"] = response.etag
  if condition and condition ~= response.etag then range = nil end
  local from, to
  if range then from, to = content.range(range, whole.length) end
  if from == false then
    response.status, response.body = 416, ""
    response.headers["Content-Range"] = "bytes */" .. whole.length
  elseif from then
    response.status = 206
    response.headers["Content-Range"] = ("bytes %d-%d/%d"):format(from, to - 1, whole.length)
    response.body = { read = whole.stream(from, to), length = to - from }
  else
    response.body = { read = whole.stream(0, whole.length), length = whole.length }
  end
end

local function dress(request, response)
  local packable = response.status == 200 and packing.available() and COMPRESSIBLE[media_type_of(response)]
    and (request.headers["accept-encoding"] or ""):find("gzip", 1, true)
    and not (request.headers["accept-encoding"]):find("gzip;%s*q=0%f[^%d.]")
    and not request.headers.range -- parts are of the file itself
    and not response.as_it_is
  if packable and not response.content and #(response.body or "") > COMPRESS_FROM then
    response.content = content.text(response.body)
  end
  if not response.content then return end
  if response.fault and response.fault.kind == "gzip" and media_type_of(response) == "application/x-gzip" then
    response.content = content.text(faults.spoil(response.content:read(), response.fault))
  end
  if packable and response.content.length > COMPRESS_FROM then pack(response) else cut_to_range(request, response) end
end

-- --- all together ------------------------------------------------------------------------------------

function App:answer(request)
  local fault = self.faults:strike(request, canonical(request.path))
  return fault and self:faulty(request, fault) or self:answer_once(request)
end

-- What goes wrong here is told, and answered as Zuora answers what goes wrong there.
local function broken(problem)
  io.stderr:write("simulator: ", debug.traceback(tostring(problem), 2), "\n")
  return { failed = true }
end

-- What every answer of Zuora's bears. The bucket is not Zuora's.
function App:sign(request, headers)
  local path = canonical(request.path)
  if is_below(path, bucket.BASE) then return end
  headers["Zuora-Request-Id"] = ("%08x-0000-4000-8000-%012x"):format(self.answered, self.answered)
  headers["Zuora-Track-Id"] = request.headers["zuora-track-id"]
  if path == TOKEN_PATH then self.limits:tell_of_tokens(headers) end
  if is_below(path, "/v1") or is_below(path, "/query") then self.limits:tell(headers) end
end

-- How it was asked for, by whom it came: links begin with it.
local function origin_of(request, tenant)
  local scheme = request.headers["x-forwarded-proto"] or tenant.tls and "https" or "http"
  return scheme .. "://" .. (request.headers.host or "127.0.0.1")
end

function App:handle(request)
  if request.path:sub(1, #ADMIN + 1) == ADMIN .. "/" then return self:admin(request) end
  self:record(request)
  request.origin = origin_of(request, self.tenant)
  local path, ok, response = canonical(request.path), true, nil
  if path ~= TOKEN_PATH and not is_below(path, bucket.BASE) then response = self.limits:enter(request) end
  if not response then ok, response = xpcall(self.answer, broken, self, request) end
  if not ok then response = replies.envelope "E2" end
  self.answered = self.answered + 1
  -- The headers are this answer's own: what an idempotency key replays stays as it was.
  local headers = {}
  for name, value in pairs(response.headers or {}) do headers[name] = value end
  response.headers = headers
  self:sign(request, headers)
  if response.status == 200 then dress(request, response) end
  return response
end

---@param tenant table
function app.new(tenant)
  return setmetatable({ tenant = tenant, faults = faults.new(), limits = limits.new(tenant), journal = {}, answered = 0,
    started = socket.gettime() }, App)
end

return app
