-- A pause that Zuora asks for (429 or 503 with Retry-After) is no outage: nothing goes to that host meanwhile, and
-- nothing fails that has the time.

local core = require "zuora.core"
local support = require "spec.support"

describe("a pause that the server asks for", function()
  local sim, job

  setup(function()
    sim = support.simulator { looks = 1000, concurrent_requests = 1000 }
    local client <close> = support.client(sim)
    job = assert(client.jobs:submit { queries = { "select Id from Account" } }).id
  end)
  teardown(function() sim:stop() end)
  after_each(function() sim:heal() end)

  -- A client that has its token.
  local function quick(options, other)
    local client, clock = support.quick_client(other or sim, options)
    assert(client.reportruns:list())
    sim:forget()
    return client, clock
  end

  local function refuse(times, seconds, status, on)
    sim:fault { on = on or "GET *", kind = "status", status = status or 429, times = times,
      headers = { ["Retry-After"] = tostring(seconds) } }
  end

  local function sent() return #support.sent(sim, "GET", "/v1/batch-query/") end

  -- So many tasks at once, of which none may fail.
  local function many(client, count)
    local items = {}
    for i = 1, count do items[i] = job end
    return assert(client:map(items, function(id) return client.jobs:get(id) end, { concurrency = count }))
  end

  it("is waited for by fifty tasks", function()
    local client <close>, clock = quick()
    refuse(40, 3)
    many(client, 50)
    assert.equal(3, clock.total())
    assert.equal(90, sent())
  end)

  it("may come again and again: a thousand tasks, and five seconds of it", function()
    local client <close>, clock = quick()
    refuse(5 * 40, 1) -- what is in flight is refused each time, and no more
    many(client, 1000)
    assert.equal(5, clock.total())
    assert.equal(1000 + 5 * 40, sent())
    -- And then of an outage the bucket is as full as ever.
    local failed = 0
    sim:fault { on = "GET *", kind = "status", status = 503, times = "always" }
    client.jobs:get(job)
    sim:heal()
    refuse(1, 1)
    if not client.jobs:get(job) then failed = failed + 1 end
    assert.equal(0, failed)
  end)

  it("is kept in real time", function()
    local client <close> = support.client(sim)
    assert(client.reportruns:list())
    sim:forget()
    refuse("always", 1)
    client:spawn(function()
      client:sleep(1.5)
      sim:heal()
    end)
    local began = core.now()
    many(client, 50)
    local took = core.now() - began
    assert.is_true(took >= 2 and took < 4, took)
    assert.is_true(sent() <= 50 + 2 * 40, sent())
  end)

  it("holds every call to that host, the token's too, and to no other", function()
    local other <close> = support.simulator()
    local client <close>, clock = support.quick_client(sim, { username = sim.username, password = sim.password,
      reporting_url = other.url .. "/reporting/api/rest/v1" })
    assert(client.jobs:get(job))
    refuse(1, 30)
    local began = clock.at
    client:run(function() assert(client.jobs:get(job)) end, function()
      client:sleep(1)
      client.reportruns:list() -- another host
      assert.equal(began + 1, clock.at)
      assert(client.queries:list())
      assert.equal(began + 30, clock.at)
    end)
    local fresh <close>, time = support.quick_client(sim)
    refuse(1, 30, 429, "POST /oauth/token")
    assert(fresh.jobs:get(job))
    assert.equal(30, time.total())
  end)

  it("fails at once whoever has not the time for it, with retry_after", function()
    local client <close>, clock = quick()
    refuse(1, 60)
    client:run(function()
      assert(client.jobs:get(job))
      assert.equal(60, clock.total())
    end, function()
      client:sleep(2.5)
      local before = sent()
      local found, err = client.jobs:get(job, { total_timeout = 20 })
      assert.is_nil(found)
      assert.equal("timeout", err.kind)
      assert.equal(58, err.retry_after)
      assert.is_true(err.retryable)
      assert.matches("has asked for a pause", err.message)
      assert.equal(2.5, clock.total())
      assert.equal(before, sent())
      local _, lost = client.jobs:submit { queries = { "select Id from Account" }, total_timeout = 20 }
      assert.equal(58, lost.retry_after)
      assert.is_nil(lost.unknown_outcome)
    end)
    refuse(1, 60)
    local _, err = client.jobs:get(job, { total_timeout = 20 })
    assert.equal(429, err.status)
    assert.equal(60, err.retry_after)
  end)

  it("fails those who wait for a slot, too", function()
    local client <close>, clock = quick { concurrency_limit = 1 }
    refuse(1, 60)
    local errors = 0
    client:map({ 1, 2, 3, 4 }, function(i)
      local _, err = client.jobs:get(job, { total_timeout = i == 4 and 100 or 20 })
      if err then
        assert.equal(60, err.retry_after)
        assert.equal(0, clock.total())
        errors = errors + 1
      end
      return true
    end)
    assert.equal(3, errors)
    assert.equal(60, clock.total())
  end)

  it("holds the others, where the call itself may not be sent again", function()
    local client <close>, clock = quick()
    refuse(1, 10, 503, "POST /v1/batch-query")
    local _, err = client.jobs:submit { queries = { "select Id from Account" } }
    assert.equal(503, err.status)
    assert.equal(0, clock.total())
    assert(client.jobs:get(job))
    assert.equal(10, clock.total())
  end)

  it("costs no retry, but with retries = 0 the answer is the answer", function()
    local client <close>, clock = quick { retries = 1 }
    refuse(5, 1)
    assert(client.jobs:get(job))
    assert.equal(5, clock.total())
    refuse(1, 1)
    local _, err = client.jobs:get(job, { retries = 0 })
    assert.equal(429, err.status)
    assert.equal(1, err.attempts)
  end)

  it("has an end: the deadline, and for a download the client's", function()
    local client <close>, clock = quick { total_timeout = 50 }
    refuse("always", 2)
    local _, err = client.jobs:get(job)
    assert.equal(2, err.retry_after)
    assert.is_true(clock.total() > 44 and clock.total() <= 50, clock.total())
    local began = clock.at
    _, err = client.files:download("x", support.scratch "admission" .. "/x")
    assert.equal(429, err.status)
    assert.is_true(clock.at - began > 44 and clock.at - began <= 54, clock.at - began)
  end)

  it("is no longer than is waited for, and not for ever", function()
    local client <close>, clock = quick()
    refuse(1, 3000)
    assert.equal(3000, select(2, client.jobs:get(job)).retry_after)
    assert.equal(3000, select(2, client.jobs:get(job)).retry_after)
    assert.equal(0, clock.total())
    assert.equal(1, sent())
    clock.at = clock.at + 3001
    refuse(1, 99999999)
    client.jobs:get(job)
    clock.at = clock.at + 3601
    assert(client.jobs:get(job))
  end)

  it("of no time is none", function()
    local client <close>, clock = quick({ retries = 3 })
    refuse("always", 0)
    local _, err = client.jobs:get(job)
    assert.equal(4, err.attempts)
    assert.equal(1 + 2 + 4, clock.total())
  end)

  it("is waited for by who waits for a job", function()
    local client <close>, clock = quick()
    refuse(1, 100)
    local waited, err = client.jobs:wait(job, { timeout = 90 })
    assert.is_nil(waited)
    assert.equal("timeout", err.kind)
    assert.equal(90, clock.total())
    assert.equal(1, sent())
  end)
end)
