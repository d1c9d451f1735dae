--- pcall, which Ctrl-C goes through: Lua's own answer to it is an error like any other.
---@param f function
---@param ... any
---@return boolean ok, any ... as pcall gives them
local function attempt(f, ...)
  local results = table.pack(pcall(f, ...))
  if not results[1] and tostring(results[2]):find "interrupted!$" then error(results[2], 0) end
  return table.unpack(results, 1, results.n)
end

return attempt
