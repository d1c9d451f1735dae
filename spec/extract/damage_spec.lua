-- zuora.extract.damage: files that are not what they were.

local core = require "zuora.core"
local extract = require "zuora.extract"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR, DAY = 3600, 24 * 3600

describe("a damaged file", function()
  local here
  before_each(function() here = world.new { name = "extract-damage" } end)
  after_each(function() here:close() end)

  -- Three nights.
  local function nights(items, more)
    for i = 1, 3 do
      here:good(items, nil, more)
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id0000" .. i, "night " .. i, "1", "" } })
    end
    here:good(items, nil, more)
  end

  local function files() return support.shell(("ls %s/out/Thing/*.csv"):format(here.folder)) end

  -- The first is gone, one in the middle is changed, and of one the manifest is.
  local function do_harm()
    local list = {}
    for path in files():gmatch "[^\n]+" do list[#list + 1] = path end
    os.remove(list[1])
    support.write(list[2], (support.read(list[2]):gsub("night", "NIGHT")))
    os.remove((list[3]:gsub("csv$", "manifest.json")))
  end

  local function found() return assert(extract.verify(here.folder .. "/out")) end

  local function assert_mended()
    assert.same({}, found().problems)
    assert.is_nil(found().cure)
    here:assert_same "Thing"
    assert.equal(0, select(2, support.shell(("cd %s/out && sha256sum -c SHA256SUMS"):format(here.folder))))
  end

  it("is brought anew by what verify names: of the same job, or of another when its file is gone", function()
    for _, age in ipairs { 0, 4 * DAY } do
      nights()
      here.sim:forward(age)
      local mark, jobs = extract.status(here:plan())[1].mark, here:jobs()
      do_harm()
      assert.is_true(#found().problems >= 3)
      assert.equal("zuora extract run PLAN --item Thing --again", found().cure)
      if age == 0 then
        assert.equal("up to date", here:good()[1].outcome) -- it looks at none of them
        assert.is_true(#found().problems >= 3)
      end
      assert.is_true(here:good(nil, { again = true })[1].reads >= 4)
      -- (Where time has passed, there is a window more, which is read once more, too. A whole file needs no job.)
      assert.equal(jobs + (age == 0 and 1 or 4), here:jobs())
      assert.is_true(extract.status(here:plan())[1].mark >= mark)
      assert_mended()
      here.sim:forward(HOUR)
      here.sim:update("Thing", { { "id00009", "later", "1", "" } })
      here:good()
      assert_mended()
    end
  end)

  -- Changes of a manifest's text.
  local EDITS = { records = { '"records": %d+', '"records": 999' }, number = { '"number": %d+', '"number": 99' },
    from = { '"from": "[^"]*"', '"from": "20200101T000000Z"' }, kind = { '"kind": "%w+"', '"kind": "lookback"' },
    file = { '"file": "[^"]*csv"', '"file": "x.csv"' }, sums = { '"sha256": "%x+"', '"sha256": "00"' },
    query = { '"query": "', '"query": "x' }, entity = { '"entity": ""', '"entity": "x"' },
    previous = { '"previous": {[^}]*}', '"previous": {}' }, format = { '"format": 1', '"format": 2' },
    item = { '"item": "Thing"', '"item": "Other"' }, none = { "^.*$", "{}" }, cut = { "^(.*)......$", "%1" } }

  it("has its manifest written anew where that alone was changed or taken away", function()
    nights()
    local mark, jobs, runs = extract.status(here:plan())[1].mark, here:jobs(), 0
    -- The first two, and the newest.
    local function manifest_of(i)
      local list = support.listing(here.folder .. "/out/Thing")
      local newest, last = nil, 0
      for k = 2, #list, 2 do
        local path = here.folder .. "/out/Thing/" .. list[k]
        local number = tonumber(support.read(path):match '"number": (%d+)')
        if i < 3 and k == 2 * i then return path end
        if number > last then newest, last = path, number end
      end
      return newest
    end
    local function assert_anew(what)
      runs = runs + 1
      local cure = found().cure
      assert.equal(#found().problems > 0 and "zuora extract run PLAN --item Thing --again" or nil, cure, what)
      here:good(nil, { again = true })
      assert.same({}, found().problems, what)
      return cure
    end
    local names = { "entity" } -- first, when the others are as they were
    for what in pairs(EDITS) do if what ~= "entity" then names[#names + 1] = what end end
    table.sort(names, function(a, b) return a ~= b and (a == "entity" or b ~= "entity" and a < b) end)
    for _, what in ipairs(names) do
      local edit = EDITS[what]
      for i = 1, 3 do
        local path = manifest_of(i)
        local text = support.read(path)
        support.write(path, (text:gsub(edit[1], edit[2])))
        assert_anew(what .. i)
      end
    end
    for i = 1, 3 do
      os.remove(manifest_of(i))
      assert.is_string(assert_anew("gone " .. i))
    end
    support.shell(("rm %s/out/Thing/*.json"):format(here.folder))
    assert.is_string(assert_anew "all")
    assert.equal(jobs + runs, here:jobs()) -- of windows that are read once more
    assert.equal(mark, extract.status(here:plan())[1].mark)
    here:assert_same "Thing"
    -- Where the store is lost, the places are found in the manifests.
    support.shell(("rm %s/out/.zuora.db*"):format(here.folder))
    here:good()
    support.shell(("rm $(ls %s/out/Thing/*.json | head -2)"):format(here.folder))
    assert_anew "recovered"
  end)

  it("is brought anew as pieces, too, and not when it was pruned", function()
    local items = { { object = "Thing", split = "id:6" } }
    nights(items)
    do_harm()
    here:good(items, { again = true })
    assert_mended()
    assert(extract.prune(here:plan(items), { keep = 0 }))
    assert.equal(1, here:good(items, { again = true })[1].reads)
    assert.same({}, found().problems)
  end)

  it("moves no mark, undoes no reset, keeps no older text, and loads nothing twice", function()
    local narrow, wide = { { object = "Thing", fields = { "Id", "Name", "UpdatedDate" } } }, { { object = "Thing" } }
    for _, load in ipairs { false, { to = "sqlite:" .. here.folder .. "/dw.db" } } do
      local more = load and { load = load } or nil
      support.shell(("rm -rf %s/out"):format(here.folder))
      nights(narrow, more)
      here:good(wide, { keep_mark = true }, more)
      do_harm()
      here:good(wide, { again = true }, more)
      assert.same({}, found().problems)
      assert.equal("up to date", here:good(wide, nil, more)[1].outcome)
      do_harm()
      assert(extract.reset(here:plan(wide, more), { item = "Thing" }))
      here:good(wide, { again = true }, more)
      assert.same({}, found().problems)
      assert.matches("reset", files())
      if load then
        local target <close> = store.open(here.folder .. "/dw.db")
        assert.equal("20", target:row 'SELECT CAST(count(*) AS TEXT) AS n FROM "Thing"'.n)
        assert.equal("0", target:row [[SELECT CAST(count(*) AS TEXT) AS n FROM "Thing" WHERE "Amount" IS NULL]].n)
      end
    end
  end)

  it("is left to a reset, where it is a last page whose query was edited since", function()
    local narrow = { { object = "Thing", mode = "replace", split = "id:5", fields = { "Id", "Name", "UpdatedDate" } } }
    local wide = { { object = "Thing", mode = "replace", split = "id:5" } }
    here:good(narrow)
    here:good(wide, { keep_mark = true })
    support.shell(("rm %s/out/Thing/*.csv"):format(here.folder))
    local result = here:good(wide, { again = true })[1]
    assert.matches("its end is not known.*`zuora extract reset PLAN %-%-item Thing`", result.warning)
  end)

  it("is missed with its manifest and its folder, by name, however many runs follow, until it is brought anew", function()
    for _, pattern in ipairs { "Thing", "Thing/$(cd $d/Thing; ls -t | head -1 | cut -d. -f1-4)*", "Thing/full*" } do
      nights()
      here.sim:forward(HOUR)
      support.shell(("d=%s/out; rm -r $d/%s"):format(here.folder, pattern))
      for _ = 1, 2 do
        assert.is_true(#found().problems > 0)
        assert.matches("^Thing/.*is gone, with its manifest", found().problems[#found().problems].path .. " "
          .. found().problems[#found().problems].problem)
        assert.equal("zuora extract run PLAN --item Thing --again", found().cure)
        assert.same(found(), assert(extract.verify(here.folder .. "/out", { items = { "Thing" } })))
        assert.are_not.equal(0, select(2, support.shell(("cd %s/out && sha256sum -c SHA256SUMS"):format(here.folder))))
        here:good()
      end
      here:good(nil, { again = true })
      assert_mended()
    end
    assert.matches("no such folder", select(2, extract.verify(here.folder .. "/out", { items = { "Other" } })).message)
    local sums = support.read(here.folder .. "/out/SHA256SUMS")
    support.write(here.folder .. "/out/SHA256SUMS", (sums:gsub("^%x%x%x", "000")))
    assert.equal("has another SHA-256 in SHA256SUMS", found().problems[1].problem)
    here:good(nil, { again = true })
    assert_mended()
  end)

  it("of an item that the plan has no more is told without a command that can only fail", function()
    local function write(items)
      local path = here.folder .. "/plan.json"
      support.write(path, core.encode(here:plan(items)))
      return path
    end
    local path = write { { object = "Thing", name = "Old" } }
    assert(extract.run(here.client, path, { poll = 0.002 }))
    write { { object = "Thing" } }
    here.sim:forward(HOUR)
    assert(extract.run(here.client, path, { poll = 0.002 }))
    support.shell(("rm %s/out/Old/*.csv"):format(here.folder))
    local function problem() return found().problems[1].problem end
    assert.is_nil(found().cure)
    assert.matches("is gone; .*plan.json has no item 'Old' any more: .*`zuora extract run .* %-%-item Old %-%-again`", problem())
    support.shell(("rm %s/out/Thing/*.csv"):format(here.folder))
    assert.equal(("zuora extract run %s --item Thing --again"):format(path), found().cure)
    write { { object = "Thing" }, { object = "Thing", name = "Old" } }
    assert.matches("%-%-item %w+ %-%-item %w+ %-%-again$", found().cure)
    assert(extract.run(here.client, path, { poll = 0.002, again = true }))
    assert.same({}, found().problems)
    -- Or it goes.
    write { { object = "Thing" } }
    support.shell(("cd %s/out; rm -r Old; sed -i /Old/d SHA256SUMS"):format(here.folder))
    assert(extract.run(here.client, path, { poll = 0.002 }))
    assert.same({}, found().problems)
  end)

  it("is left, and told, where Zuora has forgotten what was deleted then", function()
    local items = { { object = "Thing", deleted = true } }
    nights(items)
    for _ = 1, 3 do
      here.sim:forward(14 * DAY)
      here:good(items)
    end
    support.shell(("rm $(ls %s/out/Thing/window*.csv | head -1)"):format(here.folder))
    assert.matches("^Thing/window.*only a backup has it$", here:good(items, { again = true })[1].warning)
    assert.equal(1, #found().problems)
  end)
end)
