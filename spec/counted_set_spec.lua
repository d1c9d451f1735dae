local counted_set = require "zuora.tasks.counted_set"

describe("zuora.tasks.counted_set", function()
  it("knows its size", function()
    local all = counted_set.new()
    assert.equal(0, all:size())
    all:put("a", 1)
    all:put("a", 2)
    all:put("b", true)
    all:put("c", nil)
    assert.equal(2, all:size())
    assert.equal(2, all.members.a)
    all:put("a", nil)
    all:put("a", nil)
    assert.equal(1, all:size())
  end)

  it("counts anew after an error in the midst of a change, at whatever instruction", function()
    for k = 1, 60 do
      local all = counted_set.new()
      all:put("a", true)
      pcall(function()
        debug.sethook(function()
          debug.sethook()
          error "from nowhere"
        end, "", k)
        all:put("b", true)
        all:put("a", nil)
        debug.sethook()
      end)
      debug.sethook()
      local function is_right()
        local size = 0
        for _ in pairs(all.members) do size = size + 1 end
        assert.equal(size, all:size())
      end
      is_right()
      all:put("b", nil)
      all:put("c", true)
      is_right()
    end
  end)

  -- The collector runs finalisers wherever it likes, where a hook drives it.
  it("counts anew when a change came into the midst of another, at whatever instruction", function()
    for k = 1, 60 do
      for _, inner in ipairs { { "a", nil }, { "b", true }, { "b", nil }, { "d", true } } do
        local all = counted_set.new()
        all:put("a", true)
        debug.sethook(function()
          debug.sethook()
          all:put(inner[1], inner[2])
        end, "", k)
        all:put("b", true)
        all:put("c", nil)
        all:put("a", nil)
        debug.sethook()
        all:put("e", true)
        local size = 0
        for _ in pairs(all.members) do size = size + 1 end
        assert.equal(size, all:size(), k)
      end
    end
  end)

  it("lets go of weak members", function()
    local all = counted_set.new "k"
    all:put(setmetatable({}, { __gc = function(self) all:put(self, nil) end }), true)
    assert.equal(1, all:size())
    collectgarbage()
    collectgarbage()
    assert.equal(0, all:size())
  end)
end)
