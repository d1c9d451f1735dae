--- The state of one simulated tenant: credentials and tokens, reports and their runs; jobs and files are
--- in a file of their own.
--
-- It knows no HTTP. Time is the machine's, moved by `offset`, so that tests can let days pass.

local bucket = require "zuora.simulator.engine.bucket"
local catalogue = require "zuora.simulator.engine.catalogue"
local content = require "zuora.simulator.engine.content"
local jobs = require "zuora.simulator.engine.jobs"
local objects = require "zuora.simulator.engine.objects"
local progress = require "zuora.simulator.engine.progress"
local socket = require "socket"
local text = require "zuora.simulator.engine.text"

local tenant = {}

local Tenant = {}
Tenant.__index = Tenant

local DAY = 24 * 3600
local KEY_LIFE, RUN_LIFE = DAY, 60 * DAY

--- What can be set, and what it is unless it is set.
tenant.defaults = {
  client_id = "11111111-2222-3333-4444-555555555555",
  client_secret = "simulated=secret+/of=42",
  username = "user@simulated.example",
  password = "simulated pass:word",
  token_life = 3599,    -- seconds
  looks = 1,            -- how often each status that is not the last is seen (or a table by status) …
  seconds = nil,        -- … or how long it lasts
  concurrent_jobs = 50, -- stateful ones, and as many stateless ones
  requests_per_minute = 50000,
  concurrent_requests = 40, -- all but those for tokens, until they are answered whole
  segment_rows = nil,   -- rows of a segment, for full stateful loads; nil: no segments
  link_life = 3600,     -- seconds that a link to the result of a data query is good for
  partners = nil,       -- a list of known partner ids; nil: all are known
  report_labels = { ["ff808081529f4e3401529fd373730099"] = "Finance" }, -- names by id
  answers = {},         -- { [query] = { columns =, rows = } }: what to answer to it, whatever it says
}

-- What a new tenant holds: enough for a tour.
local function tour_reports()
  return {
    ["ff808081529f4e3401529fd373730070"] = {
      name = "Accounts by balance",
      columns = { "Account.AccountNumber", "Account.Name", "Account.Balance" },
      rows = {
        { "A00000001", "Ærøskøbing \"Ferry\", Ltd", "1,729.76" },
        { "A00000002", "Line\nBreak AG", "0.00" },
        { "A00000003", "日本 GmbH", "-12.50" },
      },
    },
  }
end

local function tour_objects()
  return {
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
  }
end

--- Seconds since the epoch, in this tenant's time.
function Tenant:now() return socket.gettime() + self.offset end

--- An id as Zuora makes them: 32 hexadecimal digits, never the same twice.
function Tenant:new_id()
  self.ids = self.ids + 1
  return ("4028818248%06x%016x"):format(os.time() & 0xffffff, self.ids)
end

-- --- tokens and idempotency keys ---------------------------------------------------------------------

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

--- What an idempotency key stands for: `{ target, response }`, the response nil while it is being made.
---@param key string
---@return table|nil
function Tenant:replay(key)
  local known = self.replays[key]
  if known and self:now() - known.at > KEY_LIFE then self.replays[key], known = nil, nil end
  return known
end

function Tenant:remember(key, known)
  known.at = self:now()
  self.replays[key] = known
  return known
end

function Tenant:forget(key) self.replays[key] = nil end

-- --- report runs -------------------------------------------------------------------------------------

local function milliseconds(seconds) return math.floor(seconds * 1000) end

function Tenant:start_run(report_id, report, view)
  local now = self:now()
  local run = {
    id = self:new_id(), reportId = report_id, reportType = view, report = report,
    startedOn = milliseconds(now), updatedOn = milliseconds(now), began = now,
    progress = progress.new({ "STARTED", "QUERYDATA", "PROCESSINGDATA", self.run_outcome or "COMPLETED" }, self, now),
  }
  self.runs[run.id] = run
  table.insert(self.run_list, run)
  return run
end

--- The status that a look at the run shows.
function Tenant:look_at_run(run)
  local status = run.progress:look(self:now())
  if status ~= run.status then run.updatedOn = milliseconds(self:now()) end
  run.status = status
  return status
end

--- Ends a run that is still going; false when it was cancelled before.
function Tenant:cancel_run(run)
  run.progress:pass(self:now())
  local before = run.progress:stage()
  if not run.progress:is_over() then run.progress:finish("CANCELLED", self:now()) end
  return before ~= "CANCELLED"
end

--- Where stages last for seconds, runs go on without being looked at.
function Tenant:settle_runs()
  if not self.seconds then return end
  for _, run in ipairs(self.run_list) do self:look_at_run(run) end
end

--- The newest completed run of a report.
function Tenant:last_run(report_id)
  self:settle_runs()
  local oldest = self:now() - RUN_LIFE
  for i = #self.run_list, 1, -1 do
    local run = self.run_list[i]
    if run.reportId == report_id and run.status == "COMPLETED" and run.began >= oldest then return run end
  end
  return nil
end

--- The report's rows in the form of an export: UTF-16, little endian, tabs.
function Tenant:export_run(run)
  if run.content then return run.content end
  local data, places = run.report.data, {}
  for i in ipairs(data.columns) do places[i] = i end
  local head = text.utf16le(text.line(data.columns, #data.columns, "\t"))
  if data.lay_out then
    run.content = data.lay_out(places, "\t", head, text.utf16le)
  else
    run.content = content.file(function(put)
      put(head)
      for row in data.each(0, math.huge) do put(text.utf16le(text.line(row, #places, "\t"))) end
    end)
  end
  return run.content
end

-- --- data --------------------------------------------------------------------------------------------

--- Changes rows of an object, by their first column, and adds others: the next incremental job finds them.
---@param name string
---@param rows table[]
function Tenant:update(name, rows)
  local object = self.objects[name]
  if not (object and object.update) then error("there is no object of Lua tables named " .. tostring(name), 0) end
  self.aqua:settle() -- what should have begun by now has not seen the change
  object.update(rows, self:now())
end

-- What may be set: a name that is none of these is a mistake, and is told.
local SETTINGS = { objects = "table", reports = "table", port = "number", tls = "table", client_id = "string",
  client_secret = "string", username = "string", password = "string", token_life = "number",
  looks = "number or table", seconds = "number or table", concurrent_jobs = "number", segment_rows = "number",
  partners = "table", answers = "table", report_labels = "table", link_life = "number",
  requests_per_minute = "number", concurrent_requests = "number" }

local function check_settings(settings)
  for name, value in pairs(settings) do
    if not SETTINGS[name] then error(("the simulator has no setting '%s'"):format(tostring(name)), 0) end
    if not SETTINGS[name]:find(type(value), 1, true) then
      error(("the setting '%s' is a %s, not a %s"):format(name, SETTINGS[name], type(value)), 0)
    end
  end
  for _, name in ipairs { "segment_rows", "requests_per_minute", "concurrent_requests" } do
    if settings[name] and settings[name] < 1 then error(("the setting '%s' begins at 1"):format(name), 0) end
  end
end

---@param settings table|nil any of tenant.defaults, `objects` and `reports`
function tenant.new(settings)
  check_settings(settings or {})
  local self = { offset = 0, ids = 0, tokens = {}, tokens_given = 0, runs = {}, run_list = {}, replays = {},
    objects = {}, reports = {}, queries = { by_id = {} },
    email_domains = {} }
  settings = settings or {}
  for name, value in pairs(tenant.defaults) do self[name] = value end
  for name, value in pairs(settings) do
    if name ~= "objects" and name ~= "reports" then self[name] = value end
  end
  if self.partners then
    local known = {}
    for _, partner in ipairs(self.partners) do known[partner] = true end
    self.partners = known
  end
  setmetatable(self, Tenant)
  local born = self:now() - DAY -- what is there from the beginning was there before it
  for name, given in pairs(settings.objects or tour_objects()) do self.objects[name] = objects.new(given, born) end
  self.aqua, self.bucket = jobs.new(self), bucket.new(self)
  self.catalogue = catalogue.new(self, settings.reports or tour_reports(), self.report_labels)
  return self
end

return tenant
