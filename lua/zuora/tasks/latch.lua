--- Latches: some wait until another opens it.

local latch = {}

local Latch = {}
Latch.__index = Latch

function Latch:open()
  self.is_open = true
  self.scheduler:wake_all(self.waiters)
end

--- Waits until the latch is open, at most `seconds`.
---@param seconds number|nil without: as long as it takes
---@return boolean|nil opened nil: time is up; false: waiting here could never end, since a blocking call in
--- the midst of a task keeps the task that is to open the latch from running
function Latch:wait(seconds)
  local scheduler = self.scheduler
  local ends_at = scheduler.clock.now() + (seconds or math.huge)
  while not self.is_open do
    if scheduler:active() and not scheduler:in_task() then return false end
    if scheduler.clock.now() >= ends_at then return nil end
    scheduler:park(self, ends_at)
  end
  return true
end

---@param scheduler table
function latch.new(scheduler) return setmetatable({ scheduler = scheduler, is_open = false }, Latch) end

return latch
