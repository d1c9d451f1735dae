--- AQuA's engine: what is accepted, in which order jobs run, what a stateful one finds, and its files.
--
-- It knows no HTTP: `submit` gives a job, or the code and words of a rejection.

local content = require "zuora.simulator.engine.content"
local packing = require "zuora.simulator.engine.packing"
local plans = require "zuora.simulator.engine.plans"
local progress = require "zuora.simulator.engine.progress"
local text = require "zuora.simulator.engine.text"
local times = require "zuora.simulator.engine.times"

local jobs = {}

local QUERY_LIMIT = 50
local DAY = 24 * 3600
local FILE_LIFE, JOB_LIFE, SESSION_LIFE = 3 * DAY, 180 * DAY, 180 * DAY

-- Objects whose deleted records cannot be had.
local NO_DELETED = { paymenttransactionlog = true, refundtransactionlog = true, accountingcode = true,
  accountingperiod = true, processedusage = true, discountappliedmetrics = true }

-- What says of a row whether it has been deleted; and how long those that have been are kept.
local DELETED = { Boolean = { [true] = "true", [false] = "false" }, Numeric = { [true] = "1", [false] = "0" } }
local DELETED_LIFE = 30 * DAY

-- --- what is accepted --------------------------------------------------------------------------------

local function is_stateful(fields)
  return fields.partner ~= nil and fields.project ~= nil and (tonumber(fields.version) or 1.0) >= 1.1
end

local function session_key(fields) return fields.partner .. "\0" .. fields.project end

local function same_text(query) return (query:gsub("%s+", " "):lower()) end

-- A plan whose problem has AQuA's words.
local function plan_of(tenant, query)
  local plan = plans.new(tenant, query.query, query.type == "zoql" and "zoql" or "zoqlexport")
  if plan and tenant.turn_columns then plans.turn(plan) end
  if plan and plan.problem then plan.problem = "java.lang.RuntimeException: " .. plan.problem end
  return plan
end

local function query_problem(query, plan, stateful)
  if not plan then
    return "90005", "There is a syntax error in one of the queries in the AQuA input (" .. query.query .. ")"
  end
  if plan.distinct then return "90020", "Invalid Distinct column, without Count function." end
  if query.deleted and not stateful and query.deleted.forceExport ~= true then
    return "90012", "A stateless job cannot retrieve deleted records."
  end
  if query.deleted and (type(query.deleted.column) ~= "string" or not DELETED[query.deleted.format]) then
    return "90005", "There is a syntax error: deleted has a column, and the format Boolean or Numeric"
  end
  if query.deleted and NO_DELETED[plan.name:lower()] then
    return "90017", "Deleted records of " .. plan.name .. " cannot be retrieved."
  end
end

local function active_jobs(self, stateful)
  local count = 0
  for _, job in ipairs(self.list) do
    if job.stateful == stateful and not job.progress:is_over() then count = count + 1 end
  end
  return count
end

-- What is text in a job.
local TEXTS = { "name", "partner", "project", "incrementalTime", "notifyUrl" }
local SYNTAX = "There is a syntax error in the AQuA input."

-- The code and the words of a rejection, or nil.
local function fields_problem(self, fields, queries, stateful)
  if type(queries or {}) ~= "table" then return "90005", SYNTAX end
  if not queries or #queries == 0 then return "90016", "No queries are given." end
  if #queries > QUERY_LIMIT then return "90004", "The number of queries exceeds the limit of 50." end
  if fields.notifyUrl and #fields.notifyUrl >= 5000 then return "90014", "The notifyUrl is too long." end
  local since = fields.incrementalTime
  if since and not (since:match "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$" and times.of(since)) then
    return "90015", "The incrementalTime is not of the form yyyy-MM-dd HH:mm:ss."
  end
  local partners = self.tenant.partners
  if stateful and partners and not partners[fields.partner] then return "90019", "The partner is unknown." end
  if active_jobs(self, stateful) >= self.tenant.concurrent_jobs then
    return "90028", "There are too many jobs in progress."
  end
  if fields.format ~= "csv" and not packing.available() then
    return "90010", "This simulator packs files with lua-zlib, which is not installed."
  end
end

-- --- sessions: what stateful jobs remember -----------------------------------------------------------

local function remembered(self, fields)
  local session = self.sessions[session_key(fields)]
  if session and self.tenant:now() - session.at > SESSION_LIFE then return nil end
  return session
end

-- Is this batch to have everything, or what has changed since the last run?
local function is_full(session, batch)
  local before = session and session.queries[batch.query.name or batch.query.query]
  if not before then return true end
  local function shape(query)
    local deleted = query.deleted or {}
    return same_text(query.query) .. "\0" .. tostring(deleted.column) .. "\0" .. tostring(deleted.format)
  end
  return shape(before) ~= shape(batch.query)
end

-- --- results -----------------------------------------------------------------------------------------

local function header_of(batch, by_api_names)
  local names = plans.header(batch.plan, by_api_names and "api" or "ui")
  if batch.query.deleted then names[#names + 1] = batch.query.deleted.column end
  return text.line(names, #names, ",")
end

local function file_of(self, whole, fields, name, made)
  local media_type, file_name = "text/csv;charset=UTF-8", name .. ".csv"
  if fields.format == "gzip" then
    whole, media_type, file_name = packing.gzip_content(whole), "application/x-gzip;charset=UTF-8", file_name .. ".gz"
  elseif fields.format == "zip" then
    whole, media_type = packing.zip_content(whole, file_name), "application/zip;charset=UTF-8"
    file_name = name .. ".zip"
  end
  local id = self.tenant:new_id()
  self.files[id] = { content = whole, media_type = media_type, name = file_name, made = made, etag = '"' .. id .. '"' }
  return id
end

-- Generated objects without conditions need not be gone through.
local function whole_result(batch, head)
  local object, places = batch.plan.object, plans.places(batch.plan)
  if not object.lay_out or not places or batch.since > 0 or batch.query.deleted then return nil end
  return object.lay_out(places, ",", head, function(piece) return piece end), object.total
end

-- Goes through the rows that are asked for, and puts them into files of at most `per_file`.
local function rows_into_files(self, job, batch, head, per_file)
  local plan, count, deleted = batch.plan, 0, batch.query.deleted
  local width = #plan.columns + (deleted and 1 or 0)
  -- The first load of a stateful job has nothing that was deleted before.
  local gone_since = deleted and not (job.stateful and batch.full) and job.began - DELETED_LIFE or nil
  local rows = plans.rows(plan, batch.since, batch.before, job.fields.nullReplacement or "", gone_since)
  local function next_line()
    local cells, gone = rows()
    if not cells then return nil end
    count = count + 1
    if deleted then cells[width] = DELETED[deleted.format][gone ~= nil] end
    return text.line(cells, width, ",")
  end
  local ids, line = {}, next_line()
  repeat
    local whole = content.file(function(put)
      put(head)
      local in_file = 0
      while line and in_file < per_file do
        put(line)
        in_file, line = in_file + 1, next_line()
      end
    end)
    local number = per_file < math.huge and "_" .. #ids + 1 or ""
    ids[#ids + 1] = file_of(self, whole, job.fields, (batch.query.name or batch.batchId) .. number, job.began)
  until not line
  return ids, count
end

local function finish_batch(self, job, batch)
  local head = header_of(batch, job.fields.useQueryLabels)
  -- What functions come to is not cut into segments.
  local segment_rows = job.stateful and batch.full and not batch.plan.group and self.tenant.segment_rows
  local whole, count
  if not segment_rows then whole, count = whole_result(batch, head) end
  if whole then
    batch.fileId = file_of(self, whole, job.fields, batch.query.name or batch.batchId, job.began)
    batch.recordCount = count
    return
  end
  local ids
  ids, batch.recordCount = rows_into_files(self, job, batch, head, segment_rows or math.huge)
  if segment_rows then batch.segments = ids else batch.fileId = ids[1] end
end

-- The job has completed: its session remembers it.
local function finish_job(self, job)
  if not job.stateful then return end
  local queries = {}
  for _, batch in ipairs(job.batches) do queries[batch.query.name or batch.query.query] = batch.query end
  self.sessions[session_key(job.fields)] = { at = job.began, before = job.before, queries = queries,
    list = job.queries }
end

-- The transaction begins: what it sees now is its result, whatever changes afterwards.
local function begin_job(self, job)
  local fields, session = job.fields, job.stateful and remembered(self, job.fields)
  job.began = job.progress:began(2)
  job.before = job.began - (job.stateful and tonumber(fields.offset) or 0)
  for _, batch in ipairs(job.batches) do
    batch.full = not job.stateful or is_full(session, batch)
    batch.since, batch.before = batch.full and 0 or session.before, job.stateful and job.before or math.huge
    if job.stateful and fields.incrementalTime then
      batch.full, batch.since = false, times.of(fields.incrementalTime)
    end
    if not batch.plan.problem then finish_batch(self, job, batch) end
    if (batch.recordCount or 0) > (self.tenant.query_rows or math.huge) then
      batch.plan.problem = "The query took too long."
      job.code, job.message = "90027", "The processing time of a query has exceeded its limit."
      job.progress:divert("aborted")
    end
  end
end

-- --- jobs --------------------------------------------------------------------------------------------

-- The queries of the last job, those of the same name in the place of theirs, the others behind them.
local function merged(before, given)
  local all, places = {}, {}
  for i, query in ipairs(before) do all[i], places[query.name or query.query] = query, i end
  for _, query in ipairs(given) do all[places[query.name or query.query] or #all + 1] = query end
  return all
end

local Jobs = {}
Jobs.__index = Jobs

--- Takes a job, or refuses it.
---@param fields table as they were sent, `queries` and all
---@return table|nil job, string|nil code, string|nil message
function Jobs:submit(fields)
  self:settle()
  for _, name in ipairs(TEXTS) do
    if type(fields[name] or "") ~= "string" then return nil, "90005", SYNTAX end
  end
  local stateful = is_stateful(fields)
  local session = stateful and remembered(self, fields)
  local queries = fields.queries or session and session.list
  if fields.useLastCompletedJobQueries and session and fields.queries then
    queries = merged(session.list, fields.queries)
  end
  fields.format = (fields.format or "csv"):lower()
  local code, message = fields_problem(self, fields, queries, stateful)
  if code then return nil, code, message end
  local job = { id = self.tenant:new_id(), fields = fields, queries = queries, stateful = stateful, batches = {},
    started = self.tenant:now() }
  local outcome = self.tenant.job_outcome or "completed"
  job.forced = self.tenant.job_outcome ~= nil
  for i, query in ipairs(queries) do
    local plan = plan_of(self.tenant, query)
    code, message = query_problem(query, plan, stateful)
    if code then return nil, code, message end
    job.batches[i] = { batchId = self.tenant:new_id(), query = query, plan = plan, full = not (stateful and session) }
    if plan.problem then outcome = "aborted" end -- found out when it is executed
  end
  job.progress = progress.new({ "submitted", "executing", outcome }, self.tenant, self.tenant:now())
  if stateful then
    -- Jobs of one session run one after another.
    for i = #self.list, 1, -1 do
      local other = self.list[i]
      if other.stateful and session_key(other.fields) == session_key(fields) then
        if not other.progress:is_over() then job.previous = other end
        break
      end
    end
  end
  self.by_id[job.id] = job
  table.insert(self.list, job)
  return job
end

--- The job of that id, unless it is unknown or too old.
---@param id string
---@return table|nil
function Jobs:find(id)
  local job = self.by_id[id]
  return job and self.tenant:now() - job.started <= JOB_LIFE and job or nil
end

--- The status that a look at the job shows.
---@param job table
---@return string
function Jobs:look(job)
  local previous = job.previous
  if previous then
    if not previous.progress:is_over() or previous.status ~= previous.progress:stage() then self:look(previous) end
    if not previous.progress:is_over() then return job.progress:stage() end
    job.progress:delay(previous.progress:began(#previous.progress.stages))
    job.previous = nil
  end
  local status = job.progress:look(self.tenant:now())
  if job.progress:began(2) and not job.before then begin_job(self, job) end
  if status == "completed" and job.status ~= status then finish_job(self, job) end
  job.status = status
  return status
end

--- Where stages last for seconds, jobs go on without being looked at. Files that are too old go.
function Jobs:settle()
  local oldest = self.tenant:now() - FILE_LIFE
  for id, file in pairs(self.files) do
    if file.made < oldest then self.files[id] = nil end
  end
  if not self.tenant.seconds then return end
  for _, job in ipairs(self.list) do
    if not job.progress:is_over() or job.status ~= job.progress:stage() then self:look(job) end
  end
end

--- Ends a job that is still going; false when it has ended before.
---@param job table
---@return boolean
function Jobs:cancel(job)
  job.progress:pass(self.tenant:now())
  if job.progress:is_over() then return false end
  job.progress:finish("cancelled", self.tenant:now())
  job.status = "cancelled"
  return true
end

--- The newest completed job of a partner and project.
---@return table|nil
function Jobs:last(partner, project)
  self:settle()
  for i = #self.list, 1, -1 do
    local job = self.list[i]
    if job.status == "completed" and job.fields.partner == partner and job.fields.project == project then
      return self:find(job.id)
    end
  end
  return nil
end

--- A result file, unless it is unknown or purged.
---@param id string
---@return { content: table, media_type: string, name: string, etag: string }|nil
function Jobs:file(id)
  self:settle()
  return self.files[id]
end

---@param tenant table
function jobs.new(tenant)
  return setmetatable({ tenant = tenant, by_id = {}, list = {}, files = {}, sessions = {} }, Jobs)
end

return jobs
