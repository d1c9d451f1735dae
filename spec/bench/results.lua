-- What results cost: a file downloaded beside curl, CPU for CPU, and rows of a file. `make bench`

local support = require "spec.support"
local zuora = require "zuora"

local SIZE = tonumber(os.getenv "BENCH_BYTES") or 512 * 1024 * 1024
local ROUNDS = 3

local directory = support.scratch "bench"
local sim <close> = support.simulator { objects = { Big = { generate = { rows = SIZE // 84, awkward = true } } } }
local client <close> = support.client(sim, { username = sim.username, password = sim.password })
local job = assert(assert(client.jobs:submit { queries = { { name = "b", query = "select * from Big" } } })
  :wait(support.soon))
local file_id = job.batches[1].fileId
local path = directory .. "/big.csv"

-- CPU seconds of the children so far, as the shell counts them.
local function cpu_of(command)
  local text = support.shell(("bash -c 'TIMEFORMAT=\"%%U %%S\"; time %s'"):format(command))
  local user, system = text:match "([%d.]+) ([%d.]+)\n$"
  return tonumber(user) + tonumber(system)
end

print(("a file of %.2f GiB, uncompressed, to the disk: CPU seconds"):format(SIZE / 2 ^ 30))
for round = 1, ROUNDS do
  local before = os.clock()
  -- resume = true asks for no compression, as curl does; records are counted on the way.
  assert(client.files:download(file_id, path, { resume = true }))
  local ours = os.clock() - before
  local theirs = cpu_of(("curl -sS -u \"%s:%s\" -o %s/curl.csv %s/apps/api/file/%s"):format(sim.username, sim.password,
    directory, sim.url, file_id))
  print(("  round %d: %.2f with records counted, curl %.2f: ratio %.2f"):format(round, ours, theirs, ours / theirs))
end

print "rows of that file: CPU seconds, and microseconds a row"
for _, case in ipairs {
  { "keyed", {} }, { "arrays", { form = "array" } }, { "keyed, 3 of 8 columns", { columns = { "Big: Id", "Big: Name", "Big: Balance" } } },
  { "lazy, no cell read", { form = "lazy" } },
  { "lazy, 3 cells read", { form = "lazy" }, function(row) return row[1], row[3], row[6] end },
} do
  local before, count, use = os.clock(), 0, case[3]
  for row in assert(zuora.rows(path, case[2])) do
    count = count + 1
    if use then use(row) end
  end
  local seconds = os.clock() - before
  print(("  %-22s %5.2f  %.2f"):format(case[1], seconds, seconds / count * 1e6))
end
