local support = require "spec.support"

local VERSION = require "zuora.version"

-- A rockspec as a table: the one of this tree, or a release's.
local function rockspec(version)
  local env = {}
  assert(loadfile(("rockspec/zuora-%s-1.rockspec"):format(version or "scm"), "t", env))()
  return env
end

-- LuaRocks without a network.
local OFFLINE = "LUAROCKS_CONFIG=$PWD/spec/luarocks-debian.lua http_proxy=http://127.0.0.1:1 "
  .. "https_proxy=http://127.0.0.1:1 luarocks --lua-version=5.4"

local function runs(command)
  local text, status = support.shell(command)
  assert.equal(0, status, text)
  return text
end

-- The rock in this tree, from somewhere else, so that nothing of this folder is found; the default paths have the
-- dependencies.
local function works(tree)
  local text = runs(([[tree=$PWD/%s; cd / && \
    LUA_PATH_5_4="$tree/share/lua/5.4/?.lua;$tree/share/lua/5.4/?/init.lua;;" \
    LUA_CPATH_5_4="$tree/lib/lua/5.4/?.so;;" \
    lua5.4 -e 'local z = require "zuora"; z.new { environment = "eu", token = "t" }:close()
      local sim <close> = require "zuora.simulator".start()
      print(package.searchpath("zuora", package.path))
      print(package.searchpath("zuora.core", package.cpath))
      print(z._VERSION, sim.url:match "^http:")'; $tree/bin/zuora version]]):format(tree))
  assert.matches(tree .. "/share/lua/5.4/zuora/init.lua\n", text, nil, true)
  assert.matches(tree .. "/lib/lua/5.4/zuora/core.so\n", text, nil, true)
  assert.matches(("%s\thttp:\nzuora %s\n"):format(VERSION, VERSION), text, nil, true)
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

  it("is released with the same content, under the version that the module has", function()
    local scm, release = rockspec(), rockspec(VERSION)
    assert.equal(VERSION .. "-1", release.version)
    assert.equal("v" .. VERSION, release.source.tag)
    release.version, release.source.tag = scm.version, nil
    assert.same(scm, release)
  end)

  it("pleases LuaRocks", function()
    for _, path in ipairs(files "ls rockspec/*") do runs(OFFLINE .. " lint " .. path) end
  end)

  -- In copies: LuaRocks builds where it stands.
  local COPY = "cp -r src lua rockspec spec Makefile README.md LICENSE %s/ && cd %s && "

  it("installs with Debian's LuaRocks and no network into a tree of its own", function()
    local directory = support.scratch("luarocks")
    runs((COPY .. "%s --tree $PWD/tree make rockspec/zuora-scm-1.rockspec"):format(directory, directory, OFFLINE))
    works(directory .. "/tree")
  end)

  it("packs as a release, and the packed rock installs with no network", function()
    local directory = support.scratch("packed")
    local git = "git -c user.name=x -c user.email=x@example.com -c init.defaultBranch=main"
    runs((COPY .. [[
      sed -i "s|git+https://[^\"]*|git+file://$PWD|" rockspec/zuora-%s-1.rockspec
      %s init -q && git add src lua spec Makefile README.md LICENSE && %s commit -qm x && git tag v%s
      %s pack rockspec/zuora-%s-1.rockspec && rm -r src lua .git
      %s --tree $PWD/tree install zuora-%s-1.src.rock]]):format(directory, directory, VERSION, git, git, VERSION, OFFLINE,
      VERSION, OFFLINE, VERSION))
    works(directory .. "/tree")
  end)
end)

describe("make install", function()
  it("puts the files below DESTDIR and PREFIX", function()
    local directory = support.scratch("install")
    local text, status = support.shell("make -s install DESTDIR=" .. directory .. " PREFIX=/usr/local")
    assert.equal(0, status, text)
    local expected = { "usr/local/bin/zuora", "usr/local/bin/zuora-tap", "usr/local/lib/lua/5.4/zuora/core.so",
      "usr/local/share/man/man1/zuora.1" }
    for _, path in ipairs(files "find lua -name '*.lua'") do
      expected[#expected + 1] = "usr/local/share/lua/5.4/" .. path:gsub("^lua/", "")
    end
    table.sort(expected)
    local function installed() return files("cd " .. directory .. " && find . -type f | sed 's|^./||'") end
    assert.same(expected, installed())
    for _, name in ipairs { "zuora", "zuora-tap" } do
      assert.equal("#!/usr/bin/env lua5.4\n", support.read(directory .. "/usr/local/bin/" .. name):match "^[^\n]*\n")
    end
    support.write(directory .. "/usr/local/share/lua/5.4/other.lua", "-- another's")
    runs("make -s uninstall DESTDIR=" .. directory .. " PREFIX=/usr/local")
    assert.same({ "usr/local/share/lua/5.4/other.lua" }, installed())
  end)

  it("finds Lua under each of its names, the newest that fits", function()
    local directory = support.scratch "pkgconfig"
    for _, name in ipairs { "lua5.4", "lua-5.4", "lua54", "lua" } do
      runs(("rm -f %s/*.pc; printf 'Name: Lua\\nDescription: x\\nVersion: 5.4.6\\nCflags: -I/of/%s\\n' > %s/%s.pc")
        :format(directory, name, directory, name))
      local text = runs(("PKG_CONFIG_LIBDIR=%s make -pn all LUA_INCDIR= | grep '^LUA_CFLAGS'"):format(directory))
      assert.matches("-I/of/" .. name:gsub("%p", "%%%0") .. "%s", text)
    end
    runs(("rm %s/*.pc; printf 'Name: Lua\\nDescription: x\\nVersion: 5.3.6\\nCflags: -I/of/old\\n' > %s/lua.pc")
      :format(directory, directory))
    assert.is_nil(runs(("PKG_CONFIG_LIBDIR=%s make -pn all LUA_INCDIR= | grep '^LUA_CFLAGS'"):format(directory)):find "old")
  end)
end)

describe("the tree", function()
  it("says its version in one place", function()
    local text = support.shell("git grep -nF '" .. VERSION .. "' -- src lua Makefile spec README.md .github")
    for line in text:gmatch "[^\n]+" do assert.matches("^lua/zuora/version.lua:", line) end
  end)

  it("has nothing that Lua 5.5 does not take: the name global, an assignment to the variable of a loop", function()
    for _, path in ipairs(files "find lua spec -name '*.lua'") do
      local open, number = {}, 0
      for line in support.read(path):gmatch "([^\n]*)\n" do
        number = number + 1
        local code = line:gsub("%-%-.*", ""):gsub('"[^"]*"', '""'):gsub("'[^']*'", "''")
        assert.is_nil(code:find "%f[%w_.]global%f[^%w_]", path .. ":" .. number)
        local indent = code:match "^%s*"
        for loop in pairs(open) do
          if #indent <= loop and code:find "%S" then open[loop] = nil end
        end
        for _, names in pairs(open) do
          local assigned = not code:find "^%s*local%s" and not code:find "^%s*for%s" and code:match "^%s*([%a_][%w_,%s]*)=[^=]"
          for name in (assigned or ""):gmatch "[%w_]+" do
            assert.is_nil(names[name], path .. ":" .. number)
          end
        end
        local variables = code:match "^%s*for%s+([%w_,%s]-)%s+in%s" or code:match "^%s*for%s+([%w_]+)%s*="
        local first = variables and variables:match "[%w_]+" -- the others may be assigned to
        if first and code:find "%f[%w]end%f[%W]" then
          for names in code:gmatch "%sdo%s+([%a_][%w_,%s]*)=[^=]" do
            assert.is_nil((" " .. names .. " "):find("%f[%w_]" .. first .. "%f[^%w_]"), path .. ":" .. number)
          end
        elseif first then
          open[#indent] = { [first] = true }
        end
      end
    end
  end)

  it("has nothing at its top but what belongs there", function()
    for _, name in ipairs(files "git ls-files 2>/dev/null | cut -d/ -f1 | sort -u") do
      assert.is_truthy(name:match("^%.")
        or ("Makefile README.md CHANGELOG.md LICENSE src lua rockspec spec"):find(name, 1, true), name)
    end
  end)

  it("has a spec for each module", function()
    for _, path in ipairs(files "find lua/zuora -name '*.lua' -not -path '*/simulator/*' -not -path '*/meta/*'") do
      local folder, name = path:match("^lua/zuora/(.-)/?([%w_]+)%.lua$")
      if name == "table" then name = "output" end -- which is all that uses it
      local room = folder:match "^[^/]*"
      local is_there = name == "init" or support.read("spec/" .. name .. "_spec.lua")
        or support.read(("spec/%s/%s_spec.lua"):format(room, folder:match "cli/(%l+)" or name))
      -- A spec may be of several modules: then it names them.
      if not is_there and (room == "extract" or room == "load" or room == "tap") then
        local module = ("zuora.%s.%s"):format(folder:gsub("/", "."), name)
        is_there = support.shell(("grep -lF %s spec/*/*_spec.lua"):format(module)) ~= ""
      end
      assert.is_truthy(is_there, path)
    end
  end)
end)
