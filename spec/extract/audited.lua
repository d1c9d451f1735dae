--- A year of rows, and what is held against the tenant when they were loaded.

local extract = require "zuora.extract"
local world = require "spec.extract.world"

local audited = { HOUR = 3600, DAY = 24 * 3600 }

audited.COLUMNS = { "Id", "Name", "Amount", "CreatedDate", "UpdatedDate" }
audited.TOTALS = { "count", "sum(Amount)" }

function audited.stamp(seconds) return os.date("!%Y-%m-%dT%H:%M:%S+0000", math.floor(seconds)) end

--- Rows of the year that ends now, so many days apart.
function audited.year(days)
  local rows, now = {}, os.time()
  for i = 1, 365 // days do
    local made = now - 365 * audited.DAY + i * days * audited.DAY
    rows[i] = { ("id%05d"):format(i), "name " .. i, ("%d.%02d"):format(i * 7, i % 100), audited.stamp(made),
      audited.stamp(math.min(made + i % 30 * audited.DAY, now - 7200)) }
  end
  return rows
end

--- A tenant with an object Thing of these rows.
function audited.world(rows, options)
  options = options or {}
  local simulator = { objects = { Thing = { columns = audited.COLUMNS, rows = rows } } }
  for name, value in pairs(options.simulator or {}) do simulator[name] = value end
  return world.new { simulator = simulator, name = options.name or "audit" }
end

-- --- comparing ----------------------------------------------------------------------------------------

--- What the table has that the tenant has not, or the other way; rows are texts of Id, Name and Amount.
---@return string[] differences, in order
function audited.differences(target, here, table_name)
  local list, there = {}, {}
  for _, row in ipairs(target:rows(here.folder, ([[SELECT "Id", "Name", CAST("Amount" AS TEXT) AS "Amount" FROM "%s"
    WHERE _zuora_deleted IS NULL OR NOT _zuora_deleted]]):format(table_name or "Thing"))) do
    local text = ("%s %s %s"):format(row.Id, row.Name, row.Amount or "")
    if there[text] then list[#list + 1] = "twice: " .. text end
    there[text] = true
  end
  for _, row in pairs(here:held()) do
    local text = ("%s %s %s"):format(row.Id, row.Name, row.Amount)
    if not there[text] then list[#list + 1] = "missing: " .. text end
    there[text] = nil
  end
  for text in pairs(there) do list[#list + 1] = "not at Zuora: " .. text end
  table.sort(list)
  return list
end

--- Audits a plan; without waiting for long.
function audited.audit(here, plan, options)
  local all = { poll = 0.002 }
  for name, value in pairs(options or {}) do all[name] = value end
  return extract.audit(here.client, plan, all)
end

return audited
