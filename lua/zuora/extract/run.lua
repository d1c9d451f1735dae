--- One run of a plan: every item is brought up to date, and what came of it is said.

local claims = require "zuora.extract.claims"
local core = require "zuora.core"
local damage = require "zuora.extract.damage"
local disk = require "zuora.extract.disk"
local error_value = require "zuora.error"
local history = require "zuora.extract.history"
local journal = require "zuora.extract.journal"
local json = require "zuora.extract.json"
local load = require "zuora.load"
local manifest = require "zuora.extract.manifest"
local marks = require "zuora.extract.marks"
local planner = require "zuora.extract.planner"
local publish = require "zuora.extract.publish"
local query = require "zuora.extract.query"
local summary = require "zuora.extract.summary"
local times = require "zuora.extract.times"
local work = require "zuora.extract.work"
local worker = require "zuora.extract.worker"

local run = {}

-- Objects whose changes UpdatedDate is known to miss (Fivetran reads them again every week, too).
local LOOKED_BACK = { InvoiceItem = true, TaxationItem = true, CreditMemoItem = true, DebitMemoItem = true,
  InvoiceAdjustment = true, InvoiceItemAdjustment = true, CreditTaxationItem = true, DebitTaxationItem = true }
local LOOKBACK = { days = 14, every = 7 * 24 * 3600 }

-- By what an object is known to have changed, in this order; the last two are of what is only ever added.
local CURSORS = { "UpdatedDate", "TransactionDate", "UpdatedOn" }
local APPENDED = { TransactionDate = true, UpdatedOn = true }

local function fail(kind, words, ...) error(error_value.new { kind = kind, message = words:format(...) }, 0) end

-- --- what Zuora says ----------------------------------------------------------------------------------

--- Does Zuora set it in every row? What a plan names itself may be empty.
function run.is_always_set(cursor)
  for _, name in ipairs(CURSORS) do
    if name == cursor then return true end
  end
  return false
end

--- The server's clock: windows end by it.
---@return integer seconds since the epoch
function run.server_time(client, options)
  local _, answer = client:request { path = "/v1/describe", accept = "text/xml", entity_id = options.entity_id }
  if error_value.is(answer) then error(answer, 0) end
  local now = times.of_header(answer.headers.date)
  if not now then fail("http", "the server's answer has no Date: a window cannot be ended without") end
  return now --[[@as integer]]
end

local function columns_of(item, object)
  local columns = object:exportable()
  if item.fields == "*" then return columns end
  local known = {}
  for _, name in ipairs(columns) do known[name:lower()] = name end
  for _, name in ipairs(item.fields) do
    if not known[name:lower()] then
      fail("plan", "%s: %s has no field '%s' that can be exported", item.name, object.name, name)
    end
  end
  return item.fields
end

local function cursor_of(item, object)
  if item.cursor == false then return false end
  for _, name in ipairs { item.cursor or CURSORS[1], not item.cursor and CURSORS[2] or nil,
    not item.cursor and CURSORS[3] or nil } do
    if object:field(name) then return object:field(name).name end
  end
  if item.cursor then fail("plan", "%s: %s has no field '%s'", item.name, object.name, item.cursor) end
  return false
end

local function types_of(object)
  local types = {}
  for _, field in ipairs(object.fields) do types[field.name] = field.type end
  return types
end

-- What was there when the item was read last, and is not now.
local function lost_of(ctx, item)
  local mark, lost, there = ctx.marks:mark(item.of), {}, {}
  for _, name in ipairs(item.columns) do there[name] = true end
  for _, name in ipairs(mark and json.decode(mark.columns) or {}) do
    if not there[name] and item.fields == "*" then lost[#lost + 1] = name end
  end
  return lost
end

--- An item with what has to be asked for before its queries can be written.
---@param claim table|nil where several machines share the store
---@return table item a copy
function run.prepare(ctx, given, entity, claim)
  local of = { plan = ctx.plan.plan, item = given.name, entity = entity or "", file = ctx.plan.file }
  local item = setmetatable({ of = of, refused = {}, claim = claim }, { __index = given })
  if item.object then
    item.parsed = item.query and query.parse(item.query) -- (not kept in the plan, which may have very many items)
    local object, err = ctx.client.describe:object(item.object,
      { entity_id = entity ~= "" and entity or ctx.options.entity_id })
    if not object then error(err, 0) end
    item.types = types_of(object)
    if item.kind == "object" then
      item.columns, item.cursor = columns_of(item, object), cursor_of(item, object)
      item.lost = lost_of(ctx, item)
      if given.lookback == nil and item.cursor and LOOKED_BACK[object.name] then item.lookback = LOOKBACK end
    end
  end
  if item.kind == "report" or item.kind == "data_query" then item.cursor = false end
  item.is_append = APPENDED[item.cursor or ""]
  if ctx.target then ctx.target:check(item) end
  return item
end

-- --- items --------------------------------------------------------------------------------------------

--- Writes a read down. A first load goes by pages where the plan says so: the whole stands for its pieces from the
--- beginning (or those behind an Id).
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
    columns = json.encode(planner.columns(item)), looked_back = mark.looked_back })
  if ctx.target then ctx.journal:copy_mark(item.of, ctx.target:mark(item.of)) end
end

-- Columns that earlier reads did not have.
local function news_of(item, mark, result)
  if not mark or item.fields ~= "*" or result.reads == 0 or not item.cursor then return nil end
  local refused, new = table.concat(item.refused, "\n") .. "\n", {}
  for _, name in ipairs(planner.new_columns(item, mark)) do
    if not refused:find(name .. "\n", 1, true) then new[#new + 1] = name end
  end
  if #new == 0 then return nil end
  return ("rows that were read before have no %s: `%s` reads what is new of them"):format(table.concat(new, ", "),
    planner.backfill(item, new))
end

local function run_item(ctx, given, entity, claim)
  local result = { item = given.name, entity = entity ~= "" and entity or nil, outcome = "up to date", reads = 0,
    records = 0, bytes = 0, files = {} }
  local started = core.now()
  local ok, err = pcall(function()
    local item = run.prepare(ctx, given, entity, claim)
    result.warning = warning_of(ctx, item)
    local known = ctx.marks:mark(item.of)
    marks.recover(ctx, item)
    bring_up_to_date(ctx, item, result)
    keep_mark(ctx, item)
    result.warning = result.warning or news_of(item, known, result)
    result.refused = item.refused[1] and item.refused or nil
    result.lost = item.lost and item.lost[1] and item.lost or nil
  end)
  result.seconds = math.floor((core.now() - started) * 1000) / 1000
  if result.reads > 0 then result.outcome = "done" end
  if not ok then
    if not error_value.is(err) or err.kind == "cancelled" and not err.record then error(err, 0) end
    result.outcome, result.err = err.kind == "timeout" and "still running" or "failed", err
  end
  return result
end

-- --- the whole ----------------------------------------------------------------------------------------

local function chosen(plan, names)
  if not names then return plan.items end
  local by_name, list = {}, {}
  for _, item in ipairs(plan.items) do by_name[item.name] = item end
  for i, name in ipairs(names) do
    list[i] = by_name[name] or fail("plan", "the plan has no item '%s'", name)
  end
  return list
end

--- What is read of a plan: each item of each entity.
---@param plan table
---@param names string[]|nil of items; nil: all
---@return { [1]: table, [2]: string }[] pairs an item, and the id of an entity or ""
function run.work_of(plan, names)
  local list = {}
  for _, item in ipairs(chosen(plan, names)) do
    for _, entity in ipairs(plan.entities[1] and plan.entities or { "" }) do list[#list + 1] = { item, entity } end
  end
  return list
end

local Context = {}

function Context:__close()
  if self.journal.claims then pcall(self.journal.claims.leave, self.journal.claims) end
  self.journal:close()
  if self.target then self.target:close() end
end

-- Opens what a run works with, and makes sure that it is this tenant's and this plan's.
local function open_context(ctx, owner)
  local plan, client = ctx.plan, ctx.client
  if plan.load then
    ctx.target = load.open(plan.load, plan.output, function(seconds) client:sleep(seconds) end, owner == nil)
  end
  ctx.marks = ctx.target or ctx.journal
  local held = ctx.journal.claims
  if held and ctx.target then ctx.target.suffix = held:suffix() end
  manifest.belong_to(ctx.output, plan.plan, ctx.tenant, owner ~= nil, held and held:scratch(ctx.output))
  ctx.journal:belong_to(plan.plan, ctx.tenant)
  if ctx.target then ctx.target:belong_to(plan.plan, ctx.tenant) end
  ctx.now = run.server_time(client, ctx.options)
  ctx.clock, ctx.b = times.clock(ctx.now), times.grid(ctx.now, plan.settle, plan.every)
end

--- Makes what a run works with.
---@param client zuora.Client
---@param plan table that was read
---@param options table
---@param owner string|nil who changes the journal; nil: nothing is made, and no change is kept
---@return table ctx to be closed
function run.context(client, plan, options, owner)
  if options.backfill and not options.items then fail("plan", "--backfill needs --item: whose column is it?") end
  local done, err = client:authenticate()
  if not done then error(err, 0) end
  if owner then
    disk.folder(plan.output)
    if not claims.are_at(plan.store) then disk.folder(plan.store:match "^(.*)/[^/]*$" or ".") end
  end
  local ctx = setmetatable({ client = client, plan = plan, options = options, output = plan.output,
    tenant = client:tenant(), wait = options.wait or plan.wait,
    publish = plan.publish and publish.new(client, plan.publish),
    journal = journal.open(plan.store, owner, options.lease),
    keeps_deletes = true, libcurl = core.libraries:match "libcurl/(%S+)",
    brought = {}, -- paths of the files that this process has proven itself
    on_item = options.on_item, on_step = options.on_step }, Context)
  local ok, problem = pcall(open_context, ctx, owner)
  if ok then return ctx end
  Context.__close(ctx)
  error(problem, 0)
end

-- `news`: results that no history has yet.
local function finish(ctx, results, news)
  summary.write_sums(ctx.journal, ctx.plan)
  summary.write_run(ctx, function() return ctx.journal.claims and work.results(ctx) or results end)
  history.note(ctx, ctx.is_worker and "work" or "run", news)
  if ctx.options.metrics then summary.write_metrics(ctx, results, ctx.options.metrics) end
end

--- Brings all items of a plan up to date.
---@param client zuora.Client
---@param plan table that was read
---@param options table
---@param as_worker boolean|nil one of several: what others have done is left as it is
---@return table[] results
function run.all(client, plan, options, as_worker)
  local list = run.work_of(plan, options.items)
  if as_worker and not claims.are_at(plan.store) then
    fail("plan", "several can work on a plan whose 'store' is \"postgresql://…\", not %s", plan.store)
  end
  local ctx <close> = run.context(client, plan, options, claims.owner())
  ctx.is_worker = as_worker
  if ctx.journal.claims then
    return work.all(ctx, list, as_worker, { item = run_item, plain = summary.plain, time = run.server_time,
      finish = finish })
  end
  plan.items = nil -- of very many only what came of them is kept
  local results = assert(client:map(list, function(one, i)
    list[i] = false
    local result = run_item(ctx, one[1], one[2])
    ctx.journal:note({ plan = plan.plan, item = result.item, entity = one[2] }, json.encode(summary.plain(result)))
    if ctx.on_item then ctx.on_item(result) end
    return result
  end, { concurrency = plan.concurrency }))
  finish(ctx, results, results)
  return results
end

return run
