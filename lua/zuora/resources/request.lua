--- client:request: any call of Zuora's, for what has no function of its own.

local ascii = require "zuora.support.ascii"
local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local entrance = require "zuora.resources.entrance"

local raw = {}

local WHERE = "client:request"

local enter = entrance.options(WHERE, { fields = "call", options = check.rules(call.keyed_options, {
  method = "GET|POST|PUT|PATCH|DELETE|HEAD", path = "text!", query = "table", body = "any", headers = "table",
  base = "rest|reporting|aqua|files|queries|describe", content_type = "line", accept = "line", safe = "boolean" }) })

-- Methods that change nothing when they come twice; and those for which Zuora takes idempotency keys.
local SAFE = { GET = true, HEAD = true, DELETE = true }
local KEYED = { POST = true, PATCH = true }

-- Headers that are this client's business, or have an option of their own.
local RESERVED = {}
for name in ("authorization apiaccesskeyid apisecretaccesskey cookie host idempotency-key content-length "
  .. "transfer-encoding connection upgrade te trailer expect range if-range accept accept-encoding content-type "
  .. "proxy-authorization zuora-track-id zuora-entity-ids entityid entityname"):gmatch "%S+" do
  RESERVED[name] = true
end

local function check_path(path)
  if path:sub(1, 1) ~= "/" then check.fail(WHERE, "path", "must begin with a slash") end
  if path:find "[?#%s\\]" then
    check.fail(WHERE, "path", "has no blanks and no ? # \\: parameters go into query, names through zuora.escape")
  end
  for segment in path:gmatch "[^/]+" do
    local plain = segment:gsub("%%2[eE]", ".")
    if plain == "." or plain == ".." then check.fail(WHERE, "path", "has no '.' or '..'") end
  end
end

local function check_headers(headers)
  for name, value in pairs(headers or {}) do
    local argument = "headers." .. tostring(name)
    check.value(WHERE, argument, name, "text")
    check.value(WHERE, argument, value, "line")
    if not value:find "%S" then check.fail(WHERE, argument, "is blank") end
    if not name:find "^[A-Za-z0-9-]+$" then check.fail(WHERE, argument, "the name of a header expected") end
    if RESERVED[ascii.lower(name)] then
      check.fail(WHERE, argument, "is the client's own business, or has an option of its own")
    end
  end
end

local function add_pair(pairs_of, name, value)
  if type(value) == "boolean" or math.type(value) == "integer" then value = tostring(value) end
  check.value(WHERE, "query." .. name, value, "string_or_empty")
  pairs_of[#pairs_of + 1] = core.escape(name) .. "=" .. core.escape(value)
end

-- { a = 1, b = { "x", "y" } } as "a=1&b=x&b=y", by name.
local function query_text(query)
  local names, pairs_of = {}, {}
  for name in pairs(query or {}) do
    check.value(WHERE, "query", name, "string")
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = query[name]
    if type(value) ~= "table" then value = { value } end
    check.value(WHERE, "query." .. name, value, "list")
    for _, item in ipairs(value) do add_pair(pairs_of, name, item) end
  end
  return table.concat(pairs_of, "&")
end

local function body_text(body)
  if body == nil or type(body) == "string" then return body end
  check.value(WHERE, "body", body, "json")
  return core.encode(body)
end

---@param caller table
---@param options table see client:request
function raw.request(caller, options)
  options = enter(options)
  check_path(options.path)
  check_headers(options.headers)
  local method = options.method or "GET"
  local safe = options.safe
  if safe == nil then safe = SAFE[method] == true end
  local operation = { group = "client", name = "request", base = options.base or "rest", hosts = "both",
    result = "json", safe = safe, unkeyed = not KEYED[method], send = core.request }
  if options.idempotency_key and (safe or operation.unkeyed) then
    check.fail(WHERE, "idempotency_key", "goes with a POST or PATCH that is not safe")
  end
  caller:check_offered(WHERE, operation)
  if options.body ~= nil and (method == "GET" or method == "HEAD") then
    check.fail(WHERE, "body", "goes with POST, PUT, PATCH or DELETE")
  end
  local body = body_text(options.body)
  return caller:raw(operation, {
    method = method, base = operation.base, path = options.path, query = query_text(options.query),
    body = body, content_type = options.content_type or body and "application/json" or nil,
    accept = options.accept or "application/json", fresh = not safe,
  }, options)
end

return raw
