--- Reports, as the simulator answers for them: their search on all hosts, who owns them on the current ones, and
--- on the legacy ones their making, changing and labels.

local catalogue = require "zuora.simulator.engine.catalogue"
local json = require "zuora.simulator.engine.json"
local replies = require "zuora.simulator.http.replies"

local reports = {}

local PAGE = 50

local failure = replies.reporting_failure

local function success(response) return replies.json(200, { success = true, response = response }) end

local function missing(name)
  return failure(400, ("Required String parameter '%s' is not present."):format(name), "ZAN-REST-ERROR")
end

-- A handler for the report whose id comes first in the path.
local function of_report(handler)
  return function(request, tenant, id)
    local report = tenant.reports[id]
    if not report then return failure(404, "The report " .. id .. " does not exist.") end
    return handler(request, tenant, report)
  end
end

---@return table<string, any>|nil
local function decoded_object(text)
  local value = json.decode(text)
  return type(value) == "table" and text:match "^%s*{" and value or nil
end

-- A JSON array of texts, or nil.
local function texts_of(value)
  if type(value) ~= "table" or next(value) ~= nil and #value == 0 then return nil end
  for _, text in ipairs(value) do
    if type(text) ~= "string" then return nil end
  end
  return value
end

-- --- search ------------------------------------------------------------------------------------------

local ORDERS = { updated_on = "updatedOn", name = "name" }
local ASCENDS = { ["true"] = true, ["false"] = false }

-- [{"field":"name","ascend":"true"}] to the letter: booleans are text. Nil for anything else.
local function order_of(text)
  if not text then return { { field = "updatedOn", ascend = false } } end
  local given = json.decode(text)
  if type(given) ~= "table" or not text:match "^%s*%[" or #given == 0 then return nil end
  local order = {}
  for i, by in ipairs(given) do
    if type(by) ~= "table" then return nil end
    local field, ascend = ORDERS[by.field], ASCENDS[by.ascend]
    if not field or ascend == nil then return nil end
    for name in pairs(by) do
      if name ~= "field" and name ~= "ascend" then return nil end
    end
    order[i] = { field = field, ascend = ascend }
  end
  return order
end

local function search(request, tenant)
  local asked = request.query
  if not asked.query then return missing "query" end
  local order, start = order_of(asked.orderBy), math.tointeger(tonumber(asked.searchStart or 0))
  if not order then return failure(400, "The parameter 'orderBy' is not valid.") end
  if not start or start < 0 then return failure(400, "The parameter 'searchStart' is not valid.") end
  local matches = catalogue.matcher(asked.query)
  local found = tenant.catalogue:all(function(report)
    return matches(report) and (asked.namespace or report.fields.namespace) == report.fields.namespace
  end, order)
  local page = {}
  for i = start + 1, math.min(#found, start + PAGE) do page[#page + 1] = tenant.catalogue:shown(found[i]) end
  return success { reports = json.array(page), count = #found }
end

-- --- who owns them -----------------------------------------------------------------------------------

local function transfer(request, tenant)
  local given = decoded_object(request.body)
  local owner = given and given.newOwnerUserId
  local wanted = given and texts_of(given.reportIds or given.reportNames)
  if type(owner) ~= "string" or owner == "" then return failure(400, "The field 'newOwnerUserId' is required.") end
  if not wanted or #wanted == 0 or given.reportIds and given.reportNames then
    return failure(400, "One of the fields 'reportNames' and 'reportIds' is required.")
  end
  local moved = {}
  for _, text in ipairs(wanted) do
    local one = tenant.catalogue:all(function(report)
      return text == (given.reportIds and report.id or report.name)
    end, {})
    if #one == 0 then return failure(400, "The report " .. text .. " does not exist.") end
    table.move(one, 1, #one, #moved + 1, moved)
  end
  for _, report in ipairs(moved) do report.fields.userId = owner end
  return success "Transfer ownership successfully"
end

-- --- looking at them ---------------------------------------------------------------------------------

local function everything() return true end

local function mine(_, tenant)
  local list = tenant.catalogue:all(everything, order_of(nil))
  for i, report in ipairs(list) do list[i] = tenant.catalogue:shown(report) end
  return success(json.array(list))
end

local function get(_, tenant, report) return success(tenant.catalogue:detailed(report)) end

local function with_labels(tenant, report)
  local fields = tenant.catalogue:detailed(report)
  fields.reportLabels = json.array(tenant.catalogue:labels_of(report))
  return fields
end

local function details(_, tenant, report) return success(with_labels(tenant, report)) end

local function details_of_label(request, tenant, label)
  if not tenant.catalogue.labels[label] then return failure(404, "The report label " .. label .. " does not exist.") end
  local paging = decoded_object(request.query.paging or '{"pageNo":0,"pageSize":20}') or {}
  local number, size = math.tointeger(paging.pageNo), math.tointeger(paging.pageSize)
  if not number or not size or number < 0 or size < 1 then
    return failure(400, "The parameter 'paging' is not valid.")
  end
  local order = order_of(request.query.orderBy)
  if not order then return failure(400, "The parameter 'orderBy' is not valid.") end
  local found = tenant.catalogue:all(function(report) return report.labels[label] == true end, order)
  local elements = {}
  for i = number * size + 1, math.min(#found, (number + 1) * size) do
    elements[#elements + 1] = with_labels(tenant, found[i])
  end
  return success { totalCount = #found, totalPage = (#found + size - 1) // size, pageNo = number, pageSize = size,
    elements = json.array(elements) }
end

-- --- labels ------------------------------------------------------------------------------------------

local function all_labels(_, tenant) return success(json.array(tenant.catalogue:labels_of())) end

local function labels(_, tenant, report) return success(json.array(tenant.catalogue:labels_of(report))) end

-- Attaches or detaches the labels of the body.
local function change_labels(verb)
  return of_report(function(request, tenant, report)
    local ids = request.body:match "^%s*%[" and texts_of(json.decode(request.body))
    if not ids then return failure(400, "The request body must be an array of label ids.") end
    local unknown = tenant.catalogue:unknown_label(ids)
    if unknown then return failure(400, "The report label " .. unknown .. " does not exist.") end
    tenant.catalogue[verb](tenant.catalogue, report, ids)
    return labels(request, tenant, report)
  end)
end

-- --- making and changing -----------------------------------------------------------------------------

-- What is wrong with these fields of a report and these ids of labels, as an answer.
local function problem_of(tenant, given, label_ids)
  local wrong = catalogue.wrong_field(given)
  if wrong then return failure(400, ("The field '%s' is not valid."):format(wrong)) end
  local unknown = tenant.catalogue:unknown_label(label_ids)
  if unknown then return failure(400, "The report label " .. tostring(unknown) .. " does not exist.") end
  return nil
end

local function create(request, tenant)
  local given = decoded_object(request.body)
  if not given then return failure(400, "The request body must be an object.") end
  for _, name in ipairs { "name", "dsName", "datasource", "definition" } do
    if type(given[name]) ~= "string" or given[name] == "" then
      return failure(400, ("The field '%s' is required."):format(name))
    end
  end
  local label_ids = texts_of(given.labelIds or {})
  if not label_ids then return failure(400, "The field 'labelIds' is not valid.") end
  return problem_of(tenant, given, label_ids)
    or success(tenant.catalogue:detailed(tenant.catalogue:create(given, label_ids)))
end

local function copy(request, tenant)
  local from = request.query.from
  if not from then return missing "from" end
  if not tenant.reports[from] then return failure(400, "The report " .. from .. " does not exist.") end
  local label_ids = {}
  for id in (request.query.labelIds or ""):gmatch "[^,]+" do label_ids[#label_ids + 1] = id end
  local given = tenant.catalogue:shown(tenant.reports[from])
  given.name = request.query.name or ("Copy of " .. given.name)
  given.id, given.number, given.createdOn, given.updatedOn = nil, nil, nil, nil
  return problem_of(tenant, given, label_ids)
    or success(tenant.catalogue:detailed(tenant.catalogue:create(given, label_ids, tenant.reports[from])))
end

local function save(request, tenant, report)
  local given = decoded_object(request.body)
  if not given then return failure(400, "The request body must be an object.") end
  local problem = problem_of(tenant, given, {})
  if problem then return problem end
  tenant.catalogue:save(report, given)
  return success(tenant.catalogue:detailed(report))
end

local function remove(_, tenant, report)
  tenant.catalogue:remove(report)
  return success "The report has been deleted"
end

-- --- settings ----------------------------------------------------------------------------------------

local function settings(_, tenant) return success { emailDomains = json.array(tenant.email_domains) } end

local function change_settings(request, tenant)
  local given = decoded_object(request.body)
  local domains = given and texts_of(given.emailDomains)
  if not domains then return failure(400, "The field 'emailDomains' is an array of domains.") end
  tenant.email_domains = domains
  return success { status = "OK", code = 100, message = "Success" }
end

-- Method, path below the base, handler(request, tenant, captures …).

reports.current = {
  { "GET", "/reports/search", search },
  { "POST", "/reports/transfer%-ownership", transfer },
}

reports.legacy = {
  { "GET", "/reports/search", search },
  { "GET", "/reports", mine },
  { "GET", "/reports/report/([^/]+)", of_report(get) },
  { "GET", "/reports/([^/]+)/report%-details", of_report(details) },
  { "GET", "/reports/reportlabels/([^/]+)/report%-details", details_of_label },
  { "GET", "/reports/([^/]+)/reportlabels", of_report(labels) },
  { "POST", "/reports/([^/]+)/reportlabels", change_labels "attach" },
  { "DELETE", "/reports/([^/]+)/reportlabels", change_labels "detach" },
  { "GET", "/reportlabels", all_labels },
  { "POST", "/reports", create },
  { "POST", "/reports/copy", copy },
  { "POST", "/reports/([^/]+)", of_report(save) },
  { "DELETE", "/reports/([^/]+)", of_report(remove) },
  { "GET", "/settings", settings },
  { "POST", "/settings", change_settings },
}

return reports
