-- A process with more descriptors than an fd_set can hold. Each case runs in a process of its own.

local support = require "spec.support"

local PROLOGUE = [[
local support = require "spec.support"
local held = {}
for i = 1, 1100 do held[i] = assert(io.open "/dev/null") end
local client = require "zuora".new { base_url = %q, client_id = %q, client_secret = %q, ca_file = %q }
local job = assert(client.jobs:submit { queries = { { name = "Account", query = "select Id, Name from Account" } } })
local path = %q
]]

describe("with more than 1,024 descriptors open", function()
  local sim, path

  setup(function()
    sim = support.simulator { tls = true, objects = { Account = { generate = { rows = 5000 } } } }
    path = support.scratch "descriptors" .. "/file"
  end)
  teardown(function() sim:stop() end)

  local function runs(code)
    local text, status = support.lua(
      PROLOGUE:format(sim.url, sim.client_id, sim.client_secret, sim.ca_file, path) .. code .. " print 'ended well'",
      "ulimit -n 4096; timeout 60 " .. (os.getenv "SPEC_LUA_PREFIX" or ""))
    assert.equal("ended well\n", text)
    assert.equal(0, status)
  end

  it("blocking calls work, and downloads and rows", function()
    runs [[
      assert(job:wait(support.soon))
      local file = assert(job:batch "Account":download(path))
      assert(file.records == 5000 and #support.read(path) == file.bytes)
      local count = 0
      for _ in assert(job:batch "Account":rows()) do count = count + 1 end
      assert(count == 5000)
    ]]
  end)

  it("step works, and fds lists what there is or says that it cannot", function()
    runs [[
      local file, listed
      client:spawn(function()
        assert(job:wait(support.soon))
        file = assert(job:batch "Account":download(path))
      end)
      repeat
        local busy = client:step(0.01)
        local ok, fds = pcall(client.fds, client)
        if not ok then
          assert(fds:find("a descriptor beyond the 1024 that this libcurl can list", 1, true), fds)
          listed = listed or "refused"
        else
          for fd in pairs(fds) do
            assert(fd > 1024)
            listed = "listed"
          end
        end
      until not busy
      assert(file.records == 5000)
      assert(listed, "neither listed nor refused")
    ]]
  end)

  it("fds forgets a socket whose connection could not be made", function()
    runs [[
      local socket = require "socket"
      local listener = assert(socket.tcp4())
      assert(listener:bind("127.0.0.1", 0))
      assert(listener:listen(0))
      local url = "http://127.0.0.1:" .. select(2, listener:getsockname())
      local waiting = {} -- fills the queue of connections that nobody accepts
      for i = 1, 3 do
        waiting[i] = assert(socket.tcp4())
        waiting[i]:settimeout(0)
        waiting[i]:connect("127.0.0.1", (select(2, listener:getsockname())))
      end
      local session = require "zuora.core".session {}
      local request = session:start { url = url, connect_timeout = 0.2, deadline = 5, proxy = "" }
      while not request:finished() do session:step(0.05) end
      assert(not request:response())
      for _, file in ipairs(held) do file:close() end
      request = session:start { url = url, proxy = "" }
      session:step(0)
      assert(pcall(session.fds, session))
      session:close()
    ]]
  end)
end)
