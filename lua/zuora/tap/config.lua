--- The configuration of a tap: tap-zuora's keys, and ours.

local ascii = require "zuora.support.ascii"
local disk = require "zuora.extract.base.disk"
local json = require "zuora.extract.base.json"
local zuora = require "zuora"

local raise = require "zuora.error".raise

local config = {}

-- What goes to the client as it is.
local SETTINGS = { "environment", "base_url", "reporting_url", "aqua_url", "files_url", "client_id", "client_secret",
  "client_secret_command", "token", "token_command", "username", "password", "password_command", "legacy", "entity_id",
  "entity_name", "org_ids", "track_id", "ca_file", "proxy", "no_proxy", "user_agent", "retries", "timeout",
  "stall_timeout", "total_timeout", "max_connections" }

-- What goes into a plan as it is.
local PLAN = { "every", "settle", "wait", "concurrency", "split" }

local OTHERS = { "auth_type", "start_date", "api_type", "partner_id", "sandbox", "european", "select", "decimals" }

-- Where tap-zuora looks for a tenant: by sandbox and european. Of two the one is taken that knows the credentials.
local TENANTS = { ["false false"] = { "us1", "us2" }, ["true false"] = { "us1-sandbox", "us2-sandbox" },
  ["false true"] = { "eu" }, ["true true"] = { "eu-sandbox" } }

local function fail(path, words, ...) raise("plan", "%s: " .. words, path, ...) end

--- Reads a file that holds a JSON object.
---@param path string
---@return table
function config.object(path)
  local text = disk.read(path)
  if not text then fail(path, "cannot be read") end
  local value, problem = json.decode(text)
  -- (What cannot be read may hold a secret: none of it is shown.)
  if type(value) ~= "table" then fail(path, "a JSON object expected%s", problem and ", and this is no JSON" or "") end
  return value
end

-- Truth, or a text of it: tap-zuora knows texts alone.
local function truth(path, given, name)
  local value = given[name]
  if value == nil or value == "" then return false end
  local text = ascii.lower(tostring(value))
  if text ~= "true" and text ~= "false" then fail(path, "%s: true or false expected", name) end
  return text == "true"
end

local function choice(path, given, name, words)
  local value = given[name]
  if value == nil then return nil end
  for _, word in ipairs(words) do
    if value == word then return value end
  end
  fail(path, "%s: one of %s expected", name, table.concat(words, ", "))
end

local function start_of(path, text)
  if text == nil or text == "" then return nil end
  local seconds = type(text) == "string" and zuora.time(text)
  if not seconds then fail(path, "start_date: a time such as 2026-01-01T00:00:00Z expected") end
  return math.floor(seconds)
end

local function names_of(path, list)
  if list == nil then return nil end
  if type(list) ~= "table" or #list == 0 then fail(path, "select: a list of names of objects expected") end
  for _, name in ipairs(list) do
    if type(name) ~= "string" then fail(path, "select: a list of names of objects expected") end
  end
  return list
end

-- What zuora.new is given, but for the tenant where that has to be found.
local function settings_of(path, given)
  local settings = {}
  for _, name in ipairs(SETTINGS) do
    if given[name] ~= "" then settings[name] = given[name] end
  end
  if choice(path, given, "auth_type", { "BASIC", "OAUTH" }) == "OAUTH" and not settings.client_id then
    settings.client_id, settings.client_secret = settings.username, settings.password
    settings.username, settings.password = nil, nil
  end
  return settings
end

local function unknown_in(given)
  local known, unknown = {}, {}
  for _, list in ipairs { SETTINGS, PLAN, OTHERS } do
    for _, name in ipairs(list) do known[name] = true end
  end
  for name in pairs(given) do
    if not known[name] then unknown[#unknown + 1] = tostring(name) end
  end
  table.sort(unknown)
  return unknown
end

--- Reads a configuration.
---@param path string
---@return { settings: table, tenants: string[]|nil, plan: table, start: integer|nil, select: string[]|nil,
--- decimals: string, unknown: string[] } config settings: for zuora.new; tenants: environments of which one is the
--- right one (nil: settings or others say it); start: seconds; raises what is wrong with it
function config.read(path)
  local given = config.object(path)
  local settings, plan = settings_of(path, given), {}
  for _, name in ipairs(PLAN) do plan[name] = given[name] end
  choice(path, given, "api_type", { "AQUA", "REST" })
  local tenants
  if not (settings.environment or settings.base_url or settings.reporting_url)
    and (given.sandbox ~= nil or given.european ~= nil or given.api_type ~= nil) then
    tenants = TENANTS[("%s %s"):format(truth(path, given, "sandbox"), truth(path, given, "european"))]
  end
  return { settings = settings, tenants = tenants, plan = plan, start = start_of(path, given.start_date),
    select = names_of(path, given.select), unknown = unknown_in(given),
    decimals = choice(path, given, "decimals", { "number", "string" }) or "number" }
end

return config
