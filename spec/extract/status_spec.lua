-- zuora.extract.tend: where the items of a plan stand.

local extract = require "zuora.extract"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = 3600

describe("the status of an item", function()
  local here
  before_each(function() here = world.new { name = "extract-status" } end)
  after_each(function() here:close() end)

  local function seconds(text) return math.tointeger(require "zuora".time(text)) end

  it("says where it is, and when a run has something to do", function()
    local plan = here:plan()
    assert.same({ state = "new", item = "Thing", next = "the next run", open = {} }, extract.status(plan)[1])
    here:good()
    local status = extract.status(plan)[1]
    assert.equal("done", status.state)
    assert.equal(seconds(status.mark) + HOUR, seconds(status.next))
    assert(extract.reset(here:plan(), { item = "Thing" }))
    status = extract.status(here:plan())[1]
    assert.same({ "to be read again", "the next run" }, { status.state, status.next, status.mark })
    here.sim:fault { on = "POST /v1/batch-query", kind = "outcome", job = "error" }
    assert(here:run(plan))
    assert.equal("failed", extract.status(plan)[1].state)
    assert(extract.reset(plan, { item = "Thing" }))
    status = extract.status(plan)[1]
    assert.same({ "to be read again" }, { status.state, status.error })
    here.sim:heal()
    here:good()
    assert.equal("done", extract.status(plan)[1].state)
  end)

  it("says where the target is, which may be an older copy, or away", function()
    local path, more = here.folder .. "/dw.db", { load = { to = "sqlite:" .. here.folder .. "/dw.db" } }
    local plan = here:plan(nil, more)
    local function status()
      local one = assert(extract.status(plan))[1]
      return one, one.state
    end
    here:good(nil, nil, more)
    local first = status()
    support.shell(("cp %s %s.old"):format(path, path))
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00003", "later", "3.25", "" } })
    here:good(nil, nil, more)
    assert.equal(seconds(first.mark) + HOUR, seconds(status().mark))
    support.shell(("cp %s %s.new; cp %s.old %s"):format(path, path, path, path))
    assert.same({ first.mark, "to be read again" }, { status().mark, status().state })
    os.remove(path)
    local gone = status()
    assert.same({ "to be read again" }, { gone.state, gone.mark, gone.error })
    assert.is_nil(support.read(path))
    support.write(path, "no database at all, but long enough to be taken for what it is not")
    local away, state = status()
    assert.equal("done", state)
    assert.equal(seconds(first.mark) + HOUR, seconds(away.mark))
    assert.matches("^file: .*not a database", away.error)
    support.shell(("cp %s.new %s"):format(path, path))
    assert.same({ "done" }, { status().state, status().error })
    do
      local target <close> = require "zuora.extract.base.store".open(path)
      target:run 'DROP TABLE "Thing"'
    end
    assert.equal("failed", status().state)
    assert.matches("^plan: .*no table of it now: `zuora extract reset PLAN %-%-item Thing`", status().error)
    assert(extract.reset(plan, { item = "Thing" }))
    assert.same({ "to be read again" }, { status().state, status().error })
    here:good(nil, nil, more)
    assert.equal("done", status().state)
    plan.load = { to = "postgresql:///nonesuch?host=/nonesuch" }
    assert.equal("done", status().state)
  end)

  it("says why it failed, whatever it was, and when it is tried again", function()
    local items = { { object = "Thing" }, { object = "Nonesuch" } }
    here.sim:fault { on = "POST /v1/batch-query", kind = "outcome", job = "error" }
    assert(here:run(here:plan(items)))
    local failed, unknown = table.unpack(extract.status(here:plan(items)))
    assert.equal("failed", failed.state)
    assert.matches("^failed: [^\n]+$", failed.error)
    assert.matches("^%d+%-", failed.next) -- with another window: this one is given up
    assert.same({ "failed", "the next run" }, { unknown.state, unknown.next })
    assert.matches("^api %(not_found%): [^\n]*404[^\n]*$", unknown.error)
    here.sim:heal()
    assert(here:run(here:plan(items), { again = true }))
    failed, unknown = table.unpack(extract.status(here:plan(items)))
    assert.same({ "done" }, { failed.state, failed.error })
    assert.equal("failed", unknown.state)
  end)

  it("takes no audit for a run of it", function()
    local rows = world.rows(5)
    local settings = { objects = { Thing = { columns = { "Id", "Name", "CreatedDate", "UpdatedDate" }, rows = rows } } }
    for _, row in ipairs(rows) do row[3] = row[4] end
    local other <close> = world.new { name = "extract-status-audit", simulator = settings }
    local plan = other:plan(nil, { load = { to = "sqlite:" .. other.folder .. "/dw.db" } })
    assert(other:run(plan))
    local last = extract.status(plan)[1].last
    local target <close> = require "zuora.extract.base.store".open(other.folder .. "/dw.db")
    target:run [[DELETE FROM "Thing" WHERE "Id" = 'id00002']]
    assert.equal("mended", assert(extract.audit(other.client, plan, { poll = 0.002 }))[1].outcome)
    assert.same(last, extract.status(plan)[1].last)
    -- One that is given up has not failed.
    target:run [[DELETE FROM "Thing" WHERE "Id" = 'id00003']]
    assert.is_false(pcall(extract.audit, other.client, plan, { poll = 0.002, on_step = function(_, read)
      if read.state == "submitted" then error "killed" end
    end }))
    assert(extract.reset(plan, { item = "Thing" }))
    local status = extract.status(plan)[1]
    assert.same({ "to be read again", {}, last }, { status.state, status.open, status.last })
    assert.is_nil(status.error)
  end)
end)
