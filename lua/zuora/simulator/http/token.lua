--- The token endpoint.

local access = require "zuora.simulator.http.access"
local form = require "zuora.simulator.http.form"
local json = require "zuora.simulator.engine.json"
local replies = require "zuora.simulator.http.replies"
local samples = require "zuora.simulator.http.samples"

local PATH = "/oauth/token"

local function answer(request, tenant)
  if request.method ~= "POST" then return replies.reasons(405, 50000045, "Method not allowed.") end
  if not (request.headers["content-type"] or ""):match("^application/x%-www%-form%-urlencoded") then
    return replies.json(415, { status = 415, error = "Unsupported Media Type", message =
      "Content type '" .. (request.headers["content-type"] or "") .. "' not supported", path = PATH })
  end
  local given = form.parse(request.body)
  -- RFC 6749 lets a client name itself by HTTP Basic, too.
  local basic = access.basic_of(request)
  if basic then given.client_id, given.client_secret = basic:match("^([^:]*):(.*)$") end
  if given.grant_type ~= "client_credentials" then
    return replies.json(400, { status = 400, error = "unsupported_grant_type",
      message = "Unsupported grant type: " .. tostring(given.grant_type), path = PATH })
  end
  if given.client_id ~= tenant.client_id then
    return replies.json(400, { status = 400, message = "Invalid client id", path = PATH })
  end
  if given.client_secret ~= tenant.client_secret then
    return replies.json(401, { status = 401, error = "Unauthorized", message = "Bad credentials",
      path = PATH })
  end
  local fields = json.decode(samples.token)
  fields.access_token, fields.expires_in = tenant:new_token(), tenant.token_life
  return replies.json(200, fields)
end

return {
  { "*", "", answer },
}
