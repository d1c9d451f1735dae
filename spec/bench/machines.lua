-- What many workers ask of the database that they share: claims, heartbeats and planning, by 10, 100 and 1,000 of them,
-- beside 100,000 reads that are done. Each of four processes is a quarter of them, over one connection. `make bench-machines`

local cluster = require "spec.load.cluster"
local core = require "zuora.core"
local journal = require "zuora.extract.journal"
local reads = require "zuora.extract.base.reads"

local PROCESSES, AT_A_TIME, READS = 4, 4, tonumber(os.getenv "BENCH_READS") or 100000
local SECONDS = tonumber(os.getenv "BENCH_SECONDS") or 3
local WORKS = { "claim", "beat", "plan" }

local function name_of(number) return ("Item%05d"):format(number) end

-- --- one process --------------------------------------------------------------------------------------

-- Its workers: owners of one connection, each with its own items in its hands.
local function workers_of(book, count, place)
  local all = {}
  for i = 1, count do
    local claims = setmetatable({ owner = ("bench/%d/%d"):format(place, i) }, { __index = book.claims,
      __newindex = function() end })
    all[i] = { claims = claims, book = setmetatable({ claims = claims, owner = claims.owner }, { __index = book }), held = {} }
  end
  return all
end

local function take(worker)
  local claim = assert(worker.claims:take { plan = "bench", except = {}, step = "s", since = "now" })
  return { plan = "bench", item = claim.item, entity = claim.entity }
end

local works = {}

-- Takes an item that is due, and gives it back.
function works.claim(worker)
  worker.claims:release(take(worker), "", "done", "{}")
  return 1
end

function works.beat(worker)
  local held = {}
  for i, of in ipairs(worker.held) do held[i] = of.item .. "/" end
  worker.claims:renew("bench", held)
  return 1
end

-- A read of an item from the plan to its end: as many statements as it takes.
function works.plan(worker, turn)
  local of = worker.held[turn % #worker.held + 1]
  local read = reads.new(of, { kind = "window", read_from = "a", read_to = ("%s %d"):format(worker.claims.owner, turn) })
  read.query = ("select Id from Thing "):rep(10)
  worker.book:plan(read)
  for _, state in ipairs { "submitted", "completed", "fetched", "published", "loaded", "done" } do
    local is_fetched = state == "fetched"
    worker.book:move(read, state, is_fetched and { chain = worker.book:chain(read), path = "x" } or nil)
  end
  return 1
end

local function work(uri, what, count, place)
  local book <close> = journal.open(uri, "bench", 3600)
  local all = workers_of(book, count, place)
  for _, worker in ipairs(all) do
    for i = 1, AT_A_TIME do worker.held[i] = take(worker) end
  end
  print "ready"
  io.stdout:flush()
  io.read "l"
  local ends, done, turn = core.now() + SECONDS, 0, 0
  while core.now() < ends do
    turn = turn + 1
    done = done + works[what](all[turn % #all + 1], turn)
  end
  print(done)
end

if arg[1] then
  work(arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4]))
  return
end

-- --- all of them --------------------------------------------------------------------------------------

local database <close> = cluster.start "on"

local function prepare(items, count)
  local book <close> = journal.open(database.uri, "bench")
  book.store:run "TRUNCATE zuora_read, zuora_item"
  local list = {}
  for i = 1, items do list[i] = { { name = name_of(i) }, "" } end
  book.claims:enlist("bench", list)
  book.store:run([[INSERT INTO zuora_read (plan, item, entity, kind, read_from, read_to, generation, piece, parent, attempt,
    state, chain, path, query, owner, updated_at) SELECT 'bench', 'Item' || lpad(CAST(n % items + 1 AS TEXT), 5, '0'), '',
    'window', 'before', CAST(n AS TEXT), '0', '', '', '1', 'done', CAST(n / items + 1 AS TEXT), 'path', repeat('query ', 40),
    '', '2026-11-28T10:00:00Z' FROM generate_series(1, CAST(? AS integer)) AS n, CAST(? AS integer) AS items]], count, items)
  book.store:run "ANALYZE zuora_read"
  book.store:run "ANALYZE zuora_item"
end

local function first_line(path)
  local file = io.open(path)
  local line = file and file:read "l"
  if file then file:close() end
  return line
end

-- Seconds of CPU of a process: its own, and of those that it has seen end.
local function spent_by(pid)
  local fields = {}
  for field in (first_line(("/proc/%s/stat"):format(pid)) or ""):gsub("%b()", "x"):gmatch "%S+" do
    fields[#fields + 1] = tonumber(field) or 0
  end
  return ((fields[14] or 0) + (fields[15] or 0) + (fields[16] or 0) + (fields[17] or 0)) / 100
end

-- What the database has used.
local function spent()
  local pid = first_line(database.folder .. "/data/postmaster.pid")
  local sum = spent_by(pid)
  for child in (first_line(("/proc/%s/task/%s/children"):format(pid, pid)) or ""):gmatch "%d+" do
    sum = sum + spent_by(child)
  end
  return sum
end

local function measure(what, workers, count)
  local items = workers * (AT_A_TIME + 1)
  prepare(items, count)
  local pipes, total = {}, 0
  local gate = os.tmpname()
  os.remove(gate)
  os.execute("mkfifo " .. gate)
  for place = 1, PROCESSES do
    pipes[place] = assert(io.popen(("lua5.4 -e 'package.path = \"./?.lua;\" .. package.path' spec/bench/machines.lua "
      .. "'%s' %s %d %d < %s"):format(database.uri, what, (workers + place - 1) // PROCESSES, place, gate)))
  end
  local file = assert(io.open(gate, "w"))
  for _, pipe in ipairs(pipes) do assert(pipe:read "l" == "ready") end
  local before = spent()
  for _ = 1, PROCESSES do file:write "go\n" end
  file:close()
  for _, pipe in ipairs(pipes) do total = total + assert(tonumber(pipe:read "l")) end
  local used = spent() - before
  for _, pipe in ipairs(pipes) do pipe:close() end
  os.remove(gate)
  return ("%6.0f (%.2f)"):format(total / SECONDS, used / total * 1000)
end

print(("a second, by %d processes on this machine, PostgreSQL with fsync (ms of the database's CPU for one):")
  :format(PROCESSES))
print "workers    reads          claims      heartbeats  reads planned and done"
for _, workers in ipairs { 10, 100, 1000 } do
  for _, count in ipairs { 0, READS } do
    local figures = {}
    for i, what in ipairs(WORKS) do figures[i] = measure(what, workers, count) end
    print(("%7d  %7d  %14s  %14s  %22s"):format(workers, count, table.unpack(figures)))
  end
end
