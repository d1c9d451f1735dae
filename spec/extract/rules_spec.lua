-- Rules of zuora.extract.planner, zuora.extract.worker, zuora.extract.tend and zuora.extract.base.manifest, each with what
-- would go wrong without it.

local extract = require "zuora.extract"
local json = require "zuora.extract.base.json"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = 3600

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

  local function journal_of(here) return store.open(here.folder .. "/out/.zuora.db") end

  it("tells of all pieces that are open, in their order", function()
    local here <close> = world.new { rows = {}, simulator = { query_rows = 6 } }
    good(here)
    here.sim:forward(HOUR)
    local rows = world.rows(20)
    for i, row in ipairs(rows) do row[4] = os.date("!%Y-%m-%dT%H:%M:%S+0000", os.time() + 4000 + i * 60) end
    here.sim:update("Thing", rows)
    here.sim:forward(HOUR)
    killed_at(here, here:plan(), "submitted", "half")
    local open = extract.status(here:plan())[1].open
    assert.is_true(#open >= 2)
    assert.equal("submitted", open[1].state)
    assert.equal("planned", open[2].state)
  end)

  it("is set back only where folder, store and target are this plan's, and of one tenant", function()
    local here <close> = world.new {}
    local load = { load = { to = "sqlite:" .. here.folder .. "/dw.db" } }
    good(here, nil, nil, load)
    local plan = here:plan(nil, load)
    local function refused(words, verb, options)
      local done, err = extract[verb or "reset"](plan, options or { item = "Thing" })
      assert.is_nil(done)
      assert.equal("plan", err.kind)
      assert.matches(words, err.message)
    end
    plan.plan = "weekly"
    refused "the folder .* belongs to the plan 'nightly', not 'weekly'"
    plan.output, plan.store = here.folder .. "/other", here.folder .. "/out/.zuora.db"
    refused "the store .* belongs to the plan 'nightly'"
    refused("the store .* belongs to the plan 'nightly'", "prune", { keep = 0 })
    plan.plan = "nightly"
    local function of_target(name, value)
      local target <close> = store.open(here.folder .. "/dw.db")
      target:run("UPDATE zuora_target SET value = ? WHERE name = ?", value, name)
    end
    of_target("tenant", "another")
    refused "the target .* belongs to the tenant 'another', and the store .* to '"
    of_target("version", "2")
    refused "the target .* belongs to the version '2'"
    do
      local target <close> = store.open(here.folder .. "/dw.db")
      assert.equal("", target:row "SELECT pending FROM zuora_mark".pending)
    end
  end)

  it("says what is wrong with the name of a report", function()
    local reports = {}
    for i = 1, 2 do reports["twin" .. i] = { name = "Twice", columns = { "A" }, rows = {} } end
    local here <close> = world.new { simulator = { reports = reports } }
    local function tried(name)
      return assert(here:run(here:plan { { report = name, view = "Detail", name = "r" } }, { again = true }))[1].err
    end
    local err = tried "No such report"
    assert.equal("not_found", err.kind)
    assert.matches("No such report", err.message)
    err = tried "Twice"
    assert.equal("ambiguous", err.kind, tostring(err))
    assert.matches("Twice", err.message)
  end)

  it("does not take a page that was cut short for the last one", function()
    local items = { { object = "Thing", split = "id:6", totals = { "count", "sum(Amount)" } } }
    local cut = "select Id, Name, Amount, UpdatedDate from Thing where Id > 'id00006' order by Id limit 6"
    local rows = {}
    for i = 1, 3 do rows[i] = { ("id%05d"):format(i + 6), "x", tostring(i), "2026-01-01T00:00:00+0000" } end
    local here <close> = world.new { simulator = { answers = { [cut] = { columns = { "Id", "Name", "Amount", "UpdatedDate" },
      rows = rows } } } }
    local err = assert(here:run(here:plan(items)))[1].err
    assert.equal("incomplete", (err or {}).kind, tostring(err))
    assert.matches("the file has 3 rows of a page of 6, and Zuora counted 14", err.message)
    assert.same({}, extract.verify(here.folder .. "/out").problems)
    -- As it should be, with deleted rows in the pages.
    local other <close> = world.new { name = "extract-pages" }
    other.sim:delete("Thing", { "id00002", "id00020" })
    items[1].deleted = true
    assert.equal(20, good(other, items)[1].records)
    local read = journal_of(other):row "SELECT * FROM zuora_read WHERE piece = 'id:id00006'"
    assert.matches("^select count%(Id%), sum%(Amount%) from Thing where Id > 'id00006' and Id <= 'id00012'$", read.totals)
    -- A page whose file is gone comes of the same job, whose totals know nothing of its end.
    local third <close> = world.new { name = "extract-pages" }
    killed_at(third, third:plan(items), "fetched", "id:")
    support.shell(("rm %s/out/Thing/*id_-a1.csv"):format(third.folder))
    assert.equal(20, good(third, items)[1].records)
    assert.equal(4, third:jobs())
    assert.same({}, extract.verify(third.folder .. "/out").problems)
  end)

  it("leaves out a field that is refused when a page is read again, and keeps its end", function()
    local planner = require "zuora.extract.planner"
    local item = assert(extract.plan { plan = "p", output = "o", items = { { object = "T", split = "id:5" } } }).items[1]
    item.columns, item.cursor = { "Id", "Name" }, "UpdatedDate"
    local read = require "zuora.extract.base.reads".new({ plan = "p", item = "T", entity = "" }, { kind = "full", read_to = "b",
      piece = "id:a" })
    local piece = { after = "a", limit = 5 }
    local closed = planner.closed_page(item, read, piece, "e")
    assert.matches("where Id > 'a' and Id <= 'e'$", closed.query)
    assert.matches("where Id > 'a' and Id <= 'e'$", planner.with_query(item, read, json.decode(closed.extra)).query)
  end)

  it("writes all that proves a file into its manifest", function()
    local here <close> = world.new {}
    local files = good(here, { { object = "Thing", totals = { "count", "sum(Amount)" }, deleted = true } })[1].files
    local path = here.folder .. "/out/" .. files[1]
    local fields = assert(json.decode(support.read((path:gsub("csv$", "manifest.json")))))
    for _, name in ipairs { "query", "totals_query", "idempotency_key", "job", "sha256", "tenant", "module", "libcurl",
      "item", "kind", "to", "file", "hash" } do
      assert.is_truthy(type(fields[name]) == "string" and fields[name] ~= "", name)
    end
    assert.same({ 20, 20, #support.read(path), 1 }, { fields.records, fields.record_count, fields.bytes, fields.number })
    assert.equal(5, #fields.header)
    assert.equal("datetime", fields.types.UpdatedDate)
    assert.same({ ["count(thing.id)"] = "20", ["sum(thing.amount)"] = "212.10" }, fields.totals)
    assert.equal(1, #fields.files)
    assert.matches("^%x+%-", fields.request_ids[1])
    here.sim:forward(HOUR)
    files = good(here, { { object = "Thing", totals = { "count", "sum(Amount)" }, deleted = true } })[1].files
    fields = assert(json.decode(support.read((here.folder .. "/out/" .. files[1]):gsub("csv$", "manifest.json"))))
    assert.equal(path:match "[^/]*$":gsub("csv$", "manifest.json"), fields.previous.file)
    assert.equal(64, #fields.previous.sha256)
  end)
end)
