--- One run of a plan: every item is brought up to date, and what came of it is said.

local claims = require "zuora.extract.claims"
local columns = require "zuora.extract.base.columns"
local context = require "zuora.extract.context"
local core = require "zuora.core"
local damage = require "zuora.extract.damage"
local describe = require "zuora.extract.describe"
local disk = require "zuora.extract.base.disk"
local history = require "zuora.extract.history"
local json = require "zuora.extract.base.json"
local lazy = require "zuora.extract.base.lazy"
local marks = require "zuora.extract.marks"
local phrases = require "zuora.extract.base.phrases"
local planner = require "zuora.extract.planner"
local summary = require "zuora.extract.summary"
local work = require "zuora.extract.work"
local worker = require "zuora.extract.worker"

local raise = require "zuora.error".raise

local run = {}

-- --- items --------------------------------------------------------------------------------------------

--- Writes a read down. A first load goes by pages where the plan says so: the whole stands for its pieces from the
--- beginning (or those behind an Id).
---@param ctx table
---@param item table
---@param read table
---@param is_first any true: nothing of the item has been read
---@param after string|nil an Id
function run.plan_read(ctx, item, read, is_first, after)
  if item.split and is_first and read.piece == "" then
    ctx.journal:transaction(function()
      ctx.journal:plan(read)
      ctx.journal:move(read, "split")
      ctx.journal:plan(planner.page(item, read, after))
    end)
  else
    ctx.journal:plan(read)
  end
end

--- Brings the open reads of an item on, and adds to its result what came of them.
---@param ctx table
---@param item table
---@param result table reads, records, bytes, files
---@return boolean some false: there was none
function run.advance_open(ctx, item, result)
  local open = ctx.journal:open_reads(item.of)
  for _, read in ipairs(open) do
    worker.advance(ctx, item, read)
    if read.state == "done" then
      result.reads = result.reads + 1
      result.records = result.records + (tonumber(read.records) or 0)
      result.bytes = result.bytes + (tonumber(read.bytes) or 0)
      result.files[#result.files + 1] = read.path
    end
  end
  return #open > 0
end

-- All open reads of an item, and those that follow, until there is nothing left to ask for.
local function bring_up_to_date(ctx, item, result)
  while true do
    if not run.advance_open(ctx, item, result) and not damage.reopen(ctx, item, result) then
      local read = planner.next(ctx, item)
      if not read then return end
      run.plan_read(ctx, item, read, read.read_from == "")
    end
  end
end

-- Told when an item is read for the first time.
local function warning_of(ctx, item)
  local has_filter = item.where or item.parsed and item.parsed.where
  if not (item.cursor and has_filter) or ctx.marks:mark(item.of) then return nil end
  return "rows that leave its condition later stay where they were loaded"
end

-- A mark that goes on with another text is good for that from now on, though there was nothing to be read.
local function keep_mark(ctx, item)
  local mark = ctx.options.keep_mark and ctx.marks:mark(item.of)
  if not mark or mark.hash == planner.hash(item) then return end
  ctx.journal:hold(item.of)
  ctx.marks:set_mark(item.of, mark.mark, { mark = mark.mark, hash = planner.hash(item), tenant = ctx.tenant,
    columns = json.encode(planner.good_for(item).columns), looked_back = mark.looked_back })
  if ctx.target then ctx.journal:copy_mark(item.of, ctx.target:mark(item.of)) end
end

-- Columns that earlier reads did not have.
local function news_of(item, mark, gaps, backfilled)
  if not mark or item.fields ~= "*" or not item.cursor then return nil end
  local new = columns.minus(planner.new_columns(item, mark), item.object, item.refused)
  new = columns.minus(columns.minus(new, item.object, gaps), item.object, backfilled)
  if #new == 0 then return nil end
  return ("rows that were read before have no %s: `%s` reads what is new of them"):format(table.concat(new, ", "),
    phrases.backfill(item, new))
end

local function run_item(ctx, given, entity, claim)
  local result = summary.result(given.name, entity, "up to date")
  local started = core.now()
  local ok, err = pcall(function()
    local item = describe.item(ctx, given, entity, claim)
    result.warning = warning_of(ctx, item)
    local known = ctx.marks:mark(item.of)
    marks.recover(ctx, item)
    bring_up_to_date(ctx, item, result)
    keep_mark(ctx, item)
    result.refused = item.refused[1] and item.refused or nil
    if result.reads > 0 then
      local gaps
      gaps, result.gap = planner.gaps(item)
      result.warning = result.warning or news_of(item, known, gaps, ctx.options.backfill or {})
    else -- what was told of it holds as long as nothing is read
      local before = json.decode(ctx.journal:told(item.of) or "{}")
      result.refused, result.gap = before.refused, before.gap
    end
    if ctx.warning then -- once, or it would be told of each item
      result.warning = result.warning and result.warning .. "; " .. ctx.warning or ctx.warning
      ctx.warning = nil
    end
    result.lost = item.lost and item.lost[1] and item.lost or nil
  end)
  result.seconds = math.floor((core.now() - started) * 1000) / 1000
  if result.reads > 0 then result.outcome = "done" end
  if not ok then
    context.raise_on(err)
    result.outcome, result.err = err.kind == "timeout" and "still running" or "failed", err
  end
  return result
end

-- --- the whole ----------------------------------------------------------------------------------------

-- `news`: results that no history has yet.
local function finish(ctx, results, news)
  summary.write_sums(ctx.journal, ctx.plan)
  summary.write_run(ctx, function() return ctx.journal.claims and work.results(ctx) or results end)
  history.note(ctx, ctx.is_worker and "work" or "run", news)
  if ctx.options.metrics then summary.write_metrics(ctx, results, ctx.options.metrics) end
end

-- Each item once; what came of very many is in the journal, and not kept here.
local function bring_all(ctx, list, is_wanted)
  local plan, results, slots, taken = ctx.plan, {}, {}, 0
  local function bring(i)
    local item, entity = table.unpack(list[i])
    local result = run_item(ctx, item, entity)
    ctx.journal:note({ plan = plan.plan, item = item.name, entity = entity }, json.encode(summary.plain(result)))
    if ctx.on_item then ctx.on_item(result) end
    if is_wanted(result) then results[i] = result end
  end
  for i = 1, math.min(plan.concurrency, #list) do slots[i] = i end
  assert(ctx.client:map(slots, function()
    while taken < #list do
      taken = taken + 1
      bring(taken)
    end
  end, { concurrency = #slots }))
  local known_of = ctx.journal:items(plan.plan)
  local noted = lazy.list(#list, function(i)
    local item, entity = table.unpack(list[i])
    return json.decode(known_of({ item = item.name, entity = entity }).result)
  end)
  finish(ctx, noted, noted)
  return results, #list
end

--- Brings all items of a plan up to date.
---@param client zuora.Client
---@param plan table that was read
---@param options table
---@param as_worker boolean|nil one of several: what others have done is left as it is
---@return table[] results with only_failed those that not all is well with, and the number of all, n
function run.all(client, plan, options, as_worker)
  local list = context.work_of(plan, options.items)
  collectgarbage() -- what was needed to read a plan of very many items
  if as_worker and not claims.are_at(plan.store) then
    raise("plan", "several can work on a plan whose 'store' is \"postgresql://…\", not %s", plan.store)
  end
  if options.metrics then disk.check_place(options.metrics) end
  local ctx <close> = context.open(client, plan, options, claims.owner())
  ctx.is_worker = as_worker
  local _ <close> = history.watch(ctx, as_worker and "work" or "run")
  local function is_wanted(result)
    return not options.only_failed or (result.err or result.lost or result.gap) ~= nil
  end
  local results, count
  if ctx.journal.claims then
    results = work.all(ctx, list, as_worker, { item = run_item, finish = finish })
    count = #results
  else
    results, count = bring_all(ctx, list, is_wanted)
  end
  local wanted = { n = options.only_failed and count or nil }
  for i = 1, count do
    if results[i] and is_wanted(results[i]) then wanted[#wanted + 1] = results[i] end
  end
  return wanted
end

return run
