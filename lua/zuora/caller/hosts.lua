--- Where Zuora's APIs live: the data centres, and the base URLs that a client derives from one.
--
-- Every environment has a REST host, which serves OAuth, AQuA, files and today's Reporting paths; most
-- have a legacy Reporting host ("zconnect") and a legacy AQuA and file host (the UI's, under /apps/api),
-- which take user name and password.

local ascii = require "zuora.support.ascii"

local hosts = {}

--- The environments, by the names that `zuora.new { environment = … }` takes.
--- `rest`, `zconnect` and `apps` are origins; one that Zuora does not document is absent.
hosts.environments = {
  ["us1"] = {
    rest = "https://rest.na.zuora.com",
    zconnect = "https://zconnect.na.zuora.com",
    apps = "https://na.zuora.com",
  },
  ["us2"] = {
    rest = "https://rest.zuora.com",
    zconnect = "https://zconnect.zuora.com",
    apps = "https://www.zuora.com",
  },
  ["us1-sandbox"] = {
    rest = "https://rest.sandbox.na.zuora.com",
    zconnect = "https://zconnect.sandbox.na.zuora.com",
    apps = "https://sandbox.na.zuora.com",
  },
  ["us2-sandbox"] = {
    rest = "https://rest.apisandbox.zuora.com",
    zconnect = "https://zconnectsandbox.zuora.com",
    apps = "https://apisandbox.zuora.com",
  },
  ["us-central-sandbox"] = {
    rest = "https://rest.test.zuora.com",
    zconnect = "https://zconnect-services0001.test.zuora.com",
    apps = "https://test.zuora.com",
  },
  ["us-performance"] = {
    rest = "https://rest.pt1.zuora.com",
    zconnect = "https://zconnectpt1.zuora.com",
    apps = "https://pt1.zuora.com",
  },
  ["eu"] = {
    rest = "https://rest.eu.zuora.com",
    zconnect = "https://zconnect.eu.zuora.com",
    apps = "https://eu.zuora.com",
  },
  ["eu-sandbox"] = {
    rest = "https://rest.sandbox.eu.zuora.com",
    zconnect = "https://zconnect.sandbox.eu.zuora.com",
    apps = "https://sandbox.eu.zuora.com",
  },
  ["eu-central-sandbox"] = {
    rest = "https://rest.test.eu.zuora.com",
    zconnect = "https://zconnect-services0002.test.eu.zuora.com",
    apps = "https://test.eu.zuora.com",
  },
  ["ap"] = {
    rest = "https://rest.ap.zuora.com",
    zconnect = "https://zconnect-prod05.ap.zuora.com",
  },
  ["ap-central-sandbox"] = {
    rest = "https://rest.test.ap.zuora.com",
    zconnect = "https://zconnect-services0003.test.ap.zuora.com",
    apps = "https://test.ap.zuora.com",
  },
}

-- Host names, IPv4 and [IPv6] addresses, with or without a port. A name of digits only would be read
-- as a number by the resolver ("2130706433" is 127.0.0.1), so it is refused.
local function is_authority(text)
  local host, port = text:match("^(%[[%x:.]+%])(.*)$")
  if not host then
    host, port = text:match("^([A-Za-z0-9.-]+)(.*)$")
    if not host or not host:find("[A-Za-z0-9]") or host:match("^%d+$") or host:match("^0x%x+$")
      or host:find("..", 1, true)
    then
      return false
    end
  end
  if port == "" then return true end
  local number = tonumber(port:match("^:(%d+)$"))
  return number ~= nil and number >= 1 and number <= 65535
end

--- Checks a base URL, and takes trailing slashes off.
---@param url any
---@return string|nil url, string|nil problem
function hosts.normalise(url)
  if type(url) ~= "string" then return nil, "a URL expected, got " .. type(url) end
  local scheme, authority, path = url:match("^([A-Za-z]+)://([^/?#]*)(.*)$")
  scheme = scheme and ascii.lower(scheme)
  if scheme ~= "http" and scheme ~= "https" then return nil, "a URL with http:// or https:// expected" end
  if url:find("[\0-\32\127\\]") then return nil, "a URL has no blanks, backslashes or control characters" end
  if authority:find("@", 1, true) then return nil, "a URL with user or password in it is not taken" end
  if url:find("[?#]") then return nil, "a base URL has no query and no fragment" end
  if not is_authority(authority) then return nil, "a URL with a host name or an address expected" end
  for segment in path:gmatch("[^/]+") do
    if segment == "." or segment == ".." then return nil, "a base URL has no '.' or '..' in its path" end
  end
  return scheme .. "://" .. authority .. path:gsub("/+$", "")
end

--- The base URLs of a client.
---@param origins { rest: string, zconnect: string|nil, apps: string|nil } an environment, or `base_url` thrice
---@param legacy boolean
---@return table<string, string>|nil bases, string|nil problem
function hosts.bases(origins, legacy)
  local bases = { oauth = origins.rest .. "/oauth/token", rest = origins.rest,
    queries = origins.rest .. "/query/jobs", describe = origins.rest .. "/v1/describe" }
  if not legacy then
    bases.reporting = origins.rest .. "/reporting/api/rest/v1"
    bases.aqua = origins.rest .. "/v1/batch-query"
    bases.files = origins.rest .. "/v1/files"
    return bases
  end
  if not (origins.zconnect and origins.apps) then
    return nil, "no legacy hosts are known for this environment; give reporting_url, aqua_url and files_url"
  end
  bases.reporting = origins.zconnect .. "/api/rest/v1"
  bases.aqua = origins.apps .. "/apps/api/batch-query"
  bases.files = origins.apps .. "/apps/api/file"
  return bases
end

local PROXY_SCHEMES = { http = true, https = true, socks4 = true, socks4a = true, socks5 = true, socks5h = true }

--- Checks a proxy: host or URL, with or without user and password, which libcurl takes.
---@param proxy any
---@return boolean
function hosts.is_proxy(proxy)
  if proxy == "" then return true end
  if type(proxy) ~= "string" or proxy:find("[\0-\32\127]") then return false end
  local scheme, rest = proxy:match("^([A-Za-z0-9]+)://(.*)$")
  if scheme and not PROXY_SCHEMES[ascii.lower(scheme)] then return false end
  return is_authority(((rest or proxy):gsub("^[^/]*@", ""):gsub("/$", "")))
end

--- The host and port that a URL names, for messages; never its path or user.
---@param url string
---@return string
function hosts.authority(url)
  return (url:match("^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)") or "?"):gsub("^.*@", "")
end

return hosts
