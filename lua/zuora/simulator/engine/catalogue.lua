--- The reports of a simulated tenant and the labels they bear: how they are found, made and changed. Their
--- runs are the tenant's. It knows no HTTP.

local objects = require "zuora.simulator.engine.objects"
local times = require "zuora.simulator.engine.times"

local catalogue = {}

local Catalogue = {}
Catalogue.__index = Catalogue

-- What a report says of itself, and as what. The rest of what a user gives is its data.
local FIELDS = { name = "string", number = "string", type = "string", description = "string", datasource = "string",
  dsName = "string", namespace = "string", definition = "string", createdBy = "string", updatedBy = "string",
  createdOn = "string", updatedOn = "string", userId = "string", creator = "string", updater = "string",
  deleted = "boolean", favorite = "boolean", shared = "boolean", zuora = "boolean", hidden = "boolean" }

-- Words of a search that are shorter are left out.
local SHORTEST_WORD = 3

local USER = "2c92c0f84835bb2a01483c19f8190099"

-- --- making ------------------------------------------------------------------------------------------

-- A report with all its fields, from those that are given.
local function add(self, id, given, data)
  self.count = self.count + 1
  local now = times.stamp(self.tenant:now())
  local fields = { id = id, name = id, number = ("REP-%08d"):format(self.count), type = "Common",
    datasource = "Account", namespace = "BASIC", definition = "{}", createdBy = USER, updatedBy = USER, createdOn = now,
    updatedOn = now, userId = USER, creator = self.tenant.username, updater = self.tenant.username, deleted = false,
    favorite = false, shared = true, zuora = false, hidden = false }
  for name in pairs(FIELDS) do
    if given[name] ~= nil then fields[name] = given[name] end
  end
  fields.dsName = fields.dsName or fields.datasource
  local report = { id = id, name = fields.name, fields = fields, version = 1, labels = {}, data = data }
  self.reports[id] = report
  return report
end

-- A report as a user sets it up: fields, labels, and data as an object has them.
local function set_up(self, id, given)
  local data = {}
  for name, value in pairs(given) do
    if FIELDS[name] then
      if type(value) ~= FIELDS[name] then
        error(("the field '%s' of a report is a %s, not a %s"):format(name, FIELDS[name], type(value)), 0)
      end
    elseif name ~= "labels" then
      data[name] = value
    end
  end
  local report = add(self, id, given, objects.new(data))
  for _, label in ipairs(given.labels or {}) do
    if not self.labels[label] then error("there is no report label " .. tostring(label), 0) end
    report.labels[label] = true
  end
end

--- Makes a report. A copy is of the data of another; else there are no rows.
---@param given table fields
---@param labels string[] known ones
---@param from table|nil the report to copy
---@return table report
function Catalogue:create(given, labels, from)
  local report = add(self, self.tenant:new_id(), given, from and from.data or objects.new {})
  self:attach(report, labels)
  return report
end

--- Puts fields in the place of others.
function Catalogue:save(report, given)
  for name in pairs(FIELDS) do
    if given[name] ~= nil then report.fields[name] = given[name] end
  end
  report.name, report.version = report.fields.name, report.version + 1
  report.fields.updatedOn = times.stamp(self.tenant:now())
end

--- The field that is given as something else than it is, if any.
---@return string|nil
function catalogue.wrong_field(given)
  for name, wanted in pairs(FIELDS) do
    if given[name] ~= nil and type(given[name]) ~= wanted then return name end
  end
  return nil
end

function Catalogue:remove(report) self.reports[report.id] = nil end

-- --- labels ------------------------------------------------------------------------------------------

--- The first of these ids that is no label's.
---@return any|nil
function Catalogue:unknown_label(ids)
  for _, id in ipairs(ids) do
    if not self.labels[id] then return id end
  end
  return nil
end

function Catalogue:attach(report, ids)
  for _, id in ipairs(ids) do report.labels[id] = true end
end

function Catalogue:detach(report, ids)
  for _, id in ipairs(ids) do report.labels[id] = nil end
end

--- Labels by their names: a report's, or all.
---@param report table|nil
---@return table[]
function Catalogue:labels_of(report)
  local found = {}
  for id, name in pairs(self.labels) do
    if not report or report.labels[id] then
      found[#found + 1] = { id = id, name = name, userId = USER, zuora = false }
    end
  end
  table.sort(found, function(a, b) return a.name .. a.id < b.name .. b.id end)
  return found
end

-- --- finding -----------------------------------------------------------------------------------------

--- Reports in an order: by these fields, then by id.
---@param keep fun(report: table): boolean
---@param order { field: string, ascend: boolean }[]
---@return table[]
function Catalogue:all(keep, order)
  local found = {}
  for _, report in pairs(self.reports) do
    if keep(report) then found[#found + 1] = report end
  end
  table.sort(found, function(a, b)
    for _, by in ipairs(order) do
      local x, y = a.fields[by.field]:lower(), b.fields[by.field]:lower()
      if x ~= y then return (x < y) == by.ascend end
    end
    return a.id < b.id
  end)
  return found
end

--- Whether the words are in a report: each of them in its name, its datasource or its description, inside
--- other words as well. Nothing is found by short words alone.
---@param query string
---@return fun(report: table): boolean
function catalogue.matcher(query)
  local words = {}
  for word in query:lower():gmatch "%S+" do
    if (utf8.len(word) or #word) >= SHORTEST_WORD then words[#words + 1] = word end
  end
  return function(report)
    local fields = report.fields
    local text = table.concat({ fields.name, fields.datasource, fields.description or "" }, "\0"):lower()
    for _, word in ipairs(words) do
      if not text:find(word, 1, true) then return false end
    end
    return #words > 0
  end
end

--- What a report says of itself: a copy.
function Catalogue:shown(report)
  local fields = {}
  for name, value in pairs(report.fields) do fields[name] = value end
  return fields
end

--- The same with its version, and when it was last run (ms).
function Catalogue:detailed(report)
  local fields = self:shown(report)
  fields.version = report.version
  for _, run in ipairs(self.tenant.runs.list) do
    if run.reportId == report.id then fields.executedOn = run.startedOn end
  end
  return fields
end

---@param tenant table
---@param given table<string, table> reports by id
---@param labels table<string, string> names by id
function catalogue.new(tenant, given, labels)
  local self = setmetatable({ tenant = tenant, reports = tenant.reports, labels = labels, count = 0 }, Catalogue)
  local ids = {}
  for id in pairs(given) do ids[#ids + 1] = id end
  table.sort(ids) -- so that the same settings give the same numbers
  for _, id in ipairs(ids) do set_up(self, id, given[id]) end
  return self
end

return catalogue
