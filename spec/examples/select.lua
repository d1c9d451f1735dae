-- Two clients in a loop of the program's own, over select (LuaSocket's takes any object with a `getfd`).

local socket = require "socket"
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

local function step(client)
  local ok, busy = pcall(client.step, client, 0)
  if not ok then print("a task has failed: " .. tostring(busy)) end
  return not ok or busy
end

local ticks = 0
repeat
  local readers, writers, wait, busy = {}, {}, 0.05, false
  for _, client in ipairs { first, second } do
    busy = step(client) or busy
    local fds, seconds = client:fds()
    for fd, events in pairs(fds) do
      local object = { getfd = function() return fd end }
      if events:find "r" then readers[#readers + 1] = object end
      if events:find "w" then writers[#writers + 1] = object end
    end
    wait = math.min(wait, seconds or wait)
  end
  socket.select(readers, writers, wait)                 -- and whatever else the host waits for
  ticks = ticks + 1                                     -- and does
until not busy
print("the host went on: " .. ticks)
