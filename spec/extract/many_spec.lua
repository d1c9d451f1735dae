-- A plan of very many items: what it needs of memory is what is said in it or, later, what came of it.
-- (zuora.extract.run)

local support = require "spec.support"
local world = require "spec.extract.world"

-- KiB: an item of the plan as it was given, and its result.
local EACH = 0.9

describe("a plan of many items", function()
  -- The memory of Lua when the last item is done, and when all is.
  local function used_by(count)
    local here <close> = world.new { name = "extract-many" }
    local items, done, most = {}, 0, 0
    for i = 1, count do items[i] = { name = "item" .. i, query = "select Id from Thing" } end
    local function in_use()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = in_use()
    local results = assert(here:run(here:plan(items, { concurrency = 8 }), { on_item = function(result)
      assert(not result.err, tostring(result.err))
      done = done + 1
      if done == count then most = in_use() - before end
    end }))
    most = math.max(most, in_use() - before)
    assert.equal(count, #results)
    support.shell("rm -rf " .. here.folder)
    return most
  end

  it("needs little more for each", function()
    used_by(10) -- what is there once
    local few, many = used_by(20), used_by(220)
    local each = (many - few) / 200
    assert.is_true(each < EACH, ("%.2f KiB an item"):format(each))
  end)
end)
