--- Coroutines over a core session: many tasks, one thread. All of a task's state is kept here; groups, latches and
--- joins stand on it.
--
-- Whatever waits (for a request, a time, a latch, a group or a task) does it in `park`. Inside a task that gives the
-- other tasks their turn; outside it drives the session, and the tasks with it, until what it waits for is there. In a
-- coroutine of the user's own within a task it drives the session alone: no task's code runs under another one's feet.

local Task = require "zuora.tasks.task"
local check = require "zuora.support.check"
local error_value = require "zuora.error"
local groups = require "zuora.tasks.group"
local latch = require "zuora.tasks.latch"
local queue = require "zuora.tasks.queue"
local running = require "zuora.tasks.running"
local timers = require "zuora.tasks.timers"

-- Seconds a blocking wait may stay inside libcurl: Lua answers Ctrl-C only outside.
local SLICE = 0.2

local NOTHING = { n = 0 }

local Scheduler = { run = groups.run, map = groups.map, latch = latch.new, tick = running.tick,
  context = running.context, lineage = running.lineage, active = running.active, in_task = running.in_task }
Scheduler.__index = Scheduler

-- --- waiting ------------------------------------------------------------------------------------------

-- In this folder, and in the semaphore, an error can come anywhere: Ctrl-C raises one in whoever drives the scheduler,
-- and so does a lack of memory; who catches it goes on. So what is due is done first and crossed off then, and to be
-- woken twice does no harm; and what ends with a `<close>` variable ends with two, since the error may come in the
-- midst of the first one's end.

function Scheduler:make_ready(task)
  self.ready:push(task)
  task.status = "ready"
  if self.on_ready then self.on_ready() end
end

-- A task leaves where it waited: its timer, its position in a queue.
function Scheduler:unpark(task)
  if task.index or self.timers.moving then self.timers:remove(task) end
  if task.queue then
    task.queue:remove(task.position, task)
    task.queue = false
  end
end

--- Ends the pause of a task, if it is in one.
---@param task zuora.tasks.Task|false|nil none: code outside of tasks, which looks by itself
function Scheduler:wake(task)
  if task and task.status == "parked" then self:make_ready(task) end
end

-- Everybody who waits in a queue becomes ready. (Those who block look by themselves.)
function Scheduler:wake_all(waiters)
  if not waiters then return end
  local task, position = waiters:peek()
  while task do
    self:wake(task)
    waiters:remove(position, task)
    task, position = waiters:peek()
  end
end

-- Nothing is left that could wake anybody.
function Scheduler:is_stuck()
  return not self.ready:peek() and #self.timers == 0 and self.session:running() == 0
end

-- Waits a little: in a task until woken, else one turn. `target.waiters` is where to be woken from, `at` the time
-- when it ends at the latest; without a target a timer or a request will do it. `task`: what in_task gives here, where
-- that is known (false: none). For a task that was cancelled this is the end.
function Scheduler:park(target, at, task)
  if task == nil then task = self:in_task() end
  if not task then
    if target and (self:active() or self:is_stuck()) then
      error("this wait could never end: " .. (self:active()
        and "no other task runs while one blocks (in a coroutine of its own, or below a C function)"
        or "all tasks wait for each other"), 0)
    end
    if self.on_ready then self.on_ready() end
    return self:turn(at and math.max(0, math.min(SLICE, at - self.clock.now())) or SLICE)
  end
  self:unpark(task) -- a wait that was interrupted may have left it somewhere
  if target and not task.cancelled then
    target.waiters = target.waiters or queue.new()
    task.position = target.waiters:push(task)
    task.queue = target.waiters
  end
  if at and at < math.huge and not task.cancelled then
    task.at = at
    self.timers:add(task)
  end
  task.status = "parked"
  coroutine.yield()
  task.status = "running"
end

--- Waits until the request has finished.
---@param on_wait function|nil called every now and then meanwhile
---@param task zuora.tasks.Task|false|nil see park
function Scheduler:await(request, on_wait, task)
  if task == nil then task = self:in_task() end
  request:owner(task)
  repeat
    if task then self.awaiting[task] = request end
    self:park(nil, on_wait and self.clock.now() + SLICE, task)
    if on_wait then on_wait() end
  until request:finished()
  if task then self.awaiting[task] = false end
end

--- A pause that lets others run.
---@param seconds number
function Scheduler:sleep(seconds)
  local at = self.clock.now() + seconds
  repeat self:park(nil, at) until self.clock.now() >= at
end

-- --- how a task runs, and ends -----------------------------------------------------------------------

-- What runs in a task's coroutine. The results are put down in there, where no interruption of the scheduler can
-- lose them.
local function body(task)
  local f = task.f
  task.f, task.status = nil, "running"
  task.outcome = table.pack(f())
end

--- Starts a task that runs f, in a group; `is_main`: its failure is the group's.
function Scheduler:start(f, group, is_main)
  -- Who started it, and when: see lineage.
  local task = setmetatable({ thread = coroutine.create(body), f = f, scheduler = self, group = group,
    is_main = is_main, status = "ready", parent = self:context(), born = self:tick(), raised = false, problem = false,
    cancelled = false, trace = false, results = false, queue = false }, Task)
  if group.closing then
    task.f, task.status, task.results = nil, "cancelled", NOTHING
    return task
  end
  self:make_ready(task)
  group.tasks:put(task, true) -- from here on it is a task
  return task
end

--- Starts a task: of the run that the caller is in, else of the scheduler itself.
---@param f function
---@return zuora.tasks.Task
function Scheduler:spawn(f)
  local task = self:active()
  if task and task.group.closed then
    error(task.cancelled or "the run that this task was part of has ended", 0)
  end
  return self:start(f, task and task.group or self.root)
end

-- What follows from the end comes first, and `results`, by which others know it, last: when Ctrl-C comes in
-- between, the whole is done again.
local function set_ended(self, task, status, results)
  task.cause = nil
  self:unpark(task)
  self:wake_all(task.waiters)
  task.group:ended(task, status == "failed")
  task.status = status
  task.results = results
end

-- A task's error. (Its fields are there from the start: memory may be short by now.)
local function set_problem(task, problem)
  task.problem = problem
  task.raised = true
end

-- Closes a task's coroutine: its `<close>` variables run, and an error in one of them takes the place of the one
-- before. What they start belongs to the task's group.
local function close_thread(self, task)
  local before = self.closing
  self.closing = task
  local closed, problem = coroutine.close(task.thread)
  self.closing = before
  if not closed then set_problem(task, problem) end
end

-- A task has ended, or must. Its trace is made before the stack is closed; when its error came from another task, that
-- one's trace is first.
local function end_task(self, task)
  if task.outcome then return set_ended(self, task, "done", task.outcome) end
  local trace = "stack traceback: in a variable that was closed when the task was cancelled"
  if not task.cancelled then
    local traced, text = pcall(debug.traceback, task.thread)
    trace = traced and text or "stack traceback: there was not enough memory for it"
  end
  close_thread(self, task)
  if task.cancelled and (not task.raised or rawequal(task.problem, task.cancelled)) then
    return set_ended(self, task, "cancelled", NOTHING)
  end
  local cause = task.cause
  if cause and rawequal(cause.problem, task.problem) then trace = cause.trace .. "\n" .. trace end
  task.trace = task.trace or trace
  set_ended(self, task, "failed", NOTHING)
end

local BY_ITSELF = "a task may not yield by itself: coroutine.yield was called outside a coroutine of its own "
  .. "(to pause, call client:sleep)"

-- Lets a task run until it waits again. Once too often does no harm: who waits looks whether it is over.
local function resume(self, task)
  local thread = task.thread
  if task.results then return end -- it has ended meanwhile
  if task.f and not task.group.tasks.members[task] then return end -- an error came in the midst of its start
  -- What was cancelled, or was part of a group that was left, is to be ended: an error came in the midst of that.
  if task.group.closing then task.cancelled = self.cancelled end
  if task.status ~= "running" and not task.cancelled and coroutine.status(thread) == "suspended" then
    self:unpark(task)
    self.current = task
    local alive, problem = coroutine.resume(thread, task)
    if not alive then set_problem(task, problem) end
    self.current = false
  end
  -- It has yielded, or ended. All is read from the task itself: Ctrl-C may have kept this function from hearing what
  -- coroutine.resume returned.
  if coroutine.status(thread) == "suspended" and not task.cancelled then -- whatever pcall a cancelled one is in
    if task.status ~= "running" then return end
    set_problem(task, BY_ITSELF)
  end
  end_task(self, task)
end

--- Ends a task where it waits; see Task:cancel.
function Scheduler:cancel(task)
  if task.results then return end
  local status = coroutine.status(task.thread)
  if status == "dead" then
    end_task(self, task) -- an error had kept it from that
  elseif status == "suspended" then
    local ready, problem = pcall(self.make_ready, self, task) -- should an error come now, `resume` ends it
    task.cancelled = self.cancelled
    end_task(self, task)
    if not ready then error(problem, 0) end
  else
    task.cancelled = self.cancelled
    if self:in_task() == task then error(self.cancelled, 0) end
  end
end

--- Raises a task's error, unchanged, in whoever waited for it. A task that fails by it knows whence it came.
function Scheduler:raise(task)
  task.group:forget(task)
  local outer = self:active()
  if outer then outer.cause = task end
  error(task.problem, 0)
end

-- --- driving ------------------------------------------------------------------------------------------

function Scheduler:fire_timers()
  local timer = self.timers[1]
  local now = timer and self.clock.now()
  while timer and timer.at <= now do
    self:wake(timer)
    self.timers:remove(timer)
    timer = self.timers[1]
  end
end

-- Those that are ready now; who becomes ready meanwhile has its turn next time. False when there was none.
function Scheduler:run_ready()
  local ready, last = self.ready, self.ready.last
  local task, position = ready:peek()
  if not task then return false end
  while task and position <= last do
    resume(self, task)
    ready:remove(position, task)
    task, position = ready:peek()
  end
  return true
end

-- How long the session may sleep: not beyond the next timer, and not at all when a task could run.
function Scheduler:idle_time(seconds)
  local timer = self.timers[1]
  if self.ready:peek() then return 0 end
  if timer then seconds = math.min(seconds, math.max(0, timer.at - self.clock.now())) end
  return seconds
end

-- One turn: what is due, then at most `seconds` for the network. Nested in a task (a blocking call in
-- a coroutine of the user's own) only the network moves.
function Scheduler:turn(seconds)
  if not self:active() then
    self:fire_timers()
    -- A task that ran may have brought what the caller waits for: no sleep before it has looked.
    seconds = self:run_ready() and 0 or self:idle_time(seconds)
  end
  if self.stepping then -- the list of those that have finished was lost
    for task, request in pairs(self.awaiting) do
      if request and request:finished() then self:wake(task) end
    end
    seconds = 0
  end
  self.stepping = true
  local _, finished = self.clock.step(self.session, seconds)
  for i = 1, #finished do self:wake(finished[i]:owner()) end
  self.stepping = false
end

--- Moves everything on for at most `seconds`.
---@param seconds number
---@return boolean busy true while anything is left to do
function Scheduler:step(seconds)
  if self.root:unreported() then seconds = 0 end
  local is_busy = self.stepping or self:active() or not self.root:is_empty() or self.session:running() > 0
  if is_busy then self:turn(seconds) end
  if not self:active() then
    self:fire_timers()
    self:run_ready()
    self.root:raise_failure() -- of a task of nobody's
    if not self.root:is_empty() and self:is_stuck() then
      error("this wait could never end: all tasks wait for each other", 0)
    end
  end
  return not self.root:is_empty() or self.session:running() > 0
end

---@return table<integer, string> fds, number|nil seconds
function Scheduler:fds()
  local fds, seconds = self.session:fds()
  local own = self.root:unreported() and 0 or self:idle_time(math.huge)
  if own < (seconds or math.huge) then seconds = own end
  return fds, seconds
end

function Scheduler:close()
  if self:active() then check.misuse "client:close was called by a task of the same client" end
  self.root:close()
end

local scheduler = {}

-- The clock of the machine. Specs put another in its place, to wait without waiting.
---@param core table
function scheduler.clock(core)
  return { now = core.now, step = function(session, seconds) return session:step(seconds) end }
end

---@param session userdata
---@param clock { now: fun(): number, step: fun(session: userdata, seconds: number): integer, table }
---@param log fun(line: string)|nil told where a task failed, when nobody joins it
function scheduler.new(session, clock, log)
  local self = { session = session, clock = clock, log = log, ready = queue.new(), outside = {}, time = 0,
    timers = timers.new(), -- the tasks that wait for a time: their `at`
    -- What a task waits for: a request, or false. (A table whose keys are always new ones is put in order again and
    -- again, which took a third of a call's time with 256 in flight. So it is by task.)
    awaiting = setmetatable({}, { __mode = "k" }),
    current = false, closing = false, -- see running.lua
    on_ready = false,
    -- What ends a task: made now, since memory may be short then.
    cancelled = error_value.new { kind = "cancelled", message = "the task was cancelled" },
  }
  for name, method in pairs(Scheduler) do self[name] = method end -- see caller.new
  setmetatable(self, Scheduler)
  self.root = groups.new(self)
  return self
end

return scheduler
