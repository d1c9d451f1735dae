-- The limit of requests in flight for one tenant, by itself and over the wire.

local core = require "zuora.core"
local semaphores = require "zuora.caller.semaphore"
local loop_module = require "zuora.tasks.scheduler"
local support = require "spec.support"

describe("zuora.caller.semaphore", function()
  local session, clock, loop, semaphore

  before_each(function()
    session = core.session {}
    clock = support.clock()
    loop = loop_module.new(session, clock)
    semaphore = semaphores.new(loop, 2)
  end)
  after_each(function() session:close() end)

  -- Holds a slot for so long.
  local function hold(seconds, patience)
    local slot <close> = semaphore:slot()
    if not slot:acquire(clock.at + (patience or math.huge)) then return false end
    loop:sleep(seconds)
    return true
  end

  local function is_empty()
    assert.equal(0, semaphore:in_use())
    assert.is_nil(semaphore.waiting:peek())
  end

  it("gives a slot though a finaliser passes slots on in the midst of it, at whatever instruction", function()
    for k = 1, 150 do
      local dropped <close> = semaphore:slot()
      assert.is_true(dropped:acquire(math.huge))
      local slot <close> = semaphore:slot()
      debug.sethook(function()
        debug.sethook()
        dropped:release()
      end, "", k)
      local is_taken = slot:acquire(0)
      slot:release()
      debug.sethook()
      dropped:release()
      assert.is_true(is_taken, k)
      is_empty()
    end
  end)

  it("lets in so many, first come, first served", function()
    local order, most, tasks = {}, 0, {}
    for i = 1, 10 do
      tasks[i] = function()
        local slot <close> = semaphore:slot()
        assert.is_true(slot:acquire(math.huge))
        order[#order + 1] = i
        most = math.max(most, semaphore:in_use())
        loop:sleep(1 + i % 3)
      end
    end
    loop:run(tasks)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
    assert.equal(2, most)
    is_empty()
  end)

  it("lets nobody in before those who wait, when a slot is given back", function()
    local order = {}
    local function late()
      loop:sleep(1)
      hold(0)
      order[#order + 1] = "late"
    end
    local function early(name) return function() hold(1) order[#order + 1] = name end end
    loop:run { late, early "a", early "b", early "c", early "d" }
    assert.same({ "a", "b", "c", "d", "late" }, order)
  end)

  it("ends a wait at its time, and the queue goes on", function()
    local late
    loop:run {
      function() hold(10) end, function() hold(10) end,
      function()
        assert.is_false(hold(1, 3))
        assert.equal(3, clock.total())
        late = true
      end,
      function() assert.is_true(hold(1, 20)) assert.equal(11, clock.total()) end,
    }
    assert.is_true(late)
    is_empty()
  end)

  it("loses no slot when who waits or holds is cancelled, in any order", function()
    for seed = 1, 50 do
      loop:run { function()
        local tasks = {}
        for i = 1, 8 do tasks[i] = loop:spawn(function() hold(5) end) end
        loop:sleep(1)
        for i = 0, 5 do tasks[1 + (i * seed + seed // 8) % 8]:cancel() end
      end }
      is_empty()
    end
  end)

  it("passes a slot on that was given to one who was cancelled before it ran", function()
    local got
    loop:run { function()
      local first, second = loop:spawn(function() hold(9) end), loop:spawn(function() hold(9) end)
      local third = loop:spawn(function() hold(9) end)
      loop:spawn(function() hold(1) got = true end)
      loop:sleep(1)
      first:cancel() -- the third has its slot now, and has not run
      third:cancel()
      second:cancel()
    end }
    assert.is_true(got)
    is_empty()
  end)

  it("loses no slot by errors", function()
    for _ = 1, 5 do
      pcall(loop.run, loop, { function()
        local slot <close> = semaphore:slot()
        slot:acquire(clock.at + 1)
        loop:sleep(1)
        error "x"
      end, function() hold(5) end, function() hold(5) end })
    end
    is_empty()
  end)

  it("lets code outside of tasks wait its turn while tasks hold everything", function()
    for _ = 1, 4 do loop:spawn(function() hold(3) end) end
    loop:sleep(0)
    assert.equal(2, semaphore:in_use())
    assert.is_true(hold(1))
    assert.equal(7, clock.total())
    is_empty()
  end)

  it("lets a call go over the limit where to wait would be to wait for ever", function()
    loop:run { function() hold(5) end, function() hold(5) end, function()
      loop:sleep(1)
      coroutine.wrap(function() assert.is_true(hold(1)) end)() -- those who hold a slot cannot run meanwhile
      assert.equal(2, clock.total())
    end }
    -- Who holds a slot, and asks for another.
    local function twice()
      local slot <close> = semaphore:slot()
      slot:acquire(clock.at + 1)
      loop:sleep(1)
      assert.is_true(hold(1))
    end
    loop:run { twice, twice, twice }
    twice()
    is_empty()
  end)

  it("gives back what a dropped coroutine held", function()
    local generator = coroutine.wrap(function()
      local slot <close> = semaphore:slot()
      slot:acquire(clock.at + 1)
      coroutine.yield()
    end)
    generator()
    assert.equal(1, semaphore:in_use())
    generator = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    is_empty()
  end)
end)

describe("concurrency_limit", function()
  local sim, job_id

  setup(function()
    sim = support.simulator { looks = 1000 }
    local client <close> = support.client(sim)
    job_id = assert(client.jobs:submit { queries = { { name = "a", query = "select Id from Account" } } }).id
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:heal() end)

  -- A client that has its token.
  local function fresh(options)
    local client = support.client(sim, options)
    assert(client.reportruns:list())
    sim:forget()
    return client
  end

  local function delay(times) sim:fault { on = "GET /v1/batch-query/*", kind = "delay", seconds = 0.1, times = times } end

  local function items(n)
    local list = {}
    for i = 1, n do list[i] = job_id end
    return list
  end

  -- How many requests were in the server at once, when each stays there for so long.
  local function most_at_once(seconds)
    local sent, most = support.sent(sim, "GET", "/v1/batch-query/"), 0
    for _, entry in ipairs(sent) do
      local count = 0
      for _, other in ipairs(sent) do
        if other.time <= entry.time and other.time > entry.time - seconds then count = count + 1 end
      end
      most = math.max(most, count)
    end
    return most, #sent
  end

  it("is 40, whatever max_connections says, and what is set", function()
    for limit, options in pairs { [3] = { concurrency_limit = 3, max_connections = 64 }, [40] = { max_connections = 64 } } do
      local client <close> = fresh(options)
      sim:fault { on = "GET /v1/batch-query/*", kind = "stall", times = "always" }
      for _ = 1, 3 * limit do client:spawn(function() client.jobs:get(job_id) end) end
      local ends_at = core.now() + 20
      repeat client:step(0.05)
      until #support.sent(sim, "GET", "/v1/batch-query/") >= limit or core.now() > ends_at
      for _ = 1, 3 do client:step(0.02) end
      assert.equal(limit, #support.sent(sim, "GET", "/v1/batch-query/"))
      sim:heal()
    end
  end)

  it("does not count the token call, for which the others wait", function()
    local client <close> = support.client(sim, { concurrency_limit = 1 })
    sim:fault { on = "GET *", kind = "token", times = 1 }
    assert.equal(5, #assert(client:map(items(5), function(id) return client.jobs:get(id) end)))
  end)

  it("counts the time in the queue against the deadline, and says so", function()
    local client <close> = fresh { concurrency_limit = 1 }
    sim:fault { on = "GET /v1/batch-query/*", kind = "delay", seconds = 0.4 }
    client:run(function() assert(client.jobs:get(job_id)) end, function()
      local before = core.now()
      local job, err = client.jobs:get(job_id, { total_timeout = 0.1 })
      assert.is_nil(job)
      assert.equal("timeout", err.kind)
      assert.matches("1 other requests were in flight %(concurrency_limit%)", err.message)
      assert.equal("jobs.get", err.operation)
      assert.equal(1, err.attempts)
      local took = core.now() - before
      assert.is_true(took >= 0.1 and took < 0.3, took)
    end)
    assert.equal(1, #support.sent(sim, "GET", "/v1/batch-query/"))
    -- What is left of the deadline is what the request gets.
    sim:fault { on = "GET /v1/batch-query/*", kind = "delay", seconds = 0.2, times = 2 }
    client:run(function() assert(client.jobs:get(job_id)) end, function()
      local before = core.now()
      assert.equal("timeout", select(2, client.jobs:get(job_id, { total_timeout = 0.3 })).kind)
      assert.is_true(core.now() - before < 0.38)
    end)
  end)

  it("lets a blocking call outside of tasks through", function()
    local client <close> = fresh { concurrency_limit = 2 }
    delay(6)
    for _ = 1, 5 do client:spawn(function() assert(client.jobs:get(job_id)) end) end
    client:step(0)
    assert(client.jobs:get(job_id))
    while client:step(0.1) do end
    assert.equal(2, (most_at_once(0.09)))
  end)

  it("does not hold up a blocking call in a coroutine within a task", function()
    local client <close> = fresh { concurrency_limit = 1 }
    sim:fault { on = "GET /v1/batch-query/*", kind = "delay", seconds = 0.3 }
    client:run(function() assert(client.jobs:get(job_id)) end, function()
      client:sleep(0.05)
      local generator = coroutine.wrap(function() coroutine.yield(assert(client.jobs:get(job_id)).id) end)
      assert.equal(job_id, generator())
    end)
  end)

  it("counts a download until its last byte", function()
    local quick <close> = support.simulator()
    local other <close> = support.client(quick, { concurrency_limit = 1 })
    local job = assert(assert(other.jobs:submit { queries = { { name = "a", query = "select Id, Name from Account" } } })
      :wait(support.soon))
    quick:fault { on = "GET /v1/files/*", kind = "trickle", size = 10, seconds = 0.03 }
    local events = {}
    other:run(function()
      assert(job.batches[1]:download(support.scratch "slots" .. "/file"))
      events[#events + 1] = "file"
    end, function()
      other:sleep(0.05)
      assert(other.jobs:get(job.id))
      events[#events + 1] = "job"
    end)
    assert.same({ "file", "job" }, events)
  end)

  it("comes back when a request fails, is cancelled, or its hook raises", function()
    local raise = false
    local client <close> = fresh { concurrency_limit = 1, retries = 0,
      on_response = function() if raise then error "mine" end end }
    for _, kind in ipairs { "reset", "cut", "garbage" } do
      sim:fault { on = "GET *", kind = kind, times = "always" }
      assert.is_nil((client.jobs:get(job_id)))
      sim:heal()
    end
    raise = true
    assert.error_matches(function() client.jobs:get(job_id) end, "mine")
    assert.error_matches(function() client:run(function() client.jobs:get(job_id) end) end, "mine")
    raise = false
    sim:fault { on = "GET *", kind = "stall" }
    client:run(function()
      local stalled = client:spawn(function() client.jobs:get(job_id) end)
      local waiting = client:spawn(function() client.jobs:get(job_id) end)
      client:sleep(0.05)
      waiting:cancel()
      stalled:cancel()
      assert(client.jobs:get(job_id))
    end)
    assert(client.jobs:get(job_id))
  end)
end)
