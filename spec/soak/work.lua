--- What the tasks of a soak do: whole jobs, from the start to the files, as a careful user does them. What fails is
--- tried again, under the same idempotency key where it creates something; what comes is held against what it must be.

local core = require "zuora.core"
local support = require "spec.support"
local tenant = require "spec.soak.tenant"

local work = {}

local WAIT = { min = 0.02, max = 0.2, timeout = 30 }

-- Seconds after which a step that still fails is given up.
local PATIENCE = 120

local Work = {}
Work.__index = Work

-- --- steps -------------------------------------------------------------------------------------------

-- Tries until it succeeds. What has settled otherwise than well has settled.
local function persist(self, what, call)
  local ends_at = core.now() + PATIENCE
  local err
  repeat
    self.doing = what
    local value
    value, err = call()
    if value then return value end
    self.figures:told(what, err)
    local is_settled = what == "wait" and (err.kind == "failed" or err.kind == "cancelled")
    if is_settled then return nil, err.record end
    self.client:sleep(0.05)
  until core.now() > ends_at
  self.figures:problem("lost", ("%s of %s was given up: %s"):format(what, self.name, err))
  return nil
end

-- A thing that was created settles; nil when it has no result.
local function settled(self, thing, status)
  if not thing then return nil end
  local good, bad = persist(self, "wait", function() return thing:wait(WAIT) end)
  local last = good or bad
  if last then self.statuses[thing.id] = tostring(last[status]) end
  return good
end

local function compare(self, what, expected, found)
  if found == expected then
    self.figures.files = self.figures.files + 1
  else
    self.figures:problem("wrong", ("%s: %d bytes instead of %d"):format(what, #(found or ""), #expected))
  end
end

local function compare_file(self, what, path, expected)
  compare(self, what, expected, support.read(path))
  os.remove(path)
end

-- A path that nobody else uses.
local function path_of(self, ending) return ("%s/%d%s"):format(self.directory, self.count, ending) end

-- --- whole jobs --------------------------------------------------------------------------------------

local KINDS = {}

local function started_run(self, key)
  local report = tenant.report(self.number)
  self.wanted.runs = self.wanted.runs + 1
  local run = persist(self, "start", function()
    return self.client.reportruns:start(report, { view = "Detail", idempotency_key = key })
  end)
  return settled(self, run, "status")
end

function KINDS.export(self, key)
  local run = started_run(self, key)
  if not run then return end
  local path = path_of(self, ".csv")
  local written = persist(self, "export", function() return run:export(path) end)
  if written then compare_file(self, "export", path, self.expected:report(self.number)) end
end

function KINDS.report_rows(self, key)
  local run = started_run(self, key)
  if not run then return end
  local it = persist(self, "rows", function() return run:rows { form = "array" } end)
  if it then compare(self, "rows of a run", self.expected:report(self.number), tenant.text(it.columns, it)) end
end

local BATCHES = { "plain", "sorted", "joined", "counted", "nothing", "big" }

local function job_of(self, key, more)
  local queries = {}
  for i = 1, math.random(2, #BATCHES) do queries[i] = { name = BATCHES[i], query = tenant.queries[BATCHES[i]] } end
  local fields = { name = key, queries = queries, useQueryLabels = true, idempotency_key = key }
  for name, value in pairs(more or {}) do fields[name] = value end
  self.wanted.jobs[key] = true
  return settled(self, persist(self, "submit", function() return self.client.jobs:submit(fields) end), "status")
end

local ENDINGS = { csv = ".csv", gzip = ".csv.gz", zip = ".zip" }

local function downloaded(self, job, format)
  local directory = path_of(self, "")
  local written = persist(self, "download", function() return job:download(directory) end)
  for _, file in ipairs(written or {}) do
    compare_file(self, file.name, directory .. "/" .. file.name .. ENDINGS[format], self.expected:file(file.name, format))
  end
  os.remove(directory) -- with anything left in it, it stays, and is found
end

for format in pairs(ENDINGS) do
  KINDS["job_" .. format] = function(self, key)
    local job = job_of(self, key, { format = format })
    if job then downloaded(self, job, format) end
  end
end

-- Full, so it comes in segments.
function KINDS.stateful(self, key)
  local job = job_of(self, key, { partner = "soak", project = key })
  if job then downloaded(self, job, "csv") end
end

function KINDS.batch_rows(self, key)
  local job = job_of(self, key)
  if not job then return end
  local name = job.batches[math.random(#job.batches)].name
  local it = persist(self, "rows", function() return job:batch(name):rows { form = "array" } end)
  if it then compare(self, "rows of " .. name, self.expected:file(name, "csv"), tenant.text(it.columns, it)) end
end

local function query_of(self, key, options)
  options.query, options.idempotency_key = tenant.query(key), key
  self.wanted.queries[options.query] = true
  local query = persist(self, "query", function() return self.client.queries:submit(options) end)
  return settled(self, query, "queryStatus")
end

function KINDS.query_rows(self, key)
  local query = query_of(self, key, { compression = math.random(2) == 1 and "GZIP" or "NONE" })
  local it = query and persist(self, "rows", function() return query:rows { form = "array" } end)
  if it then compare(self, "rows of a data query", self.expected:query(), tenant.text(it.columns, it)) end
end

function KINDS.query_file(self, key)
  local query, path = query_of(self, key, { outputFormat = "JSON" }), path_of(self, ".jsonl")
  local written = query and persist(self, "result", function()
    local done, err = query:download(path)
    if not done then return nil, err end
    -- JSON is taken as it is: who has to know that it is whole counts its lines.
    local _, lines = support.read(path):gsub("\n", "")
    if lines ~= query.outputRows then return nil, { kind = "not whole" } end
    return done
  end)
  if written then compare_file(self, "a data query", path, select(2, self.expected:query())) end
end

-- --- one task after another --------------------------------------------------------------------------

local NAMES = {}
for name in pairs(KINDS) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)

--- Does one whole job after another until that time.
---@param ends_at number by core.now
function Work:run(ends_at)
  repeat
    self.count = self.count + 1
    local kind = NAMES[math.random(#NAMES)]
    KINDS[kind](self, ("%s-%d"):format(self.name, self.count))
    self.figures.jobs = self.figures.jobs + 1
  until core.now() > ends_at
  self.doing = nil
end

--- One task's work in one round.
---@param fields { client: table, expected: table, figures: table, number: integer, name: string, directory: string }
--- number: of its own report; name: no other is called so; directory: its own
---@return table work `doing` (nil when it has ended), `wanted` (what it created: names of jobs, texts of queries, and how
--- many runs), `statuses` (how each settled, by id)
function work.new(fields)
  fields.count, fields.statuses = 0, {}
  fields.wanted = { jobs = {}, queries = {}, runs = 0 }
  return setmetatable(fields, Work)
end

return work
