-- Two clients in Copas' loop (4.0 or newer).

local copas = require "copas"
local zuora = require "zuora"
local sim <close> = require "zuora.simulator".start()
local function client_new()
  local client = zuora.new { base_url = sim.url, client_id = sim.client_id, client_secret = sim.client_secret }
  client:spawn(function()
    local run = assert(client.reportruns:start("ff808081529f4e3401529fd373730070", { view = "Detail" }))
    print(assert(run:wait { min = 0.1 }).status)
  end)
  return client
end
local first <close> = client_new()
local second <close> = client_new()
second:spawn(function() error "no luck" end)
local function failed(problem) print("a task has failed: " .. problem) end

local attach = require "zuora.loops.copas".attach
attach(first, { on_error = failed })
attach(second, { on_error = failed })

local ticks = 0
copas.addthread(function() -- the host's own
  for _ = 1, 20 do
    copas.pause(0.005)
    ticks = ticks + 1
  end
end)
copas.loop() -- until there is nothing left to wait for
print("the host went on: " .. ticks)
