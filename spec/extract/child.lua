-- Runs a plan once, as a program of its own that can be killed: child.lua URL PLAN-FILE [STATE]
-- With a state it tells what it does, and ends by SIGKILL when a read has come there ("none": never).

local extract = require "zuora.extract"
local tenant = require "zuora.simulator.engine.tenant"
local zuora = require "zuora"

-- What a loss of power leaves of the journal is what was synced: its length is noted in a file.
local noted = os.getenv "SYNCED"
if noted then
  local disk = require "zuora.extract.base.disk"
  local sync = disk.sync
  function disk.sync(path)
    sync(path)
    if not path:find "%-wal$" then return end
    local file <close> = assert(io.open(noted, "w"))
    file:write(disk.size(path))
  end
end

local client <close> = zuora.new { base_url = arg[1], client_id = tenant.defaults.client_id,
  client_secret = tenant.defaults.client_secret }
local function told(item, read)
  print(("    %s: %s"):format(item.name, read.state))
  io.stdout:flush()
  if read.state == arg[3] then os.execute "kill -KILL $PPID" end
end
local results, err = extract.run(client, arg[2], { poll = 0.002, on_step = arg[3] and told or nil })
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
