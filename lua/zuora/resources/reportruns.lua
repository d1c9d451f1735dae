--- client.reportruns: report runs of the Reporting API, and the records that stand for them.

local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local entrance = require "zuora.resources.entrance"
local error_value = require "zuora.error"
local lifecycle = require "zuora.resources.lifecycle"
local pages = require "zuora.resources.pages"
local record = require "zuora.resources.record"
local rows = require "zuora.rows"
local wait = require "zuora.tasks.wait"

local operations = core.operations.reportruns

local reportruns = {}

---@class zuora.ReportRuns
local ReportRuns = {}

---@class zuora.ReportRun
local ReportRun = {}

local IN_PROGRESS = { "STARTED", "QUERYDATA", "PROCESSINGDATA" }

-- As the document on cancelling has it, repaired: the blank column is Zuora's.
local COLUMNS = { "reportId", "startedOn", "reportType", "createdByUserProfile.username", "status", " " }
local PAGE = 250
local NEWEST_FIRST = { { field = "startedOn", direction = "desc", priority = 0 } }

-- --- what the methods take ---------------------------------------------------------------------------

local START = { view = "Detail|Summary!", filters = "json_table" }
local DOWNLOAD = { pivoted = "boolean", raw = "boolean", verify = "boolean", strict = "boolean" }
local EACH = { status = "text*", columns = "string*", sort = "json_table*", page_size = "positive" }

local METHODS = {
  start = { operations.start, "report_id", options = START },
  get = { operations.get, "run_id" },
  cancel = { operations.cancel, "run_id" },
  list = { operations.list, options = check.rules(EACH, { page = "positive" }) },
  each = { operations.list, options = EACH },
  last = { operations.last, "report_id" },
  data = { operations.data, "run_id", options = { offset = "count", page_size = "positive" } },
  pages = { operations.data, "run_id", options = { page_size = "positive" } },
  download = { operations.export, "run_id", "path:line", options = DOWNLOAD },
  rows = { operations.export, "run_id", check = rows.check,
    options = check.rules(rows.options, { pivoted = "boolean", verify = "boolean" }) },
  wait = { operations.get, "run_id", options = wait.options },
}
METHODS.refresh = METHODS.get
local enter = entrance.collection(ReportRuns, "client.reportruns", METHODS)
local enter_run = entrance.record(ReportRun, "run", METHODS)

--- The options of reportruns.fetch, for check.options.
reportruns.fetch_options = check.rules(call.keyed_options, call.file_options, START, wait.options, DOWNLOAD)

-- --- what is shared ----------------------------------------------------------------------------------

-- A run as the API describes it, or what is wrong with it: it must be the one that was asked for.
local function read(fields, wanted)
  if type(fields) ~= "table" then return nil, "the answer describes no report run" end
  if type(fields.status) ~= "string" then
    return nil, ("the answer about report run %s has no 'status'"):format(wanted.id or "?")
  end
  local id = fields.id or wanted.id
  if not check.is(id, "id") then return nil, "the answer about a report run has no 'id'" end
  if wanted.id and id ~= wanted.id then
    return nil, ("the answer is about report run %s, not %s"):format(id, wanted.id)
  end
  fields.id = id
  return fields
end

local life = lifecycle.new {
  noun = "report run", operations = operations, api = "reporting", read = read, status = "status",
  cancelled_in_words = true,
  replace = function(run, fields) return record.replace(run, fields, "reportRunId") end,
  outcomes = {
    completed = { "completed" },
    cancelled = { "cancelled", "was cancelled" },
    invalid = { "failed", "is invalid: Zuora refuses the report's definition or its data" },
    error = { "failed", "ended with an error" },
  },
}

local function is_list(value)
  return type(value) == "table" and (#value > 0 or next(value) == nil)
end

local function data_of(context, run_id, options)
  local parameters = { id = run_id, offset = options.offset or 1, pageSize = options.page_size or 200 }
  return context.caller:reporting(operations.data, parameters, options, function(response)
    if type(response) ~= "table" or not is_list(response.page) then
      return nil, ("the data of report run %s has no 'page'"):format(run_id)
    end
    local _, problem = record.count(response.total)
    if problem then
      return nil, ("the data of report run %s has a total that is no number of records: %s"):format(run_id, problem)
    end
    return response
  end)
end

-- The pages of report data one after another: the next begins behind the rows that have come. An error is
-- raised, since a nil would look like the end.
local function pages_of(context, run_id, options)
  local offset, received, over = 1, 0, false
  return function()
    if over then return nil end
    local data, err = data_of(context, run_id, check.rules(options, { offset = offset }))
    if not data then error(err, 0) end
    local count, total = #data.page, record.count(data.total)
    offset, received = offset + count, received + count
    over = count == 0 or received >= (total or math.huge)
    if count == 0 and total and received < total then
      pages.fail_short("the data of report run " .. run_id, received, total)
    end
    return count > 0 and data or nil
  end
end

-- The export, to a path or (without one) as rows. With `verify = true` its records are held against
-- what report data says that there are.
local function export(context, run_id, path, options)
  local target = { label = "report run " .. run_id, path = path, headed = true, export = path and not options.raw,
    segments = { { id = run_id, pivoted = options.pivoted or false } } }
  options = context.caller:shared(options)
  if options.verify then
    local data, err = data_of(context, run_id, check.rules(options, { page_size = 1 }))
    if not data then return nil, err end
    target.expected = record.count(data.total)
    if not target.expected then
      return nil, error_value.new { kind = "incomplete",
        message = ("the data of report run %s does not say how many records there are"):format(run_id) }
    end
  end
  return context.caller:file(operations.export, options, target)
end

local function export_rows(context, run_id, options) return export(context, run_id, nil, options) end

local function start(context, report_id, options)
  local filters = options.filters
  if filters and next(filters) == nil then filters = "[]" end -- no filters, in place of the report's own
  local parameters = { reportId = report_id, viewType = options.view, body = filters }
  return context.caller:reporting(operations.start, parameters, options, function(response)
    local run_id = type(response) == "table" and (response.reportRunId or response.id)
    if not check.is(run_id, "id") then
      return nil, "the answer to the start of report " .. report_id .. " has no 'reportRunId'"
    end
    response.id = run_id
    response.reportId = response.reportId or report_id
    response.reportType = response.reportType or options.view
    return setmetatable(response, context.record)
  end)
end

-- --- client.reportruns -------------------------------------------------------------------------------

--- Starts a run of a report. POST /reports/{report_id}/reportrun
---@param report_id string
---@param options zuora.ReportRunStartOptions `filters` is Zuora's JSON array of filter
--- groups, and takes the place of the report's own ({}: of all of them); besides, the per-call options
--- (track_id, entity_id, idempotency_key, timeout, total_timeout, retries)
---@return zuora.ReportRun|nil run with id, reportRunId, reportId, reportType
---@return zuora.Error|nil err
function ReportRuns:start(report_id, options) return start(enter(self, "start", report_id, options)) end

--- A run as it is now. GET /reportruns/{run_id}
---@param run_id string
---@param options zuora.CallOptions|nil
---@return zuora.ReportRun|nil run, zuora.Error|nil err
function ReportRuns:get(run_id, options) return life:get(enter(self, "get", run_id, options)) end

--- Cancels a run. DELETE /reportruns/{run_id}
---@param run_id string
---@param options zuora.CallOptions|nil
---@return true|nil done
---@return string|zuora.Error|nil message Zuora's words, or the error
function ReportRuns:cancel(run_id, options)
  local context
  context, run_id, options = enter(self, "cancel", run_id, options)
  return context.caller:done(operations.cancel, { id = run_id }, options)
end

-- The list is undocumented but for "the id of each": it is the answer itself, or the one list in it whose
-- items have one; an empty one when there is no other. Next to it there may be how many there are in all.
local function find_list(response)
  if is_list(response) then return response end
  local found, empty, several
  for _, value in pairs(type(response) == "table" and response or {}) do
    if is_list(value) then
      if #value == 0 then
        several, empty = several or empty ~= nil, value
      elseif type(value[1]) == "table" and value[1].id ~= nil then
        if found then return nil end
        found = value
      end
    end
  end
  if not found and several then return nil end
  found = found or empty
  if not found then return nil end
  return found, pages.total(response.totalCount or response.total or response.count)
end

local function list_page(context, page, options)
  local pagination = { currentPage = page, pageSize = options.page_size or PAGE }
  local parameters = { status = options.status or IN_PROGRESS,
    body = { columns = options.columns or COLUMNS, pagination = pagination, sort = options.sort or NEWEST_FIRST } }
  local total
  local list, err = context.caller:reporting(operations.list, parameters, options, function(response)
    local runs
    runs, total = find_list(response)
    if not runs then return nil, "the answer to the search for report runs has no list of runs" end
    for i, run in ipairs(runs) do
      if type(run) ~= "table" or not check.is(run.id, "id") then
        return nil, "the list of report runs holds something without an 'id'"
      end
      runs[i] = setmetatable(run, context.record)
    end
    return runs
  end)
  if not list then return nil, err end
  return list, total
end

--- Searches runs. POST /reportruns?status=…
---@param options zuora.ReportRunListOptions|nil status: string[] (by default the three in progress), columns:
--- string[], page: integer (1), page_size: integer (250), sort: table (the newest first); and the per-call options
---@return zuora.ReportRun[]|nil runs
---@return integer|zuora.Error|nil total how many there are in all, where Zuora says so; or the error
function ReportRuns:list(options)
  local context
  context, options = enter(self, "list", options)
  return list_page(context, options.page or 1, options)
end

--- The same, page after page: `for run in client.reportruns:each { status = { "COMPLETED" } } do … end`
---@param options zuora.ReportRunEachOptions|nil as for list, without page
---@return fun(): zuora.ReportRun|nil iterator raises an error value when a page cannot be had
function ReportRuns:each(options)
  local context
  context, options = enter(self, "each", options)
  return pages.each("the search for report runs", options.page_size or PAGE, function(_, page)
    return list_page(context, page, options)
  end)
end

--- The last completed run of a report by this user. GET /reports/{report_id}/reportruns/latest
---@param report_id string
---@param options zuora.CallOptions|nil
---@return zuora.ReportRun|nil run, zuora.Error|nil err
function ReportRuns:last(report_id, options)
  local context
  context, report_id, options = enter(self, "last", report_id, options)
  return life:call(context, operations.last, { reportId = report_id }, options)
end

--- A page of a run's rows, as formatted text. GET /reportruns/reportdata/{run_id}
---@param run_id string
---@param options zuora.ReportRunDataOptions|nil records to skip (1, the header, by
--- default) and how many to return (200)
---@return zuora.ReportData|nil data, zuora.Error|nil err
function ReportRuns:data(run_id, options) return data_of(enter(self, "data", run_id, options)) end

--- All pages of a run's rows: `for data in client.reportruns:pages(id) do … data.page … end`
---@param run_id string
---@param options zuora.ReportRunPagesOptions|nil records on each (200)
---@return fun(): zuora.ReportData|nil pages raises an error value when a page cannot be had
function ReportRuns:pages(run_id, options) return pages_of(enter(self, "pages", run_id, options)) end

--- Writes a run's result into a file: UTF-8, comma-separated. GET /reportruns/export/{run_id}
---@param run_id string
---@param path string replaced when all has been received, and left alone otherwise
---@param options zuora.ReportRunDownloadOptions|nil raw: the
--- server's bytes (UTF-16, tabs); verify: hold the number of records against the total that report data names (one
--- more call); strict = false: pad, keep or replace what is not as it should be (see zuora.rows)
---@return zuora.Written|nil written, zuora.Error|nil err
function ReportRuns:download(run_id, path, options) return export(enter(self, "download", run_id, path, options)) end

-- Zuora's word for it.
ReportRuns.export = ReportRuns.download

--- The export read as rows, once all of it is here. GET /reportruns/export/{run_id}
---@param run_id string
---@param options zuora.ReportRunRowOptions|nil form, columns, types, null, strict (see zuora.rows), pivoted, verify
---@return zuora.Rows|nil it, zuora.Error|nil err
function ReportRuns:rows(run_id, options) return export_rows(enter(self, "rows", run_id, options)) end

--- Polls a run until it has settled. GET /reportruns/{run_id}, again and again
---@param run_id string
---@param options zuora.WaitOptions|nil timeout (900 s, the whole wait), min 1, max 20, factor 1.5, jitter, on_poll
--- request_timeout (s, for one poll)
---@return zuora.ReportRun|nil run
---@return zuora.Error|nil err kind `failed`, `cancelled` (with err.record), `timeout`, `stopped` …
function ReportRuns:wait(run_id, options) return life:wait(enter(self, "wait", run_id, options)) end

-- --- the record --------------------------------------------------------------------------------------

--- Asks for the run's present state, and takes it over. GET /reportruns/{id}
---@param options zuora.CallOptions|nil
---@return zuora.ReportRun|nil self, zuora.Error|nil err
function ReportRun:refresh(options) return life:get(enter_run(self, "refresh", options)) end

--- Polls until the run has settled; see client.reportruns:wait. Completed is final: a run that is known to
--- be completed is not asked for again.
---@param options zuora.WaitOptions|nil
---@return zuora.ReportRun|nil self, zuora.Error|nil err
function ReportRun:wait(options) return life:wait(enter_run(self, "wait", options)) end

--- Cancels the run, and takes over what it is then. DELETE /reportruns/{id}, and GET
---@param options zuora.CallOptions|nil
---@return zuora.ReportRun|nil self
---@return string|zuora.Error|nil message Zuora's words, or the error
function ReportRun:cancel(options) return life:cancel(enter_run(self, "cancel", options)) end

--- The run's result as rows; see client.reportruns:rows.
---@param options zuora.ReportRunRowOptions|nil
---@return zuora.Rows|nil it, zuora.Error|nil err
function ReportRun:rows(options) return export_rows(enter_run(self, "rows", options)) end

--- Writes the run's result into a file; see client.reportruns:download.
---@param path string
---@param options zuora.ReportRunDownloadOptions|nil
---@return zuora.Written|nil written, zuora.Error|nil err
function ReportRun:download(path, options) return export(enter_run(self, "download", path, options)) end

-- Zuora's word for it.
ReportRun.export = ReportRun.download

--- All pages of the run's rows; see client.reportruns:pages.
---@param options zuora.ReportRunPagesOptions|nil
---@return fun(): zuora.ReportData|nil pages
function ReportRun:pages(options) return pages_of(enter_run(self, "pages", options)) end

--- A page of the run's rows; see client.reportruns:data.
---@param options zuora.ReportRunDataOptions|nil
---@return zuora.ReportData|nil data, zuora.Error|nil err
function ReportRun:data(options) return data_of(enter_run(self, "data", options)) end

--- Runs a report, waits for the run and downloads its result; see client.reports:fetch.
---@param runs zuora.ReportRuns
---@param path string
---@param options table the user's
---@param find fun(request_options: table): string|nil, zuora.Error|nil gives the id of the report
---@return table|nil written, zuora.Error|nil err
function reportruns.fetch(runs, path, options, find)
  local context = record.context(runs, ReportRuns, "client.reports:fetch")
  return life:fetch(context, options, function(request_options)
    local report_id, err = find(request_options)
    if not report_id then return nil, err end
    return start(context, report_id, request_options)
  end, function(run, request_options) return export(context, run.id, path, request_options) end)
end

---@param caller table
---@return zuora.ReportRuns
function reportruns.new(caller)
  local run = record.metatable("zuora.ReportRun", ReportRun, { caller = caller })
  return setmetatable({}, record.metatable("zuora.ReportRuns", ReportRuns, { caller = caller, record = run }))
end

return reportruns
