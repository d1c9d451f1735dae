-- The engine behind the simulated AQuA: sessions, limits, segments, time.

local support = require "spec.support"

local DAY = 24 * 3600

describe("a simulated tenant's jobs", function()
  local sim, client

  local function open(settings)
    if sim then
      client:close()
      sim:stop()
    end
    sim = support.simulator(settings)
    client = support.client(sim)
  end
  after_each(function()
    client:close()
    sim:stop()
    sim = nil
  end)

  local ROWS = { { "1", "one" }, { "2", "two" }, { "3", "three" } }
  local THINGS = { Thing = { columns = { "Id", "Name" }, rows = ROWS } }
  local QUERY = { name = "t", query = "select Id, Name from Thing" }

  local function submit(fields)
    fields = fields or {}
    fields.queries = fields.queries or { QUERY }
    return client.jobs:submit(fields)
  end

  local function run(fields) return assert(assert(submit(fields)):wait(support.soon)) end
  local function stateful(fields)
    fields = fields or {}
    fields.partner, fields.project = fields.partner or "p", fields.project or "q"
    return fields
  end

  local function text_of(file_id)
    local path = "build/spec/simulated-file"
    assert(client.files:download(file_id, path))
    return support.read(path)
  end

  it("find everything first, then what has changed", function()
    open { objects = THINGS }
    local first = run(stateful())
    assert.is_true(first.batches[1].full)
    assert.equal(3, first.batches[1].recordCount)
    local second = run(stateful())
    assert.is_false(second.batches[1].full)
    assert.equal(0, second.batches[1].recordCount)
    assert.equal("Thing: Id,Thing: Name\n", text_of(second.batches[1].fileId))
    sim:update("Thing", { { "2", "zwei" }, { "4", "four" } })
    local third = run(stateful())
    assert.equal("Thing: Id,Thing: Name\n2,zwei\n4,four\n", text_of(third.batches[1].fileId))
    assert.equal(4, run().batches[1].recordCount) -- a stateless one sees all
    assert.equal(third.id, assert(client.jobs:last { partner = "p", project = "q" }).id)
  end)

  it("find everything again when the query, or the deleted column, has changed, or is new", function()
    open { objects = THINGS }
    run(stateful())
    assert.is_false(run(stateful()).batches[1].full)
    assert.is_true(run(stateful { queries = { { name = "t", query = "select Id from Thing" } } }).batches[1].full)
    assert.is_true(run(stateful { queries = { { name = "t", query = "select Id from Thing",
      deleted = { column = "gone", format = "Boolean" } } } }).batches[1].full)
    local job = run(stateful { queries = { { name = "t", query = "select Id from Thing",
      deleted = { column = "gone", format = "Boolean" } }, { name = "new", query = "select Name from Thing" } } })
    assert.is_false(job.batches[1].full)
    assert.is_true(job.batches[2].full)
    assert.is_true(run(stateful { project = "other" }).batches[1].full)
    sim:forward(181 * DAY)
    client:close()
    client = support.client(sim)
    assert.is_true(run(stateful()).batches[1].full)
  end)

  it("go by incrementalTime and offset when those are given", function()
    open { objects = THINGS }
    run(stateful())
    sim:update("Thing", { { "1", "uno" } })
    assert.equal(0, run(stateful { offset = 3600 }).batches[1].recordCount)
    assert.equal(1, run(stateful()).batches[1].recordCount)
    assert.equal(3, run(stateful { incrementalTime = "2020-01-01 00:00:00" }).batches[1].recordCount)
    local an_hour_ago = os.date("!%Y-%m-%d %H:%M:%S", os.time() - 3600)
    assert.equal(1, run(stateful { incrementalTime = an_hour_ago }).batches[1].recordCount)
  end)

  it("find rows by their UpdatedDate, those from the beginning too", function()
    local columns, rows = { "Id", "UpdatedDate" }, { { "1", "2026-01-01T00:00:00+0000" }, { "2", "2026-02-01T05:00:00+1000" } }
    local path = "build/spec/updated.csv"
    support.write(path, "Id,UpdatedDate\n1,2026-01-01T00:00:00Z\n2,2026-01-31T19:00:00Z\n")
    open { objects = { Thing = { columns = columns, rows = rows }, File = { csv = path } } }
    local QUERIES = { { name = "t", query = "select Id from Thing" }, { name = "f", query = "select Id from File" } }
    local function counts(since)
      local job = run(stateful { queries = QUERIES, incrementalTime = since })
      return { job.batches[1].recordCount, job.batches[2].recordCount, job.incrementalTime }
    end
    assert.same({ 2, 2, 1767225600000 }, counts "2026-01-01 00:00:00")
    assert.same({ 1, 1, 1767225601000 }, counts "2026-01-01 00:00:01")
    assert.same({ 1, 1, 1769886000000 }, counts "2026-01-31 19:00:00")
    assert.same({ 0, 0, 1769886001000 }, counts "2026-01-31 19:00:01")
    -- A change that does not say when is now; one that does has its own time.
    sim:update("Thing", { { "1", "2026-01-01T00:00:00+0000" }, { "2", "2026-03-01T00:00:00+0000" }, { "3" } })
    assert.same({ 3, 0, 1769886001000 }, counts "2026-01-31 19:00:01")
    assert.equal(2, counts "2026-03-01 00:00:01"[1])
  end)

  it("are cut into segments when they are stateful and full, each with its header", function()
    open { objects = THINGS, segment_rows = 2 }
    local batch = run(stateful()).batches[1]
    assert.is_nil(batch.fileId)
    assert.equal(2, #batch.segments)
    assert.equal(3, batch.recordCount)
    assert.equal("Thing: Id,Thing: Name\n1,one\n2,two\n", text_of(batch.segments[1]))
    assert.equal("Thing: Id,Thing: Name\n3,three\n", text_of(batch.segments[2]))
    assert.is_nil(run(stateful()).batches[1].segments)
    assert.is_nil(run().batches[1].segments)
  end)

  it("of one session run one after another, those of others side by side", function()
    open { objects = THINGS }
    local first, second = assert(submit(stateful())), assert(submit(stateful()))
    local other = assert(submit(stateful { project = "other" }))
    assert(other:wait(support.soon))
    for _ = 1, 2 do assert(second:refresh()) end
    assert.equal("submitted", second.status)
    assert(first:wait(support.soon))
    assert(second:wait(support.soon))
    assert.is_false(second.batches[1].full)
  end)

  it("go through their stages by time when told so", function()
    open { objects = THINGS, seconds = 100 }
    local job = assert(submit(stateful()))
    for _, expected in ipairs { "submitted", "submitted", "executing", "executing", "completed" } do
      assert.equal(expected, assert(job:refresh()).status)
      sim:forward(51)
    end
    local next_one = assert(submit(stateful()))
    sim:forward(500)
    assert.equal(next_one.id, assert(client.jobs:last { partner = "p", project = "q" }).id)
  end)

  it("may be cancelled as long as they were not seen to be over", function()
    open { objects = THINGS }
    local job = assert(submit())
    assert(job:refresh())
    assert.equal("executing", assert(job:refresh()).status)
    assert.equal("cancelled", assert(job:cancel()).status)
  end)

  it("see what was there when they began", function()
    open { objects = { Thing = { columns = { "Id", "Name" }, rows = { { "1", "one" } } } } }
    local job = assert(submit())
    for _ = 1, 2 do assert(job:refresh()) end
    sim:update("Thing", { { "1", "uno" }, { "2", "due" } })
    assert(job:wait(support.soon))
    assert.equal("Thing: Id,Thing: Name\n1,one\n", text_of(job.batches[1].fileId))
  end)

  it("add to the last queries when useLastCompletedJobQueries says so", function()
    open { objects = THINGS }
    run(stateful())
    local job = run(stateful { useLastCompletedJobQueries = true,
      queries = { { name = "u", query = "select Name from Thing" } } })
    assert.equal(2, #job.batches)
    assert.same({ false, true }, { job.batches[1].full, job.batches[2].full })
  end)

  it("stay in each stage as long as is said for it", function()
    open { objects = THINGS, looks = { executing = 3 } }
    local job, seen = assert(submit()), {}
    for i = 1, 6 do seen[i] = assert(job:refresh()).status end
    assert.same({ "submitted", "executing", "executing", "executing", "completed", "completed" }, seen)
    open { objects = THINGS, seconds = { executing = 60 } }
    job = assert(submit())
    assert.equal("executing", assert(job:refresh()).status)
    sim:forward(61)
    assert.equal("completed", assert(job:refresh()).status)
  end)

  it("tell batches from jobs", function()
    open { objects = THINGS }
    local job = assert(submit { queries = { QUERY, { name = "u", query = "select Name from Thing" } } })
    local function statuses()
      assert(job:refresh())
      return { job.status, job.batches[1].status, job.batches[2].status }
    end
    assert.same({ "submitted", "pending", "pending" }, statuses())
    assert.same({ "executing", "executing", "submitted" }, statuses())
    assert.same({ "completed", "completed", "completed" }, statuses())
  end)

  it("leave the batches of a cancelled job where they stood", function()
    open { objects = THINGS }
    local queries = { QUERY, { name = "u", query = "select Name from Thing" } }
    local function cancelled_after(looks)
      local job = assert(submit { queries = queries })
      for _ = 1, looks do assert(job:refresh()) end
      local body = assert(client:request { method = "DELETE", path = "/v1/batch-query/jobs/" .. job.id })
      assert.same(body, assert(client:request { path = "/v1/batch-query/jobs/" .. job.id }))
      assert.equal("cancelled", body.status)
      return { body.batches[1].status, body.batches[2].status, body.batches[1].message }
    end
    assert.same({ "submitted", "submitted", "" }, cancelled_after(1))
    assert.same({ "aborted", "submitted", "The query execution has been aborted." }, cancelled_after(2))
  end)

  it("are refused by AQuA's own codes", function()
    open { objects = THINGS, partners = { "known" }, concurrent_jobs = 2 }
    -- What the client would not send goes by itself.
    local function code(fields)
      local body = { format = "csv", version = fields and fields.partner and "1.1" or "1.0", queries = { QUERY } }
      for name, value in pairs(fields or {}) do body[name] = value end
      local answer, err = client:request { method = "POST", path = "/v1/batch-query", body = body }
      assert.is_nil(answer)
      assert.equal("api", err.kind)
      return err.code
    end
    local many = {}
    for i = 1, 51 do many[i] = { name = "q" .. i, query = QUERY.query } end
    assert.equal("90004", code { queries = many })
    assert.equal("90005", code { queries = { { query = "select" } } })
    assert.equal("90012", code { queries = { { query = QUERY.query, deleted = { column = "d", format = "Boolean" } } } })
    for _, name in ipairs { "partner", "notifyUrl", "incrementalTime" } do
      assert.equal("90005", code { [name] = { 7 } }, name)
    end
    assert.equal("90014", code { notifyUrl = ("x"):rep(5000) })
    assert.equal("90015", code(stateful { partner = "known", incrementalTime = "yesterday" }))
    assert.equal("90015", code(stateful { partner = "known", incrementalTime = "2026-13-01 00:00:00" }))
    assert.equal("90019", code(stateful { partner = "stranger" }))
    assert(submit { queries = { { query = QUERY.query, deleted = { column = "d", format = "Boolean",
      forceExport = true } } } })
    assert(submit())
    assert.equal("90028", code())
    assert(submit(stateful { partner = "known" })) -- counted by themselves
  end)

  it("answer conditions and canned queries", function()
    open { objects = THINGS, answers = { ["select strange things"] = { columns = { "A", "B" }, rows = { { "x", 5 } } } } }
    local job = run { queries = { { name = "t", query = "select Name from Thing where Id > 1 and Name like 't%'" } } }
    assert.equal("Thing: Name\ntwo\nthree\n", text_of(job.batches[1].fileId))
    job = run { queries = { { name = "s", query = "select strange things" } } }
    assert.equal("A,B\nx,5\n", text_of(job.batches[1].fileId))
  end)

  it("put nullReplacement where nothing is", function()
    open { objects = { Thing = { columns = { "Id", "Name" }, rows = { { "1", "" }, { "2", require "zuora".null } } } } }
    local job = run { nullReplacement = "-", useQueryLabels = true }
    assert.equal("Thing.Id,Thing.Name\n1,-\n2,-\n", text_of(job.batches[1].fileId))
  end)

  it("have deleted rows for who asks for them, for 30 days, and not in a first load", function()
    open { objects = THINGS }
    local query = { name = "t", query = QUERY.query, deleted = { column = "Gone", format = "Boolean", forceExport = true } }
    run(stateful { queries = { query } })
    sim:delete("Thing", { "2" })
    assert.equal("Thing: Id,Thing: Name\n1,one\n3,three\n", text_of(run().batches[1].fileId))
    local next_run = run(stateful { queries = { query } }).batches[1]
    assert.equal("Thing: Id,Thing: Name,Gone\n2,two,true\n", text_of(next_run.fileId))
    local function forced() return run { version = "1.1", queries = { query } }.batches[1] end
    assert.equal("Thing: Id,Thing: Name,Gone\n1,one,false\n2,two,true\n3,three,false\n", text_of(forced().fileId))
    assert.equal(2, run(stateful { project = "other", queries = { query } }).batches[1].recordCount)
    sim:forward(31 * DAY)
    assert.equal(2, forced().recordCount)
    sim:update("Thing", { { "2", "again" } })
    assert.equal(3, run().batches[1].recordCount)
  end)

  it("end with 90027 where a query has too many rows, and refuse files that are too large", function()
    open { objects = THINGS, query_rows = 2, file_bytes = 34 }
    local _, err = assert(submit()):wait(support.soon)
    assert.equal("failed", err.kind)
    assert.equal("90027", err.record.errorCode)
    assert.equal("aborted", err.record.status)
    local fine = run { queries = { { query = QUERY.query .. " order by Id limit 1" } } }.batches[1]
    assert.equal("Thing: Id,Thing: Name\n1,one\n", text_of(fine.fileId))
    local large = run { queries = { { query = QUERY.query .. " where Id > '1'" } } }.batches[1]
    local got, refused = client.files:download(large.fileId, "build/spec/too-large")
    assert.is_nil(got)
    assert.equal(403, refused.status)
    assert.matches("max%-object%-size", refused.body)
  end)

  it("put columns into an order of their own, and forget keys, where that is set", function()
    open { objects = THINGS, turn_columns = true, ignore_keys = true }
    assert.equal("Thing: Name,Thing: Id\none,1\ntwo,2\nthree,3\n", text_of(run().batches[1].fileId))
    local first = assert(submit { idempotency_key = "once" })
    assert.not_equal(first.id, assert(submit { idempotency_key = "once" }).id)
  end)

  it("say of each row whether it was deleted when that is asked for", function()
    open { objects = { Thing = THINGS.Thing, Big = { generate = { rows = 600 } } } }
    local function text(query, format)
      return text_of(run(stateful { project = format, queries = { { name = "t", query = query,
        deleted = { column = "Gone", format = format } } } }).batches[1].fileId)
    end
    assert.equal("Thing: Id,Thing: Name,Gone\n1,one,false\n2,two,false\n3,three,false\n",
      text("select Id, Name from Thing", "Boolean"))
    assert.equal("Thing: Id,Gone\n3,0\n", text("select Id from Thing where Id = '3'", "Numeric"))
    assert.equal(600, select(2, text("select Id from Big", "Boolean"):gsub(",false\n", "")))
    for _, deleted in ipairs { { column = "Gone", format = "boolean" }, { format = "Boolean" } } do
      local _, err = client:request { method = "POST", path = "/v1/batch-query", body = { partner = "p", project = "q",
        version = "1.1", queries = { { name = "t", query = QUERY.query, deleted = deleted } } } }
      assert.equal("90005", err.code)
    end
  end)

  it("are packed as gzip or zip when told so", function()
    open { objects = THINGS }
    local plain = text_of(run().batches[1].fileId)
    text_of(run({ format = "GZIP" }).batches[1].fileId)
    assert.equal(plain, (support.shell "gzip -dc < build/spec/simulated-file"))
    text_of(run({ format = "zip" }).batches[1].fileId)
    assert.equal(plain, (support.shell "unzip -p build/spec/simulated-file t.csv"))
  end)

  it("lose their files after 3 days, and are gone after 180", function()
    open { objects = THINGS }
    local job = run()
    sim:forward(3 * DAY - 60)
    text_of(job.batches[1].fileId)
    sim:forward(120)
    local _, err = client.files:download(job.batches[1].fileId, "build/spec/simulated-x")
    assert.equal(404, err.status)
    assert(job:refresh())
    sim:forward(178 * DAY)
    _, err = client.jobs:get(job.id)
    assert.equal(404, err.status)
  end)
end)
