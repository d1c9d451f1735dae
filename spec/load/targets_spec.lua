-- zuora.load, zuora.load.sqlite, zuora.load.postgresql, zuora.extract.base.psql, zuora.load.merge, zuora.load.tables and
-- zuora.load.dialects: every row once, whatever comes in whatever order.

local extract = require "zuora.extract"
local kinds = require "spec.load.kinds"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"


local HOUR = 3600

for kind, target in pairs(kinds) do
describe("a plan that loads into " .. kind, function()
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

  local function plan(items, more)
    local spec = { to = target.to(here.folder) }
    for name, value in pairs(more or {}) do spec[name] = value end
    return here:plan(items, { load = spec })
  end

  local function run(items, more, options)
    local results, err = here:run(plan(items, more), options)
    return results and results[1] or { err = err }
  end

  local function good(...)
    local result = run(...)
    assert.is_nil(result.err, tostring(result.err))
    return result
  end

  local function rows(sql) return target:rows(here.folder, sql) end

  -- The table has every row of the tenant once, as it is there.
  local function assert_loaded(name)
    local held, count = here:held(), 0
    for _, row in ipairs(rows(('SELECT * FROM "%s" WHERE NOT _zuora_deleted'):format(name or "Thing"))) do
      count = count + 1
      local other = assert(held[row.Id], row.Id)
      for field, value in pairs(other) do
        -- (As PostgreSQL shows it, and LuaDBI gives it.)
        local loaded = row[field]
        if type(loaded) == "number" then value = tonumber(value) end
        if type(loaded) == "string" then loaded = loaded:gsub("^([%d-]+) ([%d:]+)%+00$", "%1T%2+0000") end
        assert.equal(value ~= "" and value or nil, loaded, field)
      end
    end
    local expected = 0
    for _ in pairs(held) do expected = expected + 1 end
    assert.equal(expected, count)
  end

  it("has every row once: first all, then what changed and what was deleted", function()
    here = world.new { simulator = { turn_columns = true } }
    local items = { { object = "Thing", deleted = true } }
    good(items)
    assert_loaded()
    assert.equal("up to date", good(items).outcome)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00003", "it's; \"new\"\\.\n\\N", "7.50", "" }, { "id90000", "more", "", "" } })
    here.sim:delete("Thing", { "id00001" })
    good(items)
    assert_loaded()
    assert.equal(1, #rows 'SELECT * FROM "Thing" WHERE "Id" = \'id00001\' AND _zuora_deleted')
    assert.equal(2, #rows "SELECT * FROM zuora_loads")
  end)

  it("removes what was deleted, where that is wished for, and brings nothing back", function()
    here = world.new {}
    local items = { { object = "Thing", deleted = true } }
    good(items, { deletes = "remove" })
    here.sim:forward(HOUR)
    here.sim:delete("Thing", { "id00001", "id00002" })
    good(items, { deletes = "remove" })
    assert_loaded()
    assert.equal(18, #rows 'SELECT * FROM "Thing"')
    assert.equal(2, #rows "SELECT * FROM zuora_deleted")
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "back", "1", "" } })
    good(items, { deletes = "remove" })
    assert_loaded()
  end)

  it("has the mark alone: a target that was restored gets what it lacks", function()
    here = world.new {}
    good()
    target.save(here.folder)
    for i = 1, 2 do
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id0000" .. i, "changed " .. i, "1", "" } })
      good()
    end
    assert_loaded()
    target.restore(here.folder)
    assert.equal("done", good().outcome)
    assert_loaded()
    target.forget(here.folder) -- another target: it has nothing so far
    assert.equal("done", good(nil, nil, { again = true }).outcome)
    assert_loaded()
  end)

  it("finds the mark in the target when the store is gone", function()
    here = world.new {}
    good()
    support.shell(("rm -r %s/out"):format(here.folder))
    assert.equal("up to date", good().outcome)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00002", "changed", "1", "" } })
    assert.equal(1, good().records)
    assert_loaded()
  end)

  it("loads what was not loaded when the store is gone", function()
    here = world.new {}
    local items = { { object = "Thing", deleted = true }, { object = "Thing", name = "Whole", cursor = false } }
    good(items)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00002", "changed", "1", "" } })
    local ok = pcall(here.run, here, plan(items), { on_step = function(_, read)
      if read.item == "Whole" and read.state == "published" then error "killed" end
    end })
    assert.is_false(ok)
    support.shell(("rm %s/out/.zuora.db*"):format(here.folder))
    good(items)
    assert_loaded()
    assert.equal("changed", rows 'SELECT "Name" AS name FROM "Whole" WHERE "Id" = \'id00002\''[1].name)
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("loads what was loaded, and not written down, once", function()
    here = world.new {}
    local stopped
    local items = { { object = "Thing" } }
    local ok = pcall(here.run, here, plan(items), { on_step = function(_, read)
      if read.state == "loaded" and not stopped then
        stopped = true
        error "killed"
      end
    end })
    assert.is_false(ok)
    local book <close> = store.open(here.folder .. "/out/.zuora.db")
    book:run "UPDATE zuora_read SET state = 'published'"
    local stage = here.folder .. "/out/.stage.Thing"
    if target == kinds.PostgreSQL then support.write(stage, "left there") end
    assert.equal("done", good().outcome)
    assert_loaded()
    assert.equal(1, #rows "SELECT * FROM zuora_loads")
    assert.is_nil(support.read(stage))
  end)

  it("replaces what is read whole, in one transaction", function()
    here = world.new {}
    local items = { { object = "Thing", cursor = false, split = nil, name = "Thing" } }
    good(items)
    here.sim:forward(HOUR)
    here.sim:delete("Thing", { "id00005" })
    good(items)
    assert_loaded()
    assert.equal(19, #rows 'SELECT * FROM "Thing"')
    local catalogue = kind == "SQLite" and "sqlite_master WHERE name = 'zuora_key_Thing'"
      or "pg_indexes WHERE indexname = 'zuora_key_Thing'"
    assert.equal("1", tostring(rows("SELECT count(*) AS n FROM " .. catalogue)[1].n))
    local read = assert(rows 'SELECT DISTINCT _zuora_read AS read FROM "Thing"')
    assert.equal(1, #read)
    assert.matches("^full%.", read[1].read)
  end)

  it("takes a number for a key", function()
    here = world.new { rows = { { "id1", "a", "1.50", "2026-01-01T00:00:00+0000" },
      { "id2", "b", "2", "2026-01-01T00:00:00+0000" } } }
    local items = { { object = "Thing", key = "Amount", deleted = true } }
    good(items)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id2", "c", "2", "" } })
    good(items)
    local found = rows 'SELECT "Name" AS name, _zuora_deleted AS gone FROM "Thing" ORDER BY "Id"'
    assert.same({ "a", "c" }, { found[1].name, found[2].name })
    assert.is_true(found[1].gone == found[2].gone and found[1].gone ~= nil)
  end)

  it("loads the pieces of a first load", function()
    here = world.new {}
    good { { object = "Thing", split = "id:6" } }
    assert_loaded()
    assert.equal(4, #rows "SELECT * FROM zuora_loads")
  end)

  it("misses a table that was taken away, until the item is set back", function()
    here = world.new {}
    local items = { { object = "Thing", deleted = true }, { object = "Thing", name = "Whole", cursor = false },
      { object = "Thing", name = "None", where = "Name = 'nobody'" } }
    good(items)
    for _, name in ipairs { "Thing", "Whole", "None" } do target:run(here.folder, ('DROP TABLE "%s"'):format(name)) end
    for _, forward in ipairs { 0, HOUR } do -- with nothing to be read, and with a window
      here.sim:forward(forward)
      for _, act in ipairs { here.run, function(_, of) return extract.preview(here.client, of) end,
        function(_, of) return extract.audit(here.client, of, { poll = 0.002 }) end } do
        local results = assert(act(here, plan(items)))
        for i = 1, 2 do
          assert.equal("plan", results[i].err and results[i].err.kind)
          assert.matches("has no table of it now: `zuora extract reset PLAN %-%-item " .. results[i].item .. "`", results[i].err.message)
        end
        assert.is_nil(results[3].err) -- nothing is lost
      end
    end
    for _, name in ipairs { "Thing", "Whole" } do assert(extract.reset(plan(items), { item = name })) end
    good(items)
    assert_loaded()
    assert_loaded "Whole"
    assert.equal("up to date", good(items).outcome)
  end)

  -- Takes the table away when a read has come to a state for the so-many-th time.
  local function taken_away(state, nth)
    return { on_step = function(_, read)
      nth = nth - (read.state == state and 1 or 0)
      if nth ~= 0 or read.state ~= state then return end
      nth = -1
      target:run(here.folder, 'DROP TABLE "Thing"')
    end }
  end

  local NO_TABLE = "has no table of it now: `zuora extract reset PLAN %-%-item Thing`"

  it("takes no rest for the whole, where the table is taken away in the midst of a run", function()
    here = world.new {}
    local items = { { object = "Thing", deleted = true, split = "id:6" } }
    assert.matches(NO_TABLE, tostring(run(items, nil, taken_away("loaded", 2)).err))
    assert.matches(NO_TABLE, tostring(run(items).err))
    assert(extract.reset(plan(items), { item = "Thing" }))
    good(items)
    assert_loaded()

    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00003", "later", "3.25", "" } })
    assert.matches(NO_TABLE, tostring(run(items, nil, taken_away("published", 1)).err))
    assert(extract.reset(plan(items), { item = "Thing", from = os.time() - HOUR }))
    assert.matches(NO_TABLE, tostring(run(items).err)) -- not all would be read
    assert(extract.reset(plan(items), { item = "Thing" }))
    good(items)
    assert_loaded()
  end)

  it("adds columns that are new, or refuses them", function()
    here = world.new {}
    good { { object = "Thing", fields = { "Id", "Name", "UpdatedDate" } } }
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "x", "9", "" } })
    local wider = { { object = "Thing" } }
    assert.matches("freeze", tostring(run(wider, { columns = "freeze" }, { keep_mark = true }).err))
    good(wider, nil, { keep_mark = true })
    assert.equal("9", rows 'SELECT CAST("Amount" AS TEXT) AS amount FROM "Thing" WHERE "Id" = \'id00001\''[1].amount)
    local history = assert(extract.history(plan(wider)))
    assert.equal("Amount", history[#history - 1].detail)
  end)

  it("refuses a key that is there twice in one file, and loses nothing", function()
    local twice = world.rows(3)
    twice[3][1] = twice[2][1]
    here = world.new { rows = twice }
    local err = run { { query = "select Name from Thing", name = "Thing", cursor = "UpdatedDate" } }.err
    assert.equal("incomplete", err.kind)
    assert.matches("is there twice", err.message)
    assert.equal(0, #rows "SELECT * FROM zuora_loads")
    assert.is_nil(rows "SELECT * FROM zuora_mark"[1])
  end)

  it("refuses the target of another plan or tenant, and a table that is not its own", function()
    here = world.new {}
    good()
    local other = plan()
    other.plan, other.output, other.store = "weekly", here.folder .. "/weekly", nil
    assert.matches("belongs to the plan 'nightly'", select(2, here:run(other)).message)
    assert.is_nil(support.shell("ls " .. here.folder):find "weekly")
    target:run(here.folder, "CREATE TABLE mine (Id TEXT)")
    assert.matches("was not made by a plan", tostring(run { { object = "Thing", name = "mine" } }.err))
    for _, to in ipairs { "postgresql://me:secret@host/dw", "postgresql:///dw?password=secret" } do
      local _, err = here:run(here:plan(nil, { load = { to = to } }))
      assert.matches("list of processes", err.message)
      assert.is_nil(err.message:find("secret", 1, true))
    end
    assert.matches('load.to: "sqlite:PATH" or "postgresql://…" %(and not mysql:…%) expected$', select(2, here:run(here:plan(nil,
      { load = { to = "mysql:x" } }))).message)
  end)

  it("is not made by who looks at it, or sets it back", function()
    here = world.new {}
    target.forget(here.folder)
    local function is_there()
      if kind == "SQLite" then return support.read(here.folder .. "/dw.db") ~= nil end
      return #rows "SELECT 1 AS there FROM pg_tables WHERE schemaname = 'public'" > 0
    end
    local function look()
      assert(extract.preview(here.client, plan()))
      assert.equal("not audited", assert(extract.audit(here.client, plan(), { poll = 0.002, check = true }))[1].outcome)
      assert(extract.status(plan()))
      assert(extract.reset(plan(), { item = "Thing" }))
      assert.is_false(is_there())
    end
    look()
    good()
    assert.is_true(is_there())
    target.forget(here.folder)
    look()
    assert.equal(20, good().records)
    assert_loaded()
  end)

  it("is loaded from one folder, which may be moved, or lost", function()
    here = world.new {}
    local function from(folder)
      local one = plan()
      one.output = here.folder .. "/" .. folder
      return select(2, here:run(one)), here.folder .. "/" .. folder
    end
    good()
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00002", "changed", "1", "" } })
    local err, folder = from "other"
    assert.equal("plan", err.kind)
    assert.matches("is loaded from the folder [^ ]*/out: let that be the 'output', or move it to [^ ]*/other, or", err.message)
    assert.is_nil(support.read(folder .. "/.zuora.json"))
    assert.equal(1, good().reads)
    support.shell(("rm -r %s; mv %s/out %s; ln -s other %s/alias"):format(folder, here.folder, folder, here.folder))
    assert.is_nil(from "other")
    assert.is_nil(from "alias")
    assert.matches("from the folder [^ ]*/other", from "out".message)
    assert.same({}, extract.verify(folder).problems)
    support.shell(("rm -r %s %s/alias"):format(folder, here.folder))
    assert.is_nil(from "out")
  end)

  it("loads two windows in the wrong order to the same end, with a delete between them", function()
    for _, deletes in ipairs { "flag", "remove" } do
      here = world.new { rows = world.rows(4) }
      local files = here:plan { { object = "Thing", deleted = true } }
      for i = 1, 4 do
        assert.is_nil(assert(here:run(files))[1].err)
        here.sim:forward(HOUR)
        here.sim:update("Thing", { { "id00001", "n" .. i, tostring(i), "" }, { "id00002", "m" .. i, "1", "" } })
        if i == 2 then here.sim:delete("Thing", { "id00002", "id00003" }) end
      end
      local book <close> = store.open(files.output .. "/.zuora.db")
      local list = book:rows "SELECT * FROM zuora_read ORDER BY CAST(chain AS INTEGER)"
      assert.equal(4, #list)
      local item = { name = "Thing", object = "Thing", key = "Id", cursor = "UpdatedDate",
        types = { Amount = "decimal", UpdatedDate = "datetime" } }
      local one <close> = require "zuora.load".open { to = target.to(here.folder), columns = "evolve", deletes = deletes }
      for _, i in ipairs { 4, 1, 3, 2 } do one:load(item, { list[i] }, files.output, "_zuora_deleted") end
      -- (id00002 was deleted in the third file, and is there again in the fourth.)
      local found = rows 'SELECT * FROM "Thing" WHERE NOT _zuora_deleted ORDER BY "Id"'
      assert.same({ "id00001 n3", "id00002 m3", "id00004 name 4" }, { found[1].Id .. " " .. found[1].Name,
        found[2].Id .. " " .. found[2].Name, found[3].Id .. " " .. found[3].Name })
      assert.equal(3, #found)
      if deletes == "flag" then
        here:close()
        target.forget(here.folder)
      end
    end
  end)

  it("replaces the rows of one entity, and leaves those of the others", function()
    here = world.new {}
    local entities = { "11e643f4-a3ee-1234-a3ee-0123456789ab", "22e643f4-a3ee-1234-a3ee-0123456789ab" }
    local more = { entities = entities, load = { to = target.to(here.folder) } }
    local items = { { object = "Thing", cursor = false } }
    for _ = 1, 2 do
      for _, result in ipairs(assert(here:run(here:plan(items, more)))) do
        assert.is_nil(result.err, tostring(result.err))
      end
      here.sim:forward(HOUR)
    end
    assert.equal(40, #rows 'SELECT * FROM "Thing"')
  end)

  it("does not double what is only added when it is set back", function()
    here = world.new {}
    local items = { { object = "Thing", mode = "append", name = "Log" } }
    good(items)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id90000", "more", "1", "" } })
    here.sim:forward(HOUR)
    good(items)
    assert.equal(21, #rows 'SELECT * FROM "Log"')
    assert(extract.reset(plan(items), { item = "Log" }))
    good(items)
    assert.equal(21, #rows 'SELECT * FROM "Log"')
  end)

  local AWKWARD = { "\\.", "", "|id", "it's", '"', "\\N", "a\tb", "a\r\nb", "$zuora$; drop table x; --", "?", "日本", "\\" }

  it("takes cells and columns with anything in them as they are", function()
    local query, columns, cells = "select * from odd", { "Id", 'a "quoted" col', "it's; --", "Name" }, {}
    for i, cell in ipairs(AWKWARD) do cells[i] = { "k" .. i, cell, cell, "n" } end
    here = world.new { simulator = { answers = { [query] = { columns = columns, rows = cells } } } }
    local items = { { query = query, api = "query", name = "odd" } }
    good(items)
    local found = rows 'SELECT * FROM odd'
    assert.equal(#AWKWARD, #found)
    for _, row in ipairs(found) do
      local cell = AWKWARD[tonumber(row.Id:sub(2))]
      assert.equal(cell ~= "" and cell or nil, row['a "quoted" col'])
      assert.equal(cell ~= "" and cell or nil, row["it's; --"])
    end
  end)

  it("refuses a NUL, which no text of a database can hold, and goes on when it is gone", function()
    here = world.new {}
    good()
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "a\0b", "1", "" } })
    local err = run().err
    assert.equal("text", err.kind, tostring(err))
    assert.equal(20, #rows 'SELECT * FROM "Thing"')
    assert.equal(1, #rows "SELECT * FROM zuora_loads")
    assert.same({}, extract.verify(here.folder .. "/out").problems)
    here.sim:update("Thing", { { "id00001", "ab", "1", "" } })
    good(nil, nil, { again = true })
    assert_loaded()
  end)

  it("brings a page anew whose file is gone before all of them are there to replace what was", function()
    here = world.new {}
    local items = { { object = "Thing", mode = "replace", split = "id:6" } }
    local done
    local ok = pcall(here.run, here, plan(items), { on_step = function(_, read)
      if read.state == "published" and read.piece == "id:id00018" then
        done = true
        error "killed"
      end
    end })
    assert.is_false(ok)
    assert.is_true(done)
    support.shell(("rm %s/out/Thing/*id_id00006*.csv"):format(here.folder))
    good(items)
    assert_loaded()
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("refuses a target of another version", function()
    here = world.new {}
    good()
    target:run(here.folder, "UPDATE zuora_target SET value = '2' WHERE name = 'version'")
    assert.matches("belongs to the version '2', not '1'", run().err.message)
    assert.matches("belongs to the version", select(2, extract.preview(here.client, plan())).message)
  end)

  it("loads windows in any order to the same end, deletes too", function()
    here = world.new {}
    local items = { { object = "Thing", deleted = true, lookback = { days = 1, every = "1h" } } }
    good(items)
    for i = 1, 3 do
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id0000" .. i, "n" .. i, "1", "" } })
      here.sim:delete("Thing", { "id0001" .. i })
      good(items)
      assert_loaded()
    end
    assert(extract.reset(plan(items), { item = "Thing" }))
    good(items)
    assert_loaded()
  end)

  if kind ~= "PostgreSQL" then return end

  it("loads from a folder with any name", function()
    here = world.new {}
    local odd = here:plan(nil, { output = here.folder .. "/|id; it's \"\\ 日本", load = { to = target.to() } })
    assert.is_nil(assert(here:run(odd))[1].err)
    assert_loaded()
    assert.is_nil(support.shell(("ls -A '%s'/*/"):format(here.folder)):find ".stage", 1, true)
  end)

  it("gets over a database that is stopped in the middle of a load", function()
    here = world.new {}
    good()
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "later", "1", "" } })
    local blocker = target.open()
    blocker:run "BEGIN"
    blocker:run 'LOCK TABLE "Thing" IN ACCESS EXCLUSIVE MODE'
    here.client:spawn(function()
      here.client:sleep(0.5)
      target.database:restart "immediate"
    end)
    local err = run().err
    assert.is_true(err.retryable, tostring(err))
    assert.equal(75, require "zuora.cli.exits".of(err))
    pcall(blocker.close, blocker)
    assert.equal("published", extract.status(plan())[1].open[1].state)
    good()
    assert_loaded()
    assert.equal(2, #rows "SELECT * FROM zuora_loads")
  end)

  it("asks the database what became of a COMMIT whose answer was lost", function()
    here = world.new {}
    local psql = require "zuora.extract.base.psql"
    local open = psql.open
    psql.open = function(...)
      local real = open(...)
      return { script = function(_, script)
        real:script(script)
        error(require "zuora.error".new { kind = "file", message = "server closed the connection" }, 0)
      end }
    end
    local ok, problem = pcall(good)
    psql.open = open
    assert(ok, problem)
    assert_loaded()
    assert.equal(1, #rows "SELECT * FROM zuora_loads")
    assert.equal("up to date", good().outcome)
  end)
end)
end
