--- A tenant, a plan and a small target for the specs of extraction: what is read is merged here, by rules of its own,
--- and held against what the tenant has.

local core = require "zuora.core"
local extract = require "zuora.extract"
local support = require "spec.support"
local zuora = require "zuora"

local world = {}
world.__index = world

local COLUMNS = { "Id", "Name", "Amount", "UpdatedDate" }

local function stamp(seconds) return os.date("!%Y-%m-%dT%H:%M:%S+0000", math.floor(seconds)) end

--- So many rows, `spread` seconds between their changes, the newest of them an hour old.
function world.rows(count, spread)
  local rows, newest = {}, os.time() - 3600
  for i = 1, count do
    rows[i] = { ("id%05d"):format(i), "name " .. i, ("%d.%02d"):format(i, i % 100), stamp(newest - (count - i) * (spread or 1)) }
  end
  return rows
end

---@param options table|nil rows: of Thing; simulator: more settings of it
function world.new(options)
  options = options or {}
  local settings = { objects = { Thing = { columns = COLUMNS, rows = options.rows or world.rows(20) } }, looks = 1 }
  for name, value in pairs(options.simulator or {}) do settings[name] = value end
  local sim = require "zuora.simulator".start(settings)
  local folder = support.scratch(options.name or "extract")
  support.shell("rm -rf " .. folder)
  core.mkdir(folder)
  sim:forward(3601 - os.time() % 3600) -- just behind a point of the grid: no case crosses one by itself
  return setmetatable({ sim = sim, client = support.quick_client(sim), folder = folder }, world)
end

function world:plan(items, more)
  local plan = { plan = "nightly", output = self.folder .. "/out", every = 3600, settle = 0, items = items or
    { { object = "Thing" } } }
  for name, value in pairs(more or {}) do plan[name] = value end
  return plan
end

--- Runs a plan, without waiting for long.
function world:run(plan, options)
  local all = { poll = 0.002 }
  for name, value in pairs(options or {}) do all[name] = value end
  return extract.run(self.client, plan, all)
end

--- Runs items of a plan, all of which are to go well.
function world:good(items, options, more)
  local results = assert(self:run(self:plan(items, more), options))
  for _, result in ipairs(results) do
    if result.err then error(tostring(result.err), 2) end
  end
  return results
end

local function own_name(name) return name:match "[^.]*$" end

--- What the files of an item come to, by their places: by Id, newer values over older ones.
---@return table<string, table<string, string>> rows by Id
function world:merged(item)
  local json, manifest, list = require "zuora.extract.base.json", require "zuora.extract.base.manifest", {}
  for path in support.shell(("ls %s/out/%s/*.manifest.json"):format(self.folder, item)):gmatch "[^\n]+" do
    list[#list + 1] = json.decode(support.read(path))
  end
  table.sort(list, function(a, b) return manifest.place(a) < manifest.place(b) end)
  local merged = {}
  for _, fields in ipairs(list) do
    for row in assert(zuora.rows(("%s/out/%s/%s"):format(self.folder, item, fields.file))) do
      local copy = {}
      for name, value in pairs(row) do copy[own_name(name)] = value end
      merged[copy.Id] = copy._zuora_deleted ~= "true" and copy or nil
    end
  end
  return merged
end

--- What the tenant has, by Id.
function world:held(object)
  local job = assert(self.client.queries:submit { query = "select * from " .. (object or "Thing") })
  assert(job:wait { min = 0.01 })
  local held = {}
  for row in assert(job:rows()) do
    local copy = {}
    for name, value in pairs(row) do copy[own_name(name)] = value end
    held[copy.Id] = copy
  end
  return held
end

--- What both have in common must be the same.
function world:assert_same(item, object)
  local merged, held = self:merged(item), self:held(object)
  for id, row in pairs(held) do
    local other = merged[id]
    assert(other, "row " .. id .. " was never read")
    for name, value in pairs(row) do
      assert(other[name] == value, ("row %s: %s is %s, and should be %s"):format(id, name, tostring(other[name]), value))
    end
  end
  for id in pairs(merged) do assert(held[id], "row " .. id .. " is no more") end
end

--- How many jobs the tenant was asked for.
function world:jobs() return #self.sim:held().jobs end

function world:close()
  self.client:close()
  self.sim:stop()
end

world.__close = world.close

return world
