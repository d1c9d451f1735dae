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

-- Every n-th file is for the n-th process: neighbours are alike, and should not be in one.
local function shares(files, jobs)
  local list = {}
  for i = 1, jobs do list[i] = { "env", "SPEC_JOB=job" .. i, "busted" } end
  for i, file in ipairs(files) do table.insert(list[(i - 1) % jobs + 1], file) end
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
local running = {}
for i, argv in ipairs(shares(listed "find spec -name '*_spec.lua' | sort", jobs)) do
  local path = ("%s/%d.log"):format(BUILD, i)
  local out, nothing = assert(io.open(path, "wb")), assert(io.open "/dev/null")
  running[i] = { path = path, child = assert(core.spawn(argv, { stdin = nothing, stdout = out, stderr = out })) }
  out:close()
  nothing:close()
end

-- A session without requests waits as long as it is told to.
local session <close> = core.session {}
local passed, failed, pending = 0, 0, 0
for _, one in ipairs(running) do
  local status = one.child:poll()
  while not status do
    session:step(0.1)
    status = one.child:poll()
  end
  local text = read(one.path)
  io.write(text, "\n")
  local good, bad, wrong, left = text:match "(%d+) success%a* / (%d+) failures? / (%d+) errors? / (%d+) pending"
  passed, failed = passed + (tonumber(good) or 0), failed + (tonumber(bad) or 0) + (tonumber(wrong) or 0)
  pending = pending + (tonumber(left) or 0)
  -- One that ended without its summary, or says otherwise than it.
  if not good or status ~= 0 and bad == "0" and wrong == "0" then failed = failed + 1 end
end
print(("%d passed, %d failed, %d pending"):format(passed, failed, pending))
os.exit(failed == 0, true)
