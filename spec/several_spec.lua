-- A call that needs several requests: each of them is the caller's, with all that was said of the call.

local support = require "spec.support"

local ENTITY = "11111111-2222-3333-4444-555555555555"
local SESSION = { partner = "acme", project = "several" }

describe("a call of several requests", function()
  local sim, client, directory, run_id, job, query_id

  setup(function()
    sim = support.simulator { segment_rows = 2 }
    client = support.client(sim)
    local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
    run_id = assert(run:wait(support.soon)).id
    job = assert(assert(client.jobs:submit { partner = SESSION.partner, project = SESSION.project,
      queries = { "select Id from Account" } }):wait(support.soon))
    query_id = assert(assert(client.queries:submit { query = "select Id from Account" }):wait(support.soon)).id
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
    directory = support.scratch "several"
  end)

  local function with(options, more)
    local all = {}
    for name, value in pairs(options) do all[name] = value end
    for name, value in pairs(more) do all[name] = value end
    return all
  end

  -- Each with the two requests that it makes at least.
  local CALLS = {
    ["client.reportruns:download"] = { "GET *reportdata*", "GET *export*", function(options)
      return client.reportruns:download(run_id, directory .. "/x.csv", with(options, { verify = true }))
    end },
    ["client.reportruns:rows"] = { "GET *reportdata*", "GET *export*", function(options)
      return client.reportruns:rows(run_id, with(options, { verify = true }))
    end },
    ["client.queries:download"] = { "GET /query/jobs/*", "GET /_bucket/*", function(options)
      return client.queries:download(query_id, directory .. "/x.csv", options)
    end },
    ["batch:download of segments"] = { "GET /v1/files/*", "GET /v1/files/*", function(options)
      return job.batches[1]:download(directory .. "/x.csv", options)
    end },
    ["client.jobs:download"] = { "GET /v1/batch-query/jobs/*", "GET /v1/files/*", function(options)
      return client.jobs:download(job.id, directory, options)
    end },
    ["client.reports:fetch"] = { "POST *reportrun*", "GET *export*", function(options)
      local own = with(options, { view = "Detail", request_timeout = options.timeout, min = 0.01 })
      own.timeout = nil
      return client.reports:fetch(support.REPORT, directory .. "/x.csv", own)
    end },
    ["client.jobs:fetch"] = { "POST /v1/batch-query", "GET /v1/files/*", function(options)
      local own = with(options, { request_timeout = options.timeout, min = 0.01 })
      own.timeout = nil
      return client.jobs:fetch({ queries = { "select Id from Account" } }, directory, own)
    end },
    ["client.jobs:recover"] = { "GET /v1/batch-query/jobs/*", "GET /v1/batch-query/jobs/partner/*", function(options)
      local own = with(options, { since = job.id, partner = SESSION.partner, project = SESSION.project })
      own.timeout, own.request_timeout = nil, options.timeout
      return client.jobs:recover(own)
    end },
  }

  for name, case in pairs(CALLS) do
    it("gives all of them entity and track id: " .. name, function()
      case[3] { entity_id = ENTITY, track_id = "mine" }
      local count = 0
      for _, request in ipairs(sim:journal()) do
        if not request.target:find "^/_bucket" then
          assert.equal(ENTITY, request.headers["zuora-entity-ids"], request.target)
          assert.equal("mine", request.headers["zuora-track-id"])
        end
        count = count + 1
      end
      assert.is_true(count >= 2)
    end)

    it("gives all of them its limits: " .. name, function()
      for place = 1, 2 do
        local skip = place == 2 and case[1] == case[2] and 1 or 0
        sim:fault { on = case[place], kind = "status", status = 503, skip = skip }
        local found, err = case[3] { retries = 0 }
        assert.is_nil(found)
        assert.equal(503, err.status)
        assert.equal(1, err.attempts)
        sim:heal()
        sim:fault { on = case[place], kind = "delay", seconds = 3, skip = skip }
        found, err = case[3] { retries = 0, timeout = 0.1 }
        assert.is_nil(found)
        assert.equal("transport", err.kind)
        sim:heal()
      end
    end)

    if name ~= "client.jobs:recover" then
      it("has one deadline over all of them: " .. name, function()
        for place = 1, 2 do sim:fault { on = case[place], kind = "delay", seconds = 0.15 } end
        local found, err = case[3] { total_timeout = 0.25 }
        assert.is_nil(found)
        assert.equal("timeout", err.kind)
      end)
    end
  end

  it("has one deadline over all of them: client.reports:find, page by page", function()
    local page, clock, one = {}
    for i = 1, 50 do page[i] = ('{"id":"r%d","name":"another"}'):format(i) end
    one, clock = support.quick_client(sim, { on_response = function() clock.at = clock.at + 10 end })
    sim:fault { on = "GET *search*", kind = "status", status = 200,
      body = '{"success":true,"response":{"reports":[' .. table.concat(page, ",") .. "]}}" }
    sim:fault { on = "GET *search*", kind = "delay", seconds = 1 }
    local _, err = one.reports:find("nonesuch", { total_timeout = 15 })
    one:close()
    assert.equal("timeout", err.kind)
  end)
end)
