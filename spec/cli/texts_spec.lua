local program = require "spec.cli.program"
local support = require "spec.support"
local texts = require "zuora.cli.texts"

describe("the texts of a command", function()
  local path = support.scratch "cli-texts" .. "/text"

  local function refused(f, ...)
    local ok, problem = pcall(f, ...)
    assert.is_false(ok)
    assert.equal(2, problem.exit)
    return problem.message
  end

  it("are words, or what is in a file", function()
    support.write(path, "a\nb")
    assert.equal("x@y", texts.of "x@y")
    assert.equal("@", texts.of "@")
    assert.equal("a\nb", texts.of("@" .. path))
    assert.matches("/none: No such file", refused(texts.of, "@/none"))
    assert.equal("/: Is a directory", refused(texts.of, "@/"))
  end)

  it("are quoted for a shell", function()
    for _, word in ipairs { "plain-./:=@,+_", "it's", "a b", "$x`y`\"z\\", "*?~", "" } do
      assert.equal(word .. "\n", (support.shell("printf '%s\\n' " .. texts.quoted(word))))
    end
  end)

  it("may be JSON", function()
    assert.same({ 1, { a = true } }, texts.json('[1,{"a":true}]', "-F"))
    assert.matches("^%-F: that is no JSON: .* at character 2$", refused(texts.json, "{", "-F"))
  end)

  it("are filters: groups by themselves, or in lists", function()
    assert.is_nil(texts.filters {})
    assert.same({ { a = 1 }, { b = 2 }, { c = 3 } }, texts.filters { '{"a":1}', '[{"b":2},{"c":3}]' })
    assert.same({}, texts.filters { "[]" })
    assert.matches("a group of filters", refused(texts.filters, { "7" }))
  end)

  it("are pairs", function()
    assert.same({ "a", "b=c" }, { texts.pair("a=b=c", "-f") })
    assert.same({ "a", "" }, { texts.pair("a=", "-f") })
    assert.equal("-f: name=value expected, got '=x'", refused(texts.pair, "=x", "-f"))
  end)

  it("come from standard input, too", function()
    local sim <close> = support.simulator()
    local result = program.shell("echo 'select Name from Account' | $zuora query run @- --poll 0.01",
      program.environment_of(sim))
    assert.matches("^Name\n", result.out, nil, nil, result.err)
    for _, words in ipairs { "query run @-", "request POST /query/jobs --input -" } do
      result = program.shell("$zuora " .. words .. " < /", program.environment_of(sim))
      assert.same({ 2, "zuora: standard input: Is a directory\n" }, { result.code, result.err })
    end
  end)
end)
