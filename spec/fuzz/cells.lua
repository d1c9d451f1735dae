--- The other side of tables.py: for each text that comes, what rows, the counter and the rewriter make of it.
-- What goes back and forth comes in frames: a length of four bytes, and so many bytes.

local core = require "zuora.core"
local host = require "spec.fuzz.host"

local function receive()
  local head = io.read(4)
  local length = head and ("<I4"):unpack(head)
  return head and (io.read(length) or "")
end

-- The header and all rows, each cell in a frame.
local function rows_of(bytes, charset, step)
  local it = assert(core.rows(host.file(bytes), { form = "array", charset = charset, chunk = step, fail = error }))
  local parts, count = {}, 1
  local function add(row)
    parts[#parts + 1] = ("<I4"):pack(#row)
    for i = 1, #row do parts[#parts + 1] = ("<s4"):pack(row[i]) end
  end
  add(it.columns)
  for row in it do
    count = count + 1
    add(row)
  end
  return ("<I4"):pack(count) .. table.concat(parts)
end

local function filtered(bytes, charset, step, export)
  local filter = core.filter { rewrite = export }
  local out = host.pass(filter, bytes, step, "text/csv; charset=" .. charset, false)
  return assert(filter:records()), out
end

local cells = {}

function cells.run() end

for charset in receive do
  local step, bytes = ("<I4"):unpack(receive()), receive()
  local ok, rows, records, written = pcall(function()
    local counted = filtered(bytes, charset, step, false)
    local records, out = filtered(bytes, charset, step, true)
    assert(counted == records, "two counts")
    return rows_of(bytes, charset, step), records, out
  end)
  io.write(("<s4s4s4s4"):pack(ok and "" or tostring(rows), ok and rows or "", ok and records or "", ok and written or ""))
  io.flush()
end

return cells
