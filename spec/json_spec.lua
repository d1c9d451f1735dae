local core = require "zuora.core"

describe("core.decode", function()
  it("makes integers of integral numbers below 2^53", function()
    local value = assert(core.decode('{"a":1453166692000,"b":1.0,"c":1e3,"d":-5,"e":[7],"f":2.5,"g":0}'))
    assert.equal("integer", math.type(value.a))
    assert.equal("1453166692000", tostring(value.a))
    assert.equal("integer", math.type(value.b))
    assert.equal("integer", math.type(value.c))
    assert.equal(-5, value.d)
    assert.equal("integer", math.type(value.e[1]))
    assert.equal("float", math.type(value.f))
    assert.equal("0", tostring(value.g))
  end)

  it("leaves what a double cannot hold exactly a float", function()
    local value = assert(core.decode('[9007199254740993, 9007199254740991, 1e300]'))
    assert.equal("float", math.type(value[1]))
    assert.equal(9007199254740991, value[2])
    assert.equal("integer", math.type(value[2]))
    assert.equal("float", math.type(value[3]))
  end)

  it("takes null out of objects, and keeps it in arrays", function()
    local value = assert(core.decode('{"a":null,"b":{"c":null,"d":1},"e":[1,null,3],"f":[{"g":null}]}'))
    assert.is_nil(value.a)
    assert.is_nil(value.b.c)
    assert.equal(1, value.b.d)
    assert.equal(3, #value.e)
    assert.equal(core.null, value.e[2])
    assert.is_nil(next(value.f[1]))
    assert.equal(core.null, core.decode("null"))
  end)

  it("returns nil and a message for what is not JSON", function()
    for _, text in ipairs { "", "<html>", '{"a":NaN}', '{"a":Infinity}', '{"a":0x10}', "[1", '{"a" "b"}', "[1] x",
      '\239\187\191{"a":1}' } do
      local value, problem = core.decode(text)
      assert.is_nil(value)
      assert.is_string(problem)
    end
  end)

  it("stops at a nesting that no API has", function()
    assert.is_table(core.decode(("["):rep(90) .. ("]"):rep(90)))
    assert.is_nil((core.decode(("["):rep(100000) .. ("]"):rep(100000))))
  end)

  it("leaves the cjson that others use alone", function()
    local cjson = require "cjson"
    assert.equal(math.huge, cjson.decode("[Infinity]")[1])
  end)
end)

describe("core.encode", function()
  it("writes what decode reads", function()
    local value = { name = "ü\"\n", list = { 1, 2.5, true }, big = 1453166692000 }
    assert.same(value, core.decode(core.encode(value)))
  end)

  it("refuses what would lose digits, rather than send another amount", function()
    assert.has_error(function() core.encode { amount = 12345678901234567.5 } end)
    assert.has_error(function() core.encode { amount = 9007199254740993 } end)
    assert.has_error(function() core.encode { amount = 0 / 0 } end)
    assert.has_error(function() core.encode { amount = math.huge } end)
    assert.equal('{"amount":12345678.25}', core.encode { amount = 12345678.25 })
  end)

  it("raises for functions and for tables that hold themselves", function()
    assert.has_error(function() core.encode { print } end)
    local loop = {}
    loop.loop = loop
    assert.has_error(function() core.encode(loop) end)
  end)
end)
