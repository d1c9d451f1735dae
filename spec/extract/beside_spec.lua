-- Several machines: what one that was stopped, or that had a wrong clock, leaves to the others. (zuora.extract.claims,
-- zuora.extract.work, zuora.extract.audit, zuora.extract.totals)

local cluster = require "spec.load.cluster"
local core = require "zuora.core"
local disk = require "zuora.extract.base.disk"
local extract = require "zuora.extract"
local journal = require "zuora.extract.journal"
local server = require "zuora.extract.base.server"
local support = require "spec.support"
local totals = require "zuora.extract.totals"
local world = require "spec.extract.world"

local DAY = 24 * 3600

describe("beside others", function()
  if cluster.missing() then
    pending("cannot be tried here: " .. cluster.missing())
    return
  end

  local database
  setup(function() database = cluster.start() end)
  teardown(function() database:stop() end)

  local function good(results, err)
    assert(results, tostring(err))
    for _, one in ipairs(results) do assert.is_nil(one.err, tostring(one.err)) end
    return results
  end

  local function work(here, plan) return extract.work(here.client, plan, { poll = 0.002 }) end

  it("audits beside one that was stopped in an audit, and tells nothing that it has not compared itself", function()
    local here <close> = world.new { name = "beside" }
    local plan = here:plan(nil, { plan = "audited", store = database.uri, load = { to = database.uri, schema = "dw" } })
    good(work(here, plan))
    local target <close> = server.connect(database.uri, plan.load.schema, {})
    target:run(('DELETE FROM %s"Thing" WHERE "Id" = ?'):format(target.prefix), "id00004")
    local stopped <close> = assert(core.file(plan.output .. "/.audit.Thing.csv"))
    assert(stopped:write "Id\n")
    for _, name in ipairs { ".audit.Thing.other.csv", ".audit.Thing.before.csv.stage", ".stage.Thing.before" } do
      support.write(plan.output .. "/" .. name, "Id\n")
    end
    support.write(plan.output .. "/.stage.Things.other", "of another item")
    local other <close> = journal.open(database.uri, "other", 60)
    local is_taken
    local result = good(extract.audit(here.client, plan, { poll = 0.002, check = true, on_step = function()
      if is_taken then return end
      is_taken = other.store:run([[UPDATE zuora_item SET owner = 'other', lease_until = clock_timestamp()
        + interval '0.2 s' WHERE plan = ?]], "audited") == 1
    end }))[1]
    assert.equal("wrong", result.outcome)
    local told = {}
    for _, event in ipairs(assert(extract.history(plan))) do
      if event.item == "Thing" then told[#told + 1] = event.what end
    end
    assert.same({ "taken over", "differs" }, told)
    assert.equal("of another item", support.read(plan.output .. "/.stage.Things.other"))
    for _, file in ipairs(disk.names(plan.output)) do
      assert.is_true(file == ".audit.Thing.csv.part" or not file:find "^%.audit" and not file:find "^%.stage%.Thing%.", file)
    end
  end)

  -- Who lost it every time, because that takes longer than a lease, would never come to an end.
  it("keeps an item while the rows of a long file are gone through", function()
    local here <close> = world.new { name = "beside" }
    local rows, pulses = 0, 0
    local function next_row()
      rows = rows + 1
      return rows <= 20000 and rows or nil
    end
    for _ in totals.each(next_row, function() pulses = pulses + 1 end) do end
    assert.same({ 20001, 4 }, { rows, pulses })

    local each, kept = totals.each, 0
    totals.each = function(it, pulse)
      kept = kept + (pulse and 1 or 0)
      return each(it, pulse)
    end
    local ok, problem = pcall(work, here, here:plan({ { object = "Thing", split = "id:8", totals = { "count" } } },
      { plan = "long", store = database.uri }))
    totals.each = each
    assert(ok, problem)
    assert.equal(2 * 3, kept) -- totals, and the last Id, of each page
  end)

  it("leaves nothing of what was staged where a load is cancelled", function()
    local here <close> = world.new { name = "beside" }
    local plan = here:plan(nil, { plan = "cancelled", store = database.uri, load = { to = database.uri, schema = "dwc" } })
    good(work(here, plan))
    here.sim:forward(3600)
    here.sim:update("Thing", { { "id00003", "later", "3.25", "" } })
    local other <close> = server.connect(database.uri, plan.load.schema, {})
    other:run "BEGIN"
    other:run "LOCK TABLE dwc.zuora_loads IN EXCLUSIVE MODE"
    local names, tmpname = {}, os.tmpname
    rawset(os, "tmpname", function()
      names[#names + 1] = tmpname()
      return names[#names]
    end)
    local task = here.client:spawn(function() return work(here, plan) end)
    local ok, problem = pcall(function()
      for _ = 1, 1000 do
        here.client:step(0.01)
        if other:row "SELECT 1 AS there FROM pg_locks WHERE NOT granted" then break end
      end
      task:cancel()
    end)
    rawset(os, "tmpname", tmpname)
    assert(ok, problem)
    assert.equal(1, #names)
    for _, ending in ipairs { "", ".out", ".err" } do assert.is_nil(disk.size(names[1] .. ending)) end
    for _, file in ipairs(disk.names(plan.output)) do assert.is_nil(file:find "^%.stage", file) end
    other:run "ROLLBACK"
    assert.equal("done", good(work(here, plan))[1].outcome)
  end)

  it("looks at an item that was visited in a step which has not come yet", function()
    local here <close> = world.new { name = "beside" }
    local plan = here:plan(nil, { plan = "ahead", store = database.uri })
    good(work(here, plan))
    here.sim:forward(20 * DAY)
    good(work(here, plan))
    here.sim:forward(-20 * DAY)
    for _ = 1, 2 do
      assert.matches("has not come yet by Zuora's clock", tostring(assert(work(here, plan))[1].err))
    end
    assert(extract.reset(plan, { item = "Thing" }))
    assert.equal("done", good(work(here, plan))[1].outcome)
    assert.same({}, good(work(here, plan)))
  end)
end)
