--- What the simulator was asked, for who tests: every request, without its credentials.

local routes = require "zuora.simulator.http.routes"
local socket = require "socket"

local journal = {}

local Journal = {}
Journal.__index = Journal

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
  if routes.canonical(request.path) == "/oauth/token" and request.body ~= "" then return "***" end
  return request.body
end

-- A link to a result is a credential, too.
local function masked_target(target)
  return (target:gsub("(client_secret=)[^&]*", "%1***"):gsub("(X%-Amz%-Signature=)[^&]*", "%1***"))
end

---@param request table
function Journal:record(request)
  table.insert(self.requests, {
    method = request.method, path = request.path, target = masked_target(request.target),
    headers = masked_headers(request.headers), body = masked_body(request), connection = request.connection,
    time = math.floor((socket.gettime() - self.began) * 1000) / 1000,
  })
end

function Journal:forget() self.requests = {} end

function journal.new()
  return setmetatable({ requests = {}, began = socket.gettime() }, Journal)
end

return journal
