--- The two forms in which Zuora delivers rows: comma-separated UTF-8 (AQuA) and tab-separated UTF-16LE
--- (the export of a report run). And the reading of the first, for data that users keep in files.

local text = {}

local function quoted(value, delimiter)
  value = value == nil and "" or tostring(value)
  if value:find('["\r\n]') or value:find(delimiter, 1, true) then
    return '"' .. value:gsub('"', '""') .. '"'
  end
  return value
end

--- One line, with its newline.
---@param values any[] of `count` cells; nil is an empty one
---@param count integer
---@param delimiter string
---@return string
function text.line(values, count, delimiter)
  local cells = {}
  for i = 1, count do cells[i] = quoted(values[i], delimiter) end
  return table.concat(cells, delimiter) .. "\n"
end

--- UTF-8 to UTF-16, little endian, without a byte order mark.
---@param utf8_text string valid UTF-8
---@return string
function text.utf16le(utf8_text)
  local units = {}
  for _, code in utf8.codes(utf8_text) do
    if code >= 0x10000 then
      code = code - 0x10000
      units[#units + 1] = ("<I2I2"):pack(0xd800 | code >> 10, 0xdc00 | code & 0x3ff)
    else
      units[#units + 1] = ("<I2"):pack(code)
    end
  end
  return table.concat(units)
end

-- The cells of a record, whose quotes are all closed.
local function cells_of(record)
  local cells, at = {}, 1
  repeat
    local cell, behind
    if record:sub(at, at) == '"' then
      cell, behind = record:match('^"(.-)"()', at)
      while record:sub(behind, behind) == '"' do
        local more
        more, behind = record:match('^"(.-)"()', behind)
        cell = cell .. '"' .. more
      end
    else
      cell, behind = record:match("^([^,]*)()", at)
    end
    cells[#cells + 1] = cell
    at = behind + 1
  until record:sub(behind, behind) ~= ","
  return cells
end

--- Goes through the records of a CSV file (RFC 4180).
---@param path string
---@return fun(): string[]|nil
function text.records(path)
  local lines = io.lines(path, "L")
  return function()
    local record = lines()
    if not record then return nil end
    -- As long as a quote is open, the newline belongs to a cell.
    while select(2, record:gsub('"', "")) % 2 == 1 do
      local more = lines()
      if not more then error(path .. ": a quote is not closed", 0) end
      record = record .. more
    end
    return cells_of((record:gsub("\r?\n$", "")))
  end
end

return text
