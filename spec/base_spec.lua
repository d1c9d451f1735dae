-- The ground of the core, where Lua can reach it: option tables, classes, buffers, escape, the clock.

local core = require "zuora.core"
local support = require "spec.support"

describe("src/base", function()
  local sim, session, endpoints, directory

  setup(function()
    sim = support.simulator()
    directory = support.scratch "base"
  end)
  teardown(function() sim:stop() end)
  before_each(function()
    session = core.session {}
    endpoints = core.endpoints { session = session, bases = { files = sim.url } }
  end)
  after_each(function()
    session:close()
    sim:heal()
  end)

  local function refused(wanted, f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    assert.equal(wanted, (message:gsub("^spec/base_spec%.lua:%d+: ", "")))
  end

  describe("option tables", function()
    -- Every function that takes one, with an option that it needs.
    local function readers()
      return {
        ["core.session"] = { core.session },
        ["core.sink"] = { core.sink, { path = directory .. "/file" } },
        ["core.filter"] = { core.filter },
        ["core.rows"] = { function(options) return core.rows("nowhere", options) end },
        ["core.endpoints"] = { core.endpoints, { session = session, bases = {} } },
        ["defaults of endpoints"] = { function(defaults)
          return core.endpoints { session = session, bases = {}, defaults = defaults }
        end },
        ["session:start"] = { function(options) return session:start(options) end, { url = sim.url } },
        ["core.request"] = { function(target) return core.request(endpoints, target) end, { base = "files" } },
        ["an operation"] = { function(options) return core.files.get(endpoints, { id = "x" }, options) end },
      }
    end

    it("raise for a misspelt option by its name, whoever reads them", function()
      for what, reader in pairs(readers()) do
        local options = reader[2] or {}
        options.timout = 1
        assert.error_matches(function() reader[1](options) end, "unknown option 'timout'$", nil, nil, what)
      end
    end)

    it("raise for a name that is none", function()
      refused("an option name must be a string, got number", core.session, { 1 })
      refused("an option name must be a string, got boolean", core.session, { [true] = 1 })
    end)

    it("may be missing", function()
      core.session():close()
      core.session(nil):close()
      assert.matches("zuora.filter", tostring(core.filter()))
      assert.error_matches(function() core.session(1) end, "table expected, got number")
    end)

    it("take what is of an option's type, and say what is not", function()
      local function start(options)
        options.url = options.url or sim.url
        return session:start(options)
      end
      for options, wanted in pairs {
        [{ fresh = 1 }] = "option 'fresh': boolean expected, got number",
        [{ limit = 1.5 }] = "option 'limit': integer of 0 or more expected, got number",
        [{ limit = -1 }] = "option 'limit': integer of 0 or more expected, got number",
        [{ limit = "1" }] = "option 'limit': integer of 0 or more expected, got string",
        [{ timeout = -1 }] = "option 'timeout': number of seconds, 0 or more, expected, got number",
        [{ timeout = 0 / 0 }] = "option 'timeout': number of seconds, 0 or more, expected, got number",
        [{ timeout = "1" }] = "option 'timeout': number of seconds, 0 or more, expected, got string",
        [{ proxy = 1 }] = "option 'proxy': string expected, got number",
        [{ proxy = "a\nb" }] = "option 'proxy': control characters are not allowed",
        [{ proxy = "a\0b" }] = "option 'proxy': control characters are not allowed",
        [{ proxy = "a\127b" }] = "option 'proxy': control characters are not allowed",
        [{ body = 1 }] = "option 'body': string expected, got number",
      } do refused(wanted, start, options) end
      for _, options in ipairs { { fresh = false }, { limit = 4.0 }, { limit = math.maxinteger }, { timeout = math.huge },
        { timeout = 0 }, { method = "POST", body = "a\0\nb" } } do start(options):cancel() end
    end)

    it("are read as they stand, without metamethods", function()
      local asked = {}
      local options = setmetatable({}, { __index = function(_, key) asked[#asked + 1] = key end })
      core.files.get(endpoints, { id = "x" }, options):cancel()
      assert.same({}, asked)
    end)
  end)

  it("gives a class one function for close, __gc and __close, and hides its metatable", function()
    local request = session:start { url = sim.url }
    for _, object in ipairs { session, request, core.sink { path = directory .. "/class" } } do
      local class = debug.getmetatable(object)
      assert.is_function(object.close)
      assert.equal(object.close, class.__gc)
      assert.equal(object.close, class.__close)
      assert.is_false(getmetatable(object))
      assert.matches("^zuora%.", class.__name)
      assert.error_matches(function() object.close(io.stdout) end, class.__name)
      object:close()
      object:close()
      class.__gc(object)
    end
    assert.is_nil(endpoints.close) -- it holds nothing of its own
  end)

  describe("a buffer", function()
    it("grows over every size, and keeps what is there", function()
      for _, size in ipairs { 0, 1, 255, 256, 257, 511, 513, 65535, 65537, 1000003 } do
        local body = ("0123456789abcdef"):rep(size // 16 + 1):sub(1, size)
        sim:fault { kind = "status", status = 200, body = body }
        local response = assert(support.finish(session, session:start { url = sim.url .. "/x" }))
        assert.is_true(body == response.body, size)
      end
    end)

    it("says that there is no memory, and the session goes on", function()
      -- A buffer doubles from 256 bytes: a body of 600,000 bytes needs 2^20, which this process cannot have.
      sim:fault { kind = "status", status = 200, body = ("x"):rep(600000) }
      local text, status = support.lua(([[
        local core, support = require "zuora.core", require "spec.support"
        local session <close> = core.session {}
        for _ = 1, 2 do
          local response, message, name, class = support.finish(session, session:start { url = %q })
          print(response and response.status, message, name, class)
        end
      ]]):format(sim.url .. "/x"), "FAIL_MALLOC=1048576 LD_PRELOAD=" .. support.native "failing.so")
      assert.equal(0, status, text)
      assert.equal("nil\tnot enough memory for the answer\tOUT_OF_MEMORY\tlocal\n404\tnil\tnil\tnil\n", text)
    end)
  end)

  it("escapes each byte but the unreserved ones, so that it comes back", function()
    for byte = 0, 255 do
      local text, escaped = string.char(byte), core.escape(string.char(byte))
      if text:find "[%w%-._~]" then
        assert.equal(text, escaped)
      else
        assert.equal(("%%%02X"):format(byte), escaped)
      end
    end
    assert.has_error(function() core.escape(nil) end)
  end)

  it("tells seconds, which do not go back", function()
    local last, started = core.now(), core.now()
    for _ = 1, 1000 do
      local now = core.now()
      assert.is_true(now >= last)
      last = now
    end
    support.shell "sleep 0.05"
    local passed = core.now() - started
    assert.is_true(passed >= 0.05 and passed < 30, passed)
  end)
end)
