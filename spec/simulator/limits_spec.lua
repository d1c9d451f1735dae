-- How much a tenant lets itself be asked.

local core = require "zuora.core"
local http = require "spec.simulator.http"
local simulator = require "zuora.simulator"

describe("simulated limits", function()
  local caller

  local function open(settings, connections)
    if caller then caller:close() end
    caller = http.open(settings, connections)
    caller:bearer()
    caller.sim:forward(60 - os.time() % 60) -- a new minute, with time until the next
  end
  after_each(function()
    caller:close()
    caller = nil
  end)

  local function get(path) return caller:ask("GET", path or "/v1/files/x", caller:bearer()) end
  local function left() return tonumber((select(3, get()))["concurrency-limit-remaining"]) end

  it("are told with the answers of /v1 and /query", function()
    open()
    local status, _, headers = get()
    assert.equal(404, status)
    assert.equal("50000, 50000;w=60, 2250000;w=3600, 27000000;w=86400", headers["ratelimit-limit"])
    assert.equal("49999", headers["ratelimit-remaining"])
    assert.is_true(tonumber(headers["ratelimit-reset"]) > 30)
    assert.same({ "Default", "40", "39" }, { headers["concurrency-limit-type"], headers["concurrency-limit-limit"],
      headers["concurrency-limit-remaining"] })
    assert.equal("49998", select(3, get "/query/jobs")["ratelimit-remaining"])
    assert.is_nil(select(3, get "/reporting/api/rest/v1/reportruns/x")["ratelimit-limit"])
    assert.equal("49996", select(3, get())["ratelimit-remaining"])
    caller.sim:fault { on = "GET *", kind = "status", status = 429, headers = { ["ratelimit-reset"] = "7" } }
    assert.equal("7", select(3, get())["ratelimit-reset"])
  end)

  it("are the token endpoint's own there", function()
    open { requests_per_minute = 1 }
    for i = 1, 3 do
      local status, _, headers = caller:ask("POST", "/oauth/token", { ["Content-Type"] = "application/x-www-form-urlencoded" },
        ("client_id=%s&client_secret=%s&grant_type=client_credentials"):format(caller.sim.client_id,
          core.escape(caller.sim.client_secret)))
      assert.equal(200, status)
      assert.equal("100", headers["x-ratelimit-limit-minute"])
      assert.equal(tostring(100 - i), headers["x-ratelimit-remaining-minute"])
      assert.is_nil(headers["ratelimit-limit"])
    end
    assert.equal(404, (get()))
  end)

  it("are for a minute", function()
    open { requests_per_minute = 3 }
    for _ = 1, 3 do assert.equal(404, (get())) end
    for _, path in ipairs { "/v1/files/x", "/reporting/api/rest/v1/reportruns/x" } do
      local status, body, headers = get(path)
      assert.equal(429, status)
      assert.is_nil(body.success)
      assert.equal(70, body.reasons[1].code)
      local seconds = tonumber(body.reasons[1].message:match "^API Rate limit exceeded for the minute, retry after (%d+) seconds$")
      assert.equal(seconds, tonumber(headers["ratelimit-reset"]))
      assert.equal("0", headers["ratelimit-remaining"])
      assert.matches("^3, 3;w=60,", headers["ratelimit-limit"])
    end
    caller.sim:forward(61)
    assert.equal(404, (get()))
  end)

  -- Requests that begin and are answered late, or never.
  local function begin(count, fault)
    fault.on, fault.times = "GET /v1/files/slow", count
    caller.sim:fault(fault)
    local requests = {}
    local before = #caller.sim:journal()
    for i = 1, count do requests[i] = caller:start("GET", "/v1/files/slow", caller:bearer()) end
    local ends_at = core.now() + 5
    repeat caller.session:step(0.02) until #caller.sim:journal() == before + count or core.now() > ends_at
    return requests
  end

  it("are for requests at the same time", function()
    open({ concurrent_requests = 3 }, 10)
    assert.equal(2, left())
    local requests = begin(3, { kind = "delay", seconds = 0.5 })
    local status, body, headers = get()
    assert.equal(429, status)
    assert.equal(50000070, body.reasons[1].code)
    assert.equal("120", headers["retry-after"])
    assert.equal("0", headers["concurrency-limit-remaining"])
    for _, request in ipairs(requests) do
      while not request:finished() do caller.session:step(0.1) end
      assert.equal(404, request:response().status)
    end
    assert.equal(2, left())
  end)

  it("count rightly when connections break", function()
    open({ concurrent_requests = 5 }, 10)
    local function is_free()
      local ends_at = core.now() + 5
      local free
      repeat free = left() until free == 4 or core.now() > ends_at
      assert.equal(4, free)
    end
    for _, request in ipairs(begin(4, { kind = "stall" })) do
      assert.is_false(request:finished())
      request:cancel()
    end
    is_free()
    for _, kind in ipairs { "cut", "reset", "garbage", "unframed", "length" } do
      for _, request in ipairs(begin(4, { kind = kind, after = kind == "cut" and 3 or nil })) do
        while not request:finished() do caller.session:step(0.1) end
      end
      is_free()
    end
    -- Those who leave in the middle of a delay are let go of when it ends.
    for _, request in ipairs(begin(4, { kind = "delay", seconds = 0.3 })) do request:cancel() end
    assert.equal(0, left())
    is_free()
  end)

  it("can be set, from 1 on", function()
    open()
    for _, bad in ipairs { { requests_per_minute = 0 }, { concurrent_requests = 0 }, { concurrent_requests = "40" } } do
      assert.has_error(function() simulator.open(bad) end)
    end
  end)
end)
