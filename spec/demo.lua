-- The main job, end to end, over real HTTP against a local Zuora: `make demo`.

local zuora = require "zuora"

local sim <close> = require "zuora.simulator".start()
print("a local Zuora listens on " .. sim.url)

local client <close> = zuora.new {
  base_url = sim.url,
  client_id = sim.client_id,
  client_secret = sim.client_secret,
}
local quickly = { min = 0.05, max = 0.2, timeout = 30 }

local function told(on_status)
  return { min = quickly.min, max = quickly.max, timeout = quickly.timeout,
    on_poll = function(record, attempt) on_status(("  look %d: %s"):format(attempt, record.status)) end }
end

print("\nA report run")
local run = assert(client.reportruns:start("ff808081529f4e3401529fd373730070", { view = "Detail" }))
print("  started: " .. run.id)
assert(run:wait(told(print)))
local rows = assert(run:rows())
for row in rows do
  local cells = {}
  for i, name in ipairs(rows.columns) do cells[i] = name .. " = " .. row[name]:gsub("\n", "\\n") end
  print(("  row %d: %s"):format(rows.row, table.concat(cells, ", ")))
end
local written = assert(run:export "build/demo-report.csv")
print(("  exported: %s, %d bytes, %d records"):format(written.path, written.bytes, written.records))

print("\nAn AQuA job")
local job = assert(client.jobs:submit {
  name = "demo",
  queries = { { name = "Account", query = "select AccountNumber, Name, Balance from Account" } },
  useQueryLabels = true,
})
print("  submitted: " .. job.id)
assert(job:wait(told(print)))
local batch = job:batch "Account"
local file = assert(batch:download "build/demo-accounts.csv")
print(("  downloaded: %s, %d bytes, %d records:"):format(file.path, file.bytes, file.records))
for line in io.lines(file.path) do print("    " .. line) end

print("\nA plan, killed and gone on with")
os.execute "rm -rf build/demo && mkdir -p build/demo"
local plan = io.open("build/demo/plan.json", "w") --[[@as file*]]
plan:write [[
{ "plan": "demo", "output": "build/demo/out", "concurrency": 1,
  "items": [ { "object": "Account", "totals": ["count", "sum(Balance)"] },
             { "name": "balances", "report": "Accounts by balance", "view": "Detail" } ],
  "load": { "to": "sqlite:build/demo/warehouse.db" } }
]]
plan:close()
local jobs = #sim:held().jobs
for _, state in ipairs { "submitted", "published", "none" } do
  print(state == "none" and "  a run that is left alone:" or "  a run that is killed when a read is " .. state .. ":")
  os.execute(("lua5.4 spec/extract/child.lua %s build/demo/plan.json %s 2>/dev/null"):format(sim.url, state))
end
local extract = require "zuora.extract"
local found = assert(extract.verify "build/demo/out")
assert(#found.problems == 0)
print(("  proven: %d files, %d records; %d job was submitted"):format(found.files, found.records,
  #sim:held().jobs - jobs))
local target <close> = require "zuora.extract.base.store".open "build/demo/warehouse.db"
for _, row in ipairs(target:rows 'SELECT Name, Balance FROM Account') do
  print(("  loaded: %s, %s"):format(row.Name:gsub("\n", "\\n"), row.Balance))
end
