-- Runs a plan once, as a program of its own that can be killed: child.lua URL PLAN-FILE

local extract = require "zuora.extract"
local tenant = require "zuora.simulator.engine.tenant"
local zuora = require "zuora"

local client <close> = zuora.new { base_url = arg[1], client_id = tenant.defaults.client_id,
  client_secret = tenant.defaults.client_secret }
local results, err = extract.run(client, arg[2], { poll = 0.002 })
if not results then
  io.stderr:write(tostring(err), "\n")
  os.exit(2, true)
end
for _, result in ipairs(results) do
  if result.err then
    io.stderr:write(result.item, ": ", tostring(result.err), "\n")
    os.exit(1, true)
  end
end
