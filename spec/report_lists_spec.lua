-- Lists of reports: a page, all pages, the one of a name.

local support = require "spec.support"

describe("lists of reports", function()
  local sim, client

  setup(function()
    local reports = { [support.REPORT] = { name = "Accounts by balance", columns = { "A" }, rows = { { "1" } } } }
    for i = 1, 120 do
      reports[("%032x"):format(i)] = { name = ("Weekly revenue %03d"):format(i), columns = { "A" }, rows = {} }
    end
    for i = 1, 2 do reports[("twin%d"):format(i)] = { name = "Twin report", columns = { "A" }, rows = {} } end
    sim = support.simulator { reports = reports }
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

  it("searches: 50 at a time, in order, from where it is told", function()
    local first, total = assert(client.reports:search("revenue", { order_by = "name" }))
    assert.equal(50, #first)
    assert.equal("Weekly revenue 001", first[1].name)
    assert.equal(120, total)
    local last = assert(client.reports:search("revenue", { order_by = "name", ascending = false, start = 110 }))
    assert.equal(10, #last)
    assert.equal("Weekly revenue 001", last[10].name)
    assert.same({}, (client.reports:search "nonesuch"))
  end)

  it("goes through all pages, and gives each report once", function()
    local names, count = {}, 0
    for report in client.reports:each("revenue", { order_by = "name" }) do
      names[report.name] = true
      count = count + 1
    end
    assert.equal(120, count)
    assert.is_true(names["Weekly revenue 001"] and names["Weekly revenue 120"])
    assert.equal(3, #support.sent(sim, "GET", "/reporting/api/rest/v1/reports/search"))
  end)

  it("raises the error of a page, since a nil would look like the end", function()
    sim:fault { on = "GET *", kind = "status", status = 400, skip = 1, body = '{"message":"no"}' }
    local count = 0
    local ok, err = pcall(function()
      for _ in client.reports:each "revenue" do count = count + 1 end
    end)
    assert.is_false(ok)
    assert.equal("api", err.kind)
    assert.equal(50, count)
  end)

  it("finds the one report of exactly that name", function()
    assert.equal(support.REPORT, assert(client.reports:find "Accounts by balance").id)
    assert.equal(("%032x"):format(77), assert(client.reports:find "Weekly revenue 077").id)
  end)

  it("does not say that there is none while some have not been looked at", function()
    sim:fault { on = "GET *", kind = "status", status = 200, skip = 1, body = '{"success":true,"response":{"reports":[],"count":120}}' }
    local report, err = client.reports:find "revenue"
    assert.is_nil(report)
    assert.equal("incomplete", err.kind)
    assert.matches("less than three letters", select(2, client.reports:find "AP").message)
  end)

  it("says when there is none of that name, or several", function()
    local report, err = client.reports:find "accounts by balance"
    assert.is_nil(report)
    assert.equal("not_found", err.kind)
    assert.matches('no report has the name "accounts by balance" %(1 other was found: "Accounts by balance"%)', err.message)
    assert.matches('%(120 others were found: "[^"]+", "[^"]+", "[^"]+" …%)', select(2, client.reports:find "revenue").message)
    report, err = client.reports:find "Twin report"
    assert.is_nil(report)
    assert.equal("ambiguous", err.kind)
    assert.matches('2 reports have the name "Twin report": twin%d, twin%d', err.message)
    assert.equal(2, #err.reports)
    sim:fault { on = "GET *", kind = "status", status = 403, body = "{}" }
    report, err = client.reports:find "Twin report"
    assert.is_nil(report)
    assert.equal("auth", err.kind)
  end)

  it("are lists, and hold reports", function()
    local function answered(body, call)
      sim:fault { on = "* /*reports*", kind = "status", status = 200, body = body }
      local value, err = call()
      assert.is_nil(value)
      return err
    end
    local function search() return client.reports:search "x" end
    assert.matches("no list of reports", answered('{"success":true,"response":{"reports":{"a":1}}}', search).message)
    assert.matches("no list of reports", answered('{"success":true,"response":{}}', search).message)
    assert.matches("without an 'id'", answered('{"success":true,"response":{"reports":[{}]}}', search).message)
    assert.equal("api", answered('{"success":false,"response":"{\\"message\\":\\"m\\",\\"errorCode\\":\\"ZAN-REST-ERROR\\"}"}',
      search).kind)
  end)
end)
