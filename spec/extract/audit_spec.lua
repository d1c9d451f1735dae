-- Is the target right? zuora.extract.audit, zuora.extract.months and zuora.load.counts: what was planted wrong is found,
-- nothing else is, and it is right afterwards.

local audited = require "spec.extract.audited"
local extract = require "zuora.extract"
local json = require "zuora.extract.base.json"
local kinds = require "spec.load.kinds"
local support = require "spec.support"

local HOUR = audited.HOUR

local THING = { { object = "Thing", deleted = true, totals = audited.TOTALS } }

for kind, target in pairs(kinds) do
describe("an audit of " .. kind, function()
  if target.missing then
    pending("cannot be tried here: " .. target.missing)
    return
  end

  local here
  setup(target.setup)
  teardown(target.teardown)
  after_each(function()
    here:close()
    target.forget(here.folder)
  end)

  local function plan(items, more, all)
    local spec = { to = target.to(here.folder) }
    for name, value in pairs(more or {}) do spec[name] = value end
    local whole = { load = spec }
    for name, value in pairs(all or {}) do whole[name] = value end
    return here:plan(items or THING, whole)
  end

  local function run(of, options)
    local result = assert(here:run(of or plan(), options))[1]
    assert.is_nil(result.err, tostring(result.err))
    return result
  end

  local function audit(of, options)
    local results, err = audited.audit(here, of or plan(), options)
    assert.is_nil(err, tostring(err))
    assert.is_nil(results[1].err, tostring(results[1].err))
    return results[1]
  end

  local function sql(text) return target:run(here.folder, text) end
  local function rows(text) return target:rows(here.folder, text) end
  local function differences() return audited.differences(target, here) end

  local function months_of(result)
    local list = {}
    for i, one in ipairs(result.differences) do list[i] = one.month end
    return list
  end

  local function month_of(id)
    return here:held()[id].CreatedDate:sub(1, 7)
  end

  -- What is wrong in a year of rows: one is missing, one is there twice, one is stale, one was deleted in Zuora.
  local function plant(of)
    here.sim:forward(HOUR)
    local gone = month_of "id00300"
    here.sim:delete("Thing", { "id00300" })
    here.sim:update("Thing", { { "id00200", "new", "1700.25", "" } })
    here.sim:forward(HOUR)
    run(of)
    sql [[DELETE FROM "Thing" WHERE "Id" = 'id00040']]
    sql [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00120']]
    sql [[UPDATE "Thing" SET "Name" = 'name 200', "Amount" = '1400.00', "UpdatedDate" = '2026-01-01T00:00:00+0000'
      WHERE "Id" = 'id00200']]
    sql [[DELETE FROM "Thing" WHERE "Id" = 'id00300']] -- it is there, flagged, or it is not
    sql(([[INSERT INTO "Thing" ("Id", "Name", "Amount", "CreatedDate", "UpdatedDate", _zuora_deleted)
      VALUES ('id00300', 'name 300', '2100.00', '%s-02T00:00:00+0000', '%s-03T00:00:00+0000', %s)]]):format(gone, gone,
      kind == "SQLite" and "0" or "false"))
    return { month_of "id00040", month_of "id00120", month_of "id00200", gone }
  end

  -- In months that are right, and in those that are not, rows change after the mark.
  local CHANGED = { "id00010", "id00041", "id00121", "id00199", "id00350", "id90000" }
  local DELETED = { "id00042", "id00122", "id00260" }
  local function change_after_mark()
    for _, id in ipairs(CHANGED) do here.sim:update("Thing", { { id, "after the mark", "9.99", "" } }) end
    here.sim:delete("Thing", DELETED)
    here.sim:forward(60)
  end

  for _, deletes in ipairs { "flag", "remove" } do
    it("finds what was planted and nothing else, and mends it: deletes are to " .. deletes, function()
      here = audited.world(audited.year(1))
      local of = plan(nil, { deletes = deletes })
      run(of)
      assert.equal("right", audit(of).outcome)
      local planted = plant(of)
      change_after_mark()

      local told = audit(of, { check = true })
      assert.same(planted, months_of(told))
      assert.equal("wrong", told.outcome)
      assert.is_true(told.months >= 13)
      assert.same({ 0, #CHANGED + #DELETED }, { told.reads, told.changed })
      local missing, doubled, stale = table.unpack(told.differences)
      assert.equal(tonumber(missing.expected.count), missing.found.count + 1)
      assert.equal(tonumber(doubled.expected.count), doubled.found.count - 1)
      assert.equal(stale.expected.count, stale.found.count)
      assert.is_true(math.abs(stale.expected["sum(Amount)"] - stale.found["sum(Amount)"] - 300.25) < 0.001)
      assert.is_true(#differences() > 4) -- nothing was mended, and what has changed has not been read

      local result = audit(of)
      assert.same(planted, months_of(result))
      assert.same({ "mended", 4 }, { result.outcome, result.reads })
      local changed = table.concat(CHANGED, " ") .. table.concat(DELETED, " ")
      for _, text in ipairs(differences()) do -- what has changed in the other months comes by the next run
        assert.is_truthy(changed:find(text:match "id%d+", 1, true), text)
      end
      assert.equal("right", audit(of, { check = true }).outcome)
      here.sim:forward(HOUR)
      run(of)
      assert.same({}, differences())
      assert.equal("right", audit(of).outcome)
      assert.same({}, extract.verify(here.folder .. "/out").problems)
      assert.equal("right", json.decode(support.read(here.folder .. "/out/audit.json")).items[1].outcome)
    end)
  end

  it("finds rows that do not say when they were changed, or made", function()
    for _, deletes in ipairs { "flag", "remove" } do
      here = audited.world(audited.year(30))
      local of = plan(nil, { deletes = deletes })
      run(of)
      local month = month_of "id00003"
      sql(([[INSERT INTO "Thing" ("Id", "Amount", "CreatedDate") VALUES ('ghost', '1', '%s-04T00:00:00Z')]]):format(month))
      sql [[INSERT INTO "Thing" ("Id", "Amount") VALUES ('dateless', '1')]]
      local list = months_of(audit(of))
      assert.same({ "before", month }, { list[1]:match "^before", list[2] })
      assert.same({}, differences())
      assert.equal("right", audit(of, { check = true }).outcome)
      here:close()
      target.forget(here.folder)
    end
    here = audited.world(audited.year(30))
  end)

  it("reads what is too large by its parts: halves of a month, pages of what is before all", function()
    here = audited.world(audited.year(1), { simulator = { query_rows = 25 } })
    local of = plan { { object = "Thing", totals = audited.TOTALS, split = "id:25" } }
    run(of)
    sql [[DELETE FROM "Thing" WHERE "Id" >= 'id00100' AND "Id" < 'id00150']]
    sql [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00160']]
    local result = audit(of)
    assert.equal("mended", result.outcome)
    assert.is_true(result.reads > #result.differences, result.reads)
    assert.same({}, differences())
    sql [[DELETE FROM "Thing"]]
    sql [[INSERT INTO "Thing" ("Id", "CreatedDate", "UpdatedDate") VALUES ('id00044', '1999-01-01T00:00:00+0000',
      '1999-01-01T00:00:00+0000')]]
    sql [[UPDATE "Thing" SET "CreatedDate" = NULL]]
    result = audit(of)
    assert.is_true(#result.differences == 2 and result.reads > 12, result.reads)
    assert.same({}, differences())
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("goes on with what it was at when it was killed, by a run or by another audit", function()
    here = audited.world(audited.year(3))
    local of = plan()
    run(of)
    for round, go_on in ipairs { run, audit } do
      for i, state in ipairs { "planned", "submitted", "completed", "fetched", "published", "loaded" } do
        if kind == "PostgreSQL" and i % 2 == round - 1 then goto continue end -- half of them: psql takes its time
        sql [[DELETE FROM "Thing" WHERE "Id" = 'id00040']]
        local ok, problem = pcall(audited.audit, here, of, { on_step = function(_, read)
          if read.state == state then error("killed", 0) end
        end })
        assert.same({ false, "killed" }, { ok, problem })
        local result = go_on(of)
        assert.equal(1, result.reads, state)
        assert.same({}, differences(), state .. round)
        ::continue::
      end
    end
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("takes no read for one that was made before, though the store is gone", function()
    here = audited.world(audited.year(3))
    local of = plan()
    run(of)
    for i = 0, 2 do
      sql [[DELETE FROM "Thing" WHERE "Id" = 'id00040']]
      assert.matches(("%%.g%d%%-a1%%.csv$"):format(i), audit(of).files[1])
      assert.same({}, differences())
      support.shell(("rm -f %s/out/.zuora.db*"):format(here.folder))
    end
  end)

  it("does not touch what the target knows to have changed since", function()
    here = audited.world(audited.year(1))
    local of = plan { { object = "Thing", totals = audited.TOTALS } }
    run(of)
    local one, other = "id00040", "id00041"
    if month_of(one) ~= month_of(other) then one = "id00042" end
    here.sim:update("Thing", { { other, "newer", "1", "" } })
    run(of, { again = true }) -- it is above the mark, and comes all the same
    here.sim:delete("Thing", { other })
    sql(([[DELETE FROM "Thing" WHERE "Id" = '%s']]):format(one))
    local result = audit(of)
    assert.same({ "mended", 1 }, { result.outcome, #result.differences })
    -- A replica that is behind might not have it yet: it is not for an audit to say that it is gone.
    assert.same({ "not at Zuora: id00041 newer 1" }, differences())
    here.sim:forward(HOUR)
    run(of) -- nothing is said of what is deleted
    assert.same({ month_of(one) }, months_of(audit(of)))
    assert.same({}, differences())
  end)

  it("leaves to the next run what the target knows better than a replica that is behind", function()
    here = audited.world(audited.year(3))
    local of = plan()
    run(of)
    local now = audit(of).mark:gsub("Z$", "+0000")
    sql(([[INSERT INTO "Thing" ("Id", "Name", "CreatedDate", "UpdatedDate") SELECT 'id90000', 'made', "CreatedDate", '%s'
      FROM "Thing" WHERE "Id" = 'id00041']]):format(now))
    assert.equal("right", audit(of).outcome)
    sql(([[UPDATE "Thing" SET "Name" = 'newer', "UpdatedDate" = '%s' WHERE "Id" = 'id00041']]):format(now))
    local result = assert(audited.audit(here, of))[1] -- Zuora says that this one has not changed
    assert.same({ "wrong", month_of "id00041", 1 }, { result.outcome, result.differences[1].month, #result.differences })
    assert.same({ "made", "newer" }, (function(list) return { list[1].name, list[2].name } end)(rows [[SELECT "Name" AS name
      FROM "Thing" WHERE "Id" IN ('id00041', 'id90000') AND (_zuora_deleted IS NULL OR NOT _zuora_deleted) ORDER BY 1]]))
    here.sim:update("Thing", { { "id00041", "newer", "1", "" }, { "id90000", "made", "1", "" } })
    here.sim:forward(HOUR)
    run(of)
    assert.equal("right", audit(of).outcome)
    assert.same({}, differences())
  end)

  it("mends rows of another time: before all others, of no month, twice in two months, of the future", function()
    here = audited.world(audited.year(3))
    local of = plan()
    run(of)
    sql [[UPDATE "Thing" SET "CreatedDate" = NULL WHERE "Id" = 'id00040']]
    sql [[UPDATE "Thing" SET "CreatedDate" = '1999-01-01T00:00:00+0000' WHERE "Id" = 'id00060']]
    sql [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00080']]
    sql [[UPDATE "Thing" SET "CreatedDate" = '2026-02-02T00:00:00+0000' WHERE "Id" = 'id00080']]
    sql [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = 'id00080']]
    sql [[UPDATE "Thing" SET "UpdatedDate" = '2099-01-01T00:00:00+0000', "Amount" = '5' WHERE "Id" = 'id00100']]
    sql [[INSERT INTO "Thing" ("Id", "CreatedDate", "UpdatedDate") VALUES
      (NULL, '2026-03-03T00:00:00+0000', '2026-03-03T00:00:00+0000')]]
    local result = audit(of)
    assert.equal("mended", result.outcome)
    assert.equal(1, #rows [[SELECT 1 AS one FROM "Thing" WHERE "Id" = 'id00080']])
    assert.same({}, differences())
    assert.equal("right", audit(of).outcome)
  end)

  it("brings all of a table that is empty", function()
    here = audited.world(audited.year(3))
    run()
    sql [[DELETE FROM "Thing"]]
    local result = audit()
    assert.same({ "mended", 121 }, { result.outcome, result.records })
    assert.same({}, differences())
  end)
end)
end
