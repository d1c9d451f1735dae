--- client.reports: the reports themselves: finding them, their labels, and what an administrator does with
--- them. Most of it is documented for the older hosts only (`zuora.new { legacy = true }`).

local check = require "zuora.support.check"
local core = require "zuora.core"
local entrance = require "zuora.resources.entrance"
local record = require "zuora.resources.record"
local report_lists = require "zuora.resources.report_lists"
local reportruns = require "zuora.resources.reportruns"

local operations = core.operations.reports

local reports = {}

---@class zuora.Reports
local Reports = {}

---@class zuora.Report
local Report = {}

-- What is taken for an id, and not for a name.
local REPORT_ID = "^" .. ("%x"):rep(32) .. "$"

-- --- what the methods take ---------------------------------------------------------------------------

local NAMESPACE = { namespace = "text" }
local ORDER = { order_by = "name|updated_on", ascending = "boolean" }

local function check_create(where, _, report)
  for _, name in ipairs { "name", "dsName", "datasource", "definition" } do
    if report[name] == nil then check.fail(where, "report." .. name, "missing") end
  end
end

local function check_transfer(where, options)
  if (options.ids == nil) == (options.names == nil) then check.fail(where, "ids", "either ids or names expected") end
end

local function check_settings(where, options)
  if next(options.emailDomains) then check.value(where, "emailDomains", options.emailDomains, "text*") end
end

local METHODS = {
  search = { operations.search, "text", options = check.rules(ORDER, NAMESPACE, { start = "count" }) },
  each = { operations.search, "text", options = check.rules(ORDER, NAMESPACE) },
  find = { operations.search, "name", options = NAMESPACE },
  id_of = { operations.search, "report", options = NAMESPACE },
  fetch = { operations.search, "report", "path:line", options = check.rules(reportruns.fetch_options, NAMESPACE) },
  mine = { operations.mine },
  get = { operations.get, "report_id" },
  details = { operations.details, "report_id" },
  labelled = { operations.labelled, "label_id",
    options = check.rules(ORDER, { page = "count", page_size = "positive" }) },
  labels = { operations.labels },
  labels_of = { operations.labels_of, "report_id" },
  attach = { operations.attach, "report_id", "label_ids:id*" },
  detach = { operations.detach, "report_id", "label_ids:id*" },
  create = { operations.create, "report:json_table", check = check_create },
  save = { operations.save, "report_id", "report:json_table" },
  copy = { operations.copy, "report_id", options = { name = "text", label_ids = "id*" } },
  delete = { operations.delete, "report_id" },
  transfer = { operations.transfer, check = check_transfer, options = { ids = "id*", names = "string*", to = "id!" } },
  settings = { operations.settings },
  set_settings = { operations.set_settings, check = check_settings, options = { emailDomains = "table!" } },
}
local enter = entrance.collection(Reports, "client.reports", METHODS)
local enter_report = entrance.record(Report, "report", { start = {}, last = {}, details = METHODS.details,
  save = { operations.save, "report_id" }, copy = METHODS.copy, delete = METHODS.delete, labels = METHODS.labels_of,
  attach = METHODS.attach, detach = METHODS.detach })

-- --- what is shared ----------------------------------------------------------------------------------

-- Calls an operation of the Reporting API, whose answer `read` makes sense of.
local function call(context, operation, parameters, options, read)
  return context.caller:reporting(operation, parameters, options, function(response)
    return read(response, context, parameters)
  end)
end

-- A report, as a record: where it was asked for by its id, it must be that one.
local function read_report(fields, context, wanted)
  if not report_lists.is_report(fields) then return nil, "the answer about the report has no 'id'" end
  if wanted.id and fields.id ~= wanted.id then
    return nil, ("the answer is about report %s, not %s"):format(fields.id, wanted.id)
  end
  return setmetatable(fields, context.record)
end

local function read_labels(list)
  local is_list = type(list) == "table" and (#list > 0 or next(list) == nil)
  for _, label in ipairs(is_list and list or {}) do is_list = is_list and type(label) == "table" end
  if not is_list then return nil, "the answer has no list of labels" end
  return list
end

local function read_table(response)
  if type(response) ~= "table" then return nil, "the answer has nothing of what was asked for" end
  return response
end

-- Methods that are one call, by the operation and what reads its answer; they are given what comes of the entrance.
local function call_by_id(operation, read, context, report_id, options)
  return call(context, operation, { id = report_id }, options, read)
end

local function call_for_all(operation, read, context, options) return call(context, operation, {}, options, read) end

local function change_labels(operation, context, report_id, label_ids, options)
  return context.caller:done(operation, { id = report_id, body = label_ids }, options)
end

-- What is sent is data only, whatever record it came from; what is given back may be a success in words.
local function save(context, report_id, report, options)
  local sent = record.replace({}, report)
  return call(context, operations.save, { id = report_id, body = sent }, options, function(response)
    if report_lists.is_report(response) then return response end
    sent.id = report_id
    return sent
  end)
end

local function copy(context, report_id, options)
  return call(context, operations.copy, { from = report_id, name = options.name,
    labelIds = options.label_ids and table.concat(options.label_ids, ",") }, options, read_report)
end

local function delete(context, report_id, options)
  return context.caller:done(operations.delete, { id = report_id }, options)
end

-- --- client.reports ----------------------------------------------------------------------------------

--- Searches reports by name, data source and description, whatever the case. Words of less than three
--- letters are ignored. GET /reports/search
---@param text string
---@param options zuora.ReportSearchOptions|nil order_by ("name" or "updated_on"; `ascending` alone stands for the
--- latter), ascending (true), start (how many to skip), namespace ("ADVANCED"); and the per-call options
---@return zuora.Report[]|nil reports at most 50
---@return integer|zuora.Error|nil total how many there are in all, where Zuora says so; or the error
function Reports:search(text, options)
  local context
  context, text, options = enter(self, "search", text, options)
  return report_lists.search(context, text, options.start, options)
end

--- The same, page after page: `for report in client.reports:each "revenue" do … end`
---@param text string
---@param options zuora.ReportEachOptions|nil order_by, ascending, namespace
---@return fun(): zuora.Report|nil iterator raises an error value when a page cannot be had
function Reports:each(text, options) return report_lists.each(enter(self, "each", text, options)) end

--- The one report of exactly that name. GET /reports/search, all pages of it
---@param name string
---@param options zuora.ReportFindOptions|nil namespace
---@return zuora.Report|nil report
---@return zuora.Error|nil err kind `not_found` when there is none of that name, `ambiguous` when there are several
--- (err.reports)
function Reports:find(name, options) return report_lists.find(enter(self, "find", name, options)) end

local function id_of(context, report, options)
  if report:find(REPORT_ID) then return report end
  local found, err = report_lists.find(context, report, options)
  return found and found.id, err
end

--- The id of a report by its name, as find has it; an id (32 hexadecimal digits) is itself, and nothing is asked.
---@param report string
---@param options zuora.ReportFindOptions|nil namespace
---@return string|nil report_id, zuora.Error|nil err
function Reports:id_of(report, options) return id_of(enter(self, "id_of", report, options)) end

--- Runs a report, waits for the run, and downloads its result. POST /reports/{id}/reportrun, and what the wait and the
--- download need
---@param report string its id (32 hexadecimal digits), or its name: see find
---@param path string replaced when all has been received, and left alone otherwise
---@param options zuora.ReportFetchOptions view ("Detail" or "Summary"), filters; those of client.reportruns:wait and
--- :download; namespace (of a name). timeout is the whole wait, request_timeout one request, total_timeout over
--- everything
---@return zuora.Written|nil written, zuora.Error|nil err
function Reports:fetch(report, path, options)
  local context
  context, report, path, options = enter(self, "fetch", report, path, options)
  return reportruns.fetch(context.reportruns, path, options, function(request_options)
    return id_of(context, report, request_options)
  end)
end

--- The reports in this user's "My Reports". GET /reports (older hosts)
---@param options zuora.CallOptions|nil
---@return zuora.Report[]|nil reports
---@return integer|zuora.Error|nil total how many there are in all, where Zuora says so; or the error
function Reports:mine(options)
  local context
  context, options = enter(self, "mine", options)
  return report_lists.page(context, operations.mine, {}, options)
end

--- A report, its definition included. GET /reports/report/{id} (older hosts)
---@param report_id string
---@param options zuora.CallOptions|nil
---@return zuora.Report|nil report, zuora.Error|nil err
function Reports:get(report_id, options)
  return call_by_id(operations.get, read_report, enter(self, "get", report_id, options))
end

--- What there is to know of a report besides. GET /reports/{id}/report-details (older hosts)
---@param report_id string
---@param options zuora.CallOptions|nil
---@return table<string, any>|nil details as Zuora sent them, zuora.Error|nil err
function Reports:details(report_id, options)
  return call_by_id(operations.details, read_table, enter(self, "details", report_id, options))
end

--- The reports with a label (a folder). GET /reports/reportlabels/{label_id}/report-details (older hosts)
---@param label_id string
---@param options zuora.ReportLabelledOptions|nil
--- page: from 0, page_size: 20 by default; without either Zuora chooses; and the per-call options
---@return zuora.Report[]|nil reports
---@return integer|zuora.Error|nil total how many there are in all, where Zuora says so; or the error
function Reports:labelled(label_id, options)
  local context, paging
  context, label_id, options = enter(self, "labelled", label_id, options)
  if options.page or options.page_size then
    paging = ('{"pageNo":%d,"pageSize":%d}'):format(options.page or 0, options.page_size or 20)
  end
  return report_lists.page(context, operations.labelled,
    { labelId = label_id, paging = paging, orderBy = report_lists.order(options) }, options)
end

--- All labels (folders). GET /reportlabels (older hosts)
---@param options zuora.CallOptions|nil
---@return zuora.ReportLabel[]|nil labels as Zuora sent them: id, name …
---@return zuora.Error|nil err
function Reports:labels(options) return call_for_all(operations.labels, read_labels, enter(self, "labels", options)) end

--- The labels of a report. GET /reports/{id}/reportlabels (older hosts)
---@param report_id string
---@param options zuora.CallOptions|nil
---@return zuora.ReportLabel[]|nil labels, zuora.Error|nil err
function Reports:labels_of(report_id, options)
  return call_by_id(operations.labels_of, read_labels, enter(self, "labels_of", report_id, options))
end

--- Gives a report more labels. POST /reports/{id}/reportlabels (older hosts)
---@param report_id string
---@param label_ids string[]
---@param options zuora.CreateOptions|nil
---@return true|nil done, string|zuora.Error|nil message
function Reports:attach(report_id, label_ids, options)
  return change_labels(operations.attach, enter(self, "attach", report_id, label_ids, options))
end

--- Takes labels from a report. DELETE /reports/{id}/reportlabels (older hosts)
---@param report_id string
---@param label_ids string[]
---@param options zuora.CallOptions|nil
---@return true|nil done, string|zuora.Error|nil message
function Reports:detach(report_id, label_ids, options)
  return change_labels(operations.detach, enter(self, "detach", report_id, label_ids, options))
end

--- Creates a report, best from the definition of one that is like it. POST /reports (older hosts)
---@param report table name, dsName, datasource, definition; labelIds, namespace and whatever else a report has
---@param options zuora.CreateOptions|nil
---@return zuora.Report|nil report, zuora.Error|nil err
function Reports:create(report, options)
  local context
  context, report, options = enter(self, "create", report, options)
  return call(context, operations.create, { body = record.replace({}, report) }, options, read_report)
end

--- Saves a report. POST /reports/{id} (older hosts)
---@param report_id string
---@param report table the fields of a report
---@param options zuora.CreateOptions|nil
---@return zuora.Report|nil report, zuora.Error|nil err
function Reports:save(report_id, report, options)
  local context
  context, report_id, report, options = enter(self, "save", report_id, report, options)
  local saved, err = save(context, report_id, report, options)
  if not saved then return nil, err end
  return setmetatable(saved, context.record)
end

--- Copies a report. POST /reports/copy (older hosts)
---@param report_id string
---@param options zuora.ReportCopyOptions|nil
---@return zuora.Report|nil copy, zuora.Error|nil err
function Reports:copy(report_id, options) return copy(enter(self, "copy", report_id, options)) end

--- Deletes a report. DELETE /reports/{id} (older hosts)
---@param report_id string
---@param options zuora.CallOptions|nil
---@return true|nil done, string|zuora.Error|nil message
function Reports:delete(report_id, options) return delete(enter(self, "delete", report_id, options)) end

--- Gives reports another owner; the user must be an administrator of Reporting.
--- POST /reports/transfer-ownership (REST hosts)
---@param options zuora.ReportTransferOptions either ids or names of reports; to: the id of
--- the user; and the per-call options
---@return true|nil done, string|zuora.Error|nil message
function Reports:transfer(options)
  local context
  context, options = enter(self, "transfer", options)
  return context.caller:done(operations.transfer,
    { reportIds = options.ids, reportNames = options.names, newOwnerUserId = options.to }, options)
end

--- The tenant's settings for reports. GET /settings (older hosts)
---@param options zuora.CallOptions|nil
---@return { emailDomains: string[] }|nil settings, zuora.Error|nil err
function Reports:settings(options)
  return call_for_all(operations.settings, read_table, enter(self, "settings", options))
end

--- Says to which mail domains results may be sent; takes the place of what was set. POST /settings (older hosts)
---@param options zuora.ReportSettingsOptions {}: to any
---@return true|nil done, string|zuora.Error|nil message
function Reports:set_settings(options)
  local context
  context, options = enter(self, "set_settings", options)
  local domains = next(options.emailDomains) and core.encode(options.emailDomains) or "[]"
  return context.caller:done(operations.set_settings, { body = '{"emailDomains":' .. domains .. "}" }, options)
end

-- --- the record --------------------------------------------------------------------------------------

--- Starts a run of this report; see client.reportruns:start.
---@param options zuora.ReportRunStartOptions
---@return zuora.ReportRun|nil run, zuora.Error|nil err
function Report:start(options) return enter_report(self, "start").reportruns:start(self.id, options) end

--- The last completed run of this report by this user; see client.reportruns:last.
---@param options zuora.CallOptions|nil
---@return zuora.ReportRun|nil run, zuora.Error|nil err
function Report:last(options) return enter_report(self, "last").reportruns:last(self.id, options) end

--- What there is to know of it besides; see client.reports:details.
---@param options zuora.CallOptions|nil
---@return table<string, any>|nil details, zuora.Error|nil err
function Report:details(options)
  return call_by_id(operations.details, read_table, enter_report(self, "details", options))
end

--- Saves the report as this record is now, and takes over what Zuora says of it; see client.reports:save.
---@param options zuora.CreateOptions|nil
---@return zuora.Report|nil self, zuora.Error|nil err
function Report:save(options)
  local context, report_id
  context, report_id, options = enter_report(self, "save", options)
  check.value("report:save", "report", self, "json_table")
  local saved, err = save(context, report_id, self, options)
  if not saved then return nil, err end
  return record.replace(self, saved)
end

--- Copies it; see client.reports:copy.
---@param options zuora.ReportCopyOptions|nil
---@return zuora.Report|nil copy, zuora.Error|nil err
function Report:copy(options) return copy(enter_report(self, "copy", options)) end

--- Deletes it; see client.reports:delete.
---@param options zuora.CallOptions|nil
---@return true|nil done, string|zuora.Error|nil message
function Report:delete(options) return delete(enter_report(self, "delete", options)) end

--- Its labels; see client.reports:labels_of.
---@param options zuora.CallOptions|nil
---@return zuora.ReportLabel[]|nil labels, zuora.Error|nil err
function Report:labels(options)
  return call_by_id(operations.labels_of, read_labels, enter_report(self, "labels", options))
end

--- Gives it more labels; see client.reports:attach.
---@param label_ids string[]
---@param options zuora.CreateOptions|nil
---@return true|nil done, string|zuora.Error|nil message
function Report:attach(label_ids, options)
  return change_labels(operations.attach, enter_report(self, "attach", label_ids, options))
end

--- Takes labels from it; see client.reports:detach.
---@param label_ids string[]
---@param options zuora.CallOptions|nil
---@return true|nil done, string|zuora.Error|nil message
function Report:detach(label_ids, options)
  return change_labels(operations.detach, enter_report(self, "detach", label_ids, options))
end

---@param caller table
---@param runs zuora.ReportRuns
---@return zuora.Reports
function reports.new(caller, runs)
  local report = record.metatable("zuora.Report", Report, { caller = caller, reportruns = runs })
  report.record = report
  return setmetatable({}, record.metatable("zuora.Reports", Reports,
    { caller = caller, reportruns = runs, record = report }))
end

return reports
