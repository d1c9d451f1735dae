--- What the options of zuora.new say: which are known, what they are without being given, and which go together.
--- What cannot be meant is raised at the user's line. Pure: nothing is opened, nothing sent.

local check = require "zuora.support.check"
local credentials = require "zuora.caller.credentials"
local hosts = require "zuora.caller.hosts"

local settings = {}

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
  on_retry = "function", on_request = "function", on_response = "function", log = "function",
}

local DEFAULTS = {
  connect_timeout = 10, timeout = 125, stall_timeout = 60, total_timeout = 300,
  retries = 3, retry_after_limit = 300, rate_reserve = 0.05,
  max_connections = 8, concurrency_limit = 40, memory_limit = 64 * 1024 * 1024,
}

-- --- what the options say ----------------------------------------------------------------------------

local function bases_of(options, method)
  if options.environment and options.base_url then
    check.fail(WHERE, "environment", "either environment or base_url, not both")
  end
  local origins
  if options.environment then
    origins = hosts.environments[options.environment]
    if not origins then
      local names = {}
      for name in pairs(hosts.environments) do names[#names + 1] = name end
      table.sort(names)
      check.fail(WHERE, "environment", "one of " .. table.concat(names, ", ") .. " expected")
    end
  elseif options.base_url then
    local url, problem = hosts.normalise(options.base_url)
    if not url then check.fail(WHERE, "base_url", problem) end
    origins = { rest = url, zconnect = url, apps = url }
  end
  local given = {}
  for _, base in ipairs { "reporting", "aqua", "files" } do
    if options[base .. "_url"] then
      local url, problem = hosts.normalise(options[base .. "_url"])
      if not url then check.fail(WHERE, base .. "_url", problem) end
      given[base] = url
    end
  end
  local all_given = given.reporting and given.aqua and given.files
  if not (origins or all_given and method ~= "oauth") then
    check.fail(WHERE, "environment", "missing: an environment, or base_url")
  end
  local bases = {}
  if origins then
    local derived, problem = hosts.bases(origins, options.legacy == true)
    if not (derived or all_given) then check.fail(WHERE, "legacy", problem) end
    bases = derived or bases
  end
  local families = {}
  for base in pairs(bases) do families[base] = options.legacy and "legacy" or "rest" end
  families.rest, families.queries, families.describe = nil, nil, nil -- one family has them
  for base, url in pairs(given) do bases[base], families[base] = url, nil end
  return bases, families
end

-- Exactly one kind of credentials, and that whole.
local function credentials_in(options)
  local methods = {}
  if options.client_id or options.client_secret then methods[#methods + 1] = "oauth" end
  if options.token ~= nil then methods[#methods + 1] = "token" end
  if options.username or options.password then methods[#methods + 1] = "password" end
  if #methods == 0 then
    check.fail(WHERE, "client_id", "missing, and so are client_secret, token, username and password: one kind of "
      .. "credentials is needed, and a variable of the environment that is not set is nil")
  elseif #methods > 1 then
    check.fail(WHERE, "token", "exactly one kind of credentials expected: client_id and client_secret, token, or "
      .. "username and password")
  end
  local function both(first, second)
    if not options[first] then check.fail(WHERE, first, "missing") end
    if not options[second] then check.fail(WHERE, second, "missing") end
  end
  if methods[1] == "oauth" then both("client_id", "client_secret") end
  if methods[1] == "password" then both("username", "password") end
  if methods[1] == "token" and type(options.token) ~= "function" and not credentials.is_token(options.token) then
    check.fail(WHERE, "token", "a bearer token (letters, digits and - . _ ~ + / =) or a function expected, got "
      .. type(options.token))
  end
  if options.legacy and methods[1] ~= "password" then
    check.fail(WHERE, "legacy", "the legacy hosts take username and password only")
  end
  return methods[1]
end

-- The header that names the entity: OAuth has one by id, passwords have two, of which one may be sent.
local function entity_header(method)
  return function(id)
    if method == "password" then return "entityId", id end
    return "Zuora-Entity-Ids", check.hyphenated(id)
  end
end

local function org_ids_of(value)
  if value == nil then return nil end
  if type(value) == "table" then
    check.value(WHERE, "org_ids", value, "list")
    for _, id in ipairs(value) do check.value(WHERE, "org_ids", id, "text") end
    value = table.concat(value, ",")
  end
  return check.value(WHERE, "org_ids", value, "text")
end

-- The headers of every request to a base, besides the credentials.
local function default_headers(options, method)
  if options.entity_id and options.entity_name then
    check.fail(WHERE, "entity_name", "either entity_id or entity_name, not both")
  end
  if options.entity_name and method ~= "password" then
    check.fail(WHERE, "entity_name", "goes with username and password; with a token use entity_id")
  end
  local everywhere = {}
  if options.entity_id then
    local name, value = entity_header(method)(options.entity_id)
    everywhere[name] = value
  end
  everywhere.entityName = options.entity_name
  everywhere["Zuora-Track-Id"] = options.track_id
  if options.version and not (options.version:match("^%d%d%d%d%-%d%d%-%d%d$") or options.version:match("^%d+%.?%d*$"))
  then
    check.fail(WHERE, "version", "a date such as 2025-08-12 or a number such as 186.0 expected")
  end
  -- Reporting documents neither of the two.
  local aqua = check.rules(everywhere, { ["Zuora-Org-Ids"] = org_ids_of(options.org_ids),
    ["Zuora-Version"] = options.version })
  -- The token endpoint is given no entity: one token may serve several.
  return { oauth = { ["Zuora-Track-Id"] = options.track_id }, reporting = everywhere, aqua = aqua, files = aqua,
    queries = aqua, describe = aqua, rest = aqua }
end

-- What every request is told.
local function request_defaults(options, values)
  if options.proxy ~= nil and not hosts.is_proxy(options.proxy) then
    check.fail(WHERE, "proxy", "host:port or a URL with http, https or socks expected, or \"\" for none")
  end
  return {
    connect_timeout = values.connect_timeout, timeout = values.timeout, stall_timeout = values.stall_timeout,
    limit = values.memory_limit,
    proxy = options.proxy, no_proxy = options.no_proxy, ca = options.ca_file,
    user_agent = options.user_agent,
  }
end

local function values_of(options, method)
  local values = { legacy = options.legacy == true, by_password = method == "password" }
  for name, value in pairs(DEFAULTS) do
    values[name] = options[name]
    if values[name] == nil then values[name] = value end
  end
  for _, name in ipairs { "on_retry", "on_request", "on_response", "log" } do values[name] = options[name] end
  values.tmpdir = options.tmpdir or (os.getenv "TMPDIR" or ""):match "^.+" or "/tmp" -- empty is not set
  return values
end

--- Reads the options.
---@param options table see zuora.Options
---@return table read credentials ("oauth", "token" or "password"), bases, families ("rest" or "legacy", of those bases
--- that were not given by themselves), default_headers (by base), values (each setting as it stands), defaults (what
--- every request is told), entity_header(id)
function settings.read(options)
  if type(options) ~= "table" then check.fail(WHERE, "options", "table expected, got " .. type(options)) end
  check.options(WHERE, options, OPTIONS)
  local method = credentials_in(options)
  local bases, families = bases_of(options, method)
  local headers = default_headers(options, method)
  local values = values_of(options, method)
  return { credentials = method, bases = bases, families = families, default_headers = headers, values = values,
    defaults = request_defaults(options, values), entity_header = entity_header(method) }
end

return settings
