--- Things that take their time: a report run or a job goes through its stages one after another.
--
-- A stage lasts for a number of looks, or for a number of seconds of the tenant's time; the last for ever.

local progress = {}

local Progress = {}
Progress.__index = Progress

--- The present stage. Being looked at moves it on.
---@param now number seconds
---@return string
function Progress:look(now)
  if self.seconds then
    self:pass(now)
    return self.stages[self.at]
  end
  local stage = self.stages[self.at]
  self.seen = self.seen + 1
  if self.seen >= self.looks and self.at < #self.stages then self.at, self.seen = self.at + 1, 0 end
  return stage
end

--- Lets time pass without a look.
---@param now number
function Progress:pass(now)
  while self.seconds and self.at < #self.stages and now - self.since >= self.seconds do
    self.at, self.since = self.at + 1, self.since + self.seconds
  end
end

--- The present stage, without moving on.
---@return string
function Progress:stage() return self.stages[self.at] end

---@return boolean
function Progress:is_over() return self.at == #self.stages end

--- Ends it here and now.
---@param stage string
function Progress:finish(stage) self.stages, self.at, self.seen = { stage }, 1, 0 end

--- Has begun at that time.
---@param time number
function Progress:begin(time) self.since = time end

---@param stages string[]
---@param pace { looks: integer|nil, seconds: number|nil } for each stage but the last
---@param now number
function progress.new(stages, pace, now)
  return setmetatable({ stages = stages, at = 1, seen = 0, since = now, looks = pace.looks or 1,
    seconds = pace.seconds }, Progress)
end

return progress
