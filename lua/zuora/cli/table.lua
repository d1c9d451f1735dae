--- Rows of text as a table for people: columns under their names, cut to the width of the window.
--
-- The first rows say how wide the columns are; those that follow are written as they come.

local terminal = require "zuora.cli.terminal"

local tables = {}

-- Rows that are looked at before the first is written; cells between two columns; the least width to which a column
-- is cut.
local SAMPLE, GAP, LEAST = 200, 2, 8

local Table = {}
Table.__index = Table

local function is_numeric(text) return text == "" or text:find "^%-?%d[%d.,]*$" ~= nil end

local function widths_of(self)
  local widths, right = {}, {}
  for i, name in ipairs(self.columns) do
    widths[i], right[i] = terminal.width(name), #self.sample > 0
    for _, cells in ipairs(self.sample) do
      widths[i] = math.max(widths[i], terminal.width(cells[i]))
      right[i] = right[i] and is_numeric(cells[i])
    end
  end
  return widths, right
end

-- An id of which something is missing is of no use to anybody.
local function is_id(name) return name == "id" or name:find "[a-z]Id$" ~= nil or name == "file" end

-- The greatest width that lets all columns into so many cells: only wide ones are cut.
local function cut_to(widths, names, cells)
  local room, sorted = cells - GAP * (#widths - 1), {}
  for i, width in ipairs(widths) do
    if is_id(names[i]) then room = room - width else sorted[#sorted + 1] = width end
  end
  table.sort(sorted)
  for i, width in ipairs(sorted) do
    local share = room // (#sorted - i + 1)
    if width > share then return math.max(LEAST, share) end
    room = room - width
  end
  return math.huge
end

-- How many columns of these widths there is room for; one at least.
local function fitting(widths, cells)
  local used = 0
  for i, width in ipairs(widths) do
    used = used + width + (i > 1 and GAP or 0)
    if used > cells and i > 1 then return i - 1 end
  end
  return #widths
end

local function line_of(self, cells, paint)
  local out = {}
  for i = 1, self.shown do
    local cell = terminal.cut(cells[i], self.widths[i], self.mark)
    local blanks = (" "):rep(self.widths[i] - terminal.width(cell))
    if paint then cell = self.terminal:paint("bold", cell) end
    if self.right[i] then cell = blanks .. cell elseif i < self.shown then cell = cell .. blanks end
    out[i] = cell
  end
  local line = table.concat(out, (" "):rep(GAP))
  return (line:match "^.*[^ ]" or "") .. "\n" -- (" +$" would try each blank of a cell in turn)
end

local function begin(self)
  self.begun = true
  local widths, right = widths_of(self)
  local shown = #widths
  if self.terminal.is_terminal then
    local columns = self.terminal:size()
    local most = cut_to(widths, self.columns, columns)
    for i, width in ipairs(widths) do widths[i] = math.min(width, is_id(self.columns[i]) and columns or most) end
    shown = fitting(widths, columns)
  end
  self.widths, self.right, self.shown = widths, right, shown
  self.write(line_of(self, self.columns, true))
  for _, cells in ipairs(self.sample) do self.write(line_of(self, cells)) end
  self.sample = {}
end

--- One row: safe texts, as many as there are columns.
---@param cells string[]
function Table:row(cells)
  if self.begun then return self.write(line_of(self, cells)) end
  self.sample[#self.sample + 1] = cells
  if #self.sample >= SAMPLE then begin(self) end
end

--- The end: what was kept back, and which columns there was no room for.
function Table:close()
  if not self.begun then begin(self) end
  if self.shown == #self.columns then return end
  local left = table.concat(self.columns, ", ", self.shown + 1)
  self.write(self.terminal:paint("dim", ("not shown: %s"):format(left)) .. "\n")
end

---@param columns string[] safe texts
---@param write fun(text: string)
---@param of zuora.cli.Terminal
function tables.new(columns, write, of)
  return setmetatable({ columns = columns, write = write, terminal = of, sample = {},
    mark = of.utf8 and "…" or "..." }, Table)
end

return tables
