--- client.jobs: AQuA jobs, and the records that stand for them; their batches are in batches.lua.

local batches = require "zuora.resources.batches"
local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local entrance = require "zuora.resources.entrance"
local lifecycle = require "zuora.resources.lifecycle"
local record = require "zuora.resources.record"
local submit = require "zuora.resources.submit"
local wait = require "zuora.tasks.wait"

local operations = core.operations.jobs

local jobs = {}

---@class zuora.Jobs
local Jobs = {}

---@class zuora.Job
local Job = {}

-- --- what is shared ----------------------------------------------------------------------------------

-- The words of the answer that repeat those of the request.
local ECHOES = { "partner", "project" }

local function other_echo(fields, wanted)
  for _, name in ipairs(ECHOES) do
    local echo = fields[name]
    if wanted[name] and echo ~= nil and echo ~= wanted[name] then
      return ("the answer is about the %s %s, not %s"):format(name, tostring(echo), wanted[name])
    end
  end
  return nil
end

local function about(wanted) return wanted.id and "job " .. wanted.id or "the job" end

-- A job as the API describes it, with its batches as records, or what is wrong with it: it must be one that
-- was asked for. (A stateless job echoes neither partner nor project.)
local function read(fields, wanted, context)
  if type(fields) ~= "table" then return nil, "the answer describes no job" end
  if not core.is_id(fields.id) then return nil, "the answer about " .. about(wanted) .. " has no 'id'" end
  if wanted.id and fields.id ~= wanted.id then
    return nil, ("the answer is about job %s, not %s"):format(fields.id, wanted.id)
  end
  if type(fields.status) ~= "string" then return nil, "the answer about " .. about(wanted) .. " has no 'status'" end
  if not wanted.id then
    local problem = other_echo(fields, wanted)
    if problem then return nil, problem end
  end
  local unsound = batches.read(fields.batches, context.batch, fields.format)
  if unsound then return nil, ("the 'batches' of %s are %s"):format(about(wanted), unsound) end
  return fields
end

-- Takes over what the API says of a job now. A batch that somebody holds stays the same table.
local function replace(job, fields)
  for i, batch in ipairs(fields.batches or {}) do
    local known = (job.batches or {})[i]
    if known and known.name == batch.name and (known.batchId or batch.batchId) == batch.batchId then
      fields.batches[i] = record.replace(known, batch)
    end
  end
  return record.replace(job, fields)
end

-- A job whose batches are those of its queries.
local function checked(job, err)
  if not job then return nil, err end
  local caller = record.context(job, Job, "job").caller
  local sound, problem = batches.check(job, caller)
  if not sound then return caller:shown(nil, problem) end
  return job
end

-- What there is to say of a failure: one failed query ends the whole job.
local function details(job)
  local messages = batches.messages(job.batches or {})
  if messages ~= "" then return messages end
  return type(job.message) == "string" and job.message or nil
end

local life = lifecycle.new {
  noun = "job", operations = operations, api = "json", read = read, replace = replace, details = details,
  status = "status", failed_by = "errorCode",
  outcomes = {
    completed = { "completed" },
    cancelled = { "cancelled", "was cancelled" },
    aborted = { "failed", "was aborted" },
    error = { "failed", "ended with an error" },
  },
}

-- --- what the methods take ---------------------------------------------------------------------------

local PROJECT = { partner = "segment!", project = "segment!" }
local SUBMIT = check.rules(call.keyed_options, submit.fields)
local DOWNLOAD = check.rules(call.file_options, batches.download_options)

-- A job may be known by itself, by its id, or by its startTime. Zuora does not say in which zone that is, but it
-- is the same for all: such times are compared with one another, as text, and with nothing else.
local START_TIME = "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$"

local function check_since(where, options)
  local since = options.since
  if since == nil or type(since) == "string" and since:match(START_TIME) then return end
  if type(since) == "table" then
    check.value(where, "since.id", since.id, "id")
  elseif not check.is(since, "id") then
    check.fail(where, "since", "a job, its id, or a startTime expected")
  end
end

local function check_fields(where, _, fields) check.options(where, fields, SUBMIT) end

local METHODS = {
  submit = { operations.submit, "fields:table", check = check_fields },
  get = { operations.get, "job_id" },
  last = { operations.last, options = PROJECT },
  recover = { operations.last, check = check_since,
    options = check.rules(PROJECT, { since = "any", timeout = "limit", request_timeout = "seconds" }) },
  cancel = { operations.cancel, "job_id" },
  wait = { operations.get, "job_id", options = wait.options },
  download = { operations.get, "job_id", "dir:line", options = DOWNLOAD },
  fetch = { operations.submit, "fields:table", "dir:line", check = check_fields,
    options = check.rules(wait.options, DOWNLOAD) },
}
local enter = entrance.collection(Jobs, "client.jobs", METHODS)
local enter_job = entrance.record(Job, "job", { refresh = METHODS.get, wait = METHODS.wait, cancel = METHODS.cancel,
  download = METHODS.download, is_stateful = {}, batch = { "name:string" } })

-- Submits a job, of which is known from then on what it was submitted with.
local function submit_job(context, fields, options)
  local body = submit.body(fields, function(...) context.caller:log(...) end)
  local job, err = life:call(context, operations.submit, body, options)
  if not job then return nil, err end
  batches.note(job, body, context.caller)
  return checked(job)
end

-- --- client.jobs -------------------------------------------------------------------------------------

--- Submits a job. POST /v1/batch-query
---@param fields zuora.JobSubmit AQuA's own fields by their wire names; and the per-call options (track_id, entity_id,
--- idempotency_key, timeout, total_timeout, retries), which are not sent.
--- queries: `{ Account = "select …" }`, a list of texts, or a list of { name, query, type ("zoqlexport"), apiVersion,
--- convertToCurrencies, deleted = { column, format, forceExport } }; at most 50. partner and project: a stateful
--- job, which may leave queries out to run its last ones again. format: "csv" (default), "zip", "gzip"; version:
--- chosen to fit; useQueryLabels = true: columns are called "Account.Name", and not "Account: Name"; name, dateTimeUtc,
--- nullReplacement, notifyUrl, incrementalTime, offset (seconds), encrypted, useLastCompletedJobQueries, sourceData
---@param options zuora.CreateOptions|nil which go before those in fields
---@return zuora.Job|nil job
---@return zuora.Error|nil err with idempotency_key: under it the same submit makes no second job for 24 hours
function Jobs:submit(fields, options)
  local context
  context, fields, options = enter(self, "submit", fields, options)
  return submit_job(context, fields, check.rules(fields, options))
end

--- A job as it is now. GET /v1/batch-query/jobs/{job_id}
---@param job_id string
---@param options zuora.CallOptions|nil
---@return zuora.Job|nil job, zuora.Error|nil err
function Jobs:get(job_id, options) return life:get(enter(self, "get", job_id, options)) end

--- The last completed job of a partner and project.
--- GET /v1/batch-query/jobs/partner/{partner}/project/{project}
---@param options zuora.JobLastOptions
---@return zuora.Job|nil job, zuora.Error|nil err
function Jobs:last(options)
  local context
  context, options = enter(self, "last", options)
  return life:call(context, operations.last, { partner = options.partner, project = options.project }, options)
end

-- Nil: there is nothing to compare it with. Of two that began in the same second the last completed one is
-- newer only than one that has completed, too.
local function is_newer(job, since)
  if since == nil then return nil end
  local is_job = type(since) == "table"
  if is_job and job.id == since.id then return false end
  local began, before = job.startTime, is_job and since.startTime or since
  if type(began) ~= "string" or type(before) ~= "string" then return nil end
  return began > before or began == before and is_job and record.status(since.status) == "completed"
end

--- What has become of a stateful submit whose answer was lost: the last completed job of its partner and
--- project, and whether it is newer than the one known before. A stateful job that runs twice takes the changes
--- away from the one that was meant to have them, so nothing is submitted here.
--- GET /v1/batch-query/jobs/partner/{partner}/project/{project}
---@param options zuora.JobRecoverOptions
--- since: the last job that is known (its id will do, for one call more, or its startTime); timeout: seconds to go on
--- looking until a newer one has completed (0); and the per-call options, where request_timeout is for one poll
---@return zuora.Job|nil job the last completed one
---@return boolean|nil|zuora.Error newer nil without `since`; or the error
function Jobs:recover(options)
  local context
  context, options = enter(self, "recover", options)
  local caller, since = context.caller, options.since
  local id = type(since) == "table" and not since.startTime and since.id
    or type(since) == "string" and not since:match(START_TIME) and since
  if id then -- when it began is still to be learnt
    local known, problem = life:get(context, id,
      caller:shared(options, { timeout = options.request_timeout or caller.settings.timeout }))
    if not known then return nil, problem end
    since = known
  end
  local last
  local wanted = { partner = options.partner, project = options.project }
  local found, err = caller:wait({
    label = ("a newer job of %s, %s"):format(options.partner, options.project),
    verdict = function(_, job)
      local settled = record.status(job.status) == "completed" and is_newer(job, since) ~= false
      return settled and "completed" or nil
    end,
    poll = function(_, left, wait_options)
      local job, problem = life:call(context, operations.last, wanted, caller:poll_options(wait_options, left))
      last = job or last
      if problem and problem.status == 404 then problem.retryable = true end -- none has completed so far
      return job, problem
    end,
  }, check.rules(options, { timeout = options.timeout or 0 }))
  if found then return found, is_newer(found, since) end
  if last and err.kind == "timeout" and not err.cause then return last, false end
  return nil, err.kind == "timeout" and err.cause or err
end

--- Cancels a job that has not completed. DELETE /v1/batch-query/jobs/{job_id}; and GET, where the answer does not
--- say what the job is then
---@param job_id string
---@param options zuora.CallOptions|nil
---@return zuora.Job|nil job, zuora.Error|nil err
function Jobs:cancel(job_id, options) return life:cancel(enter(self, "cancel", job_id, options)) end

--- Polls a job until it has settled. GET /v1/batch-query/jobs/{job_id}, again and again
---@param job_id string
---@param options zuora.WaitOptions|nil timeout (900 s, the whole wait), min 1, max 20, factor 1.5, jitter, on_poll
--- request_timeout (s, for one poll)
---@return zuora.Job|nil job
---@return zuora.Error|nil err kind `failed`, `cancelled` (with err.record), `timeout`, `stopped` …
function Jobs:wait(job_id, options) return checked(life:wait(enter(self, "wait", job_id, options))) end

-- The results of all batches; a job that is known by its id alone is asked for them.
local function download(context, job_id, dir, options, job)
  if not job then
    local err
    options = context.caller:shared(options)
    job, err = life:get(context, job_id, options)
    if not job then return nil, err end
  end
  return batches.download_all(context, job, dir, options)
end

--- Fetches the results of all batches of a job; see job:download. GET /v1/batch-query/jobs/{job_id}, and its files
---@param job_id string
---@param dir string made when it is missing
---@param options zuora.BatchDownloadOptions|nil as for batch:download
---@return zuora.Written[]|nil written, zuora.Error|nil err
function Jobs:download(job_id, dir, options) return download(enter(self, "download", job_id, dir, options)) end

--- Submits a job, waits for it, and downloads the results of all batches. POST /v1/batch-query, and what the wait and
--- the downloads need
---@param fields table see client.jobs:submit; per-call options in it are for the submit
---@param dir string made when it is missing
---@param options zuora.JobFetchOptions|nil those of client.jobs:wait and of batch:download. timeout is the whole wait,
--- request_timeout one request, total_timeout over everything
---@return zuora.Written[]|nil written
---@return zuora.Error|nil err
function Jobs:fetch(fields, dir, options)
  local context
  context, fields, dir, options = enter(self, "fetch", fields, dir, options)
  return life:fetch(context, options, function(request_options)
    return submit_job(context, fields, check.rules(request_options, fields))
  end, function(job, request_options) return batches.download_all(context, job, dir, request_options) end)
end

-- --- the record --------------------------------------------------------------------------------------

--- Asks for the job's present state, and takes it over. GET /v1/batch-query/jobs/{id}
---@param options zuora.CallOptions|nil
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:refresh(options) return life:get(enter_job(self, "refresh", options)) end

--- Polls until the job has settled; see client.jobs:wait. Completed is final: a job that is known to be
--- completed is not asked for again.
---@param options zuora.WaitOptions|nil
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:wait(options) return checked(life:wait(enter_job(self, "wait", options))) end

--- Cancels the job, and takes over what Zuora says of it then. DELETE /v1/batch-query/jobs/{id}
---@param options zuora.CallOptions|nil
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:cancel(options) return life:cancel(enter_job(self, "cancel", options)) end

--- Fetches the results of all batches, side by side, into a directory: Name.csv for each. GET /v1/files/{id}
---@param dir string made when it is missing
---@param options zuora.BatchDownloadOptions|nil as for batch:download; on_progress(bytes, total|nil, name of the batch)
---@return zuora.Written[]|nil written in the order of the
--- batches
---@return zuora.Error|nil err with err.results and err.failures, both by the place of the batch: what could be
--- written is
function Job:download(dir, options) return download(enter_job(self, "download", dir, options)) end

--- Is it a stateful job, one that brings what has changed since its last run?
---@return boolean
function Job:is_stateful()
  enter_job(self, "is_stateful")
  return self.partner ~= nil and self.project ~= nil and (tonumber(self.version) or 1.1) >= 1.1
end

--- The batch of that name, or nil.
---@param name string
---@return zuora.Batch|nil
function Job:batch(name)
  enter_job(self, "batch", name)
  for _, batch in ipairs(self.batches or {}) do
    if batch.name == name then return batch end
  end
  return nil
end

---@param caller table
---@return zuora.Jobs
function jobs.new(caller)
  local batch = batches.metatable(caller)
  local job = record.metatable("zuora.Job", Job, { caller = caller, batch = batch })
  return setmetatable({}, record.metatable("zuora.Jobs", Jobs, { caller = caller, batch = batch, record = job }))
end

return jobs
