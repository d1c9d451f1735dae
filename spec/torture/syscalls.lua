-- (SHIM, DIRECTORY, STEP), with the shim of syscalls.c preloaded: brings files in every way while every call fails
-- in every way, at its n-th time, for each n (or each STEP-th of all these). Prints a line for what is not as it
-- should be, and at the end "tried N".

local shim, directory, step = ...

local downloads = require "spec.torture.downloads"
local support = require "spec.support"

local syscalls = assert(package.loadlib(shim, "luaopen_syscalls"))()

-- --- what goes wrong ----------------------------------------------------------------------------------

local MAY_BE_INTERRUPTED = { open = true, read = true, pread = true, write = true, ftruncate = true, fsync = true,
  flock = true }
local MOVES_BYTES = { read = true, pread = true, write = true }

local function hows(call)
  local list = { "EIO", "ENOSPC", "EDQUOT", "EIO times=always" }
  if MAY_BE_INTERRUPTED[call] then list[#list + 1] = "EINTR" end
  if MOVES_BYTES[call] then table.move({ "short", "short times=always" }, 1, 2, #list + 1, list) end
  return list
end

-- What must not be noticed at all. (A close that fails has closed all the same.)
local function is_harmless(call, how)
  return how == "EINTR" or how:find "^short" or call == "close"
end

-- What cannot be removed stays; and where locks do not work, whose the .part file is is not known.
local MAY_STAY = { unlink = true, flock = true }

-- --- one try ------------------------------------------------------------------------------------------

local function problem(where, text, ...) print(("%s: %s"):format(where, text:format(...))) end

local function check_files(where, way, call)
  for _, name in ipairs(support.listing(directory)) do
    if name:find "%.part" or name:find "^%.spool" then
      if not (way.keeps or MAY_STAY[call]) then problem(where, "a stray file: %s", name) end
    else
      local content = support.read(directory .. "/" .. name)
      if content ~= way.before and content ~= way.whole then problem(where, "%s has %d bytes", name, #content) end
    end
  end
end

-- 1, or 0 when there was no n-th call this time.
local function try(way, call, how, n)
  local where = ("%s, %s %d, %s"):format(way.name, call, n, how)
  way.begin()
  syscalls.rule(("below=%s calls=%s at=%d how=%s"):format(directory, call, n, how))
  local ok, value, err = pcall(way.bring)
  local _, struck = syscalls.count()
  syscalls.rule ""
  if ok and value then
    local content = way.read(value)
    if content ~= way.whole then problem(where, "a success that is none: %d bytes", #(content or "")) end
  else
    err = ok and err or value
    if is_harmless(call, how) or type(err) ~= "table" or err.kind ~= "file" then problem(where, "%s", tostring(err)) end
  end
  check_files(where, way, call)
  collectgarbage()
  if syscalls.held() > 0 then problem(where, "%d descriptors are left open", syscalls.held()) end
  value, err = way.bring()
  if not value or way.read(value) ~= way.whole then problem(where, "afterwards: %s", tostring(err or value)) end
  return math.min(struck, 1)
end

-- --- all of them --------------------------------------------------------------------------------------

local sim <close> = support.simulator(downloads.tenant)
local client <close> = support.client(sim, { tmpdir = directory })
local ways = downloads.ways(client, downloads.prepare(client), directory)
downloads.know(sim, ways)

-- How often each call is made.
local function counts_of(way)
  local log, counts = os.tmpname(), {}
  way.begin()
  syscalls.rule(("below=%s log=%s"):format(directory, log))
  assert(way.bring())
  syscalls.rule ""
  for _, call in ipairs(downloads.calls(log)) do counts[call] = (counts[call] or 0) + 1 end
  return counts
end

local tried, turn = 0, 0
for _, way in ipairs(ways) do
  for call, count in pairs(counts_of(way)) do
    for _, how in ipairs(hows(call)) do
      for n = 1, count do
        turn = turn + 1
        if turn % step == 0 then tried = tried + try(way, call, how, n) end
      end
    end
  end
end
print("tried " .. tried)
