--- Misuse, and what a host program, its coroutines, its collector and its other libraries may do.

local core = require "zuora.core"
local support = require "spec.support"
local zuora = require "zuora"

local NUMBERS = { "connect_timeout", "timeout", "stall_timeout", "total_timeout", "retries", "retry_after_limit",
  "rate_reserve", "max_connections", "concurrency_limit", "memory_limit" }
local TEXTS = { "environment", "base_url", "entity_id", "entity_name", "track_id", "version", "tmpdir", "no_proxy", "ca_file",
  "user_agent", "client_id", "client_secret", "username", "password", "reporting_url", "aqua_url", "files_url" }
local NAN, INF = 0 / 0, math.huge

-- zuora.new must refuse that value for that option, and name it.
local function refused(w, name, value)
  local options = { base_url = "http://127.0.0.1:1", token = "t" }
  options[name] = value
  w:raises("bad argument '" .. name .. "'", zuora.new, options)
end

-- Errors that a callback may raise: the same must come back.
local RAISED = { "text", 7, true, { a = 1 }, setmetatable({}, { __tostring = function() return "x" end }), print }

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Calls f below that many C functions.
local function below(depth, f)
  if depth == 0 then return f() end
  local result
  string.gsub("x", "x", function() result = table.pack(below(depth - 1, f)) end)
  return table.unpack(result, 1, result.n)
end

return {
  { id = "E1", fault = "options of a wrong type, NaN, infinite, below 0; unknown ones", expect = "raises, and names it",
    make = function(w)
      for _, name in ipairs(NUMBERS) do
        for _, value in ipairs { "x", "5", {}, true, print, -1, NAN, INF, -INF } do refused(w, name, value) end
      end
      for _, name in ipairs(TEXTS) do
        for _, value in ipairs { 7, {}, true, print, "" } do
          local base_url = name ~= "base_url" and "http://127.0.0.1:1" or nil
          w:raises("bad argument", zuora.new, { base_url = base_url, token = "t", [name] = value })
        end
      end
      for _, name in ipairs { "on_retry", "on_response", "log" } do refused(w, name, "x") end
      refused(w, "time_out", 5)
      w:raises("time_out", w:client().jobs.get, w:client().jobs, "x", { time_out = 5 })
    end },

  { id = "E2", fault = "texts with NUL, empty, of 1 MB", expect = "raises before anything is sent", make = function(w)
      local client = w:client()
      for _, text in ipairs { "", "a\0b", ("x"):rep(1000000), "\n" } do
        for _, name in ipairs { "jobs", "reportruns" } do w:raises("bad argument", client[name].get, client[name], text) end
        w:raises("bad argument", client.jobs.get, client.jobs, "x", { track_id = text })
        w:raises("bad argument", client.files.download, client.files, text, w.directory .. "/x")
        w:raises("bad argument", client.jobs.submit, client.jobs, { queries = { A = "q" }, idempotency_key = text })
      end
      for _, text in ipairs { "", "a\0b" } do
        w:raises("bad argument", client.files.download, client.files, "x", text)
        w:raises("bad argument", client.reports.search, client.reports, text)
      end
      assert(#w.sim:journal() == 0)
    end },

  { id = "E3", fault = "a closed client; closed twice; in its own hook; by an error", expect = "raises 'closed'; nothing; the call ends",
    make = function(w)
      local client = w:client()
      local job = assert(client.jobs:get(w.job.id))
      client:close()
      client:close()
      for _, use in ipairs { function() client.jobs:get(w.job.id) end, function() job:refresh() end,
        function() client:sleep(0) end, function() client:spawn(print) end, function() client.files:rows "x" end } do
        w:raises("closed", use)
      end
      local own
      own = w:client { on_response = function() own:close() end }
      pcall(own.jobs.get, own.jobs, w.job.id)
      w:raises("mine", function()
        local _ <close> = w:client()
        error "mine"
      end)
    end },

  { id = "E4", fault = "methods with another self", expect = "raises, no crash", make = function(w)
      local client, other = w:client(), w:client()
      local session = core.session {}
      for _, self in ipairs { 7, "x", {}, other, session, io.stdout, setmetatable({}, debug.getmetatable(client)), print } do
        for _, method in ipairs { client.jobs.get, client.files.download, client.reportruns.start, client.jobs.submit } do
          w:raises(".", method, self, w.job.id, {})
        end
        if self ~= other then w:raises(".", client.sleep, self, 0) end
        for _, method in ipairs { session.step, session.start, session.fds } do
          if self ~= session then w:raises(".", method, self, {}) end
        end
      end
      session:close()
    end },

  { id = "E5", fault = "a callback raises: text, a table, nil; returns junk", expect = "the same value comes back; the client goes on",
    make = function(w)
      for _, hook in ipairs { "on_response", "log", "on_retry" } do
        for _, value in ipairs(RAISED) do
          local raise = true
          local client = w:client { [hook] = function() if raise then error(value, 0) end return value end }
          w.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 503 }
          local ok, raised = pcall(client.jobs.get, client.jobs, w.job.id)
          assert(not ok and rawequal(raised, value), hook .. ": " .. tostring(raised))
          raise = false
          w.sim:heal()
          assert(client.jobs:get(w.job.id))
        end
      end
      local client = w:client { on_response = function() error() end }
      local ok, raised = pcall(client.jobs.get, client.jobs, w.job.id)
      assert(not ok and raised == nil)
      client:close()
      client = w:client()
      for _, value in ipairs(RAISED) do
        local called
        ok, raised = pcall(client.files.download, client.files, w.job.file, w.directory .. "/file", { on_progress = function()
          called = true
          error(value, 0)
        end })
        assert(called and not ok and rawequal(raised, value))
      end
      os.remove(w:path "file")
    end },

  { id = "E6", fault = "a callback yields", expect = "clear words, or the call goes on later", make = function(w)
      local client = w:client { on_response = function() if coroutine.isyieldable() then coroutine.yield() end end }
      local ok, raised = pcall(client.run, client, function() return client.jobs:get(w.job.id) end)
      w:tell(raised)
      assert(ok or tostring(raised):find "yield", tostring(raised))
      local job
      local thread = coroutine.create(function() job = client.jobs:get(w.job.id) end)
      for _ = 1, 10 do if coroutine.status(thread) == "suspended" then assert(coroutine.resume(thread)) end end
      assert(job.id == w.job.id)
    end },

  { id = "E7", fault = "a callback calls the same client: another call, step, run, close", expect = "it works, or it raises",
    make = function(w)
      local client, inside
      client = w:client { on_response = function()
        if inside then return end
        inside = true
        assert(client.jobs:get(w.job.id).id == w.job.id)
        client:step(0)
        assert(client:run(function() return client.jobs:get(w.job.id).id end) == w.job.id)
        inside = false
      end }
      assert(client.jobs:get(w.job.id))
    end },

  { id = "E8", fault = "the collector in mid-transfer: all dropped; stopped, stepping, generational",
    expect = "it ends, and nothing is left", make = function(w)
      w.sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 10, seconds = 0.002, times = "always" }
      for _, mode in ipairs { "incremental", "generational" } do
        collectgarbage(mode)
        local client = w:client { on_response = collect, log = collect }
        assert(client.files:download(w.job.file, w:path "file", { on_progress = collect }).records == 3)
      end
      collectgarbage "incremental"
      do
        local lost = support.client(w.sim)
        w.sim:heal()
        w.sim:fault { on = "GET /v1/files/*", kind = "stall", after = 10 }
        lost:spawn(function() lost.files:download(w.job.file, w.directory .. "/lost") end)
        repeat lost:step(0.005) until w:read "lost.part"
      end
      collect()
    end },

  { id = "E9", fault = "objects that come back to life in __gc are used", expect = "they are closed", make = function(w)
      w:child([[
        local kept
        do
          local client, other = new { token = "t" }, new()
          clients = {}
          local rows = assert(other.files:rows(file))
          local session = core.session {}
          local request = session:start { url = sim.url .. "/x", proxy = "" }
          local sink = core.sink { path = directory .. "/file" }
          local job = assert(other.jobs:get(job))
          setmetatable({ client, session, request, sink, other, job, rows }, { __gc = function(all) kept = all end })
        end
        for _ = 1, 4 do collectgarbage() end
        local client, session, request, sink, other, job, rows = table.unpack(kept)
        for _, use in ipairs { function() return client.jobs:get "x" end, function() return session:step(0) end,
          function() return request:response() end, function() return sink:position() end,
          function() return other:sleep(0) end, function() return job:refresh() end, rows } do
          local ok, value = pcall(use)
          print(ok, value)
          assert(not ok and tostring(value):find "closed" or value == nil)
        end
        kept, client, session, request, sink, other, job, rows = nil
        for _ = 1, 4 do collectgarbage() end
        assert(#support.listing(directory) == 1)
        works(new())]])
    end },

  { id = "E10", fault = "coroutines: a client of a dead one; a call in one, left in its midst", expect = "it works on; nothing is left",
    make = function(w)
      local client = coroutine.wrap(function() return w:client() end)()
      collect()
      assert(coroutine.wrap(function() return client.jobs:get(w.job.id) end)().id == w.job.id)
      local waiting = w:client { on_response = function() if coroutine.isyieldable() then coroutine.yield() end end }
      local thread = coroutine.create(function() waiting.jobs:wait(w.job.id) end)
      assert(coroutine.resume(thread))
      assert(coroutine.close(thread))
      assert(waiting:run(function() return true end))
    end },

  { id = "E11", fault = "os.exit, with and without closing the state; an error at the top; in mid-transfer", expect = "a quick end",
    make = function(w)
      w.sim:fault { on = "GET /v1/files/*", kind = "stall", after = 10, times = "always" }
      for _, ending in ipairs { "os.exit(0, false)", "os.exit(0, true)", "error 'the end'", "" } do
        local started = core.now()
        local text, status = support.lua(([[
          local support = require "spec.support"
          local client = support.client { url = %q, client_id = %q, client_secret = %q }
          client:spawn(function() client.files:download(%q, %q) end)
          client:spawn(function() client:sleep(100) end)
          for _ = 1, 10 do client:step(0.01) end
          %s]]):format(w.sim.url, w.sim.client_id, w.sim.client_secret, w.job.file, w.directory .. "/file", ending))
        w:tell(text)
        assert(status == (ending:find "^error" and 1 or 0), text)
        assert(core.now() - started < 5)
        for _, name in ipairs { "file.part", "file.part.state" } do os.remove(w.directory .. "/" .. name) end
      end
    end },

  { id = "E12", fault = "the module is loaded again, a hundred times", expect = "no crash, no growth",
    design = "with new Lua states: spec/lifetime_spec.lua", make = function(w)
      w:child([[
        local function again()
          for name in pairs(package.loaded) do
            if name:find "^zuora" then package.loaded[name] = nil end
          end
          local client <close> = require "zuora".new { base_url = sim.url, client_id = sim.client_id,
            client_secret = sim.client_secret }
          assert(client.jobs:get(job).id == job)
        end
        for _ = 1, 10 do again() end
        collectgarbage()
        local before = collectgarbage "count"
        for _ = 1, 100 do again() end
        collectgarbage()
        collectgarbage()
        assert(collectgarbage "count" < before + 500)]])
    end },

  { id = "E13", fault = "several Lua states, in threads", expect = "each by itself", design = "more of it: spec/threads_spec.lua",
    make = function(w)
      support.write(w:path "work.lua", ([[
        package.path, package.cpath = %q, %q
        for _ = 1, 3 do
          local client <close> = require "zuora".new { base_url = %q, client_id = %q, client_secret = %q }
          assert(client.jobs:get(%q))
        end]]):format(package.path, package.cpath, w.sim.url, w.sim.client_id, w.sim.client_secret, w.job.id))
      local text = w:shell(("timeout 20 %s 4 %s/work.lua"):format(support.native "threads", w.directory))
      assert(text == "0 failed\n", text)
    end },

  { id = "E14", fault = "two clients side by side, with 50 waits", expect = "all are served; nobody's token is another's",
    make = function(w)
      local first, second = w:wire {}, w:wire {}
      local one, two = w:client { at = first, token = "planted-token-1" }, w:client { at = second, token = "planted-token-2" }
      local done = 0
      for i = 1, 50 do
        local client = i % 2 == 0 and one or two
        client:spawn(function()
          assert(client.jobs:wait(w.job.id, { timeout = 60 }))
          done = done + 1
        end)
      end
      while one:step(0.001) or two:step(0.001) do end
      assert(done == 50)
      for server, token in pairs { [first] = "planted-token-1", [second] = "planted-token-2" } do
        for _, request in ipairs(server.requests) do assert(request.headers.authorization == "Bearer " .. token) end
      end
    end },

  { id = "E15", fault = "a call deep below C functions, at the end of the stack", expect = "a Lua error, no crash",
    make = function(w)
      local client = w:client()
      assert(client.jobs:get(w.job.id))
      local failed, worked
      for depth = 100, 199 do
        local ok, raised = pcall(below, depth, function() return client.jobs:get(w.job.id) end)
        if ok then worked = true else failed = tostring(raised) end
      end
      assert(worked and failed and failed:find "overflow", failed)
      local function deep(n) return n == 0 and client.jobs:get(w.job.id) or (deep(n - 1)) end
      assert(deep(10000).id == w.job.id)
      local ok, raised = pcall(function()
        local function endless() return (endless()) or client.jobs:get(w.job.id) end
        return endless()
      end)
      assert(not ok and tostring(raised):find "overflow")
      for _, taken in ipairs { 900000, 990000, 999000, 999700, 999850, 999900, 999950 } do
        pcall(function() return (function(...) return client.jobs:get(w.job.id), ... end)(table.unpack({}, 1, taken)) end)
      end
    end },

  { id = "E16", fault = "the host changes cjson, package.loaded, the metatable of strings, the globals", expect = "nothing of it matters",
    make = function(w)
      w:child([=[
        local client = new()
        local cjson = require "cjson"
        cjson.encode_keep_buffer(false)
        cjson.decode_max_depth(1)
        cjson.encode_invalid_numbers(true)
        cjson.decode_invalid_numbers(true)
        cjson.encode_sparse_array(true)
        cjson.encode_max_depth(1)
        package.loaded.cjson = { new = function() error "not this one" end }
        works(client)
        works(new())
        assert(core.decode "[[[[1]]]]"[1][1][1][1] == 1 and not core.decode "[NaN]")
        setmetatable(_G, { __newindex = function(_, name) error("global " .. name) end,
          __index = function(_, name) error("global " .. name) end })
        works(client)
        assert(client.files:download(file, directory .. "/file").records == 3)
        assert(require "zuora".rows(directory .. "/file")())]=])
      w:path "file"
    end },

  { id = "E17", fault = "a clock that raises, returns early, goes back", expect = "the error comes out; no busy loop",
    design = "the clock is the project's own seam", make = function(w)
      local jumps, steps = 0, 0
      local clock = { now = function()
        jumps = jumps + 1
        return 1000 + jumps * 0.01 - (jumps % 7 == 0 and 5 or 0)
      end, step = function(session, seconds)
        steps = steps + 1
        return session:step(math.min(seconds, 0.001))
      end }
      local client <close> = support.client(w.sim, {}, { clock = clock })
      assert(client.jobs:get(w.job.id))
      client:sleep(1)
      assert(steps < 2000, steps)
      local broken = false
      local raising <close> = support.client(w.sim, {}, { clock = { now = core.now, step = function(session, seconds)
        if broken then error("my clock", 0) end
        return session:step(seconds)
      end } })
      assert(raising.jobs:get(w.job.id))
      broken = true
      w:raises("my clock", raising.jobs.get, raising.jobs, w.job.id)
      broken = false
      assert(raising.jobs:get(w.job.id))
    end },

  { id = "E18", fault = "a wait of 0, below 0, without an end; without a pause", expect = "one look; raises; allowed; a pause all the same",
    make = function(w)
      local client, clock = w:client()
      local job = assert(client.jobs:submit { queries = { A = "select Id from Account" } })
      w.sim:forget()
      w:fails("timeout", job:wait { timeout = 0 })
      assert(#w:sent("GET", "/v1/batch-query") == 1)
      for _, value in ipairs { -1, NAN, "1" } do w:raises("bad argument 'timeout'", job.wait, job, { timeout = value }) end
      for _, value in ipairs { -1, NAN, INF } do w:raises("bad argument 'min'", job.wait, job, { min = value }) end
      assert(job:wait { timeout = INF, min = 0, max = 0 })
      assert(clock.jumped > 0)
    end },

  { id = "E19", fault = "10,000 clients that nobody closes", expect = "the collector takes them; no descriptor is left", make = function(w)
      w:child([[
        for i = 1, 10000 do
          local client = zuora.new { base_url = sim.url, token = "t" }
          if i % 500 == 0 then fails("auth", client.jobs:get(job)) end
        end
        for _ = 1, 3 do collectgarbage() end
        assert(support.descriptors() <= before + 1)
        works(new())]], "ulimit -n 4000;")
    end },

  { id = "E20", fault = "lua-cjson is not there; libcurl is older than it was built with", expect = "clear words at require",
    design = "the age of libcurl: spec/core_spec.lua", make = function(w)
      local text, status = support.lua([[
        package.preload.cjson = function() error "module 'cjson' not found" end
        local ok, problem = pcall(require, "zuora")
        print(ok, problem)]])
      w:tell(text)
      assert(status == 0 and text:find "cjson", text)
    end },
}
