--- Lists of reports: a page of one, all pages of a search, and the one report of a name.

local check = require "zuora.support.check"
local core = require "zuora.core"
local error_value = require "zuora.error"
local pages = require "zuora.resources.pages"

local operations = core.operations.reports

local report_lists = {}

-- Fixed by Zuora.
local PAGE = 50

-- Names of others that are told where there is none of the name that was asked for.
local NAMED = 3

--- Is it what the API gives for a report?
---@param fields any
---@return boolean
function report_lists.is_report(fields) return type(fields) == "table" and check.is(fields.id, "id") end

local function read_list(list, context)
  if type(list) ~= "table" or #list == 0 and next(list) ~= nil then return nil, "the answer has no list of reports" end
  for i, fields in ipairs(list) do
    if not report_lists.is_report(fields) then return nil, "the list of reports holds something without an 'id'" end
    list[i] = setmetatable(fields, context.record)
  end
  return list
end

--- Calls an operation that answers with a list of reports (by itself it may be, but for a search), and maybe with how
--- many there are in all.
---@param context table of client.reports
---@param operation table
---@param parameters table
---@param options table
---@return zuora.Report[]|nil reports, integer|zuora.Error|nil total
function report_lists.page(context, operation, parameters, options)
  local total
  local list, err = context.caller:reporting(operation, parameters, options, function(response)
    if type(response) ~= "table" then return nil, "the answer has no list of reports" end
    total = pages.total(response.count or response.totalCount)
    return read_list(response.reports or response.elements or operation ~= operations.search and response, context)
  end)
  if not list then return nil, err end
  return list, total
end

--- The order of a list as Zuora wants it: exactly this form, the truth value as text.
---@param options { order_by: string|nil, ascending: boolean|nil }
---@return string|nil
function report_lists.order(options)
  if options.order_by == nil and options.ascending == nil then return nil end
  return ('[{"field":"%s","ascend":"%s"}]'):format(options.order_by or "updated_on", options.ascending ~= false)
end

--- A page of a search; see client.reports:search.
function report_lists.search(context, text, start, options)
  return report_lists.page(context, operations.search, { query = text, orderBy = report_lists.order(options),
    searchStart = start, namespace = options.namespace }, options)
end

--- All pages of it; see client.reports:each.
function report_lists.each(context, text, options)
  return pages.each("the search for reports", PAGE, function(received)
    return report_lists.search(context, text, received > 0 and received or nil, options)
  end)
end

-- What else a search has found: how many, and the first of their names.
local function told(others)
  if #others == 1 then return ("1 other was found: \"%s\""):format(others[1]) end
  local first = #others > 0 and (": \"%s\"%s"):format(table.concat(others, '", "', 1, math.min(#others, NAMED)),
    #others > NAMED and " …" or "") or ""
  return ("%d others were found%s"):format(#others, first)
end

--- The one report of a name; see client.reports:find.
function report_lists.find(context, name, options)
  local found, others = {}, {}
  local done, err = error_value.guarded(function()
    for report in report_lists.each(context, name, context.caller:shared(options)) do
      if report.name == name then
        found[#found + 1] = report
      else
        others[#others + 1] = error_value.clean(tostring(report.name), 80)
      end
    end
    return true
  end)
  if not done then return nil, err end
  if #found == 1 then return found[1] end
  if #found == 0 then
    local hint = name:find(("[A-Za-z0-9]"):rep(3)) and ""
      or "; Zuora's search ignores words of less than three letters"
    return nil, error_value.new { kind = "not_found", reports = found,
      message = ("no report has the name \"%s\" (%s%s)"):format(name, told(others), hint) }
  end
  local ids = {}
  for i, report in ipairs(found) do ids[i] = report.id end
  return nil, error_value.new { kind = "ambiguous", reports = found,
    message = ("%d reports have the name \"%s\": %s"):format(#found, name, table.concat(ids, ", ")) }
end

return report_lists
