local core = require "zuora.core"
local documents = require "spec.documents"
local samples = require "zuora.simulator.http.samples"
local support = require "spec.support"

describe("zuora.simulator", function()
  local sim, session, token

  setup(function()
    sim = support.simulator()
    session = core.session {}
  end)
  teardown(function()
    session:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  -- A request by the bare core: status, decoded body, headers.
  local function ask(method, path, headers, body)
    local response = assert(support.finish(session,
      session:start { method = method, url = sim.url .. path, headers = headers, body = body, proxy = "" }))
    return response.status, core.decode(response.body) or response.body, response.headers
  end

  local FORM = { ["Content-Type"] = "application/x-www-form-urlencoded" }

  local function fetch_token(id, secret)
    return ask("POST", "/oauth/token", FORM, ("client_id=%s&client_secret=%s&grant_type=client_credentials")
      :format(id or sim.client_id, core.escape(secret or sim.client_secret)))
  end

  local function bearer(more)
    if not token then token = select(2, fetch_token()).access_token end
    local headers = { Authorization = "Bearer " .. token }
    for name, value in pairs(more or {}) do headers[name] = value end
    return headers
  end

  -- The answer has the keys of the sample and no others, with values of the same types.
  local function like(sample, value, place)
    place = place or "answer"
    assert.equal(type(sample), type(value), place)
    if type(sample) ~= "table" then return end
    for key, part in pairs(sample) do like(part, value[key], place .. "." .. key) end
    for key in pairs(value) do assert.is_not_nil(sample[key], place .. "." .. key .. " is in no sample") end
  end

  local function submit(fields)
    fields = fields or { name = "n", partner = "p", project = "q", version = "1.1",
      queries = { { name = "AccountingPeriod", query = "select Id, Name from AccountingPeriod", apiVersion = "60.0" } } }
    return ask("POST", "/v1/batch-query", bearer { ["Content-Type"] = "application/json" }, core.encode(fields))
  end

  it("gives tokens for a form, and for nothing else", function()
    local status, body = fetch_token()
    assert.equal(200, status)
    like(core.decode(samples.token), body)
    assert.equal(400, (fetch_token("nobody")))
    assert.equal(401, (fetch_token(nil, "wrong")))
    assert.equal(415, (ask("POST", "/oauth/token", { ["Content-Type"] = "application/json" }, "{}")))
    assert.equal(400, (ask("POST", "/oauth/token", FORM, "grant_type=password")))
  end)

  it("lets nobody in without credentials, or with the wrong ones", function()
    for _, path in ipairs { "/reporting/api/rest/v1/reportruns/x", "/api/rest/v1/reportruns/x",
      "/v1/batch-query/jobs/x", "/apps/api/batch-query/jobs/x", "/v1/files/x", "/v1/file/x", "/apps/api/file/x" } do
      assert.equal(401, (ask("GET", path)), path)
      assert.equal(401, (ask("GET", path, { Authorization = "Bearer made-up" })), path)
      assert.equal(401, (ask("GET", path, { apiAccessKeyId = "a", apiSecretAccessKey = "b" })), path)
      assert.equal(401, (ask("GET", path, { Authorization = "Basic YTpi" })), path)
    end
    local _, body, headers = ask("GET", "/v1/files/x")
    assert.equal("Authentication error", body.message)
    assert.matches("^Basic realm=Zuora API", headers["www-authenticate"])
  end)

  it("lets in by Basic, by keys and by a token wherever AQuA answers", function()
    local basic = "Basic " .. support.shell(("printf '%%s' '%s:%s' | base64 -w0"):format(sim.username, sim.password))
    for _, path in ipairs { "/v1/batch-query/jobs/x", "/apps/api/batch-query/jobs/x", "/v1/files/x", "/v1/file/x",
      "/v1/describe/x", "/apps/api/file/x", "/v1/batch-query/file/x", "/apps/api/batch-query/file/x" } do
      assert.equal(404, (ask("GET", path, { Authorization = basic })), path)
      assert.equal(404, (ask("GET", path, bearer())), path)
      assert.equal(404, (ask("GET", path, { apiAccessKeyId = sim.username, apiSecretAccessKey = sim.password })), path)
      assert.equal(401, (ask("GET", path, { Authorization = basic:sub(1, -5) })), path)
    end
  end)

  it("tells the older Reporting host's users from those of today's", function()
    local keys = { apiAccessKeyId = sim.username, apiSecretAccessKey = sim.password }
    assert.equal(404, (ask("GET", "/api/rest/v1/reportruns/x", keys)))
    assert.equal(401, (ask("GET", "/reporting/api/rest/v1/reportruns/x", keys)))
    assert.equal(404, (ask("GET", "/reporting/api/rest/v1/reportruns/x", bearer())))
    assert.equal(401, (ask("GET", "/api/rest/v1/reportruns/x", bearer())))
  end)

  it("answers with the keys of the documents' samples", function()
    local _, started = ask("POST", "/reporting/api/rest/v1/reports/" .. support.REPORT .. "/reportrun?viewType=Detail",
      bearer(), "")
    like(core.decode(samples.run_started), started)
    local path = "/reporting/api/rest/v1/reportruns/" .. started.response.reportRunId
    like(core.decode(documents.get_report_run), (select(2, ask("GET", path, bearer()))))
    assert.same(core.decode(documents.cancelled), (select(2, ask("DELETE", path, bearer()))))
    assert.same(core.decode(documents.cancelled_before), (select(2, ask("DELETE", path, bearer()))))
    local _, job = submit()
    path = "/v1/batch-query/jobs/" .. job.id
    for _ = 1, 3 do job = select(2, ask("GET", path, bearer())) end
    assert.equal("completed", job.status)
    like(core.decode(documents.job), job)
    like(core.decode(documents.last_job), (select(2, ask("GET", "/v1/batch-query/jobs/partner/p/project/q", bearer()))))
  end)

  it("answers with segments as the documents' other samples have them", function()
    local segmented <close> = support.simulator { segment_rows = 100 }
    local client <close> = support.client(segmented)
    local job = assert(client.jobs:submit { name = "n", partner = "p", project = "q",
      queries = { { name = "a", query = "select Id from Account", apiVersion = "59.0" } } })
    assert(job:wait(support.soon))
    local wanted = core.decode(documents.job_segmented)
    wanted.batches[1].message = "" -- one page shows it, the other does not
    like(wanted, job)
    wanted = core.decode(documents.last_job_segmented)
    wanted.batches[1].message = ""
    like(wanted, assert(client.jobs:last { partner = "p", project = "q" }))
  end)

  it("moves statuses on with each look", function()
    local seen = {}
    local _, job = submit()
    for i = 1, 5 do seen[i] = select(2, ask("GET", "/v1/batch-query/jobs/" .. job.id, bearer())).status end
    assert.same({ "submitted", "executing", "completed", "completed", "completed" }, seen)
  end)

  it("takes slashes as Zuora does", function()
    for _, path in ipairs { "/v1/batch-query/jobs/x/", "/v1//batch-query/jobs//x", "//v1/batch-query/jobs/x" } do
      local status, body = ask("GET", path, bearer())
      assert.equal(404, status)
      assert.matches("Cannot find job", body.reasons[1].message)
    end
  end)

  it("checks what it is sent", function()
    local report = "/reporting/api/rest/v1/reports/" .. support.REPORT .. "/reportrun"
    local status, body = ask("POST", report, bearer(), "")
    assert.equal(400, status)
    assert.matches("viewType' is not present", body.response)
    assert.equal(400, (ask("POST", report .. "?viewType=detail", bearer(), "")))
    assert.equal(400, (ask("POST", report .. "?viewType=Detail", bearer { ["Content-Type"] = "application/json" }, "{}")))
    assert.equal(415, (ask("POST", report .. "?viewType=Detail", bearer { ["Content-Type"] = "text/plain" }, "[]")))
    assert.equal(400, (ask("GET", "/v1/files/x", bearer { ["Zuora-Track-Id"] = ("x"):rep(65) })))
    assert.equal(400, (ask("GET", "/v1/files/x", bearer { ["Zuora-Track-Id"] = "a;b" })))
    assert.equal(400, (ask("GET", "/v1/files/x", bearer { ["Idempotency-Key"] = "k" })))
    assert.equal(404, (ask("GET", "/v1/nothing", bearer())))
    status, body = submit { queries = {} }
    assert.equal(200, status)
    assert.equal("90016", body.errorCode)
    assert.is_nil(body.id)
    assert.equal(50000090, select(2, submit { queries = { { query = "q" } }, format = "json" }).code)
  end)

  it("answers a repeated idempotency key as before, and refuses it for another call", function()
    local path = "/reporting/api/rest/v1/reports/" .. support.REPORT .. "/reportrun?viewType="
    local _, first = ask("POST", path .. "Detail", bearer { ["Idempotency-Key"] = "same" }, "")
    local _, second = ask("POST", path .. "Detail", bearer { ["Idempotency-Key"] = "same" }, "")
    assert.same(first, second)
    assert.equal(422, (ask("POST", path .. "Summary", bearer { ["Idempotency-Key"] = "same" }, "")))
  end)

  it("says what time it is by its own clock", function()
    local function told() return select(3, ask("GET", "/v1/files/x", bearer())).date end
    local weekday, day, month, year, clock = told():match "^(%a%a%a), (%d%d) (%a%a%a) (%d%d%d%d) (%d%d:%d%d:%d%d) GMT$"
    assert.is_string(clock, told())
    assert.equal(os.date "!%a%d%b%Y", weekday .. day .. month .. year)
    sim:forward(40 * 366 * 24 * 3600)
    assert.not_equal(year, told():match "%d%d%d%d")
    sim:forward(-40 * 366 * 24 * 3600)
  end)

  it("answers simple queries, and aborts jobs whose queries it cannot read", function()
    local _, job = submit { queries = { { name = "a", query = "SELECT name , ID FROM account" } }, useQueryLabels = "true" }
    for _ = 1, 3 do job = select(2, ask("GET", "/v1/batch-query/jobs/" .. job.id, bearer())) end
    local _, text, headers = ask("GET", "/v1/files/" .. job.batches[1].fileId, bearer())
    assert.equal(text, select(2, ask("GET", "/v1/batch-query/file/" .. job.batches[1].fileId, bearer())))
    assert.equal("text/csv;charset=UTF-8", headers["content-type"])
    assert.matches("^Account%.Name,Account%.Id\n", text)
    assert.equal(3, job.batches[1].recordCount)
    _, job = submit { queries = { { name = "a", query = "select Nonsense from Account" } } }
    for _ = 1, 3 do job = select(2, ask("GET", "/v1/batch-query/jobs/" .. job.id, bearer())) end
    assert.equal("aborted", job.status)
    assert.matches("no field named Nonsense", job.batches[1].message)
    assert.equal("90005", select(2, submit { queries = { { name = "a", query = "choose everything" } } }).errorCode)
  end)

  it("exports UTF-16 with tabs", function()
    local _, started = ask("POST", "/reporting/api/rest/v1/reports/" .. support.REPORT .. "/reportrun?viewType=Detail",
      bearer(), "")
    local id = started.response.reportRunId
    assert.equal(400, (ask("GET", "/reporting/api/rest/v1/reportruns/export/" .. id .. "?pivoted=false", bearer())))
    for _ = 1, 4 do ask("GET", "/reporting/api/rest/v1/reportruns/" .. id, bearer()) end
    local _, bytes, headers = ask("GET", "/reporting/api/rest/v1/reportruns/export/" .. id .. "?pivoted=false", bearer())
    assert.equal("text/csv;charset=utf-16", headers["content-type"])
    assert.is_truthy(bytes:find("\t\0", 1, true))
    assert.is_truthy(bytes:find("\xe5\x65\x2c\x67", 1, true)) -- 日本
  end)

  it("echoes the track id, and gives each answer an id", function()
    local _, _, headers = ask("GET", "/v1/files/x", bearer { ["Zuora-Track-Id"] = "me" })
    assert.equal("me", headers["zuora-track-id"])
    assert.equal(36, #headers["zuora-request-id"])
  end)

  it("keeps a journal, secrets masked", function()
    ask("GET", "/v1/files/x", { Authorization = "Basic c2VjcmV0", apiSecretAccessKey = "secret", ["X-Mine"] = "shown" })
    fetch_token(nil, "secret")
    local journal = sim:journal()
    assert.equal("GET", journal[1].method)
    assert.equal("Basic ***", journal[1].headers.authorization)
    assert.equal("***", journal[1].headers.apisecretaccesskey)
    assert.equal("shown", journal[1].headers["x-mine"])
    assert.matches("client_secret=%*%*%*", journal[2].body)
    assert.is_number(journal[1].time)
    sim:forget()
    assert.same({}, sim:journal())
  end)

  it("goes wrong on demand: as often as is said, after as many as are spared", function()
    sim:fault { on = "GET /v1/f*", kind = "status", status = 500, times = 2, skip = 1, headers = { ["X-A"] = "b" } }
    assert.equal(404, (ask("GET", "/v1/files/x", bearer())))
    assert.equal(404, (ask("GET", "/v1/batch-query/jobs/x", bearer())))
    local status, _, headers = ask("GET", "/v1/files/x", bearer())
    assert.equal(500, status)
    assert.equal("b", headers["x-a"])
    assert.equal(500, (ask("GET", "/v1/files/x", bearer())))
    assert.equal(404, (ask("GET", "/v1/files/x", bearer())))
    sim:fault { kind = "trickle", size = 7 }
    assert.equal(404, (ask("GET", "/v1/files/x", bearer())))
    assert.has_error(function() sim:fault { kind = "nonsense" } end)
    assert.has_error(function() sim:fault { on = "nonsense", kind = "cut" } end)
  end)

  it("goes wrong now and then, and counts it", function()
    local own <close> = support.simulator()
    own:fault { on = "GET /v1/files/*", kind = "status", status = 500, times = "always", rate = 0.5 }
    own:fault { on = "GET /v1/files/*", kind = "status", status = 502, times = "always", rate = 0 }
    local count = { [500] = 0, [401] = 0 }
    for _ = 1, 200 do
      local response = assert(support.finish(session, session:start { url = own.url .. "/v1/files/x", proxy = "" }))
      count[response.status] = count[response.status] + 1
    end
    assert.is_true(count[500] > 50 and count[401] > 50) -- 7 sigma
    assert.same({ status = count[500] }, own:held().struck)
  end)

  it("tells what it holds", function()
    local own <close> = support.simulator()
    assert.same({ jobs = {}, runs = {}, queries = {}, struck = {} }, own:held())
    local client <close> = support.client(own)
    local job = assert(client.jobs:submit { name = "mine", queries = { "select Id from Account" } })
    local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
    local query = assert(client.queries:submit { query = "select Id from Account" })
    assert(job:wait(support.soon))
    assert.same({ jobs = { { id = job.id, name = "mine", status = "completed" } },
      runs = { { id = run.id, report = support.REPORT, status = "STARTED" } },
      queries = { { id = query.id, query = "select Id from Account", status = "accepted" } }, struck = {} }, own:held())
  end)

  it("lets time pass", function()
    assert.equal(404, (ask("GET", "/v1/files/x", bearer())))
    sim:forward(3600)
    assert.equal(401, (ask("GET", "/v1/files/x", bearer())))
    token = nil
    sim:forward(-3600)
  end)

  it("has the credentials and data that it is given", function()
    local own <close> = support.simulator { client_id = "mine", looks = 0,
      objects = { Thing = { columns = { "Id" }, rows = { { "1" }, { "2" } } } } }
    assert.equal("mine", own.client_id)
    local client <close> = support.client(own)
    local job = assert(client.jobs:submit { queries = { { name = "t", query = "select Id from Thing" } } })
    assert.equal(2, assert(job:wait(support.soon)):batch("t").recordCount)
  end)

  it("ends with its parent, and when it is stopped", function()
    local own = support.simulator()
    own:stop()
    own:stop()
    assert.is_nil((support.finish(session, session:start { url = own.url, proxy = "" })))
    local url = support.lua [[
      local sim = require "zuora.simulator".start()
      io.write(sim.url)
      io.stdout:flush()
      os.exit(0, false)]]
    local ends_at = core.now() + 5
    repeat
      local response = support.finish(session, session:start { url = url, proxy = "" })
    until not response or core.now() > ends_at
    assert.is_true(core.now() < ends_at)
  end)
end)
