--- Tasks: functions that run side by side in coroutines, and the groups that they end with.

local error_value = require "zuora.error"

local task = {}

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

-- What runs in a task's coroutine. The results are put down in there, where no interruption of the loop can
-- lose them.
local function body(one)
  local f = one.f
  one.f = nil
  one.outcome = table.pack(f())
end

--- Starts a task in the group.
---@param f function
---@param is_main boolean|nil its failure is the group's
---@return zuora.Task
function Group:start(f, is_main)
  local loop = self.loop
  -- Who started it, and when: see Loop:waits_for_itself.
  local one = setmetatable({ thread = coroutine.create(body), f = f, loop = loop, group = self, is_main = is_main,
    status = "ready", joining = 0, parent = loop:context(), born = loop:tick() }, Task)
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

-- The failed tasks of a group whose error nobody has been told, in order: a list with holes.
local function remember_failure(group, one)
  group.last_failed = group.last_failed + 1
  group.failed[group.last_failed], one.failed_at = one, group.last_failed
end

local function forget_failure(group, one)
  if not one.failed_at then return end
  group.failed[one.failed_at], one.failed_at = nil, nil
  while group.first_failed <= group.last_failed and not group.failed[group.first_failed] do
    group.first_failed = group.first_failed + 1
  end
end

--- Is there an error that nobody has been told, and nobody waits for?
---@return zuora.Task|nil
function Group:untold()
  for i = self.first_failed, self.last_failed do
    local one = self.failed[i]
    if one and one.joining == 0 then return one end
  end
  return nil
end

-- One line of what went wrong, and where. An error in the telling must not take the place of this one.
local function tell(group, one)
  local log = group.loop.log
  if not log then return end
  local known, text = pcall(tostring, one.results[1])
  pcall(log, error_value.clean(("a task failed: %s; %s"):format(known and text or type(one.results[1]), one.trace)))
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
  local one = self.failure or self:untold()
  if one then raise(one) end
end

--- Cancels what is left, when the group is left by an error (or is itself cancelled).
function Group:close()
  -- A closer may start or end tasks, so there may be others afterwards.
  local found
  repeat
    found = {}
    for one in pairs(self.tasks) do
      if not (one.cancelled or one.results) then found[#found + 1] = one end
    end
    for _, one in ipairs(found) do one:cancel() end
  until #found == 0
  self.closed = true
  -- Only one error can be raised.
  for i = self.first_failed, self.last_failed do
    local one = self.failed[i]
    if one then tell(self, one) end
  end
  self.failed, self.first_failed, self.last_failed = {}, 1, 0
end

Group.__close = Group.close

---@param loop table
function task.group(loop)
  return setmetatable({ loop = loop, count = 0, tasks = {}, failed = {}, first_failed = 1, last_failed = 0 }, Group)
end

-- --- how a task runs, and ends -----------------------------------------------------------------------

-- What follows from the end comes first, and `results`, by which others know it, last: when Ctrl-C comes in
-- between, the whole is done again.
local function task_end(one, status, ...)
  local loop, group = one.loop, one.group
  one.inner = nil
  loop:unpark(one)
  if group.tasks[one] then
    group.tasks[one] = nil
    group.count = group.count - 1
  end
  if status == "failed" then
    if not one.failed_at then remember_failure(group, one) end -- until somebody is told
    if one.is_main then group.failure = group.failure or one end
  end
  loop:wake_all(one.waiters)
  if group.count == 0 or group.failure then loop:wake_all(group.waiters) end
  one.status, one.results = status, table.pack(...)
end

-- Where an error was raised. `trace` is made before the stack is closed; when the error came from another
-- task, that one's place is first.
local function trace_of(one, problem, trace)
  local inner = one.inner
  if inner and rawequal(inner.results[1], problem) then trace = inner.trace .. "\n" .. trace end
  return trace
end

-- Closes a task's coroutine: its `<close>` variables run. What they start belongs to the task's group.
local function close_thread(one)
  local loop = one.loop
  local before = loop.current
  loop.current = one
  local ok, problem = coroutine.close(one.thread)
  loop.current = before
  return ok, problem
end

-- Ends a task where it stands.
local function end_cancelled(one)
  local ok, problem = close_thread(one)
  if ok or rawequal(problem, one.cancelled) then return task_end(one, "cancelled") end
  one.trace = "stack traceback: in a variable that was closed when the task was cancelled"
  return task_end(one, "failed", problem)
end

-- A task has yielded, or ended. It is all read from the task itself: Ctrl-C may have kept the loop from
-- hearing what coroutine.resume returned.
local function settle(one)
  if coroutine.status(one.thread) == "dead" then
    if one.outcome then return task_end(one, "done", table.unpack(one.outcome, 1, one.outcome.n)) end
    -- Its <close> variables are still to run; an error in one of them takes the first one's place.
    local trace = debug.traceback(one.thread)
    local _, problem = close_thread(one)
    if one.cancelled and rawequal(problem, one.cancelled) then return task_end(one, "cancelled") end
    one.trace = trace_of(one, problem, trace)
    return task_end(one, "failed", problem)
  end
  if one.status == "parked" then
    if one.cancelled then return end_cancelled(one) end -- whatever pcall it was in
    return
  end
  if one.f then return one.loop:make_ready(one) end -- it has not begun
  one.trace = debug.traceback(one.thread)
  local problem = "a task may not yield by itself: coroutine.yield was called outside a coroutine "
    .. "of its own (to pause, call client:sleep)"
  local closed, last = close_thread(one)
  return task_end(one, "failed", closed and problem or last)
end

--- Lets a task run until it waits again. Once too often is no matter: who waits looks whether it is over.
---@param one zuora.Task
function task.resume(one)
  local loop, thread = one.loop, one.thread
  if one.results then return end -- it has ended meanwhile
  if one.status == "running" then return settle(one) end -- Ctrl-C came in the midst of what follows
  loop:unpark(one)
  one.status = "running"
  loop.current = one
  coroutine.resume(thread, one)
  settle(one)
  loop.current = nil
end

--- Gives the others their turn, from inside a task. For one that was cancelled that is the end.
---@param one zuora.Task
function task.park(one)
  one.status = "parked"
  one.loop.current = nil
  return coroutine.yield()
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
  end_cancelled(self)
end

--- Where the task failed: the lines of its stack, as debug.traceback has them. When the error came to it from
-- another task (by join, run or map), that one's lines are first.
---@return string|nil traceback nil for a task that has not failed
function Task:traceback()
  return self.status == "failed" and self.trace or nil
end

return task
