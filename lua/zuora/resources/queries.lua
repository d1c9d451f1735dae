--- client.queries: Data Query, the neighbour of AQuA: SQL over a tenant's data.
--
-- Its result lies in a store of somebody else's: the link to it carries its own signature, and is shown
-- none of our credentials.

local ascii = require "zuora.support.ascii"
local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local error_value = require "zuora.error"
local hosts = require "zuora.caller.hosts"
local record = require "zuora.resources.record"
local rows = require "zuora.rows"
local wait = require "zuora.tasks.wait"

local operations = core.operations.queries

local queries = {}

---@class zuora.Queries
local Queries = {}

---@class zuora.QueryJob
local QueryJob = {}

local options_of = {
  submit = check.rules(call.keyed_options, { query = "string!", outputFormat = "CSV|TSV|DSV|JSON",
    compression = "NONE|GZIP|ZIP", output = "table", columnSeparator = "string", encryptionKey = "text",
    readDeleted = "boolean", useIndexJoin = "boolean", sourceData = "LIVE", warehouseSize = "text" }),
  list = check.rules(call.options, { status = "submitted|accepted|in_progress|completed|failed|cancelled",
    page_size = "positive" }),
  wait = check.rules(call.options, wait.options),
  download = check.rules(call.file_options, { verify = "boolean", resume = "boolean", strict = "boolean",
    outputFormat = "CSV|TSV|DSV|JSON" }),
  rows = check.rules(call.file_options, rows.options, { verify = "boolean", outputFormat = "CSV|TSV|DSV|JSON" }),
}

-- What only the submit knows of a job, and needs to be known of its result: { format, separator, encrypted }
local submitted = setmetatable({}, { __mode = "k" })

local DEFAULTS = { outputFormat = "CSV", compression = "NONE", output = { target = "S3" } }

-- --- what is shared ----------------------------------------------------------------------------------

-- A job as the API describes it, or what is wrong with it: it must be the one that was asked for.
local function job_fields(body, job_id)
  local fields = type(body) == "table" and body.data
  if type(fields) ~= "table" or not check.is(fields.id, "id") then
    return nil, "the answer about the query job has no 'data' with an 'id'"
  end
  if job_id and fields.id ~= job_id then
    return nil, ("the answer is about query job %s, not %s"):format(fields.id, job_id)
  end
  if type(fields.queryStatus) ~= "string" then
    return nil, ("the answer about query job %s has no 'queryStatus'"):format(fields.id)
  end
  return fields
end

local function job_call(parts, operation, parameters, options, job_id)
  return parts.caller:json(operation, parameters, options, function(body) return job_fields(body, job_id) end)
end

local function job_get(parts, job_id, options)
  return job_call(parts, operations.get, { id = job_id }, options, job_id)
end

local function job_cancel(parts, job_id, options)
  return parts.caller:cancel(operations, job_id, options, function(body) return job_fields(body, job_id) end)
end

local function job_new(parts, fields, err)
  if not fields then return nil, err end
  return setmetatable(fields, parts.job)
end

-- nil while pending; then the verdict, and the words for it.
local function judge(job)
  local status = record.status(job.queryStatus)
  if status == "completed" then return "completed" end
  if status == "cancelled" then return "cancelled", "was cancelled" end
  if status ~= "failed" then return nil end
  return "failed", "failed" .. (type(job.errorMessage) == "string" and ": " .. job.errorMessage or "")
end

-- Takes over what the API says of a job now.
local function job_update(job, fields, err)
  if not fields then return nil, err end
  return record.replace(job, fields)
end

local function job_wait(parts, job, job_id, options)
  return parts.caller:wait({
    what = "query job " .. job_id,
    judge = judge,
    last = job,
    status = "queryStatus",
    look = function(look_options) return job_update(job, job_get(parts, job_id, look_options)) end,
  }, options)
end

-- The link to a result, as an operation of its own. Plain http only where the base URL says so, too.
local function link_operation(parts, job)
  local url = job.dataFile
  local wanted = parts.caller.bases.queries:match "^http:" and "^https?://[^/]" or "^https://[^/]"
  if type(url) ~= "string" or not ascii.lower(url):match(wanted) or url:find "[\0-\32\127]" then return nil end
  return { group = "queries", name = "result", url = url, hosts = "both", safe = true, result = "file",
    send = core.request }
end

-- The format of the result: as the caller says, as the job says, as it was submitted, or as the link's name ends;
-- else what it is when nothing is said.
local function format_of(job, options)
  local own = type(job.outputFormat) == "string" and ascii.upper(job.outputFormat) or nil
  local path = job.dataFile:match "^[^?#]*"
  local ending = ascii.upper(path:match "%.([A-Za-z]+)%.[A-Za-z]+$" or path:match "%.([A-Za-z]+)$" or "")
  local by_name = ({ CSV = "CSV", TSV = "TSV", DSV = "DSV", JSON = "JSON", JSONL = "JSON" })[ending]
  return options.outputFormat or own or (submitted[job] or {}).format or by_name or DEFAULTS.outputFormat
end

-- Why this result cannot be read as rows; nil: it can.
local function rows_problem(job, format)
  local known = submitted[job] or {}
  if known.encrypted then return "is encrypted" end
  if format == "JSON" then return "is JSON" end
  if format == "DSV" and known.separator ~= "," and known.separator ~= "\t" then
    return "has separators that are neither commas nor tabs"
  end
  return nil
end

-- Only of these the records can be told by reading lines.
local function is_countable(job, format)
  return (format == "CSV" or format == "TSV") and not (submitted[job] or {}).encrypted
end

-- What every download of a result refuses: the store's error pages. Its answers have no better type for
-- JSON than for anything else.
local REFUSED = "text/html application/xml text/xml"

-- A link is good for a time: one that is refused may be too old.
local function is_stale(err)
  return err.status == 403 or err.status == 400 and err.code == "ExpiredToken"
end

local function job_failure(job, kind, words)
  return error_value.new { kind = kind, record = job, message = ("query job %s %s"):format(job.id, words) }
end

-- One try at the job's file, by the link that the job has now.
local function fetch(parts, job, path, options)
  local operation = link_operation(parts, job)
  if not operation then return nil, job_failure(job, "api", "has no usable link to its result") end
  local format = format_of(job, options)
  local problem = not path and rows_problem(job, format)
  if problem then return nil, job_failure(job, "text", "has a result that is not rows: it " .. problem) end
  local countable = is_countable(job, format)
  return parts.caller:file(operation, options, { what = "query job " .. job.id, path = path, refuse = REFUSED,
    parts = { { url = operation.url } }, uncounted = not countable,
    identity = hosts.authority(operation.url) .. " " .. job.id,
    expected = countable and options.verify ~= false and math.tointeger(tonumber(job.outputRows)) or nil })
end

-- The job's file, to a path or (without one) as rows. A link lives for hours, a record may be older: the
-- job is looked at first, and once more when the link is refused.
local function job_file(parts, job, path, options)
  local result, err, nothing, it
  options = parts.caller:shared(options)
  for _ = 1, 2 do
    local known, problem = job_update(job, job_get(parts, job.id, options))
    if not known then return nil, problem end
    if judge(job) ~= "completed" then
      return nil, job_failure(job, "failed", "has no result, it is " .. job.queryStatus)
    end
    result, err, nothing, it = fetch(parts, job, path, options)
    if result or not is_stale(err) then break end
  end
  return result, err, nothing, it
end

-- --- client.queries ----------------------------------------------------------------------------------

--- Submits a query. POST /query/jobs
---@param fields table query, and by their wire names outputFormat ("CSV"; TSV, DSV, JSON), compression ("NONE"; GZIP,
--- ZIP), columnSeparator (for DSV), encryptionKey, readDeleted, useIndexJoin; and the per-call options
---@return zuora.QueryJob|nil job, zuora.Error|nil err
function Queries:submit(fields)
  local where = "client.queries:submit"
  local parts = record.parts(self, Queries, where)
  check.value(where, "fields", fields, "table")
  fields = check.options(where, fields, options_of.submit)
  parts.caller:check_offered(where, operations.submit)
  local sent = {}
  for _, parameter in ipairs(operations.submit.parameters) do
    local name = parameter.name
    sent[name] = fields[name]
    if sent[name] == nil then sent[name] = DEFAULTS[name] end
  end
  if (sent.outputFormat == "DSV") ~= (sent.columnSeparator ~= nil) then
    check.fail(where, "columnSeparator", "goes with outputFormat = \"DSV\", which needs one")
  end
  check.value(where, "output", sent.output, "json")
  local job, err = job_new(parts, job_call(parts, operations.submit, sent, fields))
  if not job then return nil, err end
  submitted[job] = { format = sent.outputFormat, separator = sent.columnSeparator,
    encrypted = sent.encryptionKey ~= nil }
  return job
end

--- A query job as it is now. GET /query/jobs/{id}
---@param job_id string
---@param options table|nil per-call options
---@return zuora.QueryJob|nil job, zuora.Error|nil err
function Queries:get(job_id, options)
  local where = "client.queries:get"
  local parts = record.parts(self, Queries, where)
  check.value(where, "job_id", job_id, "id")
  options = check.options(where, options, call.options)
  parts.caller:check_offered(where, operations.get)
  return job_new(parts, job_get(parts, job_id, options))
end

--- The newest query jobs. GET /query/jobs
---@param options { status: string|nil, page_size: integer|nil }|nil page_size: 20 by Zuora's choice, at most 1000;
--- and the per-call options
---@return zuora.QueryJob[]|nil jobs, zuora.Error|nil err
function Queries:list(options)
  local where = "client.queries:list"
  local parts = record.parts(self, Queries, where)
  options = check.options(where, options, options_of.list)
  if (options.page_size or 1) > 1000 then check.fail(where, "page_size", "at most 1000") end
  parts.caller:check_offered(where, operations.list)
  local parameters = { queryStatus = options.status, pageSize = options.page_size }
  return parts.caller:json(operations.list, parameters, options, function(body)
    local list = type(body) == "table" and body.data
    if type(list) ~= "table" or #list == 0 and next(list) then return nil, "the answer has no list of query jobs" end
    for _, fields in ipairs(list) do
      local sound, problem = job_fields { data = fields }
      if not sound then return nil, problem end
      setmetatable(fields, parts.job)
    end
    return list
  end)
end

--- Cancels a query job that is accepted or in progress. DELETE /query/jobs/{id}
---@param job_id string
---@param options table|nil per-call options
---@return zuora.QueryJob|nil job, zuora.Error|nil err
function Queries:cancel(job_id, options)
  local where = "client.queries:cancel"
  local parts = record.parts(self, Queries, where)
  check.value(where, "job_id", job_id, "id")
  options = check.options(where, options, call.options)
  parts.caller:check_offered(where, operations.cancel)
  return job_new(parts, job_cancel(parts, job_id, options))
end

--- Looks at a query job until it has settled. GET /query/jobs/{id}, again and again
---@param job_id string
---@param options table|nil as for client.jobs:wait
---@return zuora.QueryJob|nil job
---@return zuora.Error|nil err kind `failed`, `cancelled` (with err.record), `timeout`, `stopped` …
function Queries:wait(job_id, options)
  local where = "client.queries:wait"
  local parts = record.parts(self, Queries, where)
  check.value(where, "job_id", job_id, "id")
  options = check.options(where, options, options_of.wait)
  parts.caller:check_offered(where, operations.get)
  return job_wait(parts, job_new(parts, { id = job_id }), job_id, options)
end

--- Fetches the result of a completed query job. GET /query/jobs/{id}, and its link
---@param job_id string
---@param path string replaced when all has been received, and left alone otherwise
---@param options table|nil verify = false: whatever outputRows says (of CSV and TSV that is not encrypted);
--- outputFormat: what the job was submitted with, where neither the record nor the link's name says so ("CSV");
--- resume, strict, on_progress: as for batch:download; and the per-call options
---@return { path: string, bytes: integer, records: integer|nil }|nil written, zuora.Error|nil err
function Queries:download(job_id, path, options)
  local where = "client.queries:download"
  local parts = record.parts(self, Queries, where)
  check.value(where, "job_id", job_id, "id")
  check.value(where, "path", path, "line")
  options = check.options(where, options, options_of.download)
  parts.caller:check_offered(where, operations.get)
  return job_file(parts, job_new(parts, { id = job_id }), path, options)
end

--- Fetches the result (CSV or TSV, plain or gzip) whole, and reads it as rows. GET /query/jobs/{id}, and its link
---@param job_id string
---@param options table|nil form, columns, types, null, strict (see zuora.rows), verify, outputFormat, and the
--- per-call options
---@return function|nil it, zuora.Error|nil err
function Queries:rows(job_id, options)
  local where = "client.queries:rows"
  local parts = record.parts(self, Queries, where)
  check.value(where, "job_id", job_id, "id")
  options = check.options(where, options, options_of.rows)
  rows.check(where, options)
  parts.caller:check_offered(where, operations.get)
  return job_file(parts, job_new(parts, { id = job_id }), nil, options)
end

-- --- the record --------------------------------------------------------------------------------------

--- Asks for the job's present state, and takes it over. GET /query/jobs/{id}
---@param options table|nil per-call options
---@return zuora.QueryJob|nil self, zuora.Error|nil err
function QueryJob:refresh(options)
  local where = "query:refresh"
  local parts = record.parts(self, QueryJob, where)
  check.value(where, "id", self.id, "id")
  return job_update(self, job_get(parts, self.id, check.options(where, options, call.options)))
end

--- Looks until the job has settled; a job that is known to be completed is not looked at again.
---@param options table|nil see client.jobs:wait
---@return zuora.QueryJob|nil self, zuora.Error|nil err
function QueryJob:wait(options)
  local where = "query:wait"
  local parts = record.parts(self, QueryJob, where)
  check.value(where, "id", self.id, "id")
  options = check.options(where, options, options_of.wait)
  if judge(self) == "completed" then return self end
  return job_wait(parts, self, self.id, options)
end

--- Cancels the job, and takes over what Zuora says of it then. DELETE /query/jobs/{id}
---@param options table|nil per-call options
---@return zuora.QueryJob|nil self, zuora.Error|nil err
function QueryJob:cancel(options)
  local where = "query:cancel"
  local parts = record.parts(self, QueryJob, where)
  check.value(where, "id", self.id, "id")
  return job_update(self, job_cancel(parts, self.id, check.options(where, options, call.options)))
end

--- Fetches the result; see client.queries:download.
---@param path string
---@param options table|nil
---@return { path: string, bytes: integer, records: integer|nil }|nil written, zuora.Error|nil err
function QueryJob:download(path, options)
  local where = "query:download"
  local parts = record.parts(self, QueryJob, where)
  check.value(where, "id", self.id, "id")
  check.value(where, "path", path, "line")
  return job_file(parts, self, path, check.options(where, options, options_of.download))
end

--- The result as rows; see client.queries:rows.
---@param options table|nil
---@return function|nil it, zuora.Error|nil err
function QueryJob:rows(options)
  local where = "query:rows"
  local parts = record.parts(self, QueryJob, where)
  check.value(where, "id", self.id, "id")
  options = check.options(where, options, options_of.rows)
  rows.check(where, options)
  return job_file(parts, self, nil, options)
end

---@param caller table
---@return zuora.Queries
function queries.new(caller)
  local job = record.kind("zuora.QueryJob", QueryJob, { caller = caller })
  return setmetatable({}, record.kind("zuora.Queries", Queries, { caller = caller, job = job }))
end

return queries
