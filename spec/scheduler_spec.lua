local core = require "zuora.core"
local error_value = require "zuora.error"
local support = require "spec.support"
local loop_module = require "zuora.tasks.scheduler"

describe("zuora.tasks.scheduler", function()
  local session, clock, loop

  before_each(function()
    session = core.session {}
    clock = support.clock()
    loop = loop_module.new(session, clock)
  end)
  after_each(function() session:close() end)

  -- A value that says when it was closed.
  local function scope(events, name)
    return setmetatable({}, { __close = function() events[#events + 1] = name end })
  end

  it("runs one function to all its results, and several to the first of each", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(loop:run { function() return 1, nil, 3 end }))
    assert.same({ "a", nil, "c", n = 3 }, table.pack(loop:run {
      function() return "a", "b" end, function() end, function() return "c" end }))
  end)

  it("sleeps side by side, not one after another", function()
    local order = {}
    loop:run {
      function() loop:sleep(3) order[#order + 1] = "c" end,
      function() loop:sleep(1) order[#order + 1] = "a" end,
      function() loop:sleep(2) order[#order + 1] = "b" end,
    }
    assert.same({ "a", "b", "c" }, order)
    assert.equal(3, clock.total())
  end)

  it("keeps many timers in order", function()
    local order, functions = {}, {}
    for i = 1, 200 do
      local pause = (i * 7919) % 211
      functions[i] = function() loop:sleep(pause) order[#order + 1] = pause end
    end
    loop:run(functions)
    for i = 2, #order do assert.is_true(order[i - 1] <= order[i]) end
    assert.equal(200, #order)
  end)

  it("sleeps outside tasks, too, and lets spawned ones move on", function()
    local events = {}
    loop:spawn(function() loop:sleep(1) events[#events + 1] = "task" end)
    loop:sleep(2)
    assert.same({ "task" }, events)
    assert.equal(2, clock.total())
  end)

  it("waits in a run for what was spawned in it", function()
    local done = false
    loop:run { function() loop:spawn(function() loop:sleep(5) done = true end) end }
    assert.is_true(done)
  end)

  it("joins: all results, or the error as it was raised", function()
    loop:run { function()
      local task = loop:spawn(function() loop:sleep(1) return 1, 2 end)
      assert.same({ 1, 2, n = 2 }, table.pack(task:join()))
      assert.same({ 1, 2, n = 2 }, table.pack(task:join()))
      local thrown = {}
      local failing = loop:spawn(function() error(thrown) end)
      local ok, err = pcall(failing.join, failing)
      assert.is_false(ok)
      assert.equal(thrown, err)
    end }
  end)

  it("joins from outside a task", function()
    local task = loop:spawn(function() loop:sleep(1) return "x" end)
    assert.equal("x", task:join())
  end)

  it("raises an error unchanged, and ends the others: their scopes close", function()
    local events, thrown = {}, setmetatable({}, { __tostring = function() return "mine" end })
    local ok, err = pcall(loop.run, loop, {
      function()
        local _ <close> = scope(events, "first closed")
        loop:sleep(100)
        events[#events + 1] = "never"
      end,
      function() loop:sleep(1) error(thrown) end,
    })
    assert.is_false(ok)
    assert.equal(thrown, err)
    assert.same({ "first closed" }, events)
    assert.equal(1, clock.total())
  end)

  it("closes the scopes of the task that failed", function()
    local events = {}
    assert.has_error(function()
      loop:run { function()
        local _ <close> = scope(events, "closed")
        loop:sleep(1)
        error "x"
      end }
    end)
    assert.same({ "closed" }, events)
  end)

  it("names the place of an error", function()
    local _, err = pcall(loop.run, loop, { function() error "here" end })
    assert.matches("scheduler_spec%.lua:%d+: here", err)
  end)

  it("raises the error of a task that nobody joined, at the end of the run or in the step", function()
    local _, err = pcall(loop.run, loop, { function() loop:spawn(function() error "lonely" end) end })
    assert.matches("lonely", err)
    loop:spawn(function() error "outside" end)
    _, err = pcall(loop.step, loop, 0)
    assert.matches("outside", err)
    assert.is_false(loop:step(0))
  end)

  it("rests in a blocking call, though there is an error to be told", function()
    local turns, step = 0, clock.step
    function clock.step(...)
      turns = turns + 1
      assert(turns < 100, "it turns and turns")
      return step(...)
    end
    loop:spawn(function() error("lonely", 0) end)
    loop:sleep(2)
    assert.equal(2, clock.total())
    assert.error_matches(function() loop:step(10) end, "lonely")
    assert.equal(2, clock.total())
  end)

  it("closes all tasks of a run though memory is short, and says so", function()
    local events = {}
    local function sleep(name)
      local _ <close> = scope(events, name)
      loop:sleep(1)
      events[#events + 1] = "went on"
    end
    -- As it fails when there is no memory: at whatever it would make.
    local make_ready = loop.make_ready
    local ok, problem = pcall(loop.run, loop, { function() sleep "first" end, function() sleep "second" end, function()
      function loop.make_ready() error("not enough memory", 0) end
      error "no luck"
    end })
    loop.make_ready = make_ready
    assert.is_false(ok)
    assert.equal("not enough memory", problem)
    loop:sleep(2)
    table.sort(events)
    assert.same({ "first", "second" }, events)
  end)

  it("lets a task be joined after it failed", function()
    loop:run { function()
      local task = loop:spawn(function() error "late" end)
      loop:sleep(1)
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.matches("late", err)
    end }
  end)

  it("cancels a task where it waits, and tells who joins it", function()
    local events = {}
    loop:run { function()
      local task = loop:spawn(function()
        local _ <close> = scope(events, "closed")
        loop:sleep(100)
      end)
      loop:sleep(1)
      task:cancel()
      assert.same({ "closed" }, events)
      task:cancel()
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
      assert.is_true(error_value.is(err))
    end }
    assert.equal(1, clock.total())
  end)

  it("cancels one that has not begun, and leaves one that has ended", function()
    loop:run { function()
      local begun = false
      local task = loop:spawn(function() begun = true end)
      task:cancel()
      loop:sleep(1)
      assert.is_false(begun)
      local ended = loop:spawn(function() return 7 end)
      loop:sleep(1)
      ended:cancel()
      assert.equal(7, ended:join())
    end }
  end)

  it("tells who waits when one is cancelled by another", function()
    loop:run { function()
      local task = loop:spawn(function() loop:sleep(100) end)
      loop:spawn(function() loop:sleep(1) task:cancel() end)
      assert.is_false((pcall(task.join, task)))
    end }
    assert.equal(1, clock.total())
  end)

  it("nests runs", function()
    assert.equal(3, loop:run { function()
      local a, b = loop:run { function() loop:sleep(2) return 1 end, function() loop:sleep(1) return 2 end }
      return a + b
    end })
    assert.equal(2, clock.total())
  end)

  it("ends a nested run with the task that it is in", function()
    local events = {}
    loop:run { function()
      local task = loop:spawn(function()
        loop:run { function()
          local _ <close> = scope(events, "inner closed")
          loop:sleep(100)
        end }
      end)
      loop:sleep(1)
      task:cancel()
    end }
    assert.same({ "inner closed" }, events)
  end)

  it("leaves the user's own coroutines alone", function()
    local seen = {}
    loop:run { function()
      local generator = coroutine.wrap(function()
        for i = 1, 3 do
          loop:sleep(1)
          coroutine.yield(i)
        end
      end)
      for i in generator do seen[#seen + 1] = i end
    end }
    assert.same({ 1, 2, 3 }, seen)
    assert.equal(3, clock.total())
  end)

  it("runs no other task's code while one blocks in a coroutine of its own", function()
    local events = {}
    loop:run {
      function()
        loop:sleep(1)
        coroutine.wrap(function() loop:sleep(5) end)()
        events[#events + 1] = "blocked till " .. clock.total()
      end,
      function() loop:sleep(2) events[#events + 1] = "other at " .. clock.total() end,
    }
    assert.same({ "blocked till 6.0", "other at 6.0" }, events)
  end)

  it("says clearly that a task may not yield by itself", function()
    local _, err = pcall(loop.run, loop, { function() coroutine.yield(1) end })
    assert.matches("a task may not yield by itself", err)
  end)

  it("tells an event loop how long it may sleep", function()
    assert.is_nil(select(2, loop:fds()))
    loop:spawn(function() loop:sleep(3) end)
    assert.equal(0, select(2, loop:fds()))
    loop:step(0)
    assert.equal(3, select(2, loop:fds()))
    loop:step(10)
    assert.equal(3, clock.total())
    assert.is_false(loop:step(0))
  end)

  it("may be stepped from inside a task without harm", function()
    loop:run { function() loop:step(0) end }
  end)

  it("blocks, rather than yields, below a C function", function()
    loop:run { function()
      assert.equal("xx", (("ab"):gsub(".", function() loop:sleep(1) return "x" end)))
      local list = { 3, 1, 2 }
      table.sort(list, function(a, b) loop:sleep(1) return a < b end)
      assert.same({ 1, 2, 3 }, list)
    end }
  end)

  it("keeps the first error when a closing variable waits, too", function()
    local events = {}
    local _, err = pcall(loop.run, loop, { function()
      local _ <close> = setmetatable({}, { __close = function() loop:sleep(1) events[1] = "cleaned up" end })
      error "first"
    end })
    assert.matches("first", err)
    assert.same({ "cleaned up" }, events)
  end)

  it("sleeps for no time at all, anywhere", function()
    loop:sleep(0)
    loop:sleep(1e-9)
    loop:run { function()
      loop:sleep(0)
      coroutine.wrap(function() loop:sleep(0) end)()
    end }
  end)

  it("says so when a wait could never end", function()
    for _, wait in ipairs {
      function(task) task:join() end,
      function() loop:run { function() loop:sleep(1) end } end,
    } do
      local ok, err = pcall(loop.run, loop, { function()
        local task = loop:spawn(function() loop:sleep(1) end)
        coroutine.wrap(function() wait(task) end)()
      end })
      assert.is_false(ok)
      assert.matches("could never end", err)
    end
    local a, b
    local ok, err = pcall(loop.run, loop, { function()
      a = loop:spawn(function() b:join() end)
      b = loop:spawn(function() a:join() end)
    end })
    assert.is_false(ok)
    assert.matches("all tasks wait for each other", err)
  end)

  it("may be cancelled by a task of its own: all the others end, too", function()
    local events = {}
    local parent
    loop:run { function()
      parent = loop:spawn(function()
        loop:run {
          function() loop:sleep(1) parent:cancel() events[#events + 1] = "canceller goes on" end,
          function()
            local _ <close> = scope(events, "sibling closed")
            loop:sleep(100)
          end,
        }
      end)
      pcall(parent.join, parent)
    end }
    table.sort(events)
    assert.equal("sibling closed", events[#events])
    assert.is_true(clock.total() < 50)
    assert.is_false(loop:step(0))
  end)

  it("takes tasks whose closers cancel each other", function()
    local a, b
    loop:run { function()
      a = loop:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() b:cancel() end })
        loop:sleep(100)
      end)
      b = loop:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() a:cancel() end })
        loop:sleep(100)
      end)
      loop:sleep(1)
      a:cancel()
    end }
    assert.equal(1, clock.total())
  end)

  it("does not lose an error because the one who joined was cancelled", function()
    local _, err = pcall(loop.run, loop, { function()
      local failing = loop:spawn(function() loop:sleep(2) error "not lost" end)
      local joiner = loop:spawn(function() failing:join() end)
      loop:sleep(1)
      joiner:cancel()
    end })
    assert.matches("not lost", err)
  end)

  it("looks in a step for what a failed one has lost, though nothing else goes on", function()
    local request, events, close = { owner = function() end }, {}, coroutine.close
    function request.finished() return request.over end
    local own_clock = { now = clock.now }
    local own = loop_module.new({ running = function() return request.over and 0 or 1 end }, own_clock)
    local function fail() error("not enough memory", 0) end
    function own_clock.step()
      request.over, own.make_ready, coroutine.close = true, fail, fail -- luacheck: ignore
      fail()
    end
    assert.is_false((pcall(own.run, own, { function()
      local _ <close> = scope(events, "closed")
      own:await(request)
    end })))
    own.make_ready, coroutine.close = nil, close -- luacheck: ignore
    function own_clock.step() return 0, {} end
    assert.same({}, events)
    own:step(0)
    assert.same({ "closed" }, events)
  end)

  it("does not sleep in a step when there is nothing to do", function()
    assert.is_false(loop:step(10))
    assert.equal(0, clock.total())
  end)

  it("gives an event loop of its own to each", function()
    local other = loop_module.new(session, clock)
    assert.equal("x", loop:run { function() return other:run { function() other:sleep(1) return "x" end } end })
  end)
end)
