local core = require "zuora.core"
local json = require "zuora.cli.json"

describe("JSON on standard output", function()
  it("has the members of an object by name", function()
    assert.equal('{"a":1,"b":[1,2,{"y":null,"z":true}],"c":{"d":"e"}}',
      json.encode { c = { d = "e" }, b = { 1, 2, { z = true, y = core.null } }, a = 1 })
    assert.equal('{"1":"x","b":1}', json.record { ["1"] = "x", b = 1 })
    assert.equal('{"10":"x","b":1}', json.record { [10] = "x", b = 1 })
    assert.same({ "[]", "{}", '{"a":[]}' }, { json.encode {}, json.record {}, json.record { a = {} } })
  end)

  it("reads back as what was written", function()
    local values = { "", "plain", 'q"\\/', "\0\1\31\127", "ü\u{2028}\u{1F600}", true, false, 0, -1, 9007199254740991, 0.1, 1 / 3,
      1e21, 5e-324, -123456.78 }
    for _, value in ipairs(values) do
      assert.equal(value, (core.decode("[" .. json.encode(value) .. "]"))[1])
    end
    for byte = 0, 127 do
      local text = "a" .. string.char(byte) .. "b"
      assert.equal(text, core.decode("[" .. json.encode(text) .. "]")[1])
    end
    assert.equal("9223372036854775807", json.encode(math.maxinteger))
    assert.equal("-9223372036854775808", json.encode(math.mininteger))
  end)

  it("has a word for what has none", function()
    assert.same({ "null", "null", "null", "null" },
      { json.encode(nil), json.encode(0 / 0), json.encode(-math.huge), json.encode(print) })
    assert.equal('"a\u{FFFD}\u{FFFD}b"', json.encode "a\xff\xc3b")
  end)
end)
