--- What hooks are told of a request and of its answer: enough to see what went wrong, and no secret.

local core = require "zuora.core"

local trace = {}

-- More than a hook is told of a text, by more than a secret is long: half of one would not be known for it.
local ENOUGH = 16384

-- The address, with what stands in its path.
local function url_of(caller, operation, parameters)
  if operation.url then return operation.url end
  local path = operation.path or parameters.path or ""
  return caller.bases[operation.base] .. path:gsub("{(%w+)}", function(name)
    return core.escape(tostring(parameters[name]))
  end)
end

--- What goes out.
---@param caller table
---@param operation table
---@param call table
---@return { operation: string, attempt: integer, method: string, url: string, parameters: string|nil } info
--- parameters: as JSON; of a call for a token, none
function trace.request(caller, operation, call)
  local given, text = call.parameters, nil
  if operation.base ~= "oauth" and not operation.url and next(given) ~= nil then
    local ok, encoded = pcall(core.encode, given)
    text = ok and caller:masked(encoded:sub(1, ENOUGH)) or nil
  end
  return { operation = call.name, attempt = call.attempts, method = operation.method or given.method or "GET",
    url = caller:masked(url_of(caller, operation, given)), parameters = text }
end

--- The text of an answer; nil where it is a file, or may be a token.
---@param caller table
---@param operation table
---@param response table
---@return string|nil
function trace.body(caller, operation, response)
  if operation.base == "oauth" or operation.url or not response.body or response.body == "" then return nil end
  return caller:masked(response.body:sub(1, ENOUGH))
end

return trace
