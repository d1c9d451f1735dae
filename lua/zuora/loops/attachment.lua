--- One client in one event loop: what the loops have in common. Each of them brings two functions, and waits for what
--- a turn says.

local check = require "zuora.support.check"

---@class zuora.loops.Attachment: zuora.Attachment
---@field client zuora.Client
---@field on_error fun(problem: any)
---@field stop fun()
---@field in_turn boolean
local Attachment = {}
Attachment.__index = Attachment
Attachment.__name = "zuora.Attachment"

--- Does what can be done without waiting.
---@return table<integer, "r"|"w"|"rw"> fds, number|nil seconds what to wait for until the next turn, and how long at
--- most; {} and nil when nothing is left to do
function Attachment:turn()
  self.in_turn = true
  local stepped, problem = pcall(self.client.step, self.client, 0)
  self.in_turn = false
  if not stepped then self.on_error(problem) end
  if self.detached then return {}, nil end
  return self.client:fds()
end

--- Takes the client out of the loop. Its tasks stand still, until another loop or a blocking call moves them. Twice is
--- fine; closing the client does it, too.
function Attachment:detach()
  if self.detached then return end
  self.detached = true
  self.client:on_ready(nil)
  self.stop()
end

local attachment = {}

--- What is told of a failed task where nobody said so.
function attachment.report(problem)
  io.stderr:write("zuora: a task has failed: ", tostring(problem), "\n")
end

--- Puts a client into a loop.
---@param client zuora.Client
---@param on_error nil|fun(problem: any) told of a task that fails and that nobody joins
---@param wake fun() stops to wait for descriptors, which may be closed now, and has the loop take a turn soon
---@param stop fun() has the loop forget the client
---@return zuora.loops.Attachment
function attachment.new(client, on_error, wake, stop)
  local self = setmetatable({ client = client, on_error = on_error or attachment.report, stop = stop, in_turn = false,
    detached = false }, Attachment)
  client:on_ready(function(closing)
    if closing then return self:detach() end
    if not self.in_turn then wake() end -- else the turn will see it
  end)
  return self
end

--- The first lines of each attach.
---@param where string
---@param client zuora.Client
---@param options table|nil
---@param rules table<string, string>
---@return table options
function attachment.options(where, client, options, rules)
  if type(client) ~= "table" or type(client.on_ready) ~= "function" then
    check.fail(where, "client", "a client expected, got " .. type(client))
  end
  return check.options(where, options, rules)
end

return attachment
