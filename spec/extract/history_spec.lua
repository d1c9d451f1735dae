-- zuora.extract.history: a line for each run.

local extract = require "zuora.extract"
local world = require "spec.extract.world"

describe("the history of a plan", function()
  local here
  before_each(function() here = world.new { name = "extract-history" } end)
  after_each(function() here:close() end)

  local function lines(plan)
    local list = {}
    for _, event in ipairs(assert(extract.history(plan))) do
      assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+Z$", event.at)
      assert.is_nil(event.plan or event.rowid)
      list[#list + 1] = ("%s%s: %s"):format(event.item, event.what, event.detail)
    end
    return list
  end

  it("tells of each run what came of its items", function()
    local plan = here:plan()
    here:good()
    here:good()
    local results = assert(here:run(here:plan { { object = "Thing" }, { object = "Nonesuch" } }))
    assert.equal("failed", results[2].outcome)
    assert.same({ "run: 1 item: 1 done; 1 file, 20 rows", "run: 1 item: 1 up to date; 0 files, 0 rows",
      "run: 2 items: 1 up to date, 1 failed (Nonesuch); 0 files, 0 rows" }, lines(plan))
  end)

  it("tells of audits", function()
    local plan = here:plan(nil, { load = { to = "sqlite:" .. here.folder .. "/dw.db" } })
    assert(here:run(plan))
    assert(extract.audit(here.client, plan, { poll = 0.002 }))
    assert(extract.audit(here.client, plan, { poll = 0.002, check = true }))
    assert.same({ "audit: 1 item: 1 right; 0 files, 0 rows", "audit --check: 1 item: 1 right; 0 files, 0 rows" },
      table.move(lines(plan), 2, 3, 1, {}))
  end)
end)
