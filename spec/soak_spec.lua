-- A moment of `make soak`: the program itself, and what it would say if something were wrong.

local figures = require "spec.soak.figures"
local support = require "spec.support"
local tenant = require "spec.soak.tenant"

describe("a soak", function()
  it("loses nothing, and takes nothing wrong, while a request in twenty goes wrong", function()
    local text, status = support.shell("timeout 400 lua5.4 -e 'package.path=\"./?.lua;./lua/?.lua;./lua/?/init.lua;\""
      .. "..package.path package.cpath=\"build/?.so;\"..package.cpath' spec/soak/soak.lua 0.02")
    assert.equal(0, status, text)
    assert.matches("lost 0, wrong files 0, stuck tasks 0, stray files 0, grown: nothing\n$", text)
    assert.is_true(tonumber(text:match "(%d+) files compared") > 20, text)
  end)

  it("goes wrong in every way that the simulator knows", function()
    local sim <close> = support.simulator()
    local sum, kinds = 0, {}
    for _, fault in ipairs(tenant.faults(0.05)) do
      sim:fault(fault)
      sum, kinds[fault.kind] = sum + fault.rate, true
    end
    assert.is_true(math.abs(sum - 0.05) < 0.001)
    local known = select(2, pcall(sim.fault, sim, { kind = "none" })):match "expected: (.*)"
    for kind in known:gmatch "%a+" do assert.is_true(kinds[kind], kind) end
  end)

  -- What a soak prints, and whether it ends well.
  local function closed(change)
    local sums, lines, print_before = figures.new(20), {}, print
    for i = 1, 3 do sums.samples[i] = { lua = 4000, rss = 40000, open = 8, sockets = i * 5 } end
    change(sums)
    _G.print = function(line) lines[#lines + 1] = line end
    local ok, is_good = pcall(sums.close, sums)
    _G.print = print_before
    assert(ok, is_good)
    return is_good, lines[#lines]
  end

  it("ends badly with anything lost, wrong, stuck, left behind or grown", function()
    assert.same({ true, "lost 0, wrong files 0, stuck tasks 0, stray files 0, grown: nothing" },
      { closed(function() end) })
    for kind, line in pairs { lost = "lost 1,", wrong = "wrong files 1,", stuck = "stuck tasks 1,", stray = "stray files 1," } do
      local is_good, last = closed(function(sums) sums:problem(kind, "x") end)
      assert.is_false(is_good)
      assert.matches(line, last, 1, true)
    end
    for name, value in pairs { lua = 5000, rss = 60000, open = 9, sockets = 21 } do
      local is_good, last = closed(function(sums) sums.samples[3][name] = value end)
      assert.is_false(is_good)
      assert.matches("grown: " .. name, last, 1, true)
    end
  end)
end)
