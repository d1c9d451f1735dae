--- Coroutines over a core session: many tasks, one thread.
--
-- There is one place where anything waits: `await` (for a request), `sleep` and `Latch:wait` end in
-- `park`. Inside a task that gives the other tasks their turn; outside it drives the session, and the
-- tasks with it, until what it waits for is there. In a coroutine of the user's own within a task it
-- drives the session alone: no task's code runs under another one's feet.

local error_value = require "zuora.error"

-- What a task yields, and nobody else can.
local PARKED = {}

-- Seconds a blocking wait may stay inside libcurl: Lua answers Ctrl-C only outside.
local SLICE = 0.2

-- --- timers: a binary heap of { at, wake } -----------------------------------------------------------

local function heap_push(heap, timer)
  local i = #heap + 1
  heap[i] = timer
  while i > 1 do
    local parent = i // 2
    if heap[parent].at <= heap[i].at then break end
    heap[parent], heap[i] = heap[i], heap[parent]
    i = parent
  end
end

local function heap_pop(heap)
  local top, last = heap[1], heap[#heap]
  heap[#heap] = nil
  if #heap == 0 then return top end
  heap[1] = last
  local i = 1
  while true do
    local least = i
    for child = 2 * i, 2 * i + 1 do
      if heap[child] and heap[child].at < heap[least].at then least = child end
    end
    if least == i then return top end
    heap[i], heap[least] = heap[least], heap[i]
    i = least
  end
end

-- --- tasks -------------------------------------------------------------------------------------------

local Loop = {}
Loop.__index = Loop

local Task = {}
Task.__index = Task
Task.__name = "zuora.Task"

local function cancelled_error()
  return error_value.new { kind = "cancelled", message = "the task was cancelled" }
end

-- Tasks that began under the same `run`. A run ends when its group is empty.
local function group_new()
  return { count = 0, tasks = {}, unjoined = {} }
end

local function task_new(loop, f, group)
  local task = setmetatable({ thread = coroutine.create(f), loop = loop, group = group, status = "ready",
    joining = 0 }, Task)
  group.tasks[task] = true
  group.count = group.count + 1
  loop:make_ready(task)
  return task
end

local function task_end(task, status, ...)
  local loop, group = task.loop, task.group
  task.status = status
  task.results = table.pack(...)
  group.tasks[task] = nil
  group.count = group.count - 1
  if status == "failed" then
    if group.main and group.main[task] then
      group.failure = group.failure or task
    else
      table.insert(group.unjoined, task) -- until somebody has joined it
    end
  end
  loop:wake_all(task.waiters)
  if group.count == 0 or group.failure then loop:wake_all(group.waiters) end
end

local function task_resumed(task, ok, ...)
  if not ok then
    -- Its <close> variables are still to run; an error in one of them takes the first one's place.
    local closed, problem = coroutine.close(task.thread)
    if closed and task.cancelled then return task_end(task, "cancelled") end
    if closed then problem = ... end
    return task_end(task, "failed", problem)
  end
  if coroutine.status(task.thread) == "dead" then return task_end(task, "done", ...) end
  if (...) ~= PARKED then
    coroutine.close(task.thread)
    return task_end(task, "failed", "a task may not yield by itself: coroutine.yield was called outside a coroutine "
      .. "of its own (to pause, call client:sleep)")
  end
end

local function task_resume(task)
  local loop = task.loop
  if task.status ~= "ready" then return end
  task.status = "running"
  loop.current = task
  task_resumed(task, coroutine.resume(task.thread))
  loop.current = nil
end

--- Waits for the task. Returns what its function returned; raises its error.
---@return any ...
function Task:join()
  local loop = self.loop
  if loop:active() == self then error("a task cannot join itself", 2) end
  do
    self.joining = self.joining + 1
    local _ <close> = setmetatable({}, { __close = function() self.joining = self.joining - 1 end })
    while not self.results do loop:park(self, "waiters") end
  end
  if self.status == "cancelled" then error(cancelled_error(), 0) end
  if self.status == "failed" then
    local unjoined = self.group.unjoined
    for i = #unjoined, 1, -1 do
      if unjoined[i] == self then table.remove(unjoined, i) end
    end
    error(self.results[1], 0)
  end
  return table.unpack(self.results, 1, self.results.n)
end

--- Ends the task where it waits: its `<close>` variables run, its transfer stops. A task that has ended
-- stays as it is. One that is in the midst of something (it cancels itself, or what it called does) ends
-- where it would wait next.
function Task:cancel()
  if self.results or self.cancelled then return end
  self.cancelled = true
  if coroutine.status(self.thread) ~= "suspended" then
    if self.loop:in_task() == self then error(cancelled_error(), 0) end
    return
  end
  self.status = "cancelled"
  local ok, problem = coroutine.close(self.thread)
  if ok then
    task_end(self, "cancelled")
  else
    task_end(self, "failed", problem)
  end
end

-- --- waiting ------------------------------------------------------------------------------------------

function Loop:make_ready(task)
  task.status = "ready"
  self.ready[#self.ready + 1] = task
end

-- Everybody who waits at a place: tasks become ready. (Those who block look by themselves.)
function Loop:wake_all(waiters)
  for i = 1, waiters and #waiters or 0 do
    local task = waiters[i]
    waiters[i] = nil
    if task.status == "parked" then self:make_ready(task) end
  end
end

-- The task whose code is running now: itself, or by way of a coroutine that it made.
function Loop:active()
  local task = self.current
  local status = task and coroutine.status(task.thread)
  return (status == "running" or status == "normal") and task or nil
end

-- The task that is running, unless it is where it cannot yield to the loop: in a coroutine of its own
-- making, or below a C function (a callback of string.gsub, a variable that is being closed).
function Loop:in_task()
  local task = self:active()
  return task and task.thread == coroutine.running() and coroutine.isyieldable() and task or nil
end

-- Nothing is left that could wake anybody.
function Loop:is_stuck()
  return #self.ready == 0 and #self.timers == 0 and self.session:running() == 0
end

-- Waits a little: in a task until woken, else one turn of the loop, of at most `seconds`. `place[list]`
-- is where to be woken from; nil when a timer or a request will do it.
function Loop:park(place, list, seconds)
  local task = self:in_task()
  if not task then
    if place and (self:active() or self:is_stuck()) then
      error("this wait could never end: " .. (self:active()
        and "no other task runs while one blocks (in a coroutine of its own, or below a C function)"
        or "all tasks wait for each other"), 0)
    end
    return self:turn(math.max(0, math.min(SLICE, seconds or SLICE)))
  end
  if task.cancelled then error(cancelled_error(), 0) end
  task.status = "parked"
  if place then
    place[list] = place[list] or {}
    table.insert(place[list], task)
  end
  self.current = nil
  coroutine.yield(PARKED)
end

--- Waits until the request has finished.
---@param request userdata
---@param on_wait function|nil called every now and then meanwhile
function Loop:await(request, on_wait)
  local task = self:in_task()
  self.awaiting[request] = task
  while not request:finished() do
    if on_wait and task then heap_push(self.timers, { at = self.clock.now() + SLICE, task = task }) end
    self:park()
    if on_wait then on_wait() end
  end
  self.awaiting[request] = nil
end

--- A pause that lets others run.
---@param seconds number
function Loop:sleep(seconds)
  local at, task = self.clock.now() + seconds, self:in_task()
  if task then heap_push(self.timers, { at = at, task = task }) end
  repeat self:park(nil, nil, at - self.clock.now()) until self.clock.now() >= at
end

-- A latch: some wait until another opens it. Opens when it goes out of scope, too.
local Latch = {}
Latch.__index = Latch

---@return table latch with open() and wait()
function Loop:latch()
  return setmetatable({ loop = self, is_open = false }, Latch)
end

function Latch:open()
  self.is_open = true
  self.loop:wake_all(self.waiters)
end

Latch.__close = Latch.open

--- Waits until the latch is open, at most `seconds`.
---@param seconds number|nil without: as long as it takes
---@return boolean|nil opened nil: time is up; false: waiting here could never end, since a blocking call in
--- the midst of a task keeps the task that is to open the latch from running
function Latch:wait(seconds)
  local loop = self.loop
  seconds = seconds or math.huge
  local ends_at, task = loop.clock.now() + seconds, loop:in_task()
  if task and seconds < math.huge then heap_push(loop.timers, { at = ends_at, task = task }) end
  while not self.is_open do
    if loop:active() and not loop:in_task() then return false end
    local left = ends_at - loop.clock.now()
    if left <= 0 then return nil end
    loop:park(self, "waiters", left)
  end
  return true
end

-- --- driving ------------------------------------------------------------------------------------------

function Loop:fire_timers()
  local now = self.clock.now()
  while self.timers[1] and self.timers[1].at <= now do
    local timer = heap_pop(self.timers)
    if timer.task.status == "parked" then self:make_ready(timer.task) end
  end
end

-- False when there was none.
function Loop:run_ready()
  local ready = self.ready
  if #ready == 0 then return false end
  self.ready = {}
  for i = 1, #ready do task_resume(ready[i]) end
  return true
end

-- How long the session may sleep: not beyond the next timer, and not at all when a task could run.
function Loop:idle_time(seconds)
  if #self.ready > 0 then return 0 end
  local timer = self.timers[1]
  if timer then seconds = math.min(seconds, math.max(0, timer.at - self.clock.now())) end
  return seconds
end

-- One turn: what is due, then at most `seconds` for the network. Nested in a task (a blocking call in
-- a coroutine of the user's own) only the network moves.
function Loop:turn(seconds)
  if not self:active() then
    self:fire_timers()
    -- A task that ran may have brought what the caller waits for: no sleep before it has looked.
    seconds = self:run_ready() and 0 or self:idle_time(seconds)
  end
  local _, finished = self.clock.step(self.session, seconds)
  for i = 1, #finished do
    local task = self.awaiting[finished[i]]
    if task then
      self.awaiting[finished[i]] = nil
      if task.status == "parked" then self:make_ready(task) end
    end
  end
end

-- The error of a task of nobody's is raised by whoever drives the loop.
local function raise_unjoined(group)
  for i, task in ipairs(group.unjoined) do
    if task.joining == 0 then
      table.remove(group.unjoined, i)
      error(task.results[1], 0)
    end
  end
end

--- Moves everything on for at most `seconds`.
---@param seconds number
---@return boolean busy true while anything is left to do
function Loop:step(seconds)
  if self.root.count > 0 or self.session:running() > 0 or self:active() then self:turn(seconds) end
  if not self:active() then
    self:fire_timers()
    self:run_ready()
    raise_unjoined(self.root)
  end
  return self.root.count > 0 or self.session:running() > 0
end

---@return table<integer, string> fds, number|nil seconds
function Loop:fds()
  local fds, seconds = self.session:fds()
  local own = self:idle_time(math.huge)
  if own < (seconds or math.huge) then seconds = own end
  return fds, seconds
end

-- --- running tasks ------------------------------------------------------------------------------------

-- Cancels what is left of a group, when a run is left by an error (or is itself cancelled).
local function group_close(group)
  local function next_task()
    for task in pairs(group.tasks) do
      if not task.cancelled then return task end
    end
  end
  -- A closer may start or end tasks, so the table is looked at anew each time.
  for task in next_task do task:cancel() end
end

--- Runs the functions as tasks until they, and all that they spawned, have ended.
---@param functions function[]
---@return any ... all results of one function, or the first result of each
function Loop:run(functions)
  local group <close> = setmetatable(group_new(), { __close = group_close })
  group.main = {}
  local mains = {}
  for i, f in ipairs(functions) do
    mains[i] = task_new(self, f, group)
    group.main[mains[i]] = true
  end
  while group.count > 0 and not group.failure do self:park(group, "waiters") end
  if group.failure then error(group.failure.results[1], 0) end
  raise_unjoined(group)
  if #mains == 1 then return table.unpack(mains[1].results, 1, mains[1].results.n) end
  local firsts = {}
  for i, task in ipairs(mains) do firsts[i] = task.results[1] end
  return table.unpack(firsts, 1, #mains)
end

--- Starts a task: of the run that the caller is in, else of the loop itself.
---@param f function
---@return zuora.Task
function Loop:spawn(f)
  local task = self:active()
  return task_new(self, f, task and task.group or self.root)
end

--- Ends everything; the loop is not used afterwards.
function Loop:close()
  if self:active() then error("client:close was called by a task of the same client", 3) end
  group_close(self.root)
end

local loop = {}

-- The clock of the machine. Specs put another in its place, to wait without waiting.
---@param core table
function loop.clock(core)
  return { now = core.now, step = function(session, seconds) return session:step(seconds) end }
end

---@param session userdata
---@param clock { now: fun(): number, step: fun(session: userdata, seconds: number): integer, table }
function loop.new(session, clock)
  return setmetatable({
    session = session,
    clock = clock,
    ready = {},
    timers = {},
    awaiting = setmetatable({}, { __mode = "k" }),
    root = group_new(),
    current = nil,
  }, Loop)
end

return loop
