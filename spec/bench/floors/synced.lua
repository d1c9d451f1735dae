-- What a disk takes for a journal: two pages of four KiB an item, each synced: synced.lua COUNT DIRECTORY

local core = require "zuora.core"
local loops = require "spec.bench.loops"

local count, path = math.tointeger(arg[1]), arg[2] .. "/synced"
assert(core.mkdir(arg[2]))
local file = assert(io.open(path, "wb"))
file:setvbuf "no"
local page = ("\0"):rep(4096)
local done = loops.measure()
for _ = 1, 2 * count do
  assert(file:write(page))
  assert(core.sync(path))
end
done(count, 0)
file:close()
os.remove(path)
