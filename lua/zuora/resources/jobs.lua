--- client.jobs: AQuA jobs, and the records that stand for them and their batches.

local ascii = require "zuora.support.ascii"
local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local error_value = require "zuora.error"
local fetch = require "zuora.resources.fetch"
local names = require "zuora.support.names"
local record = require "zuora.resources.record"
local rows = require "zuora.rows"
local submit = require "zuora.resources.submit"
local wait = require "zuora.tasks.wait"

local operations = core.operations.jobs

local jobs = {}

---@class zuora.Jobs
local Jobs = {}

---@class zuora.Job
local Job = {}

---@class zuora.Batch
local Batch = {}

local options_of = {
  submit = check.rules(call.keyed_options, submit.fields),
  one = call.options,
  last = check.rules(call.options, { partner = "segment!", project = "segment!" }),
  recover = check.rules(call.options, { partner = "segment!", project = "segment!", since = "any", timeout = "limit",
    request_timeout = "seconds" }),
  wait = check.rules(call.options, wait.options),
  download = check.rules(call.file_options, { verify = "boolean", resume = "boolean", strict = "boolean" }),
  fetch = check.rules(call.file_options, wait.options, { verify = "boolean", resume = "boolean", strict = "boolean" }),
  rows = check.rules(call.file_options, rows.options, { verify = "boolean" }),
}

-- --- what is shared ----------------------------------------------------------------------------------

-- The ids in a batch are ids: a file that is named by anything else could not be asked for.
local function batch_is_sound(batch)
  if type(batch) ~= "table" then return false end
  if batch.fileId ~= nil and not check.is(batch.fileId, "id") then return false end
  if batch.segments == nil then return true end
  if type(batch.segments) ~= "table" then return false end
  for _, id in pairs(batch.segments) do
    if not check.is(id, "id") then return false end
  end
  return true
end

-- A job as the API describes it, with its batches as records, or what is wrong with it: it must be the
-- one that was asked for.
local function job_fields(parts, fields, job_id)
  local about = job_id and "job " .. job_id or "the job"
  if type(fields) ~= "table" then return nil, "the answer describes no job" end
  if not check.is(fields.id, "id") then return nil, "the answer about " .. about .. " has no 'id'" end
  if job_id and fields.id ~= job_id then
    return nil, ("the answer is about job %s, not %s"):format(fields.id, job_id)
  end
  if type(fields.status) ~= "string" then return nil, "the answer about " .. about .. " has no 'status'" end
  if fields.batches ~= nil then
    if type(fields.batches) ~= "table" then return nil, "the 'batches' of " .. about .. " are no list" end
    for _, batch in pairs(fields.batches) do
      if not batch_is_sound(batch) then return nil, "the 'batches' of " .. about .. " are not as they should be" end
      setmetatable(batch, parts.batch)
    end
    if #fields.batches == 0 and next(fields.batches) then
      return nil, "the 'batches' of " .. about .. " are no list"
    end
  end
  return fields
end

-- Is it a job of those that were asked for? (A stateless job echoes neither.)
local function check_session(fields, parameters)
  for _, name in ipairs { "partner", "project" } do
    local wanted, echo = parameters[name], fields and fields[name]
    if wanted and echo ~= nil and echo ~= wanted then
      return nil, ("the answer is about the %s %s, not %s"):format(name, tostring(echo), wanted)
    end
  end
  return fields
end

local function job_call(parts, operation, parameters, options, job_id)
  return parts.caller:json(operation, parameters, options, function(body)
    local fields, problem = job_fields(parts, body, job_id)
    if not fields then return nil, problem end
    return check_session(fields, parameters)
  end)
end

local function job_get(parts, job_id, options)
  return job_call(parts, operations.get, { id = job_id }, options, job_id)
end

local function job_cancel(parts, job_id, options)
  return parts.caller:cancel(operations, job_id, options, function(body) return job_fields(parts, body, job_id) end)
end

local function job_new(parts, fields, err)
  if not fields then return nil, err end
  return setmetatable(fields, parts.job)
end

-- What the batches say of a failure: one failed query ends the whole job.
local function batch_messages(job)
  local told = {}
  for _, batch in ipairs(job.batches or {}) do
    if type(batch.message) == "string" and batch.message ~= "" then
      told[#told + 1] = ("batch \"%s\": %s"):format(tostring(batch.name or batch.batchId or "?"), batch.message)
    end
  end
  return table.concat(told, "; ")
end

-- nil while pending; then the verdict, and the words for it.
local function judge(job)
  local status = record.status(job.status)
  if status == "completed" then return "completed" end
  local failed = status == "error" or status == "aborted" or job.errorCode ~= nil
  if not failed and status ~= "cancelled" then return nil end
  local told = batch_messages(job)
  if told == "" and type(job.message) == "string" then told = job.message end
  local words = ({ cancelled = "was cancelled", aborted = "was aborted" })[status] or "ended with an error"
  return status == "cancelled" and "cancelled" or "failed", told ~= "" and words .. ": " .. told or words
end

-- Takes over what the API says of a job now.
local function job_update(job, fields, err)
  if not fields then return nil, err end
  -- A batch that somebody holds stays the same table.
  for i, batch in ipairs(fields.batches or {}) do
    local known = (job.batches or {})[i]
    if known and known.name == batch.name and (known.batchId or batch.batchId) == batch.batchId then
      fields.batches[i] = record.replace(known, batch)
    end
  end
  return record.replace(job, fields)
end

local function job_wait(parts, job, job_id, options)
  return parts.caller:wait({
    what = "job " .. job_id,
    judge = judge,
    last = job,
    look = function(look_options) return job_update(job, job_get(parts, job_id, look_options)) end,
  }, options)
end

-- --- client.jobs -------------------------------------------------------------------------------------

--- Submits a job. POST /v1/batch-query
---@param fields table AQuA's own fields by their wire names; and the per-call options (track_id, entity_id,
--- idempotency_key, timeout, total_timeout, retries), which are not sent.
--- queries: `{ Account = "select …" }`, a list of texts, or a list of { name, query, type ("zoqlexport"), apiVersion,
--- convertToCurrencies, deleted = { column, format, forceExport } }; at most 50. partner and project: a stateful
--- job, which may leave queries out to run its last ones again. format: "csv" (default), "zip", "gzip"; version:
--- chosen to fit; useQueryLabels = true: columns are called "Account.Name", and not "Account: Name"; name, dateTimeUtc,
--- nullReplacement, notifyUrl, incrementalTime, offset (seconds), encrypted, useLastCompletedJobQueries, sourceData
---@return zuora.Job|nil job
---@return zuora.Error|nil err with idempotency_key: under it the same submit makes no second job for 24 hours
function Jobs:submit(fields)
  local where = "client.jobs:submit"
  local parts = record.parts(self, Jobs, where)
  check.value(where, "fields", fields, "table")
  fields = check.options(where, fields, options_of.submit)
  local body = submit.body(fields, function(...) parts.caller:log(...) end)
  return job_new(parts, job_call(parts, operations.submit, body, fields))
end

--- A job as it is now. GET /v1/batch-query/jobs/{job_id}
---@param job_id string
---@param options table|nil per-call options
---@return zuora.Job|nil job, zuora.Error|nil err
function Jobs:get(job_id, options)
  local where = "client.jobs:get"
  local parts = record.parts(self, Jobs, where)
  check.value(where, "job_id", job_id, "id")
  options = check.options(where, options, options_of.one)
  return job_new(parts, job_get(parts, job_id, options))
end

--- The last completed job of a partner and project.
-- GET /v1/batch-query/jobs/partner/{partner}/project/{project}
---@param options { partner: string, project: string } and the per-call options
---@return zuora.Job|nil job, zuora.Error|nil err
function Jobs:last(options)
  local where = "client.jobs:last"
  local parts = record.parts(self, Jobs, where)
  options = check.options(where, options, options_of.last)
  return job_new(parts,
    job_call(parts, operations.last, { partner = options.partner, project = options.project }, options))
end

-- A job may be known by itself, by its id, or by its startTime. Zuora does not say in which zone that is, but it
-- is the same for all: such times are compared with one another, as text, and with nothing else.
local START_TIME = "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$"

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

local function check_since(where, since)
  if since == nil or type(since) == "string" and since:match(START_TIME) then return end
  if type(since) == "table" then
    check.value(where, "since.id", since.id, "id")
  elseif not check.is(since, "id") then
    check.fail(where, "since", "a job, its id, or a startTime expected")
  end
end

--- What has become of a stateful submit whose answer was lost: the last completed job of its partner and
-- project, and whether it is newer than the one known before. A stateful job that runs twice takes the changes
-- away from the one that was meant to have them, so nothing is submitted here.
-- GET /v1/batch-query/jobs/partner/{partner}/project/{project}
---@param options { partner: string, project: string, since: zuora.Job|string|nil, timeout: number|nil }
--- since: the last job that is known (its id will do, for one call more, or its startTime); timeout: seconds to go on
--- looking until a newer one has completed (0); and the per-call options, where request_timeout is for one look
---@return zuora.Job|nil job the last completed one
---@return boolean|nil|zuora.Error newer nil without `since`; or the error
function Jobs:recover(options)
  local where = "client.jobs:recover"
  local parts = record.parts(self, Jobs, where)
  options = check.options(where, options, options_of.recover)
  check_since(where, options.since)
  local since = options.since
  local id = type(since) == "table" and not since.startTime and since.id
    or type(since) == "string" and not since:match(START_TIME) and since
  if id then -- when it began is still to be learnt
    local known, problem = job_get(parts, id,
      parts.caller:shared(options, { timeout = options.request_timeout or parts.caller.settings.timeout }))
    if not known then return nil, problem end
    since = known
  end
  local last
  local wanted = { partner = options.partner, project = options.project }
  local found, err = parts.caller:wait({
    what = ("a newer job of %s, %s"):format(options.partner, options.project),
    judge = function(job)
      local settled = record.status(job.status) == "completed" and is_newer(job, since) ~= false
      return settled and "completed" or nil
    end,
    look = function(look_options)
      local job, err = job_new(parts, job_call(parts, operations.last, wanted, look_options))
      last = job or last
      if err and err.status == 404 then err.retryable = true end -- none has completed so far
      return job, err
    end,
  }, check.rules(options, { timeout = options.timeout or 0 }))
  if found then return found, is_newer(found, since) end
  if last and err.kind == "timeout" and not err.cause then return last, false end
  return nil, err.kind == "timeout" and err.cause or err
end

--- Cancels a job that has not completed. DELETE /v1/batch-query/jobs/{job_id}; and GET, where the answer does not
--- say what the job is then
---@param job_id string
---@param options table|nil per-call options
---@return zuora.Job|nil job, zuora.Error|nil err
function Jobs:cancel(job_id, options)
  local where = "client.jobs:cancel"
  local parts = record.parts(self, Jobs, where)
  check.value(where, "job_id", job_id, "id")
  options = check.options(where, options, options_of.one)
  return job_new(parts, job_cancel(parts, job_id, options))
end

--- Looks at a job until it has settled. GET /v1/batch-query/jobs/{job_id}, again and again
---@param job_id string
---@param options table|nil timeout (900 s, the whole wait), min 1, max 20, factor 1.5, jitter, on_poll,
--- request_timeout (s, for one look)
---@return zuora.Job|nil job
---@return zuora.Error|nil err kind `failed`, `cancelled` (with err.record), `timeout`, `stopped` …
function Jobs:wait(job_id, options)
  local where = "client.jobs:wait"
  local parts = record.parts(self, Jobs, where)
  check.value(where, "job_id", job_id, "id")
  options = check.options(where, options, options_of.wait)
  return job_wait(parts, job_new(parts, { id = job_id }), job_id, options)
end

-- --- the record --------------------------------------------------------------------------------------

--- Asks for the job's present state, and takes it over. GET /v1/batch-query/jobs/{id}
---@param options table|nil per-call options
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:refresh(options)
  local where = "job:refresh"
  local parts = record.parts(self, Job, where)
  check.value(where, "id", self.id, "id")
  return job_update(self, job_get(parts, self.id, check.options(where, options, options_of.one)))
end

--- Looks until the job has settled; see client.jobs:wait. Completed is final: a job that is known to be
-- completed is not looked at again.
---@param options table|nil
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:wait(options)
  local where = "job:wait"
  local parts = record.parts(self, Job, where)
  check.value(where, "id", self.id, "id")
  options = check.options(where, options, options_of.wait)
  if judge(self) == "completed" then return self end
  return job_wait(parts, self, self.id, options)
end

--- Cancels the job, and takes over what Zuora says of it then. DELETE /v1/batch-query/jobs/{id}
---@param options table|nil per-call options
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:cancel(options)
  local where = "job:cancel"
  local parts = record.parts(self, Job, where)
  check.value(where, "id", self.id, "id")
  return job_update(self, job_cancel(parts, self.id, check.options(where, options, options_of.one)))
end

--- Is it a stateful job, one that brings what has changed since its last run?
---@return boolean
function Job:is_stateful()
  record.parts(self, Job, "job:is_stateful")
  return self.partner ~= nil and self.project ~= nil and (tonumber(self.version) or 1.1) >= 1.1
end

--- The batch of that name, or nil.
---@param name string
---@return zuora.Batch|nil
function Job:batch(name)
  local where = "job:batch"
  record.parts(self, Job, where)
  check.value(where, "name", name, "string")
  for _, batch in ipairs(self.batches or {}) do
    if batch.name == name then return batch end
  end
  return nil
end

--- The ids of the batch's result files: its segments when there are any, else the one file.
---@return string[] ids empty while there is no result
function Batch:file_ids()
  record.parts(self, Batch, "batch:file_ids")
  local ids = {}
  for i, id in ipairs(type(self.segments) == "table" and self.segments or {}) do ids[i] = id end
  if #ids == 0 and self.fileId ~= nil then ids[1] = self.fileId end
  return ids
end

-- Its older name.
Batch.files = Batch.file_ids

-- All files of the batch as one, to a path or (without one) as rows. The records in them are held against
-- what AQuA says that there are.
local function batch_file(parts, batch, path, options)
  local name = tostring(batch.name or batch.batchId or "?")
  local ids = Batch.file_ids(batch)
  if record.status(batch.status) ~= "completed" or #ids == 0 then
    local told = type(batch.message) == "string" and batch.message ~= "" and ": " .. batch.message or ""
    return nil, error_value.new { kind = "failed", record = batch,
      message = ("batch \"%s\" has no result, it is %s%s"):format(name, tostring(batch.status), told) }
  end
  local files = {}
  for i, id in ipairs(ids) do files[i] = { id = id } end
  return parts.caller:file(core.operations.files.get, options, { what = "batch \"" .. name .. "\"", path = path,
    parts = files, expected = options.verify ~= false and math.tointeger(tonumber(batch.recordCount)) or nil })
end

--- Fetches the result: all segments in one file with one header. Its records are counted. GET /v1/files/{id}
---@param path string replaced when all has been received, and left alone otherwise
---@param options { verify: boolean|nil, resume: boolean|nil, strict: boolean|nil }|nil verify = false: take it though
--- the number of records is not what AQuA says; strict = false: though it is not as rows would have it (see
--- zuora.rows); resume = true: a later call goes on with path.part (segments start over); on_progress(bytes,
--- total|nil); and the per-call options
---@return { path: string, bytes: integer, records: integer|nil }|nil written
---@return zuora.Error|nil err kind `failed` for a batch without a result, `incomplete` when records are missing
function Batch:download(path, options)
  local where = "batch:download"
  local parts = record.parts(self, Batch, where)
  check.value(where, "path", path, "line")
  return batch_file(parts, self, path, check.options(where, options, options_of.download))
end

--- Fetches the result whole, all segments as one stream, and reads it as rows. GET /v1/files/{id}
---@param options table|nil form, columns, types, null, strict (see zuora.rows), verify, and the per-call options
---@return function|nil it, zuora.Error|nil err
function Batch:rows(options)
  local where = "batch:rows"
  local parts = record.parts(self, Batch, where)
  options = check.options(where, options, options_of.rows)
  rows.check(where, options)
  return batch_file(parts, self, nil, options)
end

-- --- all batches of a job ----------------------------------------------------------------------------

local ENDINGS = { gzip = ".csv.gz", zip = ".zip" }

-- A name for the file of each batch.
local function file_names(job)
  local list = {}
  for i, batch in ipairs(job.batches or {}) do
    list[i] = names.safe(tostring(batch.name or batch.batchId or ""), "batch")
  end
  return names.unique(list, ENDINGS[ascii.lower(tostring(job.format))] or ".csv")
end

local function job_download(parts, job, dir, options)
  local made, message = core.mkdir(dir)
  if not made then return nil, error_value.new { kind = "file", message = message } end
  local results, failures, tasks, failed = {}, {}, {}, nil
  for i, name in ipairs(file_names(job)) do
    tasks[i] = function()
      local batch, own, tell = job.batches[i], options, options.on_progress
      if tell then
        own = check.rules(options, { on_progress = function(bytes, total) tell(bytes, total, batch.name) end })
      end
      local written, err = batch_file(parts, batch, dir .. "/" .. name, own)
      if written then written.name = batch.name end
      results[i], failures[i] = written, err
    end
  end
  if #tasks == 0 then
    return nil, error_value.new { kind = "failed", record = job,
      message = ("job %s has no batches, it is %s"):format(tostring(job.id), tostring(job.status)) }
  end
  parts.caller.scheduler:run(tasks)
  for i = 1, #tasks do failed = failed or failures[i] end
  if not failed then return results end
  local err = error_value.copy(failed)
  err.results, err.failures, err.record = results, failures, job
  return nil, err
end

--- Fetches the results of all batches of a job; see job:download. GET /v1/batch-query/jobs/{job_id}, and its files
---@param job_id string
---@param dir string made when it is missing
---@param options table|nil as for batch:download
---@return { name: string, path: string, bytes: integer, records: integer|nil }[]|nil written, zuora.Error|nil err
function Jobs:download(job_id, dir, options)
  local where = "client.jobs:download"
  local parts = record.parts(self, Jobs, where)
  check.value(where, "job_id", job_id, "id")
  check.value(where, "dir", dir, "line")
  options = parts.caller:shared(check.options(where, options, options_of.download))
  local job, err = job_new(parts, job_get(parts, job_id, options))
  if not job then return nil, err end
  return job_download(parts, job, dir, options)
end

--- Submits a job, waits for it, and downloads the results of all batches. POST /v1/batch-query, and what the wait and
--- the downloads need
---@param fields table see client.jobs:submit; per-call options in it are for the submit
---@param dir string made when it is missing
---@param options table|nil those of client.jobs:wait and of batch:download. timeout is the whole wait, request_timeout
--- one request, total_timeout over everything
---@return { name: string, path: string, bytes: integer, records: integer|nil }[]|nil written
---@return zuora.Error|nil err
function Jobs:fetch(fields, dir, options)
  local where = "client.jobs:fetch"
  local parts = record.parts(self, Jobs, where)
  check.value(where, "fields", fields, "table")
  fields = check.options(where, fields, options_of.submit)
  check.value(where, "dir", dir, "line")
  options = check.options(where, options, options_of.fetch)
  local body = submit.body(fields, function(...) parts.caller:log(...) end)
  local request, waiting = fetch.options(parts.caller, options)
  local job, err = job_new(parts, job_call(parts, operations.submit, body, check.rules(request, fields)))
  if not job then return nil, err end
  job, err = job_wait(parts, job, job.id, waiting())
  if not job then return nil, err end
  return job_download(parts, job, dir, request)
end

--- Fetches the results of all batches, side by side, into a directory: Name.csv for each. GET /v1/files/{id}
---@param dir string made when it is missing
---@param options table|nil as for batch:download; on_progress(bytes, total|nil, name of the batch)
---@return { name: string, path: string, bytes: integer, records: integer|nil }[]|nil written in the order of the
--- batches
---@return zuora.Error|nil err with err.results and err.failures, both by the place of the batch: what could be
--- written is
function Job:download(dir, options)
  local where = "job:download"
  local parts = record.parts(self, Job, where)
  check.value(where, "dir", dir, "line")
  return job_download(parts, self, dir, check.options(where, options, options_of.download))
end

---@param caller table
---@return zuora.Jobs
function jobs.new(caller)
  local batch = record.kind("zuora.Batch", Batch, { caller = caller })
  local job = record.kind("zuora.Job", Job, { caller = caller, batch = batch })
  return setmetatable({}, record.kind("zuora.Jobs", Jobs, { caller = caller, batch = batch, job = job }))
end

return jobs
