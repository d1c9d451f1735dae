--- The Reporting API, as the simulator answers it: the current paths and those of the legacy hosts alike.

local json = require "zuora.simulator.engine.json"
local replies = require "zuora.simulator.http.replies"
local samples = require "zuora.simulator.http.samples"

local UTF16_CSV = "text/csv;charset=utf-16"

local NOT_EXPORTABLE = "There are errors when exporting the report."
local NEVER_RUN = "The current user has not run this report yet. Please run the report before retrying."

local function run_reply(run, status)
  local answer = json.decode(samples.report_run)
  local fields = answer.response
  fields.id, fields.reportId, fields.reportType = run.id, run.reportId, run.reportType
  fields.startedOn, fields.updatedOn, fields.status = run.startedOn, run.updatedOn, status
  return replies.json(200, answer)
end

local function no_run(id)
  return replies.reporting_failure(404, "The report run " .. id .. " does not exist.")
end

local function start(request, tenant, id)
  local view = request.query.viewType
  if not view then
    return replies.reporting_failure(400, "Required String parameter 'viewType' is not present.")
  end
  if view ~= "Detail" and view ~= "Summary" then
    return replies.reporting_failure(400, "viewType must be Detail or Summary.")
  end
  local report = tenant.reports[id]
  if not report then return replies.reporting_failure(404, "The report " .. id .. " does not exist.") end
  if request.body ~= "" then
    local filters = json.decode(request.body)
    if type(filters) ~= "table" or not (filters[1] or request.body:match("^%s*%[%s*%]%s*$")) then
      return replies.reporting_failure(400, "The request body must be an array of filters.")
    end
  end
  local run = tenant.runs:start(report, view)
  local answer = json.decode(samples.run_started)
  answer.response.reportRunId = run.id
  return replies.json(200, answer)
end

local function get(_, tenant, id)
  local run = tenant.runs:find(id)
  if not run then return no_run(id) end
  return run_reply(run, tenant.runs:look(run))
end

local function cancel(_, tenant, id)
  local run = tenant.runs:find(id)
  if not run then return no_run(id) end
  return replies.json(200, tenant.runs:cancel(run) and samples.run_cancelled or samples.run_cancelled_before)
end

local function last(_, tenant, report_id)
  local run = tenant.runs:last(report_id)
  if not run then return replies.reporting_failure(400, NEVER_RUN) end
  return run_reply(run, run.status)
end

local function search(request, tenant)
  tenant.runs:settle()
  local body = json.decode(request.body)
  if type(body) ~= "table" or type(body.columns) ~= "table" or type(body.pagination) ~= "table" then
    return replies.reporting_failure(400, "The request body must have columns, pagination and sort.")
  end
  local wanted = {}
  for _, status in ipairs(request.query_all.status or {}) do wanted[status] = true end
  local found = {}
  for i = #tenant.runs.list, 1, -1 do
    local run = tenant.runs.list[i]
    local status = run.progress:stage()
    if wanted[status] or next(wanted) == nil then
      found[#found + 1] = { id = run.id, reportId = run.reportId, reportType = run.reportType,
        startedOn = run.startedOn, status = status }
    end
  end
  local size = math.tointeger(body.pagination.pageSize or 250)
  local page = math.tointeger(body.pagination.currentPage or 1)
  if not (size and page and size > 0 and page > 0) then
    return replies.reporting_failure(400, "The pagination must have whole numbers.")
  end
  local shown = table.move(found, (page - 1) * size + 1, math.min(#found, page * size), 1, {})
  return replies.json(200, { success = true, response = json.array(shown) })
end

local function data(request, tenant, id)
  local run = tenant.runs:find(id)
  local offset, size = tonumber(request.query.offset), tonumber(request.query.pageSize)
  if not (offset and size) then
    local missing = offset and "pageSize" or "offset"
    return replies.reporting_failure(400, "Required Integer parameter '" .. missing .. "' is not present.")
  end
  tenant.runs:settle()
  if not run then return no_run(id) end
  if run.status ~= "COMPLETED" then return replies.reporting_failure(400, "The report run is not completed.") end
  local page, total = tenant.runs:page(run, offset, size)
  return replies.json(200, { success = true,
    response = { page = json.array(page), offset = offset, size = size, total = total } })
end

local function export(_, tenant, id)
  tenant.runs:settle()
  local run = tenant.runs:find(id)
  if not run or run.status ~= "COMPLETED" then return replies.reporting_failure(400, NOT_EXPORTABLE) end
  return { status = 200, headers = { ["Content-Type"] = UTF16_CSV }, content = tenant.runs:export(run),
    etag = '"' .. run.id .. '"' }
end

-- Method, path below the base, handler(request, tenant, captures …).
return {
  { "POST", "/reports/([^/]+)/reportrun", start },
  { "GET", "/reports/([^/]+)/reportruns/latest", last },
  { "GET", "/reportruns/reportdata/([^/]+)", data },
  { "GET", "/reportruns/export/([^/]+)", export },
  { "GET", "/reportruns/([^/]+)", get },
  { "DELETE", "/reportruns/([^/]+)", cancel },
  { "POST", "/reportruns", search },
}
