--- Data Query's engine: what is accepted, and what a query comes to. It knows no HTTP.

local content = require "zuora.simulator.engine.content"
local core = require "zuora.core"
local json = require "zuora.simulator.engine.json"
local packing = require "zuora.simulator.engine.packing"
local plans = require "zuora.simulator.engine.plans"
local progress = require "zuora.simulator.engine.progress"
local text = require "zuora.simulator.engine.text"

local queries = {}

local FORMATS = { JSON = "jsonl", CSV = "csv", TSV = "tsv", DSV = "dsv" }
local PACKED = { NONE = "", GZIP = ".gz", ZIP = ".zip" }
local MEDIA_TYPES = { GZIP = "application/x-gzip", ZIP = "application/zip" }

-- --- what is accepted --------------------------------------------------------------------------------

local function fields_problem(fields)
  if type(fields) ~= "table" then return "The request body is not a JSON object." end
  if type(fields.query) ~= "string" or not fields.query:find "%S" then return "The field 'query' is required." end
  if not FORMATS[fields.outputFormat] then return "The field 'outputFormat' is one of JSON, CSV, TSV, DSV." end
  if not PACKED[fields.compression] then return "The field 'compression' is one of NONE, GZIP, ZIP." end
  if type(fields.output) ~= "table" or fields.output.target ~= "S3" then
    return "The field 'output' is required, with the target S3."
  end
  local separator = fields.columnSeparator
  if separator ~= nil and (type(separator) ~= "string" or separator == "" or separator:find '["\r\n]') then
    return "The field 'columnSeparator' is not valid."
  end
  if fields.sourceData ~= nil and fields.sourceData ~= "LIVE" and fields.sourceData ~= "WAREHOUSE" then
    return "The field 'sourceData' is one of LIVE, WAREHOUSE."
  end
  for _, name in ipairs { "readDeleted", "useIndexJoin" } do
    if fields[name] ~= nil and type(fields[name]) ~= "boolean" then
      return ("The field '%s' is true or false."):format(name)
    end
  end
  if fields.compression ~= "NONE" and not packing.available() then
    return "This simulator packs files with lua-zlib, which is not installed."
  end
  return nil
end

-- --- results -----------------------------------------------------------------------------------------

-- One object on a line, its keys in the order of the columns.
local function object_line(cells, names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = json.encode(name) .. ":" .. json.encode(cells[i]) end
  return "{" .. table.concat(parts, ",") .. "}\n"
end

-- The query begins: what it sees now is its result, whatever changes afterwards.
local function execute(self, job)
  local fields, plan, rows = job.fields, job.plan, 0
  local names = plans.header(plan, "sql")
  local is_json = fields.outputFormat == "JSON"
  local delimiter = ({ CSV = ",", TSV = "\t", DSV = fields.columnSeparator or "," })[fields.outputFormat]
  local whole = content.file(function(put)
    if not is_json then put(text.line(names, #names, delimiter)) end
    for cells in plans.rows(plan, 0, math.huge, is_json and core.null or "") do
      rows = rows + 1
      put(is_json and object_line(cells, names) or text.line(cells, #names, delimiter))
    end
  end)
  local ending = FORMATS[fields.outputFormat]
  if fields.compression == "GZIP" then whole = packing.gzip_content(whole) end
  if fields.compression == "ZIP" then whole = packing.zip_content(whole, job.id .. "." .. ending) end
  local media_type = MEDIA_TYPES[fields.compression] or is_json and "binary/octet-stream" or "text/csv"
  local id = self.tenant:new_id()
  job.rows, job.file = rows, id .. "." .. ending .. PACKED[fields.compression]
  self.files[job.file] = { content = whole, media_type = media_type, etag = '"' .. id .. '"' }
end

-- --- jobs --------------------------------------------------------------------------------------------

local Queries = {}
Queries.__index = Queries

-- An id with hyphens: here they are UUIDs.
local function uuid_of(id)
  return ("%s-%s-%s-%s-%s"):format(id:sub(1, 8), id:sub(9, 12), id:sub(13, 16), id:sub(17, 20), id:sub(21))
end

--- Takes a query, or says what is wrong with it.
---@param fields table as they were sent
---@return table|nil job, string|nil problem
function Queries:submit(fields)
  local problem = fields_problem(fields)
  if problem then return nil, problem end
  local tenant, now = self.tenant, self.tenant:now()
  local job = { id = uuid_of(tenant:new_id()), fields = fields, plan = plans.new(tenant, fields.query, "sql"),
    created = now, updated = now }
  local outcome = tenant.query_outcome or "completed"
  if not job.plan or job.plan.problem then outcome = "failed" end
  job.progress = progress.new({ "accepted", "in_progress", outcome }, tenant, now)
  job.status = "accepted"
  self.by_id[job.id] = job
  table.insert(self.list, job)
  return job
end

---@param id string
---@return table|nil
function Queries:find(id) return self.by_id[id] end

local function show(self, job, status)
  if status ~= job.status then job.updated = self.tenant:now() end
  job.status = status
  if job.progress:began(2) and not job.file and status ~= "cancelled" and job.plan and not job.plan.problem then
    execute(self, job)
  end
end

--- A look at a job: `job.status` is what it shows.
function Queries:look(job) show(self, job, job.progress:look(self.tenant:now())) end

--- Where stages last for seconds, jobs go on without being looked at.
function Queries:settle()
  for _, job in ipairs(self.list) do
    job.progress:pass(self.tenant:now())
    show(self, job, job.progress:stage())
  end
end

--- Ends a job that is still going; false when it has ended before.
---@return boolean
function Queries:cancel(job)
  self:settle()
  if job.progress:is_over() then return false end
  job.progress:finish("cancelled", self.tenant:now())
  show(self, job, "cancelled")
  return true
end

---@param tenant table
function queries.new(tenant)
  return setmetatable({ tenant = tenant, by_id = {}, list = {}, files = {} }, Queries)
end

return queries
