--- psql, PostgreSQL's own program: what no binding has, it has, COPY from a file of the client's. Each call is a
--- process, on files; while it works, other tasks do.

local core = require "zuora.core"
local disk = require "zuora.extract.disk"
local error_value = require "zuora.error"

local psql = {}

local Psql = {}
Psql.__index = Psql

-- Seconds between two looks at a process.
local PAUSE = 0.01

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a" or ""
  if file then file:close() end
  return text
end

local function opened(path, mode)
  local file, problem = io.open(path, mode)
  return file or error(error_value.new { kind = "file", message = problem }, 0)
end

local function fail(self, words)
  local line = words:match "([^\n]*[Ee][Rr][Rr][Oo][Rr][^\n]*)" or words:match "[^\n]+" or "psql has failed"
  -- What the server has refused, it will refuse again, unless somebody had a lock; else it was not to be reached.
  local is_lost = not words:find "ERROR: "
  error(error_value.new { kind = "file", is_lost = is_lost,
    retryable = words:find("lock timeout", 1, true) ~= nil or is_lost,
    message = ("%s: %s"):format(self.name, error_value.clean(line, 300)) }, 0)
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
    error(error_value.new { kind = "file", message = ("%s: %s"):format(base, tostring(wrong or wrong_too)) }, 0)
  end
  local out <close> = opened(base .. ".out", "wb")
  local err <close> = opened(base .. ".err", "wb")
  local child <close>, problem = core.spawn({ "psql", "-X", "-q", "-A", "-t", "-d", self.uri, "-f", base },
    { stdin = nothing, stdout = out, stderr = err })
  if not child then
    error(error_value.new { kind = "plan",
      message = tostring(problem) .. ": loading into PostgreSQL needs psql (Debian: postgresql-client)" }, 0)
  end
  local status = child:poll()
  while not status do
    self.sleep(PAUSE)
    status = child:poll()
  end
  local output, words = read(base .. ".out"), read(base .. ".err")
  if status ~= 0 then fail(self, words) end
  return output
end

---@param uri string "postgresql://…"
---@param sleep fun(seconds: number) lets other tasks go on
function psql.open(uri, sleep)
  -- A password in it is nobody's business.
  local name = uri:gsub("(//[^/@:]*):[^/@]*@", "%1:***@"):gsub("(password=)[^&]*", "%1***")
  return setmetatable({ uri = uri, name = name, sleep = sleep }, Psql)
end

return psql
