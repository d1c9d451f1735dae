local core = require "zuora.core"
local support = require "spec.support"

describe("zuora.core", function()
  it("names the libcurl it runs on", function()
    assert.matches("^libcurl/%d+%.%d+", core.version)
  end)

  it("names what that stands on, and how much room there is on a disk", function()
    assert.equal(core.version, core.libraries:match "^%S+")
    assert.matches("%a/%d", core.libraries:match " (.*)")
    local bytes = assert(core.space ".")
    local kilobytes = tonumber((support.shell "df -Pk . | tail -1":match "^%S+%s+%d+%s+%d+%s+(%d+)"))
    assert.is_true(math.abs(bytes / 1024 - kilobytes) < 1024 * 1024) -- others write, too
    local none, message = core.space "/nowhere"
    assert.is_nil(none)
    assert.equal("/nowhere: No such file or directory", message)
  end)

  it("unpacks gzip as far as it goes, and as far as it may", function()
    local text = ("some words "):rep(100)
    local packed = require "zlib".deflate()(text, "finish") -- of the kind that is not gzip's
    assert.equal("", core.gunzip(packed, 1000))
    packed = require "zlib".deflate(6, 31)(text, "finish")
    assert.equal(text, core.gunzip(packed, 100000))
    assert.equal(text .. text, core.gunzip(packed .. packed, 100000))
    assert.equal(text:sub(1, 10), core.gunzip(packed, 10))
    assert.equal(text, core.gunzip(packed:sub(1, -5), 100000))
    assert.equal("", core.gunzip("", 10))
    assert.has_error(function() core.gunzip(packed, 0) end)
  end)

  it("escapes all but the unreserved characters", function()
    assert.equal("AZaz09-._~", core.escape "AZaz09-._~")
    assert.equal("a%2Fb%3Fc%23d%20e%25%C3%A9%00", core.escape "a/b?c#d e%é\0")
    assert.equal("", core.escape "")
  end)

  it("draws random bytes from the system", function()
    assert.equal(16, #core.random(16))
    assert.not_equal(core.random(16), core.random(16))
    assert.has_error(function() core.random(0) end)
    assert.has_error(function() core.random(257) end)
  end)

  it("tells a time that does not go back", function()
    local before = core.now()
    assert.is_true(core.now() >= before)
  end)

  it("makes directories, and says what is in the way", function()
    local path = support.scratch "mkdir"
    for _, name in ipairs { "/a/b/c", "/a/b/c/", "//a//d", "" } do assert.is_true(core.mkdir(path .. name)) end
    assert.is_true(core.mkdir "/")
    assert.is_true(core.mkdir(path .. "/mine", true))
    assert.equal("drwx------", support.shell("ls -ld " .. path .. "/mine"):match "^%S%S%S%S%S%S%S%S%S%S")
    assert.same({ "b", "d" }, support.listing(path .. "/a"))
    support.write(path .. "/file", "")
    local made, message = core.mkdir(path .. "/file/x")
    assert.is_nil(made)
    assert.matches("mkdir/file: File exists", message)
    support.shell(("ln -s nowhere %s/link"):format(path))
    assert.matches("mkdir/link: File exists", (select(2, core.mkdir(path .. "/link"))))
    for _, bad in ipairs { "", "a\0b", {} } do assert.has_error(function() core.mkdir(bad) end) end
  end)

  it("refuses a path with a zero byte, which the system would take for its end", function()
    local path = "README.md"
    for _, name in ipairs { "sync", "mode", "space", "spool", "file", "mkdir" } do
      assert.matches("zero byte", select(2, pcall(core[name], (name == "spool" and "build" or path) .. "\0x")))
    end
    assert.matches("zero byte", select(2, pcall(core.rows, path .. "\0x", { fail = error })))
  end)

  it("exports one symbol", function()
    local text = support.shell("nm -D --defined-only build/zuora/core.so")
    local names = {}
    for name in text:gmatch("%x+ %a ([^\n]+)") do names[#names + 1] = name end
    assert.same({ "luaopen_zuora_core" }, names)
  end)

  it("stays in memory when its Lua state is closed", function()
    -- The host opens a state, loads the module, closes the state, and looks at its own memory map.
    local directory = support.scratch("pin")
    support.write(directory .. "/host.c", [[
#include <lua.h>
#include <lualib.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  (void)argc;
  luaL_openlibs(L);
  if (luaL_dostring(L, argv[1]) != LUA_OK) { puts(lua_tostring(L, -1)); return 1; }
  lua_close(L);
  char line[4096];
  int module = 0, curl = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps != NULL && fgets(line, sizeof line, maps)) {
    if (strstr(line, "zuora/core.so")) module = 1;
    if (strstr(line, "libcurl")) curl = 1;
  }
  printf("%d %d", module, curl);
  return 0;
}
]])
    local text, status = support.shell(("cc -o %s/host %s/host.c $(pkg-config --cflags --libs lua5.4) && %s/host '%s'")
      :format(directory, directory, directory, ("package.cpath=%q; require [[zuora.core]]"):format(package.cpath)))
    assert.equal(0, status, text)
    assert.equal("1 1", text)
  end)

  it("can be required again after package.loaded was cleared, and old objects go on working", function()
    local sim <close> = support.simulator()
    local session = core.session {}
    local request = session:start { url = sim.url .. "/v1/files/x" }
    package.loaded["zuora.core"] = nil
    local again = require "zuora.core"
    assert.not_equal(core, again)
    local other = again.session {}
    local response = assert(support.finish(session, request))
    assert.equal(401, response.status)
    assert.equal(401, assert(support.finish(other, other:start { url = sim.url .. "/v1/files/x" })).status)
    session:close()
    other:close()
    package.loaded["zuora.core"] = core
  end)
end)

describe("the layers", function()
  it("keep the word for what the bytes mean out of src/http and src/data", function()
    local text = support.shell("grep -rniE 'zuora|reportrun|batch' src/http src/data")
    for line in text:gmatch("[^\n]+") do
      assert.matches('_CLASS +"zuora%.[a-z]+"$', line)
    end
  end)

  it("refuse a libcurl that is too old, at compile time", function()
    local header = support.scratch("old-libcurl") .. "/old.h"
    support.write(header,
      "#include <curl/curl.h>\n#undef LIBCURL_VERSION_NUM\n#define LIBCURL_VERSION_NUM 0x075400\n")
    local text, status = support.shell("cc -fsyntax-only -include " .. header
      .. " $(pkg-config --cflags lua5.4 libcurl) src/http/session.c")
    assert.not_equal(0, status)
    assert.matches("libcurl 7%.85", text)
  end)
end)
