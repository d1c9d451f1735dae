--- Is the target right? Zuora is asked for count and sums by the months in which rows were made, and so is the target;
--- what has changed since the mark is left out on both sides. The month that differs is read again.

local aqua = require "zuora.extract.sources.aqua"
local ascii = require "zuora.support.ascii"
local claims = require "zuora.extract.claims"
local context = require "zuora.extract.context"
local counts = require "zuora.load.counts"
local decimals = require "zuora.extract.base.decimals"
local describe = require "zuora.extract.describe"
local disk = require "zuora.extract.base.disk"
local history = require "zuora.extract.history"
local json = require "zuora.extract.base.json"
local marks = require "zuora.extract.marks"
local months = require "zuora.extract.months"
local phrases = require "zuora.extract.base.phrases"
local planner = require "zuora.extract.planner"
local query = require "zuora.extract.query"
local run = require "zuora.extract.run"
local summary = require "zuora.extract.summary"
local times = require "zuora.extract.base.times"
local totals = require "zuora.extract.totals"
local work = require "zuora.extract.work"
local worker = require "zuora.extract.worker"

local audit = {}

-- Months of one job: it has one query more, and 50 at most.
local MONTHS = 48

local raise = require "zuora.error".raise

-- --- what can be audited ------------------------------------------------------------------------------

-- Not audited, and as it should be all the same.
local READ_WHOLE = "read whole"

-- What is compared in the target, by the names that its columns have; or why nothing is, and what that comes to.
local function subject_of(ctx, item)
  if not item.cursor or item.mode == "replace" then return nil, "it is read whole each time", READ_WHOLE end
  local mark = ctx.marks:mark(item.of)
  if not mark or mark.mark == "" then return nil, "it has not been read since it was made or set back" end
  if mark.hash ~= planner.hash(item) then return nil, planner.changed(item, mark) end
  local there = ctx.target:columns(item.name)
  if not there then return nil, "the target has no table of it" end
  local subject = { item = item.name, object = item.object, entity = item.of.entity, mark = mark.mark,
    latest = months.latest(ctx.now), is_always_set = describe.is_always_set(item.cursor), sums = {} }
  if query.has(item.columns or item.parsed.select, item.object, "CreatedDate") then subject.made = there.createddate end
  for _, name in ipairs { "key", "cursor" } do
    subject[name] = there[ascii.lower(item[name])]
    if not subject[name] then return nil, ("its table has no column %s"):format(item[name]) end
  end
  for _, total in ipairs(item.totals) do
    local field = total:match "^sum%((.*)%)$"
    local column = field and there[ascii.lower(field)]
    if field and not column then return nil, ("its table has no column %s to be summed"):format(field) end
    if field then subject.sums[#subject.sums + 1] = { total = total, field = field, column = column } end
  end
  return subject
end

local function buckets_of(ctx, subject)
  if not subject.made then return months.whole(subject.mark) end
  local list = months.since(subject.made, counts.first_month(ctx.target, subject.item, subject.made), subject.mark)
  subject.first, subject.last = list[2].key, list[#list].key
  return list
end

-- --- comparing ----------------------------------------------------------------------------------------

local function options_of(ctx, item, more) return worker.options_of(ctx, item.of, more) end

local function submitted(ctx, item, queries)
  local job, err = ctx.client.jobs:submit { queries = queries, useQueryLabels = true, dateTimeUtc = true,
    entity_id = options_of(ctx, item).entity_id }
  if not job then return nil, err end
  return ctx.client.jobs:wait(job.id, options_of(ctx, item, { timeout = ctx.wait, min = ctx.options.poll }))
end

local function finished(ctx, item, buckets, subject)
  local queries = { { name = "changed", query = query.changed(item, subject.mark), deleted = item.deleted ~= false and
    { column = aqua.DELETED, format = "Boolean", forceExport = true } or nil } }
  for i, bucket in ipairs(buckets) do
    queries[i + 1] = { name = "bucket" .. i, query = query.totals(item, { audit = true, by = bucket.by,
      from = bucket.from, to = bucket.to, closed = bucket.closed, unchanged_since = subject.mark }) }
  end
  local job, err = submitted(ctx, item, queries)
  if not job and aqua.without_deleted(err) then
    queries[1].deleted = nil
    job, err = submitted(ctx, item, queries)
  end
  if not job then error(err, 0) end
  return job
end

-- What Zuora has of a bucket.
local function expected_of(ctx, item, batch, subject)
  local rows <close>, err = batch:rows(options_of(ctx, item))
  if not rows then error(err, 0) end
  local told = {}
  for name, value in pairs(rows() or {}) do told[ascii.lower(name)] = value end
  local one = {}
  local function add(name, call, field)
    local text = totals.told(told, item.object, call, field)
    if text == "" and call == "sum" then text = "0" end -- of nothing
    one[name] = text and decimals.plain(text)
    if not one[name] then
      raise("incomplete", "%s: Zuora says no %s of %s, but '%s'", item.name, call, field, tostring(text))
    end
  end
  add("count", "count", item.key)
  for _, sum in ipairs(subject.sums) do add(sum.total, "sum", sum.field) end
  return one
end

local function difference(expected, found)
  for name, value in pairs(expected) do
    if (found[name] or "0") ~= value then return true end
  end
  return false
end

-- Compares some buckets, in one transaction of Zuora's; those that differ are added to a list.
local function compare_some(ctx, item, buckets, subject, list)
  local job = finished(ctx, item, buckets, subject)
  local path = work.changes_of(ctx, item.of)
  local changed, err = job:batch "changed":download(path, options_of(ctx, item))
  if not changed then error(err, 0) end
  local _ <close> = disk.passing(path)
  local found = ctx.target:counts(subject, path)
  local rows = 0
  for i, bucket in ipairs(buckets) do
    local expected = expected_of(ctx, item, job:batch("bucket" .. i), subject)
    local there = found[bucket.key] or {}
    for name in pairs(expected) do there[name] = there[name] or "0" end
    rows = rows + tonumber(expected.count)
    if difference(expected, there) then
      list[#list + 1] = { bucket = bucket, expected = expected, found = there }
    end
  end
  return rows, changed.records
end

local function compare(ctx, item, buckets, subject)
  if ctx.on_step then
    ctx.on_step(item, { item = item.name, entity = subject.entity, kind = "audit", state = "comparing" })
  end
  local list, rows, changed = {}, 0, 0
  for i = 1, #buckets, MONTHS do
    local some = table.move(buckets, i, math.min(i + MONTHS - 1, #buckets), 1, {})
    local more, left_out = compare_some(ctx, item, some, subject, list)
    rows, changed = rows + more, math.max(changed, left_out)
  end
  return list, rows, changed
end

-- --- mending ------------------------------------------------------------------------------------------

local function read_again(ctx, item, subject, bucket, result)
  local generation = counts.next_generation(ctx.target, item.of, "audit", bucket.to)
  local before = ctx.journal:ending_at(item.of, "audit", bucket.to)[1]
  if before then generation = math.max(generation, before.generation + 1) end
  local read, piece = months.read(item.of, bucket, subject.mark, subject.latest, generation)
  piece.hash = planner.hash(item)
  ctx.journal:plan(planner.with_query(item, read, piece))
  while run.advance_open(ctx, item, result) do end
end

local function mend(ctx, item, subject, differing, result)
  local buckets = {}
  for i, one in ipairs(differing) do
    buckets[i], item.month = one.bucket, one.bucket.name
    read_again(ctx, item, subject, one.bucket, result)
  end
  item.month = nil
  local left = compare(ctx, item, buckets, subject)
  if #left > 0 then
    raise("incomplete", "%s: %s is not as it is in Zuora, though it was read again", item.name, left[1].bucket.name)
  end
end

-- --- items --------------------------------------------------------------------------------------------

local function tell(ctx, item, result, differing)
  -- Who was stopped meanwhile has compared what Zuora had then with what another has loaded since.
  if #differing > 0 then ctx.journal:hold(item.of) end
  for i, one in ipairs(differing) do
    result.differences[i] = { month = one.bucket.name, expected = one.expected, found = one.found }
    ctx.journal:event(item.of.plan, item.name, "differs", ("%s: %s, and %s in Zuora"):format(one.bucket.name,
      phrases.count(one.found.count, "row"), one.expected.count))
  end
end

local function audit_now(ctx, given, entity, result, claim)
  local item = describe.item(ctx, given, entity, claim)
  if not ctx.options.check then
    marks.recover(ctx, item)
    while run.advance_open(ctx, item, result) do end
  end
  local subject, reason, outcome = subject_of(ctx, item)
  if not subject then
    if ctx.options.items then raise("plan", "%s: %s: there is nothing to be compared", item.name, reason) end
    result.outcome, result.reason = outcome or "not audited", reason
    return
  end
  local buckets = buckets_of(ctx, subject)
  local differing
  differing, result.rows, result.changed = compare(ctx, item, buckets, subject)
  result.mark, result.months = times.iso(times.of(subject.mark)), #buckets
  tell(ctx, item, result, differing)
  result.outcome = #differing == 0 and "right" or "wrong"
  if #differing > 0 and not ctx.options.check then
    mend(ctx, item, subject, differing, result)
    result.outcome = "mended"
  end
end

local function audit_item(ctx, given, entity, claim)
  local result = summary.result(given.name, entity, "failed")
  result.differences = {}
  local ok, err = pcall(audit_now, ctx, given, entity, result, claim)
  if not ok then
    context.raise_on(err)
    if err.kind == "timeout" then result.outcome = "still running" end
    result.err = err
  end
  return result
end

local function name_of(ctx) return ctx.options.check and "audit --check" or "audit" end

local function write_results(ctx, results, news)
  summary.write_sums(ctx.journal, ctx.plan)
  history.note(ctx, name_of(ctx), news)
  local items = {}
  for i, result in ipairs(results) do
    items[i] = summary.plain(result)
  end
  disk.write(ctx.output .. "/audit.json", json.encode { plan = ctx.plan.plan, tenant = ctx.tenant,
    at = times.iso(ctx.journal:clock()), items = items } .. "\n", ctx.journal.claims
    and ctx.journal.claims:scratch(ctx.output))
end

--- Compares what a plan has loaded with what Zuora has, and reads again what differs.
---@param client zuora.Client
---@param plan table that was read
---@param options table
---@return table[] results
function audit.all(client, plan, options)
  if not plan.load then raise("plan", "an audit compares a target with Zuora, and the plan has no 'load'") end
  local list = context.work_of(plan, options.items)
  local ctx <close> = context.open(client, plan, options, claims.owner())
  local _ <close> = history.watch(ctx, name_of(ctx))
  if ctx.journal.claims then
    return work.all(ctx, list, false, { item = audit_item, finish = write_results, is_audit = true,
      nothing = { differences = {}, rows = 0, months = 0, changed = 0, mark = "" } })
  end
  local results = assert(client:map(list, function(one)
    local result = audit_item(ctx, one[1], one[2])
    if ctx.on_item then ctx.on_item(result) end
    return result
  end, { concurrency = plan.concurrency }))
  write_results(ctx, results, results)
  return results
end

return audit
