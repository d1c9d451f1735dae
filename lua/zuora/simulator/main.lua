--- The simulator as a process of its own: reads its settings from the first line of its standard input
--- (JSON; an empty line is fine), prints its address, and serves until its standard input ends.

local app = require "zuora.simulator.app"
local json = require "zuora.simulator.json"
local server = require "zuora.simulator.server"
local tenant = require "zuora.simulator.tenant"

local STDIN = { getfd = function() return 0 end, dirty = function() return false end }

return function()
  local line = io.read("l") or ""
  local settings = line ~= "" and assert(json.decode(line)) or {}
  local zuora = app.new(tenant.new(settings))
  local listening = server.new(function(request) return zuora:handle(request) end, settings.port)
  io.write(listening.url, "\n")
  io.flush()
  repeat
    local readable = listening:step(3600, STDIN)
  until readable and not io.read("l")
  listening:close()
end
