local core = require "zuora.core"
local support = require "spec.support"

describe("core.operations", function()
  it("describes every call, and every call is described", function()
    for group, operations in pairs(core.operations) do
      for name, operation in pairs(operations) do
        assert.is_function(core[group][name])
        assert.equal(group, operation.group)
        assert.equal(name, operation.name)
        for in_path in operation.path:gmatch("{(.-)}") do
          local found = false
          for _, parameter in ipairs(operation.parameters) do
            found = found or parameter.name == in_path and parameter.location == "path" and parameter.required
          end
          assert.is_true(found, in_path)
        end
      end
      for name in pairs(core[group]) do assert.is_table(operations[name]) end
    end
  end)

  it("tells what a parameter is", function()
    local found = {}
    for _, parameter in ipairs(core.operations.reportruns.start.parameters) do found[parameter.name] = parameter end
    assert.same({ name = "reportId", type = "id", location = "path", required = true, repeated = false }, found.reportId)
    assert.same({ name = "viewType", type = "Detail|Summary", location = "query", required = true, repeated = false },
      found.viewType)
    assert.equal("body", found.body.location)
    assert.is_true(core.operations.reportruns.list.parameters[1].repeated)
  end)

  it("says which calls may be repeated without an idempotency key", function()
    local keyed = {}
    for group, operations in pairs(core.operations) do
      for name, operation in pairs(operations) do
        if not operation.safe then keyed[#keyed + 1] = group .. "." .. name end
      end
    end
    table.sort(keyed)
    assert.same({ "jobs.submit", "queries.submit", "reportruns.start", "reports.attach", "reports.copy", "reports.create",
      "reports.save", "reports.set_settings", "reports.transfer" }, keyed)
  end)
end)

describe("a call of the core", function()
  local sim, session, connection

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function()
    session = core.session {}
    connection = core.endpoints {
      session = session,
      bases = { oauth = sim.url .. "/t", reporting = sim.url .. "/r", aqua = sim.url .. "/a", files = sim.url .. "/f" },
      defaults = { timeout = 10, user_agent = "spec" },
    }
    sim:forget()
  end)
  after_each(function() session:close() end)

  -- What goes over the wire.
  local function sent(group, name, parameters, options)
    support.finish(session, assert(core[group][name](connection, parameters, options)))
    local journal = sim:journal()
    return journal[#journal]
  end

  it("sends each operation to its path", function()
    local function line(...)
      local entry = sent(...)
      return entry.method .. " " .. entry.target
    end
    assert.equal("POST /t", line("oauth", "token", { client_id = "a", client_secret = "b", grant_type = "c" }))
    assert.equal("POST /r/reports/R-1/reportrun?viewType=Detail",
      line("reportruns", "start", { reportId = "R-1", viewType = "Detail" }))
    assert.equal("GET /r/reportruns/x_1", line("reportruns", "get", { id = "x_1" }))
    assert.equal("DELETE /r/reportruns/x", line("reportruns", "cancel", { id = "x" }))
    assert.equal("POST /r/reportruns?status=A&status=B", line("reportruns", "list", { status = { "A", "B" }, body = {} }))
    assert.equal("GET /r/reports/R/reportruns/latest", line("reportruns", "last", { reportId = "R" }))
    assert.equal("GET /r/reportruns/reportdata/x?offset=1&pageSize=200",
      line("reportruns", "data", { id = "x", offset = 1, pageSize = 200 }))
    assert.equal("GET /r/reportruns/export/x?pivoted=false", line("reportruns", "export", { id = "x", pivoted = false }))
    assert.equal("POST /a", line("jobs", "submit", { queries = { { query = "q" } } }))
    assert.equal("GET /a/jobs/x", line("jobs", "get", { id = "x" }))
    assert.equal("GET /a/jobs/partner/p%2Fq%20r/project/%C3%A9%3F",
      line("jobs", "last", { partner = "p/q r", project = "é?" }))
    assert.equal("DELETE /a/jobs/x", line("jobs", "cancel", { id = "x" }))
    assert.equal("GET /f/x", line("files", "get", { id = "x" }))
  end)

  it("encodes bodies as JSON or as a form, with their type", function()
    local entry = sent("jobs", "submit", { queries = { { query = "select é", name = "n" } }, useQueryLabels = true })
    assert.equal("application/json", entry.headers["content-type"])
    assert.same({ queries = { { query = "select é", name = "n" } }, useQueryLabels = true }, core.decode(entry.body))
    entry = sent("oauth", "token", { client_id = "a b", client_secret = "s+/=&", grant_type = "g" })
    assert.equal("application/x-www-form-urlencoded", entry.headers["content-type"])
    assert.equal("client_id=a%20b&client_secret=***&grant_type=g", entry.body)
    entry = sent("reportruns", "start", { reportId = "R", viewType = "Detail", body = "[]" })
    assert.equal("[]", entry.body)
    entry = sent("reportruns", "start", { reportId = "R", viewType = "Detail" })
    assert.equal("", entry.body)
    assert.equal("0", entry.headers["content-length"])
    assert.is_nil(entry.headers["content-type"])
  end)

  it("sends the default headers of the base, and those of the call in their place", function()
    connection:headers("reporting", { ["X-One"] = "standing", ["X-Two"] = "standing" })
    local entry = sent("reportruns", "get", { id = "x" }, { headers = { ["X-Two"] = "own" } })
    assert.equal("standing", entry.headers["x-one"])
    assert.equal("own", entry.headers["x-two"])
    assert.equal("spec", entry.headers["user-agent"])
    assert.equal("application/json", entry.headers.accept)
    entry = sent("jobs", "get", { id = "x" })
    assert.is_nil(entry.headers["x-one"])
    assert.has_error(function() connection:headers("elsewhere", {}) end)
  end)

  it("keeps what was checked: changing the tables afterwards changes nothing", function()
    local bases = { files = sim.url .. "/f" }
    local mine = core.endpoints { session = session, bases = bases }
    bases.files = sim.url .. "/a\0b"
    support.finish(session, core.files.get(mine, { id = "x" }))
    assert.equal("/f/x", sim:journal()[1].target)
  end)

  it("leaves a default header out when the call says false", function()
    connection:headers("reporting", { ["X-One"] = "standing" })
    assert.is_nil(sent("reportruns", "get", { id = "x" }, { headers = { ["x-one"] = false } }).headers["x-one"])
  end)

  it("creates on a connection of its own", function()
    local first = sent("reportruns", "get", { id = "x" })
    local second = sent("reportruns", "get", { id = "x" })
    local third = sent("reportruns", "start", { reportId = "R", viewType = "Detail" })
    assert.equal(first.connection, second.connection)
    assert.not_equal(second.connection, third.connection)
  end)

  it("raises for missing, unknown and unfit parameters, by their names", function()
    local function fails(words, group, name, parameters, options)
      local ok, message = pcall(core[group][name], connection, parameters, options)
      assert.is_false(ok)
      assert.matches(words, message)
    end
    fails("core%.reportruns%.get: parameter 'id' is missing", "reportruns", "get", {})
    fails("core%.reportruns%.get: parameter 'id' is missing", "reportruns", "get", nil)
    fails("parameter 'di' is unknown", "reportruns", "get", { id = "x", di = "x" })
    fails("parameter 'viewType' is missing", "reportruns", "start", { reportId = "R" })
    fails("parameter 'id' must be a string", "reportruns", "get", { id = 1 })
    fails("parameter 'offset' must be an integer", "reportruns", "data", { id = "x", offset = 1.5, pageSize = 1 })
    fails("parameter 'status' is missing", "reportruns", "list", { status = {} })
    fails("unknown option 'url'", "reportruns", "get", { id = "x" }, { url = "x" })
    fails("unknown option 'method'", "reportruns", "get", { id = "x" }, { method = "x" })
    fails("parameter 'status' must be text", "reportruns", "list", { status = { {} } })
    fails("unknown option 'timout'", "reportruns", "get", { id = "x" }, { timout = 1 })
    for _, bad in ipairs { "", ".", "..", "a/b", "a?b", "a#b", "a b", "a\r\nb", "a\0b", "%2e%2e", "é" } do
      fails("parameter 'id'", "reportruns", "get", { id = bad })
    end
    for _, bad in ipairs { "", ".", "..", "a\r\nb", "a\0b" } do
      fails("parameter 'partner'", "jobs", "last", { partner = bad, project = "x" })
    end
    assert.has_error(function() core.reportruns.get({}, { id = "x" }) end)
    assert.equal(0, #sim:journal())
  end)

  it("needs bases without control characters, and an open session", function()
    assert.has_error(function() core.endpoints { session = session, bases = { a = "http://x\r\n" } } end)
    assert.has_error(function() core.endpoints { session = session, bases = { a = 1 } } end)
    assert.has_error(function() core.endpoints { session = session, bases = {}, defaults = { x = 1 } } end)
    assert.has_error(function() core.endpoints { session = session, bases = {}, defaults = { headers = {} } } end)
    for _, wrong in ipairs { 1, "x", true } do
      assert.matches("'defaults': table expected",
        select(2, pcall(core.endpoints, { session = session, bases = {}, defaults = wrong })))
    end
    assert.has_error(function() core.endpoints { session = session, bases = {}, base = {} } end)
    session:close()
    assert.has_error(function() core.endpoints { session = session, bases = {} } end)
    assert.has_error(function() core.files.get(connection, { id = "x" }) end)
  end)
end)
