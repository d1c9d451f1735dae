-- More sequences of events that would lose or double rows, or leave what cannot be proven: zuora.extract.marks,
-- zuora.extract.planner, zuora.extract.worker, zuora.extract.tend, zuora.extract.base.reads and zuora.extract.base.manifest.

local disk = require "zuora.extract.base.disk"
local extract = require "zuora.extract"
local mark_table = require "zuora.extract.base.mark_table"
local reads = require "zuora.extract.base.reads"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local times = require "zuora.extract.base.times"
local world = require "spec.extract.world"

local HOUR, DAY = 3600, 24 * 3600

describe("an extraction", function()
  local good = world.good

  -- Ends a run, as though it had been killed, where a read comes to a state.
  local function killed_at(here, plan, state, piece)
    local ok, problem = pcall(here.run, here, plan, { on_step = function(_, read)
      if read.state == state and (not piece or read.piece == piece) then error "killed" end
    end })
    assert.is_false(ok)
    assert.matches("killed", tostring(problem))
  end

  local function without_store(here) support.shell(("rm %s/out/.zuora.db*"):format(here.folder)) end

  local function assert_sound(here) assert.same({}, extract.verify(here.folder .. "/out").problems) end

  it("asks by another key for another body, though the read is the same", function()
    for _, items in ipairs {
      { { report = "Accounts by balance", view = "Detail", name = "r" },
        { report = "Accounts by balance", view = "Summary", name = "r" }, on = "POST *reportrun*" },
      { { object = "Thing" }, { object = "Thing", deleted = true }, on = "POST /v1/batch-query" } } do
      local here <close> = world.new {}
      local keys, count = {}, 0
      for i = 1, 2 do
        here.sim:fault { on = items.on, kind = "reset", times = "always" }
        assert.is_table(assert(here:run(here:plan { items[i] }))[1].err)
        here.sim:heal()
      end
      for _, request in ipairs(here.sim:journal()) do
        local key = request.headers["idempotency-key"]
        if key and not keys[key] then keys[key], count = true, count + 1 end
      end
      assert.equal(2, count, items.on)
    end
  end)

  it("knows how late it is at Zuora in a run that takes long", function()
    local here <close> = world.new {}
    local clock = times.clock(1000.9)
    assert.equal(1000, clock())
    support.shell "sleep 0.15"
    assert.equal(1001, clock())

    local plan = here:plan { { object = "Thing" }, { object = "Thing", name = "More" } }
    local first, ahead = times.clock, 0
    times.clock = function(now) return function() return now + ahead end end
    local ok, problem = pcall(function()
      good(here, plan.items)
      ahead = DAY -- a day later another one has read it
      do
        local book <close> = store.open(here.folder .. "/out/.zuora.db")
        book:run("UPDATE zuora_mark SET mark = ? WHERE item = 'More'", times.stamp(os.time() + DAY))
      end
      good(here, plan.items)
    end)
    times.clock = first
    assert(ok, problem)
  end)

  it("stops where the store is an older copy than the folder, and writes over nothing", function()
    for _, has_target in ipairs { true, false } do
      local here <close> = world.new { simulator = { ignore_keys = true } }
      local more = { store = here.folder .. "/store.db", load = has_target and { to = "sqlite:" .. here.folder .. "/dw.db" } or nil }
      good(here, nil, nil, more)
      support.shell(("cp %s/store.db %s/old.db"):format(here.folder, here.folder))
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00003", "later", "3.25", "" } })
      good(here, nil, nil, more)
      local files = support.shell(("sha256sum %s/out/Thing/*"):format(here.folder))
      support.shell(("rm %s/store.db* && mv %s/old.db %s/store.db"):format(here.folder, here.folder, here.folder))
      here.sim:forward(has_target and HOUR or 0)
      here.sim:update("Thing", { { "id00004", "later", "3.25", "" } })
      for _ = 1, 2 do
        local err = assert(here:run(here:plan(nil, more)))[1].err
        assert.equal("plan", err.kind)
        assert.matches("is proven, and the store .*/store.db knows nothing of it: it is an older copy: remove it and "
          .. ".*/store.db%-wal, and all",
          err.message)
      end
      assert.equal(files, support.shell(("sha256sum %s/out/Thing/*"):format(here.folder)))
      support.shell(("rm %s/store.db*"):format(here.folder))
      here.sim:forward(HOUR)
      good(here, nil, nil, more)
      here:assert_same "Thing"
      assert_sound(here)
    end
  end)

  it("stops where a wrong clock has set the mark to what has not come yet", function()
    local here <close> = world.new {}
    local items = { { object = "Thing" }, { object = "Thing", name = "Whole", cursor = false } }
    good(here, items)
    here.sim:forward(20 * DAY)
    good(here, items)
    here.sim:forward(-20 * DAY)
    here.sim:update("Thing", { { "id00003", "later", "3.25", "" } })
    here.sim:forward(HOUR)
    for i, result in ipairs(assert(here:run(here:plan(items)))) do
      assert.equal("plan", result.err.kind)
      assert.matches("has not come yet by Zuora's clock: `zuora extract reset PLAN %-%-item " .. result.item, result.err.message)
      assert(extract.reset(here:plan(items), { item = result.item, from = i == 1 and os.time() - DAY or nil }))
    end
    good(here, items)
    here:assert_same "Thing"
    here:assert_same("Whole", "Thing")
  end)

  it("finds its mark in the manifest of a lookback when those of the windows were taken away", function()
    local here <close> = world.new { rows = world.rows(20, HOUR) }
    local items = { { object = "Thing", lookback = { days = 1, every = "1h" } } }
    good(here, items)
    here.sim:forward(HOUR)
    good(here, items)
    assert(extract.prune(here:plan(items), { keep = 0 }))
    without_store(here)
    for _, file in ipairs(good(here, items)[1].files) do assert.is_nil(file:find "full") end
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00004", "later", "4", "" } })
    assert.matches("/window%.", good(here, items)[1].files[1])
    assert_sound(here)
  end)

  it("reads anew, within the hour, when the store is gone in the middle of a first load", function()
    local here <close> = world.new {}
    local items = { { object = "Thing", split = "id:6" } }
    killed_at(here, here:plan(items), "planned", "id:id00012")
    without_store(here)
    local result = good(here, items)[1]
    assert.equal("done", result.outcome)
    assert.equal(20, result.records)
    here:assert_same "Thing"
    assert_sound(here)
    assert.equal("up to date", good(here, items)[1].outcome)
  end)

  it("finds the marks of all entities when the store is gone", function()
    local here <close> = world.new {}
    local entities = { entities = { "11e643f4-a3ee-1234-a3ee-0123456789ab", "22e643f4-a3ee-1234-a3ee-0123456789ab" } }
    good(here, nil, nil, entities)
    without_store(here)
    for _, result in ipairs(good(here, nil, nil, entities)) do assert.equal(0, result.reads) end
    assert_sound(here)
  end)

  it("is not set forward, and gives up what is open when it is set back", function()
    local here <close> = world.new {}
    local plan = here:plan()
    good(here)
    local function refused(from)
      local done, err = extract.reset(plan, { item = "Thing", from = from })
      assert.is_nil(done)
      assert.matches("has not been read up to", err.message)
    end
    refused(os.time() + 2 * HOUR)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00003", "later", "1", "" } })
    killed_at(here, plan, "fetched")
    assert(extract.reset(plan, { item = "Thing", from = os.time() - DAY }))
    refused(os.time() + 2 * HOUR)
    assert.same({}, extract.status(plan)[1].open)
    assert_sound(here)
    good(here)
    here:assert_same "Thing"
    assert_sound(here)
  end)

  it("is set back though power is lost just behind the reset of the target", function()
    local here <close> = world.new {}
    local to = { load = { to = ("sqlite:%s/dw.db"):format(here.folder) } }
    local plan = here:plan(nil, to)
    good(here, nil, nil, to)
    here.sim:forward(HOUR)
    killed_at(here, plan, "submitted")
    -- What is durable of the store when the target's mark, which is, is set back.
    local reset, sync, log, durable, count = mark_table.reset, disk.sync, here.folder .. "/out/.zuora.db-wal", 0, 0
    local _ <close> = setmetatable({}, { __close = function() mark_table.reset, disk.sync = reset, sync end })
    function disk.sync(path)
      if path == log then durable = disk.size(log) end
      return sync(path)
    end
    function mark_table.reset(...)
      count = count + 1
      if count == 2 then
        support.shell(("cp %s/out/.zuora.db %s/kept; cp %s %s/kept-wal; truncate -s %d %s/kept-wal"):format(here.folder,
          here.folder, log, here.folder, durable, here.folder))
      end
      return reset(...)
    end
    assert(extract.reset(plan, { item = "Thing" }))
    assert.equal(2, count)
    support.shell(("rm %s/out/.zuora.db*; cd %s && cp kept out/.zuora.db && cp kept-wal out/.zuora.db-wal"):format(
      here.folder, here.folder))
    assert.matches("^Thing/reset%.begin", good(here, nil, nil, to)[1].files[1])
  end)

  it("goes past numbers that others have now when old files are taken away", function()
    local here <close> = world.new {}
    killed_at(here, here:plan(), "fetched")
    support.shell(("rm %s/out/Thing/*.csv"):format(here.folder))
    for _ = 1, 3 do
      good(here)
      here.sim:forward(HOUR)
    end
    assert.equal(4, #assert(extract.prune(here:plan(), { keep = 0 })))
    assert_sound(here)
  end)

  it("gives files of pieces names of their own, whatever their keys are", function()
    local seen = {}
    for _, key in ipairs { "a.b", "a_b", "a b", "a-b", "a/b", "", "..", ("x"):rep(300), ("x"):rep(301), "日本" } do
      local path = reads.path(reads.new({ plan = "p", item = "T", entity = "" }, { kind = "full", read_to = "b",
        piece = "id:" .. key }))
      assert.is_nil(seen[path], path)
      assert.matches("^T/[%w._-]+%.csv$", path)
      assert.is_true(#path < 200)
      seen[path] = true
    end
  end)

  it("is no better off for totals that did not come", function()
    local asked = "select count(Id) from Thing"
    local here <close> = world.new { simulator = { answers = { [asked] = { columns = { "count(Thing.Id)" }, rows = {} } } } }
    local err = assert(here:run(here:plan { { object = "Thing", totals = { "count" } } }))[1].err
    assert.equal("incomplete", err.kind)
    assert.matches("Zuora told no count", err.message)
    assert_sound(here)
  end)

  it("refuses the folder of another version, and a manifest that is none", function()
    local here <close> = world.new {}
    local file = good(here)[1].files[1]
    local path = here.folder .. "/out/" .. file:gsub("csv$", "manifest.json")
    support.write(path, (support.read(path):gsub('"number": 1', '"number": "x"')))
    assert.matches("is no manifest", extract.verify(here.folder .. "/out").problems[1].problem)
    without_store(here)
    good(here)
    local jobs = here:jobs()
    support.write(here.folder .. "/out/.zuora.json", '{"format":2,"plan":"nightly"}')
    assert.matches("another version", select(2, here:run(here:plan(), { again = true })).message)
    do
      local book <close> = store.open(here.folder .. "/out/.zuora.db")
      book:run "UPDATE zuora_store SET value = '99' WHERE name = 'version'"
    end
    assert.matches("another version", select(2, here:run(here:plan())).message)
    assert.equal(jobs, here:jobs())
  end)

  it("tells of a column that earlier reads did not have", function()
    local here <close> = world.new {}
    good(here)
    do
      local book <close> = store.open(here.folder .. "/out/.zuora.db") -- as though the tenant had got it since
      book:run("UPDATE zuora_mark SET columns = '[\"Id\",\"Name\",\"UpdatedDate\"]'")
    end
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "later", "1", "" } })
    assert.matches("have no Amount: `zuora extract run PLAN %-%-item Thing %-%-backfill Amount`", good(here)[1].warning)
    local result = good(here, nil, { items = { "Thing" }, backfill = { "Amount" } })[1]
    assert.matches("/backfill%-Amount%.", result.files[1])
    assert.matches("^Thing.Id,Thing.UpdatedDate,Thing.Amount\n", support.read(here.folder .. "/out/" .. result.files[1]))
    assert_sound(here)
  end)

  it("makes no more pages of another text, or by another key", function()
    local here <close> = world.new {}
    local function items(key, ...) return { { object = "Thing", split = "id:6", key = key, fields = { "Id", "Name", "Amount",
      "UpdatedDate", ... } } } end
    killed_at(here, here:plan(items "Id"), "submitted", "id:id00006")
    for _ = 1, 2 do
      local err = assert(here:run(here:plan(items "Name")))[1].err
      assert.equal("plan", err.kind)
      assert.matches("changed in the middle of a read", err.message)
    end
    assert.equal(2, here:jobs())
    good(here, items "Id")
    here:assert_same "Thing"
    assert_sound(here)
    -- Or it is set back, and read anew.
    local other <close> = world.new { name = "extract-anew" }
    killed_at(other, other:plan(items "Id"), "submitted", "id:id00006")
    assert.is_table(assert(other:run(other:plan(items "Name")))[1].err)
    assert.equal("the beginning", assert(extract.reset(other:plan(items "Name"), { item = "Thing" }))[1].from)
    assert.is_nil(assert(other:run(other:plan(items "Name")))[1].err)
    assert_sound(other)
  end)

  it("takes no other batch for its own", function()
    local here <close> = world.new {}
    local plan = here:plan { { object = "Thing", totals = { "count" } } }
    killed_at(here, plan, "completed")
    local client <close> = support.quick_client(here.sim) -- which has not submitted it
    local results = assert(extract.run(client, plan, { poll = 0.002, on_step = function(_, read)
      here.sim:heal()
      if read.state ~= "completed" then return end
      here.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 200, times = "always",
        headers = { ["Content-Type"] = "application/json" }, body = ('{"id":"%s","status":"completed","batches":[{"name":'
          .. '"other","status":"completed","fileId":"%s","recordCount":1}]}'):format(read.job_id, ("a"):rep(32)) }
    end }))
    assert.equal("incomplete", (results[1].err or {}).kind, tostring(results[1].err))
    assert.matches("has n[o ][^b]*batch", results[1].err.message)
    assert_sound(here)
  end)

  it("goes on with another text for good, though there is nothing to be read when that is said", function()
    local here <close> = world.new {}
    local function items(where) return { { object = "Thing", where = where } } end
    good(here, items "Amount > 2")
    assert.equal("up to date", good(here, items "Amount > 3", { keep_mark = true })[1].outcome)
    assert.equal("up to date", good(here, items "Amount > 3")[1].outcome)
  end)
end)
