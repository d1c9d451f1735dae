--- What is done with a plan between its runs: looking at it, setting it back, taking old files away.

local ascii = require "zuora.support.ascii"
local claims = require "zuora.extract.claims"
local context = require "zuora.extract.context"
local describe = require "zuora.extract.describe"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local journal = require "zuora.extract.journal"
local json = require "zuora.extract.base.json"
local load = require "zuora.load"
local manifest = require "zuora.extract.base.manifest"
local phrases = require "zuora.extract.base.phrases"
local planner = require "zuora.extract.planner"
local reads = require "zuora.extract.base.reads"
local summary = require "zuora.extract.summary"
local times = require "zuora.extract.base.times"

local tend = {}

local raise = error_value.raise

local function of_item(plan, item, entity) return { plan = plan.plan, item = item.name, entity = entity } end

-- Folder, store and target must be this plan's, and of one tenant; whether it is the right one only a run can ask.
local function check_owners(plan, book, target)
  local places = { { "the folder " .. plan.output, manifest.belongs(plan.output) },
    { "the store " .. plan.store, book:belongs() } }
  if target then places[3] = { "the target " .. target.store.name, target:belongs() } end
  local first
  for _, place in ipairs(places) do
    local name, owner = place[1], place[2]
    if owner.plan and owner.plan ~= plan.plan then
      raise("plan", "%s belongs to the plan '%s', not '%s'", name, owner.plan, plan.plan)
    end
    if first and owner.tenant and owner.tenant ~= first[2].tenant then
      raise("plan", "%s belongs to the tenant '%s', and %s to '%s'", name, owner.tenant, first[1], first[2].tenant)
    end
    first = first or owner.tenant and place or nil
  end
end

-- The newest read of an item that is done, and the one that has failed since. (Audits are no runs of it, and what was
-- set back has not failed.)
local function ended(book, of)
  local last, failed
  for _, read in ipairs(book:all(of)) do
    if read.kind ~= "audit" then
      if read.state == "done" then
        last, failed = read, nil
      elseif read.state == "failed" and read.error ~= planner.SET_BACK then
        failed = read
      end
    end
  end
  return last, failed
end

-- When a run finds something to do: what has failed for good, and what is up to date, with the next point of the grid.
local function next_of(plan, status, failed, now)
  local ends = status.state == "failed" and failed and failed.read_to or status.state == "done" and status.stamp
  local at = ends and times.of(ends)
  at = at and at + plan.every + plan.settle
  return at and at > now and times.iso(at) or "the next run"
end

-- The target, for its marks, and why it cannot be had now.
local function target_of(plan)
  if not plan.load then return nil end
  local ok, target = pcall(load.open, plan.load, plan.output, nil, true)
  if ok then return target end
  return nil, error_value.is(target) and target or error(target, 0)
end

-- The mark that the next run goes on from, whether what was read is read again, and why it cannot be.
local function mark_of(book, target, there, given, of)
  local own = book:mark(of)
  if not target then return own, own and own.pending == "1" end
  local mark = target:mark(of)
  if mark and not there[claims.key(of.item, of.entity)] then -- it has lost its table
    local ok, err = pcall(target.check, target, setmetatable({ of = of }, { __index = given }))
    if not ok then return nil, false, error_value.is(err) and tostring(err) or error(err, 0) end
  end
  return mark, not mark and own ~= nil or mark and (mark.pending == "1" or own ~= nil and own.mark > mark.mark)
end

local function words_of(words, category)
  return words and words:gsub("^zuora: ([%w_]+):", "%1" .. (category and (" (%s):"):format(category) or ":")) or nil
end

local function status_of(book, plan, of, known, now, mark, is_again, wrong)
  local last, failed = ended(book, of)
  local at = mark and times.of(mark.mark)
  if failed and mark and mark.pending == "1" and (failed.kind ~= "reset" or failed.generation < tonumber(mark.resets))
  then
    failed = nil -- before it was set back
  end
  local status = { item = of.item, entity = of.entity ~= "" and of.entity or nil, open = {},
    mark = at and times.iso(at) or nil, stamp = mark and mark.mark }
  for k, read in ipairs(book:open_of(of)) do
    status.open[k] = { read = reads.name(read), state = read.state, attempt = read.attempt, job = read.job_id,
      error = read.error ~= "" and read.error or nil }
  end
  if last then
    status.last = { read = reads.name(last), records = tonumber(last.records), at = last.updated_at }
  end
  local result = known and known.result ~= "" and json.decode(known.result) or {}
  local open, has_failed = status.open[1], result.error ~= nil or failed ~= nil or wrong ~= nil
  status.state = open and open.state or has_failed and "failed" or is_again and "to be read again"
    or (last or at) and "done" or "new"
  status.error = words_of(wrong or result.error or failed and failed.error or open and open.error
    or not is_again and result.gap, not wrong and result.category)
  status.next = next_of(plan, status, failed, now)
  status.stamp = nil
  if known and (known.owner or "") ~= "" then status.owner, status.lease = known.owner, math.floor(known.lease) end
  return status
end

--- Where each item stands: by the target's marks, or, while it cannot be had, by their copies in the store.
---@param plan table that was read
---@param items string[]|nil
---@return table[] items: item, entity, state (of its first open read; else "failed", "to be read again", "done" or
--- "new"), mark (ISO text), next (ISO text, or "the next run"), open (its reads that go on, in their order), last (the
--- newest that is done), error; owner and lease (seconds) where a worker has it
function tend.status(plan, items)
  local book <close> = journal.open(plan.store)
  local target <close>, away = target_of(plan)
  check_owners(plan, book, target)
  local list, known_of, now, there = {}, book:items(plan.plan), book:clock(), target and target:marks(plan.plan)
  for i, one in ipairs(context.work_of(plan, items)) do
    local of = of_item(plan, one[1], one[2])
    of.file = plan.file
    list[i] = status_of(book, plan, of, known_of(of), now,
      mark_of(book, target, there, one[1], of))
    list[i].error = list[i].error or away and words_of(tostring(away))
  end
  return list
end

--- What has happened, in order.
---@param plan table
---@param items string[]|nil
---@return { at: string, item: string, what: string, detail: string }[]
function tend.history(plan, items)
  local book <close> = journal.open(plan.store)
  check_owners(plan, book)
  local wanted, list = {}, {}
  for _, one in ipairs(items and context.work_of(plan, items) or {}) do wanted[one[1].name] = true end
  for _, event in ipairs(book:events(plan.plan)) do
    if not items or wanted[event.item] then list[#list + 1] = event end
  end
  return list
end

-- Reads that go on are given up: what is not proven is taken away. False: there are none.
local function give_up(plan, book, of, turns)
  local open = book:open_reads(of)
  for _, read in ipairs(open) do
    local is_proven = read.state == "published" or read.state == "loaded"
    for turn = 0, is_proven and -1 or turns do
      manifest.discard(plan.output .. "/" .. reads.path(read, turn))
    end
    book:move(read, "failed", { error = planner.SET_BACK, chain = is_proven and read.chain or "" })
  end
  return #open > 0
end

-- What has not been read yet cannot be read again from there.
local function check_reached(book, of, mark, from)
  local reached = mark.mark
  for _, read in ipairs(mark.pending == "1" and book:all(of) or {}) do
    if read.state == "done" and read.read_to > reached then reached = read.read_to end
  end
  if times.stamp(from) > reached then
    raise("plan", "%s: it has not been read up to %s: nothing may be left out", of.item, times.iso(from))
  end
end

-- Nobody else works on it meanwhile. Gives the turns in which files of it were written.
local function claim(book, of)
  if not book.claims then return 0 end
  book.claims:enlist(of.plan, { { { name = of.item }, of.entity } })
  local claimed = book.claims:take { plan = of.plan, keys = { claims.key(of.item, of.entity) } }
  if claimed then return claimed.turn end
  error(error_value.new { kind = "busy", retryable = true, message = of.item .. ": a worker holds it" }, 0)
end

--- Sets an item back.
---@param plan table
---@param name string the item's
---@param from integer|nil seconds since the epoch; nil: to the beginning
---@return { item: string, from: string }[] what will be read again
function tend.reset(plan, name, from)
  -- The mark may be in the target alone.
  if not claims.are_at(plan.store) then disk.folder(plan.store:match "^(.*)/[^/]*$" or ".") end
  local book <close> = journal.open(plan.store, claims.owner())
  local target <close> = plan.load and load.open(plan.load, plan.output, nil, "unless there") or nil
  local _ <close> = book.claims and setmetatable({}, { __close = function() book.claims:leave() end }) or nil
  check_owners(plan, book, target)
  local list, stamp = {}, from and times.stamp(from) or ""
  for _, one in ipairs(context.work_of(plan, { name })) do
    local of = of_item(plan, one[1], one[2])
    local turns = claim(book, of)
    local mark = (target or book):mark(of)
    if from and mark then check_reached(book, of, mark, from) end
    local known = give_up(plan, book, of, turns)
    known = book:reset(of, stamp) or known
    book:sync() -- or, after a loss of power, a read that goes on could set the target's mark forward
    if target then known = target:reset(of, stamp) or known end
    if known then
      list[#list + 1] = { item = name, from = from and times.iso(from) or "the beginning" }
      book:event(plan.plan, name, "reset", list[#list].from)
    end
    if book.claims then book.claims:release(of, "", "", "") else book:note(of, "") end
  end
  return list
end

--- Takes away files that were done longer ago, but never the newest of an item.
---@param plan table
---@param keep integer seconds
---@return string[] paths
function tend.prune(plan, keep)
  local book <close> = journal.open(plan.store, claims.owner())
  check_owners(plan, book)
  local gone, is_gone, oldest = {}, {}, times.iso(book:clock() - keep)
  for _, one in ipairs(context.work_of(plan)) do
    local of = of_item(plan, one[1], one[2])
    local _, newest = book:chain(of)
    local number = 1
    while newest and number < tonumber(newest.chain) do
      local read = book:in_chain(of, number)
      -- From the oldest on: what is between two that stay would be missed.
      if read and (read.updated_at > oldest or read.state ~= "done") then break end
      for _, path in ipairs(read and { read.path, manifest.path(read.path) } or {}) do -- (some have other numbers now)
        if disk.size(plan.output .. "/" .. path) then gone[#gone + 1] = path end
        is_gone[path] = true
      end
      number = number + 1
    end
  end
  if #gone > 0 then
    book:event(plan.plan, "", "pruned", phrases.count(#gone, "file"))
    -- (First, or what is gone would be missed after a kill.)
    summary.write_sums(book, plan, is_gone)
    for _, path in ipairs(gone) do os.remove(plan.output .. "/" .. path) end
  end
  return gone
end

--- What the next run would ask for. Nothing that starts anything is sent.
---@param client zuora.Client
---@param plan table that was read
---@param options table items, again, keep_mark, reconcile, backfill, entity_id
---@return table[] reads: item, entity, kind, from, to, query; or error
function tend.preview(client, plan, options)
  local ctx <close> = context.open(client, plan, options)
  local list = {}
  for i, one in ipairs(context.work_of(plan, options.items)) do
    local given, entity = one[1], one[2]
    list[i] = { item = given.name, entity = entity ~= "" and entity or nil }
    local ok, problem = pcall(function()
      local item = describe.item(ctx, given, entity)
      local read = ctx.journal:open_of(item.of)[1] or planner.next(ctx, item)
      list[i].up_to_date = read == nil
      if read then
        list[i].kind, list[i].from, list[i].to, list[i].query = read.kind, read.read_from, read.read_to, read.query
        list[i].state = read.state
      end
    end)
    if not ok then
      if not error_value.is(problem) then error(problem, 0) end
      list[i].err = problem
    end
  end
  return list
end

-- Objects of which Zuora does not give deleted rows.
local NO_DELETED = { PaymentTransactionLog = true, RefundTransactionLog = true, AccountingCode = true,
  AccountingPeriod = true, ProcessedUsage = true, DiscountAppliedMetrics = true }

--- Items for a plan, of the tenant's objects.
---@param client zuora.Client
---@param names string[]|nil the objects; nil: all
---@param entity_id string|nil
---@return table[] items
function tend.items_of(client, names, entity_id)
  local objects, err = client.describe:objects { entity_id = entity_id }
  if not objects then error(err, 0) end
  local wanted = names and names[1] and {}
  for _, name in ipairs(names or {}) do wanted[ascii.lower(name)] = name end
  local items = {}
  for _, object in ipairs(objects) do
    if not wanted or wanted[ascii.lower(object.name)] then
      items[#items + 1] = { object = object.name, fields = "*", deleted = not NO_DELETED[object.name] or nil }
      if wanted then wanted[ascii.lower(object.name)] = nil end
    end
  end
  for _, name in pairs(wanted or {}) do raise("plan", "the tenant has no object '%s'", name) end
  return items
end

return tend
