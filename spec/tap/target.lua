-- A loader as a program: target.lua --config FILE. It writes the state that it was given last, and into FILE how many rows
-- it has of each stream.

local core = require "zuora.core"
local loader = require "spec.tap.loader".new()

for line in io.lines() do loader:line(line) end

local counts = {}
for name, rows in pairs(loader.rows) do
  local count = 0
  for _ in pairs(rows) do count = count + 1 end
  counts[#counts + 1] = ("%q:%d"):format(name, count)
end
table.sort(counts)
local file = assert(io.open(arg[2], "a"))
file:write("{", table.concat(counts, ","), "}\n")
file:close()
print(core.encode(loader.state))
