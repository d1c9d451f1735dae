--- What the doctor looks at between this machine and Zuora's hosts: names, connections, the proxy, TLS, the clock. No
--- credential is sent.

local core = require "zuora.core"
local zuora = require "zuora"

local network = {}

-- Seconds: to connect, and in all; and the difference of two clocks that is told, and that is too much.
local CONNECT, TOTAL = 10, 20
local APART, TOO_FAR = 30, 300

--- The origins that calls of these settings go to.
---@param settings table
---@return string[] urls
function network.origins(settings)
  local urls, seen = {}, {}
  local function add(url)
    local origin = type(url) == "string" and url:match "^%a+://[^/?#]+"
    if origin and not seen[origin] then
      urls[#urls + 1], seen[origin] = origin, true
    end
  end
  local known = zuora.environments[settings.environment] or {}
  if settings.legacy then
    add(known.zconnect)
    add(known.apps)
  else
    add(known.rest)
  end
  for _, name in ipairs { "base_url", "reporting_url", "aqua_url", "files_url" } do add(settings[name]) end
  return urls
end

-- --- the proxy ---------------------------------------------------------------------------------------

local function environment_of(...)
  for _, name in ipairs { ... } do
    local value = os.getenv(name) or ""
    if value ~= "" then return value, "environment " .. name end
  end
  return nil
end

-- As libcurl reads it: names, of which each stands for all below it; * for all.
local function is_excepted(host, list)
  for word in (list or ""):gmatch "[^%s,]+" do
    local name = word:gsub("^%.", "")
    if name == "*" or host == name or host:sub(-#name - 1) == "." .. name then return true end
  end
  return false
end

--- The proxy that stands between, and who says so. (Of HTTP_PROXY in capitals libcurl takes no notice.)
---@return string|nil proxy without its password
---@return string|nil origin
function network.proxy_of(settings, origin, url)
  local host = url:match "^%a+://%[?([^/?#%]:]+)"
  if is_excepted(host, settings.no_proxy or environment_of("no_proxy", "NO_PROXY")) then return nil end
  local proxy, from = settings.proxy, origin.proxy
  if proxy == nil and url:find "^https" then
    proxy, from = environment_of("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
  elseif proxy == nil then
    proxy, from = environment_of("http_proxy", "all_proxy", "ALL_PROXY")
  end
  if not proxy or proxy == "" then return nil end
  local scheme, rest = proxy:match "^([^/@]*//)(.*)$"
  return (scheme or "") .. (rest or proxy):gsub("^.*@", ""), from or "default"
end

-- --- what may go wrong -------------------------------------------------------------------------------

local UNKNOWN_HOST = "check the name for a slip, and the name servers of this machine (/etc/resolv.conf)"

-- By the transport's name of the failure: subject, cause and cure. `at`: host, proxy (or nil), message.
local causes = {}

function causes.COULDNT_RESOLVE_HOST(at)
  return "DNS", ("the host %s does not resolve: %s"):format(at.host, at.message), UNKNOWN_HOST
end

function causes.COULDNT_RESOLVE_PROXY(at)
  return "proxy", ("the proxy %s does not resolve: %s"):format(at.proxy or "?", at.message),
    "check the proxy's name (" .. (at.proxy_origin or "?") .. ")"
end

function causes.COULDNT_CONNECT(at)
  if at.proxy then
    return "proxy", ("the proxy %s takes no connection: %s"):format(at.proxy, at.message),
      ("check the proxy (%s), or do without: no_proxy=%s"):format(at.proxy_origin, at.host)
  end
  return "TCP", ("%s takes no connection: %s"):format(at.host, at.message),
    "a firewall may forbid it, or a proxy may be needed (https_proxy)"
end

function causes.OPERATION_TIMEDOUT(at)
  return at.proxy and "proxy" or "TCP", ("no answer from %s: %s"):format(at.proxy or at.host, at.message),
    "a firewall may swallow it, or a proxy may be needed (https_proxy)"
end

local function certificate(at)
  local message = at.message
  if message:find "expired" or message:find "not yet valid" then
    return "TLS", ("the certificate of %s is not valid at this time: %s"):format(at.host, message),
      "check this machine's clock first"
  elseif message:find "subject name" or message:find "match" then
    return "TLS", ("the certificate of %s is for another host: %s"):format(at.host, message),
      "check base_url; something may stand between"
  end
  return "TLS", ("the certificate of %s is of an authority that is not known here: %s"):format(at.host, message),
    "where a proxy of your company opens TLS, name its certificate: --ca-file or ZUORA_CA_FILE; else install "
      .. "ca-certificates"
end

causes.PEER_FAILED_VERIFICATION = certificate

function causes.SSL_CACERT_BADFILE(at)
  return "TLS", "the file of certificates cannot be read: " .. at.message, "check --ca-file or ZUORA_CA_FILE"
end

function causes.SSL_CONNECT_ERROR(at)
  return "TLS", ("no TLS with %s: %s"):format(at.host, at.message),
    "the server may speak plain HTTP there, or something stands between"
end

-- What a proxy answers to CONNECT, in the words of this libcurl.
local function refused_status(message)
  return message:match "CONNECT tunnel failed, response (%d%d%d)" or message:match "HTTP code (%d%d%d) from proxy"
end

local function refused(at, status)
  if status == "407" then
    return "proxy", ("the proxy %s wants a user name and password (407)"):format(at.proxy),
      "put them into the proxy's URL, in a profile or https_proxy: http://NAME:PASSWORD@HOST:PORT"
  end
  return "proxy", ("the proxy %s refuses to let %s through (%s)"):format(at.proxy, at.host, status),
    "ask who runs the proxy to allow that host"
end

-- What no other try will mend.
local CONFIGURED = { PEER_FAILED_VERIFICATION = true, SSL_CACERT_BADFILE = true }

---@return string subject, string cause, string cure
local function explain(at, name)
  local status = at.proxy and refused_status(at.message)
  if status then return refused(at, status) end
  if causes[name] then return causes[name](at) end
  return at.proxy and "proxy" or "TCP", ("%s: %s"):format(at.host, at.message),
    "try again; something between may have cut the connection"
end

-- --- the clock ---------------------------------------------------------------------------------------

local MONTHS = {}
for i, name in ipairs { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" } do
  MONTHS[name] = i
end

-- "Sun, 06 Nov 1994 08:49:37 GMT" as seconds since the epoch.
local function seconds_of(date)
  local day, month, year, time = (date or ""):match "^%a+, (%d+) (%a+) (%d+) (%d+:%d+:%d+) GMT$"
  if not MONTHS[month] then return nil end
  return zuora.time(("%s-%02d-%sT%sZ"):format(year, MONTHS[month], day, time))
end

local function span(seconds)
  if seconds < 120 then return ("%d seconds"):format(seconds) end
  if seconds < 7200 then return ("%d minutes"):format(seconds // 60) end
  return ("%.1f hours"):format(seconds / 3600)
end

local function clock(report, host, date, now)
  local there = seconds_of(date)
  if not there then return report("note", "clock", host .. " does not say what time it is") end
  local difference = now - math.floor(there)
  local apart = math.abs(difference)
  local text = apart < APART and "agrees with " .. host
    or ("%s %s of %s"):format(span(apart), difference < 0 and "behind" or "ahead", host)
  if apart < TOO_FAR then return report(apart < APART and "ok" or "note", "clock", text) end
  report("fail", "clock", text, "set it (timedatectl set-ntp true): tokens, links and certificates go by the time", 1)
end

-- --- all of it ---------------------------------------------------------------------------------------

-- One request without credentials: its response, or nil, message, name.
local function ask(session, settings, url)
  local request <close>, message, name = session:start { method = "GET", url = url .. "/", fresh = true,
    connect_timeout = CONNECT, timeout = TOTAL, deadline = TOTAL, ca = settings.ca_file, proxy = settings.proxy,
    no_proxy = settings.no_proxy, limit = 1024 * 1024 }
  if not request then return nil, message, name end
  while not request:finished() do session:step(0.2) end -- so that Ctrl-C is answered
  return request:response()
end

-- A proxy of plain HTTP answers in the server's place.
local function is_refusal(at, response)
  return at.proxy and not at.is_tls and (response.status == 407 or response.status == 403)
    and response.headers["zuora-request-id"] == nil
end

--- One origin: can it be reached?
---@return boolean reached
function network.check(report, settings, origin, url, now)
  local at = { host = url:match "//(.*)$", is_tls = url:find "^https" ~= nil }
  at.proxy, at.proxy_origin = network.proxy_of(settings, origin, url)
  local session <close> = core.session {}
  local response, message, name = ask(session, settings, url)
  if not response then
    at.message = tostring(message):gsub("(['/]).*@", "%1***@") -- it may quote a proxy
    local subject, cause, cure = explain(at, name)
    report("fail", subject, cause, cure, CONFIGURED[name] and 2 or 75)
    return false
  end
  if is_refusal(at, response) then
    local subject, cause, cure = refused(at, tostring(response.status))
    report("fail", subject, cause, cure, 75)
    return false
  end
  report("ok", "network", ("%s answers%s%s"):format(at.host,
    at.is_tls and ", its certificate is good" or " (without TLS)",
    at.proxy and (", by the proxy %s (%s)"):format(at.proxy, at.proxy_origin) or ""))
  clock(report, at.host, response.headers.date, now())
  return true
end

return network
