-- Rules of zuora.load, zuora.load.losses, zuora.load.merge, zuora.load.tables, zuora.load.sqlite and
-- zuora.load.postgresql, each with what would go wrong without it.

local core = require "zuora.core"
local exits = require "zuora.cli.exits"
local extract = require "zuora.extract"
local kinds = require "spec.load.kinds"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local tables = require "zuora.load.tables"
local world = require "spec.extract.world"

local HOUR, DAY = 3600, 24 * 3600

for kind, target in pairs(kinds) do
describe("a target of " .. kind, function()
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
  local function change(sql) target:run(here.folder, sql) end

  -- The Ids that are there, and not deleted.
  local function ids(name)
    local list = {}
    for i, row in ipairs(rows(('SELECT "Id" FROM "%s" WHERE NOT _zuora_deleted ORDER BY "Id"'):format(name or "Thing"))) do
      list[i] = row.Id
    end
    return table.concat(list, " ")
  end

  local function killed_at(items, state, piece)
    local ok, problem = pcall(here.run, here, plan(items), { on_step = function(_, read)
      if read.state == state and (not piece or read.piece == piece) then error "killed" end
    end })
    assert.is_false(ok)
    assert.matches("killed", tostring(problem))
  end

  it("leaves what is locked for the next run: exit code 75", function()
    here = world.new {}
    good()
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "later", "1", "" } })
    local blocker <close> = target.open(here.folder)
    local usual = tables.LOCK_SECONDS
    tables.LOCK_SECONDS = 0.2
    local began = core.now()
    local ok, result = pcall(run, nil, nil, { on_step = function(_, read)
      if read.state ~= "published" then return end
      blocker:run(kind == "SQLite" and "BEGIN IMMEDIATE" or "BEGIN")
      if kind == "PostgreSQL" then blocker:run 'LOCK TABLE "Thing" IN ACCESS EXCLUSIVE MODE' end
    end })
    tables.LOCK_SECONDS = usual
    assert(ok, result)
    assert.is_true(core.now() - began < 5)
    assert.equal(75, exits.of(result.err), tostring(result.err))
    assert.equal("published", extract.status(plan())[1].open[1].state)
    blocker:run "ROLLBACK"
    good()
    assert.equal("later", rows 'SELECT "Name" FROM "Thing" WHERE "Id" = \'id00001\''[1].Name)
  end)

  it("leaves what cannot be opened for a lock for the next run, too", function()
    here = world.new {}
    good()
    local blocker <close> = target.open(here.folder)
    blocker:run(kind == "SQLite" and "BEGIN EXCLUSIVE" or "BEGIN")
    if kind == "PostgreSQL" then blocker:run "LOCK TABLE zuora_mark IN ACCESS EXCLUSIVE MODE" end
    local usual = tables.LOCK_SECONDS
    tables.LOCK_SECONDS = 0.2
    local ok, result = pcall(run)
    tables.LOCK_SECONDS = usual
    assert(ok, result)
    assert.equal(75, exits.of(result.err), tostring(result.err))
  end)

  local THING = { { object = "Thing", deleted = true } }

  it("compares keys where deletions may be forgotten, and flags or removes what is no longer there", function()
    for _, deletes in ipairs { "flag", "remove" } do
      here = world.new { rows = world.rows(6) }
      local more = { deletes = deletes }
      good(THING, more)
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00001", "later", "1", "" } })
      good(THING, more) -- open above: it has read beyond its mark
      here.sim:delete("Thing", { "id00001", "id00003" })
      here.sim:forward(40 * DAY)
      here.sim:update("Thing", { { "id90000", "new", "1", "" } })
      assert.matches("%-%-reconcile", run(THING, more).err.message)
      local result = good(THING, more, { reconcile = true })
      assert.matches("/reconcile%.begin%.", result.files[1])
      assert.matches("/window%.", result.files[2])
      assert.equal(2, result.reads)
      assert.equal("id00002 id00004 id00005 id00006 id90000", ids())
      assert.equal(deletes == "flag" and 2 or 0, #rows 'SELECT * FROM "Thing" WHERE _zuora_deleted')
      if deletes == "remove" then assert.equal(2, #rows "SELECT * FROM zuora_deleted") end
      assert.same({}, extract.verify(here.folder .. "/out").problems)
      assert.equal("up to date", good(THING, more, { reconcile = true }).outcome)
      here.sim:forward(HOUR)
      good(THING, more)
      if deletes == "flag" then
        here:close()
        target.forget(here.folder)
      end
    end
  end)

  it("compares keys piece by piece, goes on where it was killed, and asks again of a target that was not compared", function()
    here = world.new { rows = world.rows(6) }
    local items = { { object = "Thing", deleted = true, split = "id:4", totals = { "count", "sum(Amount)" } } }
    good(items)
    here.sim:delete("Thing", { "id00001", "id00006" })
    here.sim:forward(40 * DAY)
    local ok = pcall(here.run, here, plan(items), { reconcile = true, on_step = function(_, read)
      if read.state == "published" and read.piece == "id:" then error "killed" end
    end })
    assert.is_false(ok)
    assert.equal(6, #rows 'SELECT * FROM "Thing" WHERE NOT _zuora_deleted')
    good(items) -- what is open is gone on with, and was what was asked for
    assert.equal("id00002 id00003 id00004 id00005", ids())
    change 'UPDATE "Thing" SET _zuora_deleted = (\'true\' = \'false\')'
    change "DELETE FROM zuora_loads WHERE kind <> 'full'"
    change "UPDATE zuora_mark SET mark = '20260101T000000Z'" -- an older copy of it
    assert.matches("%-%-reconcile", run(items).err.message)
    good(items, nil, { reconcile = true })
    assert.equal("id00002 id00003 id00004 id00005", ids())
  end)

  it("compares the rows of an entity with the keys of that alone", function()
    here = world.new { rows = world.rows(4) }
    local more = { entities = { "11e643f4-a3ee-1234-a3ee-0123456789ab" }, load = { to = target.to(here.folder) } }
    assert.is_nil(assert(here:run(here:plan(THING, more)))[1].err)
    change "UPDATE \"Thing\" SET _zuora_read = 'full.begin.x.g0' WHERE \"Id\" = 'id00001'"
    change "UPDATE \"Thing\" SET _zuora_read = '22e643f4-a3ee-1234-a3ee-0123456789ab-full.x' WHERE \"Id\" = 'id00002'"
    here.sim:delete("Thing", { "id00001", "id00002", "id00003" })
    here.sim:forward(40 * DAY)
    assert.is_nil(assert(here:run(here:plan(THING, more), { reconcile = true }))[1].err)
    assert.equal("id00001 id00002 id00004", ids())
  end)

  it("reads the keys into a file where there is no target", function()
    here = world.new { rows = world.rows(3) }
    assert.is_nil(assert(here:run(here:plan(THING)))[1].err)
    here.sim:delete("Thing", { "id00001" })
    here.sim:forward(40 * DAY)
    local result = assert(here:run(here:plan(THING), { reconcile = true }))[1]
    assert.is_nil(result.err)
    assert.equal("Thing.Id\nid00002\nid00003\n", support.read(here.folder .. "/out/" .. result.files[1]))
    support.shell(("rm %s/out/.zuora.db*"):format(here.folder))
    assert.equal("up to date", assert(here:run(here:plan(THING)))[1].outcome) -- its manifest moves no mark
    target.open(here.folder):close()
  end)

  it("plans a window anew whose deletions are gone since it was planned", function()
    here = world.new { rows = world.rows(3) }
    good(THING)
    here.sim:forward(HOUR)
    here.sim:delete("Thing", { "id00001" })
    here.sim:forward(10 * DAY)
    killed_at(THING, "planned")
    here.sim:forward(25 * DAY) -- the window ends where deletions are known yet, and begins where they are not
    assert.matches("%-%-reconcile", run(THING).err.message)
    good(THING, nil, { reconcile = true })
    assert.equal("id00002 id00003", ids())
  end)

  local function amounts()
    local list = {}
    for i, row in ipairs(rows 'SELECT "Id", CAST("Amount" AS TEXT) AS amount FROM "Thing" ORDER BY "Id"') do
      list[i] = row.amount or "none"
    end
    return table.concat(list, " ")
  end

  it("gets a new column of all rows, and nothing else of them", function()
    here = world.new { rows = world.rows(4) }
    local function items(...) return { { object = "Thing", fields = { "Id", "Name", "UpdatedDate", ... } } } end
    good(items())
    assert.matches(" %-%-keep%-mark` goes on from there, `zuora extract run PLAN %-%-item Thing %-%-backfill Amount` reads what is new",
      run(items "Amount").err.message)
    local options = { backfill = { "Amount" }, items = { "Thing" } }
    assert.matches("no column 'Nonesuch'", run(items "Amount", nil, { backfill = { "Nonesuch" }, items = { "Thing" },
      keep_mark = true }).err.message)
    assert.matches("whose column", run(items "Amount", nil, { backfill = { "Amount" } }).err.message)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00002", "later", "7.5", "" } })
    local result = good(items "Amount", nil, options)
    assert.matches("/backfill%-Amount%.begin%.", result.files[1])
    assert.equal("1.01 7.5 3.03 4.04", amounts())
    assert.equal("later", rows 'SELECT "Name" FROM "Thing" WHERE "Id" = \'id00002\''[1].Name)
    assert.equal("up to date", good(items "Amount").outcome) -- its text is known now
    assert.same({}, extract.verify(here.folder .. "/out").problems)
    assert.equal(0, #rows 'SELECT * FROM "Thing" WHERE _zuora_read LIKE \'backfill%\'')
  end)

  it("gets several new columns, and does not take the text for known before it has all", function()
    here = world.new { rows = world.rows(3) }
    local function items(...) return { { object = "Thing", fields = { "Id", "UpdatedDate", ... }, split = "id:2" } } end
    good(items())
    local options = { backfill = { "Amount", "Name" }, items = { "Thing" } }
    local ok = pcall(here.run, here, plan(items("Name", "Amount")), { backfill = options.backfill, items = options.items,
      on_step = function(_, read)
        if read.kind == "backfill-Name" then error "killed" end
      end })
    assert.is_false(ok)
    assert.equal("1.01 2.02 3.03", amounts())
    here.sim:forward(HOUR)
    do -- as though it had been killed just before that one was planned
      local book <close> = store.open(here.folder .. "/out/.zuora.db")
      book:run "DELETE FROM zuora_read WHERE kind = 'backfill-Name'"
    end
    assert.matches("`zuora extract reset PLAN %-%-item Thing`", run(items("Name", "Amount")).err.message)
    good(items("Name", "Amount"), nil, options)
    assert.equal(3, #rows 'SELECT * FROM "Thing" WHERE "Name" LIKE \'name %\'')
  end)

  -- Takes a column away, as somebody does who tidies up.
  local function drop(name)
    if kind == "SQLite" then target:run(here.folder, 'DROP INDEX IF EXISTS "zuora_key_Thing"') end
    target:run(here.folder, ('ALTER TABLE "Thing" DROP COLUMN "%s"'):format(name))
  end

  it("does not take a column that was dropped for a new one: it would be empty in what was read before", function()
    here = world.new { rows = world.rows(4) }
    local items = { { object = "Thing" }, { object = "Thing", name = "Whole", cursor = false } }
    local options = { backfill = { "Amount" }, items = { "Thing" } }
    local cure = "has no column Amount any more, which was loaded before: `zuora extract run PLAN %-%-item Thing "
      .. "%-%-backfill Amount` reads it of all rows, `zuora extract reset PLAN %-%-item Thing` has all of it read again"
    good(items)
    for i = 1, 2 do -- the second time there is a backfill up to the same mark
      drop "Amount"
      target:run(here.folder, 'ALTER TABLE "Whole" DROP COLUMN "Amount"') -- comes again with all of it
      for _, forward in ipairs { 0, i == 1 and HOUR or nil } do
        here.sim:forward(forward)
        if forward > 0 then here.sim:update("Thing", { { "id00002", "later", "7.5", "" } }) end
        for _, act in ipairs { here.run, function(_, of) return extract.preview(here.client, of) end,
          function(_, of) return extract.audit(here.client, of, { poll = 0.002 }) end } do
          local results = assert(act(here, plan(items)))
          assert.equal("plan", results[1].err and results[1].err.kind)
          assert.matches(cure, results[1].err.message)
          assert.is_nil(results[2].err)
        end
      end
      assert.matches("/backfill%-Amount%.", good(items, nil, options).files[1])
      assert.equal("1.01 7.5 3.03 4.04", amounts())
      assert.is_nil(run(items).err)
    end
    drop "Amount"
    assert(extract.reset(plan(items), { item = "Thing", from = os.time() - HOUR }))
    assert.matches(cure, run(items).err.message) -- not all would be read
    assert(extract.reset(plan(items), { item = "Thing" }))
    good(items)
    assert.equal("1.01 7.5 3.03 4.04", amounts())
    drop "UpdatedDate"
    assert.matches("before: `zuora extract reset PLAN %-%-item Thing` has all", run(items).err.message)
    if kind == "PostgreSQL" then
      drop "Id"
      assert.matches("Drop the table: `zuora extract reset", run(items).err.message)
    end
    -- A table that is made anew was never given it.
    target:run(here.folder, 'DROP TABLE "Thing"')
    assert(extract.reset(plan(items), { item = "Thing" }))
    local narrow = { { object = "Thing", fields = { "Id", "UpdatedDate" } } }
    good(narrow)
    good(items, nil, { keep_mark = true })
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00003", "later", "8", "" } })
    good(items)
    assert.equal("none 7.5 8 none", amounts())
  end)

  it("is not given a column that was dropped in the midst of a run, but by a backfill", function()
    here = world.new { rows = world.rows(4) }
    local options = { backfill = { "Amount" }, items = { "Thing" } }
    good()
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00002", "later", "7.5", "" } })
    local err = run(nil, nil, { on_step = function(_, read)
      if read.state == "published" then drop "Amount" end
    end }).err
    assert.matches("has no column Amount any more", tostring(err))
    assert.matches("has no column Amount any more", tostring(run().err))
    local ok = pcall(here.run, here, plan(), { backfill = options.backfill, items = options.items,
      on_step = function(_, read)
        if read.kind:find "^backfill" then error "killed" end
      end })
    assert.is_false(ok)
    assert.equal(2, #rows "SELECT * FROM zuora_loads") -- the window, too
    assert.matches("has no column Amount any more", tostring(run().err))
    good(nil, nil, options)
    assert.equal("1.01 7.5 3.03 4.04", amounts())
    assert.equal("up to date", good().outcome)
    -- Nor one that was given another name.
    target:run(here.folder, 'ALTER TABLE "Thing" RENAME COLUMN "Name" TO "Title"')
    assert.matches("%-%-backfill Name`", run().err.message)
    target:run(here.folder, 'ALTER TABLE "Thing" RENAME COLUMN "Title" TO "Name"')
    assert.equal("up to date", good().outcome)
  end)

  it("is not given an increment in the place of the whole", function()
    here = world.new { rows = world.rows(5) }
    local items = { { object = "Thing", mode = "replace" } }
    good(items)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "later", "1", "" } })
    here.sim:delete("Thing", { "id00002" })
    assert.equal(4, good(items).records)
    assert.equal("id00001 id00003 id00004 id00005", ids())
    assert.equal("up to date", good(items).outcome)
  end)

  it("gets all when it is another than a moment ago, or an older copy", function()
    here = world.new {}
    local items = { { object = "Thing" }, { object = "Thing", cursor = false, name = "Whole" } }
    local function all() for _, result in ipairs(assert(here:run(plan(items)))) do assert.is_nil(result.err) end end
    all()
    target.forget(here.folder)
    all()
    assert.equal(20, #rows 'SELECT * FROM "Thing"')
    assert.equal(20, #rows 'SELECT * FROM "Whole"')
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id90000", "new", "1", "" } })
    local before = rows "SELECT mark FROM zuora_mark WHERE item = 'Thing'"[1].mark
    all()
    change 'DELETE FROM "Thing" WHERE "Id" = \'id90000\''
    change "DELETE FROM zuora_loads WHERE kind = 'window'"
    change(("UPDATE zuora_mark SET mark = '%s' WHERE item = 'Thing'"):format(before))
    all()
    assert.equal(21, #rows 'SELECT * FROM "Thing"')
  end)

  local PAGED = { { object = "Thing", split = "id:6" } }

  it("gets the pieces that it lacks before the mark moves: it may have been restored between them", function()
    here = world.new {}
    killed_at(PAGED, "published", "id:id00012")
    assert.equal(12, #rows 'SELECT * FROM "Thing"')
    target.forget(here.folder)
    good(PAGED)
    assert.equal(20, #rows 'SELECT * FROM "Thing"')
    assert.equal(4, #rows "SELECT * FROM zuora_loads")
    here.sim:forward(HOUR)
    assert.equal(0, good(PAGED).records)
  end)

  it("gets all pieces when the plan says otherwise in the middle of them", function()
    for _, modes in ipairs { { "merge", "replace" }, { "replace", "merge" } } do
      here = world.new {}
      PAGED[1].mode = modes[1]
      killed_at(PAGED, "published", "id:id00012")
      PAGED[1].mode = modes[2]
      good(PAGED)
      assert.equal(20, #rows 'SELECT * FROM "Thing"', table.concat(modes, " "))
      if modes[1] == "merge" then
        here:close()
        target.forget(here.folder)
      end
    end
    PAGED[1].mode = nil
  end)

  it("does not take a text for known that was edited while a read was open", function()
    here = world.new { rows = world.rows(3) }
    local function items(...) return { { object = "Thing", fields = { "Id", "UpdatedDate", ... } } } end
    killed_at(items(), "planned")
    assert.matches("%-%-backfill Amount", run(items "Amount").err.message)
    assert.equal(3, #rows 'SELECT * FROM "Thing"') -- that one is done
    good(items "Amount", nil, { backfill = { "Amount" }, items = { "Thing" } })
    assert.equal("1.01 2.02 3.03", amounts())
  end)

  it("refuses a row without a key, which would be there once more each night, and goes on when it has one", function()
    local nameless = world.rows(3)
    nameless[2][2] = ""
    here = world.new { rows = nameless }
    local items = { { query = "select Amount from Thing", name = "Thing", cursor = "UpdatedDate", key = "Name" } }
    local err = run(items).err
    assert.equal("incomplete", err.kind)
    assert.matches("has no Name", err.message)
    assert.equal(0, #rows "SELECT * FROM zuora_loads")
    assert.matches("failed before", run(items).err.message)
    assert.matches("full%.[^\n]+csv\n$", support.read(here.folder .. "/out/SHA256SUMS"))
    assert.same({}, extract.verify(here.folder .. "/out").problems)
    here.sim:update("Thing", { { "id00002", "named", "1", "" } })
    here.sim:forward(HOUR)
    good(items)
    assert.equal(3, #rows 'SELECT * FROM "Thing"')
  end)

  it("leaves no rows of the time before there were entities", function()
    here = world.new { rows = world.rows(3) }
    local items = { { object = "Thing", cursor = false } }
    good(items)
    here.sim:forward(HOUR)
    local more = { entities = { "11e643f4-a3ee-1234-a3ee-0123456789ab" }, load = { to = target.to(here.folder) } }
    assert.is_nil(assert(here:run(here:plan(items, more)))[1].err)
    assert.equal(3, #rows 'SELECT * FROM "Thing"')
  end)

  it("gets a row that is touched before every run, though rows are only added", function()
    here = world.new { rows = world.rows(3) }
    local items = { { object = "Thing", mode = "append" } }
    good(items)
    for i = 1, 2 do
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00002", "touched " .. i, "1", "" } })
      good(items)
      assert.equal("touched " .. i, rows 'SELECT "Name" FROM "Thing" WHERE "Id" = \'id00002\''[1].Name)
    end
    assert.equal(3, #rows 'SELECT * FROM "Thing"')
  end)

  it("has tables with any name that a report may have", function()
    local name = "it's; drop $zuora$ ?%s 日本"
    here = world.new { simulator = { reports = { r1 = { name = name, columns = { "A", 'b"c' },
      rows = { { "1", "x" }, { "2", "y" } } } } } }
    local items = { { report = name, view = "Detail" } }
    for _ = 1, 2 do
      good(items)
      here.sim:forward(HOUR)
    end
    assert.equal(2, #rows(('SELECT * FROM "%s"'):format(require "zuora.support.names".safe(name, ""))))
  end)

  it("takes a quoted nothing for nothing, in any type, and numbers exactly", function()
    here = world.new {}
    good()
    local item = { name = "Odd", object = "Odd", key = "Id", cursor = "UpdatedDate",
      types = { Amount = "decimal", Count = "integer", UpdatedDate = "datetime", On = "date", Is = "boolean" } }
    local path = here.folder .. "/odd.csv"
    support.write(path, 'Odd.Id,Odd.Amount,Odd.Count,Odd.On,Odd.Is,Odd.UpdatedDate\n1,"","","","",""\n'
      .. '2,0.10000000000000000001,7,2026-11-28,true,2026-11-28T10:00:00+0000\n')
    local one <close> = require "zuora.load".open { to = target.to(here.folder), columns = "evolve", deletes = "flag" }
    one:load(item, { { plan = "p", item = "Odd", entity = "", kind = "full", read_from = "", read_to = "b", generation = 0,
      piece = "", path = "odd.csv", records = 2, sha256 = "x" } }, here.folder, "_zuora_deleted")
    local found = rows 'SELECT "Id", CAST("Amount" AS TEXT) AS amount, "Count" AS count, "On" FROM "Odd" ORDER BY "Id"'
    assert.same({ "1" }, { found[1].Id, found[1].amount, found[1].count, found[1].On })
    assert.equal("0.10000000000000000001", found[2].amount)
  end)

  it("puts a row in the place of each that has its key, whatever indexes and columns the table has", function()
    here = world.new {}
    good()
    local one <close> = require "zuora.load".open { to = target.to(here.folder), columns = "evolve", deletes = "flag" }
    local item = { name = "Odd", key = "Id", cursor = "UpdatedDate" }
    local function load(window, text)
      support.write(("%s/%d.csv"):format(here.folder, window), "Id,rowid,UpdatedDate\n" .. text)
      one:load(item, { { plan = "p", item = "Odd", entity = "", kind = "window", read_from = "", read_to = "b" .. window,
        generation = "0", piece = "", path = window .. ".csv", records = 2, sha256 = "x" } }, here.folder, "Deleted")
      local list = {}
      for i, row in ipairs(rows 'SELECT "Id", "rowid" AS cell FROM "Odd" ORDER BY 1, 2') do list[i] = row.Id .. row.cell end
      return table.concat(list, " ")
    end
    assert.equal("a2 b1", load(1, "a,2,2026-11-21\nb,1,2026-11-21\n"))
    change 'CREATE UNIQUE INDEX mine ON "Odd" ("Id")'
    assert.equal("a1 b1 c9", load(2, "a,1,2026-11-22\nc,9,2026-11-22\n"))
    change "DROP INDEX mine"
    change 'INSERT INTO "Odd" SELECT * FROM "Odd" WHERE "Id" = \'a\''
    assert.equal("a3 a3 b1 c9", load(3, "a,3,2026-11-23\nb,8,2026-11-20\n"))
  end)

  -- Seconds for a window whose rows are all in a larger table.
  local function seconds_of_window(mode, deletes)
    local name = "Large-" .. mode .. deletes
    local item = { name = name, key = "Id", cursor = "UpdatedDate", mode = mode }
    local one <close> = require "zuora.load".open { to = target.to(here.folder), columns = "evolve", deletes = deletes }
    local spent
    for i, count in ipairs { 12000, 4000 } do
      local lines = { "Id,UpdatedDate,Deleted" }
      for row = 1, count do lines[row + 1] = ("id%d,2026-11-2%d,%s"):format(row, i, i == 2) end
      support.write(("%s/%d.csv"):format(here.folder, i), table.concat(lines, "\n") .. "\n")
      local began = core.now()
      one:load(item, { { plan = "p", item = name, entity = "", kind = "window", read_from = "", read_to = "b" .. i,
        generation = "0", piece = "", path = i .. ".csv", records = count, sha256 = "x" } }, here.folder, "Deleted")
      spent = core.now() - began
    end
    local left = rows(('SELECT "Id" FROM "%s" WHERE NOT _zuora_deleted'):format(name))
    assert.equal(8000, #left, name)
    return spent
  end

  it("does not go through a window for each row of its table", function()
    here = world.new {}
    good()
    local usual = seconds_of_window("merge", "flag")
    for _, case in ipairs { { "merge", "remove" }, { "append", "flag" } } do
      local spent = seconds_of_window(table.unpack(case))
      assert.is_true(spent < 10 * usual, ("%s, %s: %.3f s, and %.3f s"):format(case[1], case[2], spent, usual))
    end
  end)

  it("is looked at before anything is asked for", function()
    here = world.new {}
    good { { object = "Thing", fields = { "Id", "UpdatedDate" } } }
    local jobs = here:jobs()
    change "CREATE TABLE mine (Id TEXT)"
    assert.matches("was not made by a plan", run { { object = "Thing", name = "mine" } }.err.message)
    local err = run({ { object = "Thing", fields = { "Id", "Name", "UpdatedDate" } } }, { columns = "freeze" },
      { keep_mark = true }).err
    assert.matches("%(Name%), and the plan says", err.message)
    assert.equal(jobs, here:jobs())
  end)

  if kind == "SQLite" then
    it("is as it was where a COMMIT has to wait too long for somebody who reads", function()
      here = world.new {}
      local items = { { object = "Thing" }, { object = "Thing", name = "Other" } }
      good(items)
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00001", "later", "1", "" } })
      local reader <close> = target.open(here.folder)
      local usual = tables.LOCK_SECONDS
      tables.LOCK_SECONDS = 0.2
      local ok, results = pcall(here.run, here, plan(items), { on_step = function(_, read)
        if read.state ~= "published" or reader.reads then return end
        reader.reads = true
        reader:run "BEGIN"
        reader:rows "SELECT * FROM zuora_mark"
      end })
      tables.LOCK_SECONDS = usual
      assert(ok, results)
      for _, result in ipairs(results) do assert.equal(75, exits.of(result.err), tostring(result.err)) end
      reader:run "COMMIT"
      for _, result in ipairs(assert(here:run(plan(items)))) do assert.is_nil(result.err) end
      assert.equal("later", rows 'SELECT "Name" FROM "Other" WHERE "Id" = \'id00001\''[1].Name)
    end)
  end

  if kind ~= "PostgreSQL" then return end

  it("knows what is newer whatever the style of dates of the database", function()
    here = world.new { rows = world.rows(3) }
    change "ALTER DATABASE postgres SET datestyle = 'SQL, DMY'"
    good(THING, { deletes = "remove" })
    here.sim:forward(HOUR)
    here.sim:delete("Thing", { "id00001" })
    good(THING, { deletes = "remove" })
    local day = os.date("!*t").day
    here.sim:forward((day > 4 and 32 - day or 5) * DAY) -- the day of the month is a smaller number then
    here.sim:update("Thing", { { "id00001", "back", "1", "" } })
    local ok, problem = pcall(good, THING, { deletes = "remove" })
    change "ALTER DATABASE postgres RESET datestyle"
    assert(ok, problem)
    assert.equal("id00001 id00002 id00003", ids())
  end)

  it("takes a mark with whatever is in the text of a query", function()
    local asked = "select Name, '$zuora$' $x$, Id, UpdatedDate from Thing"
    here = world.new { simulator = { answers = { [asked] = { columns = { "Name", "x", "Id", "UpdatedDate" },
      rows = { { "n", "$zuora$", "1", "2026-01-01T00:00:00+0000" } } } } } }
    good { { query = "select Name, '$zuora$' $x$ from Thing", name = "Odd", cursor = "UpdatedDate" } }
    assert.equal(1, #rows 'SELECT * FROM "Odd"')
  end)

  it("that is stopped in the middle of a run leaves all items for the next", function()
    here = world.new {}
    local items = { { object = "Thing" }, { object = "Thing", name = "Other" } }
    good(items)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "later", "1", "" } })
    local stopped
    local results, err = here:run(plan(items), { on_step = function(_, read)
      if read.state == "published" and not stopped then
        stopped = true
        target.database:run(("%s/pg_ctl -D %s/data -m immediate stop"):format(target.database.bin,
          target.database.folder))
      end
    end })
    assert(results, tostring(err))
    for _, result in ipairs(results) do assert.equal(75, exits.of(result.err), tostring(result.err)) end
    target.database:start_again()
    for _, result in ipairs(assert(here:run(plan(items)))) do assert.is_nil(result.err) end
  end)
end)
end
