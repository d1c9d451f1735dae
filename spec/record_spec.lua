local record = require "zuora.resources.record"

describe("zuora.resources.record", function()
  local Methods = {}
  function Methods:who() return record.context(self, Methods, "thing:who").caller end

  it("shows data only, and keeps the methods and the client behind it", function()
    local thing = setmetatable({ id = "x" }, record.metatable("zuora.Thing", Methods, { caller = "me" }))
    local seen = {}
    for name in pairs(thing) do seen[#seen + 1] = name end
    assert.same({ "id" }, seen)
    assert.equal("me", thing:who())
    assert.equal(false, getmetatable(thing))
  end)

  it("tells objects of another class from its own", function()
    local other = setmetatable({}, record.metatable("zuora.Other", {}, {}))
    for _, bad in ipairs { other, {}, "x", 5 } do
      assert.error_matches(function() Methods.who(bad) end, "thing:who was called without its object")
    end
    assert.has_error(function() Methods.who() end)
  end)

  it("keeps two clients apart", function()
    local one = setmetatable({}, record.metatable("zuora.Thing", Methods, { caller = 1 }))
    local two = setmetatable({}, record.metatable("zuora.Thing", Methods, { caller = 2 }))
    assert.equal(1, one:who())
    assert.equal(2, two:who())
  end)

  it("takes over a newer state: what is gone is gone", function()
    local thing = { id = "x", status = "a", message = "old", first = 1 }
    assert.equal(thing, record.replace(thing, { id = "x", status = "b" }, "first"))
    assert.same({ id = "x", status = "b", first = 1 }, thing)
  end)

  it("compares statuses without case, blanks or the second L", function()
    for _, status in ipairs { "CANCELLED", "canceled", " Cancelled ", "cancelled" } do
      assert.equal("cancelled", record.status(status))
    end
    assert.equal("completed", record.status "COMPLETED")
    for _, status in ipairs { {}, 5, false } do assert.equal("", record.status(status)) end
    assert.equal("", record.status(nil))
  end)
end)
