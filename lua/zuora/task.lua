--- Tasks: functions that run side by side in coroutines, and the groups that they end with.

local error_value = require "zuora.error"

local task = {}

-- What a task yields when it waits, and nobody else can.
local PARKED = {}

local Task = {}
Task.__index = Task
Task.__name = "zuora.Task"

local function cancelled_error()
  return error_value.new { kind = "cancelled", message = "the task was cancelled" }
end

-- --- groups ------------------------------------------------------------------------------------------

-- Tasks that began under the same `run` (or `map`), which ends when its group is empty.
local Group = {}
Group.__index = Group

--- Starts a task in the group.
---@param f function
---@param is_main boolean|nil its failure is the group's
---@return zuora.Task
function Group:start(f, is_main)
  local loop = self.loop
  local one = setmetatable({ thread = coroutine.create(f), loop = loop, group = self, is_main = is_main,
    status = "ready", joining = 0 }, Task)
  self.tasks[one] = true
  self.count = self.count + 1
  loop:make_ready(one)
  return one
end

--- Ends the group before its time: who waits for it goes on.
function Group:stop()
  self.stopped = true
  self.loop:wake_all(self.waiters)
end

local function forget_failure(group, one)
  for i = #group.failed, 1, -1 do
    if group.failed[i] == one then table.remove(group.failed, i) end
  end
end

-- One line of what went wrong, and where.
local function tell(group, one)
  local log = group.loop.log
  if not log then return end
  local known, text = pcall(tostring, one.results[1])
  log(error_value.clean(("a task failed: %s; %s"):format(known and text or type(one.results[1]), one.trace)))
end

-- Raises a task's error, unchanged, in whoever waited for it. A task that fails by it knows whence it came.
local function raise(one)
  forget_failure(one.group, one)
  local outer = one.loop:active()
  if outer then
    outer.inner = one
  else
    tell(one.group, one)
  end
  error(one.results[1], 0)
end

--- Raises the error of the group: of one of its functions, or else of a task that nobody joined.
function Group:raise_failure()
  if self.failure then raise(self.failure) end
  for _, one in ipairs(self.failed) do
    if one.joining == 0 then raise(one) end
  end
end

--- Cancels what is left, when the group is left by an error (or is itself cancelled).
function Group:close()
  -- A closer may start or end tasks, so there may be others afterwards.
  local found
  repeat
    found = {}
    for one in pairs(self.tasks) do
      if not one.cancelled then found[#found + 1] = one end
    end
    for _, one in ipairs(found) do one:cancel() end
  until #found == 0
  -- Only one error can be raised.
  local failed = self.failed
  self.failed = {}
  for _, one in ipairs(failed) do tell(self, one) end
end

Group.__close = Group.close

---@param loop table
function task.group(loop)
  return setmetatable({ loop = loop, count = 0, tasks = {}, failed = {} }, Group)
end

-- --- how a task runs, and ends -----------------------------------------------------------------------

local function task_end(one, status, ...)
  local loop, group = one.loop, one.group
  one.status = status
  one.results = table.pack(...)
  one.inner = nil
  loop:unpark(one)
  group.tasks[one] = nil
  group.count = group.count - 1
  if status == "failed" then
    group.failed[#group.failed + 1] = one -- until somebody is told
    if one.is_main then group.failure = group.failure or one end
  end
  loop:wake_all(one.waiters)
  if group.count == 0 or group.failure then loop:wake_all(group.waiters) end
end

-- Where an error was raised. Made before the stack is closed; when the error came from another task, that
-- one's place is first.
local function trace_of(one, problem)
  local trace, inner = debug.traceback(one.thread), one.inner
  if inner and rawequal(inner.results[1], problem) then trace = inner.trace .. "\n" .. trace end
  return trace
end

local function resumed(one, ok, ...)
  if not ok then
    local problem = ...
    local trace = trace_of(one, problem)
    -- Its <close> variables are still to run; an error in one of them takes the first one's place.
    local closed, last = coroutine.close(one.thread)
    if not closed then problem = last end
    if one.cancelled and rawequal(problem, one.cancelled) then return task_end(one, "cancelled") end
    one.trace = trace
    return task_end(one, "failed", problem)
  end
  if coroutine.status(one.thread) == "dead" then return task_end(one, "done", ...) end
  if (...) ~= PARKED then
    one.trace = debug.traceback(one.thread)
    coroutine.close(one.thread)
    return task_end(one, "failed", "a task may not yield by itself: coroutine.yield was called outside a coroutine "
      .. "of its own (to pause, call client:sleep)")
  end
end

--- Lets a task run until it waits again.
---@param one zuora.Task
function task.resume(one)
  local loop = one.loop
  if one.status ~= "ready" then return end
  one.status = "running"
  loop.current = one
  resumed(one, coroutine.resume(one.thread))
  loop.current = nil
end

--- Gives the others their turn, from inside a task.
---@param one zuora.Task
function task.park(one)
  if one.cancelled then error(one.cancelled, 0) end
  one.status = "parked"
  one.loop.current = nil
  coroutine.yield(PARKED)
end

-- --- what users hold ---------------------------------------------------------------------------------

--- Waits for the task. Returns what its function returned; raises its error unchanged, and an error of kind
-- `cancelled` when it was cancelled. May be called again.
---@return any ...
function Task:join()
  local loop = self.loop
  if loop:active() == self then error("a task cannot join itself", 2) end
  do
    self.joining = self.joining + 1
    local _ <close> = setmetatable({}, { __close = function() self.joining = self.joining - 1 end })
    while not self.results do loop:park(self) end
  end
  if self.status == "cancelled" then error(cancelled_error(), 0) end
  if self.status == "failed" then
    forget_failure(self.group, self)
    local outer = loop:active()
    if outer then outer.inner = self end
    error(self.results[1], 0)
  end
  return table.unpack(self.results, 1, self.results.n)
end

--- Ends the task where it waits: its `<close>` variables run, its transfer stops. A task that has ended
-- stays as it is. One that is in the midst of something (it cancels itself, or what it called does) ends
-- where it would wait next.
function Task:cancel()
  if self.results or self.cancelled then return end
  self.cancelled = cancelled_error()
  if coroutine.status(self.thread) ~= "suspended" then
    if self.loop:in_task() == self then error(self.cancelled, 0) end
    return
  end
  self.status = "cancelled"
  self.loop:unpark(self)
  local ok, problem = coroutine.close(self.thread)
  if ok then
    task_end(self, "cancelled")
  else
    self.trace = "stack traceback: in a variable that was closed when the task was cancelled"
    task_end(self, "failed", problem)
  end
end

--- Where the task failed: the lines of its stack, as debug.traceback has them. When the error came to it from
-- another task (by join, run or map), that one's lines are first.
---@return string|nil traceback nil for a task that has not failed
function Task:traceback()
  return self.status == "failed" and self.trace or nil
end

return task
