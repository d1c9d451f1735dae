--- Which path is whose: the table of all of them, and how it is read.
--
-- A route is a method ("*" for any), a pattern of the path below the base, and handler(request, tenant,
-- captures …), which gives a response.

local access = require "zuora.simulator.http.access"
local aqua = require "zuora.simulator.http.aqua"
local bucket = require "zuora.simulator.http.bucket"
local describe = require "zuora.simulator.http.describe"
local queries = require "zuora.simulator.http.queries"
local replies = require "zuora.simulator.http.replies"
local reporting = require "zuora.simulator.http.reporting"
local reports = require "zuora.simulator.http.reports"
local token = require "zuora.simulator.http.token"

local routes = {}

local function login_failed()
  return replies.json(401, { success = false, message = "Token could not be decrypted.", errorCode = "loginFailed" })
end

local ANY = { access.bearer, access.keys, access.basic }

-- Who may come in, by which of these credentials, and what the others are told. A base that asks for none has
-- rules of its own for headers, too.
local BASES = {
  { "/oauth/token", { token } },
  { bucket.BASE, { bucket.routes } },
  { "/reporting/api/rest/v1", { reporting, reports.current }, { access.bearer }, replies.unauthorized },
  { "/api/rest/v1", { reporting, reports.legacy }, { access.keys }, login_failed },
  { "/v1/batch-query", { aqua.jobs }, ANY, replies.unauthorized },
  { "/apps/api/batch-query", { aqua.jobs }, ANY, replies.unauthorized },
  { "/v1/files", { aqua.files }, ANY, replies.unauthorized },
  { "/v1/file", { aqua.files }, ANY, replies.unauthorized },
  { "/apps/api/file", { aqua.files }, ANY, replies.unauthorized },
  { "/v1/describe", { describe }, ANY, replies.unauthorized },
  { "/query/jobs", { queries }, { access.bearer, access.keys }, replies.unauthorized },
}

--- Doubled and trailing slashes are taken, as Zuora takes them.
---@param path string
---@return string
function routes.canonical(path)
  return (path:gsub("//+", "/"):gsub("/$", ""))
end

--- Is the path below that base, or the base itself?
function routes.is_below(path, base)
  return path:sub(1, #base) == base and (#path == #base or path:sub(#base + 1, #base + 1) == "/")
end

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

local function refusal_of(request, tenant, checks, refuse)
  if not checks then return nil end
  for _, check in ipairs(checks) do
    if check(request, tenant) then return header_problem(request) end
  end
  return refuse()
end

local function handler_of(lists, method, rest)
  for _, list in ipairs(lists) do
    for _, route in ipairs(list) do
      local captures = (route[1] == method or route[1] == "*") and table.pack(rest:match("^" .. route[2] .. "$"))
      if captures and captures[1] then return route[3], captures end
    end
  end
  return nil
end

--- Who asks, and for what: a refusal, or what gives the answer that belongs to the request itself.
---@param request table
---@param tenant table
---@return table|nil refusal, (fun(): table)|nil answer
function routes.find(request, tenant)
  local path = routes.canonical(request.path)
  local method = request.method == "HEAD" and "GET" or request.method
  for _, entry in ipairs(BASES) do
    local base, lists, checks, refuse = table.unpack(entry, 1, 4)
    if routes.is_below(path, base) then
      local refusal = refusal_of(request, tenant, checks, refuse)
      if refusal then return refusal end
      local handler, captures = handler_of(lists, method, path:sub(#base + 1))
      if handler then
        return nil, function() return handler(request, tenant, table.unpack(captures, 1, captures.n)) end
      end
    end
  end
  return replies.reasons(404, 50000040, "No such path: " .. path)
end

return routes
