-- Two clients in luv's loop.

local uv = require "luv"
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

local attach = require "zuora.loops.luv".attach
attach(first, { on_error = failed })
attach(second, { on_error = failed })

local ticks, clock = 0, uv.new_timer()
clock:start(0, 5, function() ticks = ticks + 1 end) -- the host's own
clock:unref()
uv.run() -- until there is nothing left to wait for
print("the host went on: " .. ticks)
