-- Where Zuora's documents contradict themselves, one reading had to be chosen. Each spec is named after its
-- ruling, by the number that it has in the list of them; those that a client cannot meet are not here.

local core = require "zuora.core"
local support = require "spec.support"
local zuora = require "zuora"

local QUERY = "select Id from Account"

describe("ruling", function()
  local sim, client, older

  setup(function()
    sim = support.simulator()
    client = support.client(sim)
    older = support.client(sim, { legacy = true, username = sim.username, password = sim.password })
    client.jobs:get "x" -- the token
  end)
  teardown(function()
    client:close()
    older:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  local function answer(body, status, more)
    local fault = { on = "* *", kind = "status", status = status or 200, body = body }
    for name, value in pairs(more or {}) do fault[name] = value end
    sim:fault(fault)
  end

  -- Method and target of the one request that the call makes.
  local function sent(call)
    sim:forget()
    call()
    local journal = sim:journal()
    assert.equal(1, #journal)
    return journal[1].method .. " " .. journal[1].target, journal[1]
  end

  local function submitted(fields)
    fields.queries = fields.queries or { A = QUERY }
    local _, request = sent(function() client.jobs:submit(fields) end)
    return core.decode(request.body), request.body
  end

  local function job_of(fields)
    fields.id, fields.status = "j", fields.status or "completed"
    answer(core.encode(fields))
    return assert(client.jobs:get "j")
  end

  it("1: a run is cancelled by DELETE", function()
    assert.equal("DELETE /reporting/api/rest/v1/reportruns/r", (sent(function() client.reportruns:cancel "r" end)))
  end)

  it("2 and 3: /rest/v1 stands once in a path, and /api before it", function()
    assert.equal("GET /reporting/api/rest/v1/reportruns/r", (sent(function() client.reportruns:get "r" end)))
    assert.equal("GET /api/rest/v1/reportruns/reportdata/r?offset=1&pageSize=200",
      (sent(function() older.reportruns:data "r" end)))
  end)

  it("4: runs are searched at /reportruns?status=, with columns as a list", function()
    local target, request = sent(function() client.reportruns:list { status = { "ERROR" } } end)
    assert.equal("POST /reporting/api/rest/v1/reportruns?status=ERROR", target)
    assert.equal("reportId", core.decode(request.body).columns[1])
  end)

  it("5: reportId is written like that", function()
    answer '{"success":true,"response":{"id":"r","reportId":"R","status":"COMPLETED"}}'
    assert.equal("R", assert(client.reportruns:get "r").reportId)
  end)

  it("6: statuses are compared without case, cancelled with one l or two", function()
    for _, status in ipairs { "CANCELLED", "cancelled", "canceled", "Canceled" } do
      answer('{"success":true,"response":{"id":"r","status":"' .. status .. '"}}')
      assert.equal("cancelled", select(2, client.reportruns:wait("r", support.soon)).kind)
      answer('{"id":"j","status":"' .. status .. '"}')
      assert.equal("cancelled", select(2, client.jobs:wait("j", support.soon)).kind)
    end
    answer '{"id":"j","status":"Completed"}'
    assert(client.jobs:wait("j", support.soon))
  end)

  it("7 and 8: both words for a cancelled run are a success", function()
    for _, words in ipairs { "The report run has been canceled", "The report run was canceled" } do
      answer('{"success":true,"response":"' .. words .. '"}')
      local done, message = client.reportruns:cancel "r"
      assert.is_true(done)
      assert.equal(words, message)
    end
  end)

  it("9: a start answers with reportRunId, and a run with id", function()
    answer '{"success":true,"response":{"reportRunId":"r1"}}'
    local run = assert(client.reportruns:start("R", { view = "Detail" }))
    assert.equal("r1", run.id)
    assert.equal("r1", run.reportRunId)
    answer '{"success":true,"response":{"id":"r1","status":"STARTED"}}'
    assert.equal("r1", assert(run:refresh()).id)
    for _, body in ipairs { '{"success":true,"response":{"id":"r2"}}',
      '{"success":true,"response":{"id":"r2","reportRunId":null,"status":"STARTED"}}' } do
      answer(body)
      assert.equal("r2", assert(client.reportruns:start("R", { view = "Detail" })).id)
    end
    answer '{"success":true,"response":{"id":"x","reportRunId":"r3"}}'
    assert.equal("r3", assert(client.reportruns:start("R", { view = "Detail" })).id)
  end)

  it("10: OAuth on the REST hosts, user and password on the older ones", function()
    local by_password <close> = support.client(sim, { username = sim.username, password = sim.password })
    local _, err = by_password.reportruns:get "r"
    assert.equal("auth", err.kind)
    assert.matches("legacy = true", err.message)
    assert.error_matches(function() zuora.new { environment = "us2", legacy = true, token = "t" } end, "username and password")
    assert(older.reportruns:list())
  end)

  it("11 and 18: today's hosts by default, the older ones as an option, any base by its URL", function()
    local default <close> = zuora.new { environment = "us2", token = "t" }
    assert.matches("rest%.zuora%.com", tostring(default))
    local legacy <close> = zuora.new { environment = "us2", legacy = true, username = "u", password = "p" }
    assert.matches("zconnect%.zuora%.com", tostring(legacy))
    local own <close> = zuora.new { reporting_url = "https://a.example/api/rest/v1", aqua_url = "https://b.example/q",
      files_url = "https://c.example/f", token = "t" }
    assert.matches("a%.example", tostring(own))
  end)

  it("12: times come as milliseconds and as text", function()
    for _, time in ipairs { "1453166692000", '"2016-01-19T01:24:52.000+0000"' } do
      answer('{"success":true,"response":{"id":"r","status":"STARTED","startedOn":' .. time .. "}}")
      assert.equal(1453166692, zuora.time(assert(client.reportruns:get "r").startedOn))
    end
  end)

  it("13 and 42: pivoted is always sent, to /reportruns/export/{id}", function()
    local path = support.scratch "rulings" .. "/x.csv"
    assert.equal("GET /reporting/api/rest/v1/reportruns/export/r?pivoted=false",
      (sent(function() client.reportruns:export("r", path) end)))
  end)

  it("14: an export is UTF-16 with tabs, or UTF-8 with commas: both come out as UTF-8 with commas", function()
    local path = support.scratch "rulings" .. "/x.csv"
    local utf16 = ("A\tB\nÆ\t1,5\n"):gsub(utf8.charpattern, function(c) return ("<I2"):pack(utf8.codepoint(c)) end)
    local bytes = support.scratch "rulings" .. "/bytes"
    for _, body in ipairs { "\255\254" .. utf16, utf16, 'A,B\nÆ,"1,5"\n' } do
      support.write(bytes, body)
      local it = assert(zuora.rows(bytes))
      assert.same({ A = "Æ", B = "1,5" }, (it()))
      it:close()
    end
    local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
    assert(run:wait(support.soon))
    assert(run:export(path))
    assert.matches("^Account%.AccountNumber,Account%.Name,Account%.Balance\n", support.read(path))
  end)

  it("15: without filters a run has no body", function()
    local _, request = sent(function() client.reportruns:start("R", { view = "Detail" }) end)
    assert.equal("", request.body)
    assert.is_nil(request.headers["content-type"])
  end)

  it("16: an operator goes as it is given, text or table", function()
    for _, operator in ipairs { "=", { name = "equals", value = "=" } } do
      local filters = { { filterClauses = { { operator = operator } } } }
      local _, request = sent(function() client.reportruns:start("R", { view = "Detail", filters = filters }) end)
      assert.same(filters, core.decode(request.body))
    end
  end)

  it("17: the next page of data begins behind the rows that have come", function()
    local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
    assert(run:wait(support.soon))
    sim:forget()
    for _ in run:pages { page_size = 2 } do end -- luacheck: ignore
    local offsets = {}
    for i, request in ipairs(sim:journal()) do offsets[i] = request.target:match "offset=(%d+)" end
    assert.same({ "1", "3" }, offsets)
  end)

  it("19 and 20: paths have no slash at their end, and no blanks", function()
    assert.equal("POST /v1/batch-query", (sent(function() client.jobs:submit { queries = { A = QUERY } } end)))
    assert.equal("GET /v1/batch-query/jobs/partner/x/project/y",
      (sent(function() client.jobs:last { partner = "x", project = "y" } end)))
  end)

  it("22: files are at /v1/files, and at another place when one is given", function()
    local path = support.scratch "rulings" .. "/x.csv"
    assert.equal("GET /v1/files/f", (sent(function() client.files:download("f", path) end)))
    local alias <close> = support.client(sim, { files_url = sim.url .. "/v1/file" })
    alias.jobs:get "x"
    assert.equal("GET /v1/file/f", (sent(function() alias.files:download("f", path) end)))
  end)

  it("23 and 24: the version is sent as text, 1.0 or 1.1 by itself, 1.2 when asked for, and read as either", function()
    assert.equal("1.0", submitted({}).version)
    assert.equal("1.1", submitted({ partner = "p", project = "q" }).version)
    assert.equal("1.2", submitted({ partner = "p", project = "q", version = 1.2 }).version)
    for _, version in ipairs { "1.1", 1.1 } do
      assert.is_true(job_of({ version = version, partner = "p", project = "q" }):is_stateful())
    end
    assert.is_false(job_of({ version = "1.0" }):is_stateful())
  end)

  it("25: recordCount is a number or text", function()
    local path = support.scratch "rulings" .. "/x.csv"
    local job = assert(assert(client.jobs:submit { queries = { A = QUERY } }):wait(support.soon))
    for _, count in ipairs { 3, "3" } do
      job.batches[1].recordCount = count
      assert.equal(3, assert(job.batches[1]:download(path)).records)
    end
    job.batches[1].recordCount = "2"
    assert.equal("incomplete", select(2, job.batches[1]:download(path)).kind)
  end)

  it("26 and 30: offset is an integer, and truth values are no text", function()
    local _, text = submitted { offset = 60, useQueryLabels = true }
    assert.is_truthy(text:find('"offset":60[,}]'))
    assert.is_truthy(text:find('"useQueryLabels":true[,}]'))
    for _, bad in ipairs { "true", 1 } do
      assert.has_error(function() client.jobs:submit { queries = { A = QUERY }, useQueryLabels = bad } end)
    end
  end)

  it("27 and 28: deleted is an object, in a stateless job with forceExport", function()
    local deleted = { column = "d", format = "Boolean", forceExport = true }
    assert.same(deleted, submitted({ queries = { { query = QUERY, deleted = deleted } } }).queries[1].deleted)
    assert.has_error(function() client.jobs:submit { queries = { { query = QUERY, deleted = { deleted } } } } end)
  end)

  it("29: the format is sent in lower case, and read in any", function()
    assert.equal("gzip", submitted({ format = "GZIP" }).format)
    local directory = support.scratch "rulings"
    for _, format in ipairs { "GZIP", "gzip" } do
      local job = assert(assert(client.jobs:submit { queries = { A = QUERY }, format = format }):wait(support.soon))
      assert.equal(directory .. "/A.csv.gz", assert(job:download(directory))[1].path)
    end
  end)

  it("31: what a batch's status says of full is what counts", function()
    answer '{"id":"j","status":"submitted","batches":[{"name":"A","full":false,"status":"pending"}]}'
    local job = assert(client.jobs:submit { queries = { A = QUERY } })
    assert.is_false(job.batches[1].full)
    answer '{"id":"j","status":"completed","batches":[{"name":"A","full":true,"status":"completed"}]}'
    assert.is_true(assert(job:refresh()).batches[1].full)
  end)

  it("32: an id of null is none", function()
    for _, body in ipairs { '{"id":null,"status":"error","errorCode":"90005","message":"m"}',
      '{"status":"error","errorCode":"90005","message":"m"}' } do
      answer(body)
      local job, err = client.jobs:submit { queries = { A = QUERY } }
      assert.is_nil(job)
      assert.equal("90005", err.code)
    end
  end)

  it("33: the echo of notifyUrl is kept as it comes, and nothing is made of it", function()
    assert.equal("https://x.example/?a&jobId=1", job_of({ notifyUrl = "https://x.example/?a&jobId=1" }).notifyUrl)
  end)

  it("35: segments when there are any, else fileId", function()
    local job = job_of { batches = { { segments = { "s1", "s2" }, fileId = "f" }, { fileId = "f" } } }
    assert.same({ "s1", "s2" }, job.batches[1]:file_ids())
    assert.same({ "f" }, job.batches[2]:file_ids())
    answer '{"id":"j","status":"completed","batches":[{"segments":[],"fileId":"f"}]}'
    assert.same({ "f" }, assert(client.jobs:get "j").batches[1]:file_ids())
  end)

  it("36: a file that is gone after three days is an error, whatever the job says", function()
    local past <close> = support.simulator()
    local one <close> = support.client(past)
    local job = assert(assert(one.jobs:submit { queries = { A = QUERY } }):wait(support.soon))
    past:forward(4 * 24 * 3600)
    local written, err = job.batches[1]:download(support.scratch "rulings" .. "/x.csv")
    assert.is_nil(written)
    assert.equal(404, err.status)
    assert.equal("completed", assert(job:refresh()).status)
  end)

  it("37: the only source of data is LIVE", function()
    assert.equal("LIVE", submitted({ sourceData = "LIVE" }).sourceData)
    assert.has_error(function() client.jobs:submit { queries = { A = QUERY }, sourceData = "WAREHOUSE" } end)
  end)

  it("38: a token lives as long as it says", function()
    local short <close> = support.simulator { token_life = 100 }
    local one <close>, clock = support.quick_client(short)
    local function tokens() return #support.sent(short, "POST", "/oauth/token") end
    one.jobs:get "x"
    clock.at = clock.at + 80
    one.jobs:get "x"
    assert.equal(1, tokens())
    clock.at = clock.at + 15
    one.jobs:get "x"
    assert.equal(2, tokens())
  end)

  it("39: the client secret goes in the form, not in the address", function()
    local one <close> = support.client(sim)
    sim:forget()
    one.jobs:get "x"
    local request = support.sent(sim, "POST", "/oauth/token")[1]
    assert.equal("/oauth/token", request.target)
    assert.is_truthy(request.body:find("client_secret=***", 1, true))
  end)

  it("40: a query job's id is a UUID, and a page of them has at most 1000", function()
    local job = assert(client.queries:submit { query = QUERY })
    assert.equal(36, #job.id)
    assert(client.queries:get(job.id))
    assert(client.queries:list { page_size = 1000 })
    assert.has_error(function() client.queries:list { page_size = 1001 } end)
  end)

  it("41: a job that was aborted is over, and one that \"failed\" is not AQuA's", function()
    answer '{"id":"j","status":"aborted"}'
    assert.equal("failed", select(2, client.jobs:wait("j", support.soon)).kind)
    answer('{"id":"j","status":"failed"}', 200, { times = "always" })
    assert.equal("timeout", select(2, client.jobs:wait("j", { timeout = 0.05, min = 0.01 })).kind)
  end)

  it("43: a key that is in use is waited for and sent again", function()
    local quick <close> = support.quick_client(sim)
    quick.jobs:get "x"
    sim:forget()
    answer('{"success":false,"reasons":[{"code":50000050,"message":"in progress"}]}', 409)
    assert(quick.jobs:submit { queries = { A = QUERY } })
    local posts = support.sent(sim, "POST", "/v1/batch-query")
    assert.equal(2, #posts)
    assert.equal(posts[1].headers["idempotency-key"], posts[2].headers["idempotency-key"])
  end)

  describe("44: a cancel that is answered by nothing", function()
    local QUERY_JOB = '{"data":{"id":"q","queryStatus":"%s"}}'
    local NOTHING = { { 200, "" }, { 200, "{}" }, { 200, "[]" }, { 200, "null" }, { 202, " \n" }, { 204, "" } }

    it("is done where its status says so, and a job is looked at to say what it is then", function()
      for _, nothing in ipairs(NOTHING) do
        local function cancel_of(call, now)
          sim:heal()
          sim:forget()
          sim:fault { on = "DELETE *", kind = "status", status = nothing[1], body = nothing[2] }
          sim:fault { on = "GET *", kind = "status", status = 200, body = now }
          local done, more = call()
          assert.is_truthy(done, tostring(more))
          return done, #sim:journal()
        end
        local done, count = cancel_of(function() return client.reportruns:cancel "r" end, "")
        assert.is_true(done)
        assert.equal(1, count)
        for _, status in ipairs { "cancelled", "executing" } do -- whatever it is
          local now = '{"id":"j","status":"' .. status .. '"}'
          done, count = cancel_of(function() return client.jobs:cancel "j" end, now)
          assert.equal(status, done.status)
          assert.equal(2, count)
          local job = job_of {}
          assert.equal(job, (cancel_of(function() return job:cancel() end, now)))
          assert.equal(status, job.status)
          done = cancel_of(function() return client.queries:cancel "q" end, QUERY_JOB:format(status))
          assert.equal(status, done.queryStatus)
        end
      end
    end)

    it("is done where it says success alone", function()
      sim:fault { on = "DELETE *", kind = "status", status = 200, body = '{"success":true}' }
      sim:fault { on = "GET *", kind = "status", status = 200, body = '{"id":"j","status":"cancelled"}' }
      assert.equal("cancelled", assert(client.jobs:cancel "j").status)
    end)

    it("is not done where anything says otherwise", function()
      for _, other in ipairs { { 200, '{"success":false}' }, { 200, '{"id":"other","status":"cancelled"}' }, { 404, "" },
        { 400, "{}" }, { 200, '{"reasons":[{"code":1,"message":"no"}]}' }, { 200, "<html></html>" }, { 200, "null x" },
        { 302, "" } } do
        for _, call in ipairs { function() return client.jobs:cancel "j" end, function() return client.queries:cancel "q" end } do
          answer(other[2], other[1])
          sim:fault { on = "GET *", kind = "status", status = 200, body = '{"id":"j","status":"cancelled"}' }
          assert.is_nil((call()))
          sim:heal()
        end
        if not other[2]:find "other" then -- of a run it is not asked which one it is
          answer(other[2], other[1])
          assert.is_nil((client.reportruns:cancel "r"))
          sim:heal()
        end
      end
    end)

    it("tells when the job cannot be looked at", function()
      sim:fault { on = "DELETE *", kind = "status", status = 204 }
      sim:fault { on = "GET *", kind = "status", status = 403, body = '{"message":"no"}' }
      local job, err = client.jobs:cancel "j"
      assert.is_nil(job)
      assert.equal("jobs.get", err.operation)
    end)
  end)
end)
