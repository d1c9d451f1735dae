-- zuora.extract.claims, zuora.extract.base.server and zuora.extract.work: who has an item, by a database that may go away.

local claims = require "zuora.extract.claims"
local cluster = require "spec.load.cluster"
local core = require "zuora.core"
local disk = require "zuora.extract.base.disk"
local extract = require "zuora.extract"
local journal = require "zuora.extract.journal"
local reads = require "zuora.extract.base.reads"
local server = require "zuora.extract.base.server"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

describe("of several machines", function()
  if cluster.missing() then
    pending("cannot be tried here: " .. cluster.missing())
    return
  end

  local database, count
  setup(function() database, count = cluster.start(), 0 end)
  teardown(function() database:stop() end)

  describe("a store on PostgreSQL", function()
    local name, open
    before_each(function()
      count, open = count + 1, {}
      name = "plan" .. count
    end)
    after_each(function()
      for _, one in ipairs(open) do one:close() end
    end)

    local function keep(one)
      open[#open + 1] = one
      return one
    end

    local function book_of(owner, lease) return keep(journal.open(database.uri, owner, lease or 60)) end

    local function of(item) return { plan = name, item = item, entity = "" } end

    local function due(...) return { plan = name, keys = { ... } } end

    local function planned(book, item, read_to)
      local read = reads.new(of(item), { kind = "full", read_to = read_to or "b" })
      read.query = "select 1"
      return book:plan(read)
    end

    local function fails(kind, f, ...)
      local ok, err = pcall(f, ...)
      assert.is_false(ok)
      assert.equal(kind, err.kind, tostring(err))
      return err
    end

    local function two_books(...)
      local one, two = book_of(...), book_of("two", select(2, ...))
      one.claims:enlist(name, { { { name = "A" }, "" }, { { name = "B" }, "" } })
      return one, two
    end

    it("gives an item to one at a time, until it is given back", function()
      local one, two = two_books "one"
      local first, second = one.claims:take(due("A/", "B/")), two.claims:take(due("A/", "B/"))
      assert.same({ "A", "B" }, { first.item, second.item })
      assert.is_nil(one.claims:take(due("A/", "B/")))
      assert.equal(2, one.claims:left(due("A/", "B/")))
      assert.is_true(one.claims:release(of "A", "s", "done", "{}"))
      assert.is_false(one.claims:release(of "A", "s", "done", "{}"))
      local again = two.claims:take(due "A/")
      assert.same({ "", 0 }, { again.former, again.turn })
    end)

    it("gives an item once in a step of the grid, and again what was not done when somebody else begins", function()
      local one, two = two_books "one"
      local function at(step, book) return { plan = name, keys = { "A/" }, step = step, since = book.claims:now() } end
      local before = at("s1", two)
      one.claims:take(due "A/")
      one.claims:release(of "A", "s1", "failed", "{}")
      assert.is_nil(two.claims:take(before))
      assert.equal(0, two.claims:left(before))
      assert.equal("A", two.claims:take(at("s1", two)).item)
      two.claims:release(of "A", "s1", "up to date", "{}")
      assert.is_nil(two.claims:take(at("s1", two)))
      assert.equal("A", two.claims:take(at("s2", two)).item)
    end)

    it("takes an item from who did not renew it, who then writes nothing of it", function()
      local one, two = two_books("one", 0.2)
      one.claims:take(due "A/")
      local read = planned(one, "A")
      assert.same({ ["A/"] = true }, one.claims:renew(name, { "A/", "B/" }))
      assert.is_nil(two.claims:take(due "A/"))
      support.shell "sleep 0.25"
      local claim = two.claims:take(due "A/")
      assert.same({ "one", 1 }, { claim.former, claim.turn })
      assert.same({}, one.claims:renew(name, { "A/" }))
      assert.is_false(one.claims:release(of "A", "s", "done", "{}"))
      fails("busy", one.move, one, read, "submitted")
      fails("busy", one.reopen, one, read)
      fails("busy", one.open_reads, one, of "A")
      fails("busy", planned, one, "A", "c")
      fails("busy", one.transaction, one, function()
        one:event(name, "A", "never", "")
        one:move(read, "done")
      end)
      assert.same({}, one:events(name))
      assert.equal("planned", two:find(read).state)
      two:move(two:open_reads(of "A")[1], "submitted")
      assert.equal("submitted", one:find(read).state)
    end)

    it("keeps a lease by its own clock, whatever the worker's says", function()
      local time = os.time
      rawset(os, "time", function(...) return ... and time(...) or time() + 3600 end)
      local ok, problem = pcall(function()
        local one, two = two_books "one"
        one.claims:take(due "A/")
        assert.is_nil(two.claims:take(due "A/"))
        local read = planned(one, "A")
        assert.is_true(math.abs(tonumber(read.planned_at) - time()) < 60)
      end)
      rawset(os, "time", time)
      assert(ok, problem)
    end)

    it("has one open read of an item, whoever plans it", function()
      local one, two = two_books("one", 0.05)
      one.claims:take(due "A/")
      planned(one, "A")
      support.shell "sleep 0.1"
      two.claims:take(due "A/")
      fails("file", planned, two, "A")
      fails("file", planned, two, "A", "c")
      assert.equal(1, #two:open_of(of "A"))
      two:move(two:open_of(of "A")[1], "done")
      planned(two, "A", "c")
    end)

    it("is held up by nobody who was stopped in the midst of a transaction", function()
      local one, two = two_books("one", 0.2)
      one.claims:take(due "A/")
      local err = fails("file", one.transaction, one, function()
        one.claims:hold(of "A")
        support.shell "sleep 0.3"
        assert.is_table(two.claims:take(due "A/"))
        planned(one, "A")
      end)
      assert.is_true(err.is_lost)
      fails("busy", planned, one, "A")
    end)

    it("goes on after the database was restarted", function()
      local one = two_books "one"
      one.claims:take(due "A/")
      local read = planned(one, "A")
      database:restart "immediate"
      local err = fails("file", one.move, one, read, "submitted")
      assert.is_true(err.retryable and err.is_lost)
      one:move(one:find(read), "submitted")
      database:restart "fast"
      assert.is_true(fails("file", one.transaction, one, function() one:move(read, "done") end).is_lost)
      assert.equal("submitted", one:find(read).state)
      assert.is_true(fails("file", server.connect, "postgresql:///x?host=/nowhere", "s", {}).retryable)
    end)

    it("holds text as it is, and many plans of many tenants", function()
      local one = book_of "one"
      local awkward = "'; drop table zuora_read; -- \" ? $1 \\ 日本\n"
      one.claims:enlist(name, { { { name = "it's \"{a,b}\" \\ 日本" }, "" } })
      assert.equal("it's \"{a,b}\" \\ 日本", one.claims:take(due("it's \"{a,b}\" \\ 日本/")).item)
      one:event(name, "A", awkward, awkward)
      assert.equal(awkward, one:events(name)[1].detail)
      one:belong_to(name, "t")
      one:belong_to(name .. "x", "u")
      fails("plan", one.belong_to, one, name, "u")
    end)

    it("makes its tables, when several come at once, and is as though empty before", function()
      local held <close> = server.connect(database.uri, claims.SCHEMA, { "SET client_min_messages = warning" })
      held:run "DROP SCHEMA IF EXISTS zuora_store CASCADE"
      local plan = { plan = "p", output = support.scratch "claims", store = database.uri, items = { { object = "Thing" } } }
      assert.same({}, assert(extract.status(plan))[1].open)
      assert.is_nil(held:row "SELECT 1 AS there FROM pg_namespace WHERE nspname = 'zuora_store'")
      local script = ([[local book = require "zuora.extract.journal".open(%q, "x") print(#book:events "p")]]):format(database.uri)
      local path = support.scratch "claims-two" .. ".lua"
      support.write(path, script)
      local run = ("LUA_PATH_5_4='%s' LUA_CPATH_5_4='%s' lua5.4 %s 2>&1"):format(package.path, package.cpath, path)
      assert.equal("0\n0\n0\n", (support.shell(("(%s & %s & %s & wait)"):format(run, run, run))))
    end)
  end)

  it("has a file that is written once, whoever comes late", function()
    local folder = support.scratch "claims-once"
    support.shell("rm -rf " .. folder)
    core.mkdir(folder)
    disk.write(folder .. "/m", "first", folder .. "/.one.new", true)
    disk.write(folder .. "/m", "late", folder .. "/.two.new", true)
    assert.equal("first", support.read(folder .. "/m"))
    assert.same({ "m" }, support.listing(folder))
    disk.write(folder .. "/m", "newer", folder .. "/.two.new")
    assert.equal("newer", support.read(folder .. "/m"))
  end)

  describe("a worker", function()
    local here, name
    before_each(function()
      count = count + 1
      name = "plan" .. count
      here = world.new { name = "worker" }
    end)
    after_each(function() here:close() end)

    local function plan_of(more, items)
      local plan = here:plan(items, { plan = name, store = database.uri })
      for word, value in pairs(more or {}) do plan[word] = value end
      return plan
    end

    local function work(plan, options)
      local all = { poll = 0.002, lease = 5 }
      for word, value in pairs(options or {}) do all[word] = value end
      return extract.work(here.client, plan, all)
    end

    local function good(results, err)
      assert(results, tostring(err))
      for _, one in ipairs(results) do assert.is_nil(one.err, tostring(one.err)) end
      return results
    end

    it("leaves what is up to date as it is; a run looks at all, and a reset makes it due", function()
      local plan = plan_of()
      assert.equal("done", good(work(plan))[1].outcome)
      here.sim:forget()
      assert.same({}, good(work(plan)))
      assert.equal(0, #support.sent(here.sim, "GET", "/v1/describe/Thing"))
      assert.equal("up to date", good(here:run(plan))[1].outcome)
      assert.equal(1, good(here:run(plan, { again = true }))[1].reads)
      assert(extract.reset(plan, { item = "Thing" }))
      assert.equal(20, good(work(plan))[1].records)
      here:assert_same "Thing"
      assert.same({}, assert(extract.verify(plan.output)).problems)
      local seen = {}
      for i, event in ipairs(assert(extract.history(plan))) do seen[i] = event.what end
      assert.equal("work run run reset work", table.concat(seen, " ")) -- the second worker found nothing to do
      assert.equal(4, #assert(extract.prune(plan, { keep = 0 })))
      assert.is_true(assert(extract.preview(here.client, plan))[1].up_to_date)
    end)

    it("brings what a target lacks that was restored, or has lost a table, and says what is up to date", function()
      local told
      local function outcomes(plan)
        told = {}
        local results = assert(work(plan, { on_item = function(result) told[#told + 1] = result.outcome end }))
        return results[1] and (results[1].err and results[1].err.kind or results[1].outcome)
      end
      for _, to in ipairs { "sqlite:" .. here.folder .. "/dw.db", database.uri } do
        local plan = plan_of { plan = name .. #to, output = here.folder .. "/out" .. #to,
          load = { to = to, schema = to == database.uri and "work_" .. name or nil } }
        local is_file = to ~= database.uri
        local target <close> = is_file and store.open(here.folder .. "/dw.db") or store.connect(to, "work_" .. name)
        local table_name = (is_file and "" or '"work_' .. name .. '".')
        assert.equal("done", outcomes(plan))
        assert.is_nil(outcomes(plan))
        assert.same({ "up to date" }, told)
        local before = target:rows(("SELECT mark FROM %szuora_mark"):format(table_name))[1].mark
        here.sim:forward(3600)
        here.sim:update("Thing", { { "id00003", "later", "3.25", "" } })
        assert.equal("done", outcomes(plan))
        -- As it was before that window.
        target:run(("UPDATE %szuora_mark SET mark = ?"):format(table_name), before)
        target:run(("DELETE FROM %szuora_loads WHERE kind <> 'full'"):format(table_name))
        target:run(([[UPDATE %s"Thing" SET "Name" = 'name 3' WHERE "Id" = 'id00003']]):format(table_name))
        assert.equal("done", outcomes(plan))
        assert.equal("later", target:rows(([[SELECT "Name" AS name FROM %s"Thing" WHERE "Id" = 'id00003']]):format(
          table_name))[1].name)
        assert.is_nil(outcomes(plan))
        target:run(('DROP TABLE %s"Thing"'):format(table_name))
        for _ = 1, 2 do assert.equal("plan", outcomes(plan)) end
        assert(extract.reset(plan, { item = "Thing" }))
        assert.equal("done", outcomes(plan))
        assert.is_nil(outcomes(plan))
      end
    end)

    it("is told by status, has what it holds for itself, and gives it back when it ends", function()
      local plan, seen = plan_of()
      good(work(plan, { on_step = function()
        seen = seen or assert(extract.status(plan))[1]
        local err = select(2, extract.reset(plan, { item = "Thing" }))
        assert.equal("busy", err.kind)
      end }))
      assert.matches("^[^/]+/%d+/%x+$", seen.owner)
      assert.is_true(seen.lease >= 0 and seen.lease <= 5)
      assert.is_nil(assert(extract.status(plan))[1].owner)
      here.sim:forward(3600)
      assert.is_false(pcall(work, plan, { on_step = function() error "killed" end }))
      assert.is_nil(assert(extract.status(plan))[1].owner)
      assert.equal(1, good(work(plan))[1].reads)
      assert.matches("%-a1%.csv\n$", support.read(plan.output .. "/SHA256SUMS"))
      local lost <close> = journal.open(database.uri, "lost", 60)
      lost.claims.lease = -7
      assert(lost.claims:take { plan = name, keys = { "Thing/" } })
      assert.same({ "lost", 0 }, { extract.status(plan)[1].owner, extract.status(plan)[1].lease })
    end)

    it("says of a run that others hold an item, and is not for a file", function()
      local plan, err = plan_of()
      local waited
      local told = {}
      good(work(plan, { lease = 1, on_step = function()
        if waited then return end
        waited = true
        local other <close> = support.quick_client(here.sim)
        err = assert(extract.run(other, plan, { lease = 0.1, on_step = function(item, read)
          told[#told + 1] = item.name .. " " .. read.state
        end }))[1].err
      end }))
      assert.equal("busy", err.kind)
      assert.equal(1, #told)
      assert.matches("^Thing waiting for [^/]+/%d+/%x+$", told[1])
      plan.store = nil
      assert.equal("plan", select(2, work(plan)).kind)
      plan.store, plan.load = database.uri, { to = database.uri, schema = "zuora_store" }
      assert.matches("load%.schema", select(2, work(plan)).message)
    end)

    it("renews its lease while programs run", function()
      local plan = plan_of { publish = { "sleep", "0.6" } }
      local other <close> = journal.open(database.uri, "other", 60)
      local is_running, looks = false, 0
      local function look()
        while not is_running do here.client:sleep(0.02) end
        while is_running do
          assert.is_nil(other.claims:take { plan = name, keys = { "Thing/" } })
          looks = looks + 1
          here.client:sleep(0.02)
        end
      end
      here.client:run(function()
        good(work(plan, { lease = 0.4, on_step = function(_, read)
          is_running = read.state == "fetched"
          here.client:spawn(is_running and look or function() end)
        end }))
      end)
      assert.is_true(looks > 20, looks)
      assert.same({ "work" }, { assert(extract.history(plan))[1].what, #extract.history(plan) > 1 and "more" or nil })
    end)

    it("brings a file anew that is in another machine's folder", function()
      local plan = plan_of()
      local states = {}
      assert.is_false(pcall(work, plan, { on_step = function(_, read)
        if read.state == "fetched" then error "killed" end
      end }))
      plan.output = here.folder .. "/other"
      good(work(plan, { on_step = function(_, read) states[#states + 1] = read.state end }))
      assert.same({ "fetched", "completed", "fetched", "published" }, states)
      assert.same({}, assert(extract.verify(plan.output)).problems)
      -- Brought together, they are one chain.
      here.sim:forward(3600)
      plan.output = here.folder .. "/out"
      good(work(plan))
      assert.is_true(#assert(extract.verify(plan.output)).problems > 0)
      support.shell(("rm %s/Thing/full*; cp %s/other/Thing/* %s/Thing"):format(plan.output, here.folder, plan.output))
      assert.same({}, assert(extract.verify(plan.output)).problems)
    end)

    it("writes into a file of its own where the worker before it may be writing still", function()
      local plan, path = plan_of()
      assert.is_false(pcall(work, plan, { on_step = function(_, read)
        path = plan.output .. "/" .. reads.path(read)
        if read.state == "completed" then error "killed" end
      end }))
      local other <close> = journal.open(database.uri, "other", 0.1)
      assert.is_table(other.claims:take { plan = name, keys = { "Thing/" } })
      core.mkdir(plan.output .. "/Thing")
      local late <close> = assert(core.file(path))
      assert(late:write "a,b\n")
      assert.matches("%-a1%-t1%.csv$", good(work(plan))[1].files[1])
      assert.is_nil((late:publish()))
      assert.same({}, assert(extract.verify(plan.output)).problems)
      assert.same({ "taken over", "other" }, { assert(extract.history(plan))[1].what, extract.history(plan)[1].detail })
    end)

    it("audits what others have loaded, and leaves the item as it was", function()
      local plan = plan_of { load = { to = database.uri, schema = "dw_" .. name } }
      good(work(plan))
      local target <close> = server.connect(database.uri, plan.load.schema, {})
      target:run(('DELETE FROM %s"Thing" WHERE "Id" = ?'):format(target.prefix), "id00004")
      local seen
      local function audit()
        return good(extract.audit(here.client, plan, { poll = 0.002, lease = 5, on_step = function()
          seen = seen or assert(extract.status(plan))[1]
        end }))[1]
      end
      local result = audit()
      assert.same({ "mended", "19", "20" }, { result.outcome, result.differences[1].found.count,
        result.differences[1].expected.count })
      assert.is_string(seen.owner)
      assert.is_true(seen.lease >= 0 and seen.lease <= 5)
      assert.equal("right", audit().outcome)
      assert.equal(20, #target:rows(('SELECT * FROM %s"Thing"'):format(target.prefix)))
      assert.same({}, good(work(plan)))
      assert.same({}, assert(extract.verify(plan.output)).problems)
    end)

    it("says in run.json and in its status why an item failed", function()
      local plan = plan_of(nil, { { object = "Thing" }, { object = "Nonesuch" } })
      assert.equal(404, assert(work(plan))[2].err.status)
      assert.matches('"error": "zuora: api: [^\n]*Nonesuch', support.read(plan.output .. "/run.json"))
      local status = assert(extract.status(plan))
      assert.same({ "done", "failed" }, { status[1].state, status[2].state })
      assert.matches("^api %(not_found%): ", status[2].error)
    end)

    it("goes on with each step of the grid", function()
      local plan, steps = plan_of { every = 1 }, {}
      local ok, problem = pcall(work, plan, { forever = true, on_item = function(result)
        steps[#steps + 1] = result.outcome
        if #steps == 3 then error "enough" end
      end })
      assert.is_false(ok)
      assert.matches("enough", problem)
      assert.same({ "done", "done", "done" }, steps)
      assert.matches('"outcome": "done"', support.read(plan.output .. "/run.json"))
      assert.same({}, assert(extract.verify(plan.output)).problems)
    end)
  end)
end)
