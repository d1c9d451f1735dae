local support = require "spec.support"

-- The rockspec as a table.
local function rockspec()
  local env = {}
  assert(loadfile("rockspec/zuora-scm-1.rockspec", "t", env))()
  return env
end

local function files(command)
  local list = {}
  for line in support.shell(command):gmatch("[^\n]+") do list[#list + 1] = line end
  table.sort(list)
  return list
end

describe("the rockspec", function()
  it("lists every Lua file of the tree under its module name", function()
    local listed, expected = {}, {}
    for name, source in pairs(rockspec().build.modules) do
      if type(source) == "string" then listed[name] = source end
    end
    for _, path in ipairs(files "find lua -name '*.lua'") do
      expected[(path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/", "."):gsub("%.init$", ""))] = path
    end
    assert.same(expected, listed)
  end)

  it("lists every C file of the tree", function()
    local sources = rockspec().build.modules["zuora.core"].sources
    table.sort(sources)
    assert.same(files "find src -name '*.c'", sources)
  end)

  it("installs with Debian's LuaRocks and no network into a tree of its own", function()
    local directory = support.scratch("luarocks")
    -- In a copy: LuaRocks builds where it stands.
    local text, status = support.shell(([[
      cp -r src lua rockspec spec Makefile README.md LICENSE %s/ && cd %s &&
      LUAROCKS_CONFIG=$PWD/spec/luarocks-debian.lua http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 \
        luarocks --lua-version=5.4 --tree "$PWD/tree" make rockspec/zuora-scm-1.rockspec]]):format(directory, directory))
    assert.equal(0, status, text)
    -- From somewhere else, so that nothing of this tree is found; the default paths have the dependencies.
    text, status = support.shell(([[tree=$PWD/%s/tree; cd / && \
      LUA_PATH_5_4="$tree/share/lua/5.4/?.lua;$tree/share/lua/5.4/?/init.lua;;" \
      LUA_CPATH_5_4="$tree/lib/lua/5.4/?.so;;" \
      lua5.4 -e 'local z = require "zuora"; z.new { environment = "eu", token = "t" }:close()
        local sim <close> = require "zuora.simulator".start()
        print(package.searchpath("zuora", package.path))
        print(package.searchpath("zuora.core", package.cpath))
        print(z._VERSION, sim.url:match "^http:")']]):format(directory))
    assert.equal(0, status, text)
    assert.matches("luarocks/tree/share/lua/5.4/zuora/init.lua\n", text)
    assert.matches("luarocks/tree/lib/lua/5.4/zuora/core.so\n", text)
    assert.matches("%d+%.%d+%.%d+\thttp:\n$", text)
    text, status = support.shell(("cd / && $OLDPWD/%s/tree/bin/zuora version"):format(directory))
    assert.equal("zuora " .. require "zuora.version" .. "\n", text)
    assert.equal(0, status)
  end)
end)

describe("make install", function()
  it("puts the files below DESTDIR and PREFIX", function()
    local directory = support.scratch("install")
    local text, status = support.shell("make -s install DESTDIR=" .. directory .. " PREFIX=/usr/local")
    assert.equal(0, status, text)
    local expected = { "usr/local/bin/zuora", "usr/local/lib/lua/5.4/zuora/core.so", "usr/local/share/man/man1/zuora.1" }
    for _, path in ipairs(files "find lua -name '*.lua'") do
      expected[#expected + 1] = "usr/local/share/lua/5.4/" .. path:gsub("^lua/", "")
    end
    table.sort(expected)
    assert.same(expected, files("cd " .. directory .. " && find . -type f | sed 's|^./||'"))
    assert.equal("#!/usr/bin/env lua5.4\n", support.read(directory .. "/usr/local/bin/zuora"):match "^[^\n]*\n")
  end)
end)

describe("the tree", function()
  it("has nothing at its top but what belongs there", function()
    for _, name in ipairs(files "git ls-files 2>/dev/null | cut -d/ -f1 | sort -u") do
      assert.is_truthy(name:match("^%.")
        or ("Makefile README.md CHANGELOG.md LICENSE src lua rockspec spec"):find(name, 1, true), name)
    end
  end)

  it("has a spec for each module", function()
    for _, path in ipairs(files "find lua/zuora/cli -name '*.lua' -not -name init.lua") do
      local name = path:match "cli/(%l+)"
      if name == "table" then name = "output" end -- which is all that uses it
      assert.is_string(support.read("spec/cli/" .. name .. "_spec.lua"), name)
    end
    for _, path in ipairs(files [[find lua/zuora -name '*.lua' -not -path '*/simulator/*' -not -path '*/cli/*' \
      -not -path '*/meta/*']]) do
      local name = path:match("([%w_]+)%.lua$")
      if name ~= "init" then
        assert.is_string(support.read("spec/" .. name .. "_spec.lua"), name)
      end
    end
  end)
end)
