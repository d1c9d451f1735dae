--- Text on its way out: written at once, and told what became of it.

local EPIPE = 32

---@param to file*
---@param text string
---@return true|nil done
---@return string|nil message why not
---@return boolean|nil is_pipe because whoever read has seen enough: nothing to complain about
return function(to, text)
  local done, message, number = to:write(text)
  if done then done, message, number = to:flush() end
  if done then return true end
  return nil, tostring(message), number == EPIPE
end
