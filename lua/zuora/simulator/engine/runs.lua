--- The runs of a tenant's reports, and their results. It knows no HTTP.

local content = require "zuora.simulator.engine.content"
local progress = require "zuora.simulator.engine.progress"
local text = require "zuora.simulator.engine.text"

local runs = {}

-- Seconds after which a completed run is no report's last one any more.
local LIFE = 60 * 24 * 3600

local Runs = {}
Runs.__index = Runs

local function milliseconds(seconds) return math.floor(seconds * 1000) end

---@param report table
---@param view "Detail"|"Summary"
---@return table run
function Runs:start(report, view)
  local now, outcome = self.tenant:now(), self.tenant.run_outcome or "COMPLETED"
  local run = {
    id = self.tenant:new_id(), reportId = report.id, reportType = view, report = report,
    startedOn = milliseconds(now), updatedOn = milliseconds(now), began = now,
    progress = progress.new({ "STARTED", "QUERYDATA", "PROCESSINGDATA", outcome }, self.tenant, now),
  }
  self.by_id[run.id] = run
  table.insert(self.list, run)
  return run
end

---@param id string
---@return table|nil
function Runs:find(id) return self.by_id[id] end

--- The status that a look at the run shows.
---@return string
function Runs:look(run)
  local status = run.progress:look(self.tenant:now())
  if status ~= run.status then run.updatedOn = milliseconds(self.tenant:now()) end
  run.status = status
  return status
end

--- Ends a run that is still going; false when it was cancelled before.
function Runs:cancel(run)
  run.progress:pass(self.tenant:now())
  local before = run.progress:stage()
  if not run.progress:is_over() then run.progress:finish("CANCELLED", self.tenant:now()) end
  return before ~= "CANCELLED"
end

--- Where stages last for seconds, runs go on without being looked at.
function Runs:settle()
  if not self.tenant.seconds then return end
  for _, run in ipairs(self.list) do self:look(run) end
end

--- The newest completed run of a report.
---@param report_id string
---@return table|nil
function Runs:last(report_id)
  self:settle()
  local oldest = self.tenant:now() - LIFE
  for i = #self.list, 1, -1 do
    local run = self.list[i]
    if run.reportId == report_id and run.status == "COMPLETED" and run.began >= oldest then return run end
  end
  return nil
end

--- Rows of a completed run, and how many it has: `size` of them from `offset` on, where 1 is the first row
--- behind the header.
---@return table<string, string>[] page, integer total
function Runs:page(run, offset, size)
  local data, page, total = run.report.data, {}, 0
  for cells in data.each(0, math.huge) do
    total = total + 1
    if total >= offset and total < math.max(1, offset) + size then
      local row = {}
      for column, name in ipairs(data.columns) do row[name] = cells[column] == nil and "" or tostring(cells[column]) end
      page[#page + 1] = row
    end
  end
  return page, total
end

--- The report's rows in the form of an export: UTF-16, little endian, tabs.
---@return table content
function Runs:export(run)
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

---@param tenant table
function runs.new(tenant)
  return setmetatable({ tenant = tenant, by_id = {}, list = {} }, Runs)
end

return runs
