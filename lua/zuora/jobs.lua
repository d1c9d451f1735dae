--- client.jobs: AQuA jobs, and the records that stand for them and their batches.

local call = require "zuora.call"
local check = require "zuora.check"
local core = require "zuora.core"
local error_value = require "zuora.error"
local record = require "zuora.record"
local rows = require "zuora.rows"
local wait = require "zuora.wait"

local operations = core.operations.jobs

local jobs = {}

---@class zuora.Jobs
local Jobs = {}

---@class zuora.Job
local Job = {}

---@class zuora.Batch
local Batch = {}

-- The fields of a submit are what the operation says; the words for their types are this module's.
local FIELD_KINDS = { text = "string_or_empty", boolean = "boolean", integer = "integer", table = "table", any = "any" }
local submit_fields = {}
for _, parameter in ipairs(operations.submit.parameters) do
  submit_fields[parameter.name] = FIELD_KINDS[parameter.type]
end

local options_of = {
  submit = check.rules(call.keyed_options, submit_fields),
  one = call.options,
  last = check.rules(call.options, { partner = "segment!", project = "segment!" }),
  wait = check.rules(call.options, wait.options),
  download = check.rules(call.file_options, { verify = "boolean", resume = "boolean" }),
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

local function job_call(parts, operation, parameters, options, job_id)
  return parts.caller:json(operation, parameters, options, function(body) return job_fields(parts, body, job_id) end)
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

local function job_refresh(parts, job, job_id, operation, options)
  local fields, err = job_call(parts, operation, { id = job_id }, options, job_id)
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
    look = function(look_options) return job_refresh(parts, job, job_id, operations.get, look_options) end,
  }, options)
end

-- --- client.jobs -------------------------------------------------------------------------------------

-- The queries as they are sent: each with its text; the type is Export ZOQL unless it says otherwise.
local function queries_of(where, queries)
  local sent = {}
  check.value(where, "queries", queries, "list", 1)
  for i, query in ipairs(queries) do
    local argument = ("queries[%d]"):format(i)
    check.value(where, argument, query, "table", 1)
    check.value(where, argument .. ".query", query.query, "string", 1)
    local copy = {}
    for name, value in pairs(query) do copy[name] = value end
    copy.type = copy.type or "zoqlexport"
    check.value(where, argument, copy, "json", 1)
    sent[i] = copy
  end
  return sent
end

-- Zuora wants the version as text; only 1.1 knows partner and project.
local function version_of(where, fields)
  local version = fields.version
  if version == nil then return fields.partner and fields.project and "1.1" or "1.0" end
  if type(version) == "number" then return ("%.1f"):format(version) end
  check.value(where, "version", version, "text", 1)
  return version
end

--- Submits a job. POST /v1/batch-query
---@param fields table AQuA's own fields by their wire names: queries = { { name =, query =, type = } … },
--- format ("csv"), version, name, partner, project, useQueryLabels, dateTimeUtc …; and the per-call options
--- (track_id, entity_id, idempotency_key, timeout, deadline, retries), which are not sent
---@return zuora.Job|nil job, zuora.Error|nil err
function Jobs:submit(fields)
  local where = "client.jobs:submit"
  local parts = record.parts(self, Jobs, where)
  check.value(where, "fields", fields, "table")
  fields = check.options(where, fields, options_of.submit)
  if fields.queries == nil then check.fail(where, "queries", "missing") end
  local sent = {}
  for name in pairs(submit_fields) do sent[name] = fields[name] end
  sent.queries = queries_of(where, fields.queries)
  sent.format = sent.format or "csv"
  sent.version = version_of(where, fields)
  return job_new(parts, job_call(parts, operations.submit, sent, fields))
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
  return job_new(parts, job_call(parts, operations.get, { id = job_id }, options, job_id))
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

--- Cancels a job that has not completed. DELETE /v1/batch-query/jobs/{job_id}
---@param job_id string
---@param options table|nil per-call options
---@return zuora.Job|nil job, zuora.Error|nil err
function Jobs:cancel(job_id, options)
  local where = "client.jobs:cancel"
  local parts = record.parts(self, Jobs, where)
  check.value(where, "job_id", job_id, "id")
  options = check.options(where, options, options_of.one)
  return job_new(parts, job_call(parts, operations.cancel, { id = job_id }, options, job_id))
end

--- Looks at a job until it has settled.
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

--- Asks for the job's present state, and takes it over.
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:refresh(options)
  local where = "job:refresh"
  local parts = record.parts(self, Job, where)
  check.value(where, "id", self.id, "id")
  return job_refresh(parts, self, self.id, operations.get, check.options(where, options, options_of.one))
end

--- Looks until the job has settled; see client.jobs:wait. Completed is final: a job that is known to be
-- completed is not looked at again.
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:wait(options)
  local where = "job:wait"
  local parts = record.parts(self, Job, where)
  check.value(where, "id", self.id, "id")
  options = check.options(where, options, options_of.wait)
  if judge(self) == "completed" then return self end
  return job_wait(parts, self, self.id, options)
end

--- Cancels the job, and takes over what Zuora says of it then.
---@return zuora.Job|nil self, zuora.Error|nil err
function Job:cancel(options)
  local where = "job:cancel"
  local parts = record.parts(self, Job, where)
  check.value(where, "id", self.id, "id")
  return job_refresh(parts, self, self.id, operations.cancel, check.options(where, options, options_of.one))
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
function Batch:files()
  record.parts(self, Batch, "batch:files")
  local ids = {}
  for i, id in ipairs(type(self.segments) == "table" and self.segments or {}) do ids[i] = id end
  if #ids == 0 and self.fileId ~= nil then ids[1] = self.fileId end
  return ids
end

-- All files of the batch as one, to a path or (without one) as rows. The records in them are held against
-- what AQuA says that there are.
local function batch_file(parts, batch, path, options)
  local name = tostring(batch.name or batch.batchId or "?")
  local ids = Batch.files(batch)
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

--- Fetches the result: all segments in one file with one header. Its records are counted.
---@param path string replaced when all has been received, and left alone otherwise
---@param options { verify: boolean|nil, resume: boolean|nil }|nil verify = false: take it though the number of
--- records is not what AQuA says; resume = true: a later call goes on with path.part (segments start over);
--- on_progress(bytes, total|nil); and the per-call options
---@return { path: string, bytes: integer, records: integer|nil }|nil written
---@return zuora.Error|nil err kind `failed` for a batch without a result, `incomplete` when records are missing
function Batch:download(path, options)
  local where = "batch:download"
  local parts = record.parts(self, Batch, where)
  check.value(where, "path", path, "text")
  return batch_file(parts, self, path, check.options(where, options, options_of.download))
end

--- Fetches the result whole, all segments as one stream, and reads it as rows.
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

-- A name for a file that cannot leave its directory, hide, or be taken for something else.
local function safe_name(name)
  name = name:gsub("[%c\127/\\:*?\"<>|]", "_"):gsub("^[%s.]+", ""):gsub("[%s.]+$", ""):sub(1, 100)
  return name ~= "" and name or "batch"
end

-- A name for each batch; twins (whatever their case) are numbered.
local function file_names(job)
  local ending, taken, names = ENDINGS[tostring(job.format):lower()] or ".csv", {}, {}
  for i, batch in ipairs(job.batches or {}) do
    local base = safe_name(tostring(batch.name or batch.batchId or ""))
    local name, number = base, 1
    while taken[name:lower()] do
      number = number + 1
      name = base .. "-" .. number
    end
    taken[name:lower()] = true
    names[i] = name .. ending
  end
  return names
end

--- Fetches the results of all batches, side by side, into a directory: Name.csv for each.
---@param dir string made when it is missing
---@param options table|nil as for batch:download
---@return { name: string, path: string, bytes: integer, records: integer|nil }[]|nil written in the order of the
--- batches
---@return zuora.Error|nil err with err.results and err.failures, both by the place of the batch: what could be
--- written is
function Job:download(dir, options)
  local where = "job:download"
  local parts = record.parts(self, Job, where)
  check.value(where, "dir", dir, "text")
  options = check.options(where, options, options_of.download)
  local made, message = core.mkdir(dir)
  if not made then return nil, error_value.new { kind = "file", message = message } end
  local results, failures, tasks, failed = {}, {}, {}, nil
  for i, name in ipairs(file_names(self)) do
    tasks[i] = function()
      local batch = self.batches[i]
      local written, err = batch_file(parts, batch, dir .. "/" .. name, options)
      if written then written.name = batch.name end
      results[i], failures[i] = written, err
    end
  end
  if #tasks == 0 then
    return nil, error_value.new { kind = "failed", record = self,
      message = ("job %s has no batches, it is %s"):format(tostring(self.id), tostring(self.status)) }
  end
  parts.caller.loop:run(tasks)
  for i = 1, #tasks do failed = failed or failures[i] end
  if not failed then return results end
  return nil, error_value.new { kind = failed.kind, message = failed.message, results = results, failures = failures,
    record = self }
end

---@param caller table
---@return zuora.Jobs
function jobs.new(caller)
  local batch = record.kind("zuora.Batch", Batch, { caller = caller })
  local job = record.kind("zuora.Job", Job, { caller = caller, batch = batch })
  return setmetatable({}, record.kind("zuora.Jobs", Jobs, { caller = caller, batch = batch, job = job }))
end

return jobs
