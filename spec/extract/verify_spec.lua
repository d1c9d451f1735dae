-- zuora.extract.base.manifest, zuora.extract.verify and zuora.extract.tend: what is proven without Zuora, and tended.

local extract = require "zuora.extract"
local manifest = require "zuora.extract.base.manifest"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR, DAY = 3600, 24 * 3600

describe("a folder of extracted files", function()
  local here
  -- Three nights.
  before_each(function()
    here = world.new {}
    for i = 1, 3 do
      local results = assert(here:run(here:plan()))
      assert.is_nil(results[1].err, tostring(results[1].err))
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00001", "night " .. i, "1", "" } })
    end
  end)
  after_each(function() here:close() end)

  local function path(pattern)
    return support.shell(("ls %s/out/Thing/%s"):format(here.folder, pattern)):match "[^\n]+"
  end

  local function problems()
    local list = {}
    for i, one in ipairs(assert(extract.verify(here.folder .. "/out")).problems) do
      list[i] = one.path .. ": " .. one.problem
    end
    return table.concat(list, "\n")
  end

  it("is sound as it was written", function() assert.equal("", problems()) end)

  it("shows a file that was changed, cut, or taken away", function()
    local file = path "full*.csv"
    local text = support.read(file)
    support.write(file, (text:gsub("name 2", "name 9")))
    assert.matches("full.*was changed", problems())
    support.write(file, text:sub(1, -2))
    assert.matches("full.*bytes, and had", problems())
    os.remove(file)
    assert.matches("full.*is gone", problems())
  end)

  it("shows a manifest that was changed or taken away, and what nobody knows", function()
    local file = path "full*.manifest.json"
    local text = support.read(file)
    support.write(file, (text:gsub('"records": 20', '"records": 21')))
    assert.matches("full.*records, and had 21", problems())
    assert.matches("was changed after", problems())
    os.remove(path "window*.manifest.json")
    assert.matches("number 2, is gone", problems())
    assert.matches("no manifest knows it", problems())
    support.write(file, "{}")
    assert.matches("is no manifest", problems())
    assert.is_nil((manifest.read(here.folder .. "/nonesuch")))
  end)

  it("shows a window that does not begin where another ended", function()
    local last = support.shell(("ls %s/out/Thing/window*.manifest.json"):format(here.folder)):match "([^\n]+)\n$"
    support.write(last, (support.read(last):gsub('"from": "%d+T', '"from": "20200101T')))
    assert.matches("does not say what its name says\nThing/window[^\n]*: nothing was read up to where its window begins$", problems())
  end)

  it("is pruned from the oldest on, and sound afterwards", function()
    local plan = here:plan()
    assert.same({}, assert(extract.prune(plan, { keep = 100 * DAY })))
    local gone = assert(extract.prune(plan, { keep = 0 }))
    assert.equal(4, #gone)
    assert.equal("", problems())
    local text, code = support.shell(("cd %s/out && sha256sum -c SHA256SUMS"):format(here.folder))
    assert.equal(0, code, text)
    here.sim:forward(HOUR)
    assert.is_nil(assert(here:run(plan))[1].err)
    assert.equal("", problems())
  end)

  it("tells where its items stand, and what happened", function()
    local status = assert(extract.status(here:plan()))[1]
    assert.equal("Thing", status.item)
    assert.matches("^2%d%d%d%-", status.mark)
    assert.same({}, status.open)
    assert.equal(1, status.last.records)
    assert(extract.reset(here:plan(), { item = "Thing", from = os.time() - DAY }))
    assert.equal("reset", assert(extract.history(here:plan()))[4].what)
    local _, err = extract.reset(here:plan(), { item = "Nothing" })
    assert.equal("plan", err.kind)
  end)

  it("is previewed without anything being started", function()
    local jobs = here:jobs()
    local preview = assert(extract.preview(here.client, here:plan()))[1]
    assert.equal("window", preview.kind)
    assert.matches("^select .* where UpdatedDate >= '", preview.query)
    assert.equal(jobs, here:jobs())
    local broken = assert(extract.preview(here.client, here:plan { { object = "Nonesuch" } }))[1]
    assert.equal(404, broken.err.status)
  end)

  it("is previewed without a folder or a store being made, and not for another's", function()
    local plan = here:plan()
    plan.output = here.folder .. "/nonesuch"
    assert.equal("full", assert(extract.preview(here.client, plan))[1].kind)
    assert.same({}, assert(extract.history(plan)))
    assert.is_nil(assert(extract.status(plan))[1].mark)
    assert.is_nil(support.shell("ls " .. here.folder):find "nonesuch")
    local other = here:plan(nil, { plan = "weekly" })
    for _, verb in ipairs { "status", "history" } do
      assert.matches("folder .* belongs to the plan 'nightly'", select(2, extract[verb](other)).message)
    end
    assert.matches("folder .* belongs to the plan 'nightly'", select(2, extract.preview(here.client, other)).message)
    other.output, other.store = here.folder .. "/weekly", here:plan().output .. "/.zuora.db"
    assert.matches("belongs to the plan 'nightly', not 'weekly': name another 'store'",
      select(2, extract.preview(here.client, other)).message)
  end)

  it("has a plan that is made of what the tenant has", function()
    local plan = assert(extract.init(here.client, { plan = "p", output = here.folder .. "/made" }))
    assert.equal("Thing", plan.items[1].object)
    assert(extract.plan(plan))
    assert.is_nil(assert(here:run(plan))[1].err)
    assert.matches("no object 'x'", select(2, extract.init(here.client, { objects = { "x" } })).message)
  end)
end)
