--- Who the client is: the headers that go with each base URL, and where a bearer token comes from.
--
-- Secrets live in the locals of this file's closures. Nothing that a user can print leads to them.

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

local BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    for shift = 18, 0, -6 do
      local digit = bits >> shift & 63
      out[#out + 1] = BASE64:sub(digit + 1, digit + 1)
    end
    if not c then out[#out] = "=" end
    if not b then out[#out - 1] = "=" end
  end
  return table.concat(out)
end

-- A set of credentials is an object with
--   prepare(limits) -> true | nil, err    makes sure that the headers below are there; limits: deadline
--                                         (seconds), retries
--   header(base) -> table                 headers for a base ("reporting", "aqua", …)
--   renew(used) -> boolean                after a 401: is another token to be had? `used` is what `version` was
--   version                               counts changes of the headers
--   mask(text) -> text                    without the secrets, should a server have sent one back

--- User and password: the key headers, but HTTP Basic on the hosts of the UI ("/apps/api").
---@param options { username: string, password: string }
---@param bases table<string, string>
function credentials.password(options, bases)
  local keys = { apiAccessKeyId = options.username, apiSecretAccessKey = options.password }
  local basic = { Authorization = "Basic " .. base64(options.username .. ":" .. options.password) }
  local encoded = basic.Authorization:sub(7)
  return {
    version = 1,
    mask = function(text) return mask.text(text, { options.username, options.password, encoded }) end,
    prepare = function() return true end,
    header = function(base) return bases[base]:find("/apps/api", 1, true) and basic or keys end,
    renew = function() return false end,
  }
end

--- A token that the user has, or a function that gives one.
---@param token string|function
function credentials.token(token)
  local self = { version = 0 }
  local current

  local function take(value)
    if not is_token(value) then
      return nil, error_value.new { kind = "auth", message = "the token function gave no bearer token" }
    end
    if value ~= current then
      current = value
      self.version = self.version + 1
    end
    return true
  end

  if type(token) == "string" then
    take(token)
    self.prepare = function() return true end
    self.renew = function() return false end
  else
    -- Asked before each try; it may keep and renew tokens as it likes.
    self.prepare = function()
      local value, problem = token()
      if value == nil then
        return nil, error_value.new { kind = "auth",
          message = "the token function gave no token" .. (problem and ": " .. tostring(problem) or "") }
      end
      return take(value)
    end
    self.renew = function() return true end
  end
  self.header = function() return { Authorization = "Bearer " .. current } end
  self.mask = function(text) return mask.text(text, { current }) end
  return self
end

-- What the token endpoint said: the token and its life in seconds, or an error.
local function read_token(body)
  local kind = body.token_type
  if not is_token(body.access_token) then
    return nil, error_value.new { kind = "auth", message = "the token endpoint gave no bearer token" }
  end
  if kind ~= nil and (type(kind) ~= "string" or ascii.lower(kind) ~= "bearer") then
    return nil, error_value.new { kind = "auth", message = "the token endpoint gave a token of another type" }
  end
  local life = tonumber(body.expires_in) or 3600
  if life ~= life then life = 3600 end
  return body.access_token, math.max(1, math.min(life, LONGEST))
end

--- OAuth client credentials: a token is fetched, reused, renewed before its end and after a 401. However
-- many tasks ask, one fetches.
---@param loop table
---@param options { client_id: string, client_secret: string }
---@param fetch fun(limits: table): table|nil, zuora.Error|nil calls the token endpoint
function credentials.oauth(loop, options, fetch)
  local self = { version = 0 }
  local current, renewing -- the token with its end, and the latch that opens when another is there

  local function is_fresh()
    return current ~= nil and loop.clock.now() < current.ends_at
  end

  local function renew_now(limits)
    local body, err = fetch(limits)
    if not body then
      if err.status then err.kind = "auth" end
      err.message = "no token: " .. err.message
      return nil, err
    end
    local value, life = read_token(body)
    if not value then return nil, life end
    local ends_at = loop.clock.now() + life - math.min(MARGIN, life / 10)
    self.version = self.version + 1
    current = { token = value, ends_at = ends_at }
    return true
  end

  -- However it ends (by an error, because its task was cancelled, or because its coroutine was dropped), the
  -- others go on.
  local function renew_for_all(limits)
    local latch = loop:latch()
    latch.holder, latch.since = loop:context(), loop:tick()
    local function over()
      if renewing == latch then renewing = nil end
      latch:open()
    end
    local place <close> = setmetatable({}, { __close = over, __gc = over })
    local _ <close> = place -- see the top of tasks/scheduler.lua
    renewing = latch
    local done, err = renew_now(limits)
    latch.done, latch.err = done, err
    return done, err
  end

  function self.prepare(limits)
    local ends_at_most = loop.clock.now() + limits.deadline
    while not is_fresh() do
      local other = renewing
      limits.deadline = ends_at_most - loop.clock.now()
      -- A hook that is told of the token call, and makes a call itself, would wait for its own end.
      local is_own = other and other.since < (loop:lineage()[other.holder] or 0)
      local opened = other and not is_own and other:wait(limits.deadline)
      if other and opened == nil then
        return nil, error_value.new { kind = "timeout", message = "no token: another call was still fetching one" }
      end
      -- Where waiting could never end (see Latch:wait), this call fetches a token for itself.
      if not opened then return renew_for_all(limits) end
      -- However short its life is: nobody has had a fresher one.
      if other.done and current then return true end
      -- A deadline is its owner's: another's says nothing about this call.
      if other.err and other.err.kind ~= "timeout" then return nil, error_value.copy(other.err) end
    end
    return true
  end

  -- A 401 that came to an older token says nothing about the one we have now.
  function self.renew(used)
    if used == self.version then current = nil end
    return true
  end

  function self.header() return { Authorization = "Bearer " .. current.token } end

  function self.mask(text)
    return mask.text(text, { options.client_id, options.client_secret, current and current.token })
  end

  return self
end

return credentials
