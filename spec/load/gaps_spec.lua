-- zuora.extract.header, zuora.load.losses and zuora.extract.planner: what a file lacks is not taken for nothing, and a
-- column that was missed for a while is told of until it has been read of all rows.

local extract = require "zuora.extract"
local kinds = require "spec.load.kinds"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = 3600

for kind, target in pairs(kinds) do
describe("a table in " .. kind, function()
  if target.missing then
    pending("cannot be tried here: " .. target.missing)
    return
  end

  local here, of
  setup(target.setup)
  teardown(target.teardown)
  before_each(function() here = nil end)
  after_each(function()
    here:close()
    target.forget(here.folder)
  end)

  local function start(item, options)
    here = world.new(options)
    of = { item }
  end

  local function plan() return here:plan(of, { load = { to = target.to(here.folder) } }) end
  local function run(options) return assert(here:run(plan(), options))[1] end

  local function good(options)
    local result = run(options)
    assert.is_nil(result.err, tostring(result.err))
    return result
  end

  local function cells(column)
    local list = {}
    for i, row in ipairs(target:rows(here.folder, ('SELECT CAST("%s" AS TEXT) AS cell FROM "%s" ORDER BY "Id"'):format(
      column, of[1].name or "Thing"))) do list[i] = row.cell or "NULL" end
    return table.concat(list, " ")
  end

  local function change(id, name, amount)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { id, name, amount, "" } })
  end

  local function answer(on, body, type)
    here.sim:fault { on = on, kind = "status", status = 200, times = "always",
      headers = { ["Content-Type"] = type or "text/csv;charset=UTF-8" }, body = body }
  end

  local function describe_without(name)
    local xml = assert(here.client:request { path = "/v1/describe/Thing", accept = "text/xml" })
    answer("GET /v1/describe/Thing", (xml:gsub("<field><name>" .. name .. "</name>.-</field>", "")), "text/xml")
  end

  -- What is told of a gap, by the run and afterwards.
  local function assert_gap(result, name)
    local cure = ("`zuora extract run PLAN --item %s --backfill %s` reads it of all rows"):format(of[1].name or "Thing", name)
    assert.is_truthy((result.gap or ""):find(cure, 1, true), result.gap)
    assert.equal(result.gap, assert(extract.status(plan()))[1].error)
  end

  local function assert_no_gap(result)
    assert.is_nil(result.gap)
    assert.is_nil(assert(extract.status(plan()))[1].error)
  end

  it("takes nothing of a file that lacks a column, and what it lacked the next time", function()
    for _, item in ipairs { { object = "Thing", deleted = true }, { name = "Thing", cursor = "UpdatedDate",
      query = "select Id, Name, Amount, UpdatedDate from Thing" } } do
      if here then
        here:close()
        target.forget(here.folder)
      end
      start(item, { rows = world.rows(2) })
      good()
      change("id00001", "later", "7.00")
      local before = cells "Amount"
      for _, body in ipairs { "Thing.Id,Thing.Name,Thing.UpdatedDate,_zuora_deleted\nid00001,later,2026-01-01T00:00:00Z,\n",
        "Other.Number\n1\n", "", "\n" } do
        answer("GET /v1/files/*", body)
        local err = assert.is_table(run({ again = true }).err)
        assert.equal("incomplete", err.kind, err.message)
        here.sim:heal()
      end
      assert.equal(before, cells "Amount")
      here.sim:forward(HOUR)
      assert.equal(1, good().records)
      assert.matches("^7%S* 2.02$", cells "Amount")
      assert.same({}, extract.verify(here.folder .. "/out").problems)
    end
  end)

  it("is not emptied by a file that is empty", function()
    start({ name = "whole", query = "select Id, Name from Thing" }, { rows = world.rows(2) })
    good()
    here.sim:forward(HOUR)
    for _, body in ipairs { "", "\n", "a,b\n1,2\n3,4\n" } do
      answer("GET /v1/files/*", body)
      assert.equal("incomplete", run({ again = true }).err.kind)
      here.sim:heal()
    end
    assert.equal("name 1 name 2", cells "Name")
    here.sim:forward(HOUR)
    good()
  end)

  it("is not compared by an audit whose answer has no header", function()
    start({ object = "Thing" }, { rows = world.rows(2) })
    good()
    answer("GET /v1/files/*", "")
    local result = assert(extract.audit(here.client, plan(), { poll = 0.002, check = true }))[1]
    assert.equal("incomplete", (result.err or {}).kind, tostring(result.err))
  end)

  it("tells, once, of a column that a report has no more", function()
    start { report = "Accounts by balance", view = "Detail", name = "rep" }
    assert.is_nil(good().lost)
    local _, names = next(here.sim:held().runs)
    assert.is_table(names)
    here.sim:forward(HOUR)
    answer("GET *reportruns/export/*", "Account.AccountNumber,Account.Name,Account.Bal\n1,a,5\n2,b,6\n3,c,7\n")
    local result = good()
    assert.same({ "Account.Balance" }, result.lost)
    assert.matches('"lost": %[\n +"Account.Balance"', support.read((here.folder .. "/out/" .. result.files[1])
      :gsub("csv$", "manifest.json")))
    here.sim:forward(HOUR)
    assert.is_nil(good().lost)
    here.sim:heal()
    here.sim:forward(HOUR)
    assert.same({ "Account.Bal" }, good().lost)
  end)

  it("tells of it though the run was killed before that was loaded", function()
    start { report = "Accounts by balance", view = "Detail", name = "rep" }
    good()
    here.sim:forward(HOUR)
    answer("GET *reportruns/export/*", "Account.AccountNumber,Account.Name,Account.Bal\n1,a,5\n2,b,6\n3,c,7\n")
    assert.is_false(pcall(here.run, here, plan(), { on_step = function(_, read)
      if read.state == "published" then error "killed" end
    end }))
    assert.same({ "Account.Balance" }, good().lost)
  end)

  it("has a gap where a field was not there for a while, until that is read of all rows", function()
    start({ object = "Thing" }, { rows = world.rows(3) })
    good()
    change("id00002", "two", "99.00")
    describe_without "Amount"
    local result = good()
    assert.same({ "Amount" }, result.lost)
    assert_no_gap(result)
    here.sim:forward(HOUR)
    result = good()
    assert.is_nil(result.lost)
    assert_no_gap(result)
    here.sim:heal()
    for _ = 1, 2 do
      change("id00001", "one", "5.00")
      assert_gap(good(), "Amount")
      assert_gap(good(), "Amount") -- though it is up to date
    end
    assert.matches("^5%S* 2.02 3.03$", cells "Amount")
    assert_no_gap(good { items = { "Thing" }, backfill = { "Amount" } })
    assert.matches("^5%S* 99%S* 3.03$", cells "Amount")
    change("id00003", "three", "6.00")
    assert_no_gap(good())
    assert.matches("^5%S* 99%S* 6%S*$", cells "Amount")
  end)

  it("has none any more when it was read again whole, and a field that is new leaves none", function()
    start({ object = "Thing" }, { rows = world.rows(3) })
    describe_without "Name"
    good()
    here.sim:heal()
    change("id00002", "two", "99.00")
    local result = good()
    assert.matches("rows that were read before have no Name", result.warning)
    assert_no_gap(result)
    change("id00002", "two", "98.00")
    describe_without "Amount"
    good()
    here.sim:heal()
    change("id00001", "one", "5.00")
    result = good()
    assert.is_nil(result.warning)
    assert_gap(result, "Amount")
    assert(extract.reset(plan(), { item = "Thing" }))
    assert_no_gap(good())
    assert.matches("^5%S* 98%S* 3.03$", cells "Amount")
  end)

  it("has a gap though the run that missed the field was ended by one that has it", function()
    start({ object = "Thing" }, { rows = world.rows(3) })
    good()
    change("id00002", "two", "99.00")
    describe_without "Amount"
    assert.is_false(pcall(here.run, here, plan(), { on_step = function(_, read)
      if read.state == "completed" then error "killed" end
    end }))
    here.sim:heal()
    here.sim:forward(HOUR)
    assert_gap(good(), "Amount")
  end)

  it("has a gap where the engine refused a field for a while", function()
    start({ object = "Thing" }, { rows = world.rows(3) })
    good()
    change("id00002", "two", "99.00")
    here.sim:fault { on = "POST /v1/batch-query", kind = "status", status = 200,
      headers = { ["Content-Type"] = "application/json" },
      body = '{"status":"error","errorCode":"90005","message":"There is no field named Amount"}' }
    for _ = 1, 2 do
      local result = good()
      assert.same({ "Amount" }, result.refused) -- or told again, where nothing is read
      assert_no_gap(result)
    end
    change("id00003", "three", "4.00")
    assert_gap(good(), "Amount")
    assert_no_gap(good { items = { "Thing" }, backfill = { "Amount" } })
    assert.matches("^1.01 99%S* 4%S*$", cells "Amount")
  end)

  it("has a gap where the engine refused a field for a half of a window", function()
    start({ object = "Thing" }, { rows = world.rows(5), simulator = { file_bytes = 700 } })
    good()
    here.sim:forward(HOUR)
    local rows = world.rows(30)
    for i, row in ipairs(rows) do
      row[3], row[4] = "77.5", os.date("!%Y-%m-%dT%H:%M:%S+0000", os.time() + 4000 + i * 60)
    end
    here.sim:update("Thing", rows)
    here.sim:forward(HOUR)
    local halves = 0
    good { on_step = function(_, read)
      if read.piece ~= "half" then return end
      halves = halves + 1
      if halves > 1 then return end
      here.sim:fault { on = "POST /v1/batch-query", kind = "status", status = 200,
        headers = { ["Content-Type"] = "application/json" },
        body = '{"status":"error","errorCode":"90005","message":"There is no field named Amount"}' }
    end }
    assert.is_true(halves > 2)
    here.sim:heal()
    change("id00009", "nine", "1.50")
    assert_gap(good(), "Amount")
    assert_no_gap(good { items = { "Thing" }, backfill = { "Amount" } })
    assert.matches("^77.5%S* 77.5%S* 77.5", cells "Amount")
  end)

  it("is not taken for whole where somebody's trigger swallows rows", function()
    for _, one in ipairs { { "merge", "id90000", "INSERT" }, { "append", "id90000", "INSERT" },
      { "merge", "id00001", "UPDATE" } } do
      local mode, id, event = table.unpack(one)
      if here then
        here:close()
        target.forget(here.folder)
      end
      start({ object = "Thing", mode = mode, cursor = "UpdatedDate" }, { rows = world.rows(2) })
      good()
      target:run(here.folder, kind == "SQLite" and ("CREATE TRIGGER swallow BEFORE %s ON \"Thing\" "
        .. "WHEN new.\"Id\" = '%s' BEGIN SELECT RAISE(IGNORE); END"):format(event, id)
        or "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
      if kind ~= "SQLite" then
        target:run(here.folder, ("CREATE TRIGGER swallow BEFORE %s ON \"Thing\" FOR EACH ROW "
          .. "WHEN (NEW.\"Id\" = '%s') EXECUTE FUNCTION swallow()"):format(event, id))
      end
      change(id, "more", "7.00")
      local err = assert.is_table(run().err)
      assert.equal("incomplete", err.kind, err.message)
      assert.matches("has somebody given it a trigger", err.message)
      target:run(here.folder, kind == "SQLite" and "DROP TRIGGER swallow" or "DROP TRIGGER swallow ON \"Thing\"")
      assert.equal(1, good({ again = true }).records)
      assert.matches("7%.?0?0?", cells "Amount")
    end
  end)

  it("has a gap in what is asked for as all columns that there are", function()
    start({ name = "all", query = "select * from Thing", cursor = "UpdatedDate" }, { rows = world.rows(2) })
    good()
    change("id00001", "later", "7.00")
    local row = target:rows(here.folder, 'SELECT * FROM "all" ORDER BY "Id"')[1]
    answer("GET /v1/files/*", ("Thing.Id,Thing.Name,Thing.UpdatedDate\n%s,later,2036-01-01T00:00:00Z\n"):format(row.Id))
    assert.same({ "Amount" }, good().lost)
    here.sim:heal()
    change("id00002", "later", "8.00")
    assert_gap(good(), "Amount")
    assert_no_gap(good { items = { "all" }, backfill = { "Amount" } })
    change("id00002", "later", "9.00")
    local result = good()
    assert.is_nil(result.lost)
    assert_no_gap(result)
    assert.matches(" 9%S*$", cells "Amount")
  end)
end)
end
