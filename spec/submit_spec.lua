-- What a submit says is checked before it is sent.

local core = require "zuora.core"
local support = require "spec.support"

local QUERY = "select Id from Account"

describe("client.jobs:submit", function()
  local sim, client, lines

  setup(function()
    sim = support.simulator()
    client = support.client(sim, { log = function(line) lines[#lines + 1] = line end })
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    lines = {}
    sim:forget()
  end)

  local function with(more)
    local fields = { queries = { A = QUERY } }
    for name, value in pairs(more) do fields[name] = value end
    return fields
  end

  local function raises(argument, words, fields)
    local ok, message = pcall(function() client.jobs:submit(fields) end)
    assert.is_false(ok, argument)
    assert.is_truthy(message:find("bad argument '" .. argument .. "' to client.jobs:submit (", 1, true), message)
    assert.is_truthy(message:find(words, 1, true), message)
    assert.matches("^%.?/?spec/submit_spec%.lua:%d+: ", message)
    assert.equal(0, #support.sent(sim, "POST", "/v1/batch-query"))
  end

  local function sent_queries(queries)
    sim:forget()
    client.jobs:submit { queries = queries }
    return core.decode(support.sent(sim, "POST", "/v1/batch-query")[1].body).queries
  end

  it("takes queries by name, in the order of the names", function()
    assert.same({ { name = "Account", query = QUERY, type = "zoqlexport" },
      { name = "Invoice", query = "select 1", type = "zoql" } },
      sent_queries { Invoice = { query = "select 1", type = "zoql" }, Account = QUERY })
  end)

  it("takes a list of texts, named after their objects", function()
    local names = {}
    for i, query in ipairs(sent_queries { QUERY, "SELECT Id\nFROM\tAccount where Name = 'from X'", "select Id from Invoice", "what" })
    do
      names[i] = query.name
    end
    assert.same({ "Account", "Account2", "Invoice", "Query" }, names)
  end)

  it("takes a list of tables as it is, names or not", function()
    assert.same({ { query = QUERY, type = "zoqlexport" }, { name = "b", query = QUERY, type = "zoqlexport" } },
      sent_queries { { query = QUERY }, { name = "b", query = QUERY } })
    assert.same({ "Account2", "Account" }, { sent_queries { QUERY, { name = "Account", query = QUERY } }[1].name, "Account" })
  end)

  it("takes 50 queries and no more, and each name once", function()
    local queries = {}
    for i = 1, 50 do queries[i] = { name = "q" .. i, query = QUERY } end
    assert(client.jobs:submit { queries = queries })
    queries[51] = { query = QUERY }
    sim:forget()
    raises("queries", "at most 50 expected, got 51", { queries = queries })
    raises("queries[3].name", "is that of queries[1], too",
      { queries = { { name = "a", query = QUERY }, { name = "b", query = QUERY }, { name = "a", query = QUERY } } })
    raises("queries.a.name", "is another name", { queries = { a = { name = "b", query = QUERY } } })
  end)

  it("names the place of a mistake in a query", function()
    raises("queries[1].querry", "unknown field", { queries = { { querry = QUERY } } })
    raises("queries[1].query", "missing", { queries = { { name = "a" } } })
    raises("queries[2].query", "non-empty string expected", { queries = { QUERY, { query = 5 } } })
    raises("queries[1].type", "one of zoql, zoqlexport", { queries = { { query = QUERY, type = "sql" } } })
    raises("queries[1].apiVersion", "string", { queries = { { query = QUERY, apiVersion = {} } } })
    raises("queries[1].convertToCurrencies", "string", { queries = { { query = QUERY, convertToCurrencies = 5 } } })
    raises("queries[1].convertToCurrencies", "string", { queries = { { query = QUERY, convertToCurrencies = { true } } } })
    raises("queries.A", "table expected", { queries = { A = 5 } })
    raises("queries.A.querry", "unknown field", { queries = { A = { querry = QUERY } } })
    raises("queries[1].name", "string", { queries = { { query = QUERY, name = "" } } })
    raises("queries[1]", "table expected", { queries = { 5 } })
    raises("queries", "list", { queries = { QUERY, nil, QUERY } })
    raises("queries", "list", { queries = {} })
  end)

  it("takes no text that is not UTF-8", function()
    local bad = "caf\xe9"
    raises("queries[1].query", "UTF-8 expected", { queries = { "select Id from Account where Name = '" .. bad .. "'" } })
    raises("queries", "UTF-8 expected", { queries = { [bad] = QUERY } })
    raises("queries[1].deleted.column", "UTF-8 expected", { queries = { { query = QUERY, deleted = { column = bad,
      format = "Numeric", forceExport = true } } } })
    raises("queries[1].convertToCurrencies", "UTF-8 expected", { queries = { { query = QUERY, convertToCurrencies = bad } } })
    for _, name in ipairs { "name", "nullReplacement", "partner", "notifyUrl" } do
      raises(name, "UTF-8 expected", with { [name] = bad })
    end
    assert(client.jobs:submit(with { name = "Ærø" }))
  end)

  it("knows the shape of deleted, and what a stateless job wants of it", function()
    local function query_with(deleted) return { { query = QUERY, deleted = deleted } } end
    local column = { column = "gone", format = "Numeric" }
    raises("queries[1].deleted", "table expected", { queries = query_with(true) })
    raises("queries[1].deleted.column", "missing", { queries = query_with { format = "Numeric" } })
    raises("queries[1].deleted.format", "missing", { queries = query_with { column = "gone" } })
    raises("queries[1].deleted.format", "one of Numeric, Boolean", { queries = query_with { column = "c", format = "numeric" } })
    raises("queries[1].deleted.1", "unknown field", { queries = query_with { column } })
    raises("queries[1].deleted.forceExport", "must be true in a stateless job", { queries = query_with(column) })
    assert(client.jobs:submit { queries = query_with(column), partner = "p", project = "q" })
    column.forceExport = true
    assert(client.jobs:submit { queries = query_with(column) })
  end)

  it("wants partner and project together, and a version that knows them", function()
    raises("project", "go together", with { partner = "p" })
    raises("partner", "go together", with { project = "q" })
    raises("version", "1.0 is stateless", with { partner = "p", project = "q", version = 1 })
    raises("version", "a number such as 1.1", with { version = "one" })
    for given, wanted in pairs { ["1"] = "1.0", [1] = "1.0", [1.19] = "1.19", ["1.2"] = "1.2" } do
      sim:forget()
      client.jobs:submit(with { version = given })
      assert.equal(wanted, core.decode(support.sent(sim, "POST", "/v1/batch-query")[1].body).version)
    end
    for _, version in ipairs { 1.1, "1.1", 1.2, "1.2" } do
      local job = assert(client.jobs:submit(with { partner = "p", project = "q", version = version }))
      assert.is_true(job:is_stateful())
    end
    assert.is_false(assert(client.jobs:submit(with { version = 1.1 })):is_stateful())
    assert.is_false(assert(client.jobs:submit(with {})):is_stateful())
  end)

  it("wants queries, unless a stateful job can run its last ones again", function()
    raises("queries", "missing: only a stateful job", {})
    assert(assert(client.jobs:submit(with { partner = "again", project = "q" })):wait(support.soon))
    local job = assert(client.jobs:submit { partner = "again", project = "q" })
    assert.equal("A", job.batches[1].name)
  end)

  it("holds the other fields against Zuora's limits", function()
    raises("name", "at most 32 characters", with { name = ("n"):rep(33) })
    assert(client.jobs:submit(with { name = ("é"):rep(32) }))
    sim:forget()
    raises("offset", "0 to 3600", with { offset = 3601 })
    raises("offset", "0 to 3600", with { offset = -1 })
    raises("offset", "integer", with { offset = 1.5 })
    raises("format", "one of csv, zip, gzip", with { format = "json" })
    raises("encrypted", "one of none, pgp", with { encrypted = "yes" })
    raises("sourceData", "one of LIVE", with { sourceData = "WAREHOUSE" })
    raises("notifyUrl", "must hold ${JOBID} and ${STATUS}", with { notifyUrl = "https://x.example/?j=${JOBID}" })
    raises("notifyUrl", "must hold ${JOBID} and ${STATUS}", with { notifyUrl = "https://x.example/?s=${STATUS}" })
    assert(client.jobs:submit(with { notifyUrl = "https://x.example/${JOBID}${STATUS}" .. ("x"):rep(4999 - 35) }))
    sim:forget()
    raises("notifyUrl", "less than 5000", with { notifyUrl = "https://x.example/${JOBID}${STATUS}" .. ("x"):rep(5000 - 35) })
    raises("notifyUrl", "less than 5000", with { notifyUrl = "https://x.example/${JOBID}${STATUS}" .. ("x"):rep(5000) })
    local stateful = { partner = "p", project = "q" }
    stateful.incrementalTime = "2015-01-21T10:30:01"
    raises("incrementalTime", "yyyy-MM-dd HH:mm:ss", with(stateful))
    stateful.incrementalTime = "2015-13-21 10:30:01"
    raises("incrementalTime", "yyyy-MM-dd HH:mm:ss", with(stateful))
    raises("incrementalTime", "goes with partner and project", with { incrementalTime = "2015-01-21 10:30:01" })
  end)

  it("warns of literals that Zuora reads in ways that nobody means", function()
    local function warned(query)
      lines = {}
      client.jobs:submit { queries = { A = query } }
      for _, line in ipairs(lines) do
        if line:find('^query "A": ') then return line end
      end
    end
    assert.matches("gives the whole table", warned "select Id from Account where UpdatedDate > '2026-08-01 00:00:00'")
    assert.matches("gives the whole table", warned "select Id from Account where UpdatedDate > '2026-8-1  0:00:00'")
    assert.matches("finds no rows", warned "select Id from Account where UpdatedDate < '2026-08-01T00:00:00.000Z'")
    for _, good in ipairs { "2026-08-01T00:00:00+10:00", "2026-08-01T00:00:00Z", "2026-08-01", "1 2026" } do
      assert.is_nil(warned("select Id from Account where UpdatedDate > '" .. good .. "'"))
    end
  end)
end)
