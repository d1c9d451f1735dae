--- The rows that a simulated tenant holds: given as Lua tables, read from CSV files, or generated.
--
-- An object has `columns` and `each(since, before, gone_since)`: an iterator over rows (arrays of cells) that have
-- changed in that time: by their UpdatedDate, or else when they were put. With `gone_since` those deleted since then
-- are among them; their `deleted` says when. Generated ones have no end in memory: they also have `lay_out`, which
-- makes a content of them without going through the rows.

local content = require "zuora.simulator.engine.content"
local core = require "zuora.core"
local text = require "zuora.simulator.engine.text"
local times = require "zuora.simulator.engine.times"

local objects = {}

local Object = {}
Object.__index = Object

--- The place of a column, by a name without regard to case; nil when there is none.
---@param name string
---@return integer|nil
function Object:place(name)
  return self.places[name:lower()]
end

-- `all` gives an iterator over all rows, and when each was put where that is known; the others have been there
-- since `born`.
local function new(columns, all, born)
  local object = setmetatable({ columns = columns, places = {} }, Object)
  for i, column in ipairs(columns) do object.places[column:lower()] = i end
  local updated = object:place "UpdatedDate"

  local function is_there(row, gone_since) return not row.deleted or gone_since and row.deleted >= gone_since end

  function object.each(since, before, gone_since)
    local rows = all()
    local is_whole = since <= 0 and before == math.huge
    return function()
      for row, put in rows do
        if is_there(row, gone_since) then
          if is_whole then return row end
          local changed = updated and times.of(tostring(row[updated])) or put or born
          if changed >= since and changed < before then return row end
        end
      end
    end
  end

  return object
end

-- --- tables ------------------------------------------------------------------------------------------

-- A row of our own. JSON has null where Lua has nothing.
local function copied(row)
  if type(row) ~= "table" or #row == 0 and next(row) then
    error("rows are lists of cells, in the order of the columns", 0)
  end
  local copy = {}
  for i, cell in ipairs(row) do copy[i] = cell == core.null and "" or cell end
  return copy
end

local function of_table(columns, given, born)
  local rows, put = {}, {} -- when each row was put
  for i, row in ipairs(given) do rows[i], put[i] = copied(row), born end
  local object = new(columns, function()
    local i = 0
    return function()
      i = i + 1
      return rows[i], put[i]
    end
  end, born)

  --- Puts rows in the place of those with the same first cell, and behind the others. An UpdatedDate that is not
  -- given, or is as before, is now; a CreatedDate that is not given is that of the row before, and of a new row now.
  function object.update(newer, now)
    local known, updated, created = {}, object:place "UpdatedDate", object:place "CreatedDate"
    for i, row in ipairs(rows) do known[row[1]] = i end
    for _, given_row in ipairs(newer) do
      local row = copied(given_row)
      local i = known[row[1]] or #rows + 1
      local before = rows[i] and updated and rows[i][updated]
      if updated and ((row[updated] or "") == "" or row[updated] == before) then row[updated] = times.stamp(now) end
      if created and (row[created] or "") == "" then row[created] = rows[i] and rows[i][created] or times.stamp(now) end
      rows[i], put[i], known[row[1]] = row, now, i
    end
  end

  --- Deletes the rows with these first cells. That is a change of them, too.
  function object.delete(ids, now)
    local gone, updated = {}, object:place "UpdatedDate"
    for _, id in ipairs(ids) do gone[id] = true end
    for i, row in ipairs(rows) do
      if gone[row[1]] and not row.deleted then
        row = copied(row)
        row.deleted = now
        if updated then row[updated] = times.stamp(now) end
        rows[i], put[i] = row, now
      end
    end
  end

  return object
end

-- --- CSV files ---------------------------------------------------------------------------------------

local function of_csv(path, born)
  local function open()
    local rows, problem = core.rows(path, { form = "array", fail = function(message, row)
      error(("%s, row %d: %s"):format(path, row, message), 0)
    end })
    return rows or error(path .. ": " .. problem, 0)
  end
  local first <close> = open()
  if #first.columns == 0 then error(path .. ": no header line", 0) end
  return new(first.columns, open, born)
end

-- --- generated ---------------------------------------------------------------------------------------

-- Rows repeat after so many, but for the number of their block, which is in the first column.
local BLOCK_ROWS = 512

local DEFAULT_COLUMNS = { "Id", "AccountNumber", "Name", "Status", "Currency", "Balance", "CreatedDate", "Notes" }

local PLAIN = { "Northwind Traders", "Contoso Ltd", "Fabrikam", "Adventure Works", "Tailspin Toys" }
local AWKWARD = { "Smith, \"Jim\" & Sons", "two\nlines", "crlf\r\ninside", "tab\tinside", "", " leading blank",
  "Ærøskøbing", "日本語", "🙂 emoji", "'single'", "\"", "\"\"", ",", "trailing,", "=1+1", "0012", "NULL", "a;b|c" }

-- A generator of its own, so that the same seed gives the same rows everywhere.
local function random_of(seed)
  local state = math.tointeger(seed // 1) * 2654435761 + 88172645463325252
  return function(n)
    state = state ~ state << 13
    state = state ~ state >> 7
    state = state ~ state << 17
    return (state >> 11) % n + 1
  end
end

local MAKERS = {
  status = function(_, pick) return ({ "Active", "Canceled", "Draft" })[pick(3)] end,
  currency = function(_, pick) return ({ "EUR", "USD", "JPY" })[pick(3)] end,
  balance = function(_, pick) return ("%d.%02d"):format(pick(100000) - 50000, pick(100) - 1) end,
  createddate = function(r, pick) return ("2026-%02d-%02dT%02d:00:00+0000"):format(pick(12), pick(28), r % 24) end,
  accountnumber = function(r) return ("A%08d"):format(r) end,
}

-- The first cell says which row it is: the number of the block, then that of the row in it.
local function first_cell(number, r) return ("%08d"):format(number), ("%03d"):format(r) end

-- A block of rows, as a table of tables.
local function block_of(columns, settings)
  local pick = random_of(settings.seed or 1)
  local words = settings.awkward and AWKWARD or PLAIN
  local block = {}
  for r = 1, BLOCK_ROWS do
    local row = {}
    for i, column in ipairs(columns) do
      local make = MAKERS[column:match("[^.]*$"):lower()]
      row[i] = make and make(r, pick) or words[pick(#words)]
    end
    block[r] = row
  end
  return block
end

-- The text of the first rows of a block, cut where the number of the block goes.
local function cut_text(block, rows, places, delimiter)
  local lines = {}
  for r = 1, rows do
    local row, cells = block[r], {}
    for i, place in ipairs(places) do
      cells[i] = place == 1 and "\1" .. select(2, first_cell(0, r)) or row[place]
    end
    lines[r] = text.line(cells, #places, delimiter)
  end
  local pieces = {}
  for piece in (table.concat(lines) .. "\1"):gmatch("([^\1]*)\1") do pieces[#pieces + 1] = piece end
  return pieces
end

-- What gives the text of a block by its number.
local function filler(pieces, encode)
  local parts = {}
  for i, piece in ipairs(pieces) do parts[2 * i - 1] = encode(piece) end
  return function(number)
    local shown = encode((first_cell(number, 0)))
    for i = 2, 2 * #pieces - 2, 2 do parts[i] = shown end
    return table.concat(parts)
  end
end

local function of_generator(columns, settings, born)
  columns = columns or DEFAULT_COLUMNS
  local total, block = settings.rows or 1000, block_of(columns, settings)
  local object = new(columns, function()
    local n = 0
    return function()
      if n >= total then return nil end
      local number, r = n // BLOCK_ROWS, n % BLOCK_ROWS + 1
      n = n + 1
      local row = table.move(block[r], 1, #columns, 1, {})
      row[1] = table.concat { first_cell(number, r) }
      return row
    end
  end, born)
  object.total = total

  --- All rows, with these columns, as a content.
  ---@param places integer[]
  ---@param delimiter string
  ---@param head string the header line, encoded
  ---@param encode fun(text: string): string
  function object.lay_out(places, delimiter, head, encode)
    local whole = filler(cut_text(block, BLOCK_ROWS, places, delimiter), encode)
    local last = filler(cut_text(block, total % BLOCK_ROWS, places, delimiter), encode)
    local size, blocks = #whole(0), total // BLOCK_ROWS
    return content.blocks(head, function(number) return number < blocks and whole(number) or last(number) end, size,
      #head + blocks * size + #last(0))
  end

  return object
end

local KNOWN = { columns = true, rows = true, csv = true, generate = true, name = true }
local KNOWN_OF_GENERATE = { rows = true, seed = true, awkward = true }

local function check_names(given, known, what)
  for name in pairs(given) do
    if not known[name] then error(("%s has no field '%s'"):format(what, tostring(name)), 0) end
  end
end

--- Makes an object of what a user gives: `{ columns, rows }`, `{ csv = path }`, or
--- `{ columns, generate = { rows, seed, awkward } }`.
---@param given table
---@param born number|nil since when it has been there
---@return table object raises for what is none of these
function objects.new(given, born)
  check_names(given, KNOWN, "an object")
  born = born or 0
  if given.csv then return of_csv(given.csv, born) end
  if given.generate then
    check_names(given.generate, KNOWN_OF_GENERATE, "generate")
    return of_generator(given.columns, given.generate, born)
  end
  return of_table(given.columns or { "Id" }, given.rows or {}, born)
end

return objects
