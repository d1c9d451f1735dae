local core = require "zuora.core"
local support = require "spec.support"

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

  it("reads half a character as U+FFFD, and the rest as it is", function()
    for text, value in pairs { ['["a\\ud800b"]'] = "a\u{FFFD}b", ['["\\udc00"]'] = "\u{FFFD}",
      ['["\\uD83D\\uDE00\\ud83d\\ud83d\\ude00"]'] = "\u{1F600}\u{FFFD}\u{1F600}",
      ['["\\\\ud800\\udfff"]'] = "\\ud800\u{FFFD}", ['["\\uDBFFx"]'] = "\u{FFFD}x" } do
      assert.same({ value }, core.decode(text))
    end
    for _, text in ipairs { '["\\ud8"]', '["\\ud800', '\\ud800', '["\\udc0g"]' } do
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

  it("refuses what is not UTF-8, and numbers that would lose digits, and says where they are", function()
    for message, value in pairs {
      ["queries[1].query: not UTF-8"] = { queries = { { name = "a", query = "select \255" } } },
      ["list[2][1]: not UTF-8"] = { list = { "é", { "\237\160\128" } } },
      ["not UTF-8"] = "a\200",
      ["a: a key is not UTF-8"] = { a = { ["\255"] = 1 } },
      ["a.b[3]: the number 9.007199254741e+15 cannot be written as JSON without loss"] = { a = { b = { 1, 2, 2 ^ 53 } } },
      ["[1]: the number nan cannot"] = { 0 / 0 },
    } do
      local ok, problem = pcall(core.encode, value)
      assert.is_false(ok)
      assert.equal(message, problem:gsub("-nan", "nan"):sub(1, #message))
    end
    assert.equal('["é\\u0000"]', core.encode { "é\0" })
    assert.equal('["\255"]', core.encode({ "\255" }, true))
  end)

  it("lets no call send what is not UTF-8", function()
    local sim <close> = support.simulator()
    local client <close> = support.quick_client(sim)
    for where, call in pairs {
      query = function() return client.jobs:submit { queries = { A = "select \255" } } end,
      ["Zoë"] = function() return client.reportruns:start("r", { view = "Detail", filters = { { ["Zoë"] = "\xe9" } } }) end,
    } do
      local ok, problem = pcall(call)
      assert.is_false(ok, where)
      assert.is_string(problem)
    end
    assert.equal(0, #support.sent(sim, "POST", "/v1/batch-query") + #support.sent(sim, "POST", "/reporting"))
  end)
end)

describe("JSON", function()
  -- In processes of their own: it was their end.
  it("raises when there is no memory for it, and does not end the process", function()
    local text, status = support.lua([[
      local core = require "zuora.core"
      local text = '"' .. ("x"):rep(8 * 1024 * 1024) .. '"'
      local rest = {}
      while #rest < 1000 do -- whatever is left
        local made, piece = pcall(string.rep, "x", 1024 * 1024 + #rest)
        if not made then break end
        rest[#rest + 1] = piece
      end
      assert(#rest < 1000)
      for _, call in ipairs { core.decode, core.encode } do
        local ok, problem = pcall(call, text)
        assert(not ok and tostring(problem):find "memory", problem)
      end
      rest = nil
      collectgarbage()
      assert(#core.encode(core.decode(text)) == #text)
      print "ended well"]], support.with_memory(500000))
    assert.equal(0, status, text)
    assert.equal("ended well\n", text)
  end)

  -- Runs code in a locale that is made for it; nil where that cannot be done.
  local function in_locale(name, code)
    local directory = support.scratch "locales"
    local _, status = support.shell(("localedef -i %s -f UTF-8 ./%s/%s.UTF-8"):format(name, directory, name))
    if status > 1 then return nil end -- 1: with warnings
    local text
    text, status = support.lua([[
      local core, support = require "zuora.core", require "spec.support"
      local function set(name) assert(os.setlocale(name, "numeric"), "no locale " .. name) end
      local function check()
        local list = assert(core.decode "[1,5]")
        assert(#list == 2 and list[1] == 1 and list[2] == 5, "a list")
        assert(core.decode '{"a":1.5,"b":[-2.25,3]}'.a == 1.5, "an object")
        assert(core.decode "[1.5]"[1] == 1.5, "a number")
        assert(core.encode { 1.5, 2 } == "[1.5,2]", core.encode { 1.5, 2 })
        assert(not pcall(core.encode, { 0.1 + 0.2 }), "a number of 17 digits")
        assert(not core.decode "[NaN]", "a setting")
        assert(not pcall(core.encode, { 2 ^ 53 }), "too large")
      end
      ]] .. code .. "print 'ended well'", ("LOCPATH=$PWD/%s"):format(directory))
    assert.equal(0, status, text)
    assert.equal("ended well\n", text)
    return true
  end

  local WITHOUT = "this machine has no sources of locales (Debian: the package locales)"

  it("is the same with a decimal comma, whenever that comes", function()
    local ran = in_locale("de_DE", [[
      for _ = 1, 3 do
        set "de_DE.UTF-8"
        check()
        set "C"
        check()
      end
      -- Somebody else looks at the locale meanwhile: what lua-cjson knows of it is one for all instances.
      set "de_DE.UTF-8"
      require "cjson".new()
      set "C"
      check()
      require "cjson".new()
      set "de_DE.UTF-8"
      check()
      assert(core.time "1970-01-01T00:00:00.5Z" == 0.5)
      support.write("build/spec/locale.csv", "a\n1.5\n")
      assert(core.rows("build/spec/locale.csv", { form = "array", types = { a = "number" }, fail = error })()[1] == 1.5)
    ]])
    if not ran then pending(WITHOUT) end
  end)

  it("raises where the decimal point has two bytes, and does not end the process", function()
    local ran = in_locale("ps_AF", [[
      set "ps_AF.UTF-8"
      local ok, problem = pcall(core.decode, "[1.5]")
      assert(not ok and problem:find "decimal point has several bytes", problem)
      assert(not pcall(core.encode, { 1.5 }))
      set "C"
      check()
    ]])
    if not ran then pending(WITHOUT) end
  end)
end)
