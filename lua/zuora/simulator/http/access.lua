--- Who asks: the credentials that a request can bring.

local access = {}

local DIGITS = {}
for i, c in ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):gmatch("()(.)") do
  DIGITS[c] = i - 1
end

local function unbase64(text)
  local bits, count, out = 0, 0, {}
  for c in text:gmatch("[%w+/]") do
    bits, count = (bits << 6 | DIGITS[c]) & 0xffffff, count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(bits >> count & 0xff)
    end
  end
  return table.concat(out)
end

--- A token of this tenant.
function access.bearer(request, tenant)
  local token = (request.headers.authorization or ""):match("^[Bb]earer (.+)$")
  return token ~= nil and tenant:token_is_good(token)
end

--- User name and password, in headers of their own.
function access.keys(request, tenant)
  return request.headers.apiaccesskeyid == tenant.username
    and request.headers.apisecretaccesskey == tenant.password
end

--- The "name:password" of HTTP Basic.
---@return string|nil
function access.basic_of(request)
  local given = (request.headers.authorization or ""):match("^[Bb]asic (.+)$")
  return given and unbase64(given)
end

--- The same by HTTP Basic.
function access.basic(request, tenant)
  return access.basic_of(request) == tenant.username .. ":" .. tenant.password
end

return access
