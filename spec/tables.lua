--- The tables of the README that are printed from where the truth is: `make doc` puts them between their marks, and
--- a spec compares.

local core = require "zuora.core"
local exits = require "zuora.cli.exits"

local tables = {}

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local function table_of(head, rows)
  local lines = { head, (head:gsub("[^|]+", " --- ")) }
  for i, row in ipairs(rows) do lines[i + 2] = "| " .. table.concat(row, " | ") .. " |" end
  return table.concat(lines, "\n")
end

-- Those of the annotation that say neither the place nor the credentials.
local function options()
  local rows = {}
  local text = read "lua/zuora/meta/client.lua":match "@class zuora.Options\n(.-)\n\n"
  for name, rest in text:match "field password.-\n(.*)$":gmatch "field ([%w_]+)%? ([^\n]*)" do
    local words = rest:match "^fun%b()%s*(.*)$" or rest:match "^%S+%s*(.*)$"
    local default = words:match "%(([%d.]+ ?%a*)%)$"
    if default then words = words:gsub(" *%b()$", "") end
    rows[#rows + 1] = { "`" .. name .. "`", default or "", words }
  end
  return table_of("| option | default | |", rows)
end

-- Where an operation is on the REST hosts, as the README has it.
local REST = { reporting = "/reporting/api/rest/v1", aqua = "/v1/batch-query", files = "/v1/files",
  queries = "/query/jobs", describe = "/v1/describe" }
local HOSTS = { both = "", rest = "REST", legacy = "older" }

local function operations()
  local rows = {}
  for group, list in pairs(core.operations) do
    for name, operation in pairs(group ~= "oauth" and list or {}) do
      local base = operation.hosts == "legacy" and "/api/rest/v1" or REST[operation.base]
      local face = group .. ":" .. (group == "files" and name == "get" and "download" or name)
      rows[#rows + 1] = { operation.method .. " " .. base .. operation.path, "`client." .. face .. "`",
        HOSTS[operation.hosts], group }
    end
  end
  table.sort(rows, function(a, b)
    if a[4] ~= b[4] then return a[4] < b[4] end
    local first, second = a[1]:match " (.*)", b[1]:match " (.*)"
    if first ~= second then return first < second end
    return a[1] < b[1]
  end)
  for _, row in ipairs(rows) do row[4] = nil end
  table.insert(rows, 1, { "POST /oauth/token", "by itself", "REST" })
  return table_of("| method and path | function | hosts |", rows)
end

local function exit_codes()
  local rows = {}
  for i, row in ipairs(exits.table) do rows[i] = { tostring(row.code), row.meaning } end
  return table_of("| code | |", rows)
end

local PRINTED = { options = options, operations = operations, ["exit codes"] = exit_codes }

--- A text with its tables as they should be.
---@param text string
---@return string
function tables.fill(text)
  for name, printed in pairs(PRINTED) do
    local opening, closing = ("<!-- make doc: %s -->\n"):format(name), "\n<!-- end of make doc -->"
    local _, last = text:find(opening, 1, true)
    local first = text:find(closing, assert(last, "no mark for " .. name), true)
    text = text:sub(1, last) .. printed() .. text:sub(first)
  end
  return text
end

--- Writes them into the README.
function tables.write()
  local text = tables.fill(read "README.md")
  local file = assert(io.open("README.md", "w"))
  file:write(text)
  file:close()
end

return tables
