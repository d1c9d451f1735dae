local check = require "zuora.support.check"

describe("zuora.support.check", function()
  local function call(f)
    local ok, message = pcall(f)
    assert.is_false(ok)
    return message
  end

  it("names the function, the argument and what is wrong", function()
    assert.matches("bad argument 'run_id' to client.x:get %(id of letters, digits, %- and _ expected, got \"a/b\"%)",
      call(function() check.value("client.x:get", "run_id", "a/b", "id") end))
    assert.matches("bad argument 'timout' to f %(unknown option%)",
      call(function() check.options("f", { timout = 1 }, { timeout = "seconds" }) end))
    assert.matches("bad argument 'view' to f %(missing%)",
      call(function() check.options("f", {}, { view = "Detail|Summary!" }) end))
    assert.matches("one of Detail, Summary expected, got \"detail\"",
      call(function() check.options("f", { view = "detail" }, { view = "Detail|Summary!" }) end))
    assert.matches("table expected, got string", call(function() check.options("f", "x", {}) end))
  end)

  it("points at the user's line, however many functions of this module are between", function()
    local ours = debug.getinfo(check.value, "S").source:match "^(.*)support/" .. "x.lua"
    local function public(code)
      return assert(load("local check = ...; return function(x) local function inner() " .. code
        .. " return x end return (inner()) end", ours))(check)
    end
    local by_options, by_value = public "check.options('f', x, {})", public "check.value('f', 'x', x, 'id')"
    local function user() by_options { wrong = 1 } end -- this line
    assert.matches("check_spec%.lua:" .. debug.getinfo(user, "S").linedefined .. ":", call(user))
    local function other_user() by_value "/" end -- and this one
    assert.matches("check_spec%.lua:" .. debug.getinfo(other_user, "S").linedefined .. ":", call(other_user))
  end)

  it("takes no text that is not UTF-8, but for paths, secrets and headers", function()
    for _, kind in ipairs { "text", "string", "string_or_empty", "segment" } do
      assert.equal("Ærø", check.value("f", "x", "Ærø", kind))
      for _, bad in ipairs { "caf\xe9", "\xff", "a\xed\xa0\x80", "\xc3" } do
        local message = call(function() check.value("f", "x", bad, kind) end)
        assert.matches("bad argument 'x' to f %(UTF%-8 expected, got \"", message)
        assert.is_truthy(utf8.len(message), message)
      end
    end
    assert.matches('got "caf\\xe9"', call(function() check.value("f", "x", "caf\xe9", "text") end))
    for _, kind in ipairs { "line", "any" } do assert.equal("caf\xe9", check.value("f", "x", "caf\xe9", kind)) end
    for _, deep in ipairs { { a = { "caf\xe9" } }, { ["caf\xe9"] = 1 } } do
      assert.matches("that JSON can hold", call(function() check.value("f", "x", deep, "json") end))
    end
  end)

  it("shows no secret", function()
    local message = call(function() check.options("f", { password = "a\nhunter2" }, { password = "text#" }) end)
    assert.is_nil(message:find("hunter2", 1, true))
  end)

  local CASES = {
    id = { good = { "a", "A-1_z" }, bad = { "", "a/b", "..", "a b", "a?b", "a\r\n", "a\0", "é", 1, false, {} } },
    segment = { good = { "a", "a/b c?é" }, bad = { "", ".", "..", "a\r\n", "a\0b", 1 } },
    track_id = { good = { ("x"):rep(64), "a b" }, bad = { "", ("x"):rep(65), "a:b", "a;b", "a\"b", "a'b", "é", "a\n", 1 } },
    idempotency_key = { good = { "k", ("k"):rep(255) }, bad = { "", ("k"):rep(256), "a b", "a\n", "é", 1 } },
    entity_id = {
      good = { "11111111-2222-3333-4444-555555555555", "11111111222233334444555555555555" },
      bad = { "", "1111", "11111111-2222-3333-4444-55555555555g", "{11111111-2222-3333-4444-555555555555}", 1 },
    },
    seconds = { good = { 1, 0.5 }, bad = { 0, -1, 0 / 0, math.huge, "1", false } },
    limit = { good = { 0, 1, math.huge }, bad = { -1, 0 / 0, "1" } },
    delay = { good = { 0, 1 }, bad = { -1, 0 / 0, math.huge, "1" } },
    factor = { good = { 1, 1.5 }, bad = { 0.5, math.huge, 0 / 0, "2" } },
    count = { good = { 0, 3 }, bad = { -1, 1.5, 3.0, "3" } },
    positive = { good = { 1 }, bad = { 0, -1, 1.5 } },
    boolean = { good = { true, false }, bad = { 1, "true" } },
    ["function"] = { good = { print, setmetatable({}, { __call = print }) }, bad = { {}, "print" } },
    text = { good = { "a b" }, bad = { "", "a\nb", "a\0", 1 } },
    line = { good = { "a b", "\xe9" }, bad = { "", "a\nb", "a\0", 1 } },
    json_table = { good = { {}, { a = { 1 } } }, bad = { 1, "x", { print } } },
    ["id*"] = { good = { { "a" }, { "a", "b" } }, bad = { {}, "a", { "a", "b/c" }, { "a", nil, "c" }, { a = "b" } } },
    json = { good = { "é", 1, { a = { 1 } } }, bad = { print, { print }, 0 / 0, "\xe9" } },
  }

  for kind, cases in pairs(CASES) do
    it("knows a " .. kind, function()
      for _, value in ipairs(cases.good) do assert.equal(value, check.value("f", "x", value, kind)) end
      for _, value in ipairs(cases.bad) do
        assert.has_error(function() check.value("f", "x", value, kind) end)
      end
    end)
  end

  it("says of a list what is wrong with it, or with what is in it", function()
    assert.matches("list %(1, 2, 3 … without holes%) of at least one expected", call(function() check.value("f", "x", {}, "id*") end))
    assert.matches("'x' to f %(id of letters.* expected, got \"b/c\"%)", call(function()
      check.options("f", { x = { "a", "b/c" } }, { x = "id*!" })
    end))
  end)

  it("writes entity ids with hyphens", function()
    local wanted = "11111111-2222-3333-4444-555555555555"
    assert.equal(wanted, check.hyphenated "11111111222233334444555555555555")
    assert.equal(wanted, check.hyphenated(wanted))
  end)
end)
