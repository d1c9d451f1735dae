-- The module at work, as a script would use it. Each verb is one work; what it prints is in loops.lua.
--
--   lua5.4 spec/bench/ours.lua one BASE N WARM CA | many BASE N IN_FLIGHT CA TIMES | waiting BASE JOBS PAUSE
--     | files BASE CA ENCODING CONNECTIONS DIRECTORY NAME… | rows PATH POSITIONS HOW TIMES | page BASE CA | first BASE
--     | extract BASE - - CONCURRENCY DIRECTORY NAME… | journal BASE ITEMS CONCURRENCY DIRECTORY
--     | load sqlite|postgresql PATH DIRECTORY ROWS [WINDOW ROWS]

local core = require "zuora.core"
local zuora = require "zuora"

local works = {}

local function new_client(base, ca, more)
  local options = { base_url = base, token = "t", proxy = "", ca_file = ca ~= "-" and ca or nil }
  for name, value in pairs(more or {}) do options[name] = value end
  return zuora.new(options)
end

-- The first call of a process needs nothing else of the bench.
function works.first(base)
  local client <close> = new_client(base, "-")
  assert(assert(client.jobs:get "j1").status == "completed")
end

local function get(client, number)
  local job = assert(client.jobs:get("j" .. number))
  assert(job.status == "completed")
  return job.batches[1].recordCount
end

function works.one(loops, base, count, warm, ca)
  local client <close> = new_client(base, ca)
  for _ = 1, warm do get(client, 1) end
  local done, sum = loops.measure(), 0
  for i = 1, count do sum = sum + get(client, i) end
  done(count, sum)
end

function works.many(loops, base, count, in_flight, ca, times)
  local client <close> = new_client(base, ca, { max_connections = in_flight, concurrency_limit = in_flight })
  local numbers = {}
  for i = 1, count do numbers[i] = i end
  local function all(list)
    local sum = 0
    local results = assert(client:map(list, function(number) return get(client, number) end,
      { concurrency = in_flight }))
    for i = 1, #list do sum = sum + results[i] end
    return sum
  end
  all(table.move(numbers, 1, math.min(#numbers, 2 * in_flight), 1, {}))
  local done, sum = loops.measure(), 0
  for _ = 1, times do sum = sum + all(numbers) end
  done(count * times, sum)
end

-- Jobs that begin evenly over the time of a pause, so that their polls go on evenly; measured is the next such time.
function works.waiting(loops, base, jobs, pause)
  local client <close> = new_client(base, "-")
  local function resident()
    for line in io.lines "/proc/self/status" do
      local size = line:match "^VmRSS:%s*(%d+)"
      if size then return tonumber(size) end
    end
  end
  for _ = 1, 64 do assert(client.jobs:get "w1") end
  collectgarbage()
  local before, polls = resident(), 0
  local began = core.now()
  client:run(function()
    local tasks = {}
    for i = 1, jobs do
      tasks[i] = client:spawn(function()
        return client.jobs:wait("w" .. i, { min = pause, max = pause, timeout = 3600,
          on_poll = function() polls = polls + 1 end })
      end)
      client:sleep(math.max(0, began + i * pause / jobs - core.now()))
    end
    local done, polls_before = loops.measure(), polls
    client:sleep(pause)
    local each = (resident() - before) / jobs
    done(polls - polls_before, 0, ("each=%.2f"):format(each))
    for _, task in ipairs(tasks) do task:cancel() end
  end)
end

-- It asks for gzip by itself: what is not packed on the server comes as it is.
function works.files(loops, base, ca, _, connections, directory, ...)
  local client <close> = new_client(base, ca, { max_connections = connections })
  local done = loops.measure()
  local results = assert(client:map({ ... }, function(name)
    return client.files:download(name, directory .. "/" .. name)
  end, { concurrency = connections }))
  local bytes, records = 0, 0
  for i = 1, results.n do bytes, records = bytes + results[i].bytes, records + results[i].records end
  done(results.n, bytes, ("records=%d"):format(records))
end

-- A plan of as many items as there are names.
function works.extract(loops, base, _, _, concurrency, directory, ...)
  local extract = require "zuora.extract"
  local client <close> = new_client(base, "-", { max_connections = concurrency })
  local items = {}
  for i, name in ipairs { ... } do items[i] = { name = name, query = "select Id from Big" } end
  local done = loops.measure()
  local results = assert(extract.run(client, { plan = "bench", output = directory .. "/plan", concurrency = concurrency,
    items = items }, { poll = 0.01 }))
  local bytes, records = 0, 0
  for _, result in ipairs(results) do
    assert(not result.err, tostring(result.err))
    bytes, records = bytes + result.bytes, records + result.records
  end
  done(#results, bytes, ("records=%d"):format(records))
end

-- Adds up what the functions of a table spend, when they are not called by one another.
local function watch(of, names, spent)
  for _, name in ipairs(names) do
    local f = of[name]
    of[name] = function(...)
      if spent.inside then return f(...) end
      spent.inside = true
      local cpu, wall = os.clock(), core.now()
      local results = table.pack(f(...))
      spent.inside, spent.cpu, spent.wall = false, spent.cpu + os.clock() - cpu, spent.wall + core.now() - wall
      return table.unpack(results, 1, results.n)
    end
  end
end

-- A plan of so many items of one row: what its journal costs, and how much memory the plan needs.
function works.journal(loops, base, count, concurrency, directory)
  local extract, disk = require "zuora.extract", require "zuora.extract.base.disk"
  local spent, sync, store = { cpu = 0, wall = 0 }, disk.sync, require "zuora.extract.base.store"
  watch(getmetatable(store.open ":memory:"), { "run", "each", "transaction" }, spent)
  local of_journal = { sync = disk.sync }
  watch(of_journal, { "sync" }, spent)
  function disk.sync(path) return (path:find "%-wal$" and of_journal.sync or sync)(path) end
  local client <close> = new_client(base, "-", { max_connections = concurrency })
  local path = directory .. "/plan.json"
  disk.write(path, function(out)
    out(('{"plan":"bench","output":"%s/plan","concurrency":%d,"items":['):format(directory, concurrency))
    for i = 1, count do out(('%s{"name":"item%d","query":"select Id from Big"}'):format(i > 1 and "," or "", i)) end
    out "]}"
  end)
  local results = assert(extract.run(client, path, { poll = 0.01, only_failed = true,
    on_item = function(result) assert(not result.err and result.records == 1, tostring(result.err)) end }))
  loops.tell(spent.cpu, spent.wall, results.n, 0)
end

-- A first load of a file, or a later one of what it begins with.
function works.load(_, kind, path, directory, count, window, window_count)
  local loading = require "spec.bench.loading"
  loading.measured(kind, directory, path, count, window_count, function(to)
    loading.load(kind, to, window or path, window_count or count, window and "window" or "full")
  end)
end

local OPTIONS = { array = { form = "array" }, keyed = {}, lazy0 = { form = "lazy" }, lazy1 = { form = "lazy" },
  lazy3 = { form = "lazy" } }

function works.rows(loops, path, _, how, times)
  OPTIONS.columns = { columns = loops.COLUMNS }
  loops.rows(function(form) return assert(zuora.rows(path, OPTIONS[form])) end, how, times)
end

function works.page(loops, base, ca)
  local client <close> = new_client(base, ca, { memory_limit = 1 << 30 })
  assert(client.jobs:get "j1")
  local done = loops.measure()
  done(loops.page(assert(client.reportruns:data("run", { page_size = 1000000 }))))
end

local arguments = {}
for i = 2, #arg do arguments[i - 1] = math.tointeger(arg[i]) or tonumber(arg[i]) or arg[i] end
if arg[1] == "first" then
  works.first(arg[2])
else
  works[arg[1]](require "spec.bench.loops", table.unpack(arguments))
end
