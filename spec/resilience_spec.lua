-- What tasks, hooks and interruptions can do to a loop, and what must be left of it: nobody lost, nobody waiting
-- for himself, nothing going on that nobody holds.

local core = require "zuora.core"
local support = require "spec.support"

describe("a loop", function()
  local sim, job, file_id

  setup(function()
    sim = support.simulator { looks = 1, objects = { Account = { generate = { rows = 5000 } } } }
    local client <close> = support.client(sim)
    job = assert(client.jobs:submit { queries = { { name = "a", query = "select * from Account" } } })
    assert(job:wait(support.soon))
    job = { id = job.id, file = job:batch "a":file_ids()[1] }
    file_id = job.file
  end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  it("loses no task when Ctrl-C takes from it what has finished", function()
    local armed = false
    local clock = { now = core.now, step = function(session, seconds)
      local running, finished = session:step(seconds)
      if armed and #finished > 0 then
        armed = false
        error("interrupted!", 0)
      end
      return running, finished
    end }
    local client <close> = support.client(sim, {}, { clock = clock })
    client.jobs:get(job.id)
    local done = 0
    for _ = 1, 20 do
      client:spawn(function()
        client.jobs:get(job.id)
        done = done + 1
      end)
    end
    local interruptions, ends_at = 0, core.now() + 10
    repeat
      armed = interruptions < 5
      local ok, busy = pcall(client.step, client, 0.05)
      if not ok then interruptions = interruptions + 1 end
      armed = false
    until ok and not busy or core.now() > ends_at
    assert.is_true(interruptions >= 1)
    assert.equal(20, done)
  end)

  it("ends a task that catches its own cancelling and goes on", function()
    local client <close> = support.client(sim)
    for _, cancel in ipairs { function(task) pcall(task.cancel, task) end,
      function(task) coroutine.wrap(function() task:cancel() end)() end } do
      local closed, task = false, nil
      task = client:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        cancel(task)
        while true do pcall(client.sleep, client, 1) end
      end)
      local others = client:spawn(function() return client.jobs:get(job.id) end)
      assert.equal(job.id, others:join().id)
      assert.equal("cancelled", select(2, pcall(task.join, task)).kind)
      assert.is_true(closed)
    end
  end)

  for name, call_back in pairs {
    map = function(client, get) return client:map({ 1 }, get) end,
    run = function(client, get) return client:run(get) end,
    spawn = function(client, get) return client:spawn(get):join() end,
  } do
    it("lets a hook run tasks while its own call holds what they need: " .. name, function()
      local client <close> = support.client(sim, { concurrency_limit = 1 })
      local function get() return assert(client.jobs:get(job.id, { total_timeout = 5 })) end
      local function download()
        local called = false
        sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 4000, seconds = 0.01 }
        assert(client.files:download(file_id, support.scratch "resilience" .. "/x", { on_progress = function()
          if called then return end
          called = true
          call_back(client, get)
        end }))
        assert.is_true(called)
      end
      local started = core.now()
      download()
      client:run(download)
      assert.is_true(core.now() - started < 4)
      -- And so with the token, which the first call of all fetches.
      local other, called
      other = support.client(sim, { on_response = function(info)
        if info.operation ~= "oauth.token" or called then return end
        called = true
        call_back(other, function() return assert(other.jobs:get(job.id, { total_timeout = 5 })) end)
      end })
      assert(other.jobs:get(job.id, { total_timeout = 5 }))
      assert.is_true(called)
      other:close()
    end)
  end

  it("keeps to the limit for tasks that began before the call that holds it", function()
    local client <close> = support.client(sim, { concurrency_limit = 1 })
    client.jobs:get(job.id)
    sim:forget()
    sim:fault { on = "GET /v1/files/*", kind = "delay", seconds = 0.3 }
    local waiting = client:spawn(function()
      client:sleep(0.05)
      return client.jobs:get(job.id)
    end)
    assert(client.files:download(file_id, support.scratch "resilience" .. "/x"))
    assert.equal(1, #sim:journal())
    assert.equal(job.id, waiting:join().id)
  end)

  it("ends a call whose coroutine nobody holds any more", function()
    local client <close> = support.client(sim)
    client.jobs:get(job.id)
    local before, directory = support.descriptors(), support.scratch "resilience"
    sim:fault { on = "GET /v1/files/*", kind = "stall", after = 100, times = "always" }
    for i = 1, 4 do
      coroutine.wrap(function()
        client.files:download(file_id, directory .. "/" .. i, { on_progress = function() coroutine.yield() end })
      end)()
    end
    assert.is_true(#support.listing(directory) >= 4)
    for _ = 1, 3 do collectgarbage() end
    assert.same({}, support.listing(directory))
    assert.is_false(client:step(0))
    assert.is_true(support.descriptors() <= before + 4) -- kept connections
    sim:heal()
    assert(client.files:download(file_id, directory .. "/x"))
  end)

  it("fetches a token anew when the coroutine that was fetching it is gone", function()
    local once, client = false
    client = support.client(sim, { log = function()
      if once or not coroutine.isyieldable() then return end
      once = true
      coroutine.yield()
    end })
    coroutine.wrap(function() client.jobs:get(job.id) end)()
    assert.is_true(once)
    for _ = 1, 3 do collectgarbage() end
    assert.equal(job.id, client:run(function() return client.jobs:get(job.id, { total_timeout = 5 }) end).id)
    client:close()
  end)

  it("leaves no task behind that a cancelled one, or a closer, starts", function()
    local client <close> = support.client(sim)
    local escaped = 0
    local function forever()
      client:sleep(3600)
      escaped = escaped + 1
    end
    local function spawns_at_its_end(then_)
      return function()
        local _ <close> = setmetatable({}, { __close = function() client:spawn(forever) end })
        client:sleep(0)
        then_()
      end
    end
    local ok = pcall(client.run, client, spawns_at_its_end(function() client:sleep(3600) end),
      spawns_at_its_end(function() error "no luck" end))
    assert.is_false(ok)
    assert.is_false(client:step(0))
    -- A child that cancels its parent, and with it itself, and then starts another.
    local parent
    client:run(function()
      parent = client:spawn(function()
        client:run(function()
          client:sleep(0)
          parent:cancel()
          local started, problem = pcall(client.spawn, client, forever)
          assert(not started and problem.kind == "cancelled")
        end)
      end)
      pcall(parent.join, parent)
    end)
    assert.is_false(client:step(0))
    assert.is_nil(select(2, client:fds()))
    assert.equal(0, escaped)
  end)

  it("says when all tasks wait for each other, and that an error is to be told", function()
    local client <close> = support.client(sim)
    local first, second
    first = client:spawn(function() second:join() end)
    second = client:spawn(function() first:join() end)
    assert.error_matches(function()
      for _ = 1, 5 do client:step(0) end
    end, "all tasks wait for each other")
    first:cancel()
    pcall(client.step, client, 0)
    local other <close> = support.client(sim)
    other:spawn(function() error "no luck" end)
    other.jobs:get(job.id) -- a blocking call, in which the task fails
    assert.equal(0, select(2, other:fds()))
    assert.error_matches(function() other:step(0) end, "no luck")
  end)

  it("joins many failed tasks with work that grows with their number", function()
    local client <close> = support.client(sim)
    local function work(count)
      local tasks, hundreds = {}, 0
      for i = 1, count do tasks[i] = client:spawn(function() error(i, 0) end) end
      pcall(tasks[1].join, tasks[1])
      debug.sethook(function() hundreds = hundreds + 1 end, "", 100) -- instructions
      for i = count, 2, -1 do assert(select(2, pcall(tasks[i].join, tasks[i])) == i) end
      debug.sethook()
      return hundreds
    end
    assert.is_true(work(4000) < 6 * work(1000))
  end)

  it("tells of an error in a closer, and not of one in the telling", function()
    local client <close> = support.client(sim, { log = function() error "the log is full" end })
    assert.error_matches(function()
      client:run(function()
        local _ <close> = setmetatable({}, { __close = function() error("closing failed", 0) end })
        coroutine.yield()
      end)
    end, "closing failed")
    assert.error_matches(function() client:run(function() error("no luck", 0) end) end, "no luck")
  end)
end)
