-- Each function of the public face sends exactly the request that Zuora documents: method, path, query, body
-- and headers, with no optional parameter and with all of them, on the REST hosts and on the older ones.

local core = require "zuora.core"
local support = require "spec.support"

local REST = { reporting = "/reporting/api/rest/v1", aqua = "/v1/batch-query", files = "/v1/files",
  queries = "/query/jobs", describe = "/v1/describe" }
local LEGACY = { reporting = "/api/rest/v1", aqua = "/apps/api/batch-query", files = "/apps/api/file",
  queries = "/query/jobs", describe = "/v1/describe" }

local FILE = support.scratch "requests" .. "/file"

local FILTERS = { { logicalOperator = { value = "AND" }, filterClauses = {
  { field = { id = "Account.Status", type = "Text" }, operator = "=", value = "Active" } } } }

local REPORT = { name = "n", dsName = "d", datasource = "s", definition = "{}" }

local IN_PROGRESS = "?status=STARTED&status=QUERYDATA&status=PROCESSINGDATA"
local SEARCH = { columns = { "reportId", "startedOn", "reportType", "createdByUserProfile.username", "status", " " },
  pagination = { currentPage = 1, pageSize = 250 },
  sort = { { field = "startedOn", direction = "desc", priority = 0 } } }

-- By operation: a call, what follows the base in its target, and its body (decoded).
local CASES = {
  ["reports.search"] = {
    { function(c) return c.reports:search "a b" end, "/reports/search?query=a%20b" },
    { function(c) return c.reports:search("x", { ascending = false }) end,
      "/reports/search?query=x&orderBy=%5B%7B%22field%22%3A%22updated_on%22%2C%22ascend%22%3A%22false%22%7D%5D" },
    { function(c) return c.reports:search("ü", { order_by = "updated_on", ascending = false, start = 50,
      namespace = "ADVANCED" }) end,
      "/reports/search?query=%C3%BC&orderBy=%5B%7B%22field%22%3A%22updated_on%22%2C%22ascend%22%3A%22false%22%7D%5D"
      .. "&searchStart=50&namespace=ADVANCED" },
  },
  ["reports.mine"] = { { function(c) return c.reports:mine() end, "/reports" } },
  ["reports.get"] = { { function(c) return c.reports:get "R-1" end, "/reports/report/R-1" } },
  ["reports.details"] = { { function(c) return c.reports:details "R-1" end, "/reports/R-1/report-details" } },
  ["reports.labelled"] = {
    { function(c) return c.reports:labelled "L1" end, "/reports/reportlabels/L1/report-details" },
    { function(c) return c.reports:labelled("L1", { page = 2, page_size = 5, order_by = "name" }) end,
      "/reports/reportlabels/L1/report-details?paging=%7B%22pageNo%22%3A2%2C%22pageSize%22%3A5%7D"
      .. "&orderBy=%5B%7B%22field%22%3A%22name%22%2C%22ascend%22%3A%22true%22%7D%5D" },
  },
  ["reports.labels"] = { { function(c) return c.reports:labels() end, "/reportlabels" } },
  ["reports.labels_of"] = { { function(c) return c.reports:labels_of "R" end, "/reports/R/reportlabels" } },
  ["reports.attach"] = {
    { function(c) return c.reports:attach("R", { "L1", "L2" }) end, "/reports/R/reportlabels", { "L1", "L2" } },
  },
  ["reports.detach"] = {
    { function(c) return c.reports:detach("R", { "L1" }) end, "/reports/R/reportlabels", { "L1" } },
  },
  ["reports.create"] = { { function(c) return c.reports:create(REPORT) end, "/reports", REPORT } },
  ["reports.save"] = { { function(c) return c.reports:save("R", { name = "m" }) end, "/reports/R", { name = "m" } } },
  ["reports.copy"] = {
    { function(c) return c.reports:copy "R" end, "/reports/copy?from=R" },
    { function(c) return c.reports:copy("R", { name = "a&b", label_ids = { "L1", "L2" } }) end,
      "/reports/copy?from=R&labelIds=L1%2CL2&name=a%26b" },
  },
  ["reports.delete"] = { { function(c) return c.reports:delete "R" end, "/reports/R" } },
  ["reports.transfer"] = {
    { function(c) return c.reports:transfer { ids = { "R" }, to = "U" } end, "/reports/transfer-ownership",
      { reportIds = { "R" }, newOwnerUserId = "U" } },
    { function(c) return c.reports:transfer { names = { "a b" }, to = "U" } end, "/reports/transfer-ownership",
      { reportNames = { "a b" }, newOwnerUserId = "U" } },
  },
  ["reports.settings"] = { { function(c) return c.reports:settings() end, "/settings" } },
  ["reports.set_settings"] = {
    { function(c) return c.reports:set_settings { emailDomains = { "a.example" } } end, "/settings",
      { emailDomains = { "a.example" } } },
  },

  ["reportruns.start"] = {
    { function(c) return c.reportruns:start("R", { view = "Detail" }) end, "/reports/R/reportrun?viewType=Detail" },
    { function(c) return c.reportruns:start("R", { view = "Summary", filters = FILTERS }) end,
      "/reports/R/reportrun?viewType=Summary", FILTERS },
  },
  ["reportruns.get"] = { { function(c) return c.reportruns:get "r" end, "/reportruns/r" } },
  ["reportruns.cancel"] = { { function(c) return c.reportruns:cancel "r" end, "/reportruns/r" } },
  ["reportruns.list"] = {
    { function(c) return c.reportruns:list() end, "/reportruns" .. IN_PROGRESS, SEARCH },
    { function(c) return c.reportruns:list { status = { "ERROR" }, columns = { "status" }, page = 3, page_size = 9,
      sort = { { field = "id" } } } end, "/reportruns?status=ERROR",
      { columns = { "status" }, pagination = { currentPage = 3, pageSize = 9 }, sort = { { field = "id" } } } },
  },
  ["reportruns.last"] = { { function(c) return c.reportruns:last "R" end, "/reports/R/reportruns/latest" } },
  ["reportruns.data"] = {
    { function(c) return c.reportruns:data "r" end, "/reportruns/reportdata/r?offset=1&pageSize=200" },
    { function(c) return c.reportruns:data("r", { offset = 7, page_size = 3 }) end,
      "/reportruns/reportdata/r?offset=7&pageSize=3" },
  },
  ["reportruns.export"] = {
    { function(c) return c.reportruns:export("r", FILE) end, "/reportruns/export/r?pivoted=false" },
    { function(c) return c.reportruns:export("r", FILE, { pivoted = true }) end,
      "/reportruns/export/r?pivoted=true" },
  },

  ["jobs.submit"] = {
    { function(c) return c.jobs:submit { queries = { A = "select Id from Account" } } end, "",
      { format = "csv", version = "1.0", queries = { { name = "A", query = "select Id from Account", type = "zoqlexport" } } } },
    { function(c) return c.jobs:submit { queries = { { name = "A", query = "select Id from Account", type = "zoql",
      apiVersion = 96.0, convertToCurrencies = { "EUR", "GBP" },
      deleted = { column = "gone", format = "Boolean", forceExport = true } } },
      format = "GZIP", version = 1.2, name = "n", encrypted = "pgp", partner = "p", project = "q", useQueryLabels = true,
      dateTimeUtc = false, nullReplacement = "", notifyUrl = "https://x.example/?j=${JOBID}&s=${STATUS}",
      incrementalTime = "2015-01-21 10:30:01", offset = 3600, useLastCompletedJobQueries = true, sourceData = "LIVE",
      warehouseSize = "xsmall" } end, "",
      { queries = { { name = "A", query = "select Id from Account", type = "zoql", apiVersion = "96.0",
        convertToCurrencies = "EUR,GBP", deleted = { column = "gone", format = "Boolean", forceExport = true } } },
        format = "gzip", version = "1.2", name = "n", encrypted = "pgp", partner = "p", project = "q", useQueryLabels = true,
        dateTimeUtc = false, nullReplacement = "", notifyUrl = "https://x.example/?j=${JOBID}&s=${STATUS}",
        incrementalTime = "2015-01-21 10:30:01", offset = 3600, useLastCompletedJobQueries = true, sourceData = "LIVE",
        warehouseSize = "xsmall" } },
    { function(c) return c.jobs:submit { partner = "p", project = "q" } end, "",
      { format = "csv", version = "1.1", partner = "p", project = "q" } },
  },
  ["jobs.get"] = { { function(c) return c.jobs:get "j" end, "/jobs/j" } },
  ["jobs.last"] = {
    { function(c) return c.jobs:last { partner = "a b", project = "c/d" } end, "/jobs/partner/a%20b/project/c%2Fd" },
  },
  ["jobs.cancel"] = { { function(c) return c.jobs:cancel "j" end, "/jobs/j" } },

  ["files.get"] = { { function(c) return c.files:download("f", FILE) end, "/f" } },
  ["files.status"] = { { function(c) return c.files:status "f" end, "/f/status" } },

  ["queries.submit"] = {
    { function(c) return c.queries:submit { query = "select 1" } end, "",
      { query = "select 1", outputFormat = "CSV", compression = "NONE", output = { target = "S3" } } },
    { function(c) return c.queries:submit { query = "select 1", outputFormat = "DSV", compression = "GZIP",
      output = { target = "S3" }, columnSeparator = ";", encryptionKey = "k", readDeleted = true, useIndexJoin = false,
      sourceData = "LIVE", warehouseSize = "xsmall" } end, "",
      { query = "select 1", outputFormat = "DSV", compression = "GZIP", output = { target = "S3" },
        columnSeparator = ";", encryptionKey = "k", readDeleted = true, useIndexJoin = false, sourceData = "LIVE",
        warehouseSize = "xsmall" } },
  },
  ["queries.list"] = {
    { function(c) return c.queries:list() end, "" },
    { function(c) return c.queries:list { status = "failed", page_size = 1000 } end, "?queryStatus=failed&pageSize=1000" },
  },
  ["queries.get"] = { { function(c) return c.queries:get "j" end, "/j" } },
  ["queries.cancel"] = { { function(c) return c.queries:cancel "j" end, "/j" } },

  ["describe.objects"] = { { function(c) return c.describe:objects() end, "" } },
  ["describe.object"] = { { function(c) return c.describe:object "Account" end, "/Account" } },
}

describe("the request of", function()
  local sim, clients

  setup(function()
    sim = support.simulator()
    clients = {
      rest = support.client(sim, { retries = 0 }),
      legacy = support.client(sim, { retries = 0, legacy = true, username = sim.username, password = sim.password }),
    }
    clients.rest.reportruns:get "x" -- the token
  end)
  teardown(function()
    clients.rest:close()
    clients.legacy:close()
    sim:stop()
  end)

  -- What the one call sent. What the simulator makes of it is no matter here.
  local function sent(client, call)
    sim:forget()
    pcall(call, client)
    local journal = sim:journal()
    assert.equal(1, #journal)
    return journal[1]
  end

  local function check_headers(operation, request, body)
    local headers = request.headers
    assert.equal(not operation.safe, headers["idempotency-key"] ~= nil)
    if operation.result == "json" then assert.equal("application/json", headers.accept) end
    if operation.result == "xml" then assert.equal("text/xml, application/xml", headers.accept) end
    assert.equal(body and "application/json" or nil, headers["content-type"])
    assert.is_nil(headers.expect)
  end

  -- Where an operation goes on these hosts; nil: it is not documented for them.
  local function base_of(operation, family)
    local has_two = REST[operation.base] ~= LEGACY[operation.base]
    if has_two and operation.hosts ~= "both" and operation.hosts ~= family then return nil end
    return (family == "rest" and REST or LEGACY)[operation.base]
  end

  for group, operations in pairs(core.operations) do
    for name, operation in pairs(operations) do
      local id = group .. "." .. name
      for _, family in ipairs { "rest", "legacy" } do
        local base = group ~= "oauth" and base_of(operation, family)
        if base then
          it(id .. " on the " .. family .. " hosts", function()
            assert.is_table(CASES[id], "there is no case for " .. id)
            for _, case in ipairs(CASES[id]) do
              local call, target, body = table.unpack(case)
              local request = sent(clients[family], call)
              assert.equal(operation.method, request.method)
              assert.equal(base .. target, request.target)
              assert.same(body, request.body ~= "" and core.decode(request.body) or nil)
              check_headers(operation, request, body)
            end
          end)
        elseif group ~= "oauth" then
          it(id .. " on the " .. family .. " hosts, where there is none", function()
            sim:forget()
            local ok, message = pcall(CASES[id][1][1], clients[family])
            assert.is_false(ok)
            assert.matches("^%.?/?spec/requests_spec%.lua:%d+: client%." .. group .. ":" .. name .. ": Zuora documents this for the "
              .. (family == "rest" and "legacy Reporting hosts only: zuora%.new { legacy = true }"
              or "REST hosts only: zuora%.new { legacy = false }"), message)
            assert.equal(0, #sim:journal())
          end)
        end
      end
    end
  end

  it("every operation is sent with every parameter that it has", function()
    for id, cases in pairs(CASES) do
      local group, name = id:match "^(%w+)%.([%w_]+)$"
      for _, parameter in ipairs(core.operations[group][name].parameters) do
        local found = parameter.location == "path"
        for _, case in ipairs(cases) do
          local body = case[3] or {}
          found = found or (case[2]:find("[?&]" .. parameter.name .. "=") or body[parameter.name] ~= nil
            or parameter.name == "body" and case[3]) and true
        end
        assert.is_true(found, id .. ": " .. parameter.name)
      end
    end
  end)

  it("an operation of the older hosts goes out to a base URL that was given by itself", function()
    local client <close> = support.client(sim, { reporting_url = sim.url .. "/my/reports" })
    client.reportruns:get "x" -- the token
    local request = sent(client, function(c) return c.reports:mine() end)
    assert.equal("/my/reports/reports", request.target)
  end)

  it("an operation of a REST host needs one", function()
    local client <close> = require "zuora".new { token = "t", reporting_url = sim.url, aqua_url = sim.url,
      files_url = sim.url }
    for where, call in pairs {
      ["client.queries:list"] = function() client.queries:list() end,
      ["client.describe:objects"] = function() client.describe:objects() end,
      ["client:request"] = function() client:request { path = "/v1/x" } end,
    } do
      assert.error_matches(call, "^" .. where:gsub("%p", "%%%0")
        .. " needs a REST host: give zuora%.new an environment, or base_url")
    end
  end)
end)
