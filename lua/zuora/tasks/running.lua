--- Whose code is running: a task's, or code outside of tasks; and in the midst of what.

-- Methods of the scheduler, which says which task it runs (`current`), and which it closes (`closing`).
local Running = {}

--- Counts: what came before, and what after.
function Running:tick()
  self.time = self.time + 1
  return self.time
end

--- Whose code is running now: a task, or what stands for all code outside of tasks.
function Running:context() return self:active() or self.outside end

--- Whose code this may be in the midst of, and since when: a call may be made in the midst of another one (in a hook
--- that is told of it), and so may tasks be started. They are not to wait for what that other call holds.
---@return table<table, integer> lineage context -> what it took hold of before that is held until this code ends
function Running:lineage()
  local lineage, task, born = {}, self:context(), math.huge
  while task do
    lineage[task] = born
    task, born = task.parent, task.born
  end
  return lineage
end

local RUNS = { running = true, normal = true }

local function is_running(task) return RUNS[coroutine.status(task.thread)] end

-- The task whose code is running now: itself, or by way of a coroutine that it made.
function Running:active()
  local closing, current = self.closing, self.current
  return closing and is_running(closing) and closing or current and is_running(current) and current or nil
end

-- The task that is running, unless it is where it cannot yield to the scheduler: in a coroutine of its own
-- making, or below a C function (a callback of string.gsub, a variable that is being closed). Second: is it the main
-- coroutine?
function Running:in_task()
  local closing, current, thread, is_main = self.closing, self.current, coroutine.running()
  local task = closing and closing.thread == thread and closing or current and current.thread == thread and current
  return task and coroutine.isyieldable() and task or nil, is_main
end

return Running
