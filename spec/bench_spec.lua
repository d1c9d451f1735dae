-- The bench still works: every work, with tiny sizes. What it measures here means nothing, and is not looked at.

local nginx = require "spec.nginx"
local support = require "spec.support"

local TABLE = { ["W1"] = 3, ["W2"] = 4, ["W3"] = 2, ["W3z"] = 1, ["W4"] = 6, ["W4u"] = 2, ["W5"] = 1, ["W6"] = 1,
  ["W7"] = 1, ["W8"] = 1 }
local PATHS = "export LUA_PATH_5_4='./?.lua;./lua/?.lua;./lua/?/init.lua;;' "
  .. "LUA_CPATH_5_4='./build/?.so;./build/bench/?.so;;'; "

describe("the bench", function()
  local missing = nginx.missing()
  if missing then return pending(missing) end

  setup(function()
    local text, status = support.shell "make -s bench-floors"
    assert.equal(0, status, text)
  end)

  it("prints floor, module and ratio of every work, and two tables", function()
    local text, status = support.shell(PATHS .. "BENCH=small lua5.4 spec/bench/run.lua")
    assert.equal(0, status, text)
    local seen = {}
    for id, floor, ours, ratio in text:gmatch "\n| (W%w+) [^|]+| ([%d.]+) %([%d.]+%) | ([%d.]+) %([%d.]+%) | ([%d.]+) |" do
      seen[id] = (seen[id] or 0) + 1
      assert.is_true(tonumber(ratio) > 0 and tonumber(floor) >= 0 and tonumber(ours) >= 0, text)
    end
    assert.same(TABLE, seen, text)
    local _, extracts = text:gsub("\n| extract [^|]+| [%d.]+ %([%d.]+%) | [%d.]+ %([%d.]+%) | [%d.]+ |", "")
    assert.equal(require "spec.load.cluster".missing() and 5 or 7, extracts, text)
    assert.matches("\n| growth, [^\n]+\n[^\n]+\n| W4 [^\n]+\n| W4 [^\n]+\n| W2 [^\n]+\n", text)
    assert.matches("KiB resident each", text, nil, true)
  end)

  it("runs what is named alone", function()
    local text, status = support.shell(PATHS .. "BENCH=small WORK=W3z lua5.4 spec/bench/run.lua")
    assert.equal(0, status, text)
    assert.matches("\n| W3z ", text, nil, true)
    assert.not_matches("\n| W[^3]", text)
  end)

  -- The bench looks at a cell or three of a row.
  it("has a floor whose rows are the module's, cell for cell", function()
    local rows = "build/bench/small/rows4"
    for _, form in ipairs { "array", "keyed", "columns" } do
      local arguments = (" rows %s %s.positions all-%s"):format(rows, rows, form)
      local ours = support.shell(PATHS .. "lua5.4 spec/bench/ours.lua" .. arguments):match "count=.- check=%d+"
      local floor = support.shell(PATHS .. "lua5.4 spec/bench/floors/lua.lua" .. arguments):match "count=.- check=%d+"
      assert.is_string(ours)
      assert.equal(ours, floor)
    end
  end)

  it("has one of its runs in the README, whole", function()
    local run = support.read "README.md":match "\n<!%-%- make bench %-%->\n(.-)<!%-%- end of make bench %-%->\n"
    assert.is_string(run)
    local seen = {}
    for id in run:gmatch "\n| (W%w+) [^|]+| [%d.]+ %(" do seen[id] = (seen[id] or 0) + 1 end
    assert.same(TABLE, seen)
    assert.matches("\n| growth, ", run, nil, true)
  end)
end)
