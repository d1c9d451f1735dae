--- Data Query, as the simulator answers it: jobs of one select each, whose results lie in a bucket.

local json = require "zuora.simulator.engine.json"
local replies = require "zuora.simulator.http.replies"

local USER = "6b6ec9d6-4b5e-4c7a-9a3a-2f0c5d1e8b47"

local LARGEST_PAGE, DEFAULT_PAGE = 1000, 20

local STATUSES = { submitted = true, accepted = true, in_progress = true, completed = true, failed = true,
  cancelled = true }

local function refusal(status, code, message)
  return replies.json(status, { code = code, message = message })
end

local function unknown_job(id)
  return refusal(404, 1001, "Query job with id " .. id .. " was not found.")
end

-- --- what a job says of itself -----------------------------------------------------------------------

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
    fields.outputRows, fields.dataFile = job.rows, request.bucket:link(request.origin, job.file)
  elseif job.status == "failed" then
    fields.errorCode, fields.errorMessage = "LINK_10000005", problem_of(job)
  end
  return fields
end

local function job_reply(request, tenant, job)
  return replies.json(200, { data = fields_of(request, tenant, job) })
end

-- --- calls -------------------------------------------------------------------------------------------

local function submit(request, tenant)
  local job, problem = tenant.queries:submit(json.decode(request.body))
  if not job then return refusal(400, 1003, problem) end
  return job_reply(request, tenant, job)
end

local function list(request, tenant)
  local wanted, size = request.query.queryStatus, request.query.pageSize
  if wanted and not STATUSES[wanted] then return refusal(400, 1003, "The parameter 'queryStatus' is not valid.") end
  size = size == nil and DEFAULT_PAGE or math.tointeger(tonumber(size))
  if not size or size < 1 or size > LARGEST_PAGE then
    return refusal(400, 1003, "The parameter 'pageSize' is a number from 1 to 1000.")
  end
  tenant.queries:settle()
  local found = {}
  for i = #tenant.queries.list, 1, -1 do
    local job = tenant.queries.list[i]
    if #found < size and (wanted or job.status) == job.status then
      found[#found + 1] = fields_of(request, tenant, job)
    end
  end
  return replies.json(200, { data = json.array(found) })
end

local function get(request, tenant, id)
  local job = tenant.queries:find(id)
  if not job then return unknown_job(id) end
  tenant.queries:look(job)
  return job_reply(request, tenant, job)
end

local function cancel(request, tenant, id)
  local job = tenant.queries:find(id)
  if not job then return unknown_job(id) end
  if not tenant.queries:cancel(job) then
    return refusal(400, 1003, ("The query job is %s: it cannot be cancelled."):format(job.status))
  end
  return job_reply(request, tenant, job)
end

return {
  { "POST", "", submit },
  { "GET", "", list },
  { "GET", "/([^/]+)", get },
  { "DELETE", "/([^/]+)", cancel },
}
