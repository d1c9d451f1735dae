--- client.reports: the reports themselves: finding them, their labels, and what an administrator does with
--- them. Most of it is documented for the older hosts only (`zuora.new { legacy = true }`).

local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local error_value = require "zuora.error"
local fetch = require "zuora.resources.fetch"
local pages = require "zuora.resources.pages"
local record = require "zuora.resources.record"
local reportruns = require "zuora.resources.reportruns"

local operations = core.operations.reports

local reports = {}

---@class zuora.Reports
local Reports = {}

---@class zuora.Report
local Report = {}

-- Fixed by Zuora.
local PAGE = 50

-- What is taken for an id, and not for a name.
local REPORT_ID = "^" .. ("%x"):rep(32) .. "$"

local options_of = {
  search = check.rules(call.options, { order_by = "name|updated_on", ascending = "boolean", start = "count",
    namespace = "text" }),
  each = check.rules(call.options, { order_by = "name|updated_on", ascending = "boolean", namespace = "text" }),
  find = check.rules(call.options, { namespace = "text" }),
  fetch = check.rules(reportruns.fetch_options, { namespace = "text" }),
  labelled = check.rules(call.options, { page = "count", page_size = "positive", order_by = "name|updated_on",
    ascending = "boolean" }),
  copy = check.rules(call.keyed_options, { name = "text", label_ids = "list" }),
  transfer = check.rules(call.keyed_options, { ids = "list", names = "list", to = "id!" }),
  set_settings = check.rules(call.keyed_options, { emailDomains = "table!" }),
}

-- --- what is shared ----------------------------------------------------------------------------------

local function report_new(parts, fields)
  return setmetatable(fields, parts.report)
end

local function is_report(fields) return type(fields) == "table" and check.is(fields.id, "id") end

-- A report as the API describes it; it must be the one that was asked for.
local function report_fields(fields, report_id)
  if not is_report(fields) then return nil, "the answer about the report has no 'id'" end
  if report_id and fields.id ~= report_id then
    return nil, ("the answer is about report %s, not %s"):format(fields.id, report_id)
  end
  return fields
end

-- A list of reports, as records.
local function report_list(parts, list)
  if type(list) ~= "table" or #list == 0 and next(list) ~= nil then return nil, "the answer has no list of reports" end
  for i, fields in ipairs(list) do
    if not is_report(fields) then return nil, "the list of reports holds something without an 'id'" end
    list[i] = report_new(parts, fields)
  end
  return list
end

local function one_report(parts, operation, parameters, options, report_id)
  local fields, err = parts.caller:reporting(operation, parameters, options, function(response)
    return report_fields(response, report_id)
  end)
  if not fields then return nil, err end
  return report_new(parts, fields)
end

-- Zuora wants exactly this form, the truth value as text.
local function order_text(options)
  if options.order_by == nil and options.ascending == nil then return nil end
  return ('[{"field":"%s","ascend":"%s"}]'):format(options.order_by or "updated_on", options.ascending ~= false)
end

local function search(parts, text, start, options)
  local parameters = { query = text, orderBy = order_text(options), searchStart = start, namespace = options.namespace }
  local total
  local list, err = parts.caller:reporting(operations.search, parameters, options, function(response)
    if type(response) ~= "table" then return nil, "the answer to the search has no list of reports" end
    total = pages.total(response.count)
    return report_list(parts, response.reports)
  end)
  if not list then return nil, err end
  return list, total
end

local function each(parts, text, options)
  return pages.each("the search for reports", PAGE, function(received)
    return search(parts, text, received > 0 and received or nil, options)
  end)
end

local function find(parts, name, options)
  local found, others = {}, 0
  local ok, problem = pcall(function()
    for report in each(parts, name, parts.caller:shared(options)) do
      if report.name == name then found[#found + 1] = report else others = others + 1 end
    end
  end)
  if not ok then
    if error_value.is(problem) then return nil, problem end
    error(problem, 0)
  end
  if #found == 1 then return found[1] end
  if #found == 0 then
    local hint = name:find(("[A-Za-z0-9]"):rep(3)) and ""
      or "; Zuora's search ignores words of less than three letters"
    return nil, error_value.new { kind = "not_found", reports = found,
      message = ("no report has the name \"%s\" (%d others were found%s)"):format(name, others, hint) }
  end
  local ids = {}
  for i, report in ipairs(found) do ids[i] = report.id end
  return nil, error_value.new { kind = "ambiguous", reports = found,
    message = ("%d reports have the name \"%s\": %s"):format(#found, name, table.concat(ids, ", ")) }
end

local function id_of(parts, report, options)
  local id = report:match(REPORT_ID)
  if id then return id end
  local found, err = find(parts, report, options)
  return found and found.id, err
end

-- Ids for the address or the body of a call, as Zuora's ids are.
local function check_ids(where, argument, ids)
  check.value(where, argument, ids, "list")
  for _, id in ipairs(ids) do check.value(where, argument, id, "id") end
  return ids
end

-- What is sent of a report: its data, whatever record it came from.
local function check_definition(where, definition)
  check.value(where, "report", definition, "table")
  local sent = {}
  for name, value in pairs(definition) do sent[name] = value end
  check.value(where, "report", sent, "json")
  return sent
end

local function save(parts, report_id, sent, options)
  local parameters = { id = report_id, body = sent }
  return parts.caller:reporting(operations.save, parameters, options, function(response)
    if is_report(response) then return response end
    sent.id = report_id -- a success in words
    return sent
  end)
end

-- The head of a method: the parts, the checked options, and the name for messages.
local function enter(self, name, options)
  local where = "client.reports:" .. name
  local parts = record.parts(self, Reports, where)
  local rules = options_of[name] or operations[name].safe and call.options or call.keyed_options
  options = check.options(where, options, rules)
  parts.caller:check_offered(where, operations[name])
  return parts, options, where
end

-- --- client.reports ----------------------------------------------------------------------------------

--- Searches reports by name, data source and description, whatever the case. Words of less than three
-- letters are ignored. GET /reports/search
---@param text string
---@param options table|nil order_by ("name" or "updated_on"; `ascending` alone stands for the latter), ascending
--- (true), start (how many to skip), namespace ("ADVANCED"); and the per-call options
---@return zuora.Report[]|nil reports at most 50
---@return integer|zuora.Error|nil total how many there are in all, where Zuora says so; or the error
function Reports:search(text, options)
  local where = "client.reports:search"
  local parts = record.parts(self, Reports, where)
  check.value(where, "text", text, "text")
  options = check.options(where, options, options_of.search)
  return search(parts, text, options.start, options)
end

--- The same, page after page: `for report in client.reports:each "revenue" do … end`
---@param text string
---@param options table|nil order_by, ascending, namespace, and the per-call options
---@return fun(): zuora.Report|nil iterator raises an error value when a page cannot be had
function Reports:each(text, options)
  local where = "client.reports:each"
  local parts = record.parts(self, Reports, where)
  check.value(where, "text", text, "text")
  options = check.options(where, options, options_of.each)
  return each(parts, text, options)
end

--- The one report of exactly that name. GET /reports/search, all pages of it
---@param name string
---@param options table|nil namespace, and the per-call options
---@return zuora.Report|nil report
---@return zuora.Error|nil err kind `not_found` when there is none of that name, `ambiguous` when there are several
--- (err.reports)
function Reports:find(name, options)
  local where = "client.reports:find"
  local parts = record.parts(self, Reports, where)
  check.value(where, "name", name, "text")
  options = check.options(where, options, options_of.find)
  return find(parts, name, options)
end

--- The id of a report by its name, as find has it; an id (32 hexadecimal digits) is itself, and nothing is asked.
---@param report string
---@param options table|nil namespace, and the per-call options
---@return string|nil report_id, zuora.Error|nil err
function Reports:id_of(report, options)
  local where = "client.reports:id_of"
  local parts = record.parts(self, Reports, where)
  check.value(where, "report", report, "text")
  options = check.options(where, options, options_of.find)
  return id_of(parts, report, options)
end

--- Runs a report, waits for the run, and downloads its result. POST /reports/{id}/reportrun, and what the wait and the
--- download need
---@param report string its id (32 hexadecimal digits), or its name: see find
---@param path string replaced when all has been received, and left alone otherwise
---@param options table view ("Detail" or "Summary"), filters; those of client.reportruns:wait and :download; namespace
--- (of a name). timeout is the whole wait, request_timeout one request, total_timeout over everything
---@return { path: string, bytes: integer, records: integer }|nil written, zuora.Error|nil err
function Reports:fetch(report, path, options)
  local where = "client.reports:fetch"
  local parts = record.parts(self, Reports, where)
  check.value(where, "report", report, "text")
  check.value(where, "path", path, "line")
  options = check.options(where, options, options_of.fetch)
  check.value(where, "filters", options.filters, "json")
  local request, waiting = fetch.options(parts.caller, options)
  local report_id, err = id_of(parts, report, request)
  if not report_id then return nil, err end
  return reportruns.fetch(parts.report.reportruns, report_id, path, request, waiting)
end

--- The reports in this user's "My Reports". GET /reports (older hosts)
---@param options table|nil per-call options
---@return zuora.Report[]|nil reports, zuora.Error|nil err
function Reports:mine(options)
  local parts
  parts, options = enter(self, "mine", options)
  return parts.caller:reporting(operations.mine, {}, options, function(response)
    return report_list(parts, type(response) == "table" and response.reports or response)
  end)
end

--- A report, its definition included. GET /reports/report/{id} (older hosts)
---@param report_id string
---@param options table|nil per-call options
---@return zuora.Report|nil report, zuora.Error|nil err
function Reports:get(report_id, options)
  local parts, where
  parts, options, where = enter(self, "get", options)
  check.value(where, "report_id", report_id, "id")
  return one_report(parts, operations.get, { id = report_id }, options, report_id)
end

--- What there is to know of a report besides. GET /reports/{id}/report-details (older hosts)
---@param report_id string
---@param options table|nil per-call options
---@return table|nil details as Zuora sent them, zuora.Error|nil err
function Reports:details(report_id, options)
  local parts, where
  parts, options, where = enter(self, "details", options)
  check.value(where, "report_id", report_id, "id")
  return parts.caller:reporting(operations.details, { id = report_id }, options, function(response)
    if type(response) ~= "table" then return nil, "the answer has no details of a report" end
    return response
  end)
end

--- The reports with a label (a folder). GET /reports/reportlabels/{label_id}/report-details (older hosts)
---@param label_id string
---@param options { page: integer|nil, page_size: integer|nil, order_by: string|nil, ascending: boolean|nil }|nil
--- page: from 0, page_size: 20 by default; without either Zuora chooses; and the per-call options
---@return zuora.Report[]|nil reports
---@return integer|zuora.Error|nil total how many there are in all, where Zuora says so; or the error
function Reports:labelled(label_id, options)
  local parts, where
  parts, options, where = enter(self, "labelled", options)
  check.value(where, "label_id", label_id, "id")
  local paging
  if options.page or options.page_size then
    paging = ('{"pageNo":%d,"pageSize":%d}'):format(options.page or 0, options.page_size or 20)
  end
  local parameters = { labelId = label_id, paging = paging, orderBy = order_text(options) }
  local total
  local list, err = parts.caller:reporting(operations.labelled, parameters, options, function(response)
    if type(response) ~= "table" then return nil, "the answer has no list of reports" end
    total = pages.total(response.totalCount)
    return report_list(parts, response.elements or response)
  end)
  if not list then return nil, err end
  return list, total
end

local function label_list(parts, operation, parameters, options)
  return parts.caller:reporting(operation, parameters, options, function(response)
    local is_list = type(response) == "table" and (#response > 0 or next(response) == nil)
    for _, label in ipairs(is_list and response or {}) do is_list = is_list and type(label) == "table" end
    if not is_list then return nil, "the answer has no list of labels" end
    return response
  end)
end

--- All labels (folders). GET /reportlabels (older hosts)
---@param options table|nil per-call options
---@return table[]|nil labels as Zuora sent them: id, name …
---@return zuora.Error|nil err
function Reports:labels(options)
  local parts
  parts, options = enter(self, "labels", options)
  return label_list(parts, operations.labels, {}, options)
end

--- The labels of a report. GET /reports/{id}/reportlabels (older hosts)
---@param report_id string
---@param options table|nil per-call options
---@return table[]|nil labels, zuora.Error|nil err
function Reports:labels_of(report_id, options)
  local parts, where
  parts, options, where = enter(self, "labels_of", options)
  check.value(where, "report_id", report_id, "id")
  return label_list(parts, operations.labels_of, { id = report_id }, options)
end

--- Gives a report more labels. POST /reports/{id}/reportlabels (older hosts)
---@param report_id string
---@param label_ids string[]
---@param options table|nil per-call options
---@return true|nil done, string|zuora.Error|nil message
function Reports:attach(report_id, label_ids, options)
  local parts, where
  parts, options, where = enter(self, "attach", options)
  check.value(where, "report_id", report_id, "id")
  check_ids(where, "label_ids", label_ids)
  return parts.caller:done(operations.attach, { id = report_id, body = label_ids }, options)
end

--- Takes labels from a report. DELETE /reports/{id}/reportlabels (older hosts)
---@param report_id string
---@param label_ids string[]
---@param options table|nil per-call options
---@return true|nil done, string|zuora.Error|nil message
function Reports:detach(report_id, label_ids, options)
  local parts, where
  parts, options, where = enter(self, "detach", options)
  check.value(where, "report_id", report_id, "id")
  check_ids(where, "label_ids", label_ids)
  return parts.caller:done(operations.detach, { id = report_id, body = label_ids }, options)
end

--- Creates a report, best from the definition of one that is like it. POST /reports (older hosts)
---@param report table name, dsName, datasource, definition; labelIds, namespace and whatever else a report has
---@param options table|nil per-call options
---@return zuora.Report|nil report, zuora.Error|nil err
function Reports:create(report, options)
  local parts, where
  parts, options, where = enter(self, "create", options)
  local sent = check_definition(where, report)
  for _, name in ipairs { "name", "dsName", "datasource", "definition" } do
    if sent[name] == nil then check.fail(where, "report." .. name, "missing") end
  end
  return one_report(parts, operations.create, { body = sent }, options)
end

--- Saves a report. POST /reports/{id} (older hosts)
---@param report_id string
---@param report table the fields of a report
---@param options table|nil per-call options
---@return zuora.Report|nil report, zuora.Error|nil err
function Reports:save(report_id, report, options)
  local parts, where
  parts, options, where = enter(self, "save", options)
  check.value(where, "report_id", report_id, "id")
  local saved, err = save(parts, report_id, check_definition(where, report), options)
  if not saved then return nil, err end
  return report_new(parts, saved)
end

--- Copies a report. POST /reports/copy (older hosts)
---@param report_id string
---@param options { name: string|nil, label_ids: string[]|nil }|nil and the per-call options
---@return zuora.Report|nil copy, zuora.Error|nil err
function Reports:copy(report_id, options)
  local parts, where
  parts, options, where = enter(self, "copy", options)
  check.value(where, "report_id", report_id, "id")
  local labels = options.label_ids and table.concat(check_ids(where, "label_ids", options.label_ids), ",")
  return one_report(parts, operations.copy, { from = report_id, name = options.name, labelIds = labels }, options)
end

--- Deletes a report. DELETE /reports/{id} (older hosts)
---@param report_id string
---@param options table|nil per-call options
---@return true|nil done, string|zuora.Error|nil message
function Reports:delete(report_id, options)
  local parts, where
  parts, options, where = enter(self, "delete", options)
  check.value(where, "report_id", report_id, "id")
  return parts.caller:done(operations.delete, { id = report_id }, options)
end

--- Gives reports another owner; the user must be an administrator of Reporting.
-- POST /reports/transfer-ownership (REST hosts)
---@param options { ids: string[]|nil, names: string[]|nil, to: string } either ids or names of reports; to: the id of
--- the user; and the per-call options
---@return true|nil done, string|zuora.Error|nil message
function Reports:transfer(options)
  local parts, where
  parts, options, where = enter(self, "transfer", options)
  if (options.ids == nil) == (options.names == nil) then check.fail(where, "ids", "either ids or names expected") end
  if options.ids then check_ids(where, "ids", options.ids) end
  for _, name in ipairs(options.names or {}) do check.value(where, "names", name, "string") end
  return parts.caller:done(operations.transfer,
    { reportIds = options.ids, reportNames = options.names, newOwnerUserId = options.to }, options)
end

--- The tenant's settings for reports. GET /settings (older hosts)
---@param options table|nil per-call options
---@return { emailDomains: string[] }|nil settings, zuora.Error|nil err
function Reports:settings(options)
  local parts
  parts, options = enter(self, "settings", options)
  return parts.caller:reporting(operations.settings, {}, options, function(response)
    if type(response) ~= "table" then return nil, "the answer has no settings" end
    return response
  end)
end

--- Says to which mail domains results may be sent; takes the place of what was set. POST /settings (older hosts)
---@param options { emailDomains: string[] } {}: to any; and the per-call options
---@return true|nil done, string|zuora.Error|nil message
function Reports:set_settings(options)
  local parts, where
  parts, options, where = enter(self, "set_settings", options)
  if next(options.emailDomains) then check.value(where, "emailDomains", options.emailDomains, "list") end
  for _, domain in ipairs(options.emailDomains) do check.value(where, "emailDomains", domain, "text") end
  local domains = next(options.emailDomains) and core.encode(options.emailDomains) or "[]"
  return parts.caller:done(operations.set_settings, { body = '{"emailDomains":' .. domains .. "}" }, options)
end

-- --- the record --------------------------------------------------------------------------------------

--- Starts a run of this report; see client.reportruns:start.
---@param options { view: "Detail"|"Summary", filters: table|nil }
---@return zuora.ReportRun|nil run, zuora.Error|nil err
function Report:start(options)
  local parts = record.parts(self, Report, "report:start")
  return parts.reportruns:start(self.id, options)
end

--- The last completed run of this report by this user; see client.reportruns:last.
---@param options table|nil per-call options
---@return zuora.ReportRun|nil run, zuora.Error|nil err
function Report:last(options)
  local parts = record.parts(self, Report, "report:last")
  return parts.reportruns:last(self.id, options)
end

--- What there is to know of it besides; see client.reports:details.
---@param options table|nil per-call options
---@return table|nil details, zuora.Error|nil err
function Report:details(options)
  return record.parts(self, Report, "report:details").reports:details(self.id, options)
end

--- Saves the report as this record is now, and takes over what Zuora says of it; see client.reports:save.
---@param options table|nil per-call options
---@return zuora.Report|nil self, zuora.Error|nil err
function Report:save(options)
  local where = "report:save"
  local parts = record.parts(self, Report, where)
  check.value(where, "id", self.id, "id")
  options = check.options(where, options, call.keyed_options)
  parts.caller:check_offered(where, operations.save)
  local saved, err = save(parts, self.id, check_definition(where, self), options)
  if not saved then return nil, err end
  return record.replace(self, saved)
end

--- Copies it; see client.reports:copy.
---@param options { name: string|nil, label_ids: string[]|nil }|nil and the per-call options
---@return zuora.Report|nil copy, zuora.Error|nil err
function Report:copy(options)
  return record.parts(self, Report, "report:copy").reports:copy(self.id, options)
end

--- Deletes it; see client.reports:delete.
---@param options table|nil per-call options
---@return true|nil done, string|zuora.Error|nil message
function Report:delete(options)
  return record.parts(self, Report, "report:delete").reports:delete(self.id, options)
end

--- Its labels; see client.reports:labels_of.
---@param options table|nil per-call options
---@return table[]|nil labels, zuora.Error|nil err
function Report:labels(options)
  return record.parts(self, Report, "report:labels").reports:labels_of(self.id, options)
end

--- Gives it more labels; see client.reports:attach.
---@param label_ids string[]
---@param options table|nil per-call options
---@return true|nil done, string|zuora.Error|nil message
function Report:attach(label_ids, options)
  return record.parts(self, Report, "report:attach").reports:attach(self.id, label_ids, options)
end

--- Takes labels from it; see client.reports:detach.
---@param label_ids string[]
---@param options table|nil per-call options
---@return true|nil done, string|zuora.Error|nil message
function Report:detach(label_ids, options)
  return record.parts(self, Report, "report:detach").reports:detach(self.id, label_ids, options)
end

---@param caller table
---@param runs zuora.ReportRuns
---@return zuora.Reports
function reports.new(caller, runs)
  local report = record.kind("zuora.Report", Report, { caller = caller, reportruns = runs })
  report.reports = setmetatable({}, record.kind("zuora.Reports", Reports, { caller = caller, report = report }))
  return report.reports
end

return reports
