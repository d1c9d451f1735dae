--- What users hold of a task. Its state is the scheduler's, which makes it, runs it, and ends it.

local check = require "zuora.support.check"
local error_value = require "zuora.error"

---@class zuora.tasks.Task: zuora.Task
---@field status "ready"|"running"|"parked"|"done"|"failed"|"cancelled"
---@field is_main boolean|nil one of those that `run` was given
---@field scheduler table
---@field results table|nil what its function has returned
---@field trace string|nil
---@field failed_at integer|nil its place among the errors that have been reported to nobody
local Task = {}
Task.__index = Task
Task.__name = "zuora.Task"

local WEAK = { __mode = "k" }

-- One who waits for a task.
local Join = {}

function Join:__close() self.joins[self] = nil end

--- Waits for the task. Returns what its function returned; raises its error unchanged, and an error of kind
--- `cancelled` when it was cancelled. May be called again.
---@return any ...
function Task:join()
  local scheduler = self.scheduler
  if scheduler:active() == self then check.misuse "a task cannot join itself" end
  do
    self.joins = self.joins or setmetatable({}, WEAK)
    local join <close> = setmetatable({ joins = self.joins }, Join)
    local _ <close> = join
    self.joins[join] = true
    while not self.results do scheduler:park(self) end
  end
  if self.status == "cancelled" then error(error_value.copy(scheduler.cancelled), 0) end
  if self.status == "failed" then scheduler:raise(self) end
  return table.unpack(self.results, 1, self.results.n)
end

--- Ends the task where it waits: its `<close>` variables run, its transfer stops. A task that has ended
--- stays as it is. One that is in the midst of something (it cancels itself, or what it called does) ends
--- where it would wait next.
function Task:cancel() self.scheduler:cancel(self) end

--- Where the task failed: the lines of its stack, as debug.traceback has them. When the error came to it from
--- another task (by join, run or map), that one's lines are first.
---@return string|nil traceback nil for a task that has not failed
function Task:traceback()
  return self.status == "failed" and self.trace or nil
end

return Task
