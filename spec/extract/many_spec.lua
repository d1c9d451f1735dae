-- A plan of very many items: what it needs of memory is its text, where nobody asks for what came of each.
-- (zuora.extract.plan, zuora.extract.run)

local extract = require "zuora.extract"
local json = require "zuora.extract.base.json"
local support = require "spec.support"
local world = require "spec.extract.world"

-- KiB: the text of an item, and where it begins.
local EACH = 0.15

local function in_use()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count"
end

describe("a plan of many items", function()
  local function plan_of(here, count)
    local items, path = {}, here.folder .. "/plan.json"
    for i = 1, count do items[i] = { name = "item" .. i, query = "select Id from Thing" } end
    support.write(path, json.encode(here:plan(items, { concurrency = 8 })))
    return path
  end

  -- The memory of Lua when the last item is done, or when all is.
  local function most_of(here, count)
    local done, most = 0, 0
    local results = here:run(plan_of(here, count), { only_failed = true, on_item = function(result)
      if result.err then error(tostring(result.err)) end
      done = done + 1
      if done == count then most = in_use() end
    end })
    most = math.max(most, in_use())
    assert.same({ n = count }, results)
    return most
  end

  -- Above what is left of it afterwards.
  local function used_by(count)
    local here <close> = world.new { name = "extract-many" }
    local most = most_of(here, count)
    support.shell("rm -rf " .. here.folder)
    return most - in_use()
  end

  it("needs little more for each", function()
    used_by(10) -- what is there once
    local few, many = used_by(20), used_by(220)
    local each = (many - few) / 200
    assert.is_true(each < EACH, ("%.2f KiB an item"):format(each))
  end)

  it("is told of whole, though what went well is not returned", function()
    local here <close> = world.new { name = "extract-many" }
    local plan = here:plan { { object = "Thing" }, { object = "Nonesuch" }, { object = "Thing", name = "other" } }
    local results = assert(here:run(plan, { only_failed = true, metrics = here.folder .. "/figures" }))
    assert.same({ 3, 1, "Nonesuch" }, { results.n, #results, results[1].item })
    assert.equal("failed", results[1].outcome)
    local told, figures = json.decode(support.read(here.folder .. "/out/run.json")).items,
      support.read(here.folder .. "/figures")
    for i, name in ipairs { "Thing", "Nonesuch", "other" } do
      assert.equal(name, told[i].item)
      assert.equal(name == "Nonesuch" and tostring(results[1].err) or nil, told[i].error)
      assert.is_truthy(figures:find(('zuora_extract_failed{plan="nightly",item="%s",entity=""} %d\n'):format(name,
        name == "Nonesuch" and 1 or 0), 1, true), figures)
    end
    local events = assert(extract.history(plan))
    assert.matches("3 items: 2 done, 1 failed %(Nonesuch%); 2 files, 40 rows", events[#events].detail)
  end)
end)
