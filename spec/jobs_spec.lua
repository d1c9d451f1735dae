local core = require "zuora.core"
local samples = require "zuora.simulator.http.samples"
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

  -- An answer about a job with those batches: { name, file id } each.
  local function job_text(id, status, list)
    local texts = {}
    for i, batch in ipairs(list) do
      texts[i] = { name = batch[1], status = status, fileId = batch[2], batchId = "b" .. i }
    end
    return core.encode { id = id, status = status, batches = texts }
  end

  it("holds the batches against the queries that it was submitted with", function()
    local two = { A = "select Id from Account", B = "select Id from Account" }
    local function refused(problem, job, err)
      assert.is_nil(job)
      assert.equal("incomplete", err.kind)
      assert.equal("j", err.record.id)
      assert.is_truthy(err.message:find("job j " .. problem, 1, true), err.message)
    end
    for problem, list in pairs {
      ['has no batch of the query "B"'] = { { "A", "1" } },
      ['has no batch of the query "A"'] = { { "X", "1" }, { "Y", "2" } },
      ['has 2 batches of the query "A"'] = { { "A", "1" }, { "A", "2" }, { "B", "3" } },
      ["has 3 batches, and 2 queries were submitted"] = { { "A", "1" }, { "B", "2" }, { "C", "3" } },
      ["has the file 1 twice: in batch A, and in B"] = { { "A", "1" }, { "B", "1" } },
    } do
      answer("POST /v1/batch-query", job_text("j", "submitted", list))
      refused(problem, client.jobs:submit { queries = two })
      answer("POST /v1/batch-query", job_text("j", "submitted", {}))
      local job = assert(client.jobs:submit { queries = two })
      answer("GET *", job_text("j", "completed", list))
      refused(problem, job:wait(support.soon))
      refused(problem, job:download(support.scratch "jobs"))
      answer("GET *", job_text("j", "completed", list))
      refused(problem, client.jobs:wait("j", support.soon)) -- another record of the same job
      answer("GET *", job_text("j", "completed", list))
      refused(problem, client.jobs:download("j", support.scratch "jobs"))
    end
    answer("POST /v1/batch-query", job_text("j", "completed", {}))
    refused("has no batch", client.jobs:submit { queries = two })
    answer("POST /v1/batch-query", job_text("j", "submitted", { { "B", "2" }, { "A", "1" } }))
    assert(client.jobs:submit { queries = two })
    -- Zuora's own names; and a job of which nothing is known.
    answer("POST /v1/batch-query", job_text("j", "submitted", { { "Zuora's", "2" } }))
    assert(client.jobs:submit { queries = { { query = "select Id from Account" } } })
    local other <close> = support.client(sim)
    answer("GET *", job_text("j", "completed", { { "Z", "1" } }))
    assert(other.jobs:wait("j", support.soon))
    answer("GET *", job_text("j", "completed", { { "A", "1" }, { "B", "1" } }))
    refused("has the file 1 twice", other.jobs:wait("j", support.soon))
  end)

  it("takes per-call options in a second table as well, and no others", function()
    local key = "key-" .. core.now()
    assert(client.jobs:submit({ queries = { QUERY }, track_id = "a" }, { idempotency_key = key, track_id = "b" }))
    assert(client.queries:submit({ query = QUERY.query }, { idempotency_key = key .. "-q" }))
    local job, query = sim:journal()[#sim:journal() - 1], sim:journal()[#sim:journal()]
    assert.equal(key, job.headers["idempotency-key"])
    assert.equal("b", job.headers["zuora-track-id"])
    assert.equal(key .. "-q", query.headers["idempotency-key"])
    for _, group in ipairs { "jobs", "queries" } do
      local ok, message = pcall(client[group].submit, client[group], { queries = { QUERY }, query = "q" }, { format = "zip" })
      assert.is_false(ok)
      assert.matches("unknown option", message)
    end
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

  it("waits in place, fetches the result, and takes completed for final", function()
    local job = submitted { useQueryLabels = true }
    assert.equal(job, assert(job:wait(support.soon)))
    assert.equal("completed", job.status)
    assert.equal(3, job:batch("Account").recordCount)
    sim:forget()
    assert.equal(job, job:wait())
    assert.equal(0, #sim:journal())
    local path = support.scratch("jobs") .. "/account.csv"
    local written = assert(client.files:download(job:batch("Account"):file_ids()[1], path))
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
    assert.equal(1, #batch:file_ids())
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
    local quick <close> = support.quick_client(sim)
    local _, err = assert(quick.jobs:submit { queries = { QUERY } }):wait { timeout = 600, min = 1 }
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
    assert.matches("when some have ended", err.advice)
    answer("POST *", '{"success":false,"code":50000090,"message":"Invalid format"}')
    _, err = client.jobs:submit { queries = { QUERY } }
    assert.equal("50000090", err.code)
    assert.equal("malformed", err.category)
  end)

  describe("after a stateful submit whose answer was lost", function()
    local fields = { partner = "acme", project = "lost", queries = { A = QUERY.query } }

    it("sends it again under the same key, and makes no second job", function()
      local quick <close> = support.quick_client(sim)
      sim:fault { on = "POST /v1/batch-query", kind = "reset", times = 3 }
      local job = assert(quick.jobs:submit(fields))
      assert(job:wait(support.soon))
      local keys = {}
      for _, request in ipairs(support.sent(sim, "POST", "/v1/batch-query")) do
        keys[request.headers["idempotency-key"]] = true
      end
      assert.is_string(next(keys))
      assert.is_nil(next(keys, (next(keys))))
      -- The one that was made is the one that was answered.
      assert.equal(job.id, assert(client.jobs:last { partner = "acme", project = "lost" }).id)
    end)

    it("never after an answer of 5xx, nor when its retries are over: the error has the key", function()
      local quick <close> = support.quick_client(sim, { retries = 1 })
      sim:fault { on = "POST /v1/batch-query", kind = "status", status = 500 }
      local job, err = quick.jobs:submit(fields)
      assert.is_nil(job)
      assert.equal(1, err.attempts)
      sim:heal()
      sim:fault { on = "POST /v1/batch-query", kind = "reset", times = "always" }
      job, err = quick.jobs:submit(fields)
      assert.is_nil(job)
      assert.equal(2, err.attempts)
      assert.is_string(err.idempotency_key)
      sim:heal()
      -- With that key the user can ask once more: it is the same job.
      job = assert(quick.jobs:submit { partner = "acme", project = "lost", queries = fields.queries,
        idempotency_key = err.idempotency_key })
      assert(job:wait(support.soon))
    end)

    it("recovers the job, and says whether it is newer", function()
      local where = { partner = "acme", project = "recovered" }
      local function recover(since, more)
        local options = { partner = where.partner, project = where.project, since = since }
        for name, value in pairs(more or {}) do options[name] = value end
        return client.jobs:recover(options)
      end
      local job, err = recover()
      assert.is_nil(job)
      assert.equal(404, err.status)
      local first = assert(submitted { partner = where.partner, project = where.project }:wait(support.soon))
      for _, since in ipairs { first, first.id, first.startTime } do
        local found, newer = recover(since)
        assert.equal(first.id, found.id)
        assert.is_false(newer)
      end
      local found, newer = recover()
      assert.equal(first.id, found.id)
      assert.is_nil(newer) -- than what?
      -- One that was cancelled later has not been followed by any.
      local cancelled = assert(submitted { partner = where.partner, project = where.project }:cancel())
      assert.is_false(select(2, recover(cancelled)))
      assert.is_false(select(2, recover(cancelled.id)))
      assert.equal(404, select(2, recover "nonesuch").status)
      -- The lost one.
      sim:fault { on = "POST /v1/batch-query", kind = "reset" }
      local lost
      lost, err = client.jobs:submit { partner = where.partner, project = where.project, queries = { QUERY }, retries = 0 }
      assert.is_nil(lost)
      assert.equal("transport", err.kind)
      assert.is_true(err.unknown_outcome)
      assert.is_false(select(2, recover(first)))
      -- It is there, and goes on; nothing was submitted meanwhile.
      sim:forget()
      local again = assert(client.jobs:submit { partner = where.partner, project = where.project, queries = { QUERY },
        idempotency_key = err.idempotency_key })
      assert(again:wait(support.soon))
      found, newer = recover(first)
      assert.equal(again.id, found.id)
      assert.is_true(newer)
      assert.is_true(select(2, recover(first.id)))
    end)

    it("waits for it, when told for how long", function()
      local slow <close> = support.simulator { seconds = 0.4 }
      local one <close> = support.client(slow)
      assert(one.jobs:submit { partner = "p", project = "q", queries = { QUERY } })
      local found, newer = one.jobs:recover { partner = "p", project = "q", timeout = 5 }
      assert.equal("completed", found.status)
      assert.is_nil(newer)
      found, newer = one.jobs:recover { partner = "p", project = "q", since = found, timeout = 0.1 }
      assert.equal("completed", found.status)
      assert.is_false(newer)
      local _, err = one.jobs:recover { partner = "p", project = "none", timeout = 0.1 }
      assert.equal(404, err.status)
    end)

    it("says nothing of what it cannot compare, or could not look at", function()
      local function answered(body, since, more)
        answer("GET /v1/batch-query/jobs/partner/*", body)
        local options = { partner = "p", project = "q", since = since }
        for name, value in pairs(more or {}) do options[name] = value end
        return client.jobs:recover(options)
      end
      local known = { id = "known", startTime = "2014-09-03 08:20:07", status = "completed" }
      for _, time in ipairs { "null", "1409732407000", "true", "[]", "{}" } do
        local job, newer = answered('{"id":"j","status":"completed","startTime":' .. time .. "}", known)
        assert.equal("j", job.id)
        assert.is_nil(newer)
      end
      assert.is_false(select(2, answered('{"id":"j","status":"completed","startTime":"2014-01-01 00:00:00"}', known)))
      assert.is_false(select(2, answered('{"id":"j","status":"executing","startTime":"2015-01-01 00:00:00"}', known)))
      local job, err = answered('{"id":"j","status":"completed","partner":"other"}', known)
      assert.is_nil(job)
      assert.matches("about the partner other, not p", err.message)
      -- A job as it was submitted has no startTime: it is looked up.
      answer("GET /v1/batch-query/jobs/known", '{"id":"known","status":"aborted","startTime":"2014-09-03 08:20:07"}')
      assert.is_false(select(2, answered('{"id":"j","status":"completed","startTime":"2014-01-01 00:00:00"}', { id = "known" })))
      -- The last look failed: "not newer" would be a guess.
      local quick <close> = support.quick_client(sim)
      answer("GET /v1/batch-query/jobs/partner/*", '{"id":"j","status":"completed","startTime":"2014-01-01 00:00:00"}')
      sim:fault { on = "GET /v1/batch-query/jobs/partner/*", kind = "status", status = 503, times = "always" }
      job, err = quick.jobs:recover { partner = "p", project = "q", since = known, timeout = 60 }
      assert.is_nil(job)
      assert.equal(503, err.status)
    end)

    it("says of an error whether the job may be there all the same", function()
      local quick <close> = support.quick_client(sim, { retries = 1 })
      quick.jobs:get "x"
      local function unknown(faults, options)
        sim:heal()
        for _, fault in ipairs(faults) do
          fault.on = fault.on or "POST /v1/batch-query"
          sim:fault(fault)
        end
        local all = { queries = fields.queries }
        for name, value in pairs(options or {}) do all[name] = value end
        local job, err = quick.jobs:submit(all)
        assert.is_nil(job)
        return err.unknown_outcome == true
      end
      local reset, refused = { kind = "reset" }, { kind = "status", status = 400, body = '{"message":"no"}' }
      local limited = { kind = "status", status = 429 }
      assert.is_true(unknown { reset, reset })
      assert.is_true(unknown { { kind = "status", status = 504, body = "<html></html>" } })
      assert.is_true(unknown { reset, limited })
      local unread = { kind = "status", status = 200, body = "<html></html>", headers = { ["Content-Type"] = "text/html" } }
      assert.is_true(unknown { unread, unread })
      local cut = { kind = "cut", after = 40 } -- of a success: the job is there
      assert.is_true(unknown { cut, cut })
      assert.is_false(unknown { reset, refused })
      assert.is_false(unknown { refused })
      assert.is_false(unknown { limited, limited })
      assert.is_true(unknown({ { kind = "stall", times = "always" } }, { timeout = 0.1 }))
      sim:heal()
      local nowhere <close> = require "zuora".new { base_url = "http://127.0.0.1:1", token = "t", retries = 0 }
      assert.is_nil(select(2, nowhere.jobs:submit { queries = fields.queries }).unknown_outcome)
      assert.is_nil(select(2, quick.jobs:get "nonesuch").unknown_outcome)
      local stranger <close> = support.quick_client(sim, { retries = 1 })
      sim:fault { on = "POST /oauth/token", kind = "status", status = 500, times = "always" }
      local _, tokenless = stranger.jobs:submit { queries = fields.queries }
      assert.equal(500, tokenless.status)
      assert.is_nil(tokenless.unknown_outcome)
    end)

    it("takes a job, its id or its startTime for what is known", function()
      for _, bad in ipairs { 5, true, "a/b", {}, "" } do
        assert.error_matches(function() client.jobs:recover { partner = "p", project = "q", since = bad } end, "'since")
      end
    end)
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
      assert.equal(1, #job.batches[1]:file_ids())
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
    assert(legacy.files:download(job.batches[1]:file_ids()[1], path))
    assert.equal(1, #support.sent(sim, "POST", "/apps/api/batch-query"))
    assert.equal(1, #support.sent(sim, "GET", "/apps/api/file/" .. job.batches[1].fileId))
  end)
end)
