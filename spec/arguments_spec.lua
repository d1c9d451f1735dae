-- Misuse: every public function with a missing, wrong-typed or malicious argument raises a message that
-- names the function and the argument, and sends nothing.

local support = require "spec.support"

local BAD_IDS = { "", ".", "..", "a/b", "a?b", "a#b", "a b", "a%2fb", "a\r\nX: y", "a\0b", "é", "http://evil.example/",
  ("x"):rep(10000), 5, true, {} }
local BAD_TEXTS = { "", "a\r\nb", "a\0b", 5, {} }
local BAD_SEGMENTS = { "", ".", "..", "a\r\nb", "a\0b", 5, {} }
local BAD_TRACK_IDS = { ("x"):rep(65), " ", "a ", "a;b", "a:b", "a\"b", "a'b", "a\r\nb", "é", "", 5 }

describe("misuse", function()
  local sim, client, older, run, job, query, report

  setup(function()
    sim = support.simulator()
    client = support.client(sim)
    older = support.client(sim, { legacy = true, username = sim.username, password = sim.password })
    run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
    job = assert(client.jobs:submit { queries = { { name = "a", query = "select Id from Account" } } })
    query = assert(client.queries:submit { query = "select Id from Account" })
    report = assert(older.reports:get(support.REPORT))
  end)
  teardown(function()
    client:close()
    older:close()
    sim:stop()
  end)
  before_each(function() sim:forget() end)
  after_each(function() assert.equal(0, #sim:journal()) end)

  local function raises(where, argument, f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok, where .. " took a bad " .. argument)
    assert.is_true(message:find("'" .. argument .. "' to " .. where .. " ", 1, true) ~= nil, message)
    assert.matches("^%.?/?spec/arguments_spec%.lua:%d+: ", message)
  end

  -- The call, its place, and what is right for all but the argument in question.
  local IDS = {
    ["client.reportruns:start"] = { "report_id", function(id) client.reportruns:start(id, { view = "Detail" }) end },
    ["client.reportruns:get"] = { "run_id", function(id) client.reportruns:get(id) end },
    ["client.reportruns:cancel"] = { "run_id", function(id) client.reportruns:cancel(id) end },
    ["client.reportruns:last"] = { "report_id", function(id) client.reportruns:last(id) end },
    ["client.reportruns:data"] = { "run_id", function(id) client.reportruns:data(id) end },
    ["client.reportruns:download"] = { "run_id", function(id) client.reportruns:download(id, "build/x") end },
    ["client.reportruns:wait"] = { "run_id", function(id) client.reportruns:wait(id) end },
    ["client.jobs:get"] = { "job_id", function(id) client.jobs:get(id) end },
    ["client.jobs:cancel"] = { "job_id", function(id) client.jobs:cancel(id) end },
    ["client.jobs:wait"] = { "job_id", function(id) client.jobs:wait(id) end },
    ["client.jobs:download"] = { "job_id", function(id) client.jobs:download(id, "build/x") end },
    ["client.files:download"] = { "file_id", function(id) client.files:download(id, "build/x") end },
    ["client.files:status"] = { "file_id", function(id) client.files:status(id) end },
    ["client.files:rows"] = { "file_id", function(id) client.files:rows(id) end },
    ["client.queries:get"] = { "job_id", function(id) client.queries:get(id) end },
    ["client.queries:cancel"] = { "job_id", function(id) client.queries:cancel(id) end },
    ["client.queries:wait"] = { "job_id", function(id) client.queries:wait(id) end },
    ["client.queries:download"] = { "job_id", function(id) client.queries:download(id, "build/x") end },
    ["client.queries:rows"] = { "job_id", function(id) client.queries:rows(id) end },
    ["client.describe:object"] = { "name", function(id) client.describe:object(id) end },
    ["client.reports:get"] = { "report_id", function(id) older.reports:get(id) end },
    ["client.reports:details"] = { "report_id", function(id) older.reports:details(id) end },
    ["client.reports:labelled"] = { "label_id", function(id) older.reports:labelled(id) end },
    ["client.reports:labels_of"] = { "report_id", function(id) older.reports:labels_of(id) end },
    ["client.reports:attach"] = { "report_id", function(id) older.reports:attach(id, { "L" }) end },
    ["client.reports:detach"] = { "report_id", function(id) older.reports:detach(id, { "L" }) end },
    ["client.reports:save"] = { "report_id", function(id) older.reports:save(id, {}) end },
    ["client.reports:copy"] = { "report_id", function(id) older.reports:copy(id) end },
    ["client.reports:delete"] = { "report_id", function(id) older.reports:delete(id) end },
  }
  for where, case in pairs(IDS) do
    it("in an id: " .. where, function()
      raises(where, case[1], case[2], nil)
      for _, bad in ipairs(BAD_IDS) do raises(where, case[1], case[2], bad) end
    end)
  end

  -- The last table of every call.
  local OPTIONS = {
    ["client.reportruns:start"] = function(o) o.view = "Detail" client.reportruns:start("x", o) end,
    ["client.reportruns:get"] = function(o) client.reportruns:get("x", o) end,
    ["client.reportruns:cancel"] = function(o) client.reportruns:cancel("x", o) end,
    ["client.reportruns:last"] = function(o) client.reportruns:last("x", o) end,
    ["client.reportruns:data"] = function(o) client.reportruns:data("x", o) end,
    ["client.reportruns:download"] = function(o) client.reportruns:download("x", "build/x", o) end,
    ["client.reportruns:wait"] = function(o) client.reportruns:wait("x", o) end,
    ["client.reportruns:list"] = function(o) client.reportruns:list(o) end,
    ["client.jobs:submit"] = function(o) o.queries = { { query = "q" } } client.jobs:submit(o) end,
    ["client.jobs:get"] = function(o) client.jobs:get("x", o) end,
    ["client.jobs:last"] = function(o) o.partner, o.project = "p", "q" client.jobs:last(o) end,
    ["client.jobs:cancel"] = function(o) client.jobs:cancel("x", o) end,
    ["client.jobs:wait"] = function(o) client.jobs:wait("x", o) end,
    ["client.files:download"] = function(o) client.files:download("x", "build/x", o) end,
    ["client.files:status"] = function(o) client.files:status("x", o) end,
    ["client.jobs:recover"] = function(o) o.partner, o.project = "p", "q" client.jobs:recover(o) end,
    ["client.queries:submit"] = function(o) o.query = "q" client.queries:submit(o) end,
    ["client.queries:get"] = function(o) client.queries:get("x", o) end,
    ["client.queries:list"] = function(o) client.queries:list(o) end,
    ["client.queries:cancel"] = function(o) client.queries:cancel("x", o) end,
    ["client.queries:wait"] = function(o) client.queries:wait("x", o) end,
    ["client.queries:download"] = function(o) client.queries:download("x", "build/x", o) end,
    ["client.queries:rows"] = function(o) client.queries:rows("x", o) end,
    ["client.describe:objects"] = function(o) client.describe:objects(o) end,
    ["client.describe:object"] = function(o) client.describe:object("x", o) end,
    ["client:request"] = function(o) o.path = "/x" client:request(o) end,
    ["client.reportruns:each"] = function(o) client.reportruns:each(o) end,
    ["client.reports:search"] = function(o) client.reports:search("x", o) end,
    ["client.reports:each"] = function(o) client.reports:each("x", o) end,
    ["client.reports:find"] = function(o) client.reports:find("x", o) end,
    ["client.reports:mine"] = function(o) older.reports:mine(o) end,
    ["client.reports:get"] = function(o) older.reports:get("x", o) end,
    ["client.reports:details"] = function(o) older.reports:details("x", o) end,
    ["client.reports:labelled"] = function(o) older.reports:labelled("x", o) end,
    ["client.reports:labels"] = function(o) older.reports:labels(o) end,
    ["client.reports:labels_of"] = function(o) older.reports:labels_of("x", o) end,
    ["client.reports:attach"] = function(o) older.reports:attach("x", { "L" }, o) end,
    ["client.reports:detach"] = function(o) older.reports:detach("x", { "L" }, o) end,
    ["client.reports:create"] = function(o) older.reports:create({ name = 1, dsName = 1, datasource = 1, definition = 1 }, o) end,
    ["client.reports:save"] = function(o) older.reports:save("x", {}, o) end,
    ["client.reports:copy"] = function(o) older.reports:copy("x", o) end,
    ["client.reports:delete"] = function(o) older.reports:delete("x", o) end,
    ["client.reports:transfer"] = function(o) o.ids, o.to = { "x" }, "U" client.reports:transfer(o) end,
    ["client.reports:settings"] = function(o) older.reports:settings(o) end,
    ["client.reports:set_settings"] = function(o) o.emailDomains = {} older.reports:set_settings(o) end,
    ["run:refresh"] = function(o) run:refresh(o) end,
    ["run:wait"] = function(o) run:wait(o) end,
    ["run:cancel"] = function(o) run:cancel(o) end,
    ["run:data"] = function(o) run:data(o) end,
    ["run:download"] = function(o) run:download("build/x", o) end,
    ["job:refresh"] = function(o) job:refresh(o) end,
    ["job:wait"] = function(o) job:wait(o) end,
    ["job:cancel"] = function(o) job:cancel(o) end,
    ["job:download"] = function(o) job:download("build/x", o) end,
    ["batch:download"] = function(o) job.batches[1]:download("build/x", o) end,
    ["batch:rows"] = function(o) job.batches[1]:rows(o) end,
    ["query:refresh"] = function(o) query:refresh(o) end,
    ["query:wait"] = function(o) query:wait(o) end,
    ["query:cancel"] = function(o) query:cancel(o) end,
    ["query:download"] = function(o) query:download("build/x", o) end,
    ["report:details"] = function(o) report:details(o) end,
    ["report:save"] = function(o) report:save(o) end,
    ["report:copy"] = function(o) report:copy(o) end,
    ["report:delete"] = function(o) report:delete(o) end,
    ["report:labels"] = function(o) report:labels(o) end,
    ["report:attach"] = function(o) report:attach({ "L" }, o) end,
    ["report:detach"] = function(o) report:detach({ "L" }, o) end,
  }
  for where, call in pairs(OPTIONS) do
    it("in the options: " .. where, function()
      raises(where, "timout", call, { timout = 1 })
      raises(where, "number", call, { [1] = "x" })
      for _, bad in ipairs(BAD_TRACK_IDS) do raises(where, "track_id", call, { track_id = bad }) end
      for _, bad in ipairs { "x", "11111111-2222-3333-4444-5555555555555", "a\r\nb", 5 } do
        raises(where, "entity_id", call, { entity_id = bad })
      end
      for _, name in ipairs { "timeout", "total_timeout" } do
        for _, bad in ipairs { -1, 0 / 0, "1", {} } do raises(where, name, call, { [name] = bad }) end
      end
      for _, bad in ipairs { -1, 1.5, "1" } do raises(where, "retries", call, { retries = bad }) end
    end)
  end

  it("in the options, given as something else", function()
    raises("client.reportruns:get", "options", function() client.reportruns:get("x", "y") end)
    raises("client.jobs:last", "options", function() client.jobs:last "p" end)
  end)

  it("in idempotency keys, which only calls that create take", function()
    for _, bad in ipairs { "", ("k"):rep(256), "a b", "a\r\nb", 5 } do
      raises("client.reportruns:start", "idempotency_key", OPTIONS["client.reportruns:start"], { idempotency_key = bad })
      raises("client.jobs:submit", "idempotency_key", OPTIONS["client.jobs:submit"], { idempotency_key = bad })
    end
    raises("client.jobs:get", "idempotency_key", OPTIONS["client.jobs:get"], { idempotency_key = "k" })
  end)

  it("in the view and the filters of a run", function()
    raises("client.reportruns:start", "view", function() client.reportruns:start("x") end)
    raises("client.reportruns:start", "view", function() client.reportruns:start("x", {}) end)
    for _, bad in ipairs { "detail", "", 5, {} } do
      raises("client.reportruns:start", "view", function() client.reportruns:start("x", { view = bad }) end)
    end
    raises("client.reportruns:start", "filters", function()
      client.reportruns:start("x", { view = "Detail", filters = "x" })
    end)
    raises("client.reportruns:start", "filters", function()
      client.reportruns:start("x", { view = "Detail", filters = { print } })
    end)
  end)

  it("in the list of runs", function()
    local where = "client.reportruns:list"
    raises(where, "status", function() client.reportruns:list { status = {} } end)
    raises(where, "status", function() client.reportruns:list { status = "STARTED" } end)
    for _, bad in ipairs(BAD_TEXTS) do raises(where, "status", function() client.reportruns:list { status = { bad } } end) end
    raises(where, "page", function() client.reportruns:list { page = 0 } end)
    raises(where, "page_size", function() client.reportruns:list { page_size = 1.5 } end)
    raises(where, "columns", function() client.reportruns:list { columns = "status" } end)
    raises(where, "columns", function() client.reportruns:list { columns = {} } end)
    raises(where, "sort", function() client.reportruns:list { sort = {} } end)
  end)

  it("in pages of data, and in exports", function()
    raises("run:data", "offset", function() run:data { offset = -1 } end)
    raises("run:data", "page_size", function() run:data { page_size = 0 } end)
    raises("run:download", "pivoted", function() run:download("build/x", { pivoted = "yes" }) end)
    for _, bad in ipairs(BAD_TEXTS) do
      raises("run:download", "path", function() run:download(bad) end)
      raises("client.reportruns:download", "path", function() client.reportruns:download("x", bad) end)
      raises("client.files:download", "path", function() client.files:download("x", bad) end)
    end
  end)

  it("in waits", function()
    for name, bads in pairs { timeout = { -1, "1" }, min = { -1, math.huge }, max = { -1, "x" }, factor = { 0.5, "x" },
      jitter = { 1 }, on_poll = { 1 }, request_timeout = { 0, "x" } } do
      for _, bad in ipairs(bads) do
        raises("run:wait", name, function() run:wait { [name] = bad } end)
        raises("client.jobs:wait", name, function() client.jobs:wait("x", { [name] = bad }) end)
      end
    end
  end)

  it("in jobs", function()
    local where = "client.jobs:submit"
    local function submit(fields) return function() client.jobs:submit(fields) end end
    raises(where, "fields", submit(nil))
    raises(where, "fields", submit "select")
    raises(where, "queries", submit {})
    raises(where, "queries", submit { queries = {} })
    raises(where, "queries", submit { queries = "select" })
    raises(where, "queries[1]", submit { queries = { true } })
    raises(where, "queries", submit { queries = { { query = "q" }, nil, { query = "q" } } })
    raises(where, "queries.name", submit { queries = { name = 5 } })
    raises(where, "queries[1].deleted", submit { queries = { { query = "q", deleted = print } } })
    raises(where, "version", submit { queries = { { query = "q" } }, version = true })
    raises(where, "queries[2].query", submit { queries = { { query = "q" }, { name = "x" } } })
    raises(where, "partner", submit { queries = { { query = "q" } }, partner = 5 })
    raises(where, "offset", submit { queries = { { query = "q" } }, offset = "5" })
    raises(where, "useQueryLabels", submit { queries = { { query = "q" } }, useQueryLabels = "true" })
    raises("job:batch", "name", function() job:batch() end)
  end)

  it("in reports", function()
    for _, bad in ipairs(BAD_TEXTS) do
      raises("client.reports:search", "text", function() client.reports:search(bad) end)
      raises("client.reports:each", "text", function() client.reports:each(bad) end)
      raises("client.reports:find", "name", function() client.reports:find(bad) end)
    end
    raises("client.reports:search", "order_by", function() client.reports:search("x", { order_by = "id" }) end)
    raises("client.reports:each", "start", function() client.reports:each("x", { start = 1 }) end)
    raises("client.reports:search", "start", function() client.reports:search("x", { start = -1 }) end)
    for _, bad in ipairs { "L", {}, { "a/b" }, { 5 } } do
      raises("client.reports:attach", "label_ids", function() older.reports:attach("R", bad) end)
      raises("client.reports:detach", "label_ids", function() older.reports:detach("R", bad) end)
      raises("client.reports:copy", "label_ids", function() older.reports:copy("R", { label_ids = bad }) end)
      raises("client.reports:transfer", "ids", function() client.reports:transfer { ids = bad, to = "U" } end)
    end
    raises("client.reports:create", "report", function() older.reports:create "x" end)
    raises("client.reports:create", "report", function() older.reports:create { name = print } end)
    raises("client.reports:create", "report.dsName", function() older.reports:create { name = "x" } end)
    raises("client.reports:save", "report", function() older.reports:save("R") end)
    raises("client.reports:transfer", "to", function() client.reports:transfer { ids = { "x" } } end)
    raises("client.reports:transfer", "ids", function() client.reports:transfer { to = "U" } end)
    raises("client.reports:transfer", "ids", function() client.reports:transfer { to = "U", ids = { "x" }, names = { "y" } } end)
    raises("client.reports:set_settings", "emailDomains", function() older.reports:set_settings {} end)
    raises("client.reports:set_settings", "emailDomains", function() older.reports:set_settings { emailDomains = { a = 1 } } end)
    raises("client.reports:set_settings", "emailDomains", function() older.reports:set_settings { emailDomains = { 5 } } end)
  end)

  it("in data queries", function()
    local where = "client.queries:submit"
    raises(where, "fields", function() client.queries:submit() end)
    raises(where, "query", function() client.queries:submit {} end)
    raises(where, "query", function() client.queries:submit { query = "" } end)
    raises(where, "outputFormat", function() client.queries:submit { query = "q", outputFormat = "csv" } end)
    raises(where, "columnSeparator", function() client.queries:submit { query = "q", outputFormat = "DSV" } end)
    raises(where, "columnSeparator", function() client.queries:submit { query = "q", columnSeparator = ";" } end)
    raises(where, "output", function() client.queries:submit { query = "q", output = { print } } end)
    raises("client.queries:list", "status", function() client.queries:list { status = "done" } end)
    raises("client.queries:list", "page_size", function() client.queries:list { page_size = 1001 } end)
    raises("client.queries:download", "path", function() client.queries:download("x") end)
  end)

  it("in partners and projects", function()
    local where = "client.jobs:last"
    raises(where, "partner", function() client.jobs:last { project = "x" } end)
    raises(where, "project", function() client.jobs:last { partner = "x" } end)
    for _, bad in ipairs(BAD_SEGMENTS) do
      raises(where, "partner", function() client.jobs:last { partner = bad, project = "x" } end)
      raises(where, "project", function() client.jobs:last { partner = "x", project = bad } end)
    end
  end)

  it("in tasks and pauses", function()
    for _, bad in ipairs { 5, "x", {} } do
      raises("client:run", "f", function() client:run(bad) end)
      raises("client:run", "f", function() client:run(print, bad) end)
      raises("client:spawn", "f", function() client:spawn(bad) end)
    end
    for _, bad in ipairs { -1, "x", math.huge, 0 / 0 } do
      raises("client:sleep", "seconds", function() client:sleep(bad) end)
      raises("client:step", "seconds", function() client:step(bad) end)
    end
    raises("client:sleep", "seconds", function() client:sleep() end)
  end)

  it("in maps", function()
    for _, bad in ipairs { 5, "x", { 1, nil, 3 }, { [2] = "x" }, { 1, more = 2 }, { n = 0 } } do
      raises("client:map", "items", function() client:map(bad, print) end)
    end
    raises("client:map", "items", function() client:map(nil, print) end)
    for _, bad in ipairs { 5, "x", {} } do raises("client:map", "f", function() client:map({}, bad) end) end
    raises("client:map", "f", function() client:map({}) end)
    for _, bad in ipairs { 0, -1, 1.5, "2", true } do
      raises("client:map", "concurrency", function() client:map({}, print, { concurrency = bad }) end)
    end
    for _, bad in ipairs { "ignore", "", true, print } do
      raises("client:map", "on_error", function() client:map({}, print, { on_error = bad }) end)
    end
    raises("client:map", "concurency", function() client:map({}, print, { concurency = 2 }) end)
    raises("client:map", "options", function() client:map({}, print, 8) end)
  end)

  it("in text that is no UTF-8, and would be sent as JSON", function()
    local bad = "caf\xe9"
    local id = "ff808081529f4e3401529fd373730070"
    local definition = { name = bad, dsName = "d", datasource = "d", definition = "{}" }
    for _, case in ipairs {
      { "client.reportruns:start", "filters", function()
        client.reportruns:start(id, { view = "Detail", filters = { { filterClauses = { { value = bad } } } } })
      end },
      { "client.reportruns:list", "columns", function() client.reportruns:list { columns = { bad } } end },
      { "client.reportruns:list", "sort", function() client.reportruns:list { sort = { { field = bad } } } end },
      { "client.queries:submit", "query", function() client.queries:submit { query = bad } end },
      { "client.queries:submit", "output", function() client.queries:submit { query = "q", output = { target = bad } } end },
      { "client.reports:transfer", "names", function() client.reports:transfer { names = { bad }, to = id } end },
      { "client.reports:create", "report", function() older.reports:create(definition) end },
      { "client.reports:save", "report", function() older.reports:save(id, definition) end },
      { "client.reports:set_settings", "emailDomains", function() older.reports:set_settings { emailDomains = { bad } } end },
      { "client:request", "body", function() client:request { method = "POST", path = "/x", body = { a = { bad } } } end },
    } do
      raises(case[1], case[2], case[3])
    end
  end)

  it("in records whose id was tampered with", function()
    local broken = setmetatable({ id = "a/../b" }, debug.getmetatable(run))
    for _, verb in ipairs { "refresh", "wait", "cancel", "data" } do
      raises("run:" .. verb, "id", function() broken[verb](broken) end)
    end
    for name, held in pairs { job = job, query = query } do
      broken = setmetatable({ id = "a/../b" }, debug.getmetatable(held))
      for _, verb in ipairs { "refresh", "wait", "cancel" } do
        raises(name .. ":" .. verb, "id", function() broken[verb](broken) end)
      end
    end
    broken = setmetatable({ id = "a/../b" }, debug.getmetatable(report))
    for _, verb in ipairs { "details", "save", "copy", "delete", "labels" } do
      raises("report:" .. verb, "id", function() broken[verb](broken) end)
    end
    broken = setmetatable({ id = "x", name = print }, debug.getmetatable(report))
    raises("report:save", "report", function() broken:save() end)
  end)

  it("in methods that are given another object", function()
    assert.error_matches(function() run.refresh(job) end, "run:refresh was called without its object")
    assert.error_matches(function() job.wait {} end, "job:wait was called without its object")
    assert.error_matches(function() job.batch(nil, "x") end, "job:batch was called without its object")
  end)
end)
