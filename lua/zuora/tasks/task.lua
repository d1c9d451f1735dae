--- Tasks: functions that run side by side in coroutines, and the groups that they end with.

local error_value = require "zuora.error"
local line = require "zuora.tasks.line"
local set = require "zuora.tasks.set"

local tasks = {}

local Task = {}
Task.__index = Task
Task.__name = "zuora.Task"

local WEAK = { __mode = "k" }
local NOTHING = { n = 0 }

---@return zuora.Error
function tasks.cancelled_error()
  return error_value.new { kind = "cancelled", message = "the task was cancelled" }
end

-- --- groups ------------------------------------------------------------------------------------------

-- Tasks that began under the same `run` (or `map`), which ends when its group is empty.
local Group = {}
Group.__index = Group

-- What runs in a task's coroutine. The results are put down in there, where no interruption of the loop can
-- lose them.
local function body(task)
  local f = task.f
  task.f, task.status = nil, "running"
  task.outcome = table.pack(f())
end

--- Have all tasks ended?
---@return boolean
function Group:is_empty() return self.tasks:size() == 0 end

--- Starts a task in the group.
---@param f function
---@param is_main boolean|nil its failure is the group's
---@return zuora.Task
function Group:start(f, is_main)
  local loop = self.loop
  -- Who started it, and when: see Scheduler:lineage.
  local task = setmetatable({ thread = coroutine.create(body), f = f, loop = loop, group = self, is_main = is_main,
    status = "ready", parent = loop:context(), born = loop:tick(), raised = false, problem = false, cancelled = false,
    trace = false, results = false }, Task)
  if self.closing then
    task.f, task.status, task.results = nil, "cancelled", NOTHING
    return task
  end
  loop:make_ready(task)
  self.tasks:put(task, true) -- from here on it is a task
  return task
end

--- Ends the group before its time: who waits for it goes on.
function Group:stop()
  self.stopped = true
  self.loop:wake_all(self.waiters)
end

-- The failed tasks of a group whose error has been reported to nobody, in order.
local function remember_failure(group, task)
  if not task.failed_at then task.failed_at = group.failed:push(task) end
end

local function forget_failure(group, task)
  group.failed:remove(task.failed_at, task)
end

--- Is there an error that has been reported to nobody, and nobody waits for?
---@return zuora.Task|nil
function Group:unreported()
  local failed = self.failed
  local _, first = failed:peek()
  for place = first or math.huge, failed.last do
    local task = failed[place]
    if task and task.failed_at == place and not (task.joins and next(task.joins)) then return task end
  end
  return nil
end

-- One line of what went wrong, and where. An error in the report must not take the place of this one.
local function report(group, task)
  local log = group.loop.log
  if not log then return end
  local problem = task.problem
  local known, text = pcall(tostring, problem)
  pcall(log, error_value.clean(("a task failed: %s; %s"):format(known and text or type(problem), task.trace)))
end

-- Raises a task's error, unchanged, in whoever waited for it. A task that fails by it knows whence it came.
local function raise(task)
  forget_failure(task.group, task)
  local outer = task.loop:active()
  if outer then
    outer.inner = task
  else
    report(task.group, task)
  end
  error(task.problem, 0)
end

--- Raises the error of the group: of one of its functions, or else of a task that nobody joined.
function Group:raise_failure()
  local task = self.failure or self:unreported()
  if task then raise(task) end
end

--- Cancels what is left, when the group is left by an error (or is itself cancelled). Where memory is short no task
-- is left out for it: what fails is raised in the end.
function Group:close()
  self.closing = true -- from now on nothing comes to `tasks`
  local sound, problem = true, nil
  for task in next, self.tasks.members do -- `pairs` may need memory
    local cancelled, why = pcall(task.cancel, task)
    if sound and not cancelled then sound, problem = false, why end
  end
  self.closed = true
  -- Only one error can be raised.
  local task, place = self.failed:peek()
  while task do
    report(self, task)
    self.failed:remove(place, task)
    task, place = self.failed:peek()
  end
  if not sound then error(problem, 0) end
end

Group.__close = Group.close

---@param loop table
function tasks.group(loop)
  return setmetatable({ loop = loop, tasks = set.new(), closing = false, failed = line.new() }, Group)
end

-- --- how a task runs, and ends -----------------------------------------------------------------------

-- What follows from the end comes first, and `results`, by which others know it, last: when Ctrl-C comes in
-- between, the whole is done again.
local function task_end(task, status, results)
  local loop, group = task.loop, task.group
  task.inner = nil
  loop:unpark(task)
  group.tasks:put(task, nil)
  if status == "failed" then
    remember_failure(group, task) -- until it is reported
    if task.is_main then group.failure = group.failure or task end
  end
  loop:wake_all(task.waiters)
  if group:is_empty() or group.failure then loop:wake_all(group.waiters) end
  task.status = status
  task.results = results
end

-- Where an error was raised. `trace` is made before the stack is closed; when the error came from another
-- task, that one's place is first.
local function trace_of(task, problem, trace)
  local inner = task.inner
  if inner and rawequal(inner.problem, problem) then trace = inner.trace .. "\n" .. trace end
  return trace
end

-- A task's error. (Its fields are there from the start: memory may be short by now.)
local function note_error(task, problem)
  task.problem = problem
  task.raised = true
end

-- Closes a task's coroutine: its `<close>` variables run, and an error in one of them takes the place of the one
-- before. What they start belongs to the task's group.
local function close_thread(task)
  local loop = task.loop
  local before = loop.closing
  loop.closing = task
  local closed, problem = coroutine.close(task.thread)
  loop.closing = before
  if not closed then note_error(task, problem) end
end

-- A task has ended, or must.
local function finish(task)
  if task.outcome then return task_end(task, "done", task.outcome) end
  local trace = "stack traceback: in a variable that was closed when the task was cancelled"
  if not task.cancelled then
    local traced, text = pcall(debug.traceback, task.thread)
    trace = traced and text or "stack traceback: there was not enough memory for it"
  end
  close_thread(task)
  if task.cancelled and (not task.raised or rawequal(task.problem, task.cancelled)) then
    return task_end(task, "cancelled", NOTHING)
  end
  task.trace = task.trace or trace_of(task, task.problem, trace)
  task_end(task, "failed", NOTHING)
end

local BY_ITSELF = "a task may not yield by itself: coroutine.yield was called outside a coroutine of its own "
  .. "(to pause, call client:sleep)"

-- A task has yielded, or ended. It is all read from the task itself: Ctrl-C may have kept the loop from
-- hearing what coroutine.resume returned.
local function after_turn(task)
  local suspended = coroutine.status(task.thread) == "suspended"
  if suspended and not task.cancelled then -- whatever pcall a cancelled one is in
    if task.status ~= "running" then return end
    note_error(task, BY_ITSELF)
  end
  finish(task)
end

--- Lets a task run until it waits again. Once too often is no matter: who waits looks whether it is over.
---@param task zuora.Task
function tasks.resume(task)
  local loop, thread = task.loop, task.thread
  if task.results then return end -- it has ended meanwhile
  if task.f and not task.group.tasks.members[task] then return end -- an error came in the midst of its start
  -- What was cancelled, or was part of a group that was left, is to be ended: an error came in the midst of that.
  if task.group.closing then task.cancelled = loop.cancelled end
  if task.status ~= "running" and not task.cancelled and coroutine.status(thread) == "suspended" then
    loop:unpark(task)
    loop.current = task
    local alive, problem = coroutine.resume(thread, task)
    if not alive then note_error(task, problem) end
    loop.current = nil
  end
  after_turn(task)
end

--- Gives the others their turn, from inside a task. For one that was cancelled that is the end.
---@param task zuora.Task
function tasks.park(task)
  task.status = "parked"
  coroutine.yield()
  task.status = "running"
end

-- --- what users hold ---------------------------------------------------------------------------------

-- One who waits for a task.
local Join = {}

function Join:__close() self.joins[self] = nil end

--- Waits for the task. Returns what its function returned; raises its error unchanged, and an error of kind
-- `cancelled` when it was cancelled. May be called again.
---@return any ...
function Task:join()
  local loop = self.loop
  if loop:active() == self then error("a task cannot join itself", 2) end
  do
    self.joins = self.joins or setmetatable({}, WEAK)
    local join <close> = setmetatable({ joins = self.joins }, Join)
    local _ <close> = join
    self.joins[join] = true
    while not self.results do loop:park(self) end
  end
  if self.status == "cancelled" then error(tasks.cancelled_error(), 0) end
  if self.status == "failed" then
    forget_failure(self.group, self)
    local outer = loop:active()
    if outer then outer.inner = self end
    error(self.problem, 0)
  end
  return table.unpack(self.results, 1, self.results.n)
end

--- Ends the task where it waits: its `<close>` variables run, its transfer stops. A task that has ended
-- stays as it is. One that is in the midst of something (it cancels itself, or what it called does) ends
-- where it would wait next.
function Task:cancel()
  if self.results then return end
  local loop, status = self.loop, coroutine.status(self.thread)
  if status == "dead" then
    finish(self) -- an error had kept it from that
  elseif status == "suspended" then
    local ready, problem = pcall(loop.make_ready, loop, self) -- should an error come now, the loop ends it
    self.cancelled = loop.cancelled
    finish(self)
    if not ready then error(problem, 0) end
  else
    self.cancelled = loop.cancelled
    if loop:in_task() == self then error(self.cancelled, 0) end
  end
end

--- Where the task failed: the lines of its stack, as debug.traceback has them. When the error came to it from
-- another task (by join, run or map), that one's lines are first.
---@return string|nil traceback nil for a task that has not failed
function Task:traceback()
  return self.status == "failed" and self.trace or nil
end

return tasks
