--- client.reportruns: report runs of the Reporting API, and the records that stand for them.

local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
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

local options_of = {
  start = check.rules(call.keyed_options, { view = "Detail|Summary!", filters = "table" }),
  one = call.options,
  list = check.rules(call.options, { status = "list", columns = "list", sort = "list", page = "positive",
    page_size = "positive" }),
  each = check.rules(call.options, { status = "list", columns = "list", sort = "list", page_size = "positive" }),
  pages = check.rules(call.options, { page_size = "positive" }),
  data = check.rules(call.options, { offset = "count", page_size = "positive" }),
  download = check.rules(call.file_options, { pivoted = "boolean", raw = "boolean", verify = "boolean",
    strict = "boolean" }),
  rows = check.rules(call.file_options, rows.options, { pivoted = "boolean", verify = "boolean" }),
  wait = check.rules(call.options, wait.options),
}

-- --- what is shared ----------------------------------------------------------------------------------

local function run_new(parts, fields)
  return setmetatable(fields, parts.run)
end

-- A run as the API describes it, or what is wrong with it: it must be the one that was asked for.
local function run_fields(fields, run_id)
  if type(fields) ~= "table" then return nil, "the answer describes no report run" end
  if type(fields.status) ~= "string" then
    return nil, ("the answer about report run %s has no 'status'"):format(run_id or "?")
  end
  local id = fields.id or run_id
  if not check.is(id, "id") then return nil, "the answer about a report run has no 'id'" end
  if run_id and id ~= run_id then return nil, ("the answer is about report run %s, not %s"):format(id, run_id) end
  fields.id = id
  return fields
end

local function run_get(parts, run_id, options)
  return parts.caller:reporting(operations.get, { id = run_id }, options, function(response)
    return run_fields(response, run_id)
  end)
end

-- nil while pending; then the verdict, and the words for it.
local function judge(run)
  local status = record.status(run.status)
  if status == "completed" then return "completed" end
  if status == "cancelled" then return "cancelled", "was cancelled" end
  if status == "invalid" then return "failed", "is invalid: Zuora refuses the report's definition or its data" end
  if status == "error" then return "failed", "ended with an error" end
  return nil
end

local function run_refresh(parts, run, run_id, options)
  local fields, err = run_get(parts, run_id, options)
  if not fields then return nil, err end
  return record.replace(run, fields, "reportRunId")
end

local function run_wait(parts, run, run_id, options)
  return parts.caller:wait({
    what = "report run " .. run_id,
    judge = judge,
    last = run,
    look = function(look_options) return run_refresh(parts, run, run_id, look_options) end,
  }, options)
end

local function run_data(parts, run_id, options)
  local parameters = { id = run_id, offset = options.offset or 1, pageSize = options.page_size or 200 }
  return parts.caller:reporting(operations.data, parameters, options, function(response)
    if type(response) ~= "table" or type(response.page) ~= "table" then
      return nil, ("the data of report run %s has no 'page'"):format(run_id)
    end
    return response
  end)
end

-- The pages of report data one after another: the next begins behind the rows that have come. An error is
-- raised, since a nil would look like the end.
local function run_pages(parts, run_id, options)
  local offset, received, over = 1, 0, false
  return function()
    if over then return nil end
    local data, err = run_data(parts, run_id, check.rules(options, { offset = offset }))
    if not data then error(err, 0) end
    local count, total = #data.page, tonumber(data.total)
    offset, received = offset + count, received + count
    over = count == 0 or received >= (total or math.huge)
    if count == 0 and total and received < total then
      pages.fail_short("the data of report run " .. run_id, received, math.tointeger(total) or total)
    end
    return count > 0 and data or nil
  end
end

-- The export, to a path or (without one) as rows. With `verify = true` its records are held against
-- what report data says that there are.
local function run_export(parts, run_id, path, options)
  local target = { what = "report run " .. run_id, path = path, export = path and not options.raw,
    parts = { { id = run_id, pivoted = options.pivoted or false } } }
  options = parts.caller:shared(options)
  if options.verify then
    local data, err = run_data(parts, run_id, check.rules(options, { page_size = 1 }))
    if not data then return nil, err end
    target.expected = math.tointeger(tonumber(data.total))
  end
  return parts.caller:file(operations.export, options, target)
end

local function run_start(parts, report_id, options)
  local filters = options.filters
  if filters and next(filters) == nil then filters = "[]" end -- no filters, in place of the report's own
  local parameters = { reportId = report_id, viewType = options.view, body = filters }
  return parts.caller:reporting(operations.start, parameters, options, function(response)
    local run_id = type(response) == "table" and (response.reportRunId or response.id)
    if not check.is(run_id, "id") then
      return nil, "the answer to the start of report " .. report_id .. " has no 'reportRunId'"
    end
    response.id = run_id
    response.reportId = response.reportId or report_id
    response.reportType = response.reportType or options.view
    return run_new(parts, response)
  end)
end

-- Whatever a success says besides, the run is cancelled.
local function run_cancel(parts, run_id, options)
  return parts.caller:done(operations.cancel, { id = run_id }, options)
end

-- --- client.reportruns -------------------------------------------------------------------------------

--- Starts a run of a report. POST /reports/{report_id}/reportrun
---@param report_id string
---@param options { view: "Detail"|"Summary", filters: table|nil } `filters` is Zuora's JSON array of filter
--- groups, and takes the place of the report's own ({}: of all of them); besides, the per-call options
--- (track_id, entity_id, idempotency_key, timeout, total_timeout, retries)
---@return zuora.ReportRun|nil run with id, reportRunId, reportId, reportType
---@return zuora.Error|nil err
function ReportRuns:start(report_id, options)
  local where = "client.reportruns:start"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "report_id", report_id, "id")
  options = check.options(where, options, options_of.start)
  check.value(where, "filters", options.filters, "json")
  return run_start(parts, report_id, options)
end

--- A run as it is now. GET /reportruns/{run_id}
---@param run_id string
---@param options table|nil per-call options
---@return zuora.ReportRun|nil run, zuora.Error|nil err
function ReportRuns:get(run_id, options)
  local where = "client.reportruns:get"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "run_id", run_id, "id")
  options = check.options(where, options, options_of.one)
  local fields, err = run_get(parts, run_id, options)
  if not fields then return nil, err end
  return run_new(parts, fields)
end

--- Cancels a run. DELETE /reportruns/{run_id}
---@param run_id string
---@param options table|nil per-call options
---@return true|nil done
---@return string|zuora.Error|nil message Zuora's words, or the error
function ReportRuns:cancel(run_id, options)
  local where = "client.reportruns:cancel"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "run_id", run_id, "id")
  return run_cancel(parts, run_id, check.options(where, options, options_of.one))
end

local function is_list(value)
  return type(value) == "table" and (#value > 0 or next(value) == nil)
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

-- What a search sends, but for the page.
local function search_of(where, options)
  local status = options.status or IN_PROGRESS
  for _, one in ipairs(status) do check.value(where, "status", one, "text") end
  local search = { status = status, columns = options.columns or COLUMNS, sort = options.sort or NEWEST_FIRST }
  check.value(where, "columns", search.columns, "json")
  check.value(where, "sort", search.sort, "json")
  return search
end

local function list_page(parts, search, page, size, options)
  local body = { columns = search.columns, pagination = { currentPage = page, pageSize = size }, sort = search.sort }
  local total
  local parameters = { status = search.status, body = body }
  local list, err = parts.caller:reporting(operations.list, parameters, options, function(response)
    local runs
    runs, total = find_list(response)
    if not runs then return nil, "the answer to the search for report runs has no list of runs" end
    for i, run in ipairs(runs) do
      if type(run) ~= "table" or not check.is(run.id, "id") then
        return nil, "the list of report runs holds something without an 'id'"
      end
      runs[i] = run_new(parts, run)
    end
    return runs
  end)
  if not list then return nil, err end
  return list, total
end

--- Searches runs. POST /reportruns?status=…
---@param options table|nil status: string[] (by default the three in progress), columns: string[], page: integer
--- (1), page_size: integer (250), sort: table (the newest first); and the per-call options
---@return zuora.ReportRun[]|nil runs
---@return integer|zuora.Error|nil total how many there are in all, where Zuora says so; or the error
function ReportRuns:list(options)
  local where = "client.reportruns:list"
  local parts = record.parts(self, ReportRuns, where)
  options = check.options(where, options, options_of.list)
  return list_page(parts, search_of(where, options), options.page or 1, options.page_size or PAGE, options)
end

--- The same, page after page: `for run in client.reportruns:each { status = { "COMPLETED" } } do … end`
---@param options table|nil as for list, without page
---@return fun(): zuora.ReportRun|nil iterator raises an error value when a page cannot be had
function ReportRuns:each(options)
  local where = "client.reportruns:each"
  local parts = record.parts(self, ReportRuns, where)
  options = check.options(where, options, options_of.each)
  local search, size = search_of(where, options), options.page_size or PAGE
  return pages.each("the search for report runs", size, function(_, page)
    return list_page(parts, search, page, size, options)
  end)
end

--- The last completed run of a report by this user. GET /reports/{report_id}/reportruns/latest
---@param report_id string
---@param options table|nil per-call options
---@return zuora.ReportRun|nil run, zuora.Error|nil err
function ReportRuns:last(report_id, options)
  local where = "client.reportruns:last"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "report_id", report_id, "id")
  options = check.options(where, options, options_of.one)
  local fields, err = parts.caller:reporting(operations.last, { reportId = report_id }, options, run_fields)
  if not fields then return nil, err end
  return run_new(parts, fields)
end

--- A page of a run's rows, as formatted text. GET /reportruns/reportdata/{run_id}
---@param run_id string
---@param options { offset: integer|nil, page_size: integer|nil }|nil records to skip (1, the header, by
--- default) and how many to return (200)
---@return { page: table[], offset: integer, size: integer, total: integer }|nil data, zuora.Error|nil err
function ReportRuns:data(run_id, options)
  local where = "client.reportruns:data"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "run_id", run_id, "id")
  return run_data(parts, run_id, check.options(where, options, options_of.data))
end

--- All pages of a run's rows: `for data in client.reportruns:pages(id) do … data.page … end`
---@param run_id string
---@param options { page_size: integer|nil }|nil records on each (200)
---@return fun(): table|nil pages raises an error value when a page cannot be had
function ReportRuns:pages(run_id, options)
  local where = "client.reportruns:pages"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "run_id", run_id, "id")
  return run_pages(parts, run_id, check.options(where, options, options_of.pages))
end

--- Writes a run's result into a file: UTF-8, comma-separated. GET /reportruns/export/{run_id}
---@param run_id string
---@param path string replaced when all has been received, and left alone otherwise
---@param options { pivoted: boolean|nil, raw: boolean|nil, verify: boolean|nil, strict: boolean|nil }|nil raw: the
--- server's bytes (UTF-16, tabs); verify: hold the number of records against the total that report data names (one
--- more call); strict = false: pad, keep or replace what is not as it should be (see zuora.rows)
---@return { path: string, bytes: integer, records: integer }|nil written, zuora.Error|nil err
function ReportRuns:download(run_id, path, options)
  local where = "client.reportruns:download"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "run_id", run_id, "id")
  check.value(where, "path", path, "line")
  return run_export(parts, run_id, path, check.options(where, options, options_of.download))
end

-- Zuora's word for it.
ReportRuns.export = ReportRuns.download

--- The export read as rows, once all of it is here. GET /reportruns/export/{run_id}
---@param run_id string
---@param options table|nil form, columns, types, null, strict (see zuora.rows), pivoted, verify
---@return function|nil it, zuora.Error|nil err
function ReportRuns:rows(run_id, options)
  local where = "client.reportruns:rows"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "run_id", run_id, "id")
  options = check.options(where, options, options_of.rows)
  rows.check(where, options)
  return run_export(parts, run_id, nil, options)
end

--- Looks at a run until it has settled. GET /reportruns/{run_id}, again and again
---@param run_id string
---@param options table|nil timeout (900 s, the whole wait), min 1, max 20, factor 1.5, jitter, on_poll,
--- request_timeout (s, for one look)
---@return zuora.ReportRun|nil run
---@return zuora.Error|nil err kind `failed`, `cancelled` (with err.record), `timeout`, `stopped` …
function ReportRuns:wait(run_id, options)
  local where = "client.reportruns:wait"
  local parts = record.parts(self, ReportRuns, where)
  check.value(where, "run_id", run_id, "id")
  options = check.options(where, options, options_of.wait)
  return run_wait(parts, run_new(parts, { id = run_id }), run_id, options)
end

-- --- the record --------------------------------------------------------------------------------------

local function run_id_of(run, where)
  local id = run.id or run.reportRunId
  check.value(where, "id", id, "id")
  return id
end

--- Asks for the run's present state, and takes it over. GET /reportruns/{id}
---@param options table|nil per-call options
---@return zuora.ReportRun|nil self, zuora.Error|nil err
function ReportRun:refresh(options)
  local where = "run:refresh"
  local parts = record.parts(self, ReportRun, where)
  return run_refresh(parts, self, run_id_of(self, where), check.options(where, options, options_of.one))
end

--- Looks until the run has settled; see client.reportruns:wait. Completed is final: a run that is known
-- to be completed is not looked at again.
---@param options table|nil
---@return zuora.ReportRun|nil self, zuora.Error|nil err
function ReportRun:wait(options)
  local where = "run:wait"
  local parts = record.parts(self, ReportRun, where)
  local run_id = run_id_of(self, where)
  options = check.options(where, options, options_of.wait)
  if judge(self) == "completed" then return self end
  return run_wait(parts, self, run_id, options)
end

--- Cancels the run, and takes over what it is then. DELETE /reportruns/{id}, and GET
---@param options table|nil per-call options
---@return zuora.ReportRun|nil self
---@return string|zuora.Error|nil message Zuora's words, or the error
function ReportRun:cancel(options)
  local where = "run:cancel"
  local parts = record.parts(self, ReportRun, where)
  local run_id = run_id_of(self, where)
  options = parts.caller:shared(check.options(where, options, options_of.one))
  local done, words = run_cancel(parts, run_id, options)
  if not done then return nil, words end
  local known, err = run_refresh(parts, self, run_id, options)
  if known then return self, words end
  err.message = "the run was cancelled, but what it is now could not be learnt: " .. err.message
  return nil, err
end

--- The run's result as rows; see client.reportruns:rows.
---@param options table|nil
---@return function|nil it, zuora.Error|nil err
function ReportRun:rows(options)
  local where = "run:rows"
  local parts = record.parts(self, ReportRun, where)
  options = check.options(where, options, options_of.rows)
  rows.check(where, options)
  return run_export(parts, run_id_of(self, where), nil, options)
end

--- Writes the run's result into a file; see client.reportruns:download.
---@param path string
---@param options table|nil
---@return { path: string, bytes: integer, records: integer }|nil written, zuora.Error|nil err
function ReportRun:download(path, options)
  local where = "run:download"
  local parts = record.parts(self, ReportRun, where)
  check.value(where, "path", path, "line")
  return run_export(parts, run_id_of(self, where), path, check.options(where, options, options_of.download))
end

-- Zuora's word for it.
ReportRun.export = ReportRun.download

--- All pages of the run's rows; see client.reportruns:pages.
---@param options table|nil
---@return fun(): table|nil pages
function ReportRun:pages(options)
  local where = "run:pages"
  local parts = record.parts(self, ReportRun, where)
  return run_pages(parts, run_id_of(self, where), check.options(where, options, options_of.pages))
end

--- A page of the run's rows; see client.reportruns:data.
---@param options table|nil
---@return table|nil data, zuora.Error|nil err
function ReportRun:data(options)
  local where = "run:data"
  local parts = record.parts(self, ReportRun, where)
  return run_data(parts, run_id_of(self, where), check.options(where, options, options_of.data))
end

--- The options of reportruns.fetch, for check.options.
reportruns.fetch_options = check.rules(options_of.start, options_of.wait, options_of.download)

--- Runs a report, waits for the run and downloads its result; see client.reports:fetch.
---@param collection zuora.ReportRuns
---@param report_id string
---@param path string
---@param options table for each request
---@param waiting fun(): table for the wait
---@return table|nil written, zuora.Error|nil err
function reportruns.fetch(collection, report_id, path, options, waiting)
  local parts = record.parts(collection, ReportRuns, "client.reports:fetch")
  local run, err = run_start(parts, report_id, options)
  if not run then return nil, err end
  run, err = run_wait(parts, run, run.id, waiting())
  if not run then return nil, err end
  return run_export(parts, run.id, path, options)
end

---@param caller table
---@return zuora.ReportRuns
function reportruns.new(caller)
  local run = record.kind("zuora.ReportRun", ReportRun, { caller = caller })
  return setmetatable({}, record.kind("zuora.ReportRuns", ReportRuns, { caller = caller, run = run }))
end

return reportruns
