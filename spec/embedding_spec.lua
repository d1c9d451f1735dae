-- A client in somebody else's loop: what fds and step promise. (Whole programs are in the README, and run by
-- its spec.)

local core = require "zuora.core"
local socket = require "socket"
local support = require "spec.support"

describe("a client in another loop", function()
  local sim

  setup(function()
    sim = support.simulator { tls = true, objects = { Account = { generate = { rows = 20000 } } } }
  end)
  teardown(function() sim:stop() end)
  after_each(function()
    sim:heal()
    sim:forget()
  end)

  local function client_new(options)
    options = options or {}
    options.ca_file = sim.ca_file
    return support.client(sim, options)
  end

  -- Waits for exactly what the clients ask for, no shorter, until nothing is left. Returns the number of rounds.
  local function drive(clients, on_round)
    local rounds, ends_at = 0, core.now() + 20
    while true do
      local busy, wait = false, nil
      local readers, writers = {}, {}
      for _, client in ipairs(clients) do
        busy = client:step(0) or busy
        local fds, seconds = client:fds()
        if seconds and (not wait or seconds < wait) then wait = seconds end
        for fd, events in pairs(fds) do
          local object = { getfd = function() return fd end }
          if events:find "r" then readers[#readers + 1] = object end
          if events:find "w" then writers[#writers + 1] = object end
        end
      end
      if not busy then return rounds end
      rounds = rounds + 1
      assert(core.now() < ends_at, "the loop did not come to an end")
      socket.select(readers, writers, math.min(wait or math.huge, 20))
      if on_round then on_round() end
    end
  end

  it("has nothing to wait for when nothing is left, connections that are kept included", function()
    local client <close> = client_new()
    assert.same({}, (client:fds()))
    assert.is_nil(select(2, client:fds()))
    assert(client.reportruns:list())
    assert.is_false(client:step(0))
    local fds, seconds = client:fds()
    assert.same({}, fds)
    assert.is_nil(seconds)
  end)

  it("asks for no wait when a task is ready without a descriptor", function()
    local client <close> = client_new()
    local steps = {}
    local first = client:spawn(function()
      steps[#steps + 1] = "first"
      client:spawn(function() steps[#steps + 1] = "second" end)
      client:sleep(0.05)
      steps[#steps + 1] = "slept"
    end)
    assert.equal(0, select(2, client:fds()))
    assert.is_true(client:step(0))
    assert.equal("first", steps[1])
    if #steps == 1 then
      assert.equal(0, select(2, client:fds()))
      client:step(0)
    end
    assert.equal("second", steps[2])
    local fds, seconds = client:fds()
    assert.same({}, fds)
    assert.is_true(seconds > 0 and seconds <= 0.05, seconds)
    socket.sleep(seconds)
    assert.equal(0, select(2, client:fds()))
    assert.is_false(client:step(0))
    assert.equal("slept", steps[3])
    assert.is_nil(select(2, client:fds()))
    first:join()
  end)

  it("asks for no wait when a request was started from outside a step", function()
    local client <close> = client_new()
    client:spawn(function() client.reportruns:list() end)
    client:step(0)
    local _, seconds = client:fds()
    assert.is_true(seconds and seconds < 1)
    drive { client }
  end)

  it("needs nothing but its descriptors and seconds: calls, waits, retries, a download; two at once", function()
    local one <close>, directory = client_new(), support.scratch "embedding"
    local two <close> = client_new()
    sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 503, times = 2 }
    sim:fault { on = "GET /v1/files/*", kind = "cut", after = 10000 }
    local done = {}
    for i, client in ipairs { one, two } do
      client:spawn(function()
        local job = assert(client.jobs:submit { queries = { { name = "Account", query = "select Id, Name from Account" } } })
        assert(job:wait(support.soon))
        done[i] = assert(job:batch "Account":download(directory .. "/" .. i)).records
      end)
    end
    drive { one, two }
    assert.same({ 20000, 20000 }, done)
  end)

  it("does not keep the host busy while it waits", function()
    local client <close> = client_new()
    assert(client.reportruns:list())
    sim:fault { on = "GET *", kind = "delay", seconds = 0.5 }
    local answered
    client:spawn(function() answered = select(2, client.jobs:get "x") end)
    local rounds = drive { client }
    assert.is_table(answered)
    assert.is_true(rounds < 40, rounds)
  end)

  it("gives up by its own time-outs", function()
    local client <close> = client_new { retries = 0, timeout = 0.2 }
    assert(client.reportruns:list())
    sim:fault { on = "GET *", kind = "delay", seconds = 5 }
    local err
    client:spawn(function() err = select(2, client.jobs:get "x") end)
    local started = core.now()
    drive { client }
    assert.equal("transport", err.kind)
    assert.is_true(core.now() - started < 1)
  end)

  it("raises the error of a task from a step, once, and goes on with the others", function()
    local client <close> = client_new()
    local done
    client:spawn(function() error { mine = true } end)
    client:spawn(function() done = assert(client.reportruns:list()) end)
    local ok, problem = pcall(client.step, client, 0)
    assert.is_false(ok)
    assert.is_true(problem.mine)
    drive { client }
    assert.is_table(done)
    assert.is_nil(select(2, client:fds()))
  end)
end)
