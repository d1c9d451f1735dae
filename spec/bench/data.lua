--- The files that the works are done on, made once and kept in build/bench: rows of thirteen columns as an export
-- has them, of several sizes; the same as UTF-16 and packed; a page of report data.

local data = {}

local HEADER = "Id,AccountId,AccountNumber,Name,Currency,Amount,Balance,CreatedDate,UpdatedDate,Status,Description,"
  .. "InvoiceNumber,SubscriptionId\n"
local NAMES = { "Ada Lovelace Ltd", '"Miller, Smith and Sons"', "日本 GmbH", "Zoë & Co", '"Acme, Inc."', "Northwind" }
local WORDS = { "monthly", "annual", "usage", "credit", "platform", "seats", "overage", "support", "premium", "basic" }
local STATUSES, CURRENCIES = { "Posted", "Draft", "Canceled", "Error" }, { "USD", "EUR", "JPY", "GBP" }

local function pick(list) return list[math.random(#list)] end

-- One in eight descriptions has a comma, one in sixteen quotes, one in sixteen a newline: about 190 bytes a row.
local function description(number)
  local text = pick(WORDS) .. " " .. pick(WORDS) .. " " .. pick(WORDS) .. " " .. number % 97
  local kind = math.random(16)
  if kind <= 2 then return '"' .. text .. ', prorated"' end
  if kind == 3 then return '"' .. text .. ', the ""new"" plan"' end
  if kind == 4 then return '"' .. text .. ':\nsecond line"' end
  return text
end

local function row(number)
  local r, day = math.random, math.random(28)
  return ("2c92%08x%08x%012x,2c93%08x%08x%012x,A%08d,%s,%s,%d.%02d,%d.%02d,2025-%02d-%02dT08:%02d:00.000+00:00,"
    .. "2025-11-%02dT10:11:12.000+00:00,%s,%s,INV%08d,2c94%08x%08x%012x\n"):format(r(0, 0xffffffff), r(0, 0xffffffff),
    number, r(0, 0xffffff), 7, r(0, 50000), r(0, 99999999), pick(NAMES), pick(CURRENCIES), r(0, 9999), r(0, 99), r(0, 9999),
    r(0, 99), r(1, 12), day, r(0, 59), day, pick(STATUSES), description(number), number, r(0, 0xffffff), 9, r(0, 90000))
end

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

local function run(command) assert(os.execute(command), command) end

-- Files of the given sizes, the smaller ones the beginnings of the greater; cut where a row ends.
local function make_rows(directory, sizes)
  math.randomseed(42)
  local files, written, number = {}, #HEADER, 0
  for i = 1, #sizes do
    files[i] = assert(io.open(("%s/rows%d"):format(directory, i), "wb"))
    files[i]:setvbuf("full", 1 << 18)
    assert(files[i]:write(HEADER))
  end
  local first = 1
  while first <= #sizes do
    number = number + 1
    local text = row(number)
    written = written + #text
    for i = first, #sizes do assert(files[i]:write(text)) end
    while first <= #sizes and written >= sizes[first] do
      assert(files[first]:close())
      first = first + 1
    end
  end
end

-- The rows of `from`, `times` over.
local function make_big(from, to, times)
  local out = assert(io.open(to, "wb"))
  for i = 1, times do
    local source = assert(io.open(from, "rb"))
    local header = source:read "L"
    if i == 1 then assert(out:write(header)) end
    for block in source:lines(1 << 20) do assert(out:write(block)) end
    source:close()
  end
  assert(out:close())
end

local function make_page(path, size)
  math.randomseed(43)
  local out, written, number = assert(io.open(path, "wb")), 0, 0
  assert(out:write '{"success":true,"response":{"page":[')
  while written < size do
    number = number + 1
    local text = ('%s{"Id":"2c92%028x","Account: Number":"A%08d","Account: Name":"Ada Lovelace Ltd","Amount":%d.%02d,'
      .. '"Quantity":%d,"Posted":true,"Parent":null,"Date":"2025-%02d-01","Description":"%s %s, line \\"%d\\""}'):format(
      number > 1 and "," or "", number, math.random(99999999), math.random(9999), math.random(0, 99), math.random(500),
      math.random(12), pick(WORDS), pick(WORDS), number)
    assert(out:write(text))
    written = written + #text
  end
  assert(out:write(('],"offset":1,"size":%d,"total":%d}}'):format(number, number)))
  assert(out:close())
end

--- Makes what is not there yet.
---@param directory string
---@param sizes { rows: integer[], copies: integer, page: integer } bytes of the files of rows, in order;
--- copies of that one in the big file; bytes of a page of report data
---@return table made rows: how many each of the files has; last: the number of the greatest
function data.make(directory, sizes)
  local last = #sizes.rows
  local greatest = ("%s/rows%d"):format(directory, last)
  if not exists(directory .. "/made") then
    run(("mkdir -p %s"):format(directory))
    make_rows(directory, sizes.rows)
    make_big(greatest, directory .. "/big", sizes.copies)
    make_page(directory .. "/page", sizes.page)
    run(("{ printf '\\377\\376'; iconv -f UTF-8 -t UTF-16LE %s; } > %s/utf16"):format(greatest, directory))
    run(("gzip -6 -k -f %s"):format(greatest))
    local index = require "rows".index
    local out = assert(io.open(directory .. "/made", "wb"))
    for i = 1, last do
      local path = ("%s/rows%d"):format(directory, i)
      assert(out:write(index(path, path .. ".positions"), "\n"))
    end
    assert(out:close())
  end
  local made = { rows = {}, last = last }
  for line in io.lines(directory .. "/made") do made.rows[#made.rows + 1] = math.tointeger(line) end
  return made
end

return data
