local error_value = require "zuora.error"
local wait = require "zuora.tasks.wait"

describe("zuora.tasks.wait", function()
  local clock

  before_each(function()
    clock = { at = 0, slept = {}, random = function() return 1 end }
    function clock.now() return clock.at end
    function clock.sleep(seconds)
      clock.at = clock.at + seconds
      clock.slept[#clock.slept + 1] = seconds
    end
  end)

  local function verdict(record)
    if record.status == "done" then return "completed" end
    if record.status == "bad" then return "failed", "went bad: why" end
    if record.status == "off" then return "cancelled", "was cancelled" end
  end

  -- Statuses are given in turn, the last for ever; an error is returned as one.
  local function settle(statuses, options)
    local polls, lefts = 0, {}
    local record, err = wait.settle({
      label = "job 42",
      verdict = function(_, record) return verdict(record) end,
      poll = function(_, left)
        polls = polls + 1
        lefts[polls] = left
        local status = statuses[math.min(polls, #statuses)]
        if type(status) == "table" then return nil, status end
        return { status = status }
      end,
    }, options or {}, clock)
    return record, err, polls, lefts
  end

  it("polls at once, and sleeps not at all when all is done", function()
    local record, err, polls = settle { "done" }
    assert.equal("done", record.status)
    assert.is_nil(err)
    assert.equal(1, polls)
    assert.same({}, clock.slept)
  end)

  it("polls less and less often, up to the longest pause", function()
    settle({ "x", "x", "x", "x", "x", "done" }, { min = 1, max = 4, factor = 2 })
    assert.same({ 1, 2, 4, 4, 4 }, clock.slept)
  end)

  it("draws the pause from the shortest to the present one", function()
    clock.random = function() return 0.5 end
    settle({ "x", "x", "x", "done" }, { min = 1, max = 10, factor = 3 })
    assert.same({ 1, 2, 5 }, clock.slept)
    clock.slept = {}
    settle({ "x", "x", "x", "done" }, { min = 1, max = 10, factor = 3, jitter = false })
    assert.same({ 1, 3, 9 }, clock.slept)
  end)

  it("shortens the last pause to look once more at the deadline, then says so", function()
    local record, err, polls, lefts = settle({ "slow" }, { timeout = 5, min = 3, max = 3 })
    assert.is_nil(record)
    assert.equal("timeout", err.kind)
    assert.equal("slow", err.record.status)
    assert.same({ 3, 2 }, clock.slept)
    assert.equal(3, polls)
    assert.same({ 5, 2, 0 }, lefts)
    assert.matches("job 42 had not settled after 5 seconds, last seen as slow", err.message)
    assert.matches("may still be running", err.message)
  end)

  it("polls once when the timeout is 0", function()
    local _, err, polls = settle({ "slow" }, { timeout = 0 })
    assert.equal("timeout", err.kind)
    assert.equal(1, polls)
  end)

  it("finds what settles at the deadline", function()
    assert.equal("done", settle({ "x", "done" }, { timeout = 1, min = 5 }).status)
  end)

  it("never asks without a pause", function()
    settle({ "x", "x", "done" }, { min = 0, max = 0 })
    assert.same({ 0.01, 0.01 }, clock.slept)
  end)

  it("ends the pauses of waits that began nearly together at the same time, and never too soon", function()
    local ends = {}
    for i = 1, 100 do
      clock.at, clock.slept = 1000 + i * 0.01, {}
      local began = clock.at
      settle({ "x", "done" }, { min = 10, max = 10 })
      assert.is_true(clock.slept[1] >= 10 and clock.slept[1] <= 10 + 10 / 32, clock.slept[1])
      ends[("%.6f"):format(began + clock.slept[1])] = true
    end
    local count = 0
    for _ in pairs(ends) do count = count + 1 end
    assert.is_true(count <= 5, count)
  end)

  it("gives failures and cancellations as errors with the record and the words", function()
    local _, err = settle { "x", "bad" }
    assert.equal("failed", err.kind)
    assert.equal("job 42 went bad: why", err.message)
    assert.equal("bad", err.record.status)
    assert.equal("cancelled", select(2, settle { "off" }).kind)
  end)

  it("waits through a network that is down, and ends at an error that stays", function()
    local down = error_value.new { kind = "transport", message = "no route", retryable = true }
    assert.equal("done", settle({ down, "x", down, "done" }).status)
    local gone = error_value.new { kind = "api", message = "no such job", status = 404 }
    local _, err, polls = settle { "x", gone }
    assert.equal(gone, err)
    assert.equal("x", err.record.status)
    assert.equal(2, polls)
    _, err = settle({ "x", down }, { timeout = 10 })
    assert.equal("timeout", err.kind)
    assert.equal(down, err.cause)
    assert.matches("no route", err.message)
  end)

  it("tells on_poll of each look, and stops when it says so", function()
    local seen = {}
    settle({ "x", "done" }, { min = 2, max = 2, on_poll = function(record, attempt, elapsed)
      seen[#seen + 1] = ("%s %d %g"):format(record.status, attempt, elapsed)
    end })
    assert.same({ "x 1 0", "done 2 2" }, seen)
    local _, err, polls = settle({ "x" }, { on_poll = function(_, attempt) return attempt < 3 end })
    assert.equal("stopped", err.kind)
    assert.equal("x", err.record.status)
    assert.matches("job 42", err.message)
    assert.equal(3, polls)
    assert.equal("done", settle({ "done" }, { on_poll = function() return false end }).status)
  end)

  it("lets an error in on_poll out", function()
    assert.error_matches(function() settle({ "x" }, { on_poll = function() error "mine" end }) end, "mine")
  end)

  it("goes on at a status that nobody has heard of", function()
    assert.equal("done", settle({ "WARMING_UP", "", "done" }).status)
  end)
end)
