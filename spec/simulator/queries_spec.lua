-- Data queries on the wire, and the bucket that their results lie in.

local core = require "zuora.core"
local http = require "spec.simulator.http"
local support = require "spec.support"

describe("simulated data queries", function()
  local caller

  local THINGS = { Thing = { columns = { "Id", "Name" }, rows = { { "1", "one, \"1\"" }, { "2", "" }, { "3", "tab\there" } } } }

  local function open(settings)
    if caller then caller:close() end
    settings = settings or {}
    settings.objects = settings.objects or THINGS
    caller = http.open(settings)
  end
  before_each(function() open() end)
  after_each(function()
    caller:close()
    caller = nil
  end)

  local function submit(more)
    local fields = { query = "select id, Name from thing", outputFormat = "CSV", compression = "NONE",
      output = { target = "S3" } }
    for name, value in pairs(more or {}) do fields[name] = value end
    return caller:send("POST", "/query/jobs", caller:bearer(), fields)
  end

  local function get(id) return caller:ask("GET", "/query/jobs/" .. id, caller:bearer()) end

  -- The job, seen to its end.
  local function run(more)
    local id, body = select(2, submit(more)).data.id, nil
    for _ = 1, 3 do body = select(2, get(id)) end
    return body.data
  end

  -- What is at the job's link.
  local function result(more)
    local response = assert(support.finish(caller.session, caller.session:start { url = run(more).dataFile, proxy = "" }))
    assert.equal(200, response.status)
    return response.body, response.headers
  end

  it("go through their stages by looks, and tell what they are", function()
    local status, body = submit { useIndexJoin = true }
    assert.equal(200, status)
    local job = body.data
    assert.matches("^%x+%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x+$", job.id)
    assert.equal(36, #job.id)
    assert.equal("accepted", job.queryStatus)
    assert.equal("select id, Name from thing", job.query)
    assert.matches("^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", job.createdOn)
    assert.equal(job.createdOn, job.updatedOn)
    assert.same({ true, "LIVE", 3 }, { job.useIndexJoin, job.sourceData, job.remainingRetries })
    assert.is_string(job.createdBy)
    assert.is_nil(job.dataFile)
    local seen = {}
    for i = 1, 4 do seen[i] = select(2, get(job.id)).data.queryStatus end
    assert.same({ "accepted", "in_progress", "completed", "completed" }, seen)
    job = select(2, get(job.id)).data
    assert.equal(3, job.outputRows)
    assert.is_number(job.processingTime)
    assert.matches("^" .. caller.sim.url:gsub("%p", "%%%0") .. "/_bucket/%x+%.csv%?", job.dataFile)
  end)

  it("have links to where they were asked for, behind a proxy as well", function()
    local id = run().id
    local function link(headers)
      return (select(2, caller:ask("GET", "/query/jobs/" .. id, caller:bearer(headers))).data.dataFile:match "^(.-)/_bucket/")
    end
    assert.equal("http://elsewhere:81", link { Host = "elsewhere:81" })
    assert.equal("https://elsewhere", link { Host = "elsewhere", ["X-Forwarded-Proto"] = "https" })
  end)

  it("take users by their keys, and no strangers", function()
    assert.equal(401, (caller:ask("GET", "/query/jobs")))
    assert.equal(200, (caller:ask("GET", "/query/jobs", caller:keys())))
  end)

  it("go through their stages by time", function()
    open { seconds = 100 }
    local id = select(2, submit()).data.id
    caller.sim:forward(150)
    assert.equal("in_progress", select(2, caller:ask("GET", "/query/jobs", caller:bearer())).data[1].queryStatus)
    caller.sim:forward(100)
    assert.equal(3, select(2, get(id)).data.outputRows)
  end)

  it("fail when they cannot be read, when what they name is not there, and when they are told to", function()
    for _, query in ipairs { "show tables", "select Nothing from Thing", "select Id from Nowhere" } do
      local job = run { query = query }
      assert.equal("failed", job.queryStatus, query)
      assert.equal("LINK_10000005", job.errorCode)
      assert.is_string(job.errorMessage)
      assert.is_nil(job.dataFile)
    end
    caller.sim:fault { on = "POST *", kind = "outcome", query = "failed" }
    assert.equal("failed", run().queryStatus)
    caller.sim:heal()
    assert.equal("completed", run().queryStatus)
  end)

  it("are listed from the newest on, by status and as many as are asked for", function()
    local ids = {}
    for i = 1, 22 do ids[i] = select(2, submit()).data.id end
    get(ids[5])
    get(ids[5])
    local function listed(query) return select(2, caller:ask("GET", "/query/jobs" .. query, caller:bearer())).data end
    assert.equal(20, #listed "")
    assert.equal(ids[22], listed("")[1].id)
    assert.equal(22, #listed "?pageSize=1000")
    assert.same({ ids[5] }, { listed("?queryStatus=in_progress")[1].id })
    assert.equal(1, #listed "?queryStatus=in_progress&pageSize=5")
    assert.same({}, listed "?queryStatus=failed")
    for _, bad in ipairs { "?pageSize=0", "?pageSize=1001", "?pageSize=x", "?queryStatus=odd" } do
      local status, body = caller:ask("GET", "/query/jobs" .. bad, caller:bearer())
      assert.equal(400, status, bad)
      assert.equal(1003, body.code)
    end
  end)

  it("may be cancelled as long as they are not over", function()
    local id = select(2, submit()).data.id
    local status, body = caller:ask("DELETE", "/query/jobs/" .. id, caller:bearer())
    assert.same({ 200, "cancelled", id }, { status, body.data.queryStatus, body.data.id })
    status, body = caller:ask("DELETE", "/query/jobs/" .. id, caller:bearer())
    assert.same({ 400, 1003 }, { status, body.code })
    assert.equal("cancelled", select(2, get(id)).data.queryStatus)
    assert.equal(400, (caller:ask("DELETE", "/query/jobs/" .. run().id, caller:bearer())))
    for _, method in ipairs { "GET", "DELETE" } do
      status, body = caller:ask(method, "/query/jobs/none", caller:bearer())
      assert.same({ 404, 1001 }, { status, body.code })
      assert.is_string(body.message)
    end
  end)

  it("are refused when they are not whole", function()
    for _, bad in ipairs { { query = "" }, { query = 5 }, { outputFormat = "csv" }, { outputFormat = core.null },
      { compression = "bz2" }, { compression = core.null }, { output = core.null }, { output = { target = "disk" } },
      { columnSeparator = "" }, { useIndexJoin = "yes" }, { sourceData = "DREAM" } } do
      local status, body = submit(bad)
      assert.equal(400, status, core.encode(bad))
      assert.equal(1003, body.code)
    end
    local status, body = caller:ask("POST", "/query/jobs", caller:bearer { ["Content-Type"] = "text/plain" }, "{}")
    assert.same({ 415, 415 }, { status, body.code })
    assert.equal(400, (caller:send("POST", "/query/jobs", caller:bearer(), "5")))
  end)

  it("give their rows in each format", function()
    local text, headers = result()
    assert.equal('id,Name\n1,"one, ""1"""\n2,\n3,tab\there\n', text)
    assert.equal("text/csv", headers["content-type"])
    assert.equal(tostring(#text), headers["content-length"])
    assert.equal('id\tName\n1\t"one, ""1"""\n2\t\n3\t"tab\there"\n', (result { outputFormat = "TSV" }))
    assert.equal('id;Name\n1;"one, ""1"""\n2;\n3;tab\there\n', (result { outputFormat = "DSV", columnSeparator = ";" }))
    text, headers = result { outputFormat = "JSON" }
    assert.equal('{"id":"1","Name":"one, \\"1\\""}\n{"id":"2","Name":null}\n{"id":"3","Name":"tab\\there"}\n', text)
    assert.equal("binary/octet-stream", headers["content-type"])
    assert.equal('Id,Name\n2,\n', (result { query = "select * from Thing where Id = '2'" }))
    text, headers = result { compression = "GZIP" }
    assert.equal("application/x-gzip", headers["content-type"])
    support.write("build/spec/query.gz", text)
    assert.matches("^id,Name\n", (support.shell "gzip -dc < build/spec/query.gz"))
    text, headers = result { compression = "ZIP" }
    assert.equal("application/zip", headers["content-type"])
    support.write("build/spec/query.zip", text)
    assert.matches("^id,Name\n", (support.shell "unzip -p build/spec/query.zip"))
  end)

  it("see what was there when they began", function()
    local id = select(2, submit { query = "select Id from Thing" }).data.id
    get(id)
    get(id)
    caller.sim:update("Thing", { { "4", "four" } })
    assert.equal(3, select(2, get(id)).data.outputRows)
    assert.equal(4, run().outputRows)
    -- By time, too, though nobody has looked.
    open { seconds = 100, objects = { Thing = { columns = { "Id" }, rows = { { "1" } } } } }
    id = select(2, submit { query = "select Id from Thing" }).data.id
    caller.sim:forward(150)
    caller.sim:update("Thing", { { "2" } })
    caller.sim:forward(100)
    assert.equal(1, select(2, get(id)).data.outputRows)
  end)
end)

describe("the bucket", function()
  local caller, link, job

  setup(function()
    caller = http.open { objects = { Thing = { columns = { "Id", "Name" }, generate = { rows = 2000 } } }, link_life = 600 }
    job = select(2, caller:send("POST", "/query/jobs", caller:bearer(), { query = "select Id from Thing",
      outputFormat = "CSV", compression = "NONE", output = { target = "S3" } })).data.id
  end)
  teardown(function() caller:close() end)
  before_each(function()
    caller.sim:heal()
    caller.sim:forget()
    for _ = 1, 3 do link = select(2, caller:ask("GET", "/query/jobs/" .. job, caller:bearer())).data.dataFile end
  end)

  local function fetch(headers, url) return caller:ask("GET", url or link, headers) end

  local function is_refusal(wanted, code, message, status, body, headers)
    assert.equal(wanted, status)
    assert.equal("application/xml", headers["content-type"])
    assert.equal('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>' .. code .. "</Code><Message>" .. message
      .. "</Message></Error>", body)
  end

  it("gives a result to who has a link, in parts as well, and never packed", function()
    local status, whole, headers = fetch { ["Accept-Encoding"] = "gzip" }
    assert.equal(200, status)
    assert.is_nil(headers["content-encoding"])
    assert.is_nil(headers["zuora-request-id"])
    assert.equal(#whole, tonumber(headers["content-length"]))
    local etag, part = headers.etag
    status, part, headers = fetch { Range = "bytes=100-199", ["If-Range"] = etag }
    assert.equal(206, status)
    assert.equal(whole:sub(101, 200), part)
    assert.equal(("bytes 100-199/%d"):format(#whole), headers["content-range"])
    assert.equal(416, (fetch { Range = ("bytes=%d-"):format(#whole) }))
  end)

  it("refuses who brings another credential", function()
    for _, name in ipairs { "Authorization", "apiAccessKeyId", "Zuora-Entity-Ids", "Zuora-Track-Id", "zuora-version" } do
      is_refusal(400, "InvalidArgument", "Only one auth mechanism allowed", fetch { [name] = "x" })
    end
  end)

  it("refuses a link that was changed, or has none of its rights", function()
    assert.equal(403, (fetch(nil, (link:gsub("Expires=600", "Expires=900")))))
    assert.equal(403, (fetch(nil, (link:gsub("Signature=%x", "Signature=x")))))
    assert.equal(403, (fetch(nil, (link:gsub("Signature=.", function(text)
      return text:sub(1, -2) .. (text:sub(-1) == "0" and "1" or "0")
    end)))))
    is_refusal(403, "AccessDenied", "Access Denied", fetch(nil, (link:gsub("%?.*", ""))))
    is_refusal(403, "AccessDenied", "Access Denied", fetch(nil, caller.sim.url .. "/_bucket/none"))
    assert.equal(405, (caller:ask("DELETE", link)))
  end)

  it("refuses a link that is too old, and the job has another", function()
    assert.not_equal(link, select(2, caller:ask("GET", "/query/jobs/" .. job, caller:bearer())).data.dataFile)
    caller.sim:forward(599)
    assert.equal(200, (fetch()))
    caller.sim:forward(2)
    is_refusal(403, "AccessDenied", "Request has expired", fetch())
    link = select(2, caller:ask("GET", "/query/jobs/" .. job, caller:bearer())).data.dataFile
    assert.equal(200, (fetch()))
  end)

  it("goes wrong on demand, and keeps signatures out of the journal", function()
    caller.sim:fault { on = "GET /_bucket/*", kind = "status", status = 503 }
    assert.equal(503, (fetch()))
    assert.equal(200, (fetch()))
    local entry = support.sent(caller.sim, "GET", "/_bucket/")[1]
    assert.matches("X%-Amz%-Expires=600&.*X%-Amz%-Signature=%*%*%*$", entry.target)
    assert.is_nil(core.encode(caller.sim:journal()):find(link:match "Signature=(%x+)", 1, true))
  end)
end)
