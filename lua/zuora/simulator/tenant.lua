--- The state of one simulated tenant: credentials and tokens, reports and their runs, jobs and files.
--
-- It knows no HTTP. Time is the machine's, moved by `offset`, so that tests can let days pass.

local text = require "zuora.simulator.text"

local tenant = {}

local Tenant = {}
Tenant.__index = Tenant

-- What a new tenant holds: enough for a tour.
local DEFAULTS = {
  client_id = "11111111-2222-3333-4444-555555555555",
  client_secret = "simulated=secret+/of=42",
  username = "user@simulated.example",
  password = "simulated pass:word",
  token_life = 3599,
  looks = 1, -- how often each status that is not the last is seen
  reports = {
    ["ff808081529f4e3401529fd373730070"] = {
      name = "Accounts by balance",
      columns = { "Account.AccountNumber", "Account.Name", "Account.Balance" },
      rows = {
        { "A00000001", "Ærøskøbing \"Ferry\", Ltd", "1,729.76" },
        { "A00000002", "Line\nBreak AG", "0.00" },
        { "A00000003", "日本 GmbH", "-12.50" },
      },
    },
  },
  objects = {
    Account = {
      columns = { "Id", "AccountNumber", "Name", "Balance", "Currency" },
      rows = {
        { "2c92c0f84835bb2a01483c19f8190001", "A00000001", "Ærøskøbing \"Ferry\", Ltd", "1729.76", "EUR" },
        { "2c92c0f84835bb2a01483c19f8190002", "A00000002", "Line\nBreak AG", "0", "EUR" },
        { "2c92c0f84835bb2a01483c19f8190003", "A00000003", "日本 GmbH", "-12.5", "JPY" },
      },
    },
    AccountingPeriod = {
      columns = { "Id", "StartDate", "EndDate", "FiscalYear", "Name", "Status" },
      rows = { { "402881824835bb2a01483c19f8190300", "2014-09-01", "2014-09-30", "2014", "Sep 2014", "Open" } },
    },
  },
}

--- Seconds since the epoch, in this tenant's time.
function Tenant:now() return os.time() + self.offset end

--- An id as Zuora makes them: 32 hexadecimal digits, never the same twice.
function Tenant:new_id()
  self.ids = self.ids + 1
  return ("4028818248%06x%016x"):format(os.time() & 0xffffff, self.ids)
end

-- --- tokens ------------------------------------------------------------------------------------------

function Tenant:new_token()
  self.tokens_given = self.tokens_given + 1
  local token = ("simulated-token.%d.%s"):format(self.tokens_given, self:new_id())
  self.tokens[token] = self:now() + self.token_life
  return token
end

function Tenant:token_is_good(token)
  return (self.tokens[token] or 0) > self:now()
end

--- No token given so far is good any more.
function Tenant:expire_tokens() self.tokens = {} end

-- --- things that take their time ---------------------------------------------------------------------

-- A run or a job goes through its stages: each is seen `looks` times, the last for ever.
local function progress_new(stages) return { stages = stages, at = 1, seen = 0 } end

-- The present stage; being seen moves it on.
local function progress_look(progress, looks)
  local stage = progress.stages[progress.at]
  progress.seen = progress.seen + 1
  if progress.seen >= looks and progress.at < #progress.stages then
    progress.at, progress.seen = progress.at + 1, 0
  end
  return stage
end

local function progress_is_over(progress) return progress.at == #progress.stages end

local function progress_end(progress, stage)
  progress.stages, progress.at, progress.seen = { stage }, 1, 0
end

tenant.progress_is_over = progress_is_over

-- --- report runs -------------------------------------------------------------------------------------

function Tenant:start_run(report_id, report, view)
  local run = {
    id = self:new_id(), reportId = report_id, reportType = view, report = report,
    startedOn = self:now() * 1000, updatedOn = self:now() * 1000,
    progress = progress_new { "STARTED", "QUERYDATA", "PROCESSINGDATA", self.run_outcome or "COMPLETED" },
  }
  self.runs[run.id] = run
  table.insert(self.run_list, run)
  return run
end

--- The status that a look at the run shows.
function Tenant:look_at_run(run)
  local status = progress_look(run.progress, self.looks)
  if status ~= run.status then run.updatedOn = self:now() * 1000 end
  run.status = status
  return status
end

--- Ends a run that is still going; false when it was cancelled before.
function Tenant:cancel_run(run)
  local before = run.progress.stages[run.progress.at]
  if not progress_is_over(run.progress) then progress_end(run.progress, "CANCELLED") end
  return before ~= "CANCELLED"
end

--- The report's rows as text in the form of an export.
function Tenant:export_run(run)
  local lines = { text.line(run.report.columns, #run.report.columns, "\t") }
  for _, row in ipairs(run.report.rows) do
    lines[#lines + 1] = text.line(row, #run.report.columns, "\t")
  end
  return text.utf16le(table.concat(lines))
end

-- --- jobs and files ----------------------------------------------------------------------------------

function Tenant:new_file(content, media_type)
  local id = self:new_id()
  self.files[id] = { content = content, media_type = media_type }
  return id
end

-- "select a, b from Object": what ZOQL comes to here. Returns the object, and where its columns are.
function Tenant:parse_query(query)
  local fields, name = query:match("^%s*[Ss][Ee][Ll][Ee][Cc][Tt]%s+(.-)%s+[Ff][Rr][Oo][Mm]%s+([%w_]+)%s*$")
  local object
  for known, candidate in pairs(self.objects) do
    if name and known:lower() == name:lower() then object, name = candidate, known end
  end
  if not object then return nil end
  local places, columns = {}, {}
  for field in fields:gmatch("[^,%s]+") do
    local place
    for i, column in ipairs(object.columns) do
      if column:lower() == field:lower() then place = i end
    end
    if not place then return nil end
    places[#places + 1] = place
    columns[#columns + 1] = object.columns[place]
  end
  return { name = name, object = object, places = places, columns = columns }
end

-- The result of a query as a CSV file.
local function query_result(parsed, by_api_names, null)
  local header = {}
  for i, column in ipairs(parsed.columns) do
    header[i] = by_api_names and parsed.name .. "." .. column or parsed.name .. ": " .. column
  end
  local lines = { text.line(header, #header, ",") }
  for _, row in ipairs(parsed.object.rows) do
    local cells = {}
    for i, place in ipairs(parsed.places) do
      cells[i] = row[place]
      if cells[i] == nil then cells[i] = null or "" end
    end
    lines[#lines + 1] = text.line(cells, #cells, ",")
  end
  return table.concat(lines), #parsed.object.rows
end

function Tenant:submit_job(fields)
  local job = {
    id = self:new_id(), fields = fields, batches = {}, started = self:now(),
    progress = progress_new { "submitted", "executing", self.job_outcome or "completed" },
  }
  for i, query in ipairs(fields.queries) do
    local parsed = self:parse_query(query.query)
    job.batches[i] = { batchId = self:new_id(), query = query, parsed = parsed }
    -- A query that cannot be read ends the job when it is executed.
    if not parsed then job.progress.stages[3] = "aborted" end
  end
  self.jobs[job.id] = job
  table.insert(self.job_list, job)
  return job
end

-- A job that has just completed has its files.
local function finish_job(self, job)
  for _, batch in ipairs(job.batches) do
    local content, count = query_result(batch.parsed, job.fields.useQueryLabels == true, job.fields.nullReplacement)
    batch.recordCount = count
    batch.fileId = self:new_file(content, "text/csv;charset=UTF-8")
  end
end

--- The status that a look at the job shows.
function Tenant:look_at_job(job)
  local status = progress_look(job.progress, self.looks)
  if status == "completed" and job.status ~= status then finish_job(self, job) end
  job.status = status
  return status
end

--- Ends a job that is still going; false when it has ended before.
function Tenant:cancel_job(job)
  if progress_is_over(job.progress) then return false end
  progress_end(job.progress, "cancelled")
  return true
end

--- The newest completed job of a partner and project.
function Tenant:last_job(partner, project)
  for i = #self.job_list, 1, -1 do
    local job = self.job_list[i]
    if job.status == "completed" and job.fields.partner == partner and job.fields.project == project then return job end
  end
  return nil
end

--- The newest completed run of a report.
function Tenant:last_run(report_id)
  for i = #self.run_list, 1, -1 do
    local run = self.run_list[i]
    if run.reportId == report_id and run.status == "COMPLETED" then return run end
  end
  return nil
end

---@param settings table|nil any of DEFAULTS
function tenant.new(settings)
  local self = { offset = 0, ids = 0, tokens = {}, tokens_given = 0, runs = {}, run_list = {}, jobs = {}, job_list = {},
    files = {}, replays = {} }
  for name, value in pairs(DEFAULTS) do self[name] = value end
  for name, value in pairs(settings or {}) do self[name] = value end
  return setmetatable(self, Tenant)
end

tenant.defaults = DEFAULTS

return tenant
