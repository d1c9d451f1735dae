--- A client: its options, and what hangs together behind it.
--
-- One session (one pool of connections), one loop, one set of credentials. What a user holds shows
-- none of this: the parts live in a table that only this file reaches.

local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local credentials = require "zuora.caller.credentials"
local describe = require "zuora.resources.describe"
local error_value = require "zuora.error"
local files = require "zuora.resources.files"
local hosts = require "zuora.caller.hosts"
local jobs = require "zuora.resources.jobs"
local limiter = require "zuora.caller.semaphore"
local limits = require "zuora.caller.rate"
local loop = require "zuora.tasks.scheduler"
local queries = require "zuora.resources.queries"
local raw = require "zuora.resources.request"
local reportruns = require "zuora.resources.reportruns"
local reports = require "zuora.resources.reports"
local retry = require "zuora.caller.retry"

local client = {}

client.VERSION = "0.1.0"

---@class zuora.Client
local Client = {}
Client.__index = Client
Client.__name = "zuora.Client"
Client.__metatable = false

-- client -> its parts. The parts never refer to the client, so both go together.
local parts_of = setmetatable({}, { __mode = "k" })

local WHERE = "zuora.new"

-- "#": a value that no message shows.
local OPTIONS = {
  environment = "string", base_url = "string", legacy = "boolean",
  reporting_url = "string", aqua_url = "string", files_url = "string",
  client_id = "line#", client_secret = "line#", token = "any#", username = "line#", password = "line#",
  entity_id = "entity_id", entity_name = "text", org_ids = "any", track_id = "track_id", version = "text",
  connect_timeout = "seconds", timeout = "seconds", stall_timeout = "seconds", total_timeout = "seconds",
  retries = "count", retry_after_limit = "delay", rate_reserve = "fraction",
  max_connections = "positive", concurrency_limit = "positive", memory_limit = "positive", tmpdir = "line",
  proxy = "any#", no_proxy = "line", ca_file = "line", user_agent = "line",
  on_retry = "function", on_response = "function", log = "function",
}

local DEFAULTS = {
  connect_timeout = 10, timeout = 125, stall_timeout = 60, total_timeout = 300,
  retries = 3, retry_after_limit = 300, rate_reserve = 0.05,
  max_connections = 8, concurrency_limit = 40, memory_limit = 64 * 1024 * 1024,
}

-- --- what the options say ----------------------------------------------------------------------------

local function bases_of(options, kind)
  if options.environment and options.base_url then
    check.fail(WHERE, "environment", "either environment or base_url, not both", 1)
  end
  local origins
  if options.environment then
    origins = hosts.environments[options.environment]
    if not origins then
      local names = {}
      for name in pairs(hosts.environments) do names[#names + 1] = name end
      table.sort(names)
      check.fail(WHERE, "environment", "one of " .. table.concat(names, ", ") .. " expected", 1)
    end
  elseif options.base_url then
    local url, problem = hosts.normalise(options.base_url)
    if not url then check.fail(WHERE, "base_url", problem, 1) end
    origins = { rest = url, zconnect = url, apps = url }
  end
  local given = {}
  for _, base in ipairs { "reporting", "aqua", "files" } do
    if options[base .. "_url"] then
      local url, problem = hosts.normalise(options[base .. "_url"])
      if not url then check.fail(WHERE, base .. "_url", problem, 1) end
      given[base] = url
    end
  end
  local all_given = given.reporting and given.aqua and given.files
  if not (origins or all_given and kind ~= "oauth") then
    check.fail(WHERE, "environment", "missing: an environment, or base_url", 1)
  end
  local bases = {}
  if origins then
    local derived, problem = hosts.bases(origins, options.legacy == true)
    if not (derived or all_given) then check.fail(WHERE, "legacy", problem, 1) end
    bases = derived or bases
  end
  local families = {}
  for base in pairs(bases) do families[base] = options.legacy and "legacy" or "rest" end
  families.rest, families.queries, families.describe = nil, nil, nil -- one family has them
  for base, url in pairs(given) do bases[base], families[base] = url, nil end
  return bases, families
end

-- Exactly one kind of credentials, and that whole.
local function credential_kind(options)
  local kinds = {}
  if options.client_id or options.client_secret then kinds[#kinds + 1] = "oauth" end
  if options.token ~= nil then kinds[#kinds + 1] = "token" end
  if options.username or options.password then kinds[#kinds + 1] = "password" end
  if #kinds == 0 then
    check.fail(WHERE, "client_id", "missing, and so are client_secret, token, username and password: one kind of "
      .. "credentials is needed, and a variable of the environment that is not set is nil", 1)
  elseif #kinds > 1 then
    check.fail(WHERE, "token", "exactly one kind of credentials expected: client_id and client_secret, token, or "
      .. "username and password", 1)
  end
  local function both(first, second)
    if not options[first] then check.fail(WHERE, first, "missing", 2) end
    if not options[second] then check.fail(WHERE, second, "missing", 2) end
  end
  if kinds[1] == "oauth" then both("client_id", "client_secret") end
  if kinds[1] == "password" then both("username", "password") end
  if kinds[1] == "token" and type(options.token) ~= "function" and not credentials.is_token(options.token) then
    check.fail(WHERE, "token", "a bearer token (letters, digits and - . _ ~ + / =) or a function expected, got "
      .. type(options.token), 1)
  end
  if options.legacy and kinds[1] ~= "password" then
    check.fail(WHERE, "legacy", "the legacy hosts take username and password only", 1)
  end
  return kinds[1]
end

-- The header that names the entity: OAuth has one by id, passwords have two, of which one may be sent.
local function entity_header(kind)
  return function(id)
    if kind == "password" then return "entityId", id end
    return "Zuora-Entity-Ids", check.hyphenated(id)
  end
end

local function org_ids_of(value)
  if value == nil then return nil end
  if type(value) == "table" then
    check.value(WHERE, "org_ids", value, "list", 2)
    for _, id in ipairs(value) do check.value(WHERE, "org_ids", id, "text", 2) end
    value = table.concat(value, ",")
  end
  return check.value(WHERE, "org_ids", value, "text", 2)
end

-- The headers that stand for each base, besides the credentials.
local function standing_headers(options, kind)
  if options.entity_id and options.entity_name then
    check.fail(WHERE, "entity_name", "either entity_id or entity_name, not both", 1)
  end
  if options.entity_name and kind ~= "password" then
    check.fail(WHERE, "entity_name", "goes with username and password; with a token use entity_id", 1)
  end
  local everywhere = {}
  if options.entity_id then
    local name, value = entity_header(kind)(options.entity_id)
    everywhere[name] = value
  end
  everywhere.entityName = options.entity_name
  everywhere["Zuora-Track-Id"] = options.track_id
  if options.version and not (options.version:match("^%d%d%d%d%-%d%d%-%d%d$") or options.version:match("^%d+%.?%d*$"))
  then
    check.fail(WHERE, "version", "a date such as 2025-08-12 or a number such as 186.0 expected", 1)
  end
  -- Reporting documents neither of the two.
  local aqua = check.rules(everywhere, { ["Zuora-Org-Ids"] = org_ids_of(options.org_ids),
    ["Zuora-Version"] = options.version })
  -- The token endpoint is given no entity: one token may serve several.
  return { oauth = { ["Zuora-Track-Id"] = options.track_id }, reporting = everywhere, aqua = aqua, files = aqua,
    queries = aqua, describe = aqua, rest = aqua }
end

-- --- putting it together -----------------------------------------------------------------------------

-- What every exchange is told; `core` calls it "defaults".
local function exchange_defaults(options, setting)
  if options.proxy ~= nil and not hosts.is_proxy(options.proxy) then
    check.fail(WHERE, "proxy", "host:port or a URL with http, https or socks expected, or \"\" for none", 1)
  end
  return {
    connect_timeout = setting.connect_timeout, timeout = setting.timeout, stall_timeout = setting.stall_timeout,
    limit = setting.memory_limit,
    proxy = options.proxy, no_proxy = options.no_proxy, ca = options.ca_file,
    user_agent = options.user_agent or ("lua-zuora/%s %s"):format(client.VERSION, core.version),
  }
end

local function settings_of(options, kind)
  local settings = { legacy = options.legacy == true, by_password = kind == "password" }
  for name, value in pairs(DEFAULTS) do
    settings[name] = options[name]
    if settings[name] == nil then settings[name] = value end
  end
  for _, name in ipairs { "on_retry", "on_response", "log" } do settings[name] = options[name] end
  settings.tmpdir = options.tmpdir or (os.getenv "TMPDIR" or ""):match "^.+" or "/tmp" -- empty is not set
  return settings
end

local function credentials_of(options, kind, caller)
  if kind == "password" then return credentials.password(options, caller.bases) end
  if kind == "token" then return credentials.token(options.token) end
  local form = { client_id = options.client_id, client_secret = options.client_secret,
    grant_type = "client_credentials" }
  return credentials.oauth(caller.loop, form, function(left)
    local body, err = caller:json(core.operations.oauth.token, form, {
      total_timeout = math.max(0.001, math.min(caller.settings.total_timeout, left.deadline)), retries = left.retries,
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
---@param options table see the README
---@param seams { clock: table|nil, random: function|nil }|nil what specs put in the place of the machine's
---@return zuora.Client
function client.new(options, seams)
  seams = seams or {}
  if type(options) ~= "table" then check.fail(WHERE, "options", "table expected, got " .. type(options)) end
  check.options(WHERE, options, OPTIONS)
  local kind = credential_kind(options)
  local bases, families = bases_of(options, kind)
  local standing = standing_headers(options, kind)
  local settings = settings_of(options, kind)
  local random = seams.random or math.random
  local clock = seams.clock or loop.clock(core)
  local defaults = exchange_defaults(options, settings)

  local session = core.session { max_connections = settings.max_connections }
  local connection = core.connection { session = session, bases = bases, defaults = defaults }
  if bases.oauth then connection:headers("oauth", standing.oauth) end
  local own_loop = loop.new(session, clock, options.log)
  local caller = call.new {
    connection = connection, bases = bases, families = families, standing = standing, settings = settings,
    loop = own_loop, clock = clock, random = random,
    limits = limits.new(clock.now, settings.rate_reserve),
    limiter = limiter.new(own_loop, settings.concurrency_limit),
    policy = retry.new { retry_after_limit = settings.retry_after_limit, random = random },
    entity_header = entity_header(kind),
  }
  caller.credentials = credentials_of(options, kind, caller)

  local runs = reportruns.new(caller)
  local self = setmetatable({
    reports = reports.new(caller, runs),
    reportruns = runs,
    jobs = jobs.new(caller),
    files = files.new(caller),
    queries = queries.new(caller),
    describe = describe.new(caller),
  }, Client)
  parts_of[self] = { session = session, caller = caller, loop = caller.loop }
  return self
end

-- --- the client itself -------------------------------------------------------------------------------

local function open_parts(self, where)
  local parts = parts_of[self]
  if not parts then error(("client:%s was called without its object: write it with a colon"):format(where), 3) end
  if parts.caller.closed then error(("client:%s: attempt to use a closed client"):format(where), 3) end
  if parts.session:inherited() then error(("client:%s: %s"):format(where, call.INHERITED), 3) end
  return parts
end

local function check_functions(where, ...)
  local functions = table.pack(...)
  if functions.n == 0 then check.fail(where, "f", "a function expected, got nothing", 1) end
  for i = 1, functions.n do
    if type(functions[i]) ~= "function" then
      check.fail(where, "f", ("function expected as argument %d, got %s"):format(i, type(functions[i])), 1)
    end
  end
  return functions
end

--- Runs functions side by side as tasks, until they and all that they spawned have ended.
---@param f function
---@param ... function
---@return any ... all results of one function, or the first result of each; an error is raised unchanged
function Client:run(f, ...)
  local parts = open_parts(self, "run")
  return parts.loop:run(check_functions("client:run", f, ...))
end

--- Starts a task.
---@param f function
---@return zuora.Task task with task:join(), task:cancel() and task:traceback()
function Client:spawn(f)
  local parts = open_parts(self, "spawn")
  check_functions("client:spawn", f)
  return parts.loop:spawn(f)
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
---@param options { concurrency: integer|nil, on_error: "stop"|"collect"|nil }|nil concurrency: items at a time
--- (8); on_error = "stop": the first failure cancels what goes on, and no further item is begun
---@return table|nil results f's first result for each item, in their order, and results.n, the number of items;
--- nil after a failure ("stop")
---@return any errors "stop": the error; "collect": a table of errors by index, empty when there was none
---@return integer|nil index "stop": of the item that failed
function Client:map(items, f, options)
  local parts = open_parts(self, "map")
  check.value("client:map", "items", items, "array")
  check.value("client:map", "f", f, "function")
  options = check.options("client:map", options, MAP_OPTIONS)
  local collect = options.on_error == "collect"
  local work = collect and function(item, index) return collected(pcall(f, item, index)) end or f
  return parts.loop:map(items, work, options.concurrency or 8, collect)
end

--- A pause that lets other tasks run.
---@param seconds number
function Client:sleep(seconds)
  local parts = open_parts(self, "sleep")
  check.value("client:sleep", "seconds", seconds, "delay")
  parts.loop:sleep(seconds)
end

--- Moves everything on for at most `seconds`.
---@param seconds number
---@return boolean busy true while anything is left to do
function Client:step(seconds)
  local parts = open_parts(self, "step")
  check.value("client:step", "seconds", seconds, "delay")
  return parts.loop:step(seconds)
end

--- Any call of Zuora's REST API, with this client's credentials, retries and errors: for what has no function
-- of its own.
---@param call_of table path: "/v1/accounts/A-1", each part of it escaped (zuora.escape); method: "GET" by default;
--- query: { name = value or list of values }; body: a table is sent as JSON, a string as it is, with content_type;
--- base: "rest" (default), "reporting", "aqua", "files": what the path is below; headers: more of them; accept:
--- the media type that is wanted ("application/json"); safe = true: a POST that only reads, and may be sent again;
--- and the per-call options
---@return any|nil value of JSON its value, else the text
---@return { status: integer, headers: table<string, string> }|zuora.Error|nil answer or err
function Client:request(call_of)
  return raw.request(open_parts(self, "request").caller, call_of)
end

--- What Zuora said last of this tenant's limits: with how many requests left it is nearly reached.
---@return { rate: table|nil, concurrency: table|nil, authentication: table|nil } limits
--- rate = { limit, remaining, reset (seconds from then), window (seconds), quotas = { [seconds] = limit } },
--- concurrency = { limit, remaining, type }, authentication = { limit, remaining } (of the minute, by address);
--- each with age (seconds since it was said), and nil as long as it was not
function Client:limits()
  return open_parts(self, "limits").caller.limits:view()
end

--- What an event loop has to watch before the next client:step(0).
---@return table<integer, "r"|"w"|"rw"> fds, number|nil seconds until then at the latest
function Client:fds()
  return open_parts(self, "fds").loop:fds()
end

--- Ends everything that goes on and closes all connections. Twice is fine. In a child made by fork it
-- does nothing: all that is its parent's.
function Client:close()
  local parts = parts_of[self]
  if not parts then error("client:close was called without its object: write it with a colon", 2) end
  if parts.caller.closed or parts.session:inherited() then return end
  parts.loop:close()
  parts.caller.closed = true
  parts.session:close()
end

Client.__close = Client.close

function Client:__tostring()
  local parts = parts_of[self]
  local bases = parts.caller.bases
  return ("zuora.Client (%s%s)"):format(hosts.authority(bases.reporting), parts.caller.closed and ", closed" or "")
end

return client
