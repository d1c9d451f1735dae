--- The simulator as a process of its own: prints its address and serves until it is ended.
--
-- `main(settings)` serves until the process is killed. `main()` is for a parent: it reads its settings as
-- JSON from the first line of its standard input, and ends when that does.

local app = require "zuora.simulator.app"
local json = require "zuora.simulator.json"
local server = require "zuora.simulator.server"
local tenant = require "zuora.simulator.tenant"

local STDIN = { getfd = function() return 0 end, dirty = function() return false end }

-- Seconds: nothing has to happen so often; a turn ends at once when something does.
local LONG = 3600

---@param settings table|nil
return function(settings)
  local watched = settings == nil and STDIN or nil
  if watched then
    local line = io.read("l") or ""
    settings = line ~= "" and assert(json.decode(line)) or {}
  end
  local zuora = app.new(tenant.new(settings))
  local listening <close> = server.new(function(request) return zuora:handle(request) end, settings)
  io.write(listening.url, "\n")
  io.flush()
  while true do
    if listening:step(LONG, watched) and not io.read("l") then return end
  end
end
