--- A load into a database, as the module does it and as it is done by hand: the same file, the same table. What is
--- measured is this process, its children, and PostgreSQL's.

local cluster = require "spec.load.cluster"
local core = require "zuora.core"
local loops = require "spec.bench.loops"

local loading = {}

--- What the columns of the file are, as far as they are no text.
loading.TYPES = { Amount = "decimal", Balance = "decimal", CreatedDate = "datetime", UpdatedDate = "datetime" }

local TICKS = 100

-- The seconds of a process and of its children that have ended.
local function spent(pid)
  local file <close> = assert(io.open(("/proc/%s/stat"):format(pid)))
  local numbers = {}
  for word in file:read "a":match "%) (.*)":gmatch "%S+" do numbers[#numbers + 1] = word end
  return (numbers[12] + numbers[13] + numbers[14] + numbers[15]) / TICKS
end

--- Brings a file into a table of an empty database: prints what f has cost.
---@param kind "sqlite"|"postgresql"
---@param directory string
---@param count integer of the rows
---@param f fun(to: string)
function loading.measured(kind, directory, count, f)
  local server <close> = kind == "postgresql" and cluster.start() or nil
  local to = server and server.uri or directory .. "/dw.db"
  if not server then assert(os.execute(("rm -rf %s && mkdir -p %s"):format(directory, directory))) end
  local pid
  if server then
    local file <close> = assert(io.open(server.folder .. "/data/postmaster.pid"))
    pid = file:read "l"
  end
  local function now() return spent "self" + (pid and spent(pid) or 0), core.now() end
  local cpu, wall = now()
  f(to)
  local ended = core.now()
  if server then core.session {}:step(0.2) end -- until its process has ended, too
  local cpu_after = now()
  loops.tell(math.max(cpu_after - cpu, 0.5 / TICKS), ended - wall, count, 0) -- the clock's steps are coarse
end

return loading
