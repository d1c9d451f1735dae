local timers = require "zuora.tasks.timers"

-- Takes out the earliest, if it is due, as the loop does.
local function due(heap, now)
  local timer = heap[1]
  if not timer or timer.at > now then return nil end
  heap:remove(timer)
  return timer
end

describe("zuora.tasks.timers", function()
  local function drain(heap)
    local order = {}
    local timer = due(heap, math.huge)
    while timer do
      order[#order + 1] = timer.at
      timer = due(heap, math.huge)
    end
    return order
  end

  it("gives the earliest that is due, and nothing before its time", function()
    local heap = timers.new()
    local late, early = { at = 5 }, { at = 3 }
    heap:add(late)
    heap:add(early)
    assert.is_nil(due(heap, 2.9))
    assert.equal(early, due(heap, 3))
    assert.is_nil(due(heap, 4))
    assert.equal(late, due(heap, 9))
    assert.is_nil(due(heap, math.huge))
  end)

  it("keeps the order while any are taken out", function()
    local heap, all, expected = timers.new(), {}, {}
    for i = 1, 500 do
      all[i] = { at = (i * 7919) % 503 }
      heap:add(all[i])
    end
    for i, timer in ipairs(all) do
      if (i * 31) % 7 < 4 then
        heap:remove(timer)
        heap:remove(timer)
      else
        expected[#expected + 1] = timer.at
      end
    end
    table.sort(expected)
    assert.equal(#expected, #heap)
    assert.same(expected, drain(heap))
  end)

  it("gives those for the same time in the order in which they came", function()
    local heap, names = timers.new(), {}
    for i = 1, 50 do heap:add { at = i % 2, name = i } end
    for i = 1, 50 do names[i] = due(heap, 1).name end
    for i = 2, 25 do assert.is_true(names[i - 1] < names[i]) end
  end)

  it("takes one again that has left", function()
    local heap, timer = timers.new(), { at = 1 }
    heap:remove(timer)
    heap:add(timer)
    heap:remove(timer)
    timer.at = 2
    heap:add(timer)
    assert.same({ 2 }, drain(heap))
  end)
end)
