--- The two forms in which Zuora delivers rows: comma-separated UTF-8 (AQuA) and tab-separated UTF-16LE
--- (the export of a report run).

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

return text
