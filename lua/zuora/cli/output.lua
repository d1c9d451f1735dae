--- What goes to standard output: rows and records, as a table, CSV or JSON.
--
-- On a terminal all text is made safe for it; in a pipe the bytes stay as they are. A number that came as text stays
-- text.

local json = require "zuora.cli.json"
local put = require "zuora.cli.put"
local tables = require "zuora.cli.table"
local terminal = require "zuora.cli.terminal"

local output = {}

---@class zuora.cli.Output
---@field format "table"|"csv"|"jsonl"|"json"|nil
---@field terminal zuora.cli.Terminal
local Output = {}
Output.__index = Output

-- Bytes that are gathered before they are written.
local BLOCK = 65536

-- --- writing -----------------------------------------------------------------------------------------

-- Raised where the stream takes no more, and caught in `finish`.
local Gone = {}

local function flush(self)
  if #self.pending == 0 then return end
  local text = table.concat(self.pending)
  self.pending, self.size = {}, 0
  local done, message, is_pipe = put(self.stream, text)
  if not done then error(setmetatable({ message = message, is_pipe = is_pipe }, Gone), 0) end
end

local function writer(self)
  return function(text)
    self.pending[#self.pending + 1] = text
    self.size = self.size + #text
    if self.size >= BLOCK then flush(self) end
  end
end

-- Does f, which writes; what it raises by itself goes on, after what was written before it.
local function finish(self, f)
  local ok, problem = pcall(f, writer(self))
  local flushed, gone = pcall(flush, self)
  self.pending, self.size = {}, 0
  if not ok and getmetatable(problem) ~= Gone then error(problem, 0) end
  local failed = not ok and problem or not flushed and gone
  if not failed then return true end
  if getmetatable(failed) ~= Gone then error(failed, 0) end
  return nil, failed.message, failed.is_pipe
end

-- --- cells -------------------------------------------------------------------------------------------

-- A value as a cell; what has parts, as JSON.
local function cell_text(value)
  if type(value) == "string" then return value end
  if value == nil or type(value) == "userdata" then return "" end -- zuora.null
  return json.encode(value)
end

local function quoted(text)
  if text:find '[",\r\n]' then return '"' .. text:gsub('"', '""') .. '"' end
  return text
end

-- An empty cell that stands alone is quoted: to many readers an empty line is no record.
local function csv_line(cells)
  if #cells == 1 and cells[1] == "" then return '""\n' end
  for i, cell in ipairs(cells) do cells[i] = quoted(cell) end
  return table.concat(cells, ",") .. "\n"
end

-- JSON means the same with its characters written as \u: so nothing steers, and nothing is lost.
local function json_escape(character)
  if not terminal.steers(character) then return nil end
  local code = utf8.codepoint(character)
  if code < 0x10000 then return ("\\u%04x"):format(code) end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff))
end

local function json_text(self, text)
  if not self.terminal.is_terminal or not text:find "[\127-\255]" then return text end
  return (text:gsub(utf8.charpattern, json_escape))
end

-- --- the formats -------------------------------------------------------------------------------------

-- Each is made with the names of the columns, and has row(cells) and close().
local formats = {}

local function safe_cells(values, count)
  local cells = {}
  for i = 1, count do cells[i] = terminal.safe(cell_text(values[i])) end
  return cells
end

function formats.table(self, columns, write)
  local list = tables.new(safe_cells(columns, #columns), write, self.terminal)
  return { row = function(values) list:row(safe_cells(values, #columns)) end, close = function() list:close() end }
end

function formats.csv(self, columns, write)
  local function cells_of(values)
    if self.terminal.is_terminal then return safe_cells(values, #columns) end
    local cells = {}
    for i = 1, #columns do cells[i] = cell_text(values[i]) end
    return cells
  end
  write(csv_line(cells_of(columns)))
  return { row = function(values) write(csv_line(cells_of(values))) end, close = function() end }
end

-- A row as an object, its members in the order of the columns.
local function object_of(self, columns)
  local names, members = {}, {}
  for i, name in ipairs(columns) do names[i] = json.text(name) .. ":" end
  return function(values)
    for i, name in ipairs(names) do members[i] = name .. json.encode(values[i]) end
    return json_text(self, "{" .. table.concat(members, ",") .. "}")
  end
end

function formats.jsonl(self, columns, write)
  local object = object_of(self, columns)
  return { row = function(values) write(object(values) .. "\n") end, close = function() end }
end

-- The items of an array that is written as it comes.
local function array_of(write)
  local first = true
  local function item(text)
    write((first and "[\n" or ",\n") .. text)
    first = false
  end
  return item, function() write(first and "[]\n" or "\n]\n") end
end

function formats.json(self, columns, write)
  local object, item, close = object_of(self, columns), array_of(write)
  return { row = function(values) item(object(values)) end, close = close }
end

-- --- what it is given --------------------------------------------------------------------------------

--- Rows as they come.
---@param iterator zuora.Rows gives arrays (`form = "array"`), and has the header as `columns`
---@return true|nil done
---@return string|nil message where the stream takes no more
---@return boolean|nil is_pipe because whoever read it has ended: nothing to complain about
function Output:rows(iterator)
  return finish(self, function(write)
    local format = formats[self.format or self.terminal.is_terminal and "table" or "csv"](self, iterator.columns, write)
    for values in iterator do format.row(values) end
    format.close()
  end)
end

-- What names a thing comes first; then all other members that have no parts, by name.
local FIRST = { "id", "name", "status" }

local function columns_of(list)
  local seen, names, columns = {}, {}, {}
  for _, record in ipairs(list) do
    for name, value in pairs(record) do
      if type(name) == "string" and not seen[name] and type(value) ~= "table" and type(value) ~= "function" then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  for _, name in ipairs(FIRST) do
    if seen[name] then columns[#columns + 1], seen[name] = name, nil end
  end
  for _, name in ipairs(names) do
    if seen[name] then columns[#columns + 1] = name end
  end
  return columns
end

local function records_as_json(self, list, format, write)
  local item, close = array_of(write)
  for _, record in ipairs(list) do
    local text = json_text(self, json.record(record))
    if format == "json" then item(text) else write(text .. "\n") end
  end
  if format == "json" then close() end
end

local function values_of(record, columns)
  local values = {}
  for i, name in ipairs(columns) do values[i] = record[name] end
  return values
end

-- Columns in which there is something: for people, who have a window of some width.
local function filled(list, columns)
  local kept = {}
  for _, name in ipairs(columns) do
    local is_empty = #list > 0
    for _, record in ipairs(list) do is_empty = is_empty and (record[name] == nil or record[name] == "") end
    if not is_empty then kept[#kept + 1] = name end
  end
  return kept
end

--- Records, each a row; JSON has all of each, and a table no column in which there is nothing.
---@param list table[]
---@param columns string[]|nil which members, in this order (of a table and CSV: those that have no parts)
---@return true|nil done, string|nil message, boolean|nil is_pipe as of rows
function Output:records(list, columns)
  local name = self.format or self.terminal.is_terminal and "table" or "jsonl"
  return finish(self, function(write)
    if name == "json" or name == "jsonl" then return records_as_json(self, list, name, write) end
    columns = columns or columns_of(list)
    if name == "table" then columns = filled(list, columns) end
    if #columns == 0 then return end
    local format = formats[name](self, columns, write)
    for _, record in ipairs(list) do format.row(values_of(record, columns)) end
    format.close()
  end)
end

-- A line for each member, parts as JSON.
local function record_as_lines(self, record, write)
  local names, widest = {}, 0
  for name, value in pairs(record) do
    if type(name) == "string" and type(value) ~= "function" then
      names[#names + 1] = name
      widest = math.max(widest, terminal.width(terminal.safe(name)))
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local label = terminal.safe(name)
    write(self.terminal:paint("bold", label) .. (" "):rep(widest - terminal.width(label) + 2)
      .. terminal.safe(cell_text(record[name])) .. "\n")
  end
end

--- One record: lines of name and value, one row of CSV, or one object.
---@param record table
---@return true|nil done, string|nil message, boolean|nil is_pipe as of rows
function Output:record(record)
  local name = self.format or self.terminal.is_terminal and "table" or "jsonl"
  if name == "csv" then return self:records { record } end
  return finish(self, function(write)
    if name == "table" then return record_as_lines(self, record, write) end
    write(json_text(self, json.record(record)) .. "\n")
  end)
end

---@param options { format: nil|"table"|"csv"|"jsonl"|"json", stream: file*, terminal: zuora.cli.Terminal }
---@return zuora.cli.Output
function output.new(options)
  return setmetatable({ format = options.format, stream = options.stream, terminal = options.terminal,
    pending = {}, size = 0 }, Output)
end

return output
