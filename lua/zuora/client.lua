--- A client, and what hangs together behind it.
--
-- One session (one pool of connections), one scheduler, one set of credentials. What a user holds shows
-- none of this: it is kept in a table that only this file reaches.

local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local credentials = require "zuora.caller.credentials"
local describe = require "zuora.resources.describe"
local error_value = require "zuora.error"
local files = require "zuora.resources.files"
local hosts = require "zuora.caller.hosts"
local jobs = require "zuora.resources.jobs"
local queries = require "zuora.resources.queries"
local mask = require "zuora.caller.mask"
local rate = require "zuora.caller.rate"
local raw = require "zuora.resources.request"
local reportruns = require "zuora.resources.reportruns"
local reports = require "zuora.resources.reports"
local retry = require "zuora.caller.retry"
local schedulers = require "zuora.tasks.scheduler"
local semaphore = require "zuora.caller.semaphore"
local settings = require "zuora.settings"

local client = {}

client.VERSION = require "zuora.version"

---@class zuora.Client
local Client = {}
Client.__index = Client
Client.__name = "zuora.Client"
Client.__metatable = false

-- client -> its caller, which never refers to the client, so that both go together.
local callers = setmetatable({}, { __mode = "k" })

local function credentials_of(options, method, caller)
  if method == "password" then return credentials.password(options, caller.bases) end
  if method == "token" then return credentials.token(options.token) end
  local form = { client_id = options.client_id, client_secret = options.client_secret,
    grant_type = "client_credentials" }
  return credentials.oauth(caller.scheduler, form, function(seconds, retries)
    local body, err = caller:json(core.operations.oauth.token, form, {
      total_timeout = math.max(0.001, math.min(caller.settings.total_timeout, seconds)), retries = retries,
    }, function(body) return type(body) == "table" and body or nil, "the answer is no token" end)
    if err then
      -- Whatever the answer is, there may be a token in it.
      err.body = nil
      if err.kind == "json" then err.message = "the answer of the token endpoint is not the JSON that it should be" end
    end
    return body, err
  end)
end

--- Makes a client. Nothing is sent before the first call.
---@param options zuora.Options
---@param seams { clock: table|nil, random: function|nil }|nil what specs put in the place of the machine's
---@return zuora.Client
function client.new(options, seams)
  seams = seams or {}
  local read = settings.read(options)
  local values, random, clock = read.values, seams.random or math.random, seams.clock or schedulers.clock(core)
  local defaults = read.defaults
  defaults.user_agent = defaults.user_agent or ("lua-zuora/%s %s"):format(client.VERSION, core.version)
  local session = core.session { max_connections = values.max_connections }
  local endpoints = core.endpoints { session = session, bases = read.bases, defaults = defaults }
  if read.bases.oauth then endpoints:headers("oauth", read.default_headers.oauth) end
  local scheduler = schedulers.new(session, clock, options.log)
  local caller = call.new {
    endpoints = endpoints, bases = read.bases, families = read.families,
    default_headers = read.default_headers,
    settings = values, scheduler = scheduler, clock = clock, random = random,
    rate = rate.new(clock.now, values.rate_reserve),
    semaphore = semaphore.new(scheduler, values.concurrency_limit),
    policy = retry.new { retry_after_limit = values.retry_after_limit, random = random },
    entity_header = read.entity_header, proxy_secrets = mask.of_proxies(defaults.proxy),
  }
  caller.credentials = credentials_of(options, read.credentials, caller)

  local runs = reportruns.new(caller)
  local self = setmetatable({
    reports = reports.new(caller, runs),
    reportruns = runs,
    jobs = jobs.new(caller),
    files = files.new(caller),
    queries = queries.new(caller),
    describe = describe.new(caller),
  }, Client)
  callers[self] = caller
  return self
end

-- --- the client itself -------------------------------------------------------------------------------

local function caller_of(self, method)
  local caller = callers[self]
  if not caller then check.misuse(("client:%s was called without its object: write it with a colon"):format(method)) end
  return caller
end

local function open_caller(self, method)
  local caller = caller_of(self, method)
  local problem = caller:problem()
  if problem then check.misuse(("client:%s: %s"):format(method, problem)) end
  return caller
end

local function check_functions(where, ...)
  local functions = table.pack(...)
  for i = 1, functions.n do
    if type(functions[i]) ~= "function" then
      check.fail(where, "f", ("function expected as argument %d, got %s"):format(i, type(functions[i])))
    end
  end
  return functions
end

--- Runs functions side by side as tasks, until they and all that they spawned have ended.
---@param f function
---@param ... function
---@return any ... all results of one function, or the first result of each; an error is raised unchanged
function Client:run(f, ...)
  local scheduler = open_caller(self, "run").scheduler
  return scheduler:run(check_functions("client:run", f, ...))
end

--- Starts a task.
---@param f function
---@return zuora.Task task with task:join(), task:cancel() and task:traceback()
function Client:spawn(f)
  local scheduler = open_caller(self, "spawn").scheduler
  check_functions("client:spawn", f)
  return scheduler:spawn(f)
end

-- What f gives, or the error of ours that it raises (as an iterator does), as one that it returns. That its task was
-- cancelled is no failure of the item.
local function collected(ok, value, ...)
  if ok then return value, ... end
  if error_value.is(value) and value.kind ~= "cancelled" then return nil, value end
  error(value, 0)
end

local MAP_OPTIONS = { concurrency = "positive", on_error = "stop|collect" }

--- Calls f(item, index) for each item of a list, several at a time. f fails by returning nil and an error;
--- what it raises is raised here, unchanged, after the others have been cancelled ("collect": but for errors of this
--- module, as an iterator raises them).
---@param items any[] a list without holes; may be empty
---@param f fun(item: any, index: integer): any, any
---@param options zuora.MapOptions|nil concurrency: items at a time
--- (8); on_error = "stop": the first failure cancels what goes on, and no further item is begun
---@return table|nil results f's first result for each item, in their order, and results.n, the number of items;
--- nil after a failure ("stop")
---@return any errors "stop": the error; "collect": a table of errors by index, empty when there was none
---@return integer|nil index "stop": of the item that failed
function Client:map(items, f, options)
  local scheduler = open_caller(self, "map").scheduler
  check.value("client:map", "items", items, "array")
  check.value("client:map", "f", f, "function")
  options = check.options("client:map", options, MAP_OPTIONS)
  local collect = options.on_error == "collect"
  local work = collect and function(item, index) return collected(pcall(f, item, index)) end or f
  return scheduler:map(items, work, options.concurrency or 8, collect)
end

--- A pause that lets other tasks run.
---@param seconds number
function Client:sleep(seconds)
  local scheduler = open_caller(self, "sleep").scheduler
  check.value("client:sleep", "seconds", seconds, "delay")
  scheduler:sleep(seconds)
end

--- Moves everything on for at most `seconds`.
---@param seconds number
---@return boolean busy true while anything is left to do
function Client:step(seconds)
  local scheduler = open_caller(self, "step").scheduler
  check.value("client:step", "seconds", seconds, "delay")
  return scheduler:step(seconds)
end

--- Any call of Zuora's REST API, with this client's credentials, retries and errors: for what has no function
--- of its own.
---@param call_of zuora.Request path: "/v1/accounts/A-1", each part of it escaped (zuora.escape); method: "GET" by
--- default; query: { name = value or list of values }; body: a table is sent as JSON, a string as it is, with
--- content_type; base: "rest" (default), "reporting", "aqua", "files", "queries", "describe": what the path is below;
--- headers: more of them; accept: the media type that is wanted ("application/json"); safe = true: a POST that only
--- reads, and may be sent again; and the per-call options
---@return any|nil value of JSON its value, else the text
---@return zuora.Answer|zuora.Error|nil answer its bytes as they came, too; or err
function Client:request(call_of)
  return raw.request(open_caller(self, "request"), call_of)
end

--- Makes sure that there is a token, as the first call does by itself: are the credentials taken? With a token that was
--- given, or user name and password, there is nothing to ask before a call.
---@return true|nil done, zuora.Error|nil err
function Client:authenticate()
  local caller = open_caller(self, "authenticate")
  return caller.credentials:prepare(caller.clock.now() + caller.settings.total_timeout, caller.settings.retries)
end

--- Whose data this client reaches: the host, and the tenant that the scope of its token names (once there is one: see
--- authenticate), or the user where there is none.
---@return string name "rest.zuora.com tenant.12345"
function Client:tenant()
  local caller = open_caller(self, "tenant")
  local identity = caller.credentials:identity()
  return hosts.authority(caller.bases.reporting) .. (identity and " " .. identity or "")
end

--- What Zuora said last of this tenant's limits: with how many requests left it is nearly reached.
---@return zuora.Limits limits
--- rate = { limit, remaining, reset (seconds from then), window (seconds), quotas = { [seconds] = limit } },
--- concurrency = { limit, remaining, type }, authentication = { limit, remaining } (of the minute, by address);
--- each with age (seconds since it was said), and nil as long as it was not
function Client:limits()
  return open_caller(self, "limits").rate:view()
end

--- What an event loop has to watch before the next client:step(0).
---@return table<integer, "r"|"w"|"rw"> fds, number|nil seconds until then at the latest
function Client:fds()
  return open_caller(self, "fds").scheduler:fds()
end

--- Tells an event loop that what `fds` said does not hold any more: a task becomes ready (it was spawned, or is being
--- cancelled), a call outside of tasks is about to move everything on, or the client is being closed.
---@param f nil|fun(closing: true|nil) stops to wait for the descriptors, has the loop take a step soon, and makes no
--- call of the client; it is told often, in steps as well. Nil: nobody is told any more
function Client:on_ready(f)
  local scheduler = caller_of(self, "on_ready").scheduler
  if f ~= nil then check.value("client:on_ready", "f", f, "function") end
  if f and scheduler.on_ready then check.misuse "client:on_ready: this client is in a loop already" end
  scheduler.on_ready = f
end

--- Ends everything that goes on and closes all connections. Twice is fine. In a child made by fork it
--- does nothing: all that is its parent's.
function Client:close()
  local caller = caller_of(self, "close")
  if caller:problem() then return end
  local scheduler = caller.scheduler
  if scheduler.on_ready and not scheduler:active() then scheduler.on_ready(true) end
  scheduler:close()
  caller.closed = true
  caller.scheduler.session:close()
end

Client.__close = Client.close

function Client:__tostring()
  local caller = callers[self]
  return ("zuora.Client (%s%s)"):format(hosts.authority(caller.bases.reporting), caller.closed and ", closed" or "")
end

return client
