--- psql, PostgreSQL's own program: what no binding has, it has, COPY from a file of the client's. Each call is a
--- process, on files; while it works, other tasks do.

local core = require "zuora.core"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local store = require "zuora.extract.base.store"

local raise = error_value.raise

local psql = {}

local Psql = {}
Psql.__index = Psql

-- Seconds between two looks at a process.
local PAUSE = 0.01

local function status_of(child, sleep)
  local status = child:poll()
  while not status do
    sleep(PAUSE)
    status = child:poll()
  end
  return status
end

local function opened(path, mode)
  local file, problem = io.open(path, mode)
  return file or raise("file", "%s", problem)
end

local function fail(self, words)
  local line = words:match "([^\n]*[Ee][Rr][Rr][Oo][Rr][^\n]*)" or words:match "[^\n]+" or "psql has failed"
  -- What the server has refused, it will refuse again, unless somebody had a lock; else it was not to be reached.
  local is_lost = not words:find "ERROR: "
  error(error_value.new { kind = "file", is_lost = is_lost,
    retryable = words:find("lock timeout", 1, true) ~= nil or is_lost,
    message = ("%s: %s"):format(self.name, error_value.clean(line, 300)) }, 0)
end

-- Seconds that a server is waited for, where it is only asked why it takes nobody.
local PATIENCE = "10"

-- Of what is said before there is a connection: what will be said again until somebody has put it right, and what that
-- is. (All else may pass: a server that starts, one that has too many guests, a name that is not known for a while.)
local REFUSALS = {
  auth = { "authentication failed", "no password supplied", "no pg_hba.conf entry", "role .* does not exist",
    "is not permitted to log in", "permission denied for database" },
  plan = { "database .* does not exist", "invalid URI", "invalid connection option", "invalid %S+ value",
    "invalid port number", "invalid integer value", "unrecognized %S+ name", "definition of service .* not found",
    "service file .* not found", "server does not support SSL", "certificate" },
}

-- A password is given in a file that nobody else can read, not as an argument. Gives its path, too.
local function without_password(uri)
  local password = uri:match "//[^/@:]*:([^/@]*)@" or uri:match "[?&]password=([^&]*)"
  if not password then return uri end
  uri = uri:gsub("(//[^/@:]*):[^/@]*@", "%1@"):gsub("([?&])password=[^&]*&?", "%1"):gsub("[?&]$", "")
  password = password:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end):gsub("[\\:]", "\\%0")
  local path = os.tmpname()
  local file <close> = opened(path, "wb")
  file:write("*:*:*:*:", password, "\n")
  return ("%s%spassfile=%s"):format(uri, uri:find("?", 1, true) and "&" or "?", path), path
end

--- Why a server takes nobody, in words of libpq's; nil where they cannot be had (or it has taken us by now).
---@param uri string
---@return string|nil words
---@return "auth"|"plan"|nil kind what is wrong with what it was given; nil: it may pass
function psql.refusal(uri)
  local before_host = uri:match "^%w+://([^?]*)@"
  if before_host and before_host:find ":.*[/@]" then
    return "a / or @ of its password is to be written %2F or %40", "plan" -- libpq's words would show some of it
  end
  local asked, secret = without_password(uri)
  local base = os.tmpname()
  local _ <close> = disk.passing(base, secret)
  local nothing <close> = opened "/dev/null"
  local err <close> = opened(base, "wb")
  local session <close> = core.session {}
  local child <close> = core.spawn({ "env", "LC_ALL=C", "PGCONNECT_TIMEOUT=" .. PATIENCE, "psql", "-X", "-w", "-d",
    asked, "-c", "SELECT 1" }, { stdin = nothing, stdout = err, stderr = err })
  local status = child and status_of(child, function(seconds) session:step(seconds) end)
  local words = disk.read(base) or ""
  local line = words:match "FATAL: +([^\n]+)" or words:match "psql: error: ([^\n]+)" or words:match "psql: ([^\n]+)"
  if status ~= 2 or not line then return nil end
  for kind, list in pairs(REFUSALS) do
    for _, pattern in ipairs(list) do
      if line:find(pattern) then return line, kind end
    end
  end
  return line
end

--- Runs a script; raises what PostgreSQL says of it.
---@param script string SQL, and what psql knows besides
---@return string output
function Psql:script(script)
  local base = os.tmpname()
  local _ <close> = disk.passing(base, base .. ".out", base .. ".err")
  local nothing <close> = opened "/dev/null"
  local file = opened(base, "wb")
  local written, wrong = file:write("\\set ON_ERROR_STOP 1\n\\set VERBOSITY terse\n", script)
  local closed, wrong_too = file:close()
  if not (written and closed) then
    raise("file", "%s: %s", base, tostring(wrong or wrong_too))
  end
  local out <close> = opened(base .. ".out", "wb")
  local err <close> = opened(base .. ".err", "wb")
  local child <close>, problem = core.spawn({ "psql", "-X", "-q", "-A", "-t", "-d", self.uri, "-f", base },
    { stdin = nothing, stdout = out, stderr = err })
  if not child then
    raise("plan", "%s: loading into PostgreSQL needs psql (Debian: postgresql-client)", tostring(problem))
  end
  local status = status_of(child, self.sleep)
  if status ~= 0 then fail(self, disk.read(base .. ".err") or "") end
  return disk.read(base .. ".out") or ""
end

---@param uri string "postgresql://…"
---@param sleep fun(seconds: number) lets other tasks go on
function psql.open(uri, sleep)
  return setmetatable({ uri = uri, name = store.name_of(uri), sleep = sleep }, Psql)
end

return psql
