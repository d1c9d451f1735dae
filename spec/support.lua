--- What the specs share: simulators, clients on them, a clock that does not wait, other processes.

local client = require "zuora.client"
local core = require "zuora.core"
local simulator = require "zuora.simulator"

local support = {}

assert(os.execute "mkdir -p build/spec")

support.REPORT = "ff808081529f4e3401529fd373730070"

--- A clock that stands still until somebody waits with nothing in flight, and then jumps.
function support.clock()
  local clock = { at = 1000, slept = {} }
  function clock.now() return clock.at end
  function clock.step(session, seconds)
    if session:running() > 0 then return session:step(math.min(seconds, 0.2)) end
    if seconds > 0 then
      clock.at = clock.at + seconds
      clock.slept[#clock.slept + 1] = seconds
    end
    return session:step(0)
  end
  --- Seconds that were waited in all.
  function clock.total() return clock.at - 1000 end
  return clock
end

--- A client on a simulator, by OAuth unless `options` has other credentials.
function support.client(sim, options, seams)
  local all = { base_url = sim.url }
  for name, value in pairs(options or {}) do all[name] = value end
  if not (all.token or all.username) then
    all.client_id, all.client_secret = sim.client_id, sim.client_secret
  end
  return client.new(all, seams)
end

--- A client whose waits take no time, and its clock. `random` always draws 1 (almost): no jitter.
function support.quick_client(sim, options, random)
  local clock = support.clock()
  return support.client(sim, options, { clock = clock, random = random or function() return 1 end }), clock
end

support.simulator = simulator.start

--- The requests in the journal that match, in order. `target` is a plain prefix of path and query.
function support.sent(sim, method, target)
  local found = {}
  for _, entry in ipairs(sim:journal()) do
    if entry.method == method and entry.target:sub(1, #target) == target then found[#found + 1] = entry end
  end
  return found
end

--- A client's patience, in specs that wait for the real simulator.
support.soon = { min = 0.01, max = 0.05, timeout = 10 }

function support.soon_with(more)
  local options = {}
  for name, value in pairs(support.soon) do options[name] = value end
  for name, value in pairs(more) do options[name] = value end
  return options
end

function support.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local content = file:read("a")
  file:close()
  return content
end

function support.write(path, content)
  local file = assert(io.open(path, "wb"))
  file:write(content)
  file:close()
end

-- Processes that share the specs share no folder: names are the same in several files, or are made by what they share.
local SCRATCH = ("build/spec%s/"):format(os.getenv "SPEC_JOB" or "")

--- A directory of its own under build/, empty.
function support.scratch(name)
  local path = SCRATCH .. name
  assert(os.execute(("rm -rf '%s' && mkdir -p '%s'"):format(path, path)))
  return path
end

function support.listing(directory)
  local names, pipe = {}, assert(io.popen("ls -A '" .. directory .. "'"))
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close() -- descriptors are counted
  return names
end

--- Runs a shell command; what it printed (both streams), and whether it ended with 0.
function support.shell(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1; echo \"status $?\""))
  local output = pipe:read("a")
  pipe:close()
  local text, status = output:match("^(.-)status (%d+)\n$")
  return text, tonumber(status)
end

--- Runs Lua code in a process of its own, with this tree's modules: what it printed, and its exit status.
function support.lua(code, prefix)
  local path = os.tmpname()
  support.write(path, code)
  local setup = ("package.path=%q package.cpath=%q"):format(package.path, package.cpath)
  local text, status = support.shell(("%s lua5.4 -e '%s' '%s'"):format(prefix or "", setup, path))
  os.remove(path)
  return text, status
end

--- For support.lua: a process that has loaded the core has so many KiB of memory to take yet. (What it has from the
--- beginning is not the same everywhere: a sanitizer maps terabytes.)
function support.with_memory(kib)
  local text = support.lua [[
    require "zuora.core"
    print(io.open("/proc/self/status"):read("a"):match "VmSize:%s*(%d+)")]]
  return ("ulimit -v %d;"):format(assert(tonumber(text), text) + kib)
end

--- Where specs find what is built: a build that is watched has a folder of its own.
support.BUILD = os.getenv "SPEC_BUILD" or "build"

--- What is made of a C file in spec/, built when it is needed; its path.
function support.native(name)
  local path = support.BUILD .. "/spec/" .. name
  local text, status = support.shell("make -s " .. path)
  assert(status == 0, text)
  return path
end

-- CPU seconds; the least of so many times.
local function cost(f, given, times)
  local least = math.huge
  collectgarbage()
  for _ = 1, times do
    local before = os.clock()
    f(given)
    least = math.min(least, os.clock() - before)
  end
  return least
end

--- The work of f grows with the size of what it is given, and no faster: four times as much takes four times as long,
--- and not 16 times. Tried from 500 bytes on, so that one whose work grows faster is found out before it takes for ever.
---@param f fun(given: any)
---@param make fun(size: integer): any
---@param last integer the greatest size
function support.assert_linear(f, make, last)
  local size, half, quarter = 500, nil, nil
  repeat
    local given = make(size)
    local whole = cost(f, given, 1)
    -- Below some time the clock says nothing; and once it may say too much.
    local function is_worse() return quarter and quarter > 0.005 and whole > 9 * quarter end
    if is_worse() then whole = cost(f, given, 3) end
    if is_worse() then
      error(("%d bytes took %g s, a quarter of them %g s: %q"):format(size, whole, quarter, tostring(given):sub(1, 60)))
    end
    size, half, quarter = 2 * size, whole, half
  until size > last
end

--- Do requests share a connection of HTTP/2? Before 8.5.0 libcurl cannot do so without crossing answers: see
-- crossing_spec.lua.
function support.multiplexes()
  local major, minor = core.version:match "(%d+)%.(%d+)"
  return tonumber(major) * 100 + tonumber(minor) >= 805
end

--- Descriptors that this process has open. (By a file: of a pipe, the parent's other end may still be open.)
function support.descriptors()
  local path, count = os.tmpname(), 0
  assert(os.execute("ls /proc/$PPID/fd > " .. path))
  for _ in io.lines(path) do count = count + 1 end
  os.remove(path)
  return count
end

--- Drives a request of the core to its end, and gives its response.
function support.finish(session, request)
  local ends_at = core.now() + 20
  while not request:finished() do
    session:step(0.2)
    assert(core.now() < ends_at, "the request did not finish")
  end
  return request:response()
end

return support
