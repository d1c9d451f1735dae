local context = require "zuora.extract.context"
local core = require "zuora.core"
local extract = require "zuora.extract"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

describe("zuora.extract.context", function()
  it("has each item of each entity, and says which one the plan has not", function()
    local plan = { items = { { name = "A" }, { name = "B" } }, entities = { "e1", "e2" } }
    local pairs_of = {}
    for i, one in ipairs(context.work_of(plan, { "B" })) do pairs_of[i] = one[1].name .. one[2] end
    assert.same({ "Be1", "Be2" }, pairs_of)
    assert.equal(4, #context.work_of(plan))
    local _, err = pcall(context.work_of, plan, { "C" })
    assert.equal("the plan has no item 'C'", err.message)
  end)

  it("refuses a folder that has files of its names and is no plan's, before anything is asked for", function()
    local here <close> = world.new { name = "context-free" }
    core.mkdir(here.folder .. "/out")
    for _, name in ipairs { "SHA256SUMS", "run.json" } do
      support.write(here.folder .. "/out/" .. name, "mine")
      for _, run in ipairs { extract.run, extract.preview } do
        local _, err = run(here.client, here:plan())
        assert.equal("plan", err.kind)
        assert.matches("has a file " .. name .. ", .*: name another 'output', or take", err.message)
      end
      assert.same({ name }, support.listing(here.folder .. "/out"))
      assert.equal("mine", support.read(here.folder .. "/out/" .. name))
      os.remove(here.folder .. "/out/" .. name)
    end
    assert.equal(0, #here.sim:journal())
    here:good()
    here:good()
  end)

  it("leaves no mark on a folder, a store or a target when one of them is another's, and names the cure", function()
    local here <close> = world.new { name = "context-marks" }
    local function at(path) return "sqlite:" .. here.folder .. "/" .. path end
    here:good(nil, nil, { load = { to = at "dw.db" } })
    do
      local foreign <close> = store.open(here.folder .. "/foreign.db")
      foreign:run "CREATE TABLE mine (id)"
    end
    local function sums() return (support.shell(("cd %s && find . -type f ! -name '*.db-*' | sort | xargs sha256sum")
      :format(here.folder))) end
    local before = sums()
    for cure, more in pairs {
      ["the folder .* belongs to the plan 'nightly', not 'x': name another 'output'; or, .*, remove it"] =
        { load = { to = at "foreign.db" } },
      ["dw%.db belongs to the plan 'nightly', not 'x': name another in 'load'; or, .* drop its tables"] =
        { output = here.folder .. "/new", load = { to = at "dw.db" } },
      ["zuora%.db belongs to the plan 'nightly', not 'x': name another 'store'; or, .*, remove it"] =
        { output = here.folder .. "/new", store = here.folder .. "/out/.zuora.db", load = { to = at "foreign.db" } },
      ["there is no folder"] = { output = here.folder .. "/new", load = { to = at "none/dw.db" } },
    } do
      more.plan = "x"
      local _, err = here:run(here:plan(nil, more))
      assert.equal("plan", err.kind)
      assert.matches(cure, err.message)
      assert.equal(before, sums())
    end
    assert.is_nil(support.shell("ls " .. here.folder):find "new")
    here:good(nil, nil, { load = { to = at "dw.db" } })
  end)

  it("knows Zuora's time, and leaves nothing locked where it cannot be opened", function()
    local here <close> = world.new { name = "context" }
    local function open(name)
      return context.open(here.client, assert(extract.plan(here:plan(nil, { plan = name }))), {}, "somebody")
    end
    for _ = 1, 2 do
      local ctx <close> = open "nightly"
      assert.equal(0, ctx.b % 3600)
      assert.is_true(ctx.b <= ctx.now and ctx.now - ctx.b < 3600 and ctx.clock() >= ctx.now)
      local ok, busy = pcall(open, "nightly")
      assert.is_false(ok)
      assert.equal("busy", busy.kind)
    end
    for _ = 1, 2 do -- the second time it is not held by the first
      local _, err = pcall(open, "another")
      assert.equal("plan", err.kind)
    end
    local ctx <close> = open "nightly"
    assert.is_nil(ctx.target)
  end)

  -- This machine's clock is behind Zuora's by so many seconds.
  local function behind(seconds, f)
    local time = os.time
    rawset(os, "time", function(...) return time(...) - (... and 0 or seconds) end)
    local ok, problem = pcall(f)
    rawset(os, "time", time)
    assert(ok, problem)
  end

  local function stamped(seconds) return os.date("!%Y-%m-%dT%H:%M:%S+0000", seconds) end

  it("reads by the earlier one of two clocks where Zuora's is ahead of this machine's: nothing is left out", function()
    local here <close> = world.new { name = "context-ahead" }
    local now = os.time() + 3600 - os.time() % 3600
    behind(9 * 3600, function()
      local result = here:good()[1]
      assert.matches("^Zuora's clock %(2%S+Z%) is ahead of this machine's %(2%S+Z%), and one of them is wrong: .*`zuora "
        .. "doctor` says more$", result.warning)
      assert.is_true(extract.status(here:plan())[1].mark <= stamped(now - 8 * 3600))
    end)
    here.sim:update("Thing", { { "late", "by the server's clock it was there", "1", stamped(now - 2 * 3600) } })
    assert.is_nil(here:good()[1].warning)
    here:assert_same "Thing"
    local mark = extract.status(here:plan())[1].mark
    for _, items in ipairs { { { object = "Thing" } }, { { object = "Thing" }, { object = "Thing", name = "Whole",
      mode = "replace" } } } do
      here:good(items)
      local jobs = here:jobs()
      behind(9 * 3600, function()
        local results = here:good(items)
        local told = 0 -- once, of whichever is ready first
        for _, result in ipairs(results) do -- what was read up to a later time by another's clock is up to date
          assert.equal("up to date", result.outcome)
          if result.warning then
            assert.matches("is ahead of", result.warning)
            told = told + 1
          end
        end
        assert.equal(1, told)
        assert.equal(jobs, here:jobs())
        assert.equal("done", here:good(items, { again = true })[1].outcome)
      end)
      assert.equal(mark, extract.status(here:plan())[1].mark)
    end
    here:assert_same "Thing"
  end)

  it("takes Zuora's clock as it is where it is behind, or ahead by no more than settle or five minutes", function()
    local here <close> = world.new { name = "context-behind" }
    for seconds, more in pairs { [-9 * 3600] = {}, [299] = {}, [7000] = { settle = 7200 } } do
      behind(seconds, function()
        local results = here:good(nil, { again = true }, more)
        assert.is_nil(results[1].warning)
      end)
    end
  end)
end)
