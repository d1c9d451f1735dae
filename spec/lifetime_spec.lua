-- Who goes first, and what then. Each case runs in a process of its own, since a mistake would be a
-- crash; `make check` runs the same under valgrind.

local support = require "spec.support"

local PREFIX = os.getenv "SPEC_LUA_PREFIX" or ""

local PROLOGUE = [[
local core = require "zuora.core"
local support = require "spec.support"
local zuora = require "zuora"
local sim = support.simulator()
local function collect() for _ = 1, 3 do collectgarbage() end end
]]

local function runs(code)
  local text, status = support.lua(PROLOGUE .. code .. "\nsim:stop() print 'ended well'", PREFIX)
  assert.equal(0, status, text)
  assert.matches("ended well\n$", text)
  return text
end

describe("lifetimes", function()
  it("a client is collected before its run", function()
    runs [[
      local client = support.client(sim)
      local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
      client = nil
      collect()
      assert(run:wait(support.soon))
      assert(run.status == "COMPLETED")
    ]]
  end)

  it("a client is collected after its run", function()
    runs [[
      local client = support.client(sim)
      local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
      run = nil
      collect()
      assert(client.reportruns:list())
      client = nil
      collect()
    ]]
  end)

  it("a client is closed twice, and raises when it is used afterwards", function()
    runs [[
      local client = support.client(sim)
      local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
      client:close()
      client:close()
      for _, use in ipairs {
        function() client.reportruns:get(run.id) end, function() run:refresh() end, function() run:wait() end,
        function() client:run(print) end, function() client:sleep(1) end, function() client:step(0) end,
        function() client:fds() end, function() client:spawn(print) end,
        function() client.files:download("x", "/nowhere/x") end,
      } do
        local ok, message = pcall(use)
        assert(not ok and tostring(message):find("closed client", 1, true), message)
      end
    ]]
  end)

  it("requests are dropped in flight, before and after their session", function()
    runs [[
      for _, first in ipairs { "request", "session", "both" } do
        local session = core.session {}
        sim:fault { kind = "delay", seconds = 5 }
        local request = session:start { url = sim.url .. "/x" }
        session:step(0.02)
        if first == "request" then
          request = nil collect() session:close()
        elseif first == "session" then
          session:close() collect() request:close()
        end
        request, session = nil, nil
        collect()
      end
    ]]
  end)

  it("finished requests are dropped before they are handed over", function()
    runs [[
      local session = core.session {}
      for _ = 1, 10 do session:start { url = sim.url .. "/x" } end
      session:step(0.05)
      session = nil
      collect()
    ]]
  end)

  it("a request is cancelled, closed and read, in every order", function()
    runs [[
      local session = core.session {}
      local function start() return session:start { url = sim.url .. "/x" } end
      local one = start() one:cancel() one:cancel() one:close()
      local two = start() support.finish(session, two) two:cancel() assert(two:response().status == 404)
      local three = start() support.finish(session, three) three:close() three:response()
      local four = start() session:step(0.05) four:cancel()
      local five <close> = start()
      session:close()
      five:close()
    ]]
  end)

  it("a finaliser cancels the request whose response is being read", function()
    runs [[
      local session, headers = core.session {}, {}
      for i = 1, 50 do headers["X-" .. i] = ("value %d "):format(i):rep(40) end
      sim:fault { kind = "status", status = 200, body = ("x"):rep(1000), headers = headers, times = "always" }
      local function response_of(request)
        local response = request:response()
        return not response or #response.body == 1000 and response.headers["x-50"]
      end
      for _, read in ipairs { response_of, function(request) return request:header("x-1", "x-2", "x-3", "x-4", "x-50") end } do
        -- So much is made between two collections: the finaliser comes within the call, sooner or later.
        local met, amount = 0, 2000
        for _ = 1, 200 do
          local request, cancelled = session:start { url = sim.url .. "/x" }, false
          while not request:finished() do session:step(1) end
          collectgarbage()
          local function leave() setmetatable({}, { __gc = function() cancelled = true request:cancel() end }) end
          leave()
          for i = 1, amount do local _ = cancelled or ("y"):rep(500 + i % 2) end
          if cancelled then
            amount = amount - 15
          else
            assert(read(request))
            if cancelled then met = met + 1 else amount = amount + 5 end
          end
        end
        assert(met > 0)
      end
    ]]
  end)

  it("a sink goes before the request that writes into it", function()
    runs [[
      local session = core.session {}
      local sink = assert(core.sink { path = "build/spec/lifetime.csv" })
      sim:fault { kind = "status", status = 200, body = ("x"):rep(1000000) }
      local request = session:start { url = sim.url .. "/x", sink = sink }
      sink:close()
      local response, message, name = support.finish(session, request)
      assert(not response and name == "FILE", name)
      sink = nil
      request = session:start { url = sim.url .. "/x", sink = assert(core.sink { path = "build/spec/lifetime.csv" }) }
      collect()
      assert(support.finish(session, request))
    ]]
  end)

  it("the state ends in mid-transfer", function()
    local text = support.lua(PROLOGUE .. [[
      sim:fault { kind = "delay", seconds = 5, times = 5 }
      local session = core.session {}
      Request = session:start { url = sim.url .. "/x" }
      Sunk = session:start { url = sim.url .. "/y", sink = assert(core.sink { path = "build/spec/lifetime.csv" }) }
      session:step(0.05)
      local client = support.client(sim, { token = "t" })
      Task = client:spawn(function() client.jobs:get "x" end)
      client:step(0.05)
      io.write "ended well\n"
      os.exit(true, true)
    ]], PREFIX)
    assert.equal("ended well\n", text)
  end)

  it("the state ends while a name is being looked up", function()
    local text, status = support.lua([[
      local core = require "zuora.core"
      local session = core.session {}
      Request = session:start { url = "http://nowhere.invalid/", proxy = "" }
      session:step(0)
      os.exit(true, true)
    ]], PREFIX)
    assert.equal("", text)
    assert.equal(0, status)
  end)

  it("the module is required again, with requests of the old one in flight", function()
    runs [[
      local session = core.session {}
      local request = session:start { url = sim.url .. "/x" }
      for name in pairs(package.loaded) do
        if name:find "^zuora" then package.loaded[name] = nil end
      end
      collect()
      local again = require "zuora.core"
      assert(again ~= core)
      assert(support.finish(session, request).status == 404)
      local client <close> = require "zuora".new { base_url = sim.url, token = "t" }
      local _, err = client.jobs:get "x"
      assert(err.kind == "auth")
    ]]
  end)

  it("an answer is over the ceiling", function()
    runs [[
      sim:fault { kind = "status", status = 200, body = ("x"):rep(3000000) }
      local client = support.client(sim, { token = "t", memory_limit = 1000000 })
      local value, err = client.jobs:get "x"
      assert(value == nil and err.kind == "too_large" and not err.retryable, tostring(err))
    ]]
  end)

  it("a hundred states in one process load the module one after another", function()
    local directory = support.scratch("states")
    support.write(directory .. "/host.c", [[
#include <lua.h>
#include <lualib.h>
#include <lauxlib.h>
#include <stdio.h>
int main(int argc, char **argv) {
  (void)argc;
  for (int i = 0; i < 100; i++) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    if (luaL_dostring(L, argv[1]) != LUA_OK) { puts(lua_tostring(L, -1)); return 1; }
    lua_close(L);
  }
  puts("ended well");
  return 0;
}
]])
    local code = ("package.path=%q package.cpath=%q require [[zuora]].new { base_url = [[http://127.0.0.1:1]], token = [[t]] }")
      :format(package.path, package.cpath)
    local text = support.shell(("cc -o %s/host %s/host.c $(pkg-config --cflags --libs lua5.4) && %s %s/host '%s'")
      :format(directory, directory, PREFIX, directory, code))
    assert.equal("ended well\n", text)
  end)

  it("memory runs out at each allocation in turn, while things are being made", function()
    local directory = support.scratch("oom")
    support.write(directory .. "/host.c", [[
#include <lua.h>
#include <lualib.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
static long left = -1;
static void *allocate(void *ud, void *p, size_t old, size_t new) {
  (void)ud;
  if (new == 0) { free(p); return NULL; }
  if (left >= 0 && (p == NULL || new > old) && left-- == 0) { left = 0; return NULL; }
  return realloc(p, new);
}
int main(int argc, char **argv) {
  (void)argc;
  long at;
  int status = LUA_ERRMEM;
  for (at = 0; status != LUA_OK && at < 3000; at++) {
    left = -1;
    lua_State *L = lua_newstate(allocate, NULL);
    luaL_openlibs(L);
    if (luaL_dostring(L, argv[1]) != LUA_OK) { puts(lua_tostring(L, -1)); return 1; }
    lua_getglobal(L, "work");
    left = at;
    status = lua_pcall(L, 0, 0, 0);
    left = -1;
    if (status != LUA_OK && status != LUA_ERRMEM) { puts(lua_tostring(L, -1)); }
    lua_close(L);
  }
  printf("done after %s\n", at > 20 && status == LUA_OK ? "many" : "few");
  return 0;
}
]])
    local code = ([[package.path=%q package.cpath=%q
      local core = require "zuora.core"
      function work()
        local session = core.session {}
        local connection = core.endpoints { session = session, bases = { files = "http://127.0.0.1:1/f",
          aqua = "http://127.0.0.1:1/a" }, defaults = { proxy = "" } }
        connection:headers("files", { A = "b" })
        core.files.get(connection, { id = "x" }, { headers = { C = "d" }, sink = core.sink { path = "%s/file" } })
        core.jobs.submit(connection, { queries = { { query = "q" } } })
        core.decode(core.encode { a = { 1, 2, { b = "c" } } })
        local running, finished = session:step(0.01)
        for _, request in ipairs(finished) do request:response() end
      end]]):format(package.path, package.cpath, directory)
    support.write(directory .. "/work.lua", code)
    local text = support.shell(("cc -o %s/host %s/host.c $(pkg-config --cflags --libs lua5.4) && %s %s/host \"$(cat %s/work.lua)\"")
      :format(directory, directory, PREFIX, directory, directory))
    assert.equal("done after many\n", text)
    assert.is_nil(support.read(directory .. "/file.part"))
  end)
end)
