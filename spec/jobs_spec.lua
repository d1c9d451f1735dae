local core = require "zuora.core"
local samples = require "zuora.simulator.samples"
local support = require "spec.support"

local QUERY = { name = "Account", query = "select AccountNumber, Name from Account" }

describe("client.jobs", function()
  local sim, client

  setup(function()
    sim = support.simulator()
    client = support.client(sim)
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  local function submitted(fields)
    fields = fields or {}
    fields.queries = fields.queries or { QUERY }
    return assert(client.jobs:submit(fields))
  end

  local function answer(on, body)
    sim:fault { on = on, kind = "status", status = 200, body = body }
  end

  it("submits: the fields as they are, the call's own options apart", function()
    local job = submitted { name = "Example", partner = "p", project = "q", nullReplacement = "", offset = 60,
      dateTimeUtc = true, useQueryLabels = true, track_id = "t", timeout = 9, idempotency_key = "key-" .. os.time() }
    assert.equal("submitted", job.status)
    assert.equal("Account", job.batches[1].name)
    assert.equal("pending", job.batches[1].status)
    local sent = support.sent(sim, "POST", "/v1/batch-query")[1]
    assert.equal("/v1/batch-query", sent.target)
    assert.equal("t", sent.headers["zuora-track-id"])
    assert.same({
      name = "Example", partner = "p", project = "q", nullReplacement = "", offset = 60, dateTimeUtc = true,
      useQueryLabels = true, format = "csv", version = "1.1",
      queries = { { name = "Account", query = QUERY.query, type = "zoqlexport" } },
    }, core.decode(sent.body))
  end)

  it("does not touch the user's tables", function()
    local fields = { queries = { { query = "select Id from Account" } } }
    assert(client.jobs:submit(fields))
    assert.same({ queries = { { query = "select Id from Account" } } }, fields)
  end)

  it("gets a job, as both samples of the document have it", function()
    for _, sample in ipairs { samples.job, samples.job_segmented } do
      answer("GET *", sample)
      local wanted = core.decode(sample)
      local job = assert(client.jobs:get(wanted.id))
      assert.equal("completed", job.status)
      assert.equal(wanted.batches[1].recordCount, job.batches[1].recordCount)
      assert.equal("integer", math.type(job.batches[1].recordCount))
      assert.equal("1.1", job.version)
      assert.equal(wanted.startTime, job.startTime)
    end
  end)

  it("lists a batch's files: segments when there are any, else the one", function()
    answer("GET *", samples.job)
    local job = assert(client.jobs:get "402881824835bb2a01483c19f7d70256")
    assert.same({ "402881824835bb2a01483c19f8190259" }, job:batch("AccountingPeriod"):files())
    answer("GET *", samples.job_segmented)
    job = assert(client.jobs:get "e20b07474841608a01484592147005d2")
    assert.same({ "e20b07474841608a01484592159c05d7" }, job.batches[1]:files())
    assert.is_nil(job:batch "other")
    assert.same({}, submitted():batch("Account"):files())
  end)

  it("waits in place, fetches the result, and takes completed for final", function()
    local job = submitted { useQueryLabels = true }
    assert.equal(job, assert(job:wait(support.soon)))
    assert.equal("completed", job.status)
    assert.equal(3, job:batch("Account").recordCount)
    sim:forget()
    assert.equal(job, job:wait())
    assert.equal(0, #sim:journal())
    local path = support.scratch("jobs") .. "/account.csv"
    local written = assert(client.files:download(job:batch("Account"):files()[1], path))
    assert.equal('Account.AccountNumber,Account.Name\nA00000001,"Ærøskøbing ""Ferry"", Ltd"\nA00000002,"Line\nBreak AG"\n'
      .. "A00000003,日本 GmbH\n", support.read(path))
    assert.equal(#support.read(path), written.bytes)
  end)

  it("keeps a batch that somebody holds up to date", function()
    local job = submitted()
    local batch = job:batch "Account"
    assert(job:wait(support.soon))
    assert.equal(batch, job:batch "Account")
    assert.equal("completed", batch.status)
    assert.equal(1, #batch:files())
  end)

  it("sends the version as text", function()
    submitted { version = 1.1 }
    submitted { version = 1 }
    submitted { version = "1.2" }
    local sent = support.sent(sim, "POST", "/v1/batch-query")
    assert.equal("1.1", core.decode(sent[1].body).version)
    assert.equal("1.0", core.decode(sent[2].body).version)
    assert.equal("1.2", core.decode(sent[3].body).version)
  end)

  it("waits by id alone", function()
    assert.equal("completed", assert(client.jobs:wait(submitted().id, support.soon)).status)
  end)

  it("ends a wait at aborted with the batch's message", function()
    local job = submitted { queries = { QUERY, { name = "Bad", query = "select Nothing from Account" } } }
    local _, err = job:wait(support.soon)
    assert.equal("failed", err.kind)
    assert.equal(job, err.record)
    assert.matches("job " .. job.id .. " was aborted: batch \"Bad\": .*no field named Nothing", err.message)
  end)

  it("ends a wait at error and at cancelled", function()
    sim:fault { on = "POST *", kind = "outcome", job = "error" }
    local job = submitted()
    local _, err = job:wait(support.soon)
    assert.equal("failed", err.kind)
    assert.matches(job.id, err.message)
    sim:heal()
    job = submitted()
    assert.equal(job, assert(job:cancel()))
    assert.equal("cancelled", job.status)
    _, err = job:wait(support.soon)
    assert.equal("cancelled", err.kind)
    assert.matches(job.id .. " was cancelled", err.message)
  end)

  it("takes an errorCode with an id for a job that failed", function()
    answer("GET *", '{"id":"j1","status":"error","errorCode":"90005","message":"There is a syntax error"}')
    assert.equal("90005", assert(client.jobs:get "j1").errorCode)
    answer("GET *", '{"id":"j1","status":"error","errorCode":"90005","message":"There is a syntax error"}')
    local _, err = client.jobs:wait("j1", support.soon)
    assert.equal("failed", err.kind)
    assert.equal("90005", err.code)
    assert.matches("job j1 ended with an error: There is a syntax error", err.message)
  end)

  it("goes on at an unknown status", function()
    sim:fault { on = "POST *", kind = "outcome", job = "failed" } -- no status of AQuA's
    local _, err = submitted():wait { timeout = 0.15, min = 0.02 }
    assert.equal("timeout", err.kind)
    assert.matches("last seen as failed", err.message)
  end)

  it("tells why a submit was rejected, HTTP 200 or not", function()
    answer("POST *", '{"status":"error","errorCode":"90028","message":"Too many jobs","batches":[],"id":null}')
    local _, err = client.jobs:submit { queries = { QUERY } }
    assert.equal("api", err.kind)
    assert.equal("90028", err.code)
    assert.is_true(err.retryable)
    assert.equal(1, err.attempts)
    _, err = client.jobs:submit { queries = { QUERY }, format = "json" }
    assert.equal("50000090", err.code)
    local many = {}
    for i = 1, 51 do many[i] = QUERY end
    _, err = client.jobs:submit { queries = many }
    assert.equal("90004", err.code)
  end)

  it("gets the last completed job of a partner and project", function()
    local job = assert(submitted { partner = "my partner", project = "a/b?c" }:wait(support.soon))
    assert.equal(job.id, assert(client.jobs:last { partner = "my partner", project = "a/b?c" }).id)
    assert.equal("/v1/batch-query/jobs/partner/my%20partner/project/a%2Fb%3Fc",
      support.sent(sim, "GET", "/v1/batch-query/jobs/partner")[1].target)
    local _, err = client.jobs:last { partner = "my partner", project = "other" }
    assert.equal(404, err.status)
    for _, sample in ipairs { samples.last_job, samples.last_job_segmented } do
      answer("GET *", sample)
      job = assert(client.jobs:last { partner = "salesforce", project = "00170000011K3Ub" })
      assert.equal(1, #job.batches[1]:files())
    end
  end)

  it("cancels by id, and says when that is too late", function()
    local job = submitted()
    assert.equal("cancelled", assert(client.jobs:cancel(job.id)).status)
    job = assert(submitted():wait(support.soon))
    local _, err = client.jobs:cancel(job.id)
    assert.equal("90003", err.code)
    assert.equal("api", select(2, job:cancel()).kind)
    assert.equal("completed", job.status)
  end)

  it("does not take the answer about another job, or about none", function()
    answer("GET *", samples.job)
    local _, err = client.jobs:get "x"
    assert.equal("json", err.kind)
    for _, body in ipairs { "{}", "[]", "5", "null", '{"id":"x"}', '{"id":"x","status":"completed","batches":"none"}',
      '{"id":"x","status":"completed","batches":[1]}', '{"id":5,"status":"completed"}',
      '{"id":"x","status":"completed","batches":{"a":{}}}', '{"id":"x","status":"completed","batches":[{"fileId":""}]}',
      '{"id":"x","status":"completed","batches":[{"segments":[null,5]}]}' } do
      answer("GET *", body)
      local _, problem = client.jobs:get "x"
      assert.equal("json", problem.kind, body)
      assert.equal(200, problem.status)
      assert.matches("%x", problem.request_id)
    end
    answer("GET *", '{"id":"x","status":"completed","batches":null}')
    assert.is_nil(assert(client.jobs:get "x"):batch "a")
  end)

  it("works on the older hosts with user and password", function()
    local legacy <close> = support.client(sim, { username = sim.username, password = sim.password, legacy = true })
    local job = assert(assert(legacy.jobs:submit { queries = { QUERY } }):wait(support.soon))
    local path = support.scratch("jobs") .. "/legacy.csv"
    assert(legacy.files:download(job.batches[1]:files()[1], path))
    assert.equal(1, #support.sent(sim, "POST", "/apps/api/batch-query"))
    assert.equal(1, #support.sent(sim, "GET", "/apps/api/file/" .. job.batches[1].fileId))
  end)
end)
