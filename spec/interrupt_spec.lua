-- Ctrl-C, as the lua program takes it: a hook raises "interrupted!" as soon as Lua runs again.

local support = require "spec.support"

describe("Ctrl-C", function()
  local sim, path

  setup(function()
    sim = support.simulator { objects = { Account = { generate = { rows = 20000 } } } }
    path = support.scratch "interrupt" .. "/"
  end)
  teardown(function() sim:stop() end)
  after_each(function() sim:heal() end)

  -- Seconds from the signal to the error.
  local function seconds_until_raised(code)
    local text, status = support.lua(([[
      local core = require "zuora.core"
      local support = require "spec.support"
      local process = assert(package.loadlib(%q, "luaopen_process"))()
      local client = require "zuora".new { base_url = %q, client_id = %q, client_secret = %q }
      local path = %q
      assert(client.reportruns:list())
      local function blocks() %s end
      local parent = io.open "/proc/self/stat":read "n"
      local pid = process.fork()
      if pid == 0 then
        os.execute "sleep 0.35"
        support.write(path .. "sent", tostring(core.now()))
        process.kill(parent, 2)
        os.exit(0, false)
      end
      local ok, message = pcall(blocks)
      local raised = core.now()
      process.wait(pid)
      assert(not ok and message:find "interrupted!", tostring(message))
      print(raised - tonumber(support.read(path .. "sent")))
    ]]):format(support.native "process.so", sim.url, sim.client_id, sim.client_secret, path, code), "timeout 20")
    assert.equal(0, status, text)
    return tonumber(text)
  end

  local function answers(code)
    local seconds = seconds_until_raised(code)
    assert.is_true(seconds < 0.2, seconds)
  end

  it("ends a call that waits for its answer", function()
    sim:fault { on = "GET *", kind = "delay", seconds = 5, times = 2 }
    answers [[client.jobs:get "x"]]
  end)

  it("ends a run of tasks", function()
    sim:fault { on = "GET *", kind = "delay", seconds = 5, times = 2 }
    answers [[client:run(function() client.jobs:get "x" end, function() client:sleep(10) end)]]
  end)

  -- A hook is called where lua-cjson is, too.
  it("is no mistake of the JSON that is being read or written, and no missing library", function()
    local core = require "zuora.core"
    local attempt = require "zuora.support.attempt"
    local sethook, pcall = debug.sethook, pcall -- busted looks globals up by functions of its own
    local function told_at(n, ...)
      local count, is_over = 0, false
      sethook(function()
        count = count + 1
        if count == n and not is_over then error("interrupted!", 0) end
      end, "c")
      local ok, message = pcall(...)
      is_over = true
      sethook()
      return count >= n + 1, ok, message -- (sethook is called, too)
    end
    for _, call in ipairs { { core.decode, '{"a":[1]}' }, { core.encode, { 1 } }, { attempt, require, "none" } } do
      local n = 2
      while true do
        local is_there, ok, message = told_at(n, table.unpack(call))
        if not is_there then break end
        assert.same({ false, "interrupted!" }, { ok, message })
        n = n + 1
      end
      assert.is_true(n > 2)
    end
  end)

  it("ends a pause", function() answers [[client:sleep(10)]] end)

  it("ends a step", function()
    sim:fault { on = "GET *", kind = "delay", seconds = 5, times = 2 }
    answers [[client:spawn(function() client.jobs:get "x" end) while client:step(10) do end]]
  end)

  it("ends a download, and takes its .part file away", function()
    sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 100, seconds = 0.05 }
    answers [[
      local job = assert(client.jobs:submit { queries = { { name = "Account", query = "select Id from Account" } } })
      assert(job:wait { min = 0.01, max = 0.05 })
      job:batch "Account":download(path .. "file")
    ]]
    assert.same({ "sent" }, support.listing(path))
  end)
end)

describe("SIGTERM that is heeded", function()
  -- What is printed by code that is sent it, and the status; after `before` in the shell.
  local function sent(code, before)
    return support.lua([[
      local core = require "zuora.core"
      local pid = io.open "/proc/self/stat":read "n"
      local function terminate() io.popen("kill -TERM " .. pid):close() end
      io.stdout:setvbuf "no"
    ]] .. code, before)
  end

  it("is Ctrl-C to the program, and is told from it", function()
    assert.same({ "false false true", 0 }, { sent [[
      core.heed_sigterm()
      local before = core.terminated()
      local ok, message = pcall(function() terminate() while true do end end)
      assert(message:find "interrupted!$", message)
      io.write(tostring(before), " ", tostring(ok), " ", tostring(core.terminated()))
    ]] })
  end)

  it("ends the program the second time", function()
    local text, status = sent [[
      core.heed_sigterm()
      for _ = 1, 2 do pcall(function() terminate() while true do end end) end
      print "still there"
    ]]
    assert.is_nil(text:find "still there")
    assert.equal(128 + 15, status)
  end)

  it("is ignored where whoever started the program wants that", function()
    assert.same({ "false", 0 }, { sent([[
      core.heed_sigterm()
      terminate()
      io.write(tostring(core.terminated()))
    ]], "trap '' TERM;") })
  end)
end)
