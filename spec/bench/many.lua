-- Many jobs polled to their end at once, beside a C program on curl multi that sends the same requests; and
-- what one waiting job costs in memory. `make bench`

local core = require "zuora.core"
local support = require "spec.support"
local zuora = require "zuora"

local JOBS = tonumber(os.getenv "BENCH_JOBS") or 1000
local LOOKS = tonumber(os.getenv "BENCH_LOOKS") or 5
local ROUNDS = tonumber(os.getenv "BENCH_ROUNDS") or 5
local CONNECTIONS, DELAY_MS = 64, 20
local PROGRAM = "build/bench/many"

-- A server in a process of its own: its port, and what ends it.
local function start_server(looks)
  local pipe = assert(io.popen(("exec %s server %d %d"):format(PROGRAM, looks, DELAY_MS)))
  local port = assert(pipe:read "n", "build/bench/many did not start")
  return port, function()
    local session = core.session {}
    local request <close> = assert(session:start { url = ("http://127.0.0.1:%d/quit"):format(port), proxy = "" })
    while not request:finished() do session:step(0.1) end
    session:close()
    pipe:close()
  end
end

local function new_client(port)
  return zuora.new { base_url = "http://127.0.0.1:" .. port, token = "t", proxy = "", max_connections = CONNECTIONS,
    concurrency_limit = CONNECTIONS }
end

-- --- memory; first, since later the process has more than it needs -----------------------------------

local function resident()
  return tonumber(support.read "/proc/self/statm":match "^%d+ (%d+)") * 4
end

-- What the polls leave behind is garbage and no job's: it is collected as it comes. (With Lua's own setting, 200
-- and 100, some 3 KiB more are resident.)
collectgarbage("incremental", 100, 400)
local port, stop = start_server(0)
local client = new_client(port)
-- What the pool of connections costs is no job's.
client:run(function()
  for i = 1, CONNECTIONS do client:spawn(function() assert(client.jobs:get("j" .. i)) end) end
end)
collectgarbage()
collectgarbage()
local lua_before, rss_before = collectgarbage "count", resident()
local looks = 0
local ok = pcall(client.run, client, function()
  for i = 1, JOBS do
    client:spawn(function()
      client.jobs:wait("j" .. i, { min = 3600, max = 3600, timeout = 7200, on_poll = function() looks = looks + 1 end })
    end)
  end
  while looks < JOBS do client:sleep(0.02) end
  client:sleep(0.1)
  local rss_peak = resident()
  collectgarbage()
  collectgarbage()
  print(("%d jobs that wait, each: %.1f KiB of Lua, %.1f KiB resident"):format(JOBS,
    (collectgarbage "count" - lua_before) / JOBS, (rss_peak - rss_before) / JOBS))
  error "enough"
end)
assert(not ok)
stop()
client:close()
collectgarbage("incremental", 200, 100)

-- --- speed -------------------------------------------------------------------------------------------

port, stop = start_server(LOOKS)
print(("%d jobs, %d looks each, answered after %d ms, %d connections: seconds (CPU seconds)"):format(JOBS, LOOKS, DELAY_MS,
  CONNECTIONS))
local worst = 0
for round = 1, ROUNDS do
  client = new_client(port)
  local responses = 0
  collectgarbage()
  local before, cpu_before = core.now(), os.clock()
  client:run(function()
    for i = 1, JOBS do
      client:spawn(function()
        local job = assert(client.jobs:wait("j" .. i, { min = 0.01, max = 0.01, timeout = 600 }))
        assert(job.status == "completed")
        responses = responses + 1
      end)
    end
  end)
  local wall, cpu = core.now() - before, os.clock() - cpu_before
  assert(responses == JOBS)
  client:close()
  local text = support.shell(("%s floor %d %d %d %d"):format(PROGRAM, port, JOBS, LOOKS, CONNECTIONS))
  local floor_wall, floor_cpu, sent, completed = text:match "^(%S+) (%S+) (%d+) (%d+)\n$"
  assert(sent and tonumber(sent) == JOBS * LOOKS and tonumber(completed) == JOBS, text)
  worst = math.max(worst, wall / tonumber(floor_wall))
  print(("  round %d: %.3f (%.3f), curl multi %s (%s): ratio %.2f of wall, %.1f of CPU, %.0f us CPU a poll"):format(round,
    wall, cpu, floor_wall, floor_cpu, wall / tonumber(floor_wall), cpu / tonumber(floor_cpu), cpu / JOBS / LOOKS * 1e6))
end
print(("  worst ratio of wall: %.2f"):format(worst))
stop()
