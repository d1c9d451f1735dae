local core = require "zuora.core"
local support = require "spec.support"

local REPORT = support.REPORT

describe("client.reportruns", function()
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

  local function started(options) return assert(client.reportruns:start(REPORT, options or { view = "Detail" })) end
  local function completed() return assert(started():wait(support.soon)) end
  local function answer(on, body, status)
    sim:fault { on = on, kind = "status", status = status or 200, body = body }
  end

  it("starts a run: the document's request, a record with its ids", function()
    local run = started { view = "Summary" }
    local sent = support.sent(sim, "POST", "/reporting")[1]
    assert.equal("/reporting/api/rest/v1/reports/" .. REPORT .. "/reportrun?viewType=Summary", sent.target)
    assert.equal("", sent.body)
    assert.equal(run.reportRunId, run.id)
    assert.equal(REPORT, run.reportId)
    assert.equal("Summary", run.reportType)
    local names = {}
    for name in pairs(run) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "id", "reportId", "reportRunId", "reportType" }, names)
  end)

  it("passes filters on as they are: none as no body, an empty list as such", function()
    local filters = { { logicalOperator = { value = "AND" }, filterClauses = {
      { field = { id = "Account.Status", type = "Text" }, operator = "=", value = "Active" } } } }
    started { view = "Detail", filters = filters }
    started { view = "Detail", filters = {} }
    started { view = "Detail" }
    local sent = support.sent(sim, "POST", "/reporting")
    assert.same(filters, core.decode(sent[1].body))
    assert.equal("application/json", sent[1].headers["content-type"])
    assert.equal("[]", sent[2].body)
    assert.equal("", sent[3].body)
    assert.is_nil(sent[3].headers["content-type"])
  end)

  it("gets a run: what the document says, integers as integers", function()
    local run = started()
    local got = assert(client.reportruns:get(run.id))
    assert.equal("STARTED", got.status)
    assert.equal(run.id, got.id)
    assert.equal("integer", math.type(got.startedOn))
    answer("GET *", require "zuora.simulator.http.samples".report_run)
    got = assert(client.reportruns:get "ff808081529f4e3401529fd61f080074")
    assert.equal(1453166692000, got.startedOn)
    assert.equal("1453166692000", tostring(got.startedOn))
    assert.equal("COMPLETED", got.status)
    assert.equal("...", got.reportDefinition)
  end)

  it("refreshes and waits in place, and returns the record", function()
    local run = started()
    assert.equal(run, assert(run:refresh()))
    assert.equal("STARTED", run.status)
    local statuses = {}
    assert.equal(run, assert(run:wait(support.soon_with { on_poll = function(r) statuses[#statuses + 1] = r.status end })))
    assert.same({ "QUERYDATA", "PROCESSINGDATA", "COMPLETED" }, statuses)
    assert.equal("COMPLETED", run.status)
    assert.equal(run.id, run.reportRunId)
  end)

  it("takes completed for final", function()
    local run = completed()
    sim:forget()
    assert.equal(run, run:wait())
    assert.equal(0, #sim:journal())
  end)

  it("waits by id alone", function()
    local run = started()
    local done = assert(client.reportruns:wait(run.id, support.soon))
    assert.equal("COMPLETED", done.status)
    assert.equal(run.id, done.id)
  end)

  for status, kind in pairs { ERROR = "failed", INVALID = "failed", CANCELLED = "cancelled", CANCELED = "cancelled",
    cancelled = "cancelled", ["Error "] = "failed" } do
    it("ends a wait at " .. status .. " with an error of kind " .. kind, function()
      sim:fault { on = "POST */reportrun", kind = "outcome", run = status }
      local run = started()
      local result, err = run:wait(support.soon)
      assert.is_nil(result)
      assert.equal(kind, err.kind)
      assert.equal(run, err.record)
      assert.equal(status, err.record.status)
      assert.matches("report run " .. run.id, err.message)
    end)
  end

  it("goes on at an unknown status until its own deadline, and says what it saw", function()
    sim:fault { on = "POST */reportrun", kind = "outcome", run = "HIBERNATING" }
    local run = started()
    local _, err = run:wait { timeout = 0.15, min = 0.02 }
    assert.equal("timeout", err.kind)
    assert.matches("HIBERNATING", err.message)
    assert.matches(run.id, err.message)
    assert.equal("HIBERNATING", err.record.status)
  end)

  it("survives failures of single looks", function()
    local run = started()
    sim:fault { on = "GET */reportruns/*", kind = "cut", times = 2 }
    sim:fault { on = "GET */reportruns/*", kind = "token" }
    assert(run:wait(support.soon))
  end)

  it("cancels: DELETE, the words of the document, whether it was cancelled before or not", function()
    local run = started()
    local done, message = client.reportruns:cancel(run.id)
    assert.is_true(done)
    assert.equal("The report run has been canceled", message)
    done, message = run:cancel()
    assert.equal(run, done)
    assert.equal("CANCELLED", run.status)
    assert.equal("The report run was canceled", message)
    assert.equal("DELETE", support.sent(sim, "DELETE", "/reporting/api/rest/v1/reportruns/" .. run.id)[1].method)
    local _, err = run:wait(support.soon)
    assert.equal("cancelled", err.kind)
  end)

  it("says that a run was cancelled, though what it is then cannot be learnt", function()
    local run = started()
    sim:fault { on = "GET */reportruns/*", kind = "status", status = 400, body = '{"message":"no"}' }
    local done, err = run:cancel()
    assert.is_nil(done)
    assert.matches("was cancelled, but what it is now could not be learnt: ", err.message)
  end)

  it("downloads by Zuora's word, too", function()
    assert.equal(client.reportruns.download, client.reportruns.export)
    local run = started()
    assert.equal(run.download, run.export)
  end)

  it("lists those in progress by the POST search of the document", function()
    local run = started()
    local listed = assert(client.reportruns:list())
    assert.equal(run.id, listed[1].id)
    local sent = support.sent(sim, "POST", "/reporting/api/rest/v1/reportruns?")[1]
    assert.equal("/reporting/api/rest/v1/reportruns?status=STARTED&status=QUERYDATA&status=PROCESSINGDATA", sent.target)
    assert.same({
      columns = { "reportId", "startedOn", "reportType", "createdByUserProfile.username", "status", " " },
      pagination = { currentPage = 1, pageSize = 250 },
      sort = { { field = "startedOn", direction = "desc", priority = 0 } },
    }, core.decode(sent.body))
    assert.equal(listed[1], listed[1]:cancel())
  end)

  it("lists with other statuses, columns, pages and orders", function()
    assert(client.reportruns:list { status = { "COMPLETED" }, columns = { "status" }, page = 3, page_size = 7,
      sort = { { field = "updatedOn" } } })
    local sent = support.sent(sim, "POST", "/reporting/api/rest/v1/reportruns?status=COMPLETED")[1]
    assert.same({ columns = { "status" }, pagination = { currentPage = 3, pageSize = 7 },
      sort = { { field = "updatedOn" } } }, core.decode(sent.body))
  end)

  it("finds the list wherever the answer has it", function()
    local path = "POST */reportruns"
    answer(path, '{"success":true,"response":{"totalCount":1,"elements":[{"id":"r1"}]}}')
    local found, total = assert(client.reportruns:list())
    assert.equal("r1", found[1].id)
    assert.equal(1, #found)
    assert.equal(1, total)
    for name in pairs(found) do assert.equal(1, name) end
    answer(path, '{"success":true,"response":[]}')
    assert.same({}, (client.reportruns:list()))
    answer(path, '{"success":true,"response":{"a":[1],"b":[2]}}')
    assert.equal("json", select(2, client.reportruns:list()).kind)
    answer(path, '{"success":true,"response":5}')
    assert.equal("json", select(2, client.reportruns:list()).kind)
    answer(path, '{"success":true,"response":{"columns":["id"],"runs":[{"id":"r1"}],"other":[]}}')
    assert.equal("r1", assert(client.reportruns:list())[1].id)
  end)

  it("goes through all runs, page by page, and says when some are missing", function()
    for _ = 1, 5 do assert(client.reportruns:start(REPORT, { view = "Detail" })) end
    local all, count = #assert(client.reportruns:list()), 0
    for _ in client.reportruns:each { page_size = 2 } do count = count + 1 end
    assert.equal(all, count)
    sim:fault { on = "POST */reportruns", kind = "status", status = 200, skip = 1,
      body = '{"success":true,"response":{"total":99,"runs":[]}}' }
    local ok, err = pcall(function()
      for _ in client.reportruns:each { page_size = 2 } do count = count + 1 end
    end)
    assert.is_false(ok)
    assert.equal("incomplete", err.kind)
  end)

  it("gives a success in words as an error that has them", function()
    answer("GET *", '{"success":true,"response":"The current user has not run this report yet."}')
    local run, err = client.reportruns:last(REPORT)
    assert.is_nil(run)
    assert.equal("api", err.kind)
    assert.equal("The current user has not run this report yet.", err.message)
  end)

  it("gets the last completed run of a report", function()
    local run = completed()
    assert.equal(run.id, assert(client.reportruns:last(REPORT)).id)
    assert.equal(1, #support.sent(sim, "GET", "/reporting/api/rest/v1/reports/" .. REPORT .. "/reportruns/latest"))
    local _, err = client.reportruns:last "never"
    assert.equal("api", err.kind)
    assert.matches("has not run this report yet", err.message)
  end)

  it("gets pages of data", function()
    local run = completed()
    local data = assert(run:data())
    assert.equal(3, data.total)
    assert.equal(3, #data.page)
    assert.equal("1,729.76", data.page[1]["Account.Balance"])
    data = assert(client.reportruns:data(run.id, { offset = 2, page_size = 1 }))
    assert.equal(1, #data.page)
    assert.equal("A00000002", data.page[1]["Account.AccountNumber"])
    local sent = support.sent(sim, "GET", "/reporting/api/rest/v1/reportruns/reportdata/" .. run.id)
    assert.matches("offset=1&pageSize=200$", sent[1].target)
    assert.matches("offset=2&pageSize=1$", sent[2].target)
  end)

  it("goes through all pages of data", function()
    local run = completed()
    for _, page_size in ipairs { 1, 2, 3, 200 } do
      local names, pages = {}, 0
      for data in run:pages { page_size = page_size } do
        pages = pages + 1
        for _, row in ipairs(data.page) do names[#names + 1] = row["Account.AccountNumber"] end
      end
      assert.same({ "A00000001", "A00000002", "A00000003" }, names)
      assert.equal(math.ceil(3 / page_size), pages)
    end
    answer("GET */reportdata/*", '{"success":true,"response":{"page":[],"offset":1,"size":1,"total":9}}')
    local ok, err = pcall(client.reportruns:pages(run.id))
    assert.is_false(ok)
    assert.equal("incomplete", err.kind)
    assert.matches("ended after 0, and there should be 9", err.message)
    answer("GET */reportdata/*", '{"success":true,"response":{"page":[],"offset":1,"size":1,"total":0}}')
    assert.is_nil(client.reportruns:pages(run.id)())
    local pages = client.reportruns:pages "nonesuch"
    ok, err = pcall(pages)
    assert.is_false(ok)
    assert.equal(404, err.status)
  end)

  it("exports into a file: UTF-8, commas, quoted; or the server's bytes", function()
    local run = completed()
    local path = support.scratch("export") .. "/report.csv"
    local written = assert(run:export(path))
    assert.equal(path, written.path)
    assert.equal(3, written.records)
    local bytes = support.read(path)
    assert.equal(#bytes, written.bytes)
    assert.equal('Account.AccountNumber,Account.Name,Account.Balance\nA00000001,"Ærøskøbing ""Ferry"", Ltd","1,729.76"\n'
      .. 'A00000002,"Line\nBreak AG",0.00\nA00000003,日本 GmbH,-12.50\n', bytes)
    written = assert(client.reportruns:export(run.id, path, { pivoted = true, raw = true }))
    assert.equal("A\0c\0c\0o\0", support.read(path):sub(1, 8))
    assert.equal(3, written.records)
    local sent = support.sent(sim, "GET", "/reporting/api/rest/v1/reportruns/export/" .. run.id)
    assert.matches("%?pivoted=false$", sent[1].target)
    assert.matches("%?pivoted=true$", sent[2].target)
  end)

  it("gives the export as rows", function()
    local run = completed()
    local names = {}
    for row in assert(run:rows()) do names[#names + 1] = row["Account.Name"] end
    assert.same({ "Ærøskøbing \"Ferry\", Ltd", "Line\nBreak AG", "日本 GmbH" }, names)
    for row in assert(client.reportruns:rows(run.id, { form = "array", columns = { "Account.Balance" } })) do
      assert.equal(1, #row)
    end
  end)

  it("verifies by no total that is none, or is not there", function()
    local run, path = completed(), support.scratch "totals" .. "/x.csv"
    for text, kind in pairs { ["null"] = "incomplete", ['"1,000"'] = "json", ["2.5"] = "json", ["[3]"] = "json" } do
      answer("GET */reportdata/*", '{"success":true,"response":{"page":[],"offset":1,"size":1,"total":' .. text .. "}}")
      local written, err = run:download(path, { verify = true })
      assert.is_nil(written)
      assert.equal(kind, err.kind)
      sim:heal()
    end
    answer("GET */reportdata/*", '{"success":true,"response":{"page":{"x":1},"total":1}}')
    assert.equal("json", select(2, run:data()).kind)
  end)

  it("holds the export against the total, when that is asked for", function()
    local run = completed()
    local path = support.scratch("export") .. "/report.csv"
    assert.equal(3, assert(run:export(path, { verify = true })).records)
    answer("GET */reportdata/*", '{"success":true,"response":{"page":[],"offset":1,"size":1,"total":4}}')
    support.write(path, "before")
    local _, err = run:export(path, { verify = true })
    assert.equal("incomplete", err.kind)
    assert.matches("has 3 records, and should have 4", err.message)
    assert.equal("before", support.read(path))
  end)

  it("leaves the file alone when the export fails", function()
    local run = started()
    local path = support.scratch("export") .. "/report.csv"
    support.write(path, "before")
    local _, err = run:export(path)
    assert.equal("api", err.kind)
    assert.matches("There are errors when exporting the report", err.message)
    assert.equal("before", support.read(path))
    assert.same({ "report.csv" }, support.listing(path:match "^(.*)/"))
  end)

  -- nginx makes it of an answer whose length it cannot read, even where the other side speaks HTTP/2.
  it("takes no empty answer for an export, which has a header at least", function()
    local run = completed()
    local path = "build/spec/empty-export.csv"
    local function empty(times)
      sim:fault { on = "GET */export/*", kind = "status", status = 200, body = "", times = times,
        headers = { ["Content-Type"] = "text/csv" } }
    end
    for _, raw in ipairs { false, true } do
      empty(1)
      assert.is_true(assert(run:download(path, { raw = raw })).bytes > 0)
    end
    os.remove(path)
    empty(2)
    for _, result in ipairs { table.pack(run:download(path, { retries = 0 })), table.pack(run:rows { retries = 0 }) } do
      assert.is_nil(result[1])
      assert.equal("incomplete", result[2].kind)
    end
    assert.is_nil(support.read(path))
  end)

  it("does not take the answer about another run, or about none", function()
    local run = started()
    answer("GET *", require "zuora.simulator.http.samples".report_run)
    local _, err = client.reportruns:get(run.id)
    assert.equal("json", err.kind)
    assert.matches("ff808081529f4e3401529fd61f080074, not " .. run.id, err.message)
    for _, body in ipairs { "{}", '{"success":true}', '{"success":true,"response":{}}',
      '{"success":true,"response":{"id":"x","status":null}}', "[]", "5", "null" } do
      answer("GET *", body)
      assert.equal("json", select(2, client.reportruns:get "x").kind, body)
      answer("POST *", body)
      local begun, problem = client.reportruns:start(REPORT, { view = "Detail", retries = 0 })
      if body:find '"id":"x"' then
        assert.equal("x", begun.id) -- it is not asked yet how far it is
      else
        assert.equal("json", problem.kind, body)
      end
    end
  end)

  it("works on the older hosts with user and password", function()
    local legacy <close> = support.client(sim, { username = sim.username, password = sim.password, legacy = true })
    local run = assert(legacy.reportruns:start(REPORT, { view = "Detail" }))
    assert(run:wait(support.soon))
    assert.equal(3, assert(run:data()).total)
    assert.equal(run, run:cancel())
    assert.is_true(#support.sent(sim, "POST", "/api/rest/v1/reports/" .. REPORT .. "/reportrun?viewType=Detail") == 1)
    assert.is_true(#support.sent(sim, "GET", "/api/rest/v1/reportruns/" .. run.id) >= 4)
  end)
end)
