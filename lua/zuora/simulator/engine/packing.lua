--- gzip and zip, by lua-zlib where it is installed; without it the simulator sends everything as it is.

local content = require "zuora.simulator.engine.content"

local packing = {}

local found, zlib = pcall(require, "zlib")

local GZIP_WINDOW = 31

---@return boolean
function packing.available() return found end

--- A function that packs piece by piece: give it text, and nil at the end.
---@return fun(piece: string|nil): string
function packing.gzip_stream()
  local deflate = zlib.deflate(1, GZIP_WINDOW)
  return function(piece)
    if piece then return (deflate(piece)) end
    return (deflate("", "finish"))
  end
end

---@param text string
---@return string
function packing.gzip(text)
  return (zlib.deflate(6, GZIP_WINDOW)(text, "finish"))
end

local function each_piece(whole, use)
  for piece in whole.stream(0, whole.length) do use(piece) end
end

--- A content, packed.
---@param whole table
---@return table content
function packing.gzip_content(whole)
  return content.file(function(put)
    local pack = packing.gzip_stream()
    each_piece(whole, function(piece) put(pack(piece)) end)
    put(pack(nil))
  end)
end

--- A zip archive with one member.
---@param whole table
---@param name string
---@return table content
function packing.zip_content(whole, name)
  local deflate, checksum, packed = zlib.deflate(6, -15), zlib.crc32(), {}
  local sum = 0
  each_piece(whole, function(piece)
    sum = checksum(piece)
    packed[#packed + 1] = deflate(piece)
  end)
  packed[#packed + 1] = deflate("", "finish")
  local body = table.concat(packed)
  -- version, flags (UTF-8 names), method (deflate), time, date, sums and sizes
  local common = ("<I2I2I2I2I2I4I4I4I2I2"):pack(20, 0x0800, 8, 0, 0x21, sum, #body, whole.length, #name, 0)
  local head = "PK\3\4" .. common .. name
  local directory = "PK\1\2" .. ("<I2"):pack(20) .. common .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, 0) .. name
  local tail = "PK\5\6" .. ("<I2I2I2I2I4I4I2"):pack(0, 0, 1, 1, #directory, #head + #body, 0)
  return content.text(head .. body .. directory .. tail)
end

return packing
