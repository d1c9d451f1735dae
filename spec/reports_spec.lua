local support = require "spec.support"

local LABEL = "ff808081529f4e3401529fd373730099"

describe("client.reports", function()
  local sim, client, older

  setup(function()
    local reports = { [support.REPORT] = { name = "Accounts by balance", columns = { "A" }, rows = { { "1" } } } }
    for i = 1, 120 do
      reports[("%032x"):format(i)] = { name = ("Weekly revenue %03d"):format(i), columns = { "A" }, rows = {} }
    end
    for i = 1, 2 do reports[("twin%d"):format(i)] = { name = "Twin report", columns = { "A" }, rows = {} } end
    sim = support.simulator { reports = reports }
    client = support.client(sim)
    older = support.client(sim, { legacy = true, username = sim.username, password = sim.password })
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

  it("runs a report that was found", function()
    local report = assert(client.reports:find "Accounts by balance")
    local run = assert(report:start { view = "Detail" })
    assert.equal(support.REPORT, run.reportId)
    assert(run:wait(support.soon))
    assert.equal(run.id, assert(report:last()).id)
  end)

  it("shows API data only in a report", function()
    local report = assert(client.reports:find "Accounts by balance")
    for name in pairs(report) do assert.is_nil(({ start = true, last = true })[name]) end
    assert.is_false(getmetatable(report))
  end)

  it("gets a report with its definition, and what there is besides", function()
    local report = assert(older.reports:get(support.REPORT))
    assert.equal("Accounts by balance", report.name)
    assert.is_string(report.definition)
    assert.equal("integer", math.type(report.executedOn or 0))
    assert.is_table((assert(older.reports:details(support.REPORT))))
    assert.is_true(#assert(older.reports:mine()) > 0)
    assert.equal("api", select(2, older.reports:get "nonesuch").kind)
  end)

  it("attaches and detaches labels", function()
    assert.equal(LABEL, assert(older.reports:labels())[1].id)
    assert.is_true((older.reports:attach(support.REPORT, { LABEL })))
    assert.equal(LABEL, assert(older.reports:labels_of(support.REPORT))[1].id)
    local labelled, total = assert(older.reports:labelled(LABEL, { page = 0, page_size = 5, order_by = "name" }))
    older.reports:labelled(LABEL, { page_size = 5 })
    older.reports:labelled(LABEL, { page = 1 })
    local sent = support.sent(sim, "GET", "/api/rest/v1/reports/reportlabels/")
    assert.matches("%%22pageNo%%22%%3A0%%2C%%22pageSize%%22%%3A5%%7D", sent[2].target)
    assert.matches("%%22pageNo%%22%%3A1%%2C%%22pageSize%%22%%3A20%%7D", sent[3].target)
    assert.equal(support.REPORT, labelled[1].id)
    assert.equal(1, total)
    assert.is_true((older.reports:detach(support.REPORT, { LABEL })))
    assert.same({}, (assert(older.reports:labels_of(support.REPORT))))
    local done, err = older.reports:attach(support.REPORT, { "nonesuch" })
    assert.is_nil(done)
    assert.equal("api", err.kind)
  end)

  it("creates, saves, copies and deletes", function()
    local made = assert(older.reports:create { name = "Made here", dsName = "d", datasource = "s", definition = "{}" })
    assert.equal("Made here", assert(older.reports:get(made.id)).name)
    made.name = "Renamed"
    assert(older.reports:save(made.id, made)) -- a record goes as the data it is
    assert.equal("Renamed", assert(older.reports:get(made.id)).name)
    local copy = assert(older.reports:copy(made.id, { name = "A copy", label_ids = { LABEL } }))
    assert.not_equal(made.id, copy.id)
    assert.equal(copy.id, assert(older.reports:find "A copy").id)
    assert.is_true((older.reports:delete(copy.id)))
    assert.is_nil((older.reports:get(copy.id)))
  end)

  it("has the verbs of its collection in the record", function()
    local report = assert(older.reports:create { name = "Verbs", dsName = "d", datasource = "s", definition = "{}" })
    report.name = "Other verbs"
    assert.equal(report, assert(report:save()))
    assert.equal("Other verbs", assert(older.reports:get(report.id)).name)
    assert.is_table((assert(report:details())))
    assert.is_true((report:attach { LABEL }))
    assert.equal(LABEL, assert(report:labels())[1].id)
    assert.is_true((report:detach { LABEL }))
    assert.same({}, (assert(report:labels())))
    local copy = assert(report:copy { name = "Copied verbs" })
    assert.equal("Copied verbs", copy.name)
    assert.is_true((copy:delete()))
    assert.is_nil((copy:details()))
    assert.is_true((report:delete()))
  end)

  it("creates once under an idempotency key, whatever happens to the answer", function()
    sim:fault { on = "POST /api/rest/v1/reports", kind = "reset" }
    local quick <close> = support.quick_client(sim, { legacy = true, username = sim.username, password = sim.password })
    assert(quick.reports:create { name = "Only once", dsName = "d", datasource = "s", definition = "{}" })
    assert(quick.reports:find "Only once")
    assert.equal(2, #support.sent(sim, "POST", "/api/rest/v1/reports"))
  end)

  it("hands reports over", function()
    local done, words = client.reports:transfer { ids = { support.REPORT }, to = "U2" }
    assert.is_true(done)
    assert.equal("Transfer ownership successfully", words)
    assert.equal("U2", assert(client.reports:find "Accounts by balance").userId)
    assert.is_nil((client.reports:transfer { names = { "nonesuch" }, to = "U2" }))
  end)

  it("takes a success in words, or with nothing at all, for one", function()
    sim:fault { on = "POST /api/*", kind = "status", status = 200, body = '{"success":true,"response":"Report saved"}' }
    local saved = assert(older.reports:save("R", { name = "n" }))
    assert.equal("R", saved.id)
    assert.equal("n", saved.name)
    sim:fault { on = "DELETE /api/*", kind = "status", status = 200, body = "" }
    assert.is_true((older.reports:delete "R"))
  end)

  it("reads and sets the tenant's settings", function()
    assert.is_true((older.reports:set_settings { emailDomains = { "a.example", "b.example" } }))
    assert.same({ "a.example", "b.example" }, assert(older.reports:settings()).emailDomains)
    assert.is_true((older.reports:set_settings { emailDomains = {} }))
    assert.same({}, assert(older.reports:settings()).emailDomains)
    assert.equal('{"emailDomains":[]}', support.sent(sim, "POST", "/api/rest/v1/settings")[2].body)
  end)

  it("takes no other report for the answer", function()
    local function answered(body, call)
      sim:fault { on = "* /*reports*", kind = "status", status = 200, body = body }
      local value, err = call()
      assert.is_nil(value)
      return err
    end
    local function get() return older.reports:get "R" end
    assert.matches("about report other", answered('{"success":true,"response":{"id":"other"}}', get).message)
    assert.matches("has no 'id'", answered('{"success":true,"response":{}}', get).message)
  end)
end)
