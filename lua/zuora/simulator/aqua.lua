--- AQuA, as the simulator answers it: jobs, the last completed job, and result files.

local json = require "zuora.simulator.json"
local replies = require "zuora.simulator.replies"
local samples = require "zuora.simulator.samples"
local server = require "zuora.simulator.server"

local aqua = {}

local QUERY_LIMIT = 50

-- Old-fashioned callers send booleans as text.
local function truth(value) return value == true or value == "true" end

-- A batch follows its job's status, with the words that AQuA uses for batches.
local function batch_status(status, batch)
  if status == "aborted" and batch.parsed then return "completed" end
  return ({ submitted = "pending", executing = "executing", error = "aborted" })[status] or status
end

local function batch_fields(job, batch, status)
  local fields = {
    batchId = batch.batchId, name = batch.query.name, query = batch.query.query,
    batchType = batch.query.type or "zoqlexport",
    status = batch_status(status, batch), apiVersion = batch.query.apiVersion or "151.0", full = true,
    recordCount = batch.recordCount or 0, message = "", fileId = batch.fileId,
  }
  if fields.status == "aborted" then
    fields.message = job.message or "java.lang.RuntimeException: There is a syntax error in the query."
  end
  return fields
end

local function job_reply(job, status)
  local answer = json.decode(samples.job)
  local given = job.fields
  answer.id, answer.status = job.id, status
  answer.name, answer.partner, answer.project = given.name, given.partner, given.project
  answer.version, answer.format = tostring(given.version or "1.0"), (given.format or "csv"):upper()
  answer.startTime = os.date("!%Y-%m-%d %H:%M:%S", job.started)
  answer.batches = {}
  for i, batch in ipairs(job.batches) do answer.batches[i] = batch_fields(job, batch, status) end
  return replies.json(200, answer)
end

local function submit(request, tenant)
  local fields = json.decode(request.body)
  if type(fields) ~= "table" then
    return replies.reasons(400, 50000090, "The request body is not a JSON object.")
  end
  local format = (fields.format or "csv"):lower()
  if format ~= "csv" and format ~= "zip" and format ~= "gzip" then
    return replies.json(200, { success = false, code = 50000090, message = "Invalid format: " .. format })
  end
  local queries = fields.queries
  if type(queries) ~= "table" or #queries == 0 then
    return replies.job_rejected(fields, "90016", "No queries are given.")
  end
  if #queries > QUERY_LIMIT then
    return replies.job_rejected(fields, "90004", "The number of queries exceeds the limit of 50.")
  end
  for _, query in ipairs(queries) do
    if type(query) ~= "table" or type(query.query) ~= "string" then
      return replies.job_rejected({}, "90005", "There is a syntax error in one of the queries in the AQuA input")
    end
  end
  fields.useQueryLabels = truth(fields.useQueryLabels)
  local job = tenant:submit_job(fields)
  return job_reply(job, "submitted")
end

local function get(_, tenant, id)
  local job = tenant.jobs[id]
  if not job then return replies.reasons(404, 50000040, "Cannot find job by id: '" .. id .. "'.") end
  return job_reply(job, tenant:look_at_job(job))
end

local function cancel(_, tenant, id)
  local job = tenant.jobs[id]
  if not job then return replies.reasons(404, 50000040, "Cannot find job by id: '" .. id .. "'.") end
  if not tenant:cancel_job(job) then
    return replies.job_rejected({}, "90003", "The job cannot be cancelled: it has completed.")
  end
  return job_reply(job, "cancelled")
end

local function last(_, tenant, partner, project)
  partner, project = server.unescape(partner), server.unescape(project)
  local job = tenant:last_job(partner, project)
  if not job then return replies.reasons(404, 50000040, "No completed job of this partner and project.") end
  return job_reply(job, "completed")
end

local function file(_, tenant, id)
  local found = tenant.files[id]
  if not found then return replies.reasons(404, 50000040, "Cannot find file by id: '" .. id .. "'.") end
  return { status = 200, headers = { ["Content-Type"] = found.media_type }, body = found.content }
end

aqua.jobs = {
  { "POST", "", submit },
  { "GET", "/jobs/partner/([^/]+)/project/([^/]+)", last },
  { "GET", "/jobs/([^/]+)", get },
  { "DELETE", "/jobs/([^/]+)", cancel },
}

aqua.files = {
  { "GET", "/([^/]+)", file },
}

return aqua
