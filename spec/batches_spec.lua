-- The batches of a job: what an answer may say of them, and their results.

local batches = require "zuora.resources.batches"
local samples = require "zuora.simulator.http.samples"
local support = require "spec.support"

local QUERY = { name = "Account", query = "select AccountNumber, Name from Account" }

describe("batches", function()
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

  it("list their files: segments when there are any, else the one", function()
    answer("GET *", samples.job)
    local job = assert(client.jobs:get "402881824835bb2a01483c19f7d70256")
    assert.same({ "402881824835bb2a01483c19f8190259" }, job:batch("AccountingPeriod"):file_ids())
    answer("GET *", samples.job_segmented)
    job = assert(client.jobs:get "e20b07474841608a01484592147005d2")
    assert.same({ "e20b07474841608a01484592159c05d7" }, job.batches[1]:file_ids())
    assert.is_nil(job:batch "other")
    assert.same({}, submitted():batch("Account"):file_ids())
  end)

  it("are fetched, and their records counted", function()
    local job = assert(submitted { useQueryLabels = true }:wait(support.soon))
    local path = support.scratch("batches") .. "/account.csv"
    local written = assert(job:batch("Account"):download(path))
    assert.equal(3, written.records)
    local names = {}
    for row in assert(job:batch("Account"):rows()) do names[#names + 1] = row["Account.Name"] end
    assert.same({ "Ærøskøbing \"Ferry\", Ltd", "Line\nBreak AG", "日本 GmbH" }, names)
    job.batches[1].recordCount = "4"
    support.write(path, "before")
    local _, err = job.batches[1]:download(path)
    assert.equal("incomplete", err.kind)
    assert.matches("has 3 records, and should have 4", err.message)
    assert.equal("before", support.read(path))
    assert.is_nil((job.batches[1]:rows()))
    assert.equal(3, assert(job.batches[1]:download(path, { verify = false })).records)
  end)

  it("have a header at least, also where nothing was found", function()
    local batch = assert(submitted():wait(support.soon)):batch "Account"
    local path = support.scratch "batches" .. "/empty.csv"
    assert.equal(3, assert(batch:download(path)).record_count)
    os.remove(path)
    local function empty()
      sim:fault { on = "GET /v1/files/*", kind = "status", status = 200, body = "", headers = { ["Content-Type"] = "text/csv" } }
    end
    for _, count in ipairs { false, 0, 3 } do
      batch.recordCount = count or nil
      empty()
      local written, err = batch:download(path, { retries = 0 })
      assert.is_nil(written)
      assert.equal("incomplete", err.kind)
      assert.is_nil(support.read(path))
      empty()
      assert.equal(0, assert(batch:download(path, { retries = 0, verify = false })).records)
      os.remove(path)
    end
    batch.recordCount = nil
    empty()
    local written = assert(batch:download(path)) -- tried again
    assert.same({ 3, nil }, { written.records, written.record_count })
    empty()
    assert.equal(0, assert(client.files:download(batch:file_ids()[1], path, { retries = 0 })).bytes)
  end)

  it("are all their segments in one file with one header, if those agree", function()
    local segmented <close> = support.simulator { segment_rows = 2 }
    local one <close> = support.client(segmented)
    local job = assert(assert(one.jobs:submit { partner = "p", project = "q", queries = { QUERY } }):wait(support.soon))
    local batch = job.batches[1]
    assert.equal(2, #batch.segments)
    local path = support.scratch("batches") .. "/account.csv"
    segmented:fault { on = "GET /v1/files/*", kind = "cut", after = 60, skip = 1 }
    assert.equal(3, assert(batch:download(path)).records)
    assert.equal('Account: AccountNumber,Account: Name\nA00000001,"Ærøskøbing ""Ferry"", Ltd"\nA00000002,"Line\nBreak AG"\n'
      .. "A00000003,日本 GmbH\n", support.read(path))
    local count = 0
    for row in assert(batch:rows { form = "lazy" }) do count = count + #row[1] end
    assert.equal(27, count)
    -- A header with a newline in it, and a segment of no bytes at all.
    for _, body in ipairs { '"a\nb",c\n3,4\n', "" } do
      segmented:fault { on = "GET /v1/files/*", kind = "status", status = 200, body = '"a\nb",c\n1,2\n',
        headers = { ["Content-Type"] = "text/csv" } }
      segmented:fault { on = "GET /v1/files/*", kind = "status", status = 200, body = body,
        headers = { ["Content-Type"] = "text/csv" } }
      local wanted = body == "" and 1 or 2
      assert.equal(wanted, assert(batch:download(path, { verify = false })).records)
      assert.equal('"a\nb",c\n1,2\n' .. (body == "" and "" or "3,4\n"), support.read(path))
    end
    segmented:fault { on = "GET /v1/files/*", kind = "status", status = 200, skip = 1, body = "Other: Header\nx\n",
      headers = { ["Content-Type"] = "text/csv" } }
    local _, err = batch:download(path)
    assert.equal("text", err.kind)
    assert.matches("different headers", err.message)
  end)

  it("say when there is no result", function()
    local job = submitted { queries = { QUERY, { name = "Bad", query = "select Nothing from Account" } } }
    job:wait(support.soon)
    local _, err = job:batch("Bad"):download("build/spec/batches-x")
    assert.equal("failed", err.kind)
    assert.matches("batch \"Bad\" has no result, it is aborted: .*Nothing", err.message)
    assert.equal("failed", select(2, job:batch("Bad"):rows()).kind)
  end)

  it("may be packed: gzip is rows, zip as it is", function()
    local job = assert(submitted { format = "gzip" }:wait(support.soon))
    local path = support.scratch("batches") .. "/packed"
    assert.equal(3, assert(job.batches[1]:download(path)).records)
    assert.equal("\31\139", support.read(path):sub(1, 2))
    local count = 0
    for _ in assert(job.batches[1]:rows()) do count = count + 1 end
    assert.equal(3, count)
    job = assert(submitted { format = "zip" }:wait(support.soon))
    assert.is_nil(assert(job.batches[1]:download(path)).records)
    assert.equal("PK", support.read(path):sub(1, 2))
    assert.matches("zip archive", select(2, job.batches[1]:rows()).message)
  end)

  it("are no zip archive where none was asked for", function()
    local job = assert(submitted():wait(support.soon))
    sim:fault { on = "GET /v1/files/*", kind = "status", status = 200, body = "PK\3\4xxxx", times = "always",
      headers = { ["Content-Type"] = "text/csv" } }
    local written, err = job.batches[1]:download(support.scratch("batches") .. "/packed")
    assert.is_nil(written)
    assert.equal("text", err.kind)
    assert.matches("zip archive", err.message)
  end)

  it("are fetched side by side, under names that are safe", function()
    local query = QUERY.query
    local job = assert(submitted { queries = { { name = "../../x", query = query }, { name = "Twin", query = query },
      { name = "TWIN", query = query }, { name = ".hidden", query = query }, { name = "..", query = query } } }
      :wait(support.soon))
    local directory = support.scratch("batches") .. "/a/b"
    local written = assert(job:download(directory))
    assert.equal(5, #written)
    assert.equal("Twin", written[2].name)
    assert.equal(3, written[5].records)
    local names = support.listing(directory)
    table.sort(names)
    assert.same({ "TWIN-2.csv", "Twin.csv", "_.._x.csv", "batch.csv", "hidden.csv" }, names)
  end)

  it("are fetched as far as can be, and what failed is said", function()
    local job = assert(submitted { queries = { QUERY, { name = "Other", query = "select Id from Account" } } }
      :wait(support.soon))
    job.batches[1].recordCount = 99
    local directory = support.scratch("batches")
    local written, err = job:download(directory)
    assert.is_nil(written)
    assert.equal("incomplete", err.kind)
    assert.equal("incomplete", err.failures[1].kind)
    assert.is_nil(err.failures[2])
    assert.equal(3, err.results[2].records)
    assert.same({ "Other.csv" }, support.listing(directory))
    assert.equal("file", select(2, job:download "/dev/null/x").kind)
    job.batches = nil
    assert.equal("failed", select(2, job:download(directory)).kind)
  end)

  it("prove nothing by a recordCount that is none", function()
    local job = assert(submitted():wait(support.soon))
    local batch, path = job.batches[1], support.scratch("batches") .. "/account.csv"
    for _, count in ipairs { "abc", "", "3 rows", "0x3", 2.5, true, 1e20, -1, "-1", { 3 }, "99999999999999999999" } do
      batch.recordCount = count
      local written, err = batch:download(path)
      assert.is_nil(written)
      assert.equal("incomplete", err.kind)
      assert.matches("has a recordCount that is no number of records: ", err.message)
      assert.equal(3, assert(batch:download(path, { verify = false })).records)
    end
    for _, count in ipairs { 3, "3", 3.0 } do
      batch.recordCount = count
      assert(batch:download(path))
    end
  end)

  it("are records only when they are sound", function()
    local metatable = batches.metatable { words = {}, word = function(_, word) return word end }
    for problem, cases in pairs {
      ["no list"] = { 5, "x", { a = {} } },
      ["not as they should be"] = { { 5 }, { { fileId = "a/b" } }, { { segments = "x" } }, { { segments = { "ok", "../x" } } },
        { { segments = { ["0"] = "F1" }, fileId = "f" } } },
    } do
      for _, list in ipairs(cases) do assert.equal(problem, batches.read(list, metatable)) end
    end
    local list = { { fileId = "a" }, { segments = { "b", "c" } } }
    assert.is_nil(batches.read(list, metatable))
    assert.is_nil(batches.read(nil, metatable))
    assert.same({ "b", "c" }, list[2]:file_ids())
  end)

  it("are missed before a directory is made for them", function()
    local dir = os.tmpname()
    os.remove(dir)
    local written, err = batches.download_all({}, { id = "7", status = "submitted" }, dir, {})
    assert.is_nil(written)
    assert.equal("job 7 has no batches, it is submitted", err.message)
    assert.is_nil(io.open(dir))
  end)

  it("are told of by their messages", function()
    assert.equal('batch "a": one; batch "?": two',
      batches.messages { { name = "a", message = "one" }, { name = "b", message = "" }, { message = "two" } })
    assert.equal("", batches.messages { { name = "a" } })
  end)
end)
