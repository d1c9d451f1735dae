local limits = require "zuora.caller.rate"
local support = require "spec.support"

local SAMPLE = "2250000, 50000;w=60, 2250000;w=3600, 27000000;w=86400"

describe("zuora.caller.rate", function()
  local at, all

  before_each(function()
    at = 1000
    all = limits.new(function() return at end, 0.1)
  end)

  -- What is noted of a response with these headers.
  local function note(headers, noted)
    function headers:header(...)
      local names, values = table.pack(...), {}
      for i, name in ipairs(names) do values[i] = self[name] end
      return table.unpack(values, 1, names.n)
    end
    (noted or all):note(headers)
  end

  local function said(limit, remaining, reset)
    note { ["ratelimit-limit"] = limit, ["ratelimit-remaining"] = remaining, ["ratelimit-reset"] = reset }
  end

  it("knows nothing before it is told", function()
    assert.same({}, all:view())
    assert.equal(0, all:pause())
  end)

  it("reads the headers as Zuora's sample has them", function()
    said(SAMPLE, "2249999", "1234")
    note { ["concurrency-limit-type"] = "Default", ["concurrency-limit-limit"] = "40",
      ["concurrency-limit-remaining"] = "38" }
    note { ["x-ratelimit-limit-minute"] = "100", ["x-ratelimit-remaining-minute"] = "99" }
    at = 1005
    assert.same({
      rate = { limit = 2250000, remaining = 2249999, reset = 1234, window = 3600, age = 5,
        quotas = { [60] = 50000, [3600] = 2250000, [86400] = 27000000 } },
      concurrency = { type = "Default", limit = 40, remaining = 38, age = 5 },
      authentication = { limit = 100, remaining = 99, age = 5 },
    }, all:view())
  end)

  it("takes a limit that two windows share for the shorter one's", function()
    said("100, 100;w=3600, 100;w=60, 100;w=86400", "0", "30")
    assert.equal(60, all:view().rate.window)
  end)

  it("reads them with work that grows with their length", function()
    for _, make in ipairs { function(count) return "100, " .. ("1"):rep(count) end,
      function(count) return "100, 1" .. (" "):rep(count) end, function(count) return "100, " .. ("1;w="):rep(count) end,
      function(count) return "100, 1;w" .. (" "):rep(count) end, function(count) return "100" .. (" 1 ;"):rep(count) end } do
      support.assert_linear(function(text)
        note({ ["ratelimit-limit"] = text, ["ratelimit-remaining"] = "1" }, limits.new(function() return 0 end, 0.1))
      end, make, 100000)
    end
  end)

  it("keeps what it knows when an answer says nothing, or nonsense", function()
    said("50;w=60", "7", "30")
    note { ["x-ratelimit-limit-minute"] = "100", ["x-ratelimit-remaining-minute"] = "99" }
    note {}
    said("many", "7", "30")
    said("50;w=60", "-1", "30")
    assert.equal(7, all:view().rate.remaining)
    assert.equal(99, all:view().authentication.remaining)
  end)

  it("spreads requests over the minute when less than the reserve is left", function()
    said("100, 100;w=60", "11", "30")
    assert.equal(0, all:pause())
    said("100, 100;w=60", "10", "30")
    local pauses = {}
    for i = 1, 4 do pauses[i] = all:pause() end
    assert.equal(0, pauses[1])
    assert.equal(3, pauses[2])
    assert.is_true(math.abs(pauses[3] - 5.7) < 1e-9 and math.abs(pauses[4] - 8.13) < 1e-9)
    at = 1030
    assert.equal(0, all:pause())
  end)

  it("waits for the next minute when nothing is left", function()
    said("100, 100;w=60", "0", "30")
    assert.equal(30, all:pause())
    at = 1020
    assert.equal(10, all:pause())
    at = 1031
    assert.equal(0, all:pause())
  end)

  it("believes no minute that is longer than one", function()
    for _, reset in ipairs { "100000", "1790000000" } do
      said("100, 100;w=60", "0", reset)
      assert.equal(60, all:pause())
    end
  end)

  it("begins a row anew when the minute ends sooner than it seemed", function()
    said("100, 100;w=60", "1", "50")
    all:pause()
    all:pause()
    said("100, 100;w=60", "3", "30")
    assert.equal(0, all:pause())
    assert.equal(10, all:pause())
  end)

  it("reads windows beyond all measure for none, and shows a copy of the others", function()
    said("100, 100;w=99999999999999999999, 100;w=60", "5", "30")
    local view = all:view()
    assert.same({ [60] = 100 }, view.rate.quotas)
    view.rate.quotas[60] = 1
    assert.same({ [60] = 100 }, all:view().rate.quotas)
  end)

  -- Of the shortest of some runs, so that what else the machine does is left out.
  local function seconds(text)
    local shortest = math.huge
    for _ = 1, 5 do
      local began = os.clock()
      for _ = 1, 5 do
        said("100, " .. text, "5", text)
        said("100", text, "30")
      end
      shortest = math.min(shortest, os.clock() - began)
    end
    return shortest
  end

  it("reads any header with work that grows with its length", function()
    for _, piece in ipairs { "1", " ", "1 ", "1;", "1;w", "1 ; w ", "1;w=", "1;w=1", ",", "1,", "1; ;", "1;w=1;" } do
      for _, last in ipairs { "", ",", "x", ", 100;w=60" } do
        -- Four times as much: linear is 4, quadratic 16.
        local short, long = seconds("1" .. piece:rep(1000) .. last), seconds("1" .. piece:rep(4000) .. last)
        assert.is_true(long < 9 * short + 1e-3, ("%s…%s: %g s, then %g s"):format(piece, last, short, long))
      end
    end
  end)

  it("does not wait for an hour or a day to pass", function()
    said("100, 1000;w=60, 100;w=3600", "0", "1800")
    assert.equal(0, all:pause())
  end)

  it("holds a host for the longest pause that it has asked for, but no longer than an hour", function()
    assert.equal(0, all:held "a")
    all:hold("a", 30)
    all:hold("a", 10)
    all:hold("b", 1e9)
    assert.equal(30, all:held "a")
    assert.equal(3600, all:held "b")
    at = 1025
    assert.equal(5, all:held "a")
    at = 1031
    assert.equal(0, all:held "a")
    assert.equal(0, all:held "c")
  end)

  it("does not wait when it is told not to", function()
    all = limits.new(function() return at end, 0)
    said("100, 100;w=60", "0", "30")
    assert.equal(0, all:pause())
  end)
end)

describe("client:limits", function()
  local sim
  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  local function limited(remaining)
    sim:fault { on = "GET /v1/batch-query/jobs/x", kind = "status", status = 404, times = 2, headers = {
      ["RateLimit-Limit"] = "100, 100;w=60", ["RateLimit-Remaining"] = remaining, ["RateLimit-Reset"] = "30" } }
  end

  it("gives what the last answers said", function()
    local client <close> = support.client(sim)
    assert.is_nil(client:limits().rate)
    limited "50"
    client.jobs:get "x"
    assert.equal(50, client:limits().rate.remaining)
    assert.is_true(client:limits().rate.age < 10)
  end)

  it("slows the client down by itself, and never beyond a call's deadline", function()
    local lines = {}
    local client <close>, clock = support.quick_client(sim, { log = function(line) lines[#lines + 1] = line end })
    limited "0"
    client.jobs:get "x"
    assert.equal(0, clock.total())
    client.jobs:get("x", { total_timeout = 5 })
    assert.equal(0, clock.total())
    client.jobs:get "x"
    assert.equal(30, clock.total())
    assert.matches("little is left of this minute's requests; sent in 30%.00 s", table.concat(lines, "\n"))
  end)

  it("takes the pause off the call's deadline, a token's fetching included", function()
    local short <close> = support.simulator { token_life = 30 }
    local client <close>, clock = support.quick_client(short)
    short:fault { on = "GET /v1/batch-query/jobs/x", kind = "status", status = 404, headers = {
      ["RateLimit-Limit"] = "100, 100;w=60", ["RateLimit-Remaining"] = "0", ["RateLimit-Reset"] = "55" } }
    client.jobs:get "x"
    short:fault { on = "POST /oauth/token", kind = "status", status = 503, times = "always" }
    local _, err = client.jobs:get("x", { total_timeout = 56 })
    assert.matches("^no token", err.message)
    assert.is_true(clock.total() <= 57, clock.total())
  end)

  it("leaves it alone when asked to", function()
    local client <close>, clock = support.quick_client(sim, { rate_reserve = 0 })
    limited "0"
    client.jobs:get "x"
    client.jobs:get "x"
    assert.equal(0, clock.total())
  end)
end)
