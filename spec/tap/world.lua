--- A tenant and its tap, for specs: in this process, or as the program that it is.

local core = require "zuora.core"
local extract = require "spec.extract.world"
local loader = require "spec.tap.loader"
local program = require "spec.cli.program"
local support = require "spec.support"
local tap = require "zuora.tap"

local world = setmetatable({}, { __index = extract })
world.__index, world.__close = world, extract.close

---@param options table|nil as spec.extract.world has them
function world.new(options)
  options = options or {}
  options.name = options.name or "tap"
  local self = setmetatable(extract.new(options), world)
  self.logged, self.start = {}, os.time() - 7 * 24 * 3600
  return self
end

--- A catalogue of these objects, all of it selected but what is named "Object.Property".
function world:catalogue(objects, without)
  local found = assert(tap.discover(self.client, { select = objects }))
  for _, stream in ipairs(found.streams) do
    for _, one in ipairs(stream.metadata) do
      if (without or ""):find(stream.stream .. "." .. tostring(one.breadcrumb[2]), 1, true) then one.metadata.selected = false end
    end
  end
  return found
end

--- Runs the tap into a loader.
---@param into table
---@param more table|nil options of tap.run, and catalogue
---@return table[]|nil results, zuora.Error|nil err
function world:run(into, more)
  local options = { poll = 0.002, state = into.state, tmpdir = self.folder, plan = { every = 3600, settle = 0 },
    write = function(text) into:write(text) end, log = function(line) table.insert(self.logged, line) end,
    start = self.start }
  for name, value in pairs(more or {}) do options[name] = value end
  local catalogue = options.catalogue or self:catalogue { "Thing" }
  options.catalogue = nil
  return tap.run(self.client, catalogue, options)
end

--- What was logged.
function world:log() return table.concat(self.logged, "\n") end

--- The loader has what the tenant has.
function world:assert_loaded(into, object)
  object = object or "Thing"
  local held, rows = self:held(object), into.rows[object]
  for id, row in pairs(held) do
    local other = assert(rows[id], "row " .. id .. " was never written")
    assert(other.Name == row.Name, ("row %s: %s"):format(id, tostring(other.Name)))
  end
  for id in pairs(rows) do assert(held[id], "row " .. id .. " is no more") end
end

--- Runs a line of a shell with $tap, which has the configuration; and $zuora.
---@param line string
---@param config table|nil more of the configuration
function world:shell(line, config)
  local all = { base_url = self.sim.url, client_id = self.sim.client_id, client_secret = self.sim.client_secret,
    settle = "0s", api_type = "AQUA", start_date = "2020-01-01T00:00:00Z" }
  for name, value in pairs(config or {}) do all[name] = value end
  support.write(self.folder .. "/config.json", core.encode(all))
  return program.shell(("tap='lua5.4 lua/bin/zuora-tap --config %s/config.json --poll 0.01'\n%s"):format(self.folder, line),
    { TMPDIR = self.folder })
end

world.loader = loader.new

return world
