--- Runs all specs in several processes, since most of their time is waiting: suite.lua JOBS.
--- The last line has what came of them together.

local core = require "zuora.core"

local BUILD = "build/suite"

local function listed(command)
  local pipe, list = assert(io.popen(command)), {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

-- So many shares are there for each process: who is done with one takes the next.
local SHARES = 4

-- Every n-th file is in the n-th share: neighbours are alike, and should not be in one.
local function shares(files, count)
  local list = {}
  for i = 1, count do list[i] = {} end
  for i, file in ipairs(files) do table.insert(list[(i - 1) % count + 1], file) end
  return list
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local jobs = math.max(1, math.min(tonumber(arg[1]) or 2, 4))
assert(core.mkdir(BUILD))
local waiting = shares(listed "find spec -name '*_spec.lua' | sort", jobs * SHARES)

-- Starts the next share as a job, whose specs have folders of their own.
local function start(job)
  local path = ("%s/%d.log"):format(BUILD, #waiting)
  local argv = { "env", "SPEC_JOB=" .. job, "busted", table.unpack(table.remove(waiting)) }
  local out <close> = assert(io.open(path, "wb"))
  local nothing <close> = assert(io.open "/dev/null")
  return { job = job, path = path, child = assert(core.spawn(argv, { stdin = nothing, stdout = out, stderr = out })) }
end

local passed, failed, pending = 0, 0, 0

local function add(path, status)
  local text = read(path)
  io.write(text, "\n")
  local good, bad, wrong, left = text:match "(%d+) success%a* / (%d+) failures? / (%d+) errors? / (%d+) pending"
  passed, failed = passed + (tonumber(good) or 0), failed + (tonumber(bad) or 0) + (tonumber(wrong) or 0)
  pending = pending + (tonumber(left) or 0)
  -- One that ended without its summary, or says otherwise than it.
  if not good or status ~= 0 and bad == "0" and wrong == "0" then failed = failed + 1 end
end

-- A session without requests waits as long as it is told to.
local session <close> = core.session {}
local running = {}
for job = 1, jobs do running[job] = start(job) end
while #running > 0 do
  session:step(0.1)
  for i = #running, 1, -1 do
    local one = running[i]
    local status = one.child:poll()
    if status then
      add(one.path, status)
      if #waiting > 0 then running[i] = start(one.job) else table.remove(running, i) end
    end
  end
end
print(("%d passed, %d failed, %d pending"):format(passed, failed, pending))
os.exit(failed == 0, true)
