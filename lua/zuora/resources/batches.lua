--- The batches of an AQuA job: the records that stand for them, and their results.

local ascii = require "zuora.support.ascii"
local check = require "zuora.support.check"
local core = require "zuora.core"
local entrance = require "zuora.resources.entrance"
local error_value = require "zuora.error"
local names = require "zuora.support.names"
local record = require "zuora.resources.record"
local rows = require "zuora.rows"

local operations = core.operations.files

local batches = {}

---@class zuora.Batch
local Batch = {}

--- What a download of one batch takes, for check.options; and one of all of them, besides what goes with a file.
batches.download_options = { verify = "boolean", resume = "boolean", strict = "boolean" }

local enter = entrance.record(Batch, "batch", {
  file_ids = {},
  download = { operations.get, "path:line", options = batches.download_options },
  rows = { operations.get, check = rows.check, options = check.rules(rows.options, { verify = "boolean" }) },
})

-- --- as a job has them -------------------------------------------------------------------------------

-- The ids in a batch are ids: a file that is named by anything else could not be asked for.
local function batch_is_sound(batch)
  if type(batch) ~= "table" then return false end
  local segments = batch.segments
  if batch.fileId ~= nil and not core.is_id(batch.fileId) then return false end
  if segments == nil then return true end
  if type(segments) ~= "table" or #segments == 0 and next(segments) then return false end
  for i = 1, #segments do
    if not core.is_id(segments[i]) then return false end
  end
  return true
end

-- A zip archive cannot be counted: it is taken for the result only of a job whose format is that, or is not known.
local zipped = setmetatable({}, { __mode = "k" })

local function may_be_zip(format)
  if format == "CSV" or format == "csv" then return false end -- as nearly all are
  return type(format) ~= "string" or ascii.lower(format) == "zip"
end

--- Makes records of the batches in an answer, or says what is wrong with them.
---@param list any
---@param metatable table see batches.metatable
---@param format any that of the job, where it says so
---@return string|nil problem
function batches.read(list, metatable, format)
  if list == nil then return nil end
  if type(list) ~= "table" or #list == 0 and next(list) then return "no list" end
  local caller, may_zip = metatable.caller, may_be_zip(format)
  local words = caller.words
  for i = 1, #list do
    local batch = list[i]
    if not batch_is_sound(batch) then return "not as they should be" end
    setmetatable(batch, metatable)
    if not words[batch.status] then batch.status = caller:word(batch.status) end
    if batch.message then batch.message = caller:word(batch.message) end
    if may_zip then zipped[batch] = true end
  end
  return nil
end

local function name_of(batch) return tostring(batch.name or batch.batchId or "?") end

local function message_of(batch)
  return type(batch.message) == "string" and batch.message ~= "" and batch.message or nil
end

--- What the batches say, as one text.
---@param list zuora.Batch[]
---@return string messages empty when there are none
function batches.messages(list)
  local messages = {}
  for _, batch in ipairs(list) do
    local message = message_of(batch)
    if message then messages[#messages + 1] = ("batch \"%s\": %s"):format(name_of(batch), message) end
  end
  return table.concat(messages, "; ")
end

-- --- the record --------------------------------------------------------------------------------------

--- The ids of the batch's result files: its segments when there are any, else the one file.
---@return string[] ids empty while there is no result
function Batch:file_ids()
  enter(self, "file_ids")
  local ids = {}
  for i, id in ipairs(type(self.segments) == "table" and self.segments or {}) do ids[i] = id end
  if #ids == 0 and self.fileId ~= nil then ids[1] = self.fileId end
  return ids
end

-- Its older name.
Batch.files = Batch.file_ids

-- All files of the batch as one, to a path or (without one) as rows. The records in them are held against
-- what AQuA says that there are.
local function download(context, path, options, batch)
  local name, ids = name_of(batch), Batch.file_ids(batch)
  if record.status(batch.status) ~= "completed" or #ids == 0 then
    local message = message_of(batch)
    return nil, error_value.new { kind = "failed", record = batch,
      message = ("batch \"%s\" has no result, it is %s%s"):format(name, tostring(batch.status),
        message and ": " .. message or "") }
  end
  local expected, problem
  if options.verify ~= false then expected, problem = record.count(batch.recordCount) end
  if problem then
    return nil, error_value.new { kind = "incomplete", record = batch,
      message = ("batch \"%s\" has a recordCount that is no number of records: %s"):format(name, problem) }
  end
  local files = {}
  for i, id in ipairs(ids) do files[i] = { id = id } end
  return context.caller:file(operations.get, options, { label = "batch \"" .. name .. "\"", path = path,
    segments = files, expected = expected, zipped = zipped[batch], headed = options.verify ~= false })
end

--- Fetches the result: all segments in one file with one header. Its records are counted. GET /v1/files/{id}
---@param path string replaced when all has been received, and left alone otherwise
---@param options zuora.BatchDownloadOptions|nil verify = false: take it though
--- the number of records is not what AQuA says, or there is not even a header; strict = false: though it is not as rows
--- would have it (see zuora.rows); resume = true: a later call goes on with path.part (segments start over);
--- on_progress(bytes, total|nil); and the per-call options
---@return zuora.Written|nil written
---@return zuora.Error|nil err kind `failed` for a batch without a result, `incomplete` when records are missing
function Batch:download(path, options)
  local context
  context, path, options = enter(self, "download", path, options)
  return context.caller:shown(download(context, path, options, self))
end

--- Fetches the result whole, all segments as one stream, and reads it as rows. GET /v1/files/{id}
---@param options zuora.BatchRowOptions|nil form, columns, types, null, strict (see zuora.rows), verify
---@return zuora.Rows|nil it, zuora.Error|nil err
function Batch:rows(options)
  local context
  context, options = enter(self, "rows", options)
  return context.caller:shown(download(context, nil, options, self))
end

-- --- what was submitted -----------------------------------------------------------------------------

-- The queries that a job was submitted with, by the job. (Of one that was only looked up nothing is known.)
local submitted = setmetatable({}, { __mode = "k" })

-- And those of a client's last jobs, by id: another record may stand for the same job.
local LAST = 100

--- Remembers what a job was submitted with.
---@param job zuora.Job
---@param body table as submit.body gives it
---@param caller table
function batches.note(job, body, caller)
  local last, queries = caller.submitted, body.queries
  -- (Those of the job before come besides.)
  if queries and body.useLastCompletedJobQueries then
    queries = table.move(queries, 1, #queries, 1, { and_others = true })
  end
  submitted[job] = queries
  last[#last + 1], last[job.id] = job.id, queries
  if #last > LAST then last[table.remove(last, 1)] = nil end
end

-- One batch for each query: what is wrong with them, or nil. A query without a name has one of Zuora's choice.
local function queries_problem(list, queries)
  local count = {}
  for _, batch in ipairs(list) do count[name_of(batch)] = (count[name_of(batch)] or 0) + 1 end
  for _, query in ipairs(queries) do
    local found = query.name and (count[query.name] or 0) or 1
    if found == 0 then return ("has no batch of the query \"%s\""):format(query.name) end
    if found > 1 then return ("has %d batches of the query \"%s\""):format(found, query.name) end
  end
  if #list ~= #queries and not queries.and_others then
    return ("has %d batches, and %d queries were submitted"):format(#list, #queries)
  end
end

-- A file that stands for two batches.
local function files_problem(list)
  local owner = {}
  for _, batch in ipairs(list) do
    for _, id in ipairs(Batch.file_ids(batch)) do
      if owner[id] then return ("has the file %s twice: in %s, and in %s"):format(id, owner[id], name_of(batch)) end
      owner[id] = "batch " .. name_of(batch)
    end
  end
end

--- Holds the batches of a job against the queries that it was submitted with, and against one another.
---@param job zuora.Job
---@param caller table
---@return true|nil sound, zuora.Error|nil err
function batches.check(job, caller)
  local list, queries = job.batches or {}, submitted[job] or caller.submitted[job.id]
  -- Before it has begun, a job may have none.
  local has_all = #list > 0 or record.status(job.status) == "completed"
  local problem = queries and has_all and queries_problem(list, queries) or files_problem(list)
  if not problem then return true end
  return nil, error_value.new { kind = "incomplete", record = job, message = ("job %s %s"):format(job.id, problem) }
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

--- Downloads the results of all batches, side by side; see job:download.
---@param context table with the caller
---@param job zuora.Job
---@param dir string
---@param options table
---@return table[]|nil written, zuora.Error|nil err
function batches.download_all(context, job, dir, options)
  local list = job.batches or {}
  if #list == 0 then
    return nil, error_value.new { kind = "failed", record = job,
      message = ("job %s has no batches, it is %s"):format(tostring(job.id), tostring(job.status)) }
  end
  local sound, problem = batches.check(job, context.caller)
  if not sound then return context.caller:shown(nil, problem) end
  local made, message = core.mkdir(dir)
  if not made then return nil, error_value.new { kind = "file", message = message } end
  local results, failures, tasks, failed = {}, {}, {}, nil
  for i, name in ipairs(file_names(job)) do
    tasks[i] = function()
      local batch, own, tell = list[i], options, options.on_progress
      if tell then
        own = check.rules(options, { on_progress = function(bytes, total) tell(bytes, total, batch.name) end })
      end
      local written, err = context.caller:shown(download(context, dir .. "/" .. name, own, batch))
      if written then written.name = batch.name end
      results[i], failures[i] = written, err
    end
  end
  context.caller.scheduler:run(tasks)
  for i = 1, #tasks do failed = failed or failures[i] end
  if not failed then return results end
  local err = error_value.copy(failed)
  err.results, err.failures, err.record = results, failures, job
  return nil, err
end

---@param caller table
---@return table metatable of the batches of one client
function batches.metatable(caller) return record.metatable("zuora.Batch", Batch, { caller = caller }) end

return batches
