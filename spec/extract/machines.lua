--- Several workers of one plan, each a process of its own, and what must be true at their end.

local core = require "zuora.core"
local extract = require "zuora.extract"
local json = require "zuora.extract.base.json"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

local machines = {}
machines.__index = machines

local ITEMS = {
  { object = "Thing", deleted = true, totals = { "count", "sum(Amount)" } },
  { object = "Thing", name = "Paged", split = "id:8" },
  { report = "Accounts by balance", view = "Detail", name = "Balances" },
  { query = "select Id, Name from Thing", api = "query", name = "Data" },
  { query = "select Id, Name from Thing", name = "Whole" },
  { object = "Thing", name = "More" }, { object = "Thing", name = "Most" },
}

local session = core.session {} -- without requests it waits as long as it is told to

--- Waits until f gives something.
function machines.wait(what, f, seconds)
  local ends = core.now() + (seconds or 60)
  while true do
    local found = f()
    if found then return found end
    if core.now() > ends then error("waited in vain for " .. what, 2) end
    session:step(0.01)
  end
end

---@param database table a cluster
---@param name string of the plan: a store may have many
---@param settings table|nil of the simulator
function machines.new(database, name, settings)
  local here = world.new { name = "machines-" .. name, simulator = settings }
  local self = setmetatable({ here = here, database = database, count = 0, lease = 1, all = {}, known = 0,
    ignores_keys = settings and settings.ignore_keys }, machines)
  self.plan = here:plan(ITEMS, { plan = name, store = database.uri, concurrency = 1,
    load = { to = database.uri, schema = "dw_" .. name } })
  self.path = here.folder .. "/plan.json"
  support.write(self.path, json.encode(self.plan))
  return self
end

--- Starts a worker: signal ("STOP", "KILL") and state: what it does to itself, and where; shift: of its clock.
function machines:start(options)
  options = options or {}
  self.count = self.count + 1
  local path = ("%s/worker%d.log"):format(self.here.folder, self.count)
  local out, nothing = assert(io.open(path, "wb")), assert(io.open "/dev/null")
  local child = assert(core.spawn({ "env", "SHIFT=" .. (options.shift or 0), "LUA_PATH_5_4=" .. package.path,
    "LUA_CPATH_5_4=" .. package.cpath, "lua5.4", "spec/extract/machine.lua", self.here.sim.url, options.path or self.path,
    tostring(self.lease), options.signal, options.state }, { stdin = nothing, stdout = out, stderr = out }))
  out:close()
  nothing:close()
  local worker = { child = child, path = path, name = self.count, options = options }
  function worker.text() return support.read(path) end
  function worker.told(word) return (worker.text():find("^" .. word) or worker.text():find("\n" .. word)) ~= nil end
  self.all[#self.all + 1] = worker
  return worker
end

--- Waits until a worker has ended, and gives its exit code.
function machines:ended(worker)
  return machines.wait("worker " .. worker.name .. ": " .. worker.text(), function() return worker.child:poll() end)
end

--- Sends a signal to one that is there: "STOP", "CONT", "KILL".
function machines.send(worker, signal)
  local pid = machines.wait("its id", function() return worker.text():match "pid\t(%d+)\n" or worker.child:poll() end)
  if not worker.child:poll() then support.shell(("kill -%s %s"):format(signal, pid)) end
end

--- A pause.
function machines.sleep(seconds) session:step(seconds) end

--- What lies in the folder, with its bytes.
function machines:files()
  return support.shell(("cd %s && find . -type f -name '[!.]*' ! -name run.json ! -name SHA256SUMS | sort | xargs sha256sum")
    :format(self.plan.output))
end

local function steps_of(all)
  local list = {}
  for _, worker in ipairs(all) do
    for at, item, turn, read, state in worker.text():gmatch "step\t(%S+)\t(%S+)\t(%d+)\t(%S+)\t(%l+)\n" do
      list[#list + 1] = { at = tonumber(at), item = item, turn = tonumber(turn), read = read, state = state,
        worker = worker.name }
    end
  end
  table.sort(list, function(a, b) return a.at < b.at end)
  return list
end

-- Nobody takes a step behind one who has taken the item over, and no read is two workers' between two of these.
function machines:assert_alone()
  local turns, owners = {}, {}
  for _, step in ipairs(steps_of(self.all)) do
    local what = ("%s of worker %d"):format(step.read, step.worker)
    assert((turns[step.item] or 0) <= step.turn, what .. ": it was another's")
    turns[step.item] = step.turn
    local key = table.concat({ step.item, step.read, step.turn }, " ")
    assert((owners[key] or step.worker) == step.worker, what .. ": it was two workers'")
    owners[key] = step.worker
  end
end

local function assert_rows(self, held)
  local target <close>, expected = store.connect(self.database.uri, self.plan.load.schema), 0
  for _ in pairs(held) do expected = expected + 1 end
  for _, name in ipairs { "Thing", "Paged", "Data", "Whole", "More", "Most" } do
    local count = 0
    for _, row in ipairs(target:rows(('SELECT * FROM %s"%s" WHERE NOT _zuora_deleted'):format(target.prefix, name))) do
      local other = held[row.Id]
      -- (Without `deleted` a row that was deleted stays.)
      if name == "Thing" or other then
        assert(other and other.Name == row.Name, name .. " " .. row.Id)
        count = count + 1
      end
    end
    assert(count == expected, ("%s: %d rows of %d"):format(name, count, expected))
  end
end

--- All files are whole, the target has every row once, nobody worked where another did, and each key was one job.
---@param is_random boolean|nil workers were stopped at any moment: in the midst of telling of a step, too
function machines:assert_sound(is_random)
  local found = assert(extract.verify(self.plan.output))
  for _, one in ipairs(found.problems) do error(one.path .. ": " .. one.problem, 0) end
  assert(support.shell(("cd %s && sha256sum -c --quiet SHA256SUMS 2>&1"):format(self.plan.output)) == "")
  local files, sums = 0, select(2, support.read(self.plan.output .. "/SHA256SUMS"):gsub("\n", ""))
  for _ in support.shell(("ls %s/*/*.csv"):format(self.plan.output)):gmatch "\n" do files = files + 1 end
  assert(files == sums and files == found.files, ("%d files, %d sums"):format(files, sums))
  local keys, sent = {}, 0
  for _, request in ipairs(support.sent(self.here.sim, "POST", "/v1/batch-query")) do
    local key = request.headers["idempotency-key"]
    sent, keys[key] = sent + (keys[key] and 0 or 1), true
  end
  local jobs = self.here:jobs() - self.known
  assert(self.ignores_keys or sent == jobs, ("%d keys, %d jobs"):format(sent, jobs))
  assert_rows(self, self.here:held())
  if not is_random then self:assert_alone() end
end

--- Rows change, and a step of the grid passes.
function machines:pass_night()
  self.here.sim:forget()
  self.known = self.here:jobs()
  self.here.sim:forward(3600)
  self.here.sim:update("Thing", { { "id00003", "later", "3.25", "" }, { "id00030", "new", "1", "" } })
  self.here.sim:delete("Thing", { "id00007" })
end

function machines:close()
  for _, worker in ipairs(self.all) do worker.child:close() end
  self.here:close()
end

machines.__close = machines.close

return machines
