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
local data = assert(run:data())
for i, row in ipairs(data.page) do
  local cells = {}
  for name, value in pairs(row) do cells[#cells + 1] = name .. " = " .. value:gsub("\n", "\\n") end
  table.sort(cells)
  print(("  row %d of %d: %s"):format(i, data.total, table.concat(cells, ", ")))
end
local written = assert(run:export "build/demo-report.csv")
print(("  exported: %s, %d bytes"):format(written.path, written.bytes))

print("\nAn AQuA job")
local job = assert(client.jobs:submit {
  name = "demo",
  queries = { { name = "Account", query = "select AccountNumber, Name, Balance from Account" } },
  useQueryLabels = true,
})
print("  submitted: " .. job.id)
assert(job:wait(told(print)))
local batch = job:batch "Account"
for _, file_id in ipairs(batch:files()) do
  local file = assert(client.files:download(file_id, "build/demo-accounts.csv"))
  print(("  downloaded: %s, %d bytes, %d records:"):format(file.path, file.bytes, batch.recordCount))
  for line in io.lines(file.path) do print("    " .. line) end
end
