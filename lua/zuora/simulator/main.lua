--- The simulator as a process of its own: prints its address and serves until it is ended.
--
-- `main(settings)` serves until the process is killed. `main(nil, path)` is for a parent: it reads its
-- settings as JSON from that file, and ends when it is told to, when its standard input ends, or when its
-- parent is gone.

local app = require "zuora.simulator.http.app"
local json = require "zuora.simulator.engine.json"
local server = require "zuora.simulator.http.server"
local tenant = require "zuora.simulator.engine.tenant"

local STDIN = { getfd = function() return 0 end, dirty = function() return false end }

-- Seconds: how often a child looks for its parent; else nothing has to happen so often.
local CHILD_TURN, LONG = 1, 3600

-- What the system says of a process; nil where there is none, or no /proc to tell.
local function told_of(pid)
  local file <close> = io.open("/proc/" .. pid .. "/stat")
  return file and file:read "a"
end

-- Is the process there, and no zombie? True where nobody can tell.
local function is_alive(pid)
  if not pid or not told_of "self" then return true end
  local told = told_of(pid)
  return told ~= nil and told:match "^%d+ %b() (%S)" ~= "Z"
end

local function read_settings(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return assert(json.decode(text))
end

local function serve(zuora, listening, watched)
  local parent = os.getenv "SIMULATOR_PARENT"
  repeat
    local readable = listening:step(watched and CHILD_TURN or LONG, watched)
    if readable and not io.read "l" then return end
  until zuora.stopped or watched and not is_alive(parent)
end

---@param settings table|nil
---@param path string|nil
return function(settings, path)
  local zuora
  local ok, listening = pcall(function()
    settings = settings or read_settings(path)
    zuora = app.new(tenant.new(settings))
    return server.new(function(request) return zuora:handle(request) end, settings)
  end)
  -- The first line is what the parent waits for.
  io.write(ok and listening.url or "error: " .. tostring(listening), "\n")
  io.flush()
  if not ok then return end
  serve(zuora, listening, path and STDIN)
  listening:close()
end
