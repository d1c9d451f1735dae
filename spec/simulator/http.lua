--- What the specs of the simulator's calls share: plain requests by the bare core, with credentials.

local core = require "zuora.core"
local support = require "spec.support"

local http = {}

local Caller = {}
Caller.__index = Caller

--- A request: status, body (decoded when it is JSON), headers.
function Caller:ask(method, path, headers, body)
  local response = assert(support.finish(self.session, self:start(method, path, headers, body)))
  return response.status, core.decode(response.body) or response.body, response.headers
end

--- The same, with a table as JSON.
function Caller:send(method, path, headers, value)
  local all = { ["Content-Type"] = "application/json" }
  for name, one in pairs(headers or {}) do all[name] = one end
  return self:ask(method, path, all, type(value) == "string" and value or core.encode(value))
end

--- A request that has begun. A path may be a whole URL.
function Caller:start(method, path, headers, body)
  return self.session:start { method = method, url = path:find "^http" and path or self.sim.url .. path,
    headers = headers, body = body, proxy = "", fresh = self.fresh }
end

--- The headers of who has a token, and those of who has user and password.
function Caller:bearer(more)
  if not self.token then
    self.token = select(2, self:ask("POST", "/oauth/token", { ["Content-Type"] = "application/x-www-form-urlencoded" },
      ("client_id=%s&client_secret=%s&grant_type=client_credentials"):format(self.sim.client_id,
        core.escape(self.sim.client_secret)))).access_token
  end
  local headers = { Authorization = "Bearer " .. self.token }
  for name, value in pairs(more or {}) do headers[name] = value end
  return headers
end

function Caller:keys()
  return { apiAccessKeyId = self.sim.username, apiSecretAccessKey = self.sim.password }
end

function Caller:close()
  self.session:close()
  self.sim:stop()
end

--- A simulator of these settings, and who asks it.
---@param settings table|nil
---@param connections integer|nil of the session at most
function http.open(settings, connections)
  return setmetatable({ sim = support.simulator(settings),
    session = core.session { max_connections = connections } }, Caller)
end

return http
