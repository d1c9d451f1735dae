-- A report or a job from its start to its file, in one call.

local support = require "spec.support"

describe("fetch", function()
  local sim, client, directory

  setup(function()
    sim = support.simulator { reports = {
      [support.REPORT] = { name = "Fetched report", columns = { "A" }, rows = { { "1" }, { "2" } } } } }
    client = support.client(sim)
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    directory = support.scratch "fetch"
  end)

  it("fetches a report by its name, and a job, in one call each", function()
    local name = "Fetched report"
    local options = { view = "Detail", verify = true, min = 0.01, timeout = 20 }
    local written = assert(client.reports:fetch(name, directory .. "/a.csv", options))
    assert.equal(directory .. "/a.csv", written.path)
    assert.is_true(written.records > 0)
    assert.equal("not_found", select(2, client.reports:fetch("nonesuch", directory .. "/b.csv", options)).kind)
    assert.is_false((pcall(client.reports.fetch, client.reports, name, "x", { view = "Detail", verfy = true })))
    local files = assert(client.jobs:fetch({ queries = { A = "select Id from Account" } }, directory, { min = 0.01, timeout = 20 }))
    assert.equal(directory .. "/A.csv", files[1].path)
    assert.is_false((pcall(client.jobs.fetch, client.jobs, { queries = { A = "x" } }, directory, { verfy = true })))
  end)

  it("takes the options of what it starts, and of the file that comes of it", function()
    sim:forget()
    local seen = 0
    local function options(key)
      return { idempotency_key = key, on_progress = function(bytes) seen = bytes end, min = 0.01, timeout = 20 }
    end
    local own = options "key-a"
    own.view = "Detail"
    assert(client.reports:fetch(support.REPORT, directory .. "/a.csv", own))
    assert.is_true(seen > 0)
    seen = 0
    assert(client.jobs:fetch({ queries = { A = "select Id from Account" } }, directory, options "key-b"))
    assert.is_true(seen > 0)
    for key, path in pairs { ["key-a"] = "/reporting/api/rest/v1/reports/", ["key-b"] = "/v1/batch-query" } do
      assert.equal(key, support.sent(sim, "POST", path)[1].headers["idempotency-key"])
    end
  end)

  it("knows a report by its name, and by its id without asking", function()
    assert.equal(support.REPORT, (client.reports:id_of "Fetched report"))
    local id = ("a"):rep(32)
    assert.equal(id, (client.reports:id_of(id, { total_timeout = 0.001 })))
    assert.equal("not_found", select(2, client.reports:id_of "nonesuch").kind)
    assert.is_false((pcall(client.reports.id_of, client.reports, "")))
  end)

  it("says of which batch the bytes are", function()
    local seen = {}
    local queries = { A = "select Id from Account", B = "select Name from Account" }
    assert(client.jobs:fetch({ queries = queries }, directory, { min = 0.01, timeout = 20,
      on_progress = function(bytes, _, name) seen[name] = bytes end }))
    assert.same({ A = #support.read(directory .. "/A.csv"), B = #support.read(directory .. "/B.csv") }, seen)
  end)

  it("ends a wait with the deadline over everything", function()
    sim:fault { on = "GET */jobs/*", kind = "status", status = 200, times = "always",
      body = '{"id":"J","status":"executing"}' }
    sim:fault { on = "POST /v1/batch-query", kind = "status", status = 200, body = '{"id":"J","status":"submitted"}' }
    local found, err = client.jobs:fetch({ queries = { "select Id from Account" } }, directory,
      { total_timeout = 0.3, min = 0.05 })
    assert.is_nil(found)
    assert.equal("timeout", err.kind)
  end)
end)
