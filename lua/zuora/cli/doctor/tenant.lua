--- What the doctor asks Zuora itself: are the credentials taken, and if not, are they elsewhere; which APIs may be
--- used; how much is left of the limits.

local zuora = require "zuora"

local tenant = {}

-- Seconds, and tries: the doctor tells of what goes wrong, rather than to wait until it is over.
local TOTAL, CONNECT, RETRIES = 20, 5, 0

-- An id that nothing has.
local NOBODY = ("0"):rep(32)

-- pcall, which Ctrl-C goes through.
local function attempt(f, ...)
  local results = table.pack(pcall(f, ...))
  if not results[1] and tostring(results[2]):find "interrupted!$" then error(results[2], 0) end
  return table.unpack(results, 1, results.n)
end

--- A client with these settings, impatient.
---@param settings table
---@param more table|nil
---@return zuora.Client|nil client
---@return string|nil problem what is wrong with the settings
function tenant.client(settings, more)
  local options = {}
  for name, value in pairs(settings) do options[name] = value end
  options.total_timeout, options.connect_timeout, options.retries = TOTAL, CONNECT, RETRIES
  options.on_retry, options.on_response, options.log = nil, nil, nil
  for name, value in pairs(more or {}) do options[name] = value or nil end
  local ok, made = attempt(zuora.new, options)
  if ok then return made end
  return nil, (tostring(made):gsub("^[^\n]-:%d+: ", ""):gsub("\n.*", ""))
end

-- --- credentials -------------------------------------------------------------------------------------

-- Credentials that are asked for before a call, or with the first one.
local function try(client)
  local done, err = client:authenticate()
  if not done then return nil, err end
  done, err = client.reports:search "zuora doctor"
  if done or err.kind ~= "auth" or err.status ~= 401 then return true end
  return nil, err
end

local function is_zuoras(settings)
  if settings.environment then return true end
  for _, place in pairs(zuora.environments) do
    if settings.base_url == place.rest then return true end
  end
  return false
end

local function names_of(places)
  local names = {}
  for name in pairs(places) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The data centre that takes the credentials that this one refuses. (Those of somebody else's host are not shown to
--- Zuora's.)
---@param places table<string, { rest: string }>|nil nil: Zuora's
---@return string|nil name
local function elsewhere(settings, places)
  if not places and not is_zuoras(settings) then return nil end
  for _, name in ipairs(names_of(places or zuora.environments)) do
    local place = (places or zuora.environments)[name]
    if name ~= settings.environment and place.rest ~= settings.base_url then
      local client <close> = tenant.client(settings, { environment = not places and name,
        base_url = places and place.rest or false, reporting_url = false, aqua_url = false, files_url = false,
        total_timeout = CONNECT })
      if client and try(client) then return name end
    end
  end
  return nil
end

local CURES = {
  oauth = "check client_id and client_secret (Zuora shows a secret once: have a new one made in Settings, Manage "
    .. "Users, OAuth Clients), and that the client's user is active",
  token = "the token may have ended: have a new one made, or give client_id and client_secret",
  password = "check user name and password, and that the user is active and may use the API",
}

--- Are the credentials taken?
---@return boolean taken
function tenant.token(report, settings, client, places)
  local kind = settings.client_id and "oauth" or settings.token ~= nil and "token" or "password"
  local done, err = try(client)
  if done then
    report("ok", "credentials", kind == "oauth" and "a token is given for them" or "they are taken")
    return true
  end
  if err.kind ~= "auth" then
    report("fail", "credentials", tostring(err), "try again later", 75)
    return false
  end
  local place = elsewhere(settings, places)
  if place then
    report("fail", "credentials", ("they are of another data centre: %s takes them, this one does not"):format(place),
      ("--environment %s, or ZUORA_ENVIRONMENT=%s"):format(place, place), 4)
  else
    report("fail", "credentials", "they are refused: " .. tostring(err), CURES[kind], 4)
  end
  return false
end

-- --- permissions -------------------------------------------------------------------------------------

-- A harmless call of each API, and what whoever lacks it has to ask for.
local CALLS = {
  { "Reporting", "the user's role needs the Reporting permissions (Settings, Administration, Manage User Roles, "
    .. "Reporting Role)", function(client) return client.reports:search "zuora doctor" end },
  { "AQuA", "the user's role needs the API write permission, and the tenant AQuA",
    function(client) return client.jobs:get(NOBODY) end },
  { "Data Query", "the user's role needs the Data Query permission, and the tenant Data Query",
    function(client) return client.queries:list { page_size = 1 } end },
  { "describe", "the user's role needs access to the REST API",
    function(client) return client:request { path = "/v1/describe", accept = "application/xml" } end },
}

local PERMISSION = { permission = true, authentication = true }

local function is_refusal(err)
  return err.kind == "auth" or err.status == 401 or err.status == 403 or PERMISSION[err.category] or err.code == "90009"
end

-- That there is no such job was said to somebody who may ask.
local function is_absence(err)
  return err.status == 404 or err.kind == "not_found" or err.category == "not_found" or err.code == "90002"
end

--- May each API be used?
function tenant.permissions(report, client)
  for _, one in ipairs(CALLS) do
    local name, cure, call = table.unpack(one)
    local ok, done, err = attempt(call, client)
    if not ok and type(done) == "string" then
      report("note", name, "not on these hosts")
    elseif ok and (done or is_absence(err)) then
      report("ok", name, "may be used")
    else
      err = err or done
      if is_refusal(err) then
        report("fail", name, "no permission: " .. tostring(err), cure, 4)
      else
        report("fail", name, tostring(err), "try again later", 75)
      end
    end
  end
end

--- What is left of the limits.
function tenant.limits(report, client)
  local limits = client:limits()
  for _, one in ipairs { { "rate", "requests a minute" }, { "concurrency", "requests at once" } } do
    local limit = limits[one[1]]
    if limit and limit.remaining and limit.limit then
      local text = ("%d of %d %s are left"):format(limit.remaining, limit.limit, one[2])
      local is_low = limit.remaining < limit.limit / 10
      report(is_low and "note" or "ok", "limits", text,
        is_low and "others use this tenant, too: run it at another time" or nil)
    end
  end
end

return tenant
