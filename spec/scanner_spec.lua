-- What delimited text costs that is made to be costly: as much as it is long, and no more.

local core = require "zuora.core"
local support = require "spec.support"

local PATH = "build/spec/scanner.csv"
local MIB = 1024 * 1024

-- Ways to make a record, or a header, of `n` bytes.
local TEXTS = {
  ["a long cell"] = function(n) return 'a,b\n1,"' .. ("x"):rep(n) .. '"\n' end,
  ["a quote that stays open"] = function(n) return 'a,b\n1,"' .. ("x"):rep(n) end,
  ["doubled quotes"] = function(n) return 'a,b\n1,"' .. ('""'):rep(n // 2) .. '"\n' end,
  ["newlines in a cell"] = function(n) return 'a,b\n1,"' .. ("\n"):rep(n) .. '"\n' end,
  ["lone carriage returns"] = function(n) return "a,b\n1," .. ("\r"):rep(n) .. "\n" end,
  ["many cells"] = function(n) return "a,b\n" .. (","):rep(n) .. "\n" end,
  ["a header whose quote stays open"] = function(n) return '"' .. ("\n"):rep(n) end,
  ["a header of many cells"] = function(n) return (","):rep(n) .. "\n1\n" end,
}

describe("delimited text", function()
  -- CPU seconds of the work: the least of some tries.
  local function cost(work)
    local least = math.huge
    for _ = 1, 5 do
      local before = os.clock()
      work()
      least = math.min(least, os.clock() - before)
    end
    return least
  end

  -- Eight times as much costs eight times as much, give or take; it would be 64 times if it were quadratic.
  local function assert_linear(small, large, about)
    assert.is_true(large < 24 * small + 0.005, ("%s: %.4f s, and %.4f s for eight times as much"):format(about, small, large))
  end

  local function read(options)
    options.form, options.fail = "array", function(message) error(message, 0) end
    pcall(function()
      for _ in core.rows(PATH, options) do end
    end)
  end

  for name, text in pairs(TEXTS) do
    it("is read in linear time: " .. name, function()
      for _, strict in ipairs { true, false } do
        local costs = {}
        for i, size in ipairs { MIB / 2, 4 * MIB } do
          support.write(PATH, text(size // 1))
          costs[i] = cost(function() read { strict = strict, chunk = 16384 } end)
        end
        assert_linear(costs[1], costs[2], name)
      end
    end)
  end

  it("is counted in linear time, though the first line has no end", function()
    local sim <close> = support.simulator()
    local session = core.session {}
    local costs = {}
    for i, size in ipairs { 16 * 1024, 128 * 1024 } do
      sim:fault { kind = "status", status = 200, body = '"' .. ("\n"):rep(size), times = 5, headers = { ["Content-Type"] = "text/csv" } }
      costs[i] = cost(function()
        local sink <close> = assert(core.sink { path = PATH .. "-counted", filter = core.filter {} })
        assert(support.finish(session, session:start { url = sim.url .. "/x", sink = sink }))
      end)
    end
    session:close()
    assert_linear(costs[1], costs[2], "a first line without an end")
  end)

  it("is read in memory that its size bounds, however many cells a row has", function()
    if os.getenv "ASAN_OPTIONS" then return pending "AddressSanitizer keeps what was freed, and three times the size" end
    for _, strict in ipairs { "true", "false" } do
      local text = support.lua(([[
        local core = require "zuora.core"
        local function peak() return tonumber(io.open("/proc/self/status"):read("a"):match "VmHWM:%%s*(%%d+)") end
        local file = io.open(%q, "wb")
        file:write("a,b\n")
        for _ = 1, 16 do file:write((","):rep(1024 * 1024)) end
        file:close()
        local before = peak()
        local it = core.rows(%q, { form = "array", strict = %s, fail = function(message) error(message, 0) end })
        print(select(2, pcall(it)), peak() - before)]]):format(PATH, PATH, strict))
      local answer, grown = text:match "^(.-)\t(%d+)\n$"
      assert.is_string(answer, text)
      assert.is_truthy(answer:find(strict == "true" and "the row has 16777217 cells, the header has 2" or "^table"), answer)
      assert.is_true(tonumber(grown) < 64 * 1024, grown .. " KiB")
    end
  end)

  it("has a limit for a record, and a smaller one for a header", function()
    local function problem(text, options)
      support.write(PATH, text)
      options.form, options.fail = "array", function(message) error(message, 0) end
      return select(2, pcall(function()
        for _ in core.rows(PATH, options) do end
      end))
    end
    for _, chunk in ipairs { 4096, 4 * MIB } do
      for _, strict in ipairs { true, false } do
        local options = { chunk = chunk, strict = strict }
        assert.matches("header line is too long", problem('"' .. ("\n"):rep(MIB), options))
        assert.matches("header line is too long", problem(("x"):rep(MIB) .. "\n", options))
        assert.is_nil(problem(("x"):rep(MIB - 1) .. "\n", options))
        options.limit = 10000
        assert.matches("a record is too long", problem("a,b\n1," .. ("x"):rep(9998) .. "\n", options))
        assert.is_nil(problem("a,b\n1," .. ("x"):rep(9997) .. "\n", options))
        assert.matches("a record is too long", problem('a,b\n1,"' .. ("x"):rep(20000), options))
        assert.matches("a record is too long", problem('a,b\n1,"' .. ("x"):rep(20000) .. '"y\n', options))
      end
    end
  end)
end)
