--- The simulated Zuora as one function from a request to a response: limits, faults, idempotency, routes, and
--- the journal of it all.

local admin = require "zuora.simulator.http.admin"
local body = require "zuora.simulator.http.body"
local bucket = require "zuora.simulator.http.bucket"
local connection = require "zuora.simulator.http.connection"
local faults = require "zuora.simulator.http.faults"
local journal = require "zuora.simulator.http.journal"
local limits = require "zuora.simulator.http.limits"
local replies = require "zuora.simulator.http.replies"
local routes = require "zuora.simulator.http.routes"

local app = {}

local App = {}
App.__index = App

local TOKEN_PATH = "/oauth/token"

local function copy_of(fields)
  local copy = {}
  for name, value in pairs(fields or {}) do copy[name] = value end
  return copy
end

-- --- once ---------------------------------------------------------------------------------------------

-- A POST under a key that was used before gets the answer that was given then.
function App:answer_once(request)
  local key = request.method == "POST" and not self.tenant.ignore_keys and request.headers["idempotency-key"]
  if not key and request.dawdle then connection.sleep(request.dawdle) end
  local refusal, answer = routes.find(request, self.tenant)
  if refusal then return refusal end
  if not key then return answer() end
  local known = self.tenant:replay(key)
  if known and known.target ~= request.target then
    return replies.reasons(422, 50000020, "The Idempotency-Key was used for another request.")
  end
  if known and not known.response then
    return replies.reasons(409, 50000050, "A request with this Idempotency-Key is in progress.")
  end
  local is_new = not known
  known = known or self.tenant:remember(key, { target = request.target })
  if request.dawdle then connection.sleep(request.dawdle) end
  if is_new then
    local ok, made = pcall(answer)
    if not ok then
      self.tenant:forget(key) -- nothing has been answered under it
      error(made, 0)
    end
    known.response = made
  end
  return copy_of(known.response)
end

-- --- faults ------------------------------------------------------------------------------------------

function App:faulty(request, fault)
  if fault.kind == "status" then
    local headers = copy_of(fault.headers)
    headers["Content-Type"] = headers["Content-Type"] or "application/json"
    return { status = fault.status or 500, headers = headers, body = fault.body or "" }
  elseif fault.kind == "envelope" then
    return replies.envelope(fault.envelope)
  elseif fault.kind == "garbage" then
    return { status = 0, raw = fault.raw or "\0\1\2 this is not HTTP\r\n\r\n" }
  elseif fault.kind == "token" then
    self.tenant:expire_tokens()
  elseif fault.kind == "outcome" then
    self.tenant:set_outcomes(fault)
  elseif fault.kind == "delay" then
    request.dawdle = fault.seconds or 1 -- under an idempotency key others see that it is in progress
  end
  local response = self:answer_once(request)
  response.fault = fault
  return response
end

function App:answer(request)
  local fault = self.faults:strike(request, routes.canonical(request.path))
  return fault and self:faulty(request, fault) or self:answer_once(request)
end

-- --- all together ------------------------------------------------------------------------------------

-- What goes wrong here is told, and answered as Zuora answers what goes wrong there.
local function broken(problem)
  io.stderr:write("simulator: ", debug.traceback(tostring(problem), 2), "\n")
  return { failed = true }
end

-- A time as HTTP writes it, whatever the locale is.
local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

local function http_date(seconds)
  local date = os.date("!*t", math.floor(seconds))
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[date.wday], date.day, MONTHS[date.month], date.year,
    date.hour, date.min, date.sec)
end

-- What every answer of Zuora's bears.
function App:sign(request, path, headers)
  headers.Date = headers.Date or http_date(self.tenant:now())
  if self.tenant.offset ~= 0 then headers["Zuora-Simulator-Forward"] = ("%d"):format(self.tenant.offset // 1) end
  headers["Zuora-Request-Id"] = ("%08x-0000-4000-8000-%012x"):format(self.answered, self.answered)
  headers["Zuora-Track-Id"] = request.headers["zuora-track-id"]
  if path == TOKEN_PATH then limits.tell_of_tokens(headers, self.tenant) end
  if routes.is_below(path, "/v1") or routes.is_below(path, "/query") then limits.tell(headers, self.tenant) end
end

-- How it was asked for, by whom it came: links begin with it.
local function origin_of(request, tenant)
  local scheme = request.headers["x-forwarded-proto"] or tenant.tls and "https" or "http"
  return scheme .. "://" .. (request.headers.host or "127.0.0.1")
end

--- Answers a request, as a server wants it.
---@param request table
---@return table response
function App:handle(request)
  if admin.is_for(request) then return admin.answer(self, request) end
  self.journal:record(request)
  request.origin, request.bucket = origin_of(request, self.tenant), self.bucket
  local path, ok, response = routes.canonical(request.path), true, nil
  local is_zuora = not routes.is_below(path, bucket.BASE)
  if is_zuora and path ~= TOKEN_PATH then response = limits.enter(request, self.tenant) end
  if not response then ok, response = xpcall(self.answer, broken, self, request) end
  if not ok then response = replies.envelope "E2" end
  self.answered = self.answered + 1
  -- The headers are this answer's own: what an idempotency key replays stays as it was.
  response.headers = copy_of(response.headers)
  if is_zuora then self:sign(request, path, response.headers) end
  if response.status == 200 then body.lay(request, response) end
  return response
end

---@param tenant table
function app.new(tenant)
  return setmetatable({ tenant = tenant, bucket = bucket.new(tenant), faults = faults.new(), journal = journal.new(),
    answered = 0 }, App)
end

return app
