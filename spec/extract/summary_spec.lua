local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local journal = require "zuora.extract.journal"
local json = require "zuora.extract.base.json"
local summary = require "zuora.extract.summary"
local support = require "spec.support"
local world = require "spec.extract.world"

-- (And zuora.extract.failure.)
describe("zuora.extract.summary", function()
  local folder = support.scratch "summary" .. "/out"
  local plan = { plan = "nightly", output = folder }
  local failed = { item = "B", outcome = "failed", records = 0, bytes = 0, seconds = 0.5, reads = 0, files = {},
    err = error_value.new { kind = "http", message = "no", category = "outage" } }
  local done = { item = "A", entity = "e1", outcome = "done", records = 3, bytes = 20, seconds = 1, reads = 1, files = { "A/1" } }

  local function context(claims)
    return { plan = plan, tenant = "t", b = 0, journal = { claims = claims, clock = function() return 0 end } }
  end

  setup(function() disk.folder(folder) end)

  it("writes what came of each item, an error by its words and its category", function()
    summary.write_run(context(), function() return { done, failed } end)
    local told = json.decode(support.read(folder .. "/run.json"))
    assert.same({ "nightly", "A", "failed", "zuora: http: no", "outage" },
      { told.plan, told.items[1].item, told.items[2].outcome, told.items[2].error, told.items[2].category })
    assert.is_nil(told.items[2].err)
    assert.is_truthy(failed.err)
  end)

  it("writes it again where another worker came in between", function()
    local looks = 0
    summary.write_run(context { scratch = function() return folder .. "/scratch" end }, function()
      looks = looks + 1
      return looks == 1 and { failed } or { done }
    end)
    assert.equal("done", json.decode(support.read(folder .. "/run.json")).items[1].outcome)
    assert.equal(3, looks)
  end)

  it("writes the hashes of the files that are there", function()
    support.write(folder .. "/here", "")
    local book = { each_file = function(_, _, f)
      f("here", "abc")
      f("gone", "def")
    end }
    summary.write_sums(book, plan)
    assert.equal("abc  here\n", support.read(folder .. "/SHA256SUMS"))
  end)

  it("writes figures for each item, and when the run ended", function()
    summary.write_metrics(context(), { done, failed }, folder .. "/figures")
    local text = support.read(folder .. "/figures")
    assert.is_truthy(text:find('\nzuora_extract_records{plan="nightly",item="A",entity="e1"} 3\n', 1, true), text)
    assert.is_truthy(text:find('\nzuora_extract_failed{plan="nightly",item="B",entity=""} 1\n', 1, true), text)
    assert.matches('zuora_extract_ended{plan="nightly"} %d+\n$', text)
  end)

  it("writes figures of a run that could not begin: nothing of it was done", function()
    local here <close> = world.new { name = "summary-unbegun" }
    local figures = here.folder .. "/figures.prom"
    local function told() return (support.read(figures):gsub("ended{(.-)} %d+", "ended{%1}")) end
    local function run(source, items)
      support.write(figures, "of the last good run")
      local results, err = here:run(source, { metrics = figures, items = items })
      assert.is_nil(results)
      return told(), err.kind
    end
    local all = here:plan({ { object = "Thing" }, { object = "Thing", name = "More" } })
    assert(here:run(all, { metrics = figures }))
    assert.matches('failed{plan="nightly",item="Thing",entity=""} 0\n', told())
    here.sim:fault { on = "GET /v1/describe", kind = "status", status = 500, times = 100 }
    local text = run(all)
    for _, item in ipairs { "Thing", "More" } do
      assert.matches(('failed{plan="nightly",item="%s",entity=""} 1\n'):format(item), text)
      assert.matches(('records{plan="nightly",item="%s",entity=""} 0\n'):format(item), text)
    end
    assert.matches('ended{plan="nightly"}\n$', text)
    here.sim:heal()
    assert.equal("of the last good run", (run(all, { "Nonesuch" }))) -- of which there are none
    local broken = here.folder .. "/my plan.json"
    for text_of, name in pairs { ['{ "plan": "nightly", "itms": 1 }'] = "nightly", ["{"] = "my plan" } do
      support.write(broken, text_of)
      local said, kind = run(broken)
      assert.equal("plan", kind)
      assert.matches(('failed{plan="%s",item="",entity=""} 1\n'):format(name), said)
    end
    local _ <close> = journal.open(all.output .. "/.zuora.db", "another")
    assert.same({ "of the last good run", "busy" }, { run(all) })
  end)
end)
