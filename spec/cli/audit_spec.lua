local core = require "zuora.core"
local journal = require "zuora.extract.journal"
local program = require "spec.cli.program"
local store = require "zuora.extract.base.store"
local support = require "spec.support"

describe("zuora extract audit", function()
  local sim, run, good, dir, plan
  local made = os.time() - 80 * 24 * 3600 -- of id2

  before_each(function()
    local rows = {}
    for i = 1, 9 do
      local at = os.date("!%Y-%m-%dT%H:%M:%S+0000", made - (i - 2) * 40 * 24 * 3600)
      rows[i] = { "id" .. i, i .. ".25", at, at }
    end
    sim = support.simulator { objects = { Thing = { columns = { "Id", "Amount", "CreatedDate", "UpdatedDate" }, rows = rows } } }
    run, good = program.on(sim)
    dir = support.scratch "cli-audit"
    plan = dir .. "/plan.json"
    support.write(plan, core.encode { plan = "nightly", output = dir .. "/out", load = { to = "sqlite:" .. dir
      .. "/dw.db" }, items = { { object = "Thing", totals = { "count", "sum(Amount)" } },
      { object = "Thing", name = "Whole", cursor = false } } })
    good(("extract run %s --poll 0.01"):format(plan))
  end)
  after_each(function() sim:stop() end)

  local function sql(text)
    local target <close> = store.open(dir .. "/dw.db")
    target:run(text)
  end

  it("says nothing where all is right: 0", function()
    local out, err = good(("extract audit %s --poll 0.01"):format(plan))
    assert.equal("", out)
    assert.matches("Thing: right: %d+ rows in %d+ months, as of %d+%-%d+%-%d+T%d%d:00:00Z; %d+ have changed since\n", err)
    assert.matches("Whole: not audited: it is read whole each time\n", err)
  end)

  it("names what differs: 5; mends it: 7; and is content then: 0", function()
    sql [[UPDATE "Thing" SET "Amount" = '1.5' WHERE "Id" = 'id2']]
    for _ = 1, 2 do
      local told = run(("extract audit %s --poll 0.01 --check --item Thing"):format(plan))
      assert.equal(5, told.code, told.err)
      assert.same({ item = "Thing", month = os.date("!%Y-%m", made), expected = "1 row, sum(Amount) 2.25",
        found = "1 row, sum(Amount) 1.5", outcome = "wrong" }, core.decode(told.out))
      assert.matches("the target is not as it should be\n$", told.err)
    end
    local mended = run(("extract audit %s --poll 0.01 --lease 9 --format csv"):format(plan))
    assert.equal(7, mended.code, mended.err)
    local month = os.date("!%Y-%m", made):gsub("%-", "%%-")
    for _, state in ipairs { "asking", "fetching", "loading" } do
      assert.matches(("\nThing: %s: %s\n"):format(month, state), mended.err)
    end
    assert.matches("\nThing: comparing\nThing: mended", mended.err)
    assert.matches("^item,entity,month,expected,found,outcome\nThing,,[^\n]+,mended\n$", (mended.out:gsub("\r", "")))
    good(("extract audit %s --poll 0.01"):format(plan))
  end)

  it("goes on with a check by a check, after Ctrl-C", function()
    local told = program.interrupted("extract audit --check --item Thing --poll 60 " .. plan, program.environment_of(sim),
      function(_, err) return err:find("Thing: comparing", 1, true) ~= nil end)
    assert.equal(130, told.code, told.err)
    assert.matches("to go on with it: zuora extract audit [^\n]*plan%.json %-%-item Thing %-%-check "
      .. "%-%-poll 60\n$", told.err)
    assert.matches('"detail":"interrupted %(Ctrl%-C%)","item":"","what":"audit %-%-check"}\n$', (good("extract history " .. plan)))
  end)

  it("is not content where nothing could be audited: 2", function()
    support.write(plan, core.encode { plan = "nightly", output = dir .. "/out", load = { to = "sqlite:" .. dir
      .. "/dw.db" }, items = { { object = "Thing", name = "Whole", cursor = false } } })
    local told = run(("extract audit %s --poll 0.01"):format(plan))
    assert.equal(2, told.code, told.err)
    assert.equal("", told.out)
    assert.matches("Whole: not audited: it is read whole each time\n", told.err)
    assert.matches("nothing of this plan could be audited\n$", told.err)
  end)

  it("is not content where an incremental item could not be audited, though others are right: 7", function()
    local function audit(items)
      support.write(plan, core.encode { plan = "nightly", output = dir .. "/out", load = { to = "sqlite:" .. dir
        .. "/dw.db" }, items = items })
      local told = run(("extract audit %s --poll 0.01"):format(plan))
      return told.code, told.err
    end
    local code, err = audit { { object = "Thing" }, { object = "Thing", name = "Unread" } }
    assert.equal(7, code, err)
    assert.matches("Unread: not audited: it has not been read", err)
    assert.matches("not all items were audited\n$", err)
    good(("extract run %s --poll 0.01"):format(plan))
    assert.equal(0, (audit { { object = "Thing" }, { object = "Thing", name = "Unread" } }))
    code, err = audit { { object = "Thing" }, { object = "Thing", name = "Unread", where = "Amount > 3" } }
    assert.equal(7, code, err)
    assert.matches("Unread: not audited: its query[^\n]*: `zuora extract reset [^`]* %-%-item Unread` has it read again from "
      .. "the beginning, `zuora extract run [^`]* %-%-item Unread %-%-keep%-mark` goes on from there\n", err)
  end)

  it("is refused for what cannot be compared, and while a run has the plan: 2, 8", function()
    for _, words in ipairs { "--item Whole", "--item Nothing" } do
      local result = run(("extract audit %s %s"):format(plan, words))
      assert.equal(2, result.code, result.err)
      assert.equal("", result.out)
    end
    local held <close> = journal.open(dir .. "/out/.zuora.db", "another")
    assert.equal(8, run("extract audit " .. plan).code)
    local _ = held
  end)
end)
