-- What a tap writes, and that nothing is lost when it is killed: zuora.tap, zuora.tap.sync, zuora.tap.messages.

local support = require "spec.support"
local world = require "spec.tap.world"

local HOUR = 3600

local function good(here, into, more)
  local results = assert(here:run(into, more))
  for _, result in ipairs(results) do assert(not result.err, tostring(result.err)) end
  return results
end

describe("a tap", function()
  it("writes all, then nothing, then what has changed; what was deleted, too", function()
    local here <close> = world.new { simulator = { turn_columns = true } }
    local into = world.loader()
    assert.equal(20, good(here, into)[1].records)
    here:assert_loaded(into)
    assert.matches("^2026%-%d%d%-%d%dT%d%d:00:00Z$", into.state.bookmarks.Thing.UpdatedDate)
    local jobs = here:jobs()
    assert.equal(0, good(here, into)[1].records)
    assert.matches("Thing: up to date", here:log())
    assert.equal(jobs, here:jobs())
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00003", "other", "7.10", "" }, { "new", "new", "", "" } })
    here.sim:delete("Thing", { "id00005" })
    assert.equal(3, good(here, into)[1].records)
    here:assert_loaded(into)
    assert.is_nil(into.rows.Thing.id00005)
    assert.same({}, support.listing(here.folder))
    assert.matches('METRIC: {"type": "counter", "metric": "record_count", "value": 3, "tags": {"endpoint": "Thing"}}',
      here:log(), nil, true)
  end)

  it("leaves out nothing where Zuora's clock is ahead of this machine's", function()
    local here <close> = world.new {}
    local into, time = world.loader(), os.time
    local function behind(seconds)
      rawset(os, "time", function(...) return time(...) - (... and 0 or seconds) end)
      local ok, problem = pcall(good, here, into)
      rawset(os, "time", time)
      assert(ok, problem)
    end
    behind(9 * HOUR)
    assert.matches("WARNING Zuora's clock %(%S+%) is ahead of this machine's %(%S+%)", here:log())
    here.sim:update("Thing", { { "late", "there by then", "1",
      os.date("!%Y-%m-%dT%H:%M:%S+0000", time() - 2 * HOUR) } })
    good(here, into)
    here:assert_loaded(into)
    behind(9 * HOUR) -- a bookmark of a machine whose clock is right
    good(here, into)
    here:assert_loaded(into)
  end)

  it("leaves the windows open above, so that what changes every night is had", function()
    local here <close> = world.new {}
    local into = world.loader()
    good(here, into, { plan = { every = HOUR, settle = 2 * HOUR } })
    local first = into.state.bookmarks.Thing.UpdatedDate
    assert.equal(20, into.written)
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00001", "touched", "1", "" } })
    good(here, into, { plan = { every = HOUR, settle = 2 * HOUR } })
    assert.equal("touched", into.rows.Thing.id00001.Name)
    assert.is_true(first < into.state.bookmarks.Thing.UpdatedDate)
  end)

  it("halves windows that are too large, and pages by Id what no halves can help", function()
    for _, spread in ipairs { 60, 0 } do
      local here <close> = world.new { rows = world.rows(40, spread), simulator = { file_bytes = 1200 } }
      local into, states = world.loader(), 0
      good(here, into, { start = os.time() - 2 * HOUR, plan = { every = HOUR, settle = 0,
        split = spread == 0 and "id:8" or nil }, write = function(text)
        into:write(text)
        local _, more = text:gsub('"type":"STATE"', "")
        states = states + more
      end })
      here:assert_loaded(into)
      if spread > 0 then assert.is_true(states > 3, states) end
    end
  end)

  it("reads again whole what has no cursor, or is to have none", function()
    local here <close> = world.new { simulator = { objects = {
      Plain = { columns = { "Id", "Name" }, rows = { { "a", "x" } } },
      Thing = { columns = { "Id", "Name", "UpdatedDate" }, rows = { { "b", "y", "2026-01-01T00:00:00+0000" } } } } } }
    local into = world.loader()
    local catalogue = here:catalogue { "Plain", "Thing" }
    for _, stream in ipairs(catalogue.streams) do
      if stream.stream == "Thing" then stream.metadata[1].metadata["replication-method"] = "FULL_TABLE" end
    end
    for round = 1, 2 do
      good(here, into, { catalogue = catalogue })
      assert.equal(2 * round, into.written)
    end
    assert.same({ bookmarks = {} }, into.state)
    here:assert_loaded(into, "Plain")
    here:assert_loaded(into)
    here.sim:delete("Plain", { "a" })
    here.sim:forward(HOUR)
    good(here, into, { catalogue = catalogue })
    assert.same({}, into.rows.Plain)
  end)

  it("goes on with the other streams when one fails", function()
    local here <close> = world.new { simulator = { objects = { Thing = { columns = { "Id", "Name", "UpdatedDate" },
      rows = { { "b", "y", "2026-11-01T00:00:00+0000" } } }, Bad = { columns = { "Id", "Amount" }, rows = { { "x", "much" } } } } } }
    local into = world.loader()
    local results = assert(here:run(into, { start = 0, catalogue = here:catalogue { "Bad", "Thing" } }))
    local failed = results[1].item == "Bad" and results[1] or results[2]
    assert.equal("text", failed.err.kind)
    assert.matches("column .*Amount: no number", failed.err.message)
    here:assert_loaded(into)
    assert.is_string(into.state.bookmarks.Thing.UpdatedDate)
    assert.same({}, support.listing(here.folder))
  end)

  it("does without deleted rows where there are none to be had", function()
    local here <close> = world.new { simulator = { objects = { AccountingPeriod = { columns = { "Id", "Name" },
      rows = { { "p", "January" } } } } } }
    local into = world.loader()
    good(here, into, { catalogue = here:catalogue { "AccountingPeriod" } })
    here:assert_loaded(into, "AccountingPeriod")
    assert.matches("WARNING AccountingPeriod: deleted rows of it cannot be had", here:log())
  end)

  it("leaves out a field that the engine refuses, and says so", function()
    local here <close> = world.new {}
    local into, catalogue = world.loader(), here:catalogue { "Thing" }
    local stream = catalogue.streams[1]
    stream.schema.properties.Ghost = { type = { "string", "null" } }
    table.insert(stream.metadata, { breadcrumb = { "properties", "Ghost" }, metadata = { selected = true } })
    good(here, into, { catalogue = catalogue })
    here:assert_loaded(into)
    assert.matches("WARNING Thing: Zuora refuses the field Ghost", here:log())
  end)

  it("writes no record of a file that lacks a column", function()
    local here <close> = world.new {}
    local rows = require "zuora.extract.sources.aqua"
    local fetch = rows.fetch
    rows.fetch = function(client, read, path, options)
      local written, err = fetch(client, read, path, options)
      support.write(path, (support.read(path):gsub("Amount", "Tumoan")))
      return written, err
    end
    local into = world.loader()
    local ok, results = pcall(here.run, here, into)
    rows.fetch = fetch
    assert(ok, results)
    assert.equal("incomplete", results[1].err.kind)
    assert.matches("the file has no column Amount", results[1].err.message)
    assert.equal(0, into.written)
  end)

  it("writes no record of a file that is not whole", function()
    local here <close> = world.new {}
    local into = world.loader()
    here.sim:fault { on = "GET /v1/files/*", kind = "length", extra = 50, times = "always" }
    local results = assert(here:run(into))
    assert.is_table(results[1].err)
    assert.equal(0, into.written)
    assert.same({ bookmarks = {} }, into.state)
  end)

  it("has the same job of Zuora when it was killed and begins again", function()
    local here <close> = world.new {}
    local one, catalogue = world.loader(), here:catalogue { "Thing" }
    assert.has_error(function()
      here:run(one, { catalogue = catalogue, write = function(text)
        if text:find "RECORD" then error({}, 0) end
      end })
    end)
    local jobs = here:jobs()
    good(here, one, { catalogue = catalogue })
    here:assert_loaded(one)
    assert.equal(jobs, here:jobs())
  end)

  it("goes on with a first load by pages where it was, an hour later, too", function()
    local here <close> = world.new { rows = world.rows(40, 60) }
    local into, more = world.loader(), { plan = { every = HOUR, settle = 0, split = "id:8" } }
    local pages, KILLED = 0, {}
    more.write = function(text)
      into:write(text)
      pages = pages + (text:find '"page"' and 1 or 0)
      if pages == 3 then error(KILLED, 0) end
    end
    assert.equal(KILLED, select(2, pcall(here.run, here, into, more)))
    assert.equal("id00024", into.state.bookmarks.Thing.page.after)
    local written = into.written
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { "id00002", "changed", "1", "" }, { "id00030", "changed, too", "1", "" } })
    here.sim:forward(HOUR)
    more.write = nil
    good(here, into, more)
    assert.equal(written + 16, into.written)
    assert.is_nil(into.state.bookmarks.Thing.page)
    good(here, into, more) -- (its bookmark is that of the run that was killed)
    here:assert_loaded(into)
    -- Of another query the pages are others.
    into.state = { bookmarks = { Thing = { page = { query = "x", to = "", after = "id00039" } } } }
    assert.equal(40, good(here, into, more)[1].records)
  end)

  it("reads nothing from a bookmark on that has not come yet, and leaves it as it is", function()
    local here <close> = world.new {}
    local into, jobs = world.loader(), here:jobs()
    for ahead, kind in pairs { [2 * HOUR] = "plan", [0] = false } do
      local state = { bookmarks = { Thing = { UpdatedDate = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() + ahead) } } }
      local result = assert(here:run(into, { state = state }))[1]
      assert.equal(kind, result.err and result.err.kind or false)
      if kind then
        assert.matches("Thing.UpdatedDate: it has not come yet by Zuora's clock", result.err.message)
        assert.same(state, into.state)
        assert.equal(jobs, here:jobs())
      end
    end
  end)

  it("has other jobs an hour after one has failed, however far apart its bookmarks are", function()
    local here <close> = world.new {}
    local into, more = world.loader(), { plan = { every = 24 * HOUR, settle = 0 } }
    here.sim:fault { on = "POST /v1/batch-query", kind = "outcome", job = "error" }
    assert.equal("failed", assert(here:run(into, more))[1].err.kind)
    here.sim:heal()
    local jobs = here:jobs()
    assert.equal("failed", assert(here:run(into, more))[1].err.kind)
    assert.equal(jobs, here:jobs())
    here.sim:forward(HOUR)
    good(here, into, more)
    here:assert_loaded(into)
  end)

  for name, case in pairs { halves = { file_bytes = 300 }, pages = { split = "id:3" } } do
    it("that is killed between any two lines ends with the same rows, in " .. name, function()
      local count = os.getenv "TORTURE" == "all" and 24 or 8
      local here <close> = world.new { rows = world.rows(count, 60), simulator = { file_bytes = case.file_bytes } }
      local catalogue, start = here:catalogue { "Thing" }, os.time() - 2 * HOUR
      local function run(into, lines)
        local left, KILLED = lines or math.huge, {}
        local ok, problem = pcall(good, here, into, { catalogue = catalogue, start = start,
          plan = { every = HOUR, settle = 0, split = case.split }, write = function(text)
          for line in text:gmatch "[^\n]+" do
            if left == 0 then error(KILLED, 0) end
            left = left - 1
            into:line(line)
          end
        end })
        assert(ok or problem == KILLED, tostring(problem))
        return ok
      end
      local n, kills = 0, 0
      repeat
        local into = world.loader()
        local ended = run(into, n)
        if not ended then
          kills = kills + 1
          here.sim:update("Thing", { { ("id%05d"):format(n % count + 1), "after " .. n, "1", "" } })
          here.sim:delete("Thing", { ("id%05d"):format((n + 5) % count + 1) })
          -- (A new hour, or the same.)
          if n % 2 == 0 then here.sim:forward(HOUR) end
          run(into)
          here.sim:forward(HOUR)
          run(into)
          here:assert_loaded(into)
          here.sim:update("Thing", { { ("id%05d"):format((n + 5) % count + 1), "back " .. n, "1", "" } })
        end
        n = n + 1
      until ended
      assert.is_true(kills >= count + 4, "only " .. kills .. " kills")
    end)
  end
end)
