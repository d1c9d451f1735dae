--- Data Query, as the simulator answers it: jobs of one select each, whose results lie in a bucket.

local content = require "zuora.simulator.engine.content"
local core = require "zuora.core"
local json = require "zuora.simulator.engine.json"
local packing = require "zuora.simulator.engine.packing"
local plans = require "zuora.simulator.engine.plans"
local progress = require "zuora.simulator.engine.progress"
local replies = require "zuora.simulator.http.replies"
local text = require "zuora.simulator.engine.text"

local USER = "6b6ec9d6-4b5e-4c7a-9a3a-2f0c5d1e8b47"

local LARGEST_PAGE, DEFAULT_PAGE = 1000, 20

local FORMATS = { JSON = "jsonl", CSV = "csv", TSV = "tsv", DSV = "dsv" }
local PACKED = { NONE = "", GZIP = ".gz", ZIP = ".zip" }
local MEDIA_TYPES = { GZIP = "application/x-gzip", ZIP = "application/zip" }
local STATUSES = { submitted = true, accepted = true, in_progress = true, completed = true, failed = true,
  cancelled = true }

local function refusal(status, code, message)
  return replies.json(status, { code = code, message = message })
end

local function unknown_job(id)
  return refusal(404, 1001, "Query job with id " .. id .. " was not found.")
end

-- --- what is accepted --------------------------------------------------------------------------------

local function fields_problem(fields)
  if type(fields) ~= "table" then return "The request body is not a JSON object." end
  if type(fields.query) ~= "string" or not fields.query:find "%S" then return "The field 'query' is required." end
  if not FORMATS[fields.outputFormat] then return "The field 'outputFormat' is one of JSON, CSV, TSV, DSV." end
  if not PACKED[fields.compression] then return "The field 'compression' is one of NONE, GZIP, ZIP." end
  if type(fields.output) ~= "table" or fields.output.target ~= "S3" then
    return "The field 'output' is required, with the target S3."
  end
  local separator = fields.columnSeparator
  if separator ~= nil and (type(separator) ~= "string" or separator == "" or separator:find '["\r\n]') then
    return "The field 'columnSeparator' is not valid."
  end
  if fields.sourceData ~= nil and fields.sourceData ~= "LIVE" and fields.sourceData ~= "WAREHOUSE" then
    return "The field 'sourceData' is one of LIVE, WAREHOUSE."
  end
  for _, name in ipairs { "readDeleted", "useIndexJoin" } do
    if fields[name] ~= nil and type(fields[name]) ~= "boolean" then
      return ("The field '%s' is true or false."):format(name)
    end
  end
  if fields.compression ~= "NONE" and not packing.available() then
    return "This simulator packs files with lua-zlib, which is not installed."
  end
  return nil
end

-- --- results -----------------------------------------------------------------------------------------

-- One object on a line, its keys in the order of the columns.
local function object_line(cells, names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = json.encode(name) .. ":" .. json.encode(cells[i]) end
  return "{" .. table.concat(parts, ",") .. "}\n"
end

-- The query begins: what it sees now is its result, whatever changes afterwards.
local function execute(tenant, job)
  local fields, plan, rows = job.fields, job.plan, 0
  local names = plans.header(plan, "sql")
  local is_json = fields.outputFormat == "JSON"
  local delimiter = ({ CSV = ",", TSV = "\t", DSV = fields.columnSeparator or "," })[fields.outputFormat]
  local whole = content.file(function(put)
    if not is_json then put(text.line(names, #names, delimiter)) end
    for cells in plans.rows(plan, 0, math.huge, is_json and core.null or "") do
      rows = rows + 1
      put(is_json and object_line(cells, names) or text.line(cells, #names, delimiter))
    end
  end)
  local ending = FORMATS[fields.outputFormat]
  if fields.compression == "GZIP" then whole = packing.gzip_content(whole) end
  if fields.compression == "ZIP" then whole = packing.zip_content(whole, job.id .. "." .. ending) end
  local media_type = MEDIA_TYPES[fields.compression] or is_json and "binary/octet-stream" or "text/csv"
  job.rows, job.file = rows, tenant.bucket:put(whole, media_type, ending .. PACKED[fields.compression])
end

-- --- jobs --------------------------------------------------------------------------------------------

-- An id with hyphens: here they are UUIDs.
local function uuid_of(id)
  return ("%s-%s-%s-%s-%s"):format(id:sub(1, 8), id:sub(9, 12), id:sub(13, 16), id:sub(17, 20), id:sub(21))
end

local function start(tenant, fields)
  local now = tenant:now()
  local job = { id = uuid_of(tenant:new_id()), fields = fields, plan = plans.new(tenant, fields.query, "sql"),
    created = now, updated = now }
  local outcome = tenant.query_outcome or "completed"
  if not job.plan or job.plan.problem then outcome = "failed" end
  job.progress = progress.new({ "accepted", "in_progress", outcome }, tenant, now)
  job.status = "accepted"
  tenant.queries.by_id[job.id] = job
  table.insert(tenant.queries, job)
  return job
end

local function show(tenant, job, status)
  if status ~= job.status then job.updated = tenant:now() end
  job.status = status
  if job.progress:began(2) and not job.file and status ~= "cancelled" and job.plan and not job.plan.problem then
    execute(tenant, job)
  end
end

-- Where stages last for seconds, jobs go on without being looked at.
local function settle(tenant, job)
  job.progress:pass(tenant:now())
  show(tenant, job, job.progress:stage())
end

local function stamp(seconds) return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(seconds)) end

local function problem_of(job)
  if not job.plan then return "line 1:1: mismatched input. The query cannot be read." end
  return job.plan.problem or "The query could not be executed."
end

local function fields_of(request, tenant, job)
  local given = job.fields
  local fields = {
    id = job.id, query = given.query, queryStatus = job.status, createdOn = stamp(job.created),
    updatedOn = stamp(job.updated), createdBy = USER, createdByUserEmail = tenant.username, remainingRetries = 3,
    retries = 3, useIndexJoin = given.useIndexJoin or false, sourceData = given.sourceData or "LIVE",
    processingTime = math.floor((job.updated - job.created) * 1000),
  }
  if job.status == "completed" then
    fields.outputRows, fields.dataFile = job.rows, tenant.bucket:link(request.origin, job.file)
  elseif job.status == "failed" then
    fields.errorCode, fields.errorMessage = "LINK_10000005", problem_of(job)
  end
  return fields
end

-- --- calls -------------------------------------------------------------------------------------------

local function submit(request, tenant)
  local fields = json.decode(request.body)
  local problem = fields_problem(fields)
  if problem then return refusal(400, 1003, problem) end
  return replies.json(200, { data = fields_of(request, tenant, start(tenant, fields)) })
end

local function list(request, tenant)
  local wanted, size = request.query.queryStatus, request.query.pageSize
  if wanted and not STATUSES[wanted] then return refusal(400, 1003, "The parameter 'queryStatus' is not valid.") end
  size = size == nil and DEFAULT_PAGE or math.tointeger(tonumber(size))
  if not size or size < 1 or size > LARGEST_PAGE then
    return refusal(400, 1003, "The parameter 'pageSize' is a number from 1 to 1000.")
  end
  local found = {}
  for i = #tenant.queries, 1, -1 do
    local job = tenant.queries[i]
    settle(tenant, job)
    if #found < size and (wanted or job.status) == job.status then
      found[#found + 1] = fields_of(request, tenant, job)
    end
  end
  return replies.json(200, { data = json.array(found) })
end

local function get(request, tenant, id)
  local job = tenant.queries.by_id[id]
  if not job then return unknown_job(id) end
  show(tenant, job, job.progress:look(tenant:now()))
  return replies.json(200, { data = fields_of(request, tenant, job) })
end

local function cancel(request, tenant, id)
  local job = tenant.queries.by_id[id]
  if not job then return unknown_job(id) end
  settle(tenant, job)
  if job.progress:is_over() then
    return refusal(400, 1003, ("The query job is %s: it cannot be cancelled."):format(job.status))
  end
  job.progress:finish("cancelled", tenant:now())
  show(tenant, job, "cancelled")
  return replies.json(200, { data = fields_of(request, tenant, job) })
end

return {
  { "POST", "", submit },
  { "GET", "", list },
  { "GET", "/([^/]+)", get },
  { "DELETE", "/([^/]+)", cancel },
}
