--- Things that take their time: a report run or a job goes through its stages one after another.
--
-- A stage lasts for a number of looks, or for a number of seconds of the tenant's time; the last for ever.
-- Either is one number for all stages, or a table by their names (what is not in it lasts for one look, or
-- no time).

local progress = {}

local Progress = {}
Progress.__index = Progress

-- How long the present stage lasts, by `looks` or `seconds`.
local function span(self, pace, otherwise)
  if type(pace) ~= "table" then return pace end
  return pace[self.stages[self.at]] or otherwise
end

local function move(self, time)
  self.at, self.seen = self.at + 1, 0
  self.since[self.at] = time
end

--- The present stage. Where looks count, a stage that has been seen often enough is over.
---@param now number seconds
---@return string
function Progress:look(now)
  self:pass(now)
  if not self.seconds and self.at < #self.stages and self.seen >= span(self, self.looks, 1) then
    move(self, now)
  end
  self.seen = self.seen + 1
  return self.stages[self.at]
end

--- Lets time pass without a look.
---@param now number
function Progress:pass(now)
  while self.seconds and self.at < #self.stages do
    local ends_at = self.since[self.at] + span(self, self.seconds, 0)
    if now < ends_at then return end
    move(self, ends_at)
  end
end

--- The present stage, without moving on.
---@return string
function Progress:stage() return self.stages[self.at] end

---@return boolean
function Progress:is_over() return self.at == #self.stages end

--- Ends it here and now.
---@param stage string
---@param now number
function Progress:finish(stage, now)
  self.stages, self.at, self.seen, self.since = { stage }, 1, 0, { now }
end

--- Lets it end otherwise than was meant.
---@param stage string
function Progress:divert(stage) self.stages[#self.stages] = stage end

--- When a stage began; nil as long as it has not.
---@param at integer
---@return number|nil
function Progress:began(at) return self.since[at] end

--- Did not begin before that time.
---@param time number
function Progress:delay(time) self.since[1] = math.max(self.since[1], time) end

---@param stages string[]
---@param pace { looks: integer|table|nil, seconds: number|table|nil } for each stage but the last
---@param now number
function progress.new(stages, pace, now)
  return setmetatable({ stages = stages, at = 1, seen = 0, since = { now }, looks = pace.looks or 1,
    seconds = pace.seconds }, Progress)
end

return progress
