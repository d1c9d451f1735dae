-- One call seen through: what goes over the wire when servers and networks misbehave.

local support = require "spec.support"

local GET = "GET /v1/batch-query/jobs/*"
local START = "POST /reporting/*/reportrun"

describe("a call", function()
  local sim, client, clock, job_id

  setup(function() sim = support.simulator { looks = 1000 } end)
  teardown(function() sim:stop() end)

  local function fresh(options, random)
    if client then client:close() end
    client, clock = support.quick_client(sim, options, random)
  end

  before_each(function()
    sim:heal()
    fresh()
    job_id = assert(client.jobs:submit { queries = { { name = "a", query = "select Id from Account" } } }).id
    sim:forget()
  end)
  after_each(function()
    client:close()
    client = nil
  end)

  local function gets() return support.sent(sim, "GET", "/v1/batch-query/jobs/") end
  local function starts() return support.sent(sim, "POST", "/reporting/api/rest/v1/reports/") end
  local function start(options)
    options = options or {}
    options.view = "Detail"
    return client.reportruns:start(support.REPORT, options)
  end

  for _, status in ipairs { 408, 429, 500, 502, 503, 504 } do
    it("is repeated after HTTP " .. status, function()
      sim:fault { on = GET, kind = "status", status = status, times = 2 }
      assert.equal(job_id, assert(client.jobs:get(job_id)).id)
      assert.equal(3, #gets())
      assert.is_true(clock.total() > 0)
    end)
  end

  for _, status in ipairs { 400, 403, 404, 409, 422, 501, 505 } do
    it("is not repeated after HTTP " .. status, function()
      sim:fault { on = GET, kind = "status", status = status, times = 2 }
      local _, err = client.jobs:get(job_id)
      assert.equal(status, err.status)
      assert.equal(1, err.attempts)
      assert.equal(1, #gets())
      assert.equal(0, clock.total())
    end)
  end

  for _, fault in ipairs {
    { kind = "reset" }, { kind = "cut" }, { kind = "cut", after = 20 }, { kind = "cut", headers_after = 10 },
    { kind = "reset", after = 20 },
  } do
    it(("is repeated when the connection is %s %s"):format(fault.kind,
      fault.after and "in the body" or fault.headers_after and "in the headers" or "at once"), function()
      fault.on, fault.times = GET, 2
      sim:fault(fault)
      assert.equal(job_id, assert(client.jobs:get(job_id)).id)
      assert.equal(3, #gets())
    end)
  end

  it("is repeated as often as is said, and the last error is told", function()
    sim:fault { on = GET, kind = "status", status = 503, times = 99, body = '{"message":"maintenance"}' }
    local _, err = client.jobs:get(job_id)
    assert.equal("api", err.kind)
    assert.equal("maintenance", err.message)
    assert.equal(4, err.attempts)
    assert.equal("jobs.get", err.operation)
    assert.equal(3.5, clock.total())
    sim:forget()
    _, err = client.jobs:get(job_id, { retries = 1 })
    assert.equal(2, err.attempts)
    _, err = client.jobs:get(job_id, { retries = 0 })
    assert.equal(1, err.attempts)
    assert.equal(3, #gets())
  end)

  it("waits as long as Retry-After says", function()
    sim:fault { on = GET, kind = "status", status = 429, headers = { ["Retry-After"] = "42" } }
    assert(client.jobs:get(job_id))
    assert.equal(42, clock.total())
  end)

  it("does not wait longer than is said, and tells how long it should have been", function()
    sim:fault { on = GET, kind = "status", status = 429, headers = { ["Retry-After"] = "9999" } }
    local _, err = client.jobs:get(job_id)
    assert.equal(9999, err.retry_after)
    assert.is_true(err.retryable)
    assert.equal(1, err.attempts)
    assert.equal(0, clock.total())
  end)

  it("ends by its deadline", function()
    sim:fault { on = GET, kind = "status", status = 503, times = 99, headers = { ["Retry-After"] = "40" } }
    local _, err = client.jobs:get(job_id, { total_timeout = 100 })
    assert.equal(503, err.status)
    assert.equal(3, err.attempts)
    assert.equal(80, clock.total())
  end)

  it("says in its error, and in the log, why it was not tried again", function()
    local lines = {}
    fresh { log = function(line) lines[#lines + 1] = line end }
    sim:fault { on = GET, kind = "status", status = 503, times = 2 }
    local _, err = client.jobs:get(job_id, { retries = 1 })
    assert.equal("attempts", err.not_retried)
    assert.matches("^jobs%.get: http: .*; not again: attempts$", lines[#lines])
    sim:fault { on = GET, kind = "status", status = 503, headers = { ["Retry-After"] = "40" } }
    assert.equal("deadline", select(2, client.jobs:get(job_id, { total_timeout = 30 })).not_retried)
    sim:fault { on = GET, kind = "status", status = 404 }
    assert.equal("final", select(2, client.jobs:get(job_id)).not_retried)
    sim:fault { on = "POST /v1/batch-query", kind = "status", status = 503 }
    _, err = client.jobs:submit { queries = { { name = "A", query = "select Id from Account" } } }
    assert.equal("not repeatable", err.not_retried)
    for _, flag in ipairs { "final", "timed_out", "range_total" } do assert.is_nil(err[flag]) end
  end)

  it("tells its own deadline from a slow server", function()
    sim:fault { on = GET, kind = "delay", seconds = 3, times = 2 }
    local _, err = client.jobs:get(job_id, { total_timeout = 0.05 })
    assert.equal("timeout", err.kind)
    _, err = client.jobs:get(job_id, { timeout = 0.05, retries = 0 })
    assert.equal("transport", err.kind)
    assert.equal("OPERATION_TIMEDOUT", err.curl)
    assert.is_true(err.retryable)
  end)

  it("is repeated after Zuora's codes for what passes, HTTP 200 included", function()
    sim:fault { on = GET, kind = "status", status = 200,
      body = '{"success":false,"reasons":[{"code":50000050,"message":"locked"}]}' }
    assert(client.jobs:get(job_id))
    assert.equal(2, #gets())
    sim:fault { on = GET, kind = "status", status = 200, times = 2,
      body = '{"success":false,"reasons":[{"code":50000040,"message":"no"}]}' }
    local _, err = client.jobs:get(job_id)
    assert.equal("50000040", err.code)
    assert.equal(3, #gets())
  end)

  it("is not repeated for JSON that is broken, nor for pages", function()
    sim:fault { on = GET, kind = "status", status = 200, body = '{"id":' }
    assert.equal("json", select(2, client.jobs:get(job_id)).kind)
    sim:fault { on = GET, kind = "status", status = 200, body = "<html><title>Maintenance</title>",
      headers = { ["Content-Type"] = "text/html" } }
    assert.equal("json", select(2, client.jobs:get(job_id)).kind)
    assert.equal(2, #gets())
  end)

  it("that creates something goes out under one key, made once, on a connection of its own", function()
    sim:fault { on = START, kind = "reset", times = 2 }
    local run = assert(start())
    local sent = starts()
    assert.equal(3, #sent)
    local key = sent[1].headers["idempotency-key"]
    assert.matches("^%x+%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$", key)
    assert.equal(36, #key)
    for _, entry in ipairs(sent) do assert.equal(key, entry.headers["idempotency-key"]) end
    assert.not_equal(sent[1].connection, sent[2].connection)
    -- The answer to the first was lost, not the run: there is one.
    assert.equal(1, #assert(client.reportruns:list()))
    assert(run:refresh())
    assert(start())
    assert.not_equal(key, starts()[4].headers["idempotency-key"])
  end)

  it("that creates something takes the user's key", function()
    assert(start { idempotency_key = "mine-1" })
    assert.equal("mine-1", starts()[1].headers["idempotency-key"])
    local again = assert(start { idempotency_key = "mine-1" })
    assert.equal(again.id, assert(start { idempotency_key = "mine-1" }).id)
  end)

  it("that creates something asks under the same key for an answer that could not be read", function()
    sim:fault { on = START, kind = "status", status = 200, body = "<html></html>" }
    assert(start())
    local sent = starts()
    assert.equal(2, #sent)
    assert.equal(sent[1].headers["idempotency-key"], sent[2].headers["idempotency-key"])
  end)

  it("that creates something is repeated after 409 and 429", function()
    sim:fault { on = START, kind = "status", status = 409 }
    sim:fault { on = START, kind = "status", status = 429, headers = { ["Retry-After"] = "3" } }
    assert(start())
    assert.equal(3, #starts())
  end)

  for _, status in ipairs { 408, 500, 502, 503, 504, 400 } do
    it("that creates something is not repeated after HTTP " .. status, function()
      sim:fault { on = START, kind = "status", status = status, times = 2 }
      local _, err = start()
      assert.equal(status, err.status)
      assert.equal(status ~= 400, err.retryable)
      assert.equal(1, #starts())
    end)
  end

  it("that creates something is not repeated when a 5xx broke off", function()
    sim:fault { on = START, kind = "garbage", times = 9, raw = "HTTP/1.1 503 Busy\r\nContent-Length: 50\r\n\r\nabc" }
    local _, err = start()
    assert.equal("transport", err.kind)
    assert.equal(503, err.status)
    assert.equal(1, #starts())
  end)

  it("that creates something tells its key when it fails, so that it can be sent again", function()
    sim:fault { on = START, kind = "status", status = 500 }
    local _, err = start()
    assert.equal(starts()[1].headers["idempotency-key"], err.idempotency_key)
    assert.is_nil(select(2, client.jobs:get "nonesuch").idempotency_key)
  end)

  it("is repeated when the headers break off", function()
    sim:fault { on = GET, kind = "cut", headers_after = 40 }
    assert.equal(job_id, assert(client.jobs:get(job_id)).id)
    assert.equal(2, #gets())
  end)

  it("carries no idempotency key when it only reads or cancels", function()
    assert(client.reportruns:list())
    assert(client.jobs:get(job_id))
    assert(client.jobs:cancel(job_id))
    for _, entry in ipairs(sim:journal()) do assert.is_nil(entry.headers["idempotency-key"]) end
  end)

  it("never reaches another host by a redirect", function()
    local other <close> = support.simulator()
    for _, status in ipairs { 301, 302, 307, 308 } do
      sim:fault { on = GET, kind = "status", status = status, headers = { Location = other.url .. "/v1/batch-query" } }
      local _, err = client.jobs:get(job_id)
      assert.equal("http", err.kind)
      assert.equal(status, err.status)
      assert.matches("127%.0%.0%.1:%d+ is not followed", err.message)
    end
    assert.equal(0, #other:journal())
  end)

  it("tells its hooks what happens, and never a credential", function()
    local responses, retries, lines = {}, {}, {}
    fresh {
      on_response = function(info) responses[#responses + 1] = info end,
      on_retry = function(info) retries[#retries + 1] = info end,
      log = function(line) lines[#lines + 1] = line end,
      track_id = "standing",
    }
    sim:fault { on = GET, kind = "status", status = 503 }
    assert(client.jobs:get(job_id, { track_id = "own" }))
    assert.equal("oauth.token", responses[1].operation)
    assert.equal("standing", responses[1].track_id)
    assert.equal("jobs.get", responses[2].operation)
    assert.equal(503, responses[2].status)
    assert.equal("own", responses[2].track_id)
    assert.is_number(responses[2].seconds)
    assert.matches("%x+%-", responses[2].request_id)
    assert.equal(2, responses[3].attempt)
    assert.same({ "jobs.get" }, { retries[1].operation })
    assert.equal(503, retries[1].status)
    assert.equal(0.5, retries[1].delay)
    local all = table.concat(lines, "\n")
    assert.matches("jobs%.get: HTTP 503", all)
    assert.matches("again in 0%.50 s", all)
    assert.is_nil(all:find(sim.client_secret, 1, true))
  end)

  it("lets an error in a hook out, and goes on working", function()
    fresh { on_response = function(info) if info.operation == "jobs.get" then error "mine" end end }
    assert.error_matches(function() client.jobs:get(job_id) end, "mine")
    assert(client.reportruns:list())
  end)

  it("counts what on_request takes as its own time, and sends nothing when that closes the client", function()
    fresh { on_request = function() clock.at = clock.at + 5 end }
    local _, err = client.jobs:get(job_id, { total_timeout = 4 })
    assert.equal("timeout", err.kind)
    fresh { on_request = function(info) if info.operation == "jobs.get" then client:close() end end }
    sim:forget()
    assert.error_matches(function() client.jobs:get(job_id) end, "client.jobs:get: attempt to use a closed client")
    assert.equal(0, #gets())
  end)

  it("masks what a server sends back", function()
    local leaky = support.client(sim, { token = "token-Secret-5" })
    sim:fault { on = GET, kind = "status", status = 400, body = "Authorization: Bearer token-Secret-5 is odd" }
    local _, err = leaky.jobs:get "x"
    assert.matches("Bearer %*%*%* is odd", err.message)
    assert.is_nil(err.body:find("Secret", 1, true))
    leaky:close()
    leaky = support.client(sim, { username = "u", password = "pass-Secret-4" })
    sim:fault { on = GET, kind = "status", status = 400,
      body = '{"success":false,"reasons":[{"code":1,"message":"pass-Secret-4?"}]}' }
    _, err = leaky.jobs:get "x"
    assert.equal("***?", err.reasons[1].message)
    leaky:close()
  end)

  it("masks a proxy's password", function()
    local proxied <close> = support.client(sim, { token = "t", proxy = "http://user:Secret-6@127.0.0.1:1", retries = 0 })
    local _, err = proxied.jobs:get "x"
    assert.equal("transport", err.kind)
    assert.is_nil(tostring(err):find("Secret", 1, true))
  end)

  it("shows no credential in any error, text or table", function()
    local secrets = { "id-Secret-1", "secret-Secret-2", "user-Secret-3", "pass-Secret-4", "token-Secret-5" }
    local function search(value, seen)
      seen = seen or {}
      if type(value) == "string" then
        for _, secret in ipairs(secrets) do assert.is_nil(value:find(secret, 1, true), value) end
      elseif type(value) == "table" and not seen[value] then
        seen[value] = true
        for k, v in pairs(value) do
          search(k, seen)
          search(v, seen)
        end
        search(getmetatable(value), seen)
      end
    end
    for _, kind in ipairs {
      { client_id = secrets[1], client_secret = secrets[2] }, { username = secrets[3], password = secrets[4] },
      { token = secrets[5] },
    } do
      kind.base_url = sim.url
      local one <close> = require "zuora".new(kind)
      search(one)
      search(tostring(one))
      for _, fault in ipairs { { kind = "garbage" }, { kind = "cut" }, { kind = "status", status = 500, body = "x" } } do
        fault.times = 9
        sim:fault(fault)
        local _, err = one.jobs:get("x", { retries = 0 })
        search(err)
        search(tostring(err))
        sim:heal()
      end
      local _, err = one.jobs:get "x"
      search(err)
      search(tostring(err))
    end
  end)
end)
