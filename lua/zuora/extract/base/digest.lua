--- SHA-256, by luaossl.

local attempt = require "zuora.support.attempt"

local raise = require "zuora.error".raise

local digest = {}

local PIECE = 1024 * 1024

local function new()
  local ok, openssl = attempt(require, "openssl.digest")
  if not ok then
    raise("plan", "an extraction needs luaossl (Debian: lua-luaossl, LuaRocks: luaossl)")
  end
  return openssl.new "sha256"
end

--- Bytes as hexadecimal digits.
---@param bytes string
---@return string
function digest.hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

--- Of a text.
---@param text string
---@return string 64 hexadecimal digits
function digest.text(text) return digest.hex(new():final(text)) end

--- Of a file.
---@param path string
---@param pulse fun()|nil called every now and then
---@return string|nil digits nil: it cannot be read
---@return string|nil problem
function digest.file(path, pulse)
  local file, problem = io.open(path, "rb")
  if not file then return nil, problem end
  file:setvbuf "no"
  local hash = new()
  local piece, wrong = file:read(PIECE)
  while piece do
    hash:update(piece)
    if pulse then pulse() end
    piece, wrong = file:read(PIECE)
  end
  file:close()
  if wrong then return nil, path .. ": " .. wrong end
  return digest.hex(hash:final())
end

return digest
