--- Ways to bring a file, for those who break them.

local support = require "spec.support"
local zuora = require "zuora"

local downloads = {}

--- What a simulator must hold for them.
downloads.tenant = { segment_rows = 30000, objects = { Account = { generate = { rows = 45000 } } } }

--- Has the tenant make what is to be brought.
---@return table ids to be given to `ways`: texts
function downloads.prepare(client)
  local job = assert(assert(client.jobs:submit { partner = "p", project = "q",
    queries = { { name = "Account", query = "select Id, Name from Account" } } }):wait(support.soon))
  local run = assert(assert(client.reportruns:start(support.REPORT, { view = "Detail" })):wait(support.soon))
  return { job = job.id, segment = job:batch "Account":file_ids()[1], run = run.id }
end

local function cells_of(rows, err)
  if not rows then return nil, err end
  local cells = {}
  for row in rows do cells[#cells + 1] = table.concat(row, ",") end
  return table.concat(cells, "\n")
end

local function itself(cells) return cells end

--- A list of { name, bring, read, … }: bring() gives what `read` makes the same bytes of every time, or nil, err.
-- before: what stands under the name already; left: so many bytes are there from an earlier try; keeps: what has
-- come stays after a failure.
---@param ids table as `prepare` gives them
---@param directory string
---@return table[]
function downloads.ways(client, ids, directory)
  local path = directory .. "/file.csv"
  local resume = { resume = true }
  local function written(file, err) return file and file.path, err end
  local function fetch(to, options)
    return function() return written(client.files:download(ids.segment, to, options)) end
  end
  local function batch() return assert(client.jobs:get(ids.job)):batch "Account" end
  local ways = {
    { name = "packed", bring = fetch(path) },
    { name = "plain", bring = fetch(path, resume), keeps = true },
    { name = "resumed", bring = fetch(path, resume), keeps = true, left = 300000 },
    { name = "over-another", bring = fetch(path), before = "before" },
    { name = "named", bring = fetch { directory = directory } },
    { name = "segments", bring = function() return written(batch():download(path)) end },
    { name = "export", bring = function() return written(client.reportruns:export(ids.run, path)) end },
    { name = "rows", bring = function() return cells_of(batch():rows { form = "array" }) end, read = itself },
    { name = "local", bring = function() return cells_of(zuora.rows(path, { form = "array" })) end, read = itself,
      before = "a,b\n" .. ("1,2\n"):rep(100000) },
  }
  for _, way in ipairs(ways) do way.path, way.directory, way.read = path, directory, way.read or support.read end
  return ways
end

local function empty(directory)
  for _, name in ipairs(support.listing(directory)) do os.remove(directory .. "/" .. name) end
end

-- What a download leaves that breaks off after so many bytes.
local function leave(sim, way)
  sim:fault { on = "GET /v1/files/*", kind = "cut", after = way.left }
  sim:fault { on = "GET /v1/files/*", kind = "status", status = 404 }
  assert(not way.bring())
  sim:heal()
  local part, state = support.read(way.path .. ".part"), support.read(way.path .. ".part.state")
  assert(#part == way.left)
  return part, state
end

--- The calls of a log of syscalls.c, by their names: a list, in order.
function downloads.calls(log)
  local calls = {}
  for line in io.lines(log) do calls[#calls + 1] = line:match "^%d+ (%S+)" end
  os.remove(log)
  return calls
end

--- Adds to each way what it brings, as `whole`, and how it begins: begin() makes the directory what it is before.
function downloads.know(sim, ways)
  for _, way in ipairs(ways) do
    local part, state
    empty(way.directory)
    if way.before then support.write(way.path, way.before) end
    if way.left then part, state = leave(sim, way) end
    way.whole = way.read(assert(way.bring()))
    function way.begin()
      empty(way.directory)
      if way.before then support.write(way.path, way.before) end
      if part then support.write(way.path .. ".part", part) end
      if state then support.write(way.path .. ".part.state", state) end
    end
  end
end

return downloads
