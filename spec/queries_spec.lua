local core = require "zuora.core"
local support = require "spec.support"

local QUERY = "select AccountNumber, Name from Account"

describe("client.queries", function()
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

  local function submitted(more)
    local fields = { query = QUERY }
    for name, value in pairs(more or {}) do fields[name] = value end
    return assert(client.queries:submit(fields))
  end

  local function completed(more)
    return assert(submitted(more):wait(support.soon))
  end

  it("submits a query, and waits for it in place", function()
    local job = submitted { track_id = "t" }
    assert.equal("accepted", job.queryStatus)
    assert.same({ query = QUERY, outputFormat = "CSV", compression = "NONE", output = { target = "S3" } },
      core.decode(support.sent(sim, "POST", "/query/jobs")[1].body))
    assert.equal(job, assert(job:wait(support.soon)))
    assert.equal("completed", job.queryStatus)
    assert.equal(3, job.outputRows)
    sim:forget()
    assert.equal(job, job:wait())
    assert.equal(0, #sim:journal())
  end)

  it("gets and lists", function()
    local job = completed()
    assert.equal("completed", assert(client.queries:get(job.id)).queryStatus)
    local list = assert(client.queries:list { status = "completed", page_size = 1 })
    assert.equal(1, #list)
    assert.equal(job.id, list[1].id)
    assert.equal(job.id, assert(list[1]:refresh()).id)
    assert.equal(job.id, assert(client.queries:wait(job.id, support.soon)).id)
  end)

  it("cancels what is not over", function()
    local job = submitted()
    assert.equal(job, assert(job:cancel()))
    assert.equal("cancelled", job.queryStatus)
    local waited, err = job:wait(support.soon)
    assert.is_nil(waited)
    assert.equal("cancelled", err.kind)
    waited, err = client.queries:cancel(completed().id)
    assert.is_nil(waited)
    assert.equal("1003", err.code)
    assert.matches("accepted or in progress", err.advice)
    assert.equal("1001", select(2, client.queries:get "0f0e0d0c-0000-4000-8000-000000000000").code)
  end)

  it("tells why a query failed", function()
    local job, err = assert(client.queries:submit { query = "drop table Account" }):wait(support.soon)
    assert.is_nil(job)
    assert.equal("failed", err.kind)
    assert.equal(err.record.errorCode, err.code)
    assert.is_truthy(err.message:find(err.record.errorMessage, 1, true))
    local written
    written, err = client.queries:download(err.record.id, support.scratch "queries" .. "/x.csv")
    assert.is_nil(written)
    assert.equal("failed", err.kind)
  end)

  it("names the status last seen when time is up", function()
    local _, err = submitted():wait { timeout = 0 }
    assert.equal("timeout", err.kind)
    assert.matches("last seen as accepted", err.message)
  end)

  it("fetches the result with none of our credentials, and counts it", function()
    local job = completed { track_id = "t", entity_id = "11111111-2222-3333-4444-555555555555" }
    local path = support.scratch "queries" .. "/x.csv"
    local written = assert(job:download(path, { track_id = "t" }))
    assert.equal(3, written.records)
    assert.matches("^AccountNumber,Name\n", support.read(path))
    local fetched = support.sent(sim, "GET", "/_bucket/")
    assert.equal(1, #fetched)
    for name in pairs(fetched[1].headers) do
      assert.is_nil(({ authorization = true, apiaccesskeyid = true })[name])
      assert.is_nil(name:find "zuora")
    end
  end)

  it("reads the result as rows, plain or packed, with commas or tabs", function()
    for _, more in ipairs { {}, { outputFormat = "TSV" }, { compression = "GZIP" } } do
      local job, found = completed(more), {}
      for row in assert(client.queries:rows(job.id)) do found[#found + 1] = row.Name end
      assert.same({ "Ærøskøbing \"Ferry\", Ltd", "Line\nBreak AG", "日本 GmbH" }, found)
      local count = 0
      for _ in assert(job:rows { form = "array" }) do count = count + 1 end
      assert.equal(3, count)
    end
  end)

  it("keeps JSON as it is, and does not count its lines", function()
    local job = completed { outputFormat = "JSON" }
    local path = support.scratch "queries" .. "/x.jsonl"
    local written = assert(client.queries:download(job.id, path))
    assert.is_nil(written.records)
    assert.equal("A00000001", core.decode(support.read(path):match "^[^\n]*").AccountNumber)
    local it, err = job:rows()
    assert.is_nil(it)
    assert.equal("text", err.kind)
    -- A link without an ending: what the job says of itself.
    local lines = '{"a":1}\n{"a":2}\n'
    local bucket = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#lines, lines)
    local function other(format)
      sim:fault { on = "GET /query/jobs/*", kind = "status", status = 200, body = core.encode { data = { id = job.id,
        queryStatus = "completed", outputFormat = format, outputRows = 2, dataFile = sim.url .. "/_bucket/42?sig=1" } } }
      sim:fault { on = "GET /_bucket/*", kind = "garbage", raw = bucket }
      return client.queries:download(job.id, path)
    end
    written = assert(other "JSON")
    assert.is_nil(written.records)
    assert.equal(lines, support.read(path))
    assert(other "json")
    assert.equal("incomplete", select(2, other "CSV").kind)
    assert.matches("has a result that is not rows: it is JSON", err.message)
    -- By its name alone, too.
    it, err = client.queries:rows(job.id)
    assert.is_nil(it)
    assert.matches("it is JSON", err.message)
  end)

  it("reads DSV as rows when its separator is one that rows know", function()
    local count = 0
    for row in assert(completed { outputFormat = "DSV", columnSeparator = "\t" }:rows()) do count = count + #row.AccountNumber end
    assert.equal(27, count)
    local job = completed { outputFormat = "DSV", columnSeparator = "|" }
    local it, err = job:rows()
    assert.is_nil(it)
    assert.matches("separators that are neither commas nor tabs", err.message)
    local path = support.scratch "queries" .. "/x.dsv"
    assert(job:download(path))
    assert.matches("^AccountNumber|Name\n", support.read(path))
  end)

  it("takes what is encrypted as it is, and counts nothing in it", function()
    local job = completed { encryptionKey = "k" }
    local it, err = job:rows()
    assert.is_nil(it)
    assert.matches("it is encrypted", err.message)
    assert.is_nil(assert(job:download(support.scratch "queries" .. "/x")).records)
  end)

  it("counts a result whose link has no name, and finds a cut gzip though it counts nothing", function()
    local job = completed()
    local other <close> = support.simulator() -- a store that serves any path
    local function linked(path, rows, packed)
      sim:fault { on = "GET /query/jobs/*", kind = "status", status = 200, body = core.encode { data = { id = job.id, query = QUERY,
        queryStatus = "completed", outputRows = rows, dataFile = other.url .. path } } }
      other:fault { on = "GET " .. path, kind = "status", status = 200, body = packed or "A,B\n1,2\n",
        headers = { ["Content-Type"] = packed and "application/x-gzip" or "text/csv" } }
    end
    linked("/result", 1000)
    local it, err = client.queries:rows(job.id)
    assert.is_nil(it)
    assert.equal("incomplete", err.kind)
    linked("/result", 1)
    assert.equal(1, assert(client.queries:download(job.id, support.scratch "queries" .. "/x")).records)
    linked("/result", 1000)
    assert.is_nil(assert(client.queries:download(job.id, support.scratch "queries" .. "/x", { outputFormat = "JSON" })).records)
    local gzipped = completed { outputFormat = "JSON", compression = "GZIP" }
    sim:fault { on = "GET /_bucket/*", kind = "gzip", how = "cut", times = "always" }
    local written
    written, err = gzipped:download(support.scratch "queries" .. "/x.gz")
    assert.is_nil(written)
    assert.equal("incomplete", err.kind)
  end)

  it("goes on with what an earlier call has left of the same job, whatever its link", function()
    local job, path = completed(), support.scratch "queries" .. "/x.csv"
    sim:fault { on = "GET /_bucket/*", kind = "cut", after = 20 }
    assert.is_nil((client.queries:download(job.id, path, { resume = true, retries = 0 })))
    sim:forget()
    assert.equal(3, assert(client.queries:download(job.id, path, { resume = true })).records)
    assert.equal("bytes=20-", support.sent(sim, "GET", "/_bucket/")[1].headers.range)
  end)

  it("keeps the store's words about a signature to itself", function()
    local job = completed()
    sim:fault { on = "GET /_bucket/*", kind = "status", status = 400, headers = { ["Content-Type"] = "application/xml" },
      body = "<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message><SignatureProvided>abc</SignatureProvided></Error>" }
    local _, err = job:download(support.scratch "queries" .. "/x.csv")
    assert.equal("SignatureDoesNotMatch", err.code)
    assert.is_nil(err.body)
    sim:fault { on = "GET /_bucket/*", kind = "status", status = 400, headers = { ["Content-Type"] = "application/xml" },
      body = "<Error><Code>ExpiredToken</Code><Message>m</Message></Error>" }
    assert(job:download(support.scratch "queries" .. "/x.csv"))
  end)

  it("holds the records against outputRows, unless it is told not to", function()
    local job = completed()
    local path = support.scratch "queries" .. "/x.csv"
    local function one_more()
      local body = core.encode { data = { id = job.id, query = QUERY, queryStatus = "completed", outputRows = 4,
        dataFile = assert(client.queries:get(job.id)).dataFile } }
      sim:fault { on = "GET /query/jobs/*", kind = "status", status = 200, body = body }
    end
    one_more()
    local written, err = job:download(path)
    assert.is_nil(written)
    assert.equal("incomplete", err.kind)
    assert.matches("has 3 records, and should have 4", err.message)
    assert.is_nil(support.read(path))
    one_more()
    assert.equal(3, assert(job:download(path, { verify = false })).records)
  end)

  it("proves nothing by an outputRows that is no number", function()
    local job = completed()
    local path, link = support.scratch "queries" .. "/x.csv", job.dataFile
    for _, rows in ipairs { "abc", "3 rows", 2.5, true, { 3 } } do
      for _, verify in ipairs { true, false } do
        sim:fault { on = "GET /query/jobs/*", kind = "status", status = 200, body = core.encode { data = { id = job.id,
          query = QUERY, queryStatus = "completed", outputRows = rows, dataFile = link } } }
        local written, err = client.queries:download(job.id, path, { verify = verify })
        assert.equal(verify, not written)
        assert.equal(verify and "incomplete" or nil, err and err.kind)
      end
    end
  end)

  it("believes what was submitted, and no format that contradicts it, or is none", function()
    local path = support.scratch "queries" .. "/x.csv"
    for _, format in ipairs { "FOO", "JSON", 5 } do
      local job = completed()
      local function answer()
        sim:fault { on = "GET /query/jobs/*", kind = "status", status = 200, body = core.encode { data = { id = job.id,
          outputFormat = format, queryStatus = "completed", outputRows = 4, dataFile = job.dataFile } } }
      end
      answer()
      local written, err = job:download(path)
      assert.is_nil(written)
      assert.equal("incomplete", err.kind)
      assert.matches("says that its format is " .. format .. ", and was submitted for CSV", err.message)
      answer()
      assert.equal("incomplete", select(2, job:download(path, { outputFormat = "CSV" })).kind) -- counted
    end
    local job = completed()
    sim:fault { on = "GET /_bucket/*", kind = "status", status = 200, body = "PK\3\4xxxx", times = "always",
      headers = { ["Content-Type"] = "text/csv" } }
    assert.matches("zip archive", select(2, job:download(path)).message)
  end)

  it("goes on where the store's connection broke", function()
    local job = completed()
    sim:fault { on = "GET /_bucket/*", kind = "cut", after = 30 }
    local path = support.scratch "queries" .. "/x.csv"
    assert.equal(3, assert(job:download(path)).records)
    local fetched = support.sent(sim, "GET", "/_bucket/")
    assert.equal("bytes=30-", fetched[2].headers.range)
  end)

  it("asks for another link when one is refused, once", function()
    local job = completed()
    local expired = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
      .. "<Message>Request has expired</Message></Error>"
    local function refuse(times)
      sim:fault { on = "GET /_bucket/*", kind = "status", status = 403, body = expired, times = times,
        headers = { ["Content-Type"] = "application/xml" } }
    end
    refuse(1)
    local path = support.scratch "queries" .. "/x.csv"
    assert(job:download(path))
    sim:forget()
    refuse(2)
    local written, err = job:download(path)
    assert.is_nil(written)
    assert.equal("auth", err.kind)
    assert.equal("AccessDenied", err.code)
    assert.equal("Request has expired", err.message)
    assert.equal(2, #support.sent(sim, "GET", "/_bucket/"))
    assert.is_nil(tostring(err):find "Signature")
  end)

  it("follows no link that leaves TLS, or is none", function()
    local secure <close> = support.simulator { tls = true }
    local one <close> = support.client(secure, { ca_file = secure.ca_file })
    for _, link in ipairs { "http://127.0.0.1:1/x", "file:///etc/passwd", "//x", "https://", "https://x\r\ny", 5 } do
      secure:fault { on = "GET /query/jobs/*", kind = "status", status = 200, body = core.encode { data = {
        id = "j", query = QUERY, queryStatus = "completed", dataFile = link } } }
      local it, err = one.queries:rows "j"
      assert.is_nil(it)
      assert.matches("no usable link", err.message)
    end
  end)

  it("shows no part of a link in what it says, and tells the hooks no more", function()
    local told = {}
    local function tell(info)
      for _, value in pairs(type(info) == "table" and info or { info }) do told[#told + 1] = tostring(value) end
    end
    local quick <close> = support.quick_client(sim, { on_retry = tell, on_response = tell, log = tell })
    local job = completed()
    sim:fault { on = "GET /_bucket/*", kind = "reset", times = "always" }
    local _, err = quick.queries:download(job.id, support.scratch "queries" .. "/x.csv")
    tell(tostring(err))
    assert.equal("transport", err.kind)
    assert.is_nil(table.concat(told, "\n"):find("Signature", 1, true))
    assert.is_nil(table.concat(told, "\n"):find("_bucket", 1, true))
  end)

  it("takes no other job, and no odd list, for the answer", function()
    local function answered(body, call)
      sim:fault { on = "GET /query/jobs*", kind = "status", status = 200, body = body }
      local value, err = call()
      assert.is_nil(value)
      assert.equal("json", err.kind)
      return err.message
    end
    local function get() return client.queries:get "j" end
    assert.matches("about query job k, not j", answered('{"data":{"id":"k","queryStatus":"accepted"}}', get))
    assert.matches("no 'queryStatus'", answered('{"data":{"id":"j"}}', get))
    assert.matches("no 'data'", answered('{"id":"j"}', get))
    assert.matches("no list", answered('{"data":{"id":"j"}}', function() return client.queries:list() end))
  end)
end)
