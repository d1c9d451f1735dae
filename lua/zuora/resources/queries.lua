--- client.queries: Data Query, the neighbour of AQuA: SQL over a tenant's data.
--
-- Its result lies in a store of somebody else's: the link to it carries its own signature, and is shown
-- none of our credentials.

local ascii = require "zuora.support.ascii"
local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local entrance = require "zuora.resources.entrance"
local error_value = require "zuora.error"
local hosts = require "zuora.caller.hosts"
local lifecycle = require "zuora.resources.lifecycle"
local record = require "zuora.resources.record"
local rows = require "zuora.rows"
local wait = require "zuora.tasks.wait"

local operations = core.operations.queries

local queries = {}

---@class zuora.Queries
local Queries = {}

---@class zuora.QueryJob
local QueryJob = {}

-- --- what the methods take ---------------------------------------------------------------------------

local SUBMIT = check.rules(call.keyed_options, {
  query = "string!", outputFormat = "CSV|TSV|DSV|JSON", compression = "NONE|GZIP|ZIP",
  output = "json_table", columnSeparator = "string", encryptionKey = "text", readDeleted = "boolean",
  useIndexJoin = "boolean", sourceData = "LIVE", warehouseSize = "text" })
local RESULT = check.rules(call.file_options, { verify = "boolean", outputFormat = SUBMIT.outputFormat })

local function check_submit(where, _, fields)
  check.options(where, fields, SUBMIT)
  if (fields.outputFormat == "DSV") ~= (fields.columnSeparator ~= nil) then
    check.fail(where, "columnSeparator", "goes with outputFormat = \"DSV\", which needs one")
  end
end

local function check_list(where, options)
  if (options.page_size or 1) > 1000 then check.fail(where, "page_size", "at most 1000") end
end

local METHODS = {
  submit = { operations.submit, "fields:table", check = check_submit },
  get = { operations.get, "job_id" },
  list = { operations.list, check = check_list,
    options = { status = "submitted|accepted|in_progress|completed|failed|cancelled", page_size = "positive" } },
  cancel = { operations.cancel, "job_id" },
  wait = { operations.get, "job_id", options = wait.options },
  download = { operations.get, "job_id", "path:line",
    options = check.rules(RESULT, { resume = "boolean", strict = "boolean" }) },
  rows = { operations.get, "job_id", options = check.rules(RESULT, rows.options), check = rows.check },
}
METHODS.refresh = METHODS.get
local enter = entrance.collection(Queries, "client.queries", METHODS)
local enter_job = entrance.record(QueryJob, "query", METHODS)

-- What only the submit knows of a job, and needs to be known of its result: { format, compression, separator,
-- encrypted }
local submitted = setmetatable({}, { __mode = "k" })

local DEFAULTS = { outputFormat = "CSV", compression = "NONE", output = { target = "S3" } }

-- --- what is shared ----------------------------------------------------------------------------------

-- A job as the API describes it, or what is wrong with it: it must be the one that was asked for.
local function read(body, wanted)
  local fields = type(body) == "table" and body.data
  if type(fields) ~= "table" or not check.is(fields.id, "id") then
    return nil, "the answer about the query job has no 'data' with an 'id'"
  end
  if wanted.id and fields.id ~= wanted.id then
    return nil, ("the answer is about query job %s, not %s"):format(fields.id, wanted.id)
  end
  if type(fields.queryStatus) ~= "string" then
    return nil, ("the answer about query job %s has no 'queryStatus'"):format(fields.id)
  end
  return fields
end

local life = lifecycle.new {
  noun = "query job", operations = operations, api = "json", read = read, replace = record.replace,
  status = "queryStatus",
  outcomes = {
    completed = { "completed" },
    cancelled = { "cancelled", "was cancelled" },
    failed = { "failed", "failed" },
  },
  details = function(job) return type(job.errorMessage) == "string" and job.errorMessage or nil end,
}

-- The link to a result, as an operation of its own. Plain http only where the base URL says so, too.
local function link_operation(context, job)
  local url = job.dataFile
  local wanted = context.caller.bases.queries:match "^http:" and "^https?://[^/]" or "^https://[^/]"
  if type(url) ~= "string" or not ascii.lower(url):match(wanted) or url:find "[\0-\32\127]" then return nil end
  return { group = "queries", name = "result", url = url, hosts = "both", safe = true, result = "file",
    send = core.request }
end

-- As the link's name ends, in upper case: "CSV", and before that "GZ".
local function endings(job)
  local path = job.dataFile:match "^[^?#]*"
  local inner, last = path:match "%.([A-Za-z]+)%.([A-Za-z]+)$"
  last = last or path:match "%.([A-Za-z]+)$" or ""
  return ascii.upper(inner or last), ascii.upper(last)
end

local FORMATS = { CSV = true, TSV = true, DSV = true, JSON = true }
local BY_NAME = { CSV = "CSV", TSV = "TSV", DSV = "DSV", JSON = "JSON", JSONL = "JSON" }

-- The format of the result: as the caller says, as it was submitted, as the job says, or as the link's name ends; else
-- what it is when nothing is said. Nil, and why: what the job says is not to be believed.
local function format_of(job, options)
  local own, asked = job.outputFormat, (submitted[job] or {}).format
  own = type(own) == "string" and ascii.upper(own) or own
  if options.outputFormat then return options.outputFormat end
  if own ~= nil and (asked and own ~= asked or not FORMATS[own]) then
    local contrary = asked and ", and was submitted for " .. asked or ""
    return nil, ("says that its format is %s%s"):format(tostring(own), contrary)
  end
  return asked or own or BY_NAME[(endings(job))] or DEFAULTS.outputFormat
end

-- Only where it was asked for a result is a zip archive.
local function may_be_zip(job)
  local compression = (submitted[job] or job).compression
  return compression == nil or compression == "ZIP" or select(2, endings(job)) == "ZIP"
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
local function fetch(context, job, path, options)
  local operation = link_operation(context, job)
  if not operation then return nil, job_failure(job, "api", "has no usable link to its result") end
  local format, problem = format_of(job, options)
  if not format then return nil, job_failure(job, "incomplete", problem) end
  problem = not path and rows_problem(job, format)
  if problem then return nil, job_failure(job, "text", "has a result that is not rows: it " .. problem) end
  local countable, expected = is_countable(job, format), nil
  if countable and options.verify ~= false then
    expected, problem = record.count(job.outputRows)
    if problem then
      return nil, job_failure(job, "incomplete", "has an outputRows that is no number of records: " .. problem)
    end
  end
  return context.caller:file(operation, options, { label = "query job " .. job.id, path = path, refuse = REFUSED,
    segments = { { url = operation.url } }, uncounted = not countable, zipped = may_be_zip(job),
    identity = hosts.authority(operation.url) .. " " .. job.id, expected = expected })
end

-- The job's file, to a path or (without one) as rows. A link lives for hours, a record may be older: the
-- job is asked for first, and once more when the link is refused.
local function download(context, job_id, path, options, job)
  local result, err, nothing, it
  options = context.caller:shared(options)
  for _ = 1, 2 do
    job, err = life:get(context, job_id, options, job)
    if not job then return nil, err end
    if life:verdict(job) ~= "completed" then
      return context.caller:shown(nil, job_failure(job, "failed", "has no result, it is " .. job.queryStatus))
    end
    result, err, nothing, it = fetch(context, job, path, options)
    if result or not is_stale(err) then break end
  end
  return context.caller:shown(result, err, nothing, it)
end

local function download_rows(context, job_id, options, job) return download(context, job_id, nil, options, job) end

-- --- client.queries ----------------------------------------------------------------------------------

--- Submits a query. POST /query/jobs
---@param fields zuora.QuerySubmit query, and by their wire names outputFormat ("CSV"; TSV, DSV, JSON), compression
--- ("NONE"; GZIP, ZIP), columnSeparator (for DSV), encryptionKey, readDeleted, useIndexJoin; and the per-call options
---@param options zuora.CreateOptions|nil which go before those in fields
---@return zuora.QueryJob|nil job, zuora.Error|nil err
function Queries:submit(fields, options)
  local context
  context, fields, options = enter(self, "submit", fields, options)
  local sent = {}
  for _, parameter in ipairs(operations.submit.parameters) do
    local name = parameter.name
    sent[name] = fields[name]
    if sent[name] == nil then sent[name] = DEFAULTS[name] end
  end
  local job, err = life:call(context, operations.submit, sent, check.rules(fields, options))
  if not job then return nil, err end
  submitted[job] = { format = sent.outputFormat, compression = sent.compression, separator = sent.columnSeparator,
    encrypted = sent.encryptionKey ~= nil }
  return job
end

--- A query job as it is now. GET /query/jobs/{id}
---@param job_id string
---@param options zuora.CallOptions|nil
---@return zuora.QueryJob|nil job, zuora.Error|nil err
function Queries:get(job_id, options) return life:get(enter(self, "get", job_id, options)) end

--- The newest query jobs. GET /query/jobs
---@param options zuora.QueryListOptions|nil page_size: 20 by Zuora's choice, at most 1000
--- and the per-call options
---@return zuora.QueryJob[]|nil jobs, zuora.Error|nil err
function Queries:list(options)
  local context
  context, options = enter(self, "list", options)
  local parameters = { queryStatus = options.status, pageSize = options.page_size }
  return context.caller:json(operations.list, parameters, options, function(body)
    local list = type(body) == "table" and body.data
    if type(list) ~= "table" or #list == 0 and next(list) then return nil, "the answer has no list of query jobs" end
    for _, fields in ipairs(list) do
      local sound, problem = read({ data = fields }, {})
      if not sound then return nil, problem end
      setmetatable(fields, context.record)
    end
    return list
  end)
end

--- Cancels a query job that is accepted or in progress. DELETE /query/jobs/{id}
---@param job_id string
---@param options zuora.CallOptions|nil
---@return zuora.QueryJob|nil job, zuora.Error|nil err
function Queries:cancel(job_id, options) return life:cancel(enter(self, "cancel", job_id, options)) end

--- Polls a query job until it has settled. GET /query/jobs/{id}, again and again
---@param job_id string
---@param options zuora.WaitOptions|nil as for client.jobs:wait
---@return zuora.QueryJob|nil job
---@return zuora.Error|nil err kind `failed`, `cancelled` (with err.record), `timeout`, `stopped` …
function Queries:wait(job_id, options) return life:wait(enter(self, "wait", job_id, options)) end

--- Fetches the result of a completed query job. GET /query/jobs/{id}, and its link
---@param job_id string
---@param path string replaced when all has been received, and left alone otherwise
---@param options zuora.QueryDownloadOptions|nil verify = false: whatever outputRows says (of CSV and TSV that is not
--- encrypted) outputFormat: what the job was submitted with, where neither the record nor the link's name says so
--- ("CSV"); resume, strict, on_progress: as for batch:download; and the per-call options
---@return zuora.Written|nil written, zuora.Error|nil err
function Queries:download(job_id, path, options) return download(enter(self, "download", job_id, path, options)) end

--- Fetches the result (CSV or TSV, plain or gzip) whole, and reads it as rows. GET /query/jobs/{id}, and its link
---@param job_id string
---@param options zuora.QueryRowOptions|nil form, columns, types, null, strict (see zuora.rows), verify, outputFormat,
--- and the per-call options
---@return zuora.Rows|nil it, zuora.Error|nil err
function Queries:rows(job_id, options) return download_rows(enter(self, "rows", job_id, options)) end

-- --- the record --------------------------------------------------------------------------------------

--- Asks for the job's present state, and takes it over. GET /query/jobs/{id}
---@param options zuora.CallOptions|nil
---@return zuora.QueryJob|nil self, zuora.Error|nil err
function QueryJob:refresh(options) return life:get(enter_job(self, "refresh", options)) end

--- Polls until the job has settled; a job that is known to be completed is not asked for again.
---@param options zuora.WaitOptions|nil see client.jobs:wait
---@return zuora.QueryJob|nil self, zuora.Error|nil err
function QueryJob:wait(options) return life:wait(enter_job(self, "wait", options)) end

--- Cancels the job, and takes over what Zuora says of it then. DELETE /query/jobs/{id}
---@param options zuora.CallOptions|nil
---@return zuora.QueryJob|nil self, zuora.Error|nil err
function QueryJob:cancel(options) return life:cancel(enter_job(self, "cancel", options)) end

--- Fetches the result; see client.queries:download.
---@param path string
---@param options zuora.QueryDownloadOptions|nil
---@return zuora.Written|nil written, zuora.Error|nil err
function QueryJob:download(path, options) return download(enter_job(self, "download", path, options)) end

--- The result as rows; see client.queries:rows.
---@param options zuora.QueryRowOptions|nil
---@return zuora.Rows|nil it, zuora.Error|nil err
function QueryJob:rows(options) return download_rows(enter_job(self, "rows", options)) end

---@param caller table
---@return zuora.Queries
function queries.new(caller)
  local job = record.metatable("zuora.QueryJob", QueryJob, { caller = caller })
  return setmetatable({}, record.metatable("zuora.Queries", Queries, { caller = caller, record = job }))
end

return queries
