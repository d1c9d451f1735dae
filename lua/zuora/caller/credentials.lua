--- Who the client is: the headers that go with each base URL, and where a bearer token comes from.
--
-- Nothing that a user can print leads to the secrets in here.

local ascii = require "zuora.support.ascii"
local error_value = require "zuora.error"
local mask = require "zuora.caller.mask"

local credentials = {}

-- Seconds before its end at which a token is renewed; of a short-lived one, a tenth of its life.
local MARGIN = 300

-- The longest life that is believed, seconds.
local LONGEST = 7 * 24 * 3600

-- What RFC 6750 lets a bearer token be made of: nothing that could start another header.
local function is_token(token)
  return type(token) == "string" and token:match("^[A-Za-z0-9._~+/-]+=*$") ~= nil
end

credentials.is_token = is_token

-- Credentials are an object with
--   prepare(ends_at, retries) -> true | nil, err   makes sure, until then, that the headers below are there
--   headers(base) -> table      for a base ("reporting", "aqua", …)
--   renew(used) -> boolean      after a 401: is another token to be had? `used` is what `version` was
--   version                     counts changes of the headers
--   identity()                  who it is for, where that is known: "tenant.12345", or "user NAME"
--   mask(text) -> text          without the secrets, should a server have sent one back

--- User and password: the key headers, but HTTP Basic on the hosts of the UI ("/apps/api").
---@param options { username: string, password: string }
---@param bases table<string, string>
function credentials.password(options, bases)
  local keys = { apiAccessKeyId = options.username, apiSecretAccessKey = options.password }
  local pair = options.username .. ":" .. options.password
  local basic = { Authorization = "Basic " .. mask.base64(pair) }
  local secrets = { options.password, pair, options.username }
  return {
    version = 1,
    mask = function(_, text) return mask.text(text, secrets) end,
    prepare = function() return true end,
    headers = function(_, base) return bases[base]:find("/apps/api", 1, true) and basic or keys end,
    identity = function() return "user " .. options.username end,
    renew = function() return false end,
  }
end

--- A token that the user has, or a function that gives one: it is asked before each attempt, and may keep and renew
--- tokens as it likes.
---@param token string|function
function credentials.token(token)
  local is_fixed = type(token) == "string"
  local current, former = is_fixed and token or nil, nil
  local self, secrets = { version = 1 }, {}

  function self.prepare()
    if is_fixed then return true end
    local value, problem = token()
    if value == nil then
      return nil, error_value.new { kind = "auth",
        message = "the token function gave no token" .. (problem and ": " .. tostring(problem) or "") }
    elseif not is_token(value) then
      return nil, error_value.new { kind = "auth", message = "the token function gave no bearer token" }
    end
    if value ~= current then current, former, self.version = value, current, self.version + 1 end
    return true
  end

  function self.renew() return not is_fixed end
  function self.identity() return nil end
  function self.headers() return { Authorization = "Bearer " .. current } end
  function self.mask(_, text)
    secrets[1], secrets[2] = current, former
    return mask.text(text, secrets)
  end
  return self
end

-- What the token endpoint said: the token and its life in seconds, or an error.
local function read_token(body)
  local token_type = body.token_type
  if not is_token(body.access_token) then
    return nil, error_value.new { kind = "auth", message = "the token endpoint gave no bearer token" }
  end
  if token_type ~= nil and (type(token_type) ~= "string" or ascii.lower(token_type) ~= "bearer") then
    return nil, error_value.new { kind = "auth", message = "the token endpoint gave a token of another type" }
  end
  local life = tonumber(body.expires_in) or 3600
  if life ~= life then life = 3600 end
  return body.access_token, math.max(1, math.min(life, LONGEST))
end

local OAuth = {}
OAuth.__index = OAuth

-- The one before is still a secret: a call that it went out with may be answered now.
local function replace_token(self, token) self.token, self.former = token, self.token or self.former end

-- Does the token endpoint speak of the credentials? A limit or an outage says nothing about them.
local function is_refused(status) return status >= 400 and status < 500 and status ~= 408 and status ~= 429 end

local function fetch_token(self, ends_at, retries)
  local body, err = self.fetch(ends_at - self.scheduler.clock.now(), retries)
  if not body then
    local status = err.status or 0
    if is_refused(status) or err.code == "invalid_client" then err.kind = "auth" end
    if status >= 500 then err.retryable = true end
    err.message = "no token: " .. err.message
    return nil, err
  end
  local token, life = read_token(body)
  if not token then return nil, life end
  self.ends_at = self.scheduler.clock.now() + life - math.min(MARGIN, life / 10)
  replace_token(self, token)
  self.version = self.version + 1
  self.tenant = type(body.scope) == "string" and (" " .. body.scope .. " "):match " (tenant%.[%w_-]+) " or nil
  return true
end

-- Fetches a token while the others wait. However that ends (by an error, because its task was cancelled, or because its
-- coroutine was dropped), the others go on.
local function renew_for_all(self, ends_at, retries)
  local latch = self.scheduler:latch()
  latch.holder, latch.since = self.scheduler:context(), self.scheduler:tick()
  local function over()
    if self.renewing == latch then self.renewing = nil end
    latch:open()
  end
  local guard <close> = setmetatable({}, { __close = over, __gc = over })
  local _ <close> = guard -- see the top of tasks/scheduler.lua
  self.renewing = latch
  latch.done, latch.err = fetch_token(self, ends_at, retries)
  return latch.done, latch.err
end

function OAuth:prepare(ends_at, retries)
  local scheduler = self.scheduler
  local now = scheduler.clock.now
  while not (self.token and now() < self.ends_at) do
    local other = self.renewing
    -- A hook that is told of the token call, and makes a call itself, would wait for its own end.
    local is_own = other and other.since < (scheduler:lineage()[other.holder] or 0)
    local opened = other and not is_own and other:wait(ends_at - now())
    if other and opened == nil then
      return nil, error_value.new { kind = "timeout", message = "no token: another call was still fetching one" }
    end
    -- Where waiting could never end (see Latch:wait), this call fetches a token for itself.
    if not opened then return renew_for_all(self, ends_at, retries) end
    -- However short its life is: nobody has had a fresher one.
    if other.done and self.token then return true end
    -- A deadline is its owner's: another's says nothing about this call.
    if other.err and other.err.kind ~= "timeout" then return nil, error_value.copy(other.err) end
  end
  return true
end

-- A 401 that came to an older token says nothing about the one we have now.
function OAuth:renew(used)
  if used == self.version then replace_token(self, nil) end
  return true
end

function OAuth:headers() return { Authorization = "Bearer " .. self.token } end

--- The tenant, by the scope of the token.
function OAuth:identity() return self.tenant end

function OAuth:mask(text)
  local secrets, count = self.secrets, self.secret_count
  secrets[count + 1], secrets[count + 2] = self.token or self.former, self.former
  return mask.text(text, secrets)
end

--- OAuth client credentials: a token is fetched, reused, renewed before its end and after a 401. However
--- many tasks ask, one fetches.
---@param scheduler table
---@param form { client_id: string, client_secret: string }
---@param fetch fun(seconds: number, retries: integer): table|nil, zuora.Error|nil calls the token endpoint
function credentials.oauth(scheduler, form, fetch)
  local secrets = { form.client_secret, form.client_id .. ":" .. form.client_secret, form.client_id }
  return setmetatable({ scheduler = scheduler, form = form, fetch = fetch, version = 0, secrets = secrets,
    secret_count = #secrets }, OAuth)
end

return credentials
