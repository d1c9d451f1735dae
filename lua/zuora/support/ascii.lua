--- Letters, as protocols mean them: A to Z and a to z, whatever the program's locale. (In Turkish "INVALID":lower()
-- is another word.) For the same reason the patterns of this module name their bytes: %a, %c, %l, %p, %u and %w ask
-- the locale.

local ascii = {}

local LOWER, UPPER = {}, {}
for byte = ("A"):byte(), ("Z"):byte() do
  local upper, lower = string.char(byte), string.char(byte | 32)
  LOWER[upper], UPPER[lower] = lower, upper
end

---@param text string
---@return string
function ascii.lower(text) return (text:gsub("[A-Z]", LOWER)) end

---@param text string
---@return string
function ascii.upper(text) return (text:gsub("[a-z]", UPPER)) end

return ascii
