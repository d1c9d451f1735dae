--- The store that results of data queries are fetched from: not Zuora, but an S3 of its own rules. A link
--- carries its own right to be followed, for a while, and no other credential may come with it.

local core = require "zuora.core"

local bucket = {}

local Bucket = {}
Bucket.__index = Bucket

bucket.BASE = "/_bucket"

local HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

local function refusal(status, code, message)
  return { status = status, headers = { ["Content-Type"] = "application/xml" },
    body = ("%s<Error><Code>%s</Code><Message>%s</Message></Error>"):format(HEAD, code, message) }
end

-- As good as a signature where nobody attacks: 64 hexadecimal digits that depend on every byte.
local function signature_of(secret, text)
  local parts = {}
  for i = 1, 4 do
    local hash = secret ~ i
    for at = 1, #text do hash = (hash ~ text:byte(at)) * 0x100000001b3 end
    parts[i] = ("%016x"):format(hash ~ hash >> 29)
  end
  return table.concat(parts)
end

--- A link to a result: never the same twice.
---@param origin string
---@param name string
---@return string url
function Bucket:link(origin, name)
  self.links = self.links + 1
  local now = self.tenant:now()
  local signed = ("%s/%s?X-Amz-Date=%s&X-Amz-Expires=%d&X-Amz-Credential=simulated-%d"):format(bucket.BASE, name,
    os.date("!%Y%m%dT%H%M%SZ", math.floor(now)), math.floor(self.tenant.link_life), self.links)
  self.made[self.links] = now
  return ("%s%s&X-Amz-Signature=%s"):format(origin, signed, signature_of(self.secret, signed))
end

local function brings_credentials(request)
  for name in pairs(request.headers) do
    if name == "authorization" or name == "apiaccesskeyid" or name == "apisecretaccesskey" or name:find "^zuora%-" then
      return true
    end
  end
  return false
end

--- Answers a request for one of its paths.
---@param request table
---@return table response
function Bucket:answer(request)
  if request.method ~= "GET" then
    return refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
  end
  if brings_credentials(request) then
    return refusal(400, "InvalidArgument", "Only one auth mechanism allowed")
  end
  local signed, signature = request.target:match "^(.*)&X%-Amz%-Signature=(%x+)$"
  if not signed then return refusal(403, "AccessDenied", "Access Denied") end
  if signature ~= signature_of(self.secret, signed) then
    return refusal(403, "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided.")
  end
  local number, life = signed:match "simulated%-(%d+)$", tonumber(request.query["X-Amz-Expires"])
  if self.tenant:now() >= self.made[tonumber(number)] + life then
    return refusal(403, "AccessDenied", "Request has expired")
  end
  local found = self.tenant.queries.files[request.path:match "[^/]*$"]
  return { status = 200, headers = { ["Content-Type"] = found.media_type }, content = found.content,
    etag = found.etag, as_it_is = true }
end

--- For whatever lies below its base.
bucket.routes = {
  { "*", ".*", function(request) return request.bucket:answer(request) end },
}

---@param tenant table
function bucket.new(tenant)
  local secret = math.floor(core.now() * 1e6) * 2654435761 ~ 88172645463325252
  return setmetatable({ tenant = tenant, links = 0, made = {}, secret = secret }, Bucket)
end

return bucket
