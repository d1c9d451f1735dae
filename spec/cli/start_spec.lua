-- How long it takes until it does what it is asked for: somebody types a command for each report.

local program = require "spec.cli.program"
local support = require "spec.support"

-- Seconds of CPU, the least of some tries.
local function cost(words, environment)
  local least = math.huge
  for _ = 1, 5 do
    local result = program.shell(("TIMEFORMAT='%%U %%S'; time $zuora %s > /dev/null 2>&1"):format(words), environment)
    local user, system = result.err:match "([%d.]+) ([%d.]+)\n$"
    least = math.min(least, tonumber(user) + tonumber(system))
  end
  return least
end

describe("the start", function()
  it("of what needs nothing takes under 10 ms", function()
    for _, words in ipairs { "version", "reprot", "help" } do assert.is_true(cost(words) < 0.010, words) end
  end)

  it("and a request take under 30 ms", function()
    local sim <close> = support.simulator()
    local least = cost("report list", program.environment_of(sim))
    assert.is_true(least < 0.030, least)
  end)

  it("of a command loads its own noun, and no other", function()
    local sim <close> = support.simulator()
    local result = program.shell([[lua5.4 -e 'local exit = os.exit
        os.exit = function(code)
          local names = {}
          for name in pairs(package.loaded) do names[#names + 1] = name:match "^zuora%.cli%.(.*)$" end
          table.sort(names)
          print(table.concat(names, " "))
          exit(code)
        end' lua/bin/zuora report list]], program.environment_of(sim))
    assert.equal("command exits json output parser profiles progress put report settings table target terminal texts\n", result.out)
    assert.equal("zuora " .. require "zuora.version" .. "\n", program.run("version").out)
  end)

  it("says what is missing, in a line: the module, the right Lua, a library", function()
    local result = program.shell "for name in zuora zuora-tap; do LUA_PATH_5_4='?' lua5.4 lua/bin/$name version; echo $?; done"
    assert.equal("2\n2\n", result.out)
    for name in ("zuora zuora-tap"):gmatch "%S+" do
      assert.is_truthy(result.err:find(name .. ": Lua 5.4: module 'zuora.cli' not found; README.md says how to install it, or to"
        .. " set LUA_PATH_5_4\n", 1, true), result.err)
    end
    result = program.shell([[lua5.4 -e '_VERSION = "Lua 5.3"' lua/bin/zuora version]])
    assert.equal("zuora: Lua 5.3 is too old: 5.4 is needed, which may be called lua5.4\n", result.err)
    result = program.shell([[lua5.4 -e 'package.preload.socket = function() error "module \39socket\39 not found:" end' \
      lua/bin/zuora simulate]])
    for name in ("zuora zuora-tap"):gmatch "%S+" do
      local early = program.shell([[lua5.4 -e 'package.preload["zuora.cli"] = function() error("interrupted!", 0) end' \
        lua/bin/]] .. name .. " version")
      assert.same({ out = "", err = name .. ": interrupted\n", code = 130 }, early)
    end
    assert.same({ out = "", err = "zuora: module 'socket' not found; zuora doctor says more\n", code = 2 }, result)
  end)
end)
