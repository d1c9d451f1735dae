--- A long run of everything: 32 tasks do whole jobs while one request in twenty goes wrong, round by round over plain
--- HTTP and over HTTP/2 with TLS, through an nginx that is reloaded and whose processes are killed.
--
--     lua5.4 spec/soak/soak.lua MINUTES        # make soak MINUTES=10
--
-- At the end of each round all that the tenant holds is compared with what was asked for. The exit status says
-- whether the figures are what they must be.

local core = require "zuora.core"
local figures = require "spec.soak.figures"
local nginx = require "spec.nginx"
local simulator = require "zuora.simulator"
local socket = require "socket"
local support = require "spec.support"
local tenant = require "spec.soak.tenant"
local work = require "spec.soak.work"
local zuora = require "zuora"

local TASKS, RATE = 32, 0.05

-- Seconds: a round, and how long its tasks may take to end.
local ROUND, DRAIN = 30, 240

-- Seconds between what happens to nginx.
local RELOAD, CRASH = 3.1, 7.3

local minutes = tonumber(arg[1]) or 10
local rounds = math.max(2, minutes * 60 // ROUND // 2 * 2)
local length = minutes * 60 / rounds

local settings = tenant.settings(TASKS)
local expected = tenant.expected(settings)
local directory = support.scratch "soak"

-- --- who asks, and whom ------------------------------------------------------------------------------

local function free_port()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  server:close()
  return math.tointeger(port)
end
settings.port = free_port()

local sums = figures.new(2 * 8 + 4)

local function client_of(url, ca_file)
  return zuora.new { base_url = url, ca_file = ca_file, client_id = require "zuora.simulator.engine.tenant".defaults.client_id,
    client_secret = require "zuora.simulator.engine.tenant".defaults.client_secret, timeout = 10, stall_timeout = 3,
    connect_timeout = 5, total_timeout = 60, tmpdir = directory, on_retry = function() sums.retries = sums.retries + 1 end }
end

-- --- one round ---------------------------------------------------------------------------------------

local function count_by(list, field)
  local counts = {}
  for _, one in ipairs(list) do counts[one[field]] = (counts[one[field]] or 0) + 1 end
  return counts
end

-- All that was asked for is there once, has settled as was told, and nothing else is there.
local function check_held(held, tasks)
  local jobs, runs, queries = count_by(held.jobs, "name"), count_by(held.runs, "report"), count_by(held.queries, "query")
  local statuses = {}
  for _, list in ipairs { held.jobs, held.runs, held.queries } do
    for _, one in ipairs(list) do statuses[one.id] = one.status end
  end
  for number, task in ipairs(tasks) do
    local function is_once(what, count, wanted)
      if (count or 0) ~= wanted then
        sums:problem("lost", ("%s: asked for %d times, is there %d times"):format(what, wanted, count or 0))
      end
    end
    for name in pairs(task.wanted.jobs) do is_once("job " .. name, jobs[name], 1) end
    for query in pairs(task.wanted.queries) do is_once(query, queries[query], 1) end
    is_once("runs of " .. task.name, runs[tenant.report(number)], task.wanted.runs)
    for id, status in pairs(task.statuses) do
      if statuses[id] ~= status then
        sums:problem("lost", ("%s was told to be %s, and is %s"):format(id, status, tostring(statuses[id])))
      end
    end
  end
end

local function check_files()
  for name in support.shell("find " .. directory .. " -type f"):gmatch "[^\n]+" do
    sums:problem("stray", name)
    os.remove(name)
  end
end

-- Ends when all tasks have, or when they have taken too long for it.
local function watch(client, tasks, handles, ends_at, front)
  local reload_at, crash_at = core.now() + RELOAD, core.now() + CRASH
  local function are_busy()
    for _, task in ipairs(tasks) do
      if task.doing then return true end
    end
    return false
  end
  repeat
    client:sleep(0.1)
    local now = core.now()
    if front and now > reload_at then
      front:reload()
      reload_at = now + RELOAD
    end
    if front and now > crash_at then
      front:crash()
      crash_at = now + CRASH
    end
  until not are_busy() or core.now() > ends_at + DRAIN
  for i, task in ipairs(tasks) do
    if task.doing then
      sums:problem("stuck", ("%s in %s"):format(task.name, task.doing))
      handles[i]:cancel()
    end
  end
end

local function round(number, client, front)
  local sim <close> = simulator.start(settings)
  for _, fault in ipairs(tenant.faults(RATE)) do sim:fault(fault) end
  local tasks, ends_at = {}, core.now() + length
  client:run(function()
    local handles = {}
    for i = 1, TASKS do
      local own = ("%s/%d"):format(directory, i)
      assert(core.mkdir(own))
      tasks[i] = work.new { client = client, expected = expected, figures = sums, number = i, doing = "start",
        name = ("r%dt%d"):format(number, i), directory = own }
      handles[i] = client:spawn(function() tasks[i]:run(ends_at) end)
    end
    watch(client, tasks, handles, ends_at, front)
  end)
  local held = sim:held()
  sums:struck_by(held.struck)
  check_held(held, tasks)
  check_files()
end

-- --- all rounds --------------------------------------------------------------------------------------

local missing = nginx.missing()
if missing then print("no rounds over HTTP/2: " .. missing) end
local front <close> = not missing and nginx.start("soak-nginx", "http://127.0.0.1:" .. settings.port, {}) or nil
local plain <close> = client_of("http://127.0.0.1:" .. settings.port)
local secure <close> = front and client_of(front.secure, front.ca_file) or nil

for number = 1, rounds do
  local is_secure = front and number % 2 == 0
  round(number, is_secure and secure or plain, is_secure and front or nil)
  if number % 2 == 0 then sums:measure() end
  print(("round %d of %d, %s: %d jobs and %d files so far, lost %d, wrong %d, stuck %d"):format(number, rounds,
    is_secure and "HTTP/2" or "HTTP/1.1", sums.jobs, sums.files, sums.problems.lost, sums.problems.wrong, sums.problems.stuck))
end
for _, kind in ipairs(tenant.kinds()) do
  if minutes >= 2 and not sums.struck[kind] then sums:problem("lost", "no fault of the kind " .. kind .. " has struck") end
end
local is_good = sums:close()
os.exit(is_good, true)
