-- Whose code is running, and in the midst of what.

local core = require "zuora.core"
local schedulers = require "zuora.tasks.scheduler"
local support = require "spec.support"

describe("zuora.tasks.running", function()
  local session, scheduler

  before_each(function()
    session = core.session {}
    scheduler = schedulers.new(session, support.clock())
  end)
  after_each(function() session:close() end)

  -- The task that runs, and the one that could wait here.
  local function here() return scheduler:active(), (scheduler:in_task()) end

  it("knows the task, in coroutines and below C functions, too, where it cannot wait", function()
    assert.same({}, { here() })
    scheduler:run { function()
      local task, waits = here()
      assert.is_table(task)
      assert.equal(task, waits)
      local inner = coroutine.wrap(function()
        assert.same({ task }, { here() })
        coroutine.yield()
      end)
      inner()
      assert.equal("y", (("x"):gsub("x", function()
        assert.same({ task }, { here() })
        return "y"
      end)))
    end }
    assert.same({}, { here() })
  end)

  it("knows a task by what it closes when it is cancelled", function()
    local task, closed
    task = scheduler:spawn(function()
      local _ <close> = setmetatable({}, { __close = function() closed = here() end })
      scheduler:sleep(1e6)
    end)
    scheduler:step(0)
    task:cancel()
    assert.equal(task, closed)
  end)

  it("says the main coroutine from others", function()
    local main, other
    local thread = coroutine.create(function() other = select(2, scheduler:in_task()) end)
    coroutine.resume(thread)
    assert.is_false(other)
    main = select(2, coroutine.running())
    assert.equal(main, (select(2, scheduler:in_task())))
  end)

  it("knows who started a task, and when", function()
    local before = scheduler:tick()
    scheduler:run { function()
      local outer = scheduler:context()
      local between = scheduler:tick()
      local inner = scheduler:spawn(function()
        local lineage, own = scheduler:lineage(), scheduler:context()
        assert.equal(math.huge, lineage[own])
        assert.is_true(lineage[outer] > between)
        assert.is_true(lineage[scheduler.outside] > before and lineage[scheduler.outside] < between)
      end)
      inner:join()
    end }
  end)
end)
