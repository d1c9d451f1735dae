-- A worker as a program of its own, that can be stopped and killed: machine.lua URL PLAN-FILE LEASE [STOP|KILL STATE]
-- With a state it does so to itself when one of its reads has come there. It tells each step, and what came of each item.
-- SHIFT: so many seconds its clock is off.

local shift, time, date = tonumber(os.getenv "SHIFT" or 0), os.time, os.date
rawset(os, "time", function(of) return of and time(of) or time() + shift end)
rawset(os, "date", function(format, at) return date(format, at or time() + shift) end)

local core = require "zuora.core"
local extract = require "zuora.extract"
local tenant = require "zuora.simulator.engine.tenant"
local zuora = require "zuora"

local client <close> = zuora.new { base_url = arg[1], client_id = tenant.defaults.client_id,
  client_secret = tenant.defaults.client_secret }

local function tell(...)
  print(table.concat({ ... }, "\t"))
  io.stdout:flush()
end

tell("pid", io.open "/proc/self/stat":read "a":match "%d+")
local signal, state = arg[4], arg[5]
local results, err = extract.work(client, arg[2], { poll = 0.002, lease = tonumber(arg[3]), on_step = function(item, read)
  tell("step", ("%.6f"):format(core.now()), item.of.item, item.claim.turn, read.kind .. read.read_to .. read.piece,
    read.state)
  if read.state ~= state then return end
  state = nil
  tell(signal)
  os.execute(("kill -%s $PPID"):format(signal))
end, on_item = function(result) tell("item", result.item, result.outcome, tostring(result.err)) end })
if not results then
  tell("error", tostring(err))
  os.exit(2, true)
end
for _, result in ipairs(results) do
  if result.err then os.exit(1, true) end
end
tell "over"
