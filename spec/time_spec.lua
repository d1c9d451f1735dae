local zuora = require "zuora"

describe("zuora.time", function()
  it("reads milliseconds since the epoch", function()
    assert.equal(1453166692, zuora.time(1453166692000))
    assert.equal("integer", math.type(zuora.time(1453166692000)))
    assert.equal(1453166692.5, zuora.time(1453166692500))
    assert.equal(1453166692, zuora.time "1453166692000")
    assert.equal(0, zuora.time(0))
    assert.equal(-1, zuora.time(-1000))
  end)

  it("reads ISO text, with any zone", function()
    assert.equal(1523585498, zuora.time "2018-04-13T02:11:38+0000")
    assert.equal("integer", math.type(zuora.time "2018-04-13T02:11:38+0000"))
    assert.is_true(math.abs(1523585498.464 - zuora.time "2018-04-13T02:11:38.464+0000") < 1e-6)
    assert.equal(zuora.time "2018-04-13T02:11:38Z", zuora.time "2018-04-13T12:11:38+10:00")
    assert.equal(zuora.time "2015-11-20T21:04:03Z", zuora.time "2015-11-20T13:04:03-0800")
    assert.equal(1523577600, zuora.time "2018-04-13")
  end)

  it("gives nil and an error for a text that is no time", function()
    for _, bad in ipairs { "", "yesterday", "2018-13-01", "2018-04-13T25:00:00Z", "2018-04-13T02:11:38+0000x", "12" } do
      local seconds, err = zuora.time(bad)
      assert.is_nil(seconds, bad)
      assert.equal("text", err.kind)
    end
  end)

  it("raises for what is neither", function()
    for _, bad in ipairs { true, {}, 0 / 0, math.huge } do
      assert.error_matches(function() zuora.time(bad) end, "bad argument 'value' to zuora%.time")
    end
    assert.error_matches(function() zuora.time(nil) end, "bad argument 'value' to zuora%.time")
  end)
end)
