-- `make bench`: how fast the module is, beside libcurl and beside others, in two tables. Nothing is asserted but that
-- all have done the same work.
--
--   lua5.4 spec/bench/run.lua            WORK=W3: only the works whose names begin so
--                                        ROUNDS=1: for a first look
--                                        BENCH=small: tiny sizes, one round, no peers: does the bench still work?

local data = require "spec.bench.data"
local measure = require "spec.bench.measure"
local peers = require "spec.bench.peers"
local server = require "spec.bench.server"
local works = require "spec.bench.works"

local KIB, MIB = 1024, 1024 * 1024
local SIZES = {
  full = { calls = 3000, many = 10000, rows = { MIB, 16 * MIB, 64 * MIB, 256 * MIB }, part = 3, copies = 4, items = 20, page = 50 * MIB,
    journal = { 1000, 10000 }, starts = 10, waiting = 1000, pause = 10, rounds = { all = 5, peers = 3 } },
  small = { calls = 50, many = 300, rows = { 20 * KIB, 40 * KIB, 80 * KIB, 100 * KIB }, part = 3, copies = 4, items = 3, page = 50 * KIB,
    journal = { 20, 40 }, starts = 1, waiting = 20, pause = 0.2, rounds = { all = 1, peers = 0 } },
}

local small = os.getenv "BENCH" == "small"
local WORK = os.getenv "WORK" or ""
local LUA = os.getenv "LUA" or "lua5.4"
local UNITS = { us = { 1e6, "µs" }, ms = { 1e3, "ms" }, s = { 1, "s" } }

local function bytes(size)
  if size % (1024 * MIB) == 0 then return size // (1024 * MIB) .. " GiB" end
  return size % MIB == 0 and size // MIB .. " MiB" or size // KIB .. " KiB"
end

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local text = pipe:read "a":gsub("%s+$", "")
  pipe:close()
  return text
end

-- --- the heading -------------------------------------------------------------------------------------

local function print_heading(found, missing, names)
  local core = require "zuora.core"
  local versions = { core.version, output_of(LUA .. " -v"):match "^Lua [%d.]+", "lua-cjson " .. require "cjson"._VERSION,
    "nginx " .. (output_of "{ PATH=$PATH:/usr/sbin; nginx -v 2>&1; }":match "nginx/([%d.]+)" or "?") }
  if output_of "ldd build/zuora/core.so | grep libisal" ~= "" then table.insert(versions, 2, "ISA-L") end
  for _, name in ipairs(names) do
    local version = found[name].version
    if version then versions[#versions + 1] = name .. " " .. version end
  end
  print(("%s, %s processors; %s, Linux %s, %s."):format(output_of "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1",
    output_of "nproc", output_of ". /etc/os-release && echo $PRETTY_NAME", output_of "uname -r", os.date "%Y-%m-%d"))
  print(table.concat(versions, ", ") .. "." .. (#missing > 0 and " Not here: " .. table.concat(missing, ", ") .. "." or ""))
  print()
end

-- --- what came of a work -----------------------------------------------------------------------------

-- What a run is worth in the work's unit: of CPU, or of the wall's clock.
local function worth(work, result, clock)
  local pieces = (work.unit == "s") and 1 or result.count
  return result[clock] / pieces * UNITS[work.unit][1]
end

local function number(value)
  if value >= 100 then return ("%.0f"):format(value) end
  return (value >= 10 and "%.1f" or value >= 1 and "%.2f" or "%.3f"):format(value)
end

local function median(work, results, clock)
  local values = {}
  for i, result in ipairs(results) do values[i] = worth(work, result, clock) end
  return measure.median(values)
end

local function cell(work, results)
  return ("%s (%s)"):format(number(median(work, results, "cpu")), number(median(work, results, "wall")))
end

-- Round by round, so that what lay on the machine in a round lies on both.
local function ratio(ours, floor)
  local values = {}
  for i, result in ipairs(ours) do
    local per_floor = floor[i].cpu / floor[i].count
    values[i] = result.cpu / result.count / per_floor
  end
  return measure.median(values)
end

local function peak(results)
  local most = 0
  for _, result in ipairs(results) do most = math.max(most, result.peak / KIB) end
  return most
end

local function check_records(work, results)
  for _, result in ipairs(results) do
    assert(not work.records or result.records == work.records,
      ("%s: %s records, and should be %s"):format(work.title, result.records, work.records))
  end
end

-- What a waiting job costs besides.
local function waiting_note(work, results, sizes)
  if work.verb ~= "waiting" then return nil end
  local cpu, each = {}, {}
  for i, result in ipairs(results) do
    cpu[i], each[i] = result.cpu / sizes.pause * 1000, result.each
  end
  return ("%s ms of CPU a second, %.1f KiB resident each"):format(number(measure.median(cpu)), measure.median(each))
end

local function print_work(work, contenders, results, sizes)
  local others = { waiting_note(work, results.ours, sizes) }
  for _, contender in ipairs(contenders) do
    if contender.peer and #results[contender.name] > 0 then
      others[#others + 1] = contender.name .. " " .. cell(work, results[contender.name])
    end
  end
  print(("| %s %s, %s | %s | %s | %.2f | %s | %s | %.0f |"):format(work.id, work.title, UNITS[work.unit][2],
    cell(work, results.floor), cell(work, results.ours), ratio(results.ours, results.floor), work.goal,
    table.concat(others, " · "), peak(results.ours)))
end

-- --- all of it ---------------------------------------------------------------------------------------

local function is_wanted(work) return work.id:sub(1, #WORK) == WORK end

local function run(work, place, found)
  local contenders = works.contenders(work, place, found, place.sizes.rounds)
  local results = measure.alternate(contenders, place.sizes.rounds.all, work.loose)
  check_records(work, results.ours)
  return contenders, results
end

local function main()
  local began = require "zuora.core".now()
  local sizes = SIZES[small and "small" or "full"]
  sizes.rounds.all = math.tointeger(os.getenv "ROUNDS") or sizes.rounds.all
  local directory = "build/bench/" .. (small and "small" or "full")
  local made = data.make(directory, sizes)
  local greatest = sizes.rows[#sizes.rows]
  local nginx <close> = server.start("build/bench/nginx", directory, "rows" .. sizes.part,
    made.rows[sizes.part])
  local place = { server = nginx, data = directory, made = made, sizes = sizes, lua = LUA, bytes = bytes,
    big = bytes(sizes.copies * greatest), size = bytes(greatest), page = bytes(sizes.page),
    part = bytes(sizes.rows[sizes.part]), part_number = sizes.part }
  local found, missing, names = {}, {}, {}
  if not small then found, missing, names = peers.find() end
  print_heading(found, missing, names)

  print "| work | floor | ours | ratio | goal | others | peak, MiB |"
  print "| --- | --- | --- | --- | --- | --- | --- |"
  for _, work in ipairs(works.list(place)) do
    if is_wanted(work) then
      local contenders, results = run(work, place, found)
      print_work(work, contenders, results, sizes)
      io.stdout:flush()
    end
  end

  local begun = false
  for _, growth in ipairs(works.growth(place)) do
    if is_wanted(growth) then
      if not begun then print "\n| growth, µs | | | |\n| --- | --- | --- | --- |" end
      begun = true
      local cells = {}
      for i, work in ipairs(growth) do
        local _, results = run(work, place, {})
        cells[i] = ("%s: %s, ratio %.2f"):format(work.title, number(median(work, results.ours, "cpu")),
          ratio(results.ours, results.floor))
      end
      print(("| %s %s | %s |"):format(growth.id, growth.title, table.concat(cells, " | ")))
      io.stdout:flush()
    end
  end
  os.execute(("rm -rf %s/out"):format(directory))
  print(("\nCPU time of the client's process (and the wall's clock); medians of %d rounds in turn, of the others %d; the ratio "
    .. "is the median of each round's. %d runs repeated because more than 8 %% of the processors was stolen, %d kept. %.0f s.")
    :format(sizes.rounds.all, math.min(sizes.rounds.all, sizes.rounds.peers),
      measure.repeated, measure.disturbed, require "zuora.core".now() - began))
end

main()
