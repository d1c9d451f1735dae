-- spec/openapi.json describes both APIs in our own words. Here it is held against the table of operations,
-- both ways, and against what the simulator answers.

local core = require "zuora.core"
local samples = require "zuora.simulator.http.samples"
local support = require "spec.support"

local document = assert(core.decode(support.read "spec/openapi.json"))

-- operationId -> { path, method, … }
local described = {}
for path, methods in pairs(document.paths) do
  for method, operation in pairs(methods) do
    operation.path, operation.method = path, method:upper()
    described[operation.operationId] = operation
  end
end

local function schema_of(schema)
  local name = schema["$ref"] and schema["$ref"]:match "([^/]+)$"
  return name and document.components.schemas[name] or schema
end

local TYPES = {
  string = function(v) return type(v) == "string" end,
  boolean = function(v) return type(v) == "boolean" end,
  number = function(v) return type(v) == "number" end,
  integer = function(v) return math.type(v) == "integer" end,
  object = function(v) return type(v) == "table" and #v == 0 end,
  array = function(v) return type(v) == "table" and (#v > 0 or next(v) == nil) end,
}

-- What is wrong with a value, by the part of JSON Schema that the document uses; nil: nothing.
local function problem_of(value, schema, place)
  schema = schema_of(schema)
  if not TYPES[schema.type](value) then return place .. " is no " .. schema.type end
  if schema.enum then
    local found = false
    for _, one in ipairs(schema.enum) do found = found or one == value end
    if not found then return place .. " is none of those that it may be: " .. tostring(value) end
  end
  for _, name in ipairs(schema.required or {}) do
    if value[name] == nil then return place .. "." .. name .. " is missing" end
  end
  for name, part in pairs(schema.properties or {}) do
    local problem = value[name] ~= nil and problem_of(value[name], part, place .. "." .. name)
    if problem then return problem end
  end
  for i, item in ipairs(schema.items and value or {}) do
    local problem = problem_of(item, schema.items, place .. "[" .. i .. "]")
    if problem then return problem end
  end
  return nil
end

local function answer_schema(id)
  return described[id].responses["200"].content["application/json"].schema
end

describe("the description of the APIs", function()
  -- The path of an operation in today's family of paths.
  local BASES = { oauth = "/oauth/token", reporting = "/reporting/api/rest/v1", aqua = "/v1/batch-query",
    files = "/v1/files", queries = "/query/jobs", describe = "/v1/describe" }

  local function parameters_described(operation)
    local found = {}
    for _, parameter in ipairs(operation.parameters or {}) do
      found[parameter.name] = { location = parameter["in"], required = parameter.required,
        repeated = parameter.schema.type == "array",
        type = parameter.schema.enum and table.concat(parameter.schema.enum, "|") or parameter.schema.type }
    end
    local body = operation.requestBody and operation.requestBody.content
    local form = body and body["application/x-www-form-urlencoded"]
    local fields = form or body and body["application/json"]
    local schema = fields and fields.schema
    return found, schema, form ~= nil
  end

  it("has every operation of the core, with its method, path and parameters", function()
    for group, operations in pairs(core.operations) do
      for name, operation in pairs(operations) do
        local one = described[group .. "." .. name]
        assert.is_table(one, group .. "." .. name)
        assert.equal(operation.method, one.method)
        assert.equal(BASES[operation.base] .. operation.path, one.path)
        local found, schema, form = parameters_described(one)
        for _, parameter in ipairs(operation.parameters) do
          local where = group .. "." .. name .. ":" .. parameter.name
          if parameter.location == "body" and parameter.name ~= "body" then
            assert.is_table(schema.properties[parameter.name], where)
            local required = false
            for _, field in ipairs(schema.required or {}) do required = required or field == parameter.name end
            assert.equal(parameter.required, required, where)
          elseif parameter.location == "body" then
            assert.is_table(schema, where)
            assert.is_false(form)
          else
            local it = found[parameter.name]
            assert.is_table(it, where)
            assert.equal(parameter.location, it.location, where)
            assert.equal(parameter.required, it.required, where)
            assert.equal(parameter.repeated, it.repeated, where)
            local type_of = { id = "string", text = "string", integer = "integer", boolean = "boolean" }
            if not parameter.repeated then assert.equal(type_of[parameter.type] or parameter.type, it.type, where) end
          end
        end
      end
    end
  end)

  it("has no operation, parameter or field that the core has not", function()
    for id, one in pairs(described) do
      local group, name = id:match "^(%w+)%.([%w_]+)$"
      local operation = core.operations[group] and core.operations[group][name]
      assert.is_table(operation, id)
      local known = {}
      for _, parameter in ipairs(operation.parameters) do known[parameter.name] = true end
      local found, schema = parameters_described(one)
      for parameter in pairs(found) do assert.is_true(known[parameter], id .. ":" .. parameter) end
      if operation.body ~= "json" then
        for field in pairs(schema and schema.properties or {}) do assert.is_true(known[field], id .. ":" .. field) end
      end
      local media_type = { file = "text/csv", json = "application/json", xml = "text/xml" }
      assert.is_table(one.responses["200"].content[media_type[operation.result]], id)
    end
  end)

  it("fits the documents' own samples", function()
    for id, names in pairs { ["oauth.token"] = { "token" }, ["reportruns.start"] = { "run_started" },
      ["reportruns.get"] = { "report_run" }, ["reportruns.cancel"] = { "run_cancelled", "run_cancelled_before" },
      ["jobs.get"] = { "job", "job_segmented" }, ["jobs.last"] = { "last_job", "last_job_segmented" } } do
      for _, name in ipairs(names) do
        assert.is_nil(problem_of(core.decode(samples[name]), answer_schema(id), name))
      end
    end
  end)

  it("is met by every answer of the simulator, at every stage", function()
    local sim <close> = support.simulator { segment_rows = 2 }
    local session = core.session {}
    local seen = {}
    local bases = {}
    for base, path in pairs(BASES) do bases[base] = sim.url .. path end
    local connection = core.endpoints { session = session, bases = bases }
    -- The older hosts answer to more.
    local older = core.endpoints { session = session, bases = { reporting = sim.url .. "/api/rest/v1" } }
    older:headers("reporting", { apiAccessKeyId = sim.username, apiSecretAccessKey = sim.password })

    local function call(group, name, parameters)
      local on = core.operations[group][name].hosts == "legacy" and older or connection
      local response = assert(support.finish(session, assert(core[group][name](on, parameters))))
      local id = group .. "." .. name
      assert.equal(200, response.status, id)
      seen[id] = true
      local result = core.operations[group][name].result
      if result ~= "json" then
        assert.matches(result == "file" and "^text/csv" or "^text/xml", response.headers["content-type"])
        return response.body
      end
      local value = core.decode(response.body)
      assert.is_nil(problem_of(value, answer_schema(id), id))
      return value.response or value
    end

    local token = call("oauth", "token", { client_id = sim.client_id, client_secret = sim.client_secret,
      grant_type = "client_credentials" })
    for base in pairs(BASES) do connection:headers(base, { Authorization = "Bearer " .. token.access_token }) end

    local run = call("reportruns", "start", { reportId = support.REPORT, viewType = "Detail" }).reportRunId
    local listed = { status = { "STARTED" }, body = { columns = { "status" }, pagination = { currentPage = 1 } } }
    call("reportruns", "list", listed)
    for _ = 1, 4 do call("reportruns", "get", { id = run }) end
    call("reportruns", "list", listed)
    call("reportruns", "last", { reportId = support.REPORT })
    call("reportruns", "data", { id = run, offset = 1, pageSize = 2 })
    call("reportruns", "data", { id = run, offset = 99, pageSize = 2 })
    call("reportruns", "export", { id = run, pivoted = false })
    call("reportruns", "cancel", { id = run })

    local fields = { partner = "p", project = "q", version = "1.1", name = "n",
      queries = { { name = "a", query = "select Id from Account" }, { query = "select Nothing from Account" } } }
    local broken = call("jobs", "submit", fields).id
    for _ = 1, 3 do call("jobs", "get", { id = broken }) end
    fields.queries[2].query = "select Name from Account"
    local job = call("jobs", "submit", fields)
    for _ = 1, 3 do job = call("jobs", "get", { id = job.id }) end
    assert.equal(2, #job.batches[1].segments)
    call("jobs", "last", { partner = "p", project = "q" })
    call("files", "get", { id = job.batches[1].segments[1] })
    call("jobs", "cancel", { id = call("jobs", "submit", fields).id })
    call("files", "status", { id = job.batches[1].segments[1] })

    local query = { query = "select Name from Account", outputFormat = "CSV", compression = "NONE",
      output = { target = "S3" } }
    local query_job = call("queries", "submit", query).data.id
    for _ = 1, 4 do call("queries", "get", { id = query_job }) end
    call("queries", "list", { queryStatus = "completed", pageSize = 5 })
    call("queries", "cancel", { id = call("queries", "submit", query).data.id })

    call("describe", "objects", {})
    call("describe", "object", { name = "Account" })

    local report = call("reports", "search", { query = "accounts" }).reports[1]
    call("reports", "transfer", { reportIds = { report.id }, newOwnerUserId = "U2" })
    call("reports", "mine", {})
    call("reports", "get", { id = report.id })
    call("reports", "details", { id = report.id })
    local label = call("reports", "labels", {})[1].id
    call("reports", "attach", { id = report.id, body = { label } })
    call("reports", "labels_of", { id = report.id })
    call("reports", "labelled", { labelId = label })
    call("reports", "detach", { id = report.id, body = { label } })
    local made = call("reports", "create", { body = { name = "n", dsName = "d", datasource = "s", definition = "{}" } })
    call("reports", "save", { id = made.id, body = { name = "m" } })
    call("reports", "delete", { id = call("reports", "copy", { from = made.id }).id })
    call("reports", "settings", {})
    call("reports", "set_settings", { body = { emailDomains = { "a.example" } } })

    for id in pairs(described) do assert.is_true(seen[id], id) end
    session:close()
  end)
end)
