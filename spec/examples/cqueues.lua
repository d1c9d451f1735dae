-- Two clients in a controller of cqueues.

local cqueues = require "cqueues"
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

local loop = cqueues.new()
local attach = require "zuora.loops.cqueues".attach
attach(first, { on_error = failed, loop = loop })
attach(second, { on_error = failed, loop = loop })

local ticks = 0
loop:wrap(function() -- the host's own
  for _ = 1, 20 do
    cqueues.sleep(0.005)
    ticks = ticks + 1
  end
end)
assert(loop:loop()) -- until there is nothing left to wait for
print("the host went on: " .. ticks)
