-- What zuora.extract.audit takes and what it refuses, and what it does beside the usual: zuora.extract.months,
-- zuora.extract.base.decimals.

local audited = require "spec.extract.audited"
local decimals = require "zuora.extract.base.decimals"
local extract = require "zuora.extract"
local journal = require "zuora.extract.journal"
local kinds = require "spec.load.kinds"
local months = require "zuora.extract.months"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = audited.HOUR
local target = kinds.SQLite

describe("an audit", function()
  local here
  after_each(function()
    if here then here:close() end
    here = nil
  end)

  local function plan(items, more)
    local all = { load = { to = target.to(here.folder) } }
    for name, value in pairs(more or {}) do all[name] = value end
    return here:plan(items, all)
  end

  local function run(of, options)
    for _, result in ipairs(assert(here:run(of, options))) do assert.is_nil(result.err, tostring(result.err)) end
  end

  local function audit(of, options)
    local results = assert(audited.audit(here, of, options))
    for _, result in ipairs(results) do assert.is_nil(result.err, tostring(result.err)) end
    return results
  end

  local function sql(text) return target:run(here.folder, text) end

  it("is refused without a target, before anything is sent", function()
    here = audited.world(audited.year(30))
    local results, err = audited.audit(here, here:plan())
    assert.is_nil(results)
    assert.equal("plan", err.kind)
    assert.matches("no 'load'", err.message)
    assert.same({}, here.sim:journal())
  end)

  it("leaves out rows with an empty cursor where Zuora has such rows, too", function()
    here = world.new { name = "audit", simulator = { objects = { Thing = {
      columns = { "Id", "CreatedDate", "PostedOn" }, rows = {
        { "id1", "2026-01-02T00:00:00+0000", "2026-01-03T00:00:00+0000" },
        { "id2", "2026-01-02T00:00:00+0000", "" } } } } } }
    local of = plan { { query = "select Id, CreatedDate, PostedOn from Thing", name = "Posted", cursor = "PostedOn" } }
    run(of)
    assert.equal(2, #target:rows(here.folder, [[SELECT 1 AS one FROM "Posted"]]))
    assert.equal("right", audit(of)[1].outcome)
  end)

  it("says of what it cannot compare why not; it is an error for what is named", function()
    here = audited.world(audited.year(30))
    local of = plan { { object = "Thing" }, { object = "Thing", name = "Whole", cursor = false },
      { report = "Accounts by balance", view = "Detail", name = "Balances" },
      { query = "select Id, Name from Thing", api = "query", name = "Data" },
      { query = "select Name from Thing where Amount > 5", name = "Summed", cursor = "UpdatedDate",
        totals = { "sum(Amount)" } } }
    local first = audit(of)
    assert.matches("has not been read", first[1].reason)
    here.sim:fault { on = "GET /reporting/*", kind = "status", status = 503, times = 0 }
    run(of, { items = { "Thing", "Whole", "Data" } })
    assert.matches("no column Amount", assert(here:run(of, { items = { "Summed" } }))[1].err.message)
    local list = audit(of)
    assert.same({ "right", "read whole", "read whole", "read whole", "not audited" }, { list[1].outcome,
      list[2].outcome, list[3].outcome, list[4].outcome, list[5].outcome })
    for i = 2, 4 do assert.equal("it is read whole each time", list[i].reason) end
    local named = assert(audited.audit(here, of, { items = { "Whole" } }))[1]
    assert.equal("plan", named.err.kind)
    assert.matches("^Whole: it is read whole each time: ", named.err.message)
    assert.equal("plan", select(2, audited.audit(here, of, { items = { "Nothing" } })).kind)
    local edited = plan { { object = "Thing", where = "Amount > 3" } }
    assert.matches("is not what it was", audit(edited)[1].reason)
    assert(extract.reset(of, { item = "Thing" }))
    assert.matches("set back", audit(of)[1].reason)
  end)

  it("numbers what it reads behind what is there, where the store is gone", function()
    here = audited.world(audited.year(30))
    local of = plan()
    run(of)
    target:run(here.folder, [[DELETE FROM "Thing" WHERE "Id" = 'id00003']])
    support.shell(("rm %s/out/.zuora.db*"):format(here.folder))
    assert.equal("mended", audit(of)[1].outcome)
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("waits for no run that has the plan", function()
    here = audited.world(audited.year(30))
    local of = plan()
    run(of)
    local _ <close> = journal.open(here.folder .. "/out/.zuora.db", "somebody")
    assert.equal("busy", select(2, audited.audit(here, of)).kind)
  end)

  it("finishes what a run has begun, and only then compares; with check it leaves it", function()
    here = audited.world(audited.year(30))
    local of = plan()
    run(of)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00003", "changed", "1", "" } })
    here.sim:forward(HOUR)
    assert.is_false(pcall(here.run, here, of, { on_step = function(_, read)
      if read.state == "fetched" then error "killed" end
    end }))
    local checked = audit(of, { check = true })[1]
    assert.same({ "right", 0, 1 }, { checked.outcome, checked.reads, checked.changed })
    assert.equal(1, #extract.status(of)[1].open)
    local result = audit(of)[1]
    assert.same({ "right", 1, 0 }, { result.outcome, result.reads, result.changed })
    assert.same({}, audited.differences(target, here))
  end)

  it("counts all as one where nothing says when a row was made", function()
    local rows = audited.year(30)
    for _, row in ipairs(rows) do table.remove(row, 4) end
    here = audited.world(nil, { simulator = { objects = { Thing = { columns = { "Id", "Name", "Amount", "UpdatedDate" },
      rows = rows } } } })
    local of = plan { { object = "Thing", totals = audited.TOTALS } }
    run(of)
    sql [[DELETE FROM "Thing" WHERE "Id" = 'id00003']]
    sql [[INSERT INTO "Thing" ("Id", "UpdatedDate") VALUES ('ghost', '2026-01-01T00:00:00+0000')]]
    sql [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00005']]
    local result = audit(of)[1]
    assert.same({ "mended", 1, "all" }, { result.outcome, result.reads, result.differences[1].month })
    assert.same({}, audited.differences(target, here))
  end)

  it("goes through more months than a job has queries", function()
    local rows = {}
    for i = 1, 130 do
      local made = os.time() - i * 30 * audited.DAY
      rows[i] = { ("id%05d"):format(i), "n", i .. ".5", audited.stamp(made), audited.stamp(made) }
    end
    here = audited.world(rows)
    local of = plan { { object = "Thing", totals = audited.TOTALS } }
    run(of)
    local jobs = here:jobs()
    local result = audit(of)[1]
    assert.is_true(result.months > 96 and result.outcome == "right" and result.rows == 130)
    assert.equal(jobs + 3, here:jobs())
    sql [[DELETE FROM "Thing" WHERE "Id" IN ('id00001', 'id00129')]]
    assert.equal(2, #audit(of)[1].differences)
    assert.same({}, audited.differences(target, here))
  end)

  it("asks for what a query's own conditions let through, and lets a row leave them", function()
    here = audited.world(audited.year(3))
    local of = plan { { query = "select Name, Amount, CreatedDate from Thing where Amount > 100 or Name = 'name 3'",
      name = "Some", cursor = "UpdatedDate", totals = { "sum(Amount)" } } }
    run(of)
    here.sim:update("Thing", { { "id00100", "left", "1", "" } }) -- it has left the condition, after the mark
    local result = audit(of)[1]
    assert.same({ "right", 1 }, { result.outcome, result.changed })
    sql [[DELETE FROM "Some" WHERE "Id" = 'id00099']]
    assert.equal("mended", audit(of)[1].outcome)
    assert.equal("right", audit(of, { check = true })[1].outcome)
  end)

  it("is of each entity by itself, in a table of several", function()
    here = audited.world(audited.year(30))
    local of = plan({ { object = "Thing", mode = "append", totals = audited.TOTALS } },
      { entities = { "11e643f4-a3ee-1234-a3ee-0123456789ab" } })
    run(of)
    sql [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00005']]
    sql [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00006']]
    sql [[UPDATE "Thing" SET _zuora_read = '22e643f4-a3ee-1234-a3ee-0123456789ab-full', "Id" = 'other'
      WHERE rowid = (SELECT max(rowid) FROM "Thing")]]
    local result = audit(of)[1]
    assert.same({ "mended", 1 }, { result.outcome, #result.differences })
    assert.equal("11e643f4-a3ee-1234-a3ee-0123456789ab", result.entity)
    assert.equal(1, #target:rows(here.folder, [[SELECT 1 AS one FROM "Thing" WHERE "Id" = 'other']]))
    sql [[DELETE FROM "Thing" WHERE "Id" = 'other']]
    assert.same({}, audited.differences(target, here))
  end)

  it("asks without deleted rows where Zuora does not give them, and mends what is only ever added", function()
    local rows = {}
    for i = 1, 20 do
      local made = audited.stamp(os.time() - i * 5 * audited.DAY)
      rows[i] = { ("id%05d"):format(i), "name " .. i, i .. ".25", made, made }
    end
    here = audited.world(nil, { simulator = { objects = { PaymentTransactionLog = { columns = { "Id", "Name", "Amount",
      "CreatedDate", "TransactionDate" }, rows = rows } } } })
    local of = plan { { object = "PaymentTransactionLog", name = "Thing", totals = audited.TOTALS } }
    run(of)
    here.sim:update("PaymentTransactionLog", { { "id90000", "later", "1", "", audited.stamp(os.time() + 3600) } })
    assert.equal("right", audit(of)[1].outcome)
    sql [[DELETE FROM "Thing" WHERE "Id" = 'id00005']]
    sql [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00009']]
    assert.equal("mended", audit(of)[1].outcome)
    assert.same({ n = 20 }, { n = #target:rows(here.folder, [[SELECT DISTINCT "Id" FROM "Thing" WHERE "Id" < 'id9']]) })
    here.sim:forward(2 * HOUR)
    run(of)
    assert.equal(21, #target:rows(here.folder, [[SELECT 1 AS one FROM "Thing"]]))
    assert.equal("right", audit(of)[1].outcome)
  end)

  it("says so when what was read again is not right", function()
    here = audited.world(audited.year(30))
    local of = plan()
    run(of)
    sql [[DELETE FROM "Thing" WHERE "Id" = 'id00003']]
    sql [[CREATE TRIGGER spoiler AFTER INSERT ON "Thing" WHEN new."Id" = 'id00003'
      BEGIN INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00003'; END]]
    local result = assert(audited.audit(here, of))[1]
    assert.equal("wrong", result.outcome)
    assert.equal("incomplete", result.err.kind)
    assert.matches("though it was read again", result.err.message)
  end)
end)

describe("the sums of an audit", function()
  it("have one text for each number", function()
    for text, plain in pairs { ["+007.50"] = "7.5", ["-0.0"] = "0", ["0"] = "0", [".5"] = "0.5", ["-.50"] = "-0.5",
      ["100"] = "100", ["00"] = "0", ["-12.340"] = "-12.34" } do
      assert.equal(plain, decimals.plain(text))
    end
    for _, text in ipairs { "", "-", ".", "1e5", "1.2.3", "1,000", "x", "--1" } do assert.is_nil(decimals.plain(text), text) end
    assert.equal("-0.5", decimals.of_parts(-1, 500000000000))
    assert.equal("-2.75", decimals.of_parts(-3, 250000000000))
    assert.equal("-0.25", decimals.of_parts(0, -250000000000))
    assert.equal("0", decimals.of_parts(5, -5000000000000))
    assert.equal("3.75", decimals.of_parts(2, 1750000000000))
  end)
end)

describe("the months of an audit", function()
  it("have every moment in one of them, and end with that of the mark", function()
    local list = months.since("CreatedDate", "2025-11", "20260115T100000Z")
    local seen = {}
    for i, bucket in ipairs(list) do seen[i] = ("%s %s-%s"):format(bucket.name, bucket.from, bucket.closed and bucket.to or "") end
    assert.same({ "before 2025-11 -20251101T000000Z", "2025-11 20251101T000000Z-20251201T000000Z",
      "2025-12 20251201T000000Z-20260101T000000Z", "2026-01 20260101T000000Z-" }, seen)
    assert.equal(2, #months.since("CreatedDate", nil, "20260115T100000Z"))
    assert.equal(2, #months.since("CreatedDate", "2026-09", "20260115T100000Z"))
    assert.equal(362, #months.since("CreatedDate", "0001-01", "20260115T100000Z"))
  end)
end)
