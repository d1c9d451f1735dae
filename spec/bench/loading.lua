--- A load into a database, as the module does it and as it is done by hand: the same file, the same table. What is
--- measured is this process, its children, and PostgreSQL's.

local cluster = require "spec.load.cluster"
local core = require "zuora.core"
local loops = require "spec.bench.loops"
local store = require "zuora.extract.base.store"

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

--- Loads a file by the module.
---@param kind "sqlite"|"postgresql"
---@param to string
---@param path string
---@param count integer of its rows
---@param read_kind "full"|"window"
function loading.load(kind, to, path, count, read_kind)
  local target <close> = require "zuora.load".open { to = (kind == "sqlite" and "sqlite:" or "") .. to,
    columns = "evolve", deletes = "flag" }
  target:load({ name = "Big", key = "Id", cursor = "UpdatedDate", types = loading.TYPES }, { { plan = "bench",
    item = "Big", entity = "", kind = read_kind, read_from = "", read_to = "20261128T100000Z", generation = 0, piece = "",
    attempt = 1, path = path, records = count, sha256 = "" } }, ".", "_zuora_deleted")
end

local function open(kind, to) return kind == "sqlite" and store.open(to) or store.connect(to, "public") end

--- Makes a table that has the rows of a file with odd numbers: of the rows of its beginning, loaded once more, every
--- other one is new.
local function load_half(kind, to, path, count)
  loading.load(kind, to, path, count, "full")
  local book <close> = open(kind, to)
  book:run [[DELETE FROM "Big" WHERE SUBSTR("InvoiceNumber", 11) IN ('0', '2', '4', '6', '8')]]
  book:run "VACUUM"
  book:run "ANALYZE"
end

-- What is in the table, as a number.
local function check_of(kind, to)
  local book <close> = open(kind, to)
  local row = book:row [[SELECT COUNT(*) AS all_rows, COUNT(CASE WHEN _zuora_read LIKE 'window%' THEN 1 END) AS new_rows
    FROM "Big"]]
  return row.all_rows * 10000000 + row.new_rows
end

--- Brings a file into a table of an empty database, or what it begins with into a table that has half of its rows:
--- prints what f has cost.
---@param kind "sqlite"|"postgresql"
---@param directory string
---@param path string
---@param count integer of its rows
---@param window_count integer|nil of the rows that are loaded once more
---@param f fun(to: string)
---@param prepare (fun(to: string))|nil changes the table that has half of them
function loading.measured(kind, directory, path, count, window_count, f, prepare)
  local server <close> = kind == "postgresql" and cluster.start() or nil
  local to = server and server.uri or directory .. "/dw.db"
  if not server then assert(os.execute(("rm -rf %s && mkdir -p %s"):format(directory, directory))) end
  if window_count then load_half(kind, to, path, count) end
  if window_count and prepare then prepare(to) end
  local pid
  if server then
    local file <close> = assert(io.open(server.folder .. "/data/postmaster.pid"))
    pid = file:read "l"
    core.session {}:step(0.2) -- until what has served us so far has ended
  end
  local function now() return spent "self" + (pid and spent(pid) or 0), core.now() end
  local cpu, wall = now()
  f(to)
  local ended = core.now()
  if server then core.session {}:step(0.2) end -- until its process has ended, too
  local cpu_after = now()
  -- The clock's steps are coarse.
  loops.tell(math.max(cpu_after - cpu, 0.5 / TICKS), ended - wall, window_count or count, window_count
    and check_of(kind, to) or 0)
end

return loading
