-- What 200,000 rows cost on their way from a file at Zuora into Singer's messages: CPU of the whole program. `make bench-tap`

local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

local ROWS = tonumber(os.getenv "BENCH_ROWS") or 200000
local ROUNDS = 3

local directory = support.scratch "bench"
local sim <close> = support.simulator { objects = { Account = { generate = { rows = ROWS, awkward = true }, columns = { "Id",
  "AccountNumber", "Name", "Status", "Currency", "Balance", "CreatedDate", "Notes", "Parent", "Batch", "Source", "Terms", "Memo" } } } }
support.write(directory .. "/config.json", core.encode { base_url = sim.url, client_id = sim.client_id,
  client_secret = sim.client_secret, select = { "Account" } })

print(("%d rows of 13 fields as messages: CPU seconds"):format(ROWS))
for round = 1, ROUNDS do
  local result = program.shell(("TIMEFORMAT='%%U %%S'; time lua5.4 lua/bin/zuora-tap --config %s/config.json --poll 0.05 --quiet "
    .. "> %s/lines"):format(directory, directory))
  local user, system = result.err:match "([%d.]+) ([%d.]+)\n$"
  local _, lines = support.read(directory .. "/lines"):gsub("\n", "")
  assert(lines == ROWS + 3, result.err)
  print(("  round %d: %.2f, of which %.2f in the kernel"):format(round, user + system, system))
end
