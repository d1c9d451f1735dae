--- One worker of several: it takes items that are nobody's, brings them up to date, and gives them back. A claim that
--- it has lost is another's: what it did there is stopped, and it goes on with others.

local claims = require "zuora.extract.claims"
local context = require "zuora.extract.context"
local core = require "zuora.core"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local json = require "zuora.extract.base.json"
local manifest = require "zuora.extract.base.manifest"
local reads = require "zuora.extract.base.reads"
local summary = require "zuora.extract.summary"
local times = require "zuora.extract.base.times"

local raise = error_value.raise

local work = {}

-- Seconds between tries while a database cannot be reached: two minutes, as long as one takes to come back.
local PAUSES = { 0.2, 0.5, 1, 2, 4, 8, 16, 32, 64 }

-- Seconds between looks for what others may give back, or lose.
local SHORTEST, LONGEST = 0.05, 10

-- Seconds until Zuora's time is asked for again, where it did not answer; and until what failed is tried again, where
-- there is no end.
local LATER, AGAIN = 30, 300

local DAY = 24 * 3600

-- Does it until the database can be reached.
local function insist(self, f, ...)
  for _, pause in ipairs(PAUSES) do
    local results = table.pack(pcall(f, ...))
    if results[1] then return table.unpack(results, 2, results.n) end
    if not (error_value.is(results[2]) and results[2].is_lost) then error(results[2], 0) end
    self.client:sleep(pause)
  end
  return f(...)
end

-- --- leases -------------------------------------------------------------------------------------------

-- Renews what is being worked on. What was lost meanwhile is cancelled; its own item the caller leaves by itself.
local function renew(self, own)
  local keys, at = {}, core.now()
  for key in pairs(self.working) do keys[#keys + 1] = key end
  if #keys > 0 then
    local held = self.claims:renew(self.plan, keys)
    for key, one in pairs(self.working) do
      if not held[key] and not one.is_lost then
        one.is_lost = true
        if key ~= own and one.task then one.task:cancel() end
      end
    end
  end
  self.renewed_at = at
end

-- In the midst of what lets no other task run: a long file.
local function pulse(self)
  if core.now() - self.renewed_at > self.claims.lease / 4 then pcall(renew, self) end
end

-- Before each step: who was stopped for a while asks whether the item is still its own.
local function check(self, of)
  local key = claims.key(of.item, of.entity)
  if core.now() - self.renewed_at > self.claims.lease / 2 then renew(self, key) end
  if self.working[key].is_lost then
    raise("busy", "%s is no longer this run's", of.item)
  end
end

local function beat(self)
  while true do
    self.client:sleep(self.claims.lease / 4)
    pcall(renew, self) -- what cannot be renewed now is lost later
  end
end

-- --- an item ------------------------------------------------------------------------------------------

-- Where a worker's rows are on their way into PostgreSQL.
local function stage_of(self, claim)
  return ("%s/.stage.%s%s%s"):format(self.ctx.output, claim.item, claim.entity, self.claims:suffix())
end

--- Where an audit of an item has the keys of what has changed; a worker in a file of its own.
---@param ctx table
---@param of table
---@return string path
function work.changes_of(ctx, of)
  local held = ctx.journal.claims
  return ("%s/.audit.%s%s%s.csv"):format(ctx.output, of.item, of.entity, held and held:suffix() or "")
end

-- Staged rows, and keys of what has changed, of all who had the item before: whoever took it over may have been killed,
-- too, before this was done.
local function sweep_folder(self, of)
  local folder, key, own = self.ctx.output, of.item .. of.entity, self.claims:suffix()
  for _, name in ipairs(disk.names(folder)) do
    local rest = name:match "^%.stage%.(.*)$" or name:match "^%.audit%.(.*)$"
    if rest and rest:sub(1, #key) == key then
      local suffix = rest:match("^%.[^.]+", #key + 1)
      local ending = suffix and rest:sub(#key + #suffix + 1)
      if suffix ~= own and (ending == "" or ending and ending:find "^%.csv") then os.remove(folder .. "/" .. name) end
    end
  end
end

-- What the worker that had it before has left: it may be writing still, but to no file that anybody reads.
local function sweep(self, of, claim)
  local ctx = self.ctx
  os.remove(self.claims:scratch(ctx.output, claim.former))
  sweep_folder(self, of)
  for _, read in ipairs(ctx.journal:open_of(of)) do
    for turn = 0, claim.turn - 1 do
      local path = reads.path(read, turn)
      if path ~= read.path then manifest.discard(ctx.output .. "/" .. path) end
    end
  end
  ctx.journal:event(of.plan, of.item, "taken over", claim.former)
end

-- What this worker has brought of an item that is not its own any more.
local function leave_nothing(self, claim)
  local bringing = claim.bringing
  os.remove(stage_of(self, claim))
  if not bringing then return end
  local row = self.ctx.journal:find(bringing.read)
  if row and row.path ~= bringing.path then manifest.discard(self.ctx.output .. "/" .. bringing.path) end
end

local function is_held(self, of)
  local ok, err = pcall(insist, self, self.claims.hold, self.claims, of)
  return ok or not (error_value.is(err) and err.kind == "busy")
end

-- Brings the item up to date; again and again, while a database cannot be reached.
local function bring(self, one, of, claim)
  if claim.former ~= "" then insist(self, sweep, self, of, claim) end
  for i = 0, #PAUSES do
    one.task = self.client:spawn(function() return self.tools.item(self.ctx, one.given, of.entity, claim) end)
    local ok, result = pcall(one.task.join, one.task)
    if one.is_lost then return nil end
    if not ok then error(result, 0) end
    if not (result.err and result.err.is_lost and PAUSES[i + 1]) then return result end
    self.client:sleep(PAUSES[i + 1])
  end
end

local function nothing_of(self, key, outcome)
  local item, entity = key:match "^(.*)/([^/]*)$"
  local result = summary.result(item, entity, outcome)
  result.seconds = 0
  for name, value in pairs(self.tools.nothing or {}) do result[name] = value end
  return result
end

-- An audit leaves an item as it was.
local function give_back(self, of, step, result)
  if self.tools.is_audit then return self.claims:give_back(of) end
  return self.claims:release(of, step, result.outcome, json.encode(summary.plain(result)))
end

local function work_on(self, claim)
  local key = claims.key(claim.item, claim.entity)
  local of = { plan = self.plan, item = claim.item, entity = claim.entity }
  local one, step = { given = self.list[self.given[key]][1] }, times.stamp(self.ctx.b)
  self.working[key] = one
  local ok, result = pcall(bring, self, one, of, claim)
  if ok and result and result.err then one.is_lost = one.is_lost or not is_held(self, of) end
  if ok and not one.is_lost then
    one.is_lost = not insist(self, give_back, self, of, step, result)
  end
  self.working[key] = nil
  if one.is_lost then
    result = nothing_of(self, key, "taken over")
    insist(self, leave_nothing, self, claim)
  elseif not ok then
    error(result, 0)
  end
  self.results[key], self.is_dirty, self.news[#self.news + 1] = result, true, result
  if self.ctx.on_item then self.ctx.on_item(result) end
end

-- --- what is to be done -------------------------------------------------------------------------------

-- A run does each item once, whatever others did.
local function of_run(self)
  local keys = {}
  for _, key in ipairs(self.keys) do
    local result = self.results[key]
    if not self.working[key] and (not result or result.outcome == "taken over") then keys[#keys + 1] = key end
  end
  return { plan = self.plan, keys = keys }
end

-- A worker does what nobody did in this step of the grid. (But for what is in the store and not in its plan: that is of
-- an older plan of the same name, or a newer one.)
local function of_worker(self)
  local except = {}
  for key in pairs(self.working) do except[#except + 1] = key end
  for key in pairs(self.strange) do except[#except + 1] = key end
  return { plan = self.plan, except = except, since = self.since, step = times.stamp(self.ctx.b),
    again = self.is_forever and AGAIN or nil }
end

-- What is not in the target as it was left there is due, too: that was restored, or has lost a table.
local function look_at_target(self)
  local ctx, keys = self.ctx, {}
  if not (self.is_worker and ctx.target) then return end
  local left, there = ctx.journal:marks(self.plan), ctx.target:marks(self.plan)
  for _, key in ipairs(self.keys) do
    if left[key] and left[key] ~= there[key] then keys[#keys + 1] = key end
  end
  if keys[1] then self.claims:make_due(self.plan, keys) end
end

-- Claims an item of the plan.
local function take(self, due)
  if due.keys and #due.keys == 0 then return nil end
  while true do
    local claim = self.claims:take(due)
    local key = claim and claims.key(claim.item, claim.entity)
    if not claim or self.given[key] then return claim end
    self.claims:give_back { plan = self.plan, item = claim.item, entity = claim.entity }
    self.strange[key] = true
    due.except[#due.except + 1] = key
  end
end

-- Those that others have, and have had for longer than a lease: they are alive.
local function give_up(self, keys)
  for _, key in ipairs(keys) do
    self.results[key] = nothing_of(self, key, "failed")
    self.results[key].err = error_value.new { kind = "busy", retryable = true,
      message = key .. ": another worker holds it" }
    self.news[#self.news + 1] = self.results[key]
    if self.ctx.on_item then self.ctx.on_item(self.results[key]) end
  end
end

-- Says of each item, once, who has it: else a run that waits for others looks like one that hangs.
local function tell_held(self, keys)
  local all = self.ctx.on_step and insist(self, self.claims.all, self.claims, self.plan) or {}
  for _, key in ipairs(keys) do
    local one = all[key]
    if one and one.owner ~= "" and not self.told[key] then
      self.told[key] = true
      self.ctx.on_step(self.list[self.given[key]][1],
        { item = one.item, entity = one.entity, state = "waiting for " .. one.owner })
    end
  end
end

-- Looks for an item. Nothing: waits for a while, or says that there will be none.
local function next_claim(self)
  local now = core.now()
  if now < self.idle_until then
    self.client:sleep(self.idle_until - now)
    return nil, false
  end
  local due = self.is_worker and of_worker(self) or of_run(self)
  local claim = insist(self, take, self, due)
  if claim then
    self.held_since, self.pause = nil, SHORTEST
    return claim
  end
  if not self.is_forever then
    if due.keys and #due.keys == 0 or insist(self, self.claims.left, self.claims, due) == 0 then return nil, true end
    if not self.is_worker and not self.held_since then tell_held(self, due.keys) end
    self.held_since = self.held_since or now
    if not self.is_worker and now - self.held_since > 1.5 * self.claims.lease then
      give_up(self, due.keys)
      return nil, true
    end
  end
  self.idle_until = core.now() + self.pause
  self.pause = math.min(2 * self.pause, LONGEST, self.claims.lease / 4)
  return nil, false
end

-- With the next point of the grid all is planned anew.
local function step_on(self)
  if not self.is_forever or core.now() < self.step_ends then return end
  self.step_ends = core.now() + LATER -- for the others, until it is known
  local ok, problem = pcall(context.set_time, self.ctx)
  if not ok then return error_value.is(problem) or error(problem, 0) end
  local plan = self.ctx.plan
  self.step_ends = core.now() + plan.every - (self.ctx.now - plan.settle) % plan.every
end

-- Files that are about all items are written when there is nothing else to do.
local function finish(self)
  self.is_dirty = false
  local list = {}
  for _, key in ipairs(self.keys) do list[#list + 1] = self.results[key] end
  local news = self.news
  self.news = {}
  insist(self, self.tools.finish, self.ctx, list, news)
  return list
end

local function slot(self)
  while true do
    step_on(self)
    local claim, is_over = next_claim(self)
    if claim then
      work_on(self, claim)
    elseif is_over then
      return true
    elseif self.is_forever and self.is_dirty and not next(self.working) then
      finish(self)
    end
  end
end

--- What came of each item when somebody worked on it last.
---@param ctx table
---@return table[] results
function work.results(ctx)
  local all, keys, list = ctx.journal.claims:all(ctx.plan.plan), {}, {}
  for key, one in pairs(all) do
    if one.result ~= "" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for i, key in ipairs(keys) do list[i] = json.decode(all[key].result) end
  return list
end

-- A worker that had nothing to do says so of what was done.
local function tell_of_nothing(self)
  if not (self.is_worker and self.ctx.on_item) or next(self.results) then return end
  for _, result in ipairs(work.results(self.ctx)) do
    local key = claims.key(result.item, result.entity or "")
    if self.given[key] and (result.outcome == "done" or result.outcome == "up to date") then
      self.ctx.on_item(nothing_of(self, key, "up to date"))
    end
  end
end

--- Works until nothing is left to be done, by this worker or by others.
---@param ctx table of a run
---@param list { [1]: table, [2]: string }[] items and entities
---@param is_worker boolean|nil what is up to date is left as it is
---@param tools table item, finish (all results, and those that are new): what to do; is_audit; nothing: what a result
--- of nothing has besides
---@return table[] results
function work.all(ctx, list, is_worker, tools)
  local self = { ctx = ctx, client = ctx.client, claims = ctx.journal.claims, plan = ctx.plan.plan,
    is_worker = is_worker, is_forever = ctx.options.forever, tools = tools, list = list, keys = {}, given = {},
    working = {}, results = {}, news = {}, strange = {}, told = {}, renewed_at = core.now(), idle_until = 0,
    pause = SHORTEST, step_ends = 0 }
  for i, one in ipairs(list) do
    self.keys[i] = claims.key(one[1].name, one[2])
    self.given[self.keys[i]] = i
  end
  self.claims:enlist(self.plan, list)
  self.claims:forget_steps(self.plan, times.stamp(ctx.now + DAY))
  for key in pairs(self.claims:all(self.plan)) do self.strange[key] = not self.given[key] or nil end
  insist(self, look_at_target, self)
  self.since = self.claims:now()
  ctx.check = function(of) check(self, of) end
  ctx.pulse = function() pulse(self) end
  if ctx.target then ctx.target.pulse = ctx.pulse end
  local heart = self.client:spawn(function() beat(self) end)
  local _ <close> = setmetatable({}, { __close = function() heart:cancel() end })
  local slots = {}
  for i = 1, ctx.plan.concurrency do slots[i] = i end
  assert(self.client:map(slots, function() return slot(self) end, { concurrency = #slots }))
  insist(self, tell_of_nothing, self)
  return finish(self)
end

return work
