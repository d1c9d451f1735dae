local queue = require "zuora.tasks.queue"

describe("zuora.tasks.queue", function()
  local function rest(one)
    local values = {}
    local value, place = one:peek()
    while value do
      values[#values + 1] = value
      one:remove(place, value)
      value, place = one:peek()
    end
    return table.concat(values)
  end

  it("is first come, first served, and who is in the midst may leave", function()
    local one, places = queue.new(), {}
    assert.is_nil(one:peek())
    for value in ("abcdef"):gmatch "." do places[value] = one:push(value) end
    assert.equal("a", one:peek())
    for value in ("adf"):gmatch "." do one:remove(places[value], value) end
    one:remove(places.a, "a")
    one:remove(places.b, "not b")
    one:remove(nil, "c")
    assert.equal("bce", rest(one))
    one:push "g"
    assert.equal("g", rest(one))
    assert.is_nil(one:peek())
  end)

  -- As a finaliser does, where a hook drives the collector.
  it("loses nobody when a look, or a leaving, comes into the midst of another, at whatever instruction", function()
    for k = 1, 60 do
      for _, inner in ipairs { "peek", "take" } do
        local one = queue.new()
        one:remove(one:push "gone", "gone")
        local taken
        debug.sethook(function()
          debug.sethook()
          local value, place = one:peek()
          if inner == "take" then
            one:remove(place, value)
            taken = value
          end
        end, "", k)
        one:peek()
        one:push "a"
        one:peek()
        debug.sethook()
        one:push "b"
        assert.equal(taken == "a" and "b" or "ab", rest(one), k)
      end
    end
  end)

  -- Where memory is short a store may raise.
  it("has not changed when a value could not be put down", function()
    local one = queue.new()
    one:push "a"
    local fails = true
    setmetatable(one, { __index = getmetatable(one).__index, __newindex = function(self, key, value)
      if fails then error "not enough memory" end
      rawset(self, key, value)
    end })
    assert.has_error(function() one:push "b" end)
    assert.equal("a", rest(one))
    fails = false
    one:push "c"
    assert.equal("c", rest(one))
  end)
end)
