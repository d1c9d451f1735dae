local core = require "zuora.core"
local schedulers = require "zuora.tasks.scheduler"
local support = require "spec.support"

describe("a latch", function()
  local session, clock, scheduler

  before_each(function()
    session = core.session {}
    clock = support.clock()
    scheduler = schedulers.new(session, clock)
  end)
  after_each(function() session:close() end)

  it("opens for all who wait", function()
    local latch, woken = scheduler:latch(), 0
    scheduler:run {
      function() latch:wait() woken = woken + 1 end,
      function() latch:wait() woken = woken + 1 end,
      function() scheduler:sleep(3) latch:open() end,
    }
    assert.equal(2, woken)
    assert.is_true(latch:wait())
  end)

  it("is not waited for where that could never end", function()
    local latch = scheduler:latch()
    scheduler:run { function()
      coroutine.wrap(function() assert.is_false(latch:wait()) end)()
    end }
  end)

  it("is waited for so long and no longer", function()
    local latch = scheduler:latch()
    scheduler:run {
      function() assert.is_nil(latch:wait(1)) assert.equal(1, clock.total()) end,
      function() assert.is_true(latch:wait(5)) assert.equal(2, clock.total()) end,
      function() scheduler:sleep(2) latch:open() end,
    }
  end)
end)
