--- Groups: the tasks that began under the same `run` or `map`, which ends when its group is empty.
--
-- A group remembers which of its tasks have failed, and whether anybody has been told of it.

local counted_set = require "zuora.tasks.counted_set"
local error_value = require "zuora.error"
local queue = require "zuora.tasks.queue"

local groups = {}

local Group = {}
Group.__index = Group

--- Have all tasks ended?
---@return boolean
function Group:is_empty() return self.tasks:size() == 0 end

--- Ends the group before its time: who waits for it goes on.
function Group:stop()
  self.stopped = true
  self.scheduler:wake_all(self.waiters)
end

--- A task has ended. Its error is remembered until it is reported.
---@param task zuora.tasks.Task
---@param failed boolean
function Group:ended(task, failed)
  self.tasks:put(task, nil)
  if failed then
    task.failed_at = task.failed_at or self.failed:push(task)
    if task.is_main then self.failure = self.failure or task end
  end
  if self:is_empty() or self.failure then self.scheduler:wake_all(self.waiters) end
end

--- Somebody is told of the task's error.
function Group:forget(task) self.failed:remove(task.failed_at, task) end

--- Is there an error that has been reported to nobody, and nobody waits for?
---@return zuora.tasks.Task|nil
function Group:unreported()
  local failed = self.failed
  local _, first = failed:peek()
  for position = first or math.huge, failed.last do
    local task = failed[position]
    if task and task.failed_at == position and not (task.joins and next(task.joins)) then return task end
  end
  return nil
end

-- One line of what went wrong, and where. An error in the report must not take the place of this one.
local function report(group, task)
  local log = group.scheduler.log
  if not log then return end
  local problem = task.problem
  local known, text = pcall(tostring, problem)
  pcall(log, error_value.clean(("a task failed: %s; %s"):format(known and text or type(problem), task.trace)))
end

--- Raises the error of the group: of one of its functions, or else of a task that nobody joined.
function Group:raise_failure()
  local task = self.failure or self:unreported()
  if not task then return end
  if not self.scheduler:active() then report(self, task) end
  self.scheduler:raise(task)
end

--- Cancels what is left, when the group is left by an error (or is itself cancelled). Where memory is short no task
--- is left out for it: what fails is raised in the end.
function Group:close()
  self.closing = true -- from now on nothing comes to `tasks`
  local sound, problem = true, nil
  for task in next, self.tasks.members do -- `pairs` may need memory
    local cancelled, why = pcall(task.cancel, task)
    if sound and not cancelled then sound, problem = false, why end
  end
  self.closed = true
  -- Only one error can be raised.
  local task, position = self.failed:peek()
  while task do
    report(self, task)
    self.failed:remove(position, task)
    task, position = self.failed:peek()
  end
  if not sound then error(problem, 0) end
end

Group.__close = Group.close

-- Waits until all of the group have ended, or one has failed; raises its error.
local function wait(group)
  while not group:is_empty() and not group.failure and not group.stopped do group.scheduler:park(group) end
  if group.failure or not group.stopped then group:raise_failure() end
end

--- Runs the functions as tasks until they, and all that they spawned, have ended.
---@param scheduler table
---@param functions function[]
---@return any ... all results of one function, or the first result of each
function groups.run(scheduler, functions)
  local group <close> = groups.new(scheduler)
  local _ <close> = group
  local mains, firsts = {}, {}
  for i, f in ipairs(functions) do mains[i] = scheduler:start(f, group, true) end
  wait(group)
  if #mains == 1 then return table.unpack(mains[1].results, 1, mains[1].results.n) end
  for i, task in ipairs(mains) do firsts[i] = task.results[1] end
  return table.unpack(firsts, 1, #mains)
end

--- Calls f(item, index) for each item, so many at a time. Only so many tasks are made: each takes the next
--- item when it has done with one.
---@param scheduler table
---@param items any[]
---@param f fun(item: any, index: integer): any
---@param concurrency integer
---@param collect boolean go on after failures (nil, err)
---@return table|nil results, any errors see client:map
---@return integer|nil index of the item that failed, without `collect`
function groups.map(scheduler, items, f, concurrency, collect)
  local group <close> = groups.new(scheduler)
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
  for _ = 1, math.min(concurrency, count) do scheduler:start(work, group, true) end
  wait(group)
  if failed_at then return nil, errors[failed_at], failed_at end
  return results, collect and errors or nil
end

---@param scheduler table
function groups.new(scheduler)
  return setmetatable({ scheduler = scheduler, tasks = counted_set.new(), failed = queue.new(), closing = false,
    failure = false, stopped = false }, Group)
end

return groups
