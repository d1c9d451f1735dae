-- A child made by fork has its parent's client before it, and the parent's connections with it. Each case
-- runs in a process of its own, which forks.

local support = require "spec.support"

local PROLOGUE = [[
local core = require "zuora.core"
local support = require "spec.support"
local zuora = require "zuora"
local process = assert(package.loadlib("%s", "luaopen_process"))()
local directory = support.scratch "fork"
local function collect() for _ = 1, 3 do collectgarbage() end end

-- What f does in a child, which ends the way a script does; then its exit status.
local function in_child(f)
  local pid = process.fork()
  if pid ~= 0 then return process.wait(pid) end
  local ok, problem = xpcall(f, debug.traceback)
  if not ok then io.stderr:write(tostring(problem), "\n") end
  os.exit(ok and 0 or 1, true)
end

local function refused(f, ...)
  local ok, message = pcall(f, ...)
  assert(not ok and tostring(message):find("belongs to the process that made it", 1, true), tostring(message))
end
]]

local function runs(code)
  local text, status = support.lua(PROLOGUE:format(support.native "process.so") .. code .. "\nsim:stop() print 'ended well'",
    "timeout 60 " .. (os.getenv "SPEC_LUA_PREFIX" or ""))
  assert.equal(0, status, text)
  assert.equal("ended well\n", text)
end

-- A download over TLS that is half here, and beside it a connection that waits for its next call.
local IN_FLIGHT = [[
local sim = support.simulator { tls = true, objects = { Account = { generate = { rows = 4000 } } } }
local client = support.client(sim, { ca_file = sim.ca_file, retries = 0 })
local job = assert(client.jobs:submit { queries = { { name = "Account", query = "select Id, Name from Account" } } })
assert(job:wait(support.soon))
local id = job:batch "Account":file_ids()[1]
local whole = assert(client.files:download(id, directory .. "/whole")).bytes
sim:forget()
sim:fault { on = "GET /v1/files/*", kind = "trickle", size = RESUME and 4000 or 400, seconds = 0.02 }
local bytes, result, problem = 0, nil, nil
local task = client:spawn(function()
  result, problem = client.files:download(id, directory .. "/file", { resume = RESUME,
    on_progress = function(b) bytes = b end })
end)
local idle
client:spawn(function() idle = assert(client.jobs:get(job.id)) end)
while bytes == 0 or not idle do client:step(0.05) end

-- It goes on as if nothing had been: no second request, no other connection.
local function goes_on()
  assert(not result, "too fast to show anything")
  assert(support.read(directory .. "/file.part"))
  assert(not RESUME or support.read(directory .. "/file.part.state"))
  while client:step(0.2) do end
  assert(result, tostring(problem))
  assert(result.bytes == whole and support.read(directory .. "/file") == support.read(directory .. "/whole"))
  assert(client.jobs:get(job.id))
  assert(client.jobs:get(job.id))
  local journal = sim:journal()
  local connections, count = {}, 0
  for _, entry in ipairs(journal) do
    if entry.path:find "^/v1" then connections[entry.connection] = true end
  end
  for _ in pairs(connections) do count = count + 1 end
  assert(count == 2, "connections: " .. count)
  assert(#support.sent(sim, "GET", "/v1/files") == 1)
end
]]

describe("a child made by fork", function()
  it("ends without a word on its parent's connections", function()
    runs(IN_FLIGHT .. [[
      assert(in_child(function() end) == 0)
      goes_on()
    ]])
  end)

  it("closes and collects its parent's client without a word", function()
    runs(IN_FLIGHT .. [[
      assert(in_child(function()
        client:close()
        client:close()
        task, job, client = nil, nil, nil
        collect()
      end) == 0)
      goes_on()
    ]])
  end)

  it("leaves a file that can be gone on with as it is", function()
    runs("RESUME = true " .. IN_FLIGHT .. [[
      assert(in_child(function()
        task = nil
        collect()
      end) == 0)
      goes_on()
    ]])
  end)

  it("leaves a task of its parent's by an error, from within it", function()
    runs(IN_FLIGHT .. [[
      local status
      client:run(function()
        local _ <close> = setmetatable({}, { __close = function() end })
        local pid = process.fork()
        if pid ~= 0 then
          status = process.wait(pid)
        else
          refused(client.jobs.get, client.jobs, job.id)
          os.exit(0, true)
        end
      end)
      assert(status == 0)
      goes_on()
    ]])
  end)

  it("is told why it may not use its parent's client", function()
    runs(IN_FLIGHT .. [[
      assert(in_child(function()
        for _, use in ipairs {
          function() client.jobs:get(job.id) end, function() job:refresh() end,
          function() client:run(print) end, function() client:sleep(1) end, function() client:step(0) end,
          function() client:fds() end, function() client:spawn(print) end,
          function() client.files:download(id, directory .. "/other") end,
        } do refused(use) end
        assert(not support.read(directory .. "/other.part"))
        assert(tostring(client):find "zuora.Client")
      end) == 0)
      goes_on()
    ]])
  end)

  it("makes a client of its own", function()
    runs(IN_FLIGHT .. [[
      assert(in_child(function()
        local own <close> = support.client(sim, { ca_file = sim.ca_file })
        sim.session = core.session {}
        assert(own.jobs:get(job.id).id == job.id)
        assert(own.files:download(id, directory .. "/own").bytes == whole)
      end) == 0)
      sim:forget()
      while client:step(0.2) do end
      assert(result, tostring(problem))
    ]])
  end)

  it("is refused by sessions, requests and sinks, and harms none by closing them", function()
    runs [[
      local sim = support.simulator { tls = true }
      local session = core.session {}
      local path = directory .. "/sunk"
      local sink = assert(core.sink { path = path })
      local function get(target, options)
        options = options or {}
        options.url, options.ca, options.proxy = sim.url .. target, sim.ca_file, ""
        return session:start(options)
      end
      local before = get "/x"
      support.finish(session, before)
      sim:forget()
      local finished = get "/x"
      while not finished:finished() do session:step(0.1) end
      sim:fault { kind = "status", status = 200, body = ("x"):rep(1000), headers = { ETag = '"a"' } }
      local sunk = get("/y", { sink = sink })
      while not sunk:finished() do session:step(0.1) end
      sim:fault { on = "GET /v1/z", kind = "delay", seconds = 0.3 }
      local running = get "/v1/z"
      for _ = 1, 5 do session:step(0.01) end
      assert(session:inherited() == false)
      assert(in_child(function()
        assert(session:inherited())
        refused(session.start, session, { url = sim.url })
        refused(session.step, session, 0)
        refused(session.fds, session)
        refused(session.running, session)
        refused(running.response, running)
        refused(running.finished, running)
        refused(finished.response, finished)
        refused(sink.publish, sink)
        refused(sink.position, sink)
        refused(core.endpoints, { session = session, bases = {} })
        assert(before:response().status == 404) -- read before the fork: nothing but a table
        running:cancel()
        finished:close()
        sink:close()
        session:close()
        running, finished, sunk, sink, session = nil, nil, nil, nil, nil
        collect()
      end) == 0)
      assert(support.finish(session, running).status == 404)
      assert(finished:response().status == 404)
      assert(sunk:response().status == 200)
      assert(support.read(path .. ".part"))
      assert(sink:publish())
      assert(#support.read(path) == 1000)
      assert(sim:journal()[1].connection == sim:journal()[3].connection)
    ]]
  end)

  it("does not hold the lock of a file that its parent has left to be gone on with", function()
    runs [[
      local sim = support.simulator()
      local path = directory .. "/locked"
      local sink = assert(core.sink { path = path, identity = "one", resume = true })
      local session = core.session {}
      sim:fault { kind = "status", status = 200, body = ("x"):rep(1000), headers = { ETag = '"a"' } }
      local request = session:start { url = sim.url .. "/x", sink = sink, proxy = "" }
      support.finish(session, request)
      local pid = process.fork()
      if pid == 0 then process.pause() end
      sink:close()
      assert(support.read(path .. ".part"))
      local again, message = core.sink { path = path, identity = "one", resume = true }
      process.kill(pid, 9)
      process.wait(pid)
      assert(again, message)
      again:close()
    ]]
  end)

  it("reads on in rows that its parent reads", function()
    runs [[
      local sim = support.simulator()
      local path = directory .. "/rows.csv"
      local lines = { "n" }
      for i = 1, 100000 do lines[#lines + 1] = tostring(i) end
      support.write(path, table.concat(lines, "\n"))
      local rows = assert(zuora.rows(path))
      for i = 1, 10 do assert(rows().n == tostring(i)) end
      local function rest()
        local count = 0
        for row in rows do
          count = count + 1
          assert(row.n == tostring(count + 10))
        end
        assert(count == 99990)
      end
      assert(in_child(rest) == 0)
      rest()
    ]]
  end)
end)
