--- One simulated tenant: its settings, tokens and idempotency keys; its reports, runs, jobs and data queries are
--- in files of their own.
--
-- It knows no HTTP. Time is the machine's, moved by `offset`, so that tests can let days pass.

local catalogue = require "zuora.simulator.engine.catalogue"
local jobs = require "zuora.simulator.engine.jobs"
local limits = require "zuora.simulator.engine.limits"
local objects = require "zuora.simulator.engine.objects"
local queries = require "zuora.simulator.engine.queries"
local runs = require "zuora.simulator.engine.runs"
local socket = require "socket"

local tenant = {}

local Tenant = {}
Tenant.__index = Tenant

local DAY = 24 * 3600
local KEY_LIFE = DAY

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
  query_rows = nil,     -- rows that a query of a job may have: more take too long, and the job ends with 90027
  file_bytes = nil,     -- bytes that a result file of a job may have, as it is sent: a larger one is refused with 403
  turn_columns = false, -- columns of files come in another order than the query has them
  ignore_keys = false,  -- idempotency keys mean nothing
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
      columns = { "Id", "AccountNumber", "Name", "Balance", "Currency", "CreatedDate", "UpdatedDate" },
      rows = {
        { "2c92c0f84835bb2a01483c19f8190001", "A00000001", "Ærøskøbing \"Ferry\", Ltd", "1729.76", "EUR",
          "2026-01-15T08:00:00+0000", "2026-01-15T08:00:00+0000" },
        { "2c92c0f84835bb2a01483c19f8190002", "A00000002", "Line\nBreak AG", "0", "EUR",
          "2026-02-16T08:00:00+0000", "2026-02-16T08:00:00+0000" },
        { "2c92c0f84835bb2a01483c19f8190003", "A00000003", "日本 GmbH", "-12.5", "JPY",
          "2026-03-17T08:00:00+0000", "2026-03-17T08:00:00+0000" },
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

--- Lets time pass.
---@param seconds number
function Tenant:forward(seconds) self.offset = self.offset + seconds end

--- How jobs, runs and data queries end that are started from now on; as they do by themselves, where nothing is said.
---@param outcomes { job: string|nil, run: string|nil, query: string|nil }
function Tenant:set_outcomes(outcomes)
  self.job_outcome, self.run_outcome, self.query_outcome = outcomes.job, outcomes.run, outcomes.query
end

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

-- --- data --------------------------------------------------------------------------------------------

-- The object, whose rows are about to change.
function Tenant:changing(name)
  local object = self.objects[name]
  if not (object and object.update) then error("there is no object of Lua tables named " .. tostring(name), 0) end
  -- What should have begun by now has not seen the change.
  self.jobs:settle()
  self.queries:settle()
  return object
end

--- Changes rows of an object, by their first column, and adds others: the next incremental job finds them.
---@param name string
---@param rows table[]
function Tenant:update(name, rows)
  local object = self:changing(name)
  object.update(rows, self:now())
end

--- Deletes rows of an object, by their first column.
---@param name string
---@param ids string[]
function Tenant:delete(name, ids)
  local object = self:changing(name)
  object.delete(ids, self:now())
end

-- What may be set: a name that is none of these is a mistake, and is told.
local SETTINGS = { objects = "table", reports = "table", port = "number", tls = "table", client_id = "string",
  client_secret = "string", username = "string", password = "string", token_life = "number",
  looks = "number or table", seconds = "number or table", concurrent_jobs = "number", segment_rows = "number",
  partners = "table", answers = "table", report_labels = "table", link_life = "number",
  requests_per_minute = "number", concurrent_requests = "number", query_rows = "number", file_bytes = "number",
  turn_columns = "boolean", ignore_keys = "boolean" }

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
  local self = { offset = 0, ids = 0, tokens = {}, tokens_given = 0, replays = {}, objects = {}, reports = {},
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
  self.jobs, self.queries, self.runs, self.limits = jobs.new(self), queries.new(self), runs.new(self), limits.new(self)
  self.catalogue = catalogue.new(self, settings.reports or tour_reports(), self.report_labels)
  return self
end

return tenant
