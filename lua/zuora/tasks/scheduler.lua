--- Coroutines over a core session: many tasks, one thread.
--
-- There is one place where anything waits: `await` (for a request), `sleep` and `Latch:wait` end in
-- `park`. Inside a task that gives the other tasks their turn; outside it drives the session, and the
-- tasks with it, until what it waits for is there. In a coroutine of the user's own within a task it
-- drives the session alone: no task's code runs under another one's feet.

local line = require "zuora.tasks.line"
local tasks = require "zuora.tasks.task"
local timers = require "zuora.tasks.timers"

-- Seconds a blocking wait may stay inside libcurl: Lua answers Ctrl-C only outside.
local SLICE = 0.2

local Scheduler = {}
Scheduler.__index = Scheduler

-- --- waiting ------------------------------------------------------------------------------------------

-- In this file, and in those of tasks, timers and the semaphore, an error can come at any place: Ctrl-C raises one in
-- whoever drives the loop, and so does a lack of memory; who catches it goes on. So what is due is done first and
-- crossed off then, and to be woken twice is no matter; and what ends with a `<close>` variable ends with two, since
-- the error may come in the midst of the first one's end.

function Scheduler:make_ready(task)
  self.ready:push(task)
  task.status = "ready"
end

-- A task leaves where it waited: its timer, its place in a line.
function Scheduler:unpark(task)
  self.timers:remove(task)
  if task.line then
    task.line:remove(task.number, task)
    task.line = nil
  end
end

--- Ends the pause of a task, if it is in one.
---@param task zuora.Task|nil nil: code outside of tasks, which looks by itself
function Scheduler:wake(task)
  if task and task.status == "parked" then self:make_ready(task) end
end

-- Everybody who waits in a line becomes ready. (Those who block look by themselves.)
---@param waiters table|nil
function Scheduler:wake_all(waiters)
  if not waiters then return end
  local task, number = waiters:peek()
  while task do
    self:wake(task)
    waiters:remove(number, task)
    task, number = waiters:peek()
  end
end

--- Counts: what came before, and what after.
---@return integer
function Scheduler:tick()
  self.time = self.time + 1
  return self.time
end

--- Whose code is running now: a task, or what stands for all code outside of tasks.
---@return table
function Scheduler:context() return self:active() or self.outside end

--- Whose code this may be in the midst of, and since when: a call may be made in the midst of another one (in a hook
-- that is told of it), and so may tasks be started. They are not to wait for what that other call holds.
---@return table<table, integer> lineage context -> what it took hold of before that is held until this code ends
function Scheduler:lineage()
  local lineage, task, born = {}, self:context(), math.huge
  while task do
    lineage[task] = born
    task, born = task.parent, task.born
  end
  return lineage
end

local function is_running(task)
  local status = task and coroutine.status(task.thread)
  return status == "running" or status == "normal"
end

-- The task whose code is running now: itself, or by way of a coroutine that it made.
function Scheduler:active()
  return is_running(self.closing) and self.closing or is_running(self.current) and self.current or nil
end

-- The task that is running, unless it is where it cannot yield to the loop: in a coroutine of its own
-- making, or below a C function (a callback of string.gsub, a variable that is being closed).
function Scheduler:in_task()
  local task = self:active()
  return task and task.thread == coroutine.running() and coroutine.isyieldable() and task or nil
end

-- Nothing is left that could wake anybody.
function Scheduler:is_stuck()
  return not self.ready:peek() and #self.timers == 0 and self.session:running() == 0
end

-- Waits a little: in a task until woken, else one turn of the loop. `place.waiters` is where to be woken
-- from, `at` the time when it ends at the latest; without a place a timer or a request will do it.
function Scheduler:park(place, at)
  local task = self:in_task()
  if not task then
    if place and (self:active() or self:is_stuck()) then
      error("this wait could never end: " .. (self:active()
        and "no other task runs while one blocks (in a coroutine of its own, or below a C function)"
        or "all tasks wait for each other"), 0)
    end
    return self:turn(at and math.max(0, math.min(SLICE, at - self.clock.now())) or SLICE)
  end
  self:unpark(task) -- a wait that was interrupted may have left it somewhere
  if place and not task.cancelled then
    place.waiters = place.waiters or line.new()
    task.number = place.waiters:push(task)
    task.line = place.waiters
  end
  if at and at < math.huge and not task.cancelled then
    task.at = at
    self.timers:add(task)
  end
  return tasks.park(task)
end

--- Waits until the request has finished.
---@param request userdata
---@param on_wait function|nil called every now and then meanwhile
function Scheduler:await(request, on_wait)
  self.awaiting[request] = self:in_task()
  while not request:finished() do
    self:park(nil, on_wait and self.clock.now() + SLICE)
    if on_wait then on_wait() end
  end
  self.awaiting[request] = nil
end

--- A pause that lets others run.
---@param seconds number
function Scheduler:sleep(seconds)
  local at = self.clock.now() + seconds
  repeat self:park(nil, at) until self.clock.now() >= at
end

-- A latch: some wait until another opens it.
local Latch = {}
Latch.__index = Latch

---@return table latch with open() and wait()
function Scheduler:latch()
  return setmetatable({ loop = self, is_open = false }, Latch)
end

function Latch:open()
  self.is_open = true
  self.loop:wake_all(self.waiters)
end

--- Waits until the latch is open, at most `seconds`.
---@param seconds number|nil without: as long as it takes
---@return boolean|nil opened nil: time is up; false: waiting here could never end, since a blocking call in
--- the midst of a task keeps the task that is to open the latch from running
function Latch:wait(seconds)
  local loop = self.loop
  local ends_at = loop.clock.now() + (seconds or math.huge)
  while not self.is_open do
    if loop:active() and not loop:in_task() then return false end
    if loop.clock.now() >= ends_at then return nil end
    loop:park(self, ends_at)
  end
  return true
end

-- --- driving ------------------------------------------------------------------------------------------

function Scheduler:fire_timers()
  local now, timer = self.clock.now(), self.timers[1]
  while timer and timer.at <= now do
    self:wake(timer)
    self.timers:remove(timer)
    timer = self.timers[1]
  end
end

-- Those that are ready now; who becomes ready meanwhile has its turn next time. False when there was none.
function Scheduler:run_ready()
  local ready, last = self.ready, self.ready.last
  local task, number = ready:peek()
  if not task then return false end
  while task and number <= last do
    tasks.resume(task)
    ready:remove(number, task)
    task, number = ready:peek()
  end
  return true
end

-- How long the session may sleep: not beyond the next timer, and not at all when a task could run.
function Scheduler:idle_time(seconds)
  if self.ready:peek() then return 0 end
  local timer = self.timers[1]
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
    for request, task in pairs(self.awaiting) do
      if request:finished() then self:wake(task) end
    end
    seconds = 0
  end
  self.stepping = true
  local _, finished = self.clock.step(self.session, seconds)
  for i = 1, #finished do
    self:wake(self.awaiting[finished[i]])
    self.awaiting[finished[i]] = nil
  end
  self.stepping = false
end

--- Moves everything on for at most `seconds`.
---@param seconds number
---@return boolean busy true while anything is left to do
function Scheduler:step(seconds)
  if self.root:unreported() then seconds = 0 end
  local is_busy = not self.root:is_empty() or self.session:running() > 0
  if is_busy or self.stepping or self:active() then self:turn(seconds) end
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

-- --- running tasks ------------------------------------------------------------------------------------

-- Waits until all of a group have ended, or one has failed; raises its error.
local function finish(self, group)
  while not group:is_empty() and not group.failure and not group.stopped do self:park(group) end
  if group.failure or not group.stopped then group:raise_failure() end
end

--- Runs the functions as tasks until they, and all that they spawned, have ended.
---@param functions function[]
---@return any ... all results of one function, or the first result of each
function Scheduler:run(functions)
  local group <close> = tasks.group(self)
  local _ <close> = group
  local mains = {}
  for i, f in ipairs(functions) do mains[i] = group:start(f, true) end
  finish(self, group)
  if #mains == 1 then return table.unpack(mains[1].results, 1, mains[1].results.n) end
  local firsts = {}
  for i, task in ipairs(mains) do firsts[i] = task.results[1] end
  return table.unpack(firsts, 1, #mains)
end

--- Calls f(item, index) for each item, so many at a time. Only so many tasks are made: each takes the next
-- item when it has done with one.
---@param items any[]
---@param f fun(item: any, index: integer): any
---@param concurrency integer
---@param collect boolean go on after failures (nil, err)
---@return table|nil results, any errors see client:map
---@return integer|nil index of the item that failed, without `collect`
function Scheduler:map(items, f, concurrency, collect)
  local group <close> = tasks.group(self)
  local _ <close> = group
  local count = #items
  local results, errors = { n = count }, {}
  local taken, failed_at = 0, nil
  local function work()
    while taken < count and not group.stopped do
      taken = taken + 1
      local i = taken
      local value, err = f(items[i], i)
      results[i] = value
      if value == nil and err ~= nil then
        errors[i] = err
        if not collect and not failed_at then
          failed_at = i
          group:stop()
        end
      end
    end
  end
  for _ = 1, math.min(concurrency, count) do group:start(work, true) end
  finish(self, group)
  if failed_at then return nil, errors[failed_at], failed_at end
  return results, collect and errors or nil
end

--- Starts a task: of the run that the caller is in, else of the loop itself.
---@param f function
---@return zuora.Task
function Scheduler:spawn(f)
  local task = self:active()
  if not task then return self.root:start(f) end
  if not task.group.closed then return task.group:start(f) end
  error(task.cancelled or "the run that this task was part of has ended", 0)
end

--- Ends everything; the loop is not used afterwards.
function Scheduler:close()
  if self:active() then error("client:close was called by a task of the same client", 3) end
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
  local self = setmetatable({
    session = session,
    clock = clock,
    log = log,
    ready = line.new(),
    outside = {},
    time = 0,
    timers = timers.new(), -- the tasks that wait for a time: their `at`
    awaiting = setmetatable({}, { __mode = "k" }),
    current = nil, closing = nil, -- see Scheduler:active
    cancelled = tasks.cancelled_error(), -- what ends a task: made now, since memory may be short then
  }, Scheduler)
  self.root = tasks.group(self)
  return self
end

return scheduler
