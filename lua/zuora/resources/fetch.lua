--- Options of a call that starts something, waits for it, and downloads its result: client.reports:fetch and
--- client.jobs:fetch. As in `wait`, `timeout` is the whole wait, and `request_timeout` one request;
--- `total_timeout` is over everything.

local check = require "zuora.support.check"
local wait = require "zuora.tasks.wait"

local fetch = {}

--- The options of each request, and a function that gives those of the wait when it begins.
---@param caller table
---@param options table the user's
---@return table request, fun(): table waiting
function fetch.options(caller, options)
  local request = caller:shared(options)
  request.timeout = options.request_timeout
  return request, function()
    local left = request.ends_at and math.max(0, request.ends_at - caller.clock.now()) or math.huge
    return check.rules(request, { timeout = math.min(options.timeout or wait.TIMEOUT, left) })
  end
end

return fetch
