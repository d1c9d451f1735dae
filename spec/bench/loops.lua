--- What a script does with what it gets: the same for the module and for its floor. And what it spent, told in the
--- line that every contender prints.

local loops = {}

--- Columns that are asked for, and cells of a lazy row that are read.
loops.COLUMNS = { "InvoiceNumber", "Amount", "Description" }

local function monotonic()
  return require "zuora.core".now()
end

--- Prints the line that every contender prints: what was spent, in seconds, on how many pieces.
function loops.tell(cpu, wall, count, check, more)
  local status = assert(io.open "/proc/self/status")
  local peak = status:read "a":match "VmHWM:%s*(%d+)"
  status:close()
  print(("cpu=%.6f wall=%.6f count=%d check=%d peak=%s %s"):format(cpu, wall, count, check, peak, more or ""))
end

--- Begins to measure: the function that is returned says how it went. Of memory the peak of the process.
function loops.measure()
  collectgarbage()
  collectgarbage()
  local wall, cpu = monotonic(), os.clock()
  return function(count, check, more)
    loops.tell(os.clock() - cpu, monotonic() - wall, count, check, more)
  end
end

-- Reads rows to their end: how many, and the sum of the lengths of what was looked at.
local function read(it, how)
  local count, sum = 0, 0
  local first, second, third = table.unpack(loops.COLUMNS)
  if how == "array" then
    for row in it do
      count, sum = count + 1, sum + #row[11]
    end
  elseif how == "lazy0" then
    for _ in it do count = count + 1 end
  elseif how == "lazy3" or how == "columns" then
    for row in it do
      count, sum = count + 1, sum + #row[first] + #row[second] + #row[third]
    end
  else
    for row in it do
      count, sum = count + 1, sum + #row[third]
    end
  end
  return count, sum
end

-- What all cells of all rows add up to.
local function read_all(it)
  local count, sum = 0, 0
  for row in it do
    count = count + 1
    for name, cell in pairs(row) do
      sum = (sum + #cell * (cell:byte(1) or 7) + (cell:byte(-1) or 3) * #tostring(name)) % 1000003
    end
  end
  return count, sum
end

--- Opens rows so many times and reads them to their end.
---@param open fun(how: string): function
---@param how string "array", "keyed", "columns", or "lazy0", "lazy1", "lazy3": cells that are read. "all-array" and the
--- like look at every cell: slow, and for no comparison but of what was read
---@param times integer|nil 1
function loops.rows(open, how, times)
  local whole, form = how:match "^(all%-)(.*)$"
  local done, count, sum = loops.measure(), 0, 0
  for _ = 1, times or 1 do
    local more, add = (whole and read_all or read)(open(form or how), how)
    count, sum = count + more, sum + add
  end
  done(count, sum)
end

--- Goes through a page of report data.
function loops.page(data)
  local count, sum = 0, 0
  for i, row in ipairs(data.page) do
    count, sum = i, sum + #row.Description
  end
  return count, sum
end

return loops
