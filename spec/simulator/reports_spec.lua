-- Reports beside their runs: search, ownership, and what only the older host does.

local core = require "zuora.core"
local http = require "spec.simulator.http"

local TODAY, OLDER = "/reporting/api/rest/v1", "/api/rest/v1"

describe("simulated reports", function()
  local caller

  local LABELS = { l1 = "Finance", l2 = "Audit" }

  local function open(reports)
    if caller then caller:close() end
    caller = http.open { report_labels = LABELS, reports = reports or {
      r1 = { name = "Accounts by balance", datasource = "Account", description = "Who owes what", labels = { "l1" },
        columns = { "Id" }, rows = { { "1" }, { "2" } }, updatedOn = "2026-03-01T00:00:00+0000" },
      r2 = { name = "invoices", datasource = "Invoice", labels = { "l1", "l2" }, namespace = "ADVANCED",
        updatedOn = "2026-01-01T00:00:00+0000" },
      r3 = { name = "Balances", datasource = "Account Balance", updatedOn = "2026-02-01T00:00:00+0000" },
    } }
  end
  before_each(function() open() end)
  after_each(function()
    caller:close()
    caller = nil
  end)

  local function headers(base) return base == TODAY and caller:bearer() or caller:keys() end

  -- What a call answers in its envelope.
  local function call(method, path, body, base)
    base = base or OLDER
    local status, answer = caller:send(method, base .. path, headers(base), body or "")
    if status == 200 then assert.is_true(answer.success, path) else assert.is_not_true(answer.success, path) end
    return answer.response, status
  end

  local function status_of(...) return (select(2, call(...))) end

  -- The ids that a search finds, in order, and their count.
  local function found(query, base)
    local response = call("GET", "/reports/search?" .. query, nil, base or TODAY)
    local ids = {}
    for i, report in ipairs(response.reports) do ids[i] = report.id end
    return table.concat(ids, " "), response.count
  end

  it("are found by words of their names, datasources and descriptions", function()
    for _, base in ipairs { TODAY, OLDER } do
      assert.same({ "r1 r3", 2 }, { found("query=BALANCE", base) })
      assert.same({ "r1", 1 }, { found("query=owes", base) })
      assert.same({ "r2", 1 }, { found("query=voice", base) })
      assert.same({ "r1", 1 }, { found("query=accounts%20zz%20by", base) })
      assert.same({ "", 0 }, { found("query=nothing", base) })
      assert.same({ "", 0 }, { found("query=ac", base) })
      assert.same({ "r2", 1 }, { found("query=inv&namespace=ADVANCED", base) })
      assert.same({ "", 0 }, { found("query=account&namespace=ADVANCED", base) })
    end
    local report = call("GET", "/reports/search?query=owes").reports[1]
    assert.same({ "Accounts by balance", "Account", "Account", "BASIC", "Common", "Who owes what" },
      { report.name, report.datasource, report.dsName, report.namespace, report.type, report.description })
    assert.matches("^REP%-%d+$", report.number)
    assert.matches("^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%+0000$", report.createdOn)
    for _, name in ipairs { "definition", "createdBy", "updatedBy", "userId", "creator", "updater" } do
      assert.is_string(report[name], name)
    end
    for _, name in ipairs { "deleted", "favorite", "shared", "zuora", "hidden" } do assert.is_boolean(report[name], name) end
  end)

  it("are found in the order that is asked for, to the letter", function()
    local function ordered(order) return (found("query=balance&orderBy=" .. core.escape(order))) end
    assert.equal("r3 r1", ordered '[{"field":"updated_on","ascend":"true"}]')
    assert.equal("r1 r3", ordered '[{"field":"updated_on","ascend":"false"}]')
    assert.equal("r1 r3", ordered '[{"field":"name","ascend":"true"}]')
    assert.equal("r3 r1", ordered '[{"field":"name","ascend":"false"}]')
    for _, bad in ipairs { "name", '{"field":"name","ascend":"true"}', '[{"field":"name","ascend":true}]', "[]", "[5]",
      '[{"field":"id","ascend":"true"}]', '[{"field":"name"}]', '[{"field":"name","ascend":"true","x":1}]' } do
      assert.equal(400, status_of("GET", "/reports/search?query=balance&orderBy=" .. core.escape(bad), nil, TODAY), bad)
    end
  end)

  it("are found 50 at a time", function()
    local many = {}
    for i = 1, 120 do many[("r%03d"):format(i)] = { name = ("Report %03d"):format(i) } end
    open(many)
    local order = "&orderBy=" .. core.escape '[{"field":"name","ascend":"true"}]'
    local function page(start) return call("GET", "/reports/search?query=report" .. order .. start) end
    assert.same({ 50, "r001", 120 }, { #page("").reports, page("").reports[1].id, page("").count })
    assert.same({ 20, "r101" }, { #page("&searchStart=100").reports, page("&searchStart=100").reports[1].id })
    assert.same({}, page("&searchStart=120").reports)
    assert.equal(400, status_of("GET", "/reports/search?query=report&searchStart=x"))
  end)

  it("are not searched without a word to search for", function()
    local response, status = call("GET", "/reports/search", nil, TODAY)
    assert.equal(400, status)
    local inner = core.decode(response)
    assert.equal("Required String parameter 'query' is not present.", inner.message)
    assert.equal("ZAN-REST-ERROR", inner.errorCode)
  end)

  it("are given to another owner, by name or id, on today's host", function()
    local path = "/reports/transfer-ownership"
    assert.equal("Transfer ownership successfully", call("POST", path, { reportNames = { "invoices" }, newOwnerUserId = "me" }, TODAY))
    assert.equal("Transfer ownership successfully", call("POST", path, { reportIds = { "r3" }, newOwnerUserId = "you" }, TODAY))
    assert.equal("me", call("GET", "/reports/report/r2").userId)
    assert.equal("you", call("GET", "/reports/report/r3").userId)
    for _, bad in ipairs { { newOwnerUserId = "x" }, { reportIds = { "r1" } }, { reportIds = { "none", "r1" }, newOwnerUserId = "x" },
      { reportNames = "invoices", newOwnerUserId = "x" }, { reportIds = { "r1" }, reportNames = { "invoices" }, newOwnerUserId = "x" } } do
      assert.equal(400, status_of("POST", path, bad, TODAY))
    end
    assert.not_equal("x", call("GET", "/reports/report/r1").userId)
  end)

  it("are not all there on today's host", function()
    for _, one in ipairs { { "GET", "/reports" }, { "GET", "/reports/report/r1" }, { "GET", "/reports/r1/report-details" },
      { "GET", "/reports/reportlabels/l1/report-details" }, { "GET", "/reports/r1/reportlabels" },
      { "POST", "/reports/r1/reportlabels" }, { "DELETE", "/reports/r1/reportlabels" }, { "GET", "/reportlabels" },
      { "POST", "/reports" }, { "POST", "/reports/r1" }, { "POST", "/reports/copy?from=r1" }, { "DELETE", "/reports/r1" },
      { "GET", "/settings" }, { "POST", "/settings" } } do
      assert.equal(404, (caller:ask(one[1], TODAY .. one[2], caller:bearer(), one[1] == "POST" and "" or nil)), one[1] .. one[2])
    end
  end)

  it("are shown: all of them, one, its details, and those of a label", function()
    local mine = call("GET", "/reports")
    assert.equal(3, #mine)
    assert.equal("r1", mine[1].id)
    local run = call("POST", "/reports/r1/reportrun?viewType=Detail").reportRunId
    local report = call("GET", "/reports/report/r1")
    assert.same({ "Accounts by balance", 1 }, { report.name, report.version })
    assert.equal(call("GET", "/reportruns/" .. run).startedOn, report.executedOn)
    assert.is_nil(call("GET", "/reports/report/r2").executedOn)
    local details = call("GET", "/reports/r2/report-details")
    assert.same({ "invoices", "Audit", "Finance" }, { details.name, details.reportLabels[1].name, details.reportLabels[2].name })
    for _, path in ipairs { "/reports/report/none", "/reports/none/report-details", "/reports/none/reportlabels",
      "/reports/reportlabels/none/report-details" } do
      assert.equal(404, status_of("GET", path), path)
    end
    local function labelled(query) return call("GET", "/reports/reportlabels/l1/report-details?" .. query) end
    local page = labelled("orderBy=" .. core.escape '[{"field":"name","ascend":"false"}]')
    assert.same({ 2, 1, 0, 20, "r2", "r1" },
      { page.totalCount, page.totalPage, page.pageNo, page.pageSize, page.elements[1].id, page.elements[2].id })
    page = labelled("paging=" .. core.escape '{"pageNo":1,"pageSize":1}')
    assert.same({ 2, 2, 1, 1, 1, "r2" },
      { page.totalCount, page.totalPage, page.pageNo, page.pageSize, #page.elements, page.elements[1].id })
    assert.equal(400, status_of("GET", "/reports/reportlabels/l1/report-details?paging=5"))
  end)

  it("bear labels, which come and go", function()
    local function labels_of(id)
      local names = {}
      for i, label in ipairs(call("GET", "/reports/" .. id .. "/reportlabels")) do names[i] = label.id .. "=" .. label.name end
      return table.concat(names, " ")
    end
    assert.equal(2, #call("GET", "/reportlabels"))
    assert.equal("l1=Finance", labels_of "r1")
    call("POST", "/reports/r1/reportlabels", { "l2" })
    assert.equal("l2=Audit l1=Finance", labels_of "r1")
    call("DELETE", "/reports/r1/reportlabels", { "l1", "l2" })
    assert.equal("", labels_of "r1")
    for _, bad in ipairs { { "l1", "none" }, "{}", "5", "" } do
      assert.equal(400, status_of("POST", "/reports/r1/reportlabels", bad))
      assert.equal(400, status_of("DELETE", "/reports/r1/reportlabels", bad))
    end
    assert.equal("", labels_of "r1")
  end)

  -- The text of a run of the report, seen to its end.
  local function export(id)
    local run = call("POST", "/reports/" .. id .. "/reportrun?viewType=Detail").reportRunId
    for _ = 1, 4 do call("GET", "/reportruns/" .. run) end
    return (select(2, caller:ask("GET", OLDER .. "/reportruns/export/" .. run .. "?pivoted=false", caller:keys())):gsub("\0", ""))
  end

  it("have their runs listed by whole pages alone", function()
    for _, bad in ipairs { { currentPage = 1.5 }, { pageSize = "x" }, { pageSize = 0 } } do
      assert.equal(400, status_of("POST", "/reportruns", { columns = { "id" }, pagination = bad }, TODAY))
    end
  end)

  it("are made, and run without rows", function()
    local given = { name = "New", dsName = "Invoice", datasource = "Invoice", definition = "{}", description = "d",
      labelIds = { "l1" } }
    local report = call("POST", "/reports", given)
    assert.same({ "New", "d", 1 }, { report.name, report.description, report.version })
    assert.equal(report.id, call("GET", "/reports/report/" .. report.id).id)
    assert.equal("l1", call("GET", "/reports/" .. report.id .. "/reportlabels")[1].id)
    assert.equal("Id\n", export(report.id))
    for _, name in ipairs { "name", "dsName", "datasource", "definition" } do
      local less = core.decode(core.encode(given))
      less[name] = nil
      assert.equal(400, status_of("POST", "/reports", less), name)
    end
    given.labelIds = { "none" }
    assert.equal(400, status_of("POST", "/reports", given))
    given.labelIds, given.shared = nil, "yes"
    assert.equal(400, status_of("POST", "/reports", given))
  end)

  it("are copied with their data, and deleted", function()
    local copy = call("POST", "/reports/copy?from=r1&labelIds=l1,l2&name=Another%20one")
    assert.same({ "Another one", "Who owes what" }, { copy.name, copy.description })
    assert.not_equal("r1", copy.id)
    assert.equal(2, #call("GET", "/reports/" .. copy.id .. "/reportlabels"))
    assert.equal("Id\n1\n2\n", export(copy.id))
    call("DELETE", "/reports/r1")
    assert.equal(404, status_of("DELETE", "/reports/r1"))
    assert.equal(404, status_of("POST", "/reports/r1/reportrun?viewType=Detail"))
    assert.equal("Id\n1\n2\n", export(copy.id))
    assert.equal(400, status_of("POST", "/reports/copy?name=x"))
    assert.equal(400, status_of("POST", "/reports/copy?from=none"))
    assert.equal(400, status_of("POST", "/reports/copy?from=r2&labelIds=none"))
  end)

  it("are saved: what is given changes, what is not stays", function()
    local report = call("POST", "/reports/r1", { name = "Renamed" })
    assert.same({ "Renamed", "Who owes what", 2 }, { report.name, report.description, report.version })
    assert.same(report, (call("GET", "/reports/report/r1")))
    assert.equal("", call("POST", "/reports/r1", { description = "" }).description)
    assert.equal(400, status_of("POST", "/reports/r1", { name = 5 }))
    assert.equal(400, status_of("POST", "/reports/r1", "[]"))
    assert.equal(404, status_of("POST", "/reports/none", { name = "x" }))
  end)

  it("keep the tenant's settings", function()
    assert.same({}, call("GET", "/settings").emailDomains)
    assert.same({ status = "OK", code = 100, message = "Success" }, (call("POST", "/settings", { emailDomains = { "a.example" } })))
    assert.same({ "a.example" }, call("GET", "/settings").emailDomains)
    assert.equal(400, status_of("POST", "/settings", { emailDomains = "a.example" }))
  end)

  it("are checked when they are set up", function()
    for _, bad in ipairs { { reports = { r = { nam = "x" } } }, { reports = { r = { shared = "x" } } },
      { reports = { r = { labels = { "none" } } } }, { report_labels = "x" } } do
      assert.has_error(function() require "zuora.simulator".open(bad) end)
    end
  end)
end)
