local core = require "zuora.core"
local support = require "spec.support"

describe("what hooks are told", function()
  local sim

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)

  -- All that is told while f runs.
  local function told(f, options)
    local seen = { requests = {}, responses = {} }
    options = options or {}
    options.on_request = function(info) seen.requests[#seen.requests + 1] = info end
    options.on_response = function(info) seen.responses[#seen.responses + 1] = info end
    local client <close> = support.quick_client(sim, options)
    f(client)
    return seen
  end

  it("of a request is where it goes, and with what, before it goes", function()
    local seen = told(function(client)
      sim:fault { on = "POST */reportrun", kind = "status", status = 429, headers = { ["Retry-After"] = "0" } }
      assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
      assert(client:request { method = "POST", path = "/query/jobs", body = '{"a":1}', safe = true } == nil)
    end)
    local requests = seen.requests
    assert.same({ operation = "oauth.token", attempt = 1, method = "POST", url = sim.url .. "/oauth/token" }, requests[1])
    for attempt = 1, 2 do
      local request = requests[1 + attempt]
      assert.equal(attempt, request.attempt)
      assert.equal("reportruns.start", request.operation)
      assert.equal(("%s/reporting/api/rest/v1/reports/%s/reportrun"):format(sim.url, support.REPORT), request.url)
      assert.equal("Detail", core.decode(request.parameters).viewType)
    end
    assert.equal(sim.url .. "/query/jobs", requests[4].url)
    assert.equal("POST", requests[4].method)
    assert.equal(4, #requests)
  end)

  it("of an answer is its text, without secrets, tokens and links", function()
    local seen = told(function(client)
      sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 400, body = '{"message":"' .. sim.client_secret .. '"}' }
      client.jobs:get "4711"
      local job = assert(client.queries:submit { query = "select Id from Account" })
      assert(job:wait { min = 0.01 })
      assert(job:download(support.scratch "trace" .. "/rows"))
    end)
    local bodies = {}
    for _, info in ipairs(seen.responses) do bodies[info.operation] = info.body or false end
    assert.is_false(bodies["oauth.token"])
    assert.equal('{"message":"***"}', bodies["jobs.get"])
    assert.matches('"dataFile":"%*%*%*"', bodies["queries.get"])
    assert.is_false(bodies["queries.result"])
    for _, info in ipairs(seen.requests) do
      if info.operation == "queries.result" then assert.equal("***", info.url) end
    end
  end)

  it("is no more than a line", function()
    local query = "select Id from Account where Name = '" .. ("x"):rep(100000) .. "'"
    local seen = told(function(client) client.queries:submit { query = query } end)
    for _, info in ipairs(seen.requests) do assert.is_true(#(info.parameters or "") <= 1000) end
  end)
end)
