-- Sequences of events that have lost or doubled rows somewhere, and what is handed to programs: zuora.extract.publish.

local extract = require "zuora.extract"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = 3600

describe("an extraction", function()
  local good = world.good

  -- Does something once, when a read has come to a state.
  local function once_at(state, f)
    local done
    return { on_step = function(_, read)
      if read.state ~= state or done then return end
      done = true
      f(read)
    end }
  end

  local function journal_of(here) return store.open(here.folder .. "/out/.zuora.db") end

  it("asks by another key when the old one may be forgotten", function()
    local here <close> = world.new {}
    here.sim:fault { on = "POST /v1/batch-query", kind = "reset", times = "always" }
    assert.is_table(assert(here:run(here:plan()))[1].err)
    assert.equal("planned", extract.status(here:plan())[1].open[1].state)
    local keys = {}
    for _, request in ipairs(support.sent(here.sim, "POST", "/v1/batch-query")) do
      keys[request.headers["idempotency-key"]] = true
    end
    assert.is_string((next(keys)))
    assert.is_nil(next(keys, (next(keys)))) -- one key, however often it was sent
    here.sim:heal()
    do
      local book <close> = journal_of(here)
      book:run("UPDATE zuora_read SET planned_at = ?", os.time() - 25 * HOUR)
    end
    here.sim:forget()
    assert.matches("%-a2%.csv$", good(here)[1].files[1])
    local again = support.sent(here.sim, "POST", "/v1/batch-query")
    assert.is_nil(keys[again[1].headers["idempotency-key"]])
    here:assert_same "Thing"
  end)

  it("gets the same job for the same read when the answer was lost", function()
    local here <close> = world.new {}
    here.sim:fault { on = "POST /v1/batch-query", kind = "reset", times = "always" }
    assert.is_table(assert(here:run(here:plan()))[1].err)
    here.sim:heal()
    good(here)
    assert.equal(1, here:jobs())
  end)

  it("is not run with the credentials of a sandbox on the store of production", function()
    local here <close> = world.new {}
    good(here)
    here.sim:forward(HOUR)
    here.sim:fault { on = "POST /oauth/token", kind = "status", status = 200,
      headers = { ["Content-Type"] = "application/json" },
      body = '{"access_token":"x","token_type":"bearer","expires_in":3599,"scope":"user.1 tenant.77 service.usage"}' }
    local sandbox <close> = support.quick_client(here.sim)
    here.sim:forget()
    local results, err = extract.run(sandbox, here:plan())
    assert.is_nil(results)
    assert.equal("plan", err.kind)
    assert.matches("belongs to the tenant '[%d.:]+ tenant%.12345', not '[%d.:]+ tenant%.77'", err.message)
    assert.equal(1, #here.sim:journal()) -- the token
    good(here)
  end)

  it("does not miss rows that change at the edges of a window while its job runs", function()
    local here <close> = world.new {}
    good(here)
    for i = 1, 3 do
      here.sim:forward(HOUR)
      for _, state in ipairs { "planned", "submitted", "completed" } do
        here.sim:update("Thing", { { "id00005", "before " .. i, "1", "" } })
        local results = assert(here:run(here:plan(), once_at(state, function()
          here.sim:update("Thing", { { "id00006", state .. i, "2", "" }, { "new" .. i .. state, "x", "1", "" } })
        end)))
        assert.is_nil(results[1].err)
        here.sim:forward(HOUR)
      end
    end
    good(here)
    here:assert_same "Thing"
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("tells of a field that was there and is not now", function()
    local here <close> = world.new {}
    good(here)
    local xml = assert(here.client:request { path = "/v1/describe/Thing", accept = "text/xml" })
    here.sim:fault { on = "GET /v1/describe/Thing", kind = "status", status = 200,
      headers = { ["Content-Type"] = "text/xml" },
      body = (xml:gsub("<field><name>Amount</name>.-</field>", "")) }
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "later", "1", "" } })
    local result = good(here)[1]
    assert.same({ "Amount" }, result.lost)
    assert.matches('"lost": %[\n +"Amount"', support.read((here.folder .. "/out/" .. result.files[1])
      :gsub("csv$", "manifest.json")))
    assert.is_nil(good(here, nil, { again = true })[1].lost)
  end)

  it("reads each item of each entity, by marks of their own", function()
    local here <close> = world.new {}
    local entities = { entities = { "11e643f4-a3ee-1234-a3ee-0123456789ab", "22e643f4-a3ee-1234-a3ee-0123456789ab" } }
    local results = good(here, nil, nil, entities)
    assert.equal(2, #results)
    assert.equal(20, results[2].records)
    assert.matches("^Thing/22e643f4[%x-]+%-full%.", results[2].files[1])
    local seen = {}
    for _, request in ipairs(support.sent(here.sim, "POST", "/v1/batch-query")) do
      seen[request.headers["zuora-entity-ids"] or request.headers.entityid or "none"] = true
    end
    assert.is_true(seen[entities.entities[1]] and seen[entities.entities[2]])
    assert.is_nil(seen.none)
    assert.equal(0, good(here, nil, nil, entities)[1].reads)
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("brings a file anew that was changed or removed before it was passed on", function()
    local here <close> = world.new {}
    for _, change in ipairs { os.remove, function(path) support.write(path, (support.read(path):gsub("name", "NAME"))) end } do
      local plan = here:plan()
      local path
      local ok = pcall(here.run, here, plan, once_at("fetched", function(read)
        path = plan.output .. "/" .. read.path
        error "killed"
      end))
      assert.is_false(ok)
      change(path)
      good(here)
      here:assert_same "Thing"
      local history = assert(extract.history(plan))
      assert.matches("^file ", history[#history - 1].what) -- before the run that it was in
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00002", "another name", "1", "" } })
    end
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("hands each file to a program, and again where that failed", function()
    local here <close> = world.new {}
    local shown = here.folder .. "/it's \"shown\""
    assert(os.execute(("mkdir '%s'"):format(shown:gsub("'", "'\\''"))))
    local publish = { publish = { "cp", "{path}", shown .. "/{item}-{name}" } }
    good(here, nil, nil, publish)
    local names = support.shell(("ls '%s'"):format(shown:gsub("'", "'\\''")))
    assert.matches("^Thing%-full[^\n]+csv\nThing%-full[^\n]+manifest%.json\n$", names)
    here.sim:forward(HOUR)
    local err = assert(here:run(here:plan(nil, { publish = { "false", "{path}" } })))[1].err
    assert.matches("^publish: .*false", err.message)
    assert.is_true(err.retryable)
    assert.equal("fetched", extract.status(here:plan())[1].open[1].state)
    assert.equal(1, good(here, nil, nil, publish)[1].reads)
    assert.equal(4, select(2, support.shell(("ls '%s'"):format(shown:gsub("'", "'\\''"))):gsub("\n", "")))
  end)

  it("asks anew where the file is not what it should be, and leaves nothing of it", function()
    local here <close> = world.new {}
    local totals = require "zuora.extract.totals"
    local agree, seen = totals.agree, 0
    totals.agree = function(...)
      seen = seen + 1
      if seen == 1 then
        return nil, require "zuora.error".new { kind = "incomplete", message = "20 rows, and Zuora counted 21" }
      end
      return agree(...)
    end
    local ok, problem = pcall(good, here, { { object = "Thing", totals = { "count" } } })
    totals.agree = agree
    assert(ok, problem)
    assert.equal(2, here:jobs())
    assert.same({}, extract.verify(here.folder .. "/out").problems)
  end)

  it("warns once of a condition that rows can leave", function()
    local here <close> = world.new {}
    local items = { { object = "Thing", where = "Amount > 3" } }
    assert.matches("^rows that leave its condition", good(here, items)[1].warning)
    here.sim:forward(HOUR)
    assert.is_nil(good(here, items)[1].warning)
    assert.is_nil(good(here, { { object = "Thing", name = "All" } })[1].warning)
  end)

  it("writes into folders with any name", function()
    local here <close> = world.new {}
    local folder = here.folder .. "/|id; 'a' \"b\" $(c) 日本"
    good(here, nil, nil, { output = folder, load = { to = "sqlite:" .. folder .. "/|id'.db" } })
    assert.same({}, extract.verify(folder).problems)
    local target <close> = store.open(folder .. "/|id'.db")
    assert.equal(20, #target:rows 'SELECT * FROM "Thing"')
  end)
end)
