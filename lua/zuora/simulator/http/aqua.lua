--- AQuA, as the simulator answers it: jobs, the last completed job, and result files.

local core = require "zuora.core"
local form = require "zuora.simulator.http.form"
local json = require "zuora.simulator.engine.json"
local replies = require "zuora.simulator.http.replies"
local samples = require "zuora.simulator.http.samples"
local times = require "zuora.simulator.engine.times"

local aqua = {}

-- Old-fashioned callers send booleans as text.
local function truth(value) return value == true or value == "true" end

-- Queries run one after another; a batch has its own words for where it stands. A job that is cancelled leaves
-- the query that runs aborted, and the others as they were.
local function batch_status(job, batch, status)
  if status == "submitted" then return "pending" end
  if status == "executing" then return batch == job.batches[1] and "executing" or "submitted" end
  if status == "cancelled" then return job.began and batch == job.batches[1] and "aborted" or "submitted" end
  if status == "error" then return "aborted" end
  if status == "aborted" and not batch.plan.problem then return job.forced and "aborted" or "completed" end
  return status
end

local function batch_fields(job, batch, status)
  local fields = {
    batchId = batch.batchId, name = batch.query.name, query = batch.query.query,
    batchType = batch.query.type or "zoqlexport",
    status = batch_status(job, batch, status), apiVersion = batch.query.apiVersion or "151.0", full = batch.full,
    recordCount = 0, message = "", deleted = batch.query.deleted,
  }
  if fields.status == "completed" then
    fields.recordCount, fields.fileId, fields.segments = batch.recordCount or 0, batch.fileId, batch.segments
  end
  if fields.status == "aborted" then
    fields.message = batch.plan.problem or status == "cancelled" and "The query execution has been aborted."
      or "java.lang.RuntimeException: The query could not be executed."
  end
  return fields
end

local function job_reply(job, status)
  local answer = json.decode(samples.job)
  local given = job.fields
  answer.id, answer.status = job.id, status
  answer.name, answer.partner, answer.project = given.name, given.partner, given.project
  answer.version, answer.format = tostring(given.version or "1.0"), (given.format or "csv"):upper()
  answer.startTime = os.date("!%Y-%m-%d %H:%M:%S", math.floor(job.started))
  answer.notifyUrl, answer.offset = given.notifyUrl, given.offset
  answer.incrementalTime = given.incrementalTime and math.floor(times.of(given.incrementalTime) * 1000)
  answer.encrypted = given.encrypted or "none"
  if job.code and status == "aborted" then answer.errorCode, answer.message = job.code, job.message end
  answer.batches = {}
  for i, batch in ipairs(job.batches) do answer.batches[i] = batch_fields(job, batch, status) end
  return replies.json(200, answer)
end

local function submit(request, tenant)
  local fields = json.decode(request.body)
  if type(fields) ~= "table" then
    return replies.reasons(400, 50000090, "The request body is not a JSON object.")
  end
  local format = tostring(fields.format or "csv"):lower()
  if format ~= "csv" and format ~= "zip" and format ~= "gzip" then
    return replies.json(200, { success = false, code = 50000090, message = "Invalid format: " .. format })
  end
  for _, query in ipairs(type(fields.queries) == "table" and fields.queries or {}) do
    if type(query) ~= "table" or type(query.query) ~= "string" then
      return replies.job_rejected({}, "90005", "There is a syntax error in one of the queries in the AQuA input")
    end
    if query.deleted ~= nil and type(query.deleted) ~= "table" then
      return replies.job_rejected({}, "90005", "There is a syntax error: deleted is an object")
    end
    if query.deleted then query.deleted.forceExport = truth(query.deleted.forceExport) end
  end
  for _, name in ipairs { "useQueryLabels", "dateTimeUtc", "useLastCompletedJobQueries" } do
    if fields[name] ~= nil then fields[name] = truth(fields[name]) end
  end
  local job, code, message = tenant.jobs:submit(fields)
  if not job then return replies.job_rejected(fields, code, message) end
  return job_reply(job, "submitted")
end

local function no_job(id)
  return replies.reasons(404, 50000040, "Cannot find job by id: '" .. id .. "'.")
end

local function get(_, tenant, id)
  local job = tenant.jobs:find(id)
  if not job then return no_job(id) end
  return job_reply(job, tenant.jobs:look(job))
end

local function cancel(_, tenant, id)
  local job = tenant.jobs:find(id)
  if not job then return no_job(id) end
  if not tenant.jobs:cancel(job) then
    return replies.job_rejected({}, "90003", "The job cannot be cancelled: it has completed.")
  end
  return job_reply(job, "cancelled")
end

local function last(_, tenant, partner, project)
  local job = tenant.jobs:last(form.unescape(partner), form.unescape(project))
  if not job then return replies.reasons(404, 50000040, "No completed job of this partner and project.") end
  return job_reply(job, "completed")
end

-- The name of a file for a header: what is not ASCII comes in a second form (RFC 5987), for who knows it.
local function disposition(name)
  name = name:gsub("%c", "")
  local plain = name:gsub("[\128-\255]+", "_"):gsub('[\\"]', "\\%0")
  local header = ('attachment; filename="%s"'):format(plain)
  if not name:find "[\128-\255]" then return header end
  return header .. "; filename*=UTF-8''" .. core.escape(name)
end

local function file(_, tenant, id)
  local found = tenant.jobs:file(id)
  if not found then return replies.reasons(404, 50000040, "Cannot find file by id: '" .. id .. "'.") end
  if found.content.length > (tenant.file_bytes or math.huge) then return replies.envelope "E16" end
  local headers = { ["Content-Type"] = found.media_type, ["Content-Disposition"] = disposition(found.name) }
  return { status = 200, headers = headers, content = found.content, etag = found.etag }
end

local function file_status(_, tenant, id)
  if not tenant.jobs:file(id) then return replies.reasons(404, 50000040, "Cannot find file by id: '" .. id .. "'.") end
  return replies.json(200, { success = true, accessible = true, status = "RESTORED" })
end

aqua.jobs = {
  { "POST", "", submit },
  { "GET", "/file/([^/]+)", file },
  { "GET", "/jobs/partner/([^/]+)/project/([^/]+)", last },
  { "GET", "/jobs/([^/]+)", get },
  { "DELETE", "/jobs/([^/]+)", cancel },
}

aqua.files = {
  { "GET", "/([^/]+)", file },
  { "GET", "/([^/]+)/status", file_status },
}

return aqua
