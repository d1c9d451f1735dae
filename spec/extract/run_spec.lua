-- Plans that are run again and again: each case is a sequence of events that has lost or doubled rows somewhere. They go
-- through zuora.extract.run, zuora.extract.planner, zuora.extract.worker and zuora.extract.sources.aqua, .report, .data_query
-- (zuora.extract.sources.report, zuora.extract.sources.data_query).

local extract = require "zuora.extract"
local json = require "zuora.extract.base.json"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR, DAY = 3600, 24 * 3600

describe("zuora.extract.run", function()
  local function run(here, items, options, more)
    local results, err = here:run(here:plan(items, more), options)
    return results, err
  end

  -- All items are done, or up to date.
  local good = world.good

  it("reads all, then nothing, then what has changed; and proves it", function()
    local here <close> = world.new { simulator = { turn_columns = true } }
    local items = { { object = "Thing", totals = { "count", "sum(Amount)" }, deleted = true },
      { report = "Accounts by balance", view = "Detail", name = "balances" },
      { query = "select Name from Thing where Amount > 3 or Name = 'name 1'", name = "some", cursor = "UpdatedDate" },
      { query = "select Id from Thing", api = "query", name = "data" } }
    local first = good(here, items)
    assert.same({ "done", "done", "done", "done" }, { first[1].outcome, first[2].outcome, first[3].outcome,
      first[4].outcome })
    assert.equal(20, first[1].records)
    here:assert_same "Thing"
    local jobs = here:jobs()
    assert.equal("up to date", good(here, items)[1].outcome)
    assert.equal(jobs, here:jobs())
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00003", "changed", "7.5", "" }, { "id90000", "new", "1", "" } })
    here.sim:delete("Thing", { "id00001" })
    here.sim:forward(HOUR)
    local second = good(here, items)[1]
    assert.equal(3, second.records)
    here:assert_same "Thing"
    local found = assert(extract.verify(here.folder .. "/out"))
    assert.same({}, found.problems)
    assert.equal(8, found.files)
    local text, status = support.shell(("cd %s/out && sha256sum -c --quiet SHA256SUMS"):format(here.folder))
    assert.equal(0, status, text)
    local told = json.decode(support.read(here.folder .. "/out/run.json"))
    assert.equal("done", told.items[1].outcome)
  end)

  it("takes no job for a read that is another's", function()
    local here <close> = world.new {}
    local items = { { query = "select Id, Amount from Thing where Amount < 5", name = "few" } }
    good(here, items)
    local first = here.sim:held().jobs[1].id
    local answer = { on = "POST /v1/batch-query", kind = "status", status = 200, times = "always",
      body = json.encode { id = first, status = "submitted" } }
    here.sim:fault(answer)
    items[2] = { query = "select Id, Amount from Thing where Amount > 5", name = "many" }
    local result = assert(run(here, items))[2]
    assert.equal("incomplete", result.err.kind)
    assert.matches("many was answered with job " .. first .. ", which is that of few full%.", result.err.message)
    assert.equal("", support.shell(("ls %s/out/many 2>/dev/null"):format(here.folder)))
    here.sim:heal()
    assert.equal(16, good(here, items, { again = true })[2].records)
  end)

  it("reads a row that is touched before every run", function()
    local here <close> = world.new {}
    good(here)
    for i = 1, 3 do
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00002", "touched " .. i, "2", "" } }) -- newer than the mark that comes
      good(here)
      assert.equal("touched " .. i, here:merged "Thing".id00002.Name)
    end
  end)

  it("takes no lookback for the window with the same end", function()
    local here <close> = world.new { rows = world.rows(20, HOUR) }
    local items = { { object = "Thing", lookback = { days = 1, every = "1h" } } }
    assert.equal(2, good(here, items)[1].reads)
    here.sim:forward(HOUR)
    local files = good(here, items)[1].files
    assert.matches("/window%.", files[1])
    assert.matches("/lookback%.", files[2])
    assert.same({}, extract.verify(here.folder .. "/out").problems)
    assert.equal(0, good(here, items)[1].reads)
  end)

  it("reads anew after a reset within the day, and when it is told to", function()
    local here <close> = world.new {}
    good(here)
    local plan = here:plan()
    assert.equal("the beginning", assert(extract.reset(plan, { item = "Thing" }))[1].from)
    assert.equal(20, good(here)[1].records)
    assert.equal(2, here:jobs())
    assert.equal(20, good(here, nil, { again = true })[1].records)
    assert.equal(3, here:jobs())
    assert.equal("up to date", good(here)[1].outcome)
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("finds its marks again in the manifests when the store is gone", function()
    local here <close> = world.new {}
    good(here)
    support.shell(("rm %s/out/.zuora.db*"):format(here.folder))
    assert.equal("up to date", good(here)[1].outcome)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00004", "later", "4", "" } })
    assert.equal(1, good(here)[1].records)
    here:assert_same "Thing"
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("goes on in the chain when the store is gone in the midst of a read", function()
    for _, state in ipairs { "completed", "published" } do
      local here <close> = world.new { name = "extract-gone-" .. state }
      local items, killed = { { object = "Thing", split = "id:6" } }, false
      local ok = pcall(here.run, here, here:plan(items), { on_step = function(_, read)
        killed = read.state == state and read.piece == "id:id00012"
        if killed then error "killed" end
      end })
      assert.is_true(killed and not ok)
      support.shell(("rm %s/out/.zuora.db*; touch %s/out/Thing/full.begin.20260101T000000Z.g0-a1.csv"):format(here.folder,
        here.folder))
      assert.equal(20, good(here, items)[1].records)
      assert.equal(3 + 4, here:jobs()) -- nobody knows which pieces were done: all of them again, as another generation
      here:assert_same "Thing"
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00004", "later", "4", "" } })
      assert.equal(1, good(here, items)[1].records)
      assert.same({}, extract.verify(here.folder .. "/out").problems)
    end
  end)

  it("asks for nothing before it is on the disk that it will", function()
    local here <close> = world.new {}
    local disk = require "zuora.extract.base.disk"
    local sync = disk.sync
    disk.sync = function(path)
      if path:find "%-wal$" then error(require "zuora.error".new { kind = "file", message = "no power" }, 0) end
      return sync(path)
    end
    local _, err = run(here)
    disk.sync = sync
    assert.equal("no power", err.message)
    assert.equal(0, here:jobs())
    good(here)
    assert.equal(1, here:jobs())
  end)

  it("refuses the store of another tenant, and of another plan", function()
    local here <close> = world.new {}
    good(here)
    local other <close> = world.new { name = "extract-other" }
    local plan = here:plan()
    local results, err = other:run(plan)
    assert.is_nil(results)
    assert.equal("plan", err.kind)
    assert.matches("belongs to the tenant", err.message)
    plan.plan = "weekly"
    assert.matches("belongs to the plan 'nightly'", select(2, here:run(plan)).message)
    assert.equal(0, other:jobs())
  end)

  it("lets one run at a time change a store", function()
    local here <close> = world.new {}
    local journal = require "zuora.extract.journal"
    good(here)
    do
      local _ <close> = journal.open(here.folder .. "/out/.zuora.db", "somebody")
      assert.equal("busy", select(2, run(here)).kind)
    end
    good(here)
  end)

  it("stops at a query that was edited, and names the cures", function()
    local here <close> = world.new {}
    local function items(text) return { { query = text, name = "q", cursor = "UpdatedDate" } } end
    good(here, items "select Id from Thing")
    local edited = items "select Id, Name from Thing where Amount > 2"
    local err = assert(run(here, edited))[1].err
    assert.equal("plan", err.kind)
    assert.matches("`zuora extract reset PLAN %-%-item q`.*`zuora extract run PLAN %-%-item q %-%-keep%-mark`", err.message)
    here.sim:forward(HOUR)
    assert.equal("done", good(here, edited, { keep_mark = true })[1].outcome)
    -- The other cure, in this step of the grid and in a database as well.
    for _, load in ipairs { false, { to = "sqlite:" .. here.folder .. "/dw.db" } } do
      local more = { load = load or nil, output = here.folder .. "/again", plan = load and "loaded" or "again",
        store = here.folder .. (load and "/loaded.db" or "/again.db") }
      local function plan(of) return here:plan(of, more) end
      assert.equal("done", assert(here:run(plan(items "select Id from Thing")))[1].outcome)
      assert.equal("plan", assert(here:run(plan(edited)))[1].err.kind)
      assert(extract.reset(plan(edited), { item = "q" }))
      local result = assert(here:run(plan(edited)))[1]
      assert.equal("done", result.outcome, tostring(result.err))
      assert.equal("up to date", assert(here:run(plan(edited)))[1].outcome)
      support.shell("rm -rf " .. more.output)
    end
  end)

  it("says of a query with a field that is not there what it is, and goes on with the others", function()
    local here <close> = world.new {}
    local results = assert(run(here, { { query = "select Id, Nope from Thing", name = "q", cursor = "UpdatedDate" },
      { object = "Thing" } }))
    assert.matches("Nope", tostring(results[1].err))
    assert.equal("done", results[2].outcome)
  end)

  it("reads a first load by pages; one that is read again does not end before", function()
    local here <close> = world.new {}
    local items = { { object = "Thing", split = "id:6" } }
    local first = good(here, items)[1]
    assert.equal(4, first.reads)
    assert.equal(20, first.records)
    here:assert_same "Thing"
    -- A page whose file is gone, here and there, is read again, in a later snapshot with a row more in it.
    local again <close> = world.new { name = "extract-again" }
    local gone
    local results = assert(again:run(again:plan(items), { on_step = function(_, read)
      if read.state == "fetched" and read.piece == "id:" and not gone then
        gone = true
        again.sim:update("Thing", { { "id000010", "between", "1", "" } })
        again.sim:forward(4 * DAY)
        os.remove(again.folder .. "/out/" .. read.path)
      end
    end }))
    assert.is_nil(results[1].err, tostring(results[1].err))
    assert.equal(21, results[1].records)
    again:assert_same "Thing"
  end)

  it("halves a window that is too large, down to pages of a second", function()
    local here <close> = world.new { rows = {}, simulator = { query_rows = 6 } }
    local items = { { object = "Thing", split = "id:5" } }
    good(here, items)
    here.sim:forward(HOUR)
    local rows = world.rows(30)
    for i, row in ipairs(rows) do row[4] = i % 3 == 0 and os.date("!%Y-%m-%dT%H:%M:%S+0000", os.time() + 5000) or "" end
    here.sim:update("Thing", rows)
    here.sim:forward(HOUR)
    local result = good(here, items)[1]
    assert.is_true(result.reads > 3)
    here:assert_same "Thing"
    assert.same({}, extract.verify(here.folder .. "/out").problems)
    here.sim:forward(HOUR)
    assert.equal(0, good(here, items)[1].records)
  end)

  it("halves a page that is too large, and those behind it", function()
    local here <close> = world.new { rows = world.rows(30), simulator = { query_rows = 6 } }
    local result = good(here, { { object = "Thing", split = "id:20" } })[1]
    assert.equal(7, result.reads) -- six of five rows, and one behind them
    here:assert_same "Thing"
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("halves a window whose file is refused for its size", function()
    local here <close> = world.new { rows = {}, simulator = { file_bytes = 700 } }
    good(here)
    here.sim:forward(HOUR)
    local rows = world.rows(30)
    for i, row in ipairs(rows) do
      row[4] = os.date("!%Y-%m-%dT%H:%M:%S+0000", os.time() + 4000 + i * 60)
    end
    here.sim:update("Thing", rows)
    here.sim:forward(HOUR)
    assert.is_true(good(here)[1].reads > 2)
    here:assert_same "Thing"
  end)

  it("leaves out a field that the engine refuses, and tells of it", function()
    local here <close> = world.new {}
    local prepare = require "zuora.extract.describe".item
    require "zuora.extract.describe".item = function(...)
      local item = prepare(...)
      table.insert(item.columns, "Ghost")
      return item
    end
    local ok, results = pcall(run, here)
    require "zuora.extract.describe".item = prepare
    assert(ok, results)
    assert.is_nil(results[1].err, tostring(results[1].err))
    assert.same({ "Ghost" }, results[1].refused)
    here:assert_same "Thing"
  end)

  it("asks anew for a job that failed, was lost, or whose file was purged; three times at most", function()
    local here <close> = world.new {}
    here.sim:fault { on = "POST /v1/batch-query", kind = "outcome", job = "error" }
    local tried = assert(run(here))[1]
    assert.equal("failed", tried.err.kind)
    assert.equal(3, here:jobs())
    assert.matches("failed before", assert(run(here))[1].err.message)
    here.sim:heal()
    assert.is_string(extract.status(here:plan())[1].error)
    assert.equal(20, good(here, nil, { again = true })[1].records)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00002", "x", "2", "" } })
    local purged
    local results = assert(run(here, nil, { on_step = function(_, read)
      if read.state == "completed" and not purged then
        purged = true
        here.sim:forward(4 * DAY)
      end
    end }))
    assert.is_nil(results[1].err, tostring(results[1].err))
    assert.equal(1, results[1].records)
    here:assert_same "Thing"
  end)

  it("leaves a job that goes on where it is, and goes on with it", function()
    local here <close> = world.new { simulator = { looks = 100 } }
    local result = assert(run(here, nil, { wait = 0.1 }))[1]
    assert.equal("still running", result.outcome)
    assert.equal("submitted", extract.status(here:plan())[1].open[1].state)
    local _ = assert(run(here, nil, { wait = 0.1 }))
    assert.equal(1, here:jobs())
  end)

  it("stops where deleted rows may be gone at Zuora", function()
    local here <close> = world.new {}
    local items = { { object = "Thing", deleted = true } }
    good(here, items)
    here.sim:forward(31 * DAY)
    local err = assert(run(here, items))[1].err
    assert.equal("plan", err.kind)
    assert.matches("30 days", err.message)
    good(here, items, { reconcile = true })
  end)

  it("holds totals against the file, exactly", function()
    local here <close> = world.new { rows = { { "1", "a", "0.1", "2026-01-01T00:00:00+0000" },
      { "2", "b", "0.2", "2026-01-01T00:00:00+0000" }, { "3", "c", "-9007199254740993.75", "2026-01-01T00:00:00+0000" } } }
    local items = { { object = "Thing", totals = { "sum(Amount)" } } }
    local totals = require "zuora.extract.totals"
    local plan = assert(extract.plan(here:plan(items))).items[1]
    local path = here.folder .. "/sums.csv"
    support.write(path, "Thing.Id,Thing.Amount\n1,0.1\n2,0.2\n3,-900719925474099.75\n")
    assert.is_true(totals.agree(plan, path, { ["count(thing.id)"] = "3", ["sum(amount)"] = "-900719925474099.45" }, "gone"))
    local ok, err = totals.agree(plan, path, { ["count(id)"] = "3", ["sum(thing.amount)"] = "-900719925474099.46" }, "gone")
    assert.is_nil(ok)
    assert.equal("incomplete", err.kind)
    assert.matches("3 rows, and Zuora told no count in the same", select(2, totals.agree(plan, path, {}, "gone")).message)
    assert.matches("Zuora told no sum of Amount", select(2, totals.agree(plan, path, { ["count(id)"] = "3" }, "gone")).message)
    assert.matches("3 rows, and Zuora counted 4", select(2, totals.agree(plan, path, { ["count(id)"] = "4" }, "gone")).message)
  end)
end)
