--- Tasks: functions that run side by side in coroutines, and the groups that they end with.

local error_value = require "zuora.error"
local line = require "zuora.tasks.line"
local set = require "zuora.tasks.set"

local task = {}

local Task = {}
Task.__index = Task
Task.__name = "zuora.Task"

local WEAK = { __mode = "k" }
local NOTHING = { n = 0 }

---@return zuora.Error
function task.cancelled_error()
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
  one.f, one.status = nil, "running"
  one.outcome = table.pack(f())
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
  -- Who started it, and when: see Loop:lineage.
  local one = setmetatable({ thread = coroutine.create(body), f = f, loop = loop, group = self, is_main = is_main,
    status = "ready", parent = loop:context(), born = loop:tick(), raised = false, problem = false, cancelled = false,
    trace = false, results = false }, Task)
  if self.closing then
    one.f, one.status, one.results = nil, "cancelled", NOTHING
    return one
  end
  loop:make_ready(one)
  self.tasks:put(one, true) -- from here on it is a task
  return one
end

--- Ends the group before its time: who waits for it goes on.
function Group:stop()
  self.stopped = true
  self.loop:wake_all(self.waiters)
end

-- The failed tasks of a group whose error nobody has been told, in order.
local function remember_failure(group, one)
  if not one.failed_at then one.failed_at = group.failed:push(one) end
end

local function forget_failure(group, one)
  group.failed:remove(one.failed_at, one)
end

--- Is there an error that nobody has been told, and nobody waits for?
---@return zuora.Task|nil
function Group:untold()
  local failed = self.failed
  local _, first = failed:peek()
  for place = first or math.huge, failed.last do
    local one = failed[place]
    if one and one.failed_at == place and not (one.joins and next(one.joins)) then return one end
  end
  return nil
end

-- One line of what went wrong, and where. An error in the telling must not take the place of this one.
local function tell(group, one)
  local log = group.loop.log
  if not log then return end
  local problem = one.problem
  local known, text = pcall(tostring, problem)
  pcall(log, error_value.clean(("a task failed: %s; %s"):format(known and text or type(problem), one.trace)))
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
  error(one.problem, 0)
end

--- Raises the error of the group: of one of its functions, or else of a task that nobody joined.
function Group:raise_failure()
  local one = self.failure or self:untold()
  if one then raise(one) end
end

--- Cancels what is left, when the group is left by an error (or is itself cancelled). Where memory is short no task
-- is left out for it: what fails is told in the end.
function Group:close()
  self.closing = true -- from now on nothing comes to `tasks`
  local sound, problem = true, nil
  for one in next, self.tasks.members do -- `pairs` may need memory
    local cancelled, why = pcall(one.cancel, one)
    if sound and not cancelled then sound, problem = false, why end
  end
  self.closed = true
  -- Only one error can be raised.
  local one, place = self.failed:peek()
  while one do
    tell(self, one)
    self.failed:remove(place, one)
    one, place = self.failed:peek()
  end
  if not sound then error(problem, 0) end
end

Group.__close = Group.close

---@param loop table
function task.group(loop)
  return setmetatable({ loop = loop, tasks = set.new(), closing = false, failed = line.new() }, Group)
end

-- --- how a task runs, and ends -----------------------------------------------------------------------

-- What follows from the end comes first, and `results`, by which others know it, last: when Ctrl-C comes in
-- between, the whole is done again.
local function task_end(one, status, results)
  local loop, group = one.loop, one.group
  one.inner = nil
  loop:unpark(one)
  group.tasks:put(one, nil)
  if status == "failed" then
    remember_failure(group, one) -- until somebody is told
    if one.is_main then group.failure = group.failure or one end
  end
  loop:wake_all(one.waiters)
  if group:is_empty() or group.failure then loop:wake_all(group.waiters) end
  one.status = status
  one.results = results
end

-- Where an error was raised. `trace` is made before the stack is closed; when the error came from another
-- task, that one's place is first.
local function trace_of(one, problem, trace)
  local inner = one.inner
  if inner and rawequal(inner.problem, problem) then trace = inner.trace .. "\n" .. trace end
  return trace
end

-- A task's error. (Its fields are there from the start: memory may be short by now.)
local function note_error(one, problem)
  one.problem = problem
  one.raised = true
end

-- Closes a task's coroutine: its `<close>` variables run, and an error in one of them takes the place of the one
-- before. What they start belongs to the task's group.
local function close_thread(one)
  local loop = one.loop
  local before = loop.closing
  loop.closing = one
  local closed, problem = coroutine.close(one.thread)
  loop.closing = before
  if not closed then note_error(one, problem) end
end

-- A task has ended, or must.
local function finish(one)
  if one.outcome then return task_end(one, "done", one.outcome) end
  local trace = "stack traceback: in a variable that was closed when the task was cancelled"
  if not one.cancelled then
    local traced, text = pcall(debug.traceback, one.thread)
    trace = traced and text or "stack traceback: there was not enough memory for it"
  end
  close_thread(one)
  if one.cancelled and (not one.raised or rawequal(one.problem, one.cancelled)) then
    return task_end(one, "cancelled", NOTHING)
  end
  one.trace = one.trace or trace_of(one, one.problem, trace)
  task_end(one, "failed", NOTHING)
end

local BY_ITSELF = "a task may not yield by itself: coroutine.yield was called outside a coroutine of its own "
  .. "(to pause, call client:sleep)"

-- A task has yielded, or ended. It is all read from the task itself: Ctrl-C may have kept the loop from
-- hearing what coroutine.resume returned.
local function settle(one)
  local suspended = coroutine.status(one.thread) == "suspended"
  if suspended and not one.cancelled then -- whatever pcall a cancelled one is in
    if one.status ~= "running" then return end
    note_error(one, BY_ITSELF)
  end
  finish(one)
end

--- Lets a task run until it waits again. Once too often is no matter: who waits looks whether it is over.
---@param one zuora.Task
function task.resume(one)
  local loop, thread = one.loop, one.thread
  if one.results then return end -- it has ended meanwhile
  if one.f and not one.group.tasks.members[one] then return end -- an error came in the midst of its start
  -- What was cancelled, or was part of a group that was left, is to be ended: an error came in the midst of that.
  if one.group.closing then one.cancelled = loop.cancelled end
  if one.status ~= "running" and not one.cancelled and coroutine.status(thread) == "suspended" then
    loop:unpark(one)
    loop.current = one
    local alive, problem = coroutine.resume(thread, one)
    if not alive then note_error(one, problem) end
    loop.current = nil
  end
  settle(one)
end

--- Gives the others their turn, from inside a task. For one that was cancelled that is the end.
---@param one zuora.Task
function task.park(one)
  one.status = "parked"
  coroutine.yield()
  one.status = "running"
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
  if self.status == "cancelled" then error(task.cancelled_error(), 0) end
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

return task
