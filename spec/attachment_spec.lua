-- What the event loops have in common; each of them has a spec of its own.

local attachment = require "zuora.loops.attachment"
local support = require "spec.support"

describe("an attachment", function()
  local sim, client, woken, stopped

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function()
    woken, stopped = 0, 0
    client = support.client(sim)
  end)
  after_each(function() client:close() end)

  local function attach(on_error)
    return attachment.new(client, on_error, function() woken = woken + 1 end, function() stopped = stopped + 1 end)
  end

  it("wakes the loop for what comes from outside of a turn, and not for what comes in one", function()
    local attached = attach()
    assert.same({ {} }, { attached:turn() })
    client:spawn(function()
      client:spawn(function() client:sleep(1000) end)
      client:sleep(0)
    end)
    assert.equal(1, woken)
    local _, seconds = attached:turn()
    assert.is_number(seconds)
    assert.equal(1, woken)
  end)

  it("wakes the loop when a call outside of tasks moves things on, which may close what is waited for", function()
    attach()
    assert(client.reportruns:list())
    assert.is_true(woken > 0)
  end)

  it("is over once, by itself or when the client is closed", function()
    local attached = attach()
    attached:detach()
    attached:detach()
    assert.equal(1, stopped)
    client:spawn(function() end)
    assert.equal(0, woken)
    attach()
    client:close()
    assert.equal(2, stopped)
  end)

  it("is over for a client that is closed where it is told of an error", function()
    local attached = attach(function() client:close() end)
    client:spawn(function() error "no luck" end)
    assert.same({ {} }, { attached:turn() })
    assert.equal(1, stopped)
  end)

  it("says on the error stream what failed, where nobody is to be told", function()
    local text = support.lua [[require "zuora.loops.attachment".report(setmetatable({}, { __tostring = function() return "why" end }))]]
    assert.equal("zuora: a task has failed: why\n", text)
  end)
end)
