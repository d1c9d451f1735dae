--- zuora.extract: a plan of objects, queries and reports, read again and again. At the end of a run each file is whole
--- and proven; a run that was killed goes on where it was.
--
--     local extract = require "zuora.extract"
--     local results = assert(extract.run(client, "nightly.json"))

local audit = require "zuora.extract.audit"
local check = require "zuora.support.check"
local json = require "zuora.extract.base.json"
local plans = require "zuora.extract.plan"
local run = require "zuora.extract.run"
local tend = require "zuora.extract.tend"
local verify = require "zuora.extract.verify"

local guarded = require "zuora.error".guarded

local extract = {}

-- Reads a plan, and does f with it.
local function with_plan(source, f)
  return guarded(function()
    local plan, err = plans.read(source)
    if not plan then return nil, err end
    return f(plan)
  end)
end

local RUN = { items = "list", again = "boolean", keep_mark = "boolean", reconcile = "boolean", wait = "limit",
  backfill = "list", metrics = "line", poll = "seconds", lease = "seconds",
  only_failed = "boolean", entity_id = "entity_id", on_item = "function", on_step = "function" }

--- Brings all items of a plan up to date.
---@param client zuora.Client
---@param source string|zuora.Plan the path of a plan, or the plan
---@param options zuora.ExtractOptions|nil
---@return zuora.ExtractResult[]|nil results one for each item and entity
---@return zuora.Error|nil err kind `plan`: nothing was sent; `busy`: another run holds the plan
function extract.run(client, source, options)
  options = check.options("zuora.extract.run", options, RUN)
  return with_plan(source, function(plan) return run.all(client, plan, options) end)
end

local WORK = { wait = "limit", poll = "seconds", lease = "seconds", metrics = "line", forever = "boolean",
  only_failed = "boolean", entity_id = "entity_id", on_item = "function", on_step = "function" }

--- Works on a plan whose store is a database of PostgreSQL, beside others that do the same, until nothing is left.
---@param client zuora.Client
---@param source string|zuora.Plan the path of a plan, or the plan
---@param options zuora.WorkOptions|nil
---@return zuora.ExtractResult[]|nil results one for each item and entity that this worker has worked on
---@return zuora.Error|nil err
function extract.work(client, source, options)
  options = check.options("zuora.extract.work", options, WORK)
  return with_plan(source, function(plan) return run.all(client, plan, options, true) end)
end

local AUDIT = { items = "list", check = "boolean", wait = "limit", poll = "seconds", lease = "seconds",
  entity_id = "entity_id", on_item = "function", on_step = "function" }

--- Compares what a plan has loaded with what Zuora has: count and sums, by the months in which rows were made, but for
--- what has changed since the item was read last. What differs is read again, and right afterwards.
---@param client zuora.Client
---@param source string|zuora.Plan the path of a plan, or the plan
---@param options zuora.AuditOptions|nil
---@return zuora.AuditResult[]|nil results one for each item and entity
---@return zuora.Error|nil err kind `plan`: nothing was sent; `busy`: a run holds the plan
function extract.audit(client, source, options)
  options = check.options("zuora.extract.audit", options, AUDIT)
  return with_plan(source, function(plan) return audit.all(client, plan, options) end)
end

-- A function over a plan that needs no client.
local function of_plan(where, rules, f)
  return function(source, options)
    options = check.options("zuora.extract." .. where, options, rules)
    return with_plan(source, function(plan) return f(plan, options) end)
  end
end

--- Where each item of a plan stands.
--- item, entity, state (of its first open read; else "failed", "to be read again", "done" or "new"), mark, next (when
--- a run has something to do), open, last, error; owner and lease (seconds that are left) where several machines share
--- the store
---@type fun(source: string|table, options: { items: string[]? }?): (items: table[]?, err: zuora.Error?)
extract.status = of_plan("status", { items = "list" }, function(plan, options)
  return tend.status(plan, options.items)
end)

--- What has happened to a plan: at, item, what and detail of each event
---@type fun(source: string|table, options: { items: string[]? }?): (events: table[]?, err: zuora.Error?)
extract.history = of_plan("history", { items = "list" }, function(plan, options)
  return tend.history(plan, options.items)
end)

--- Sets an item back, so that the next run reads it again, by reads of their own.
--- from: seconds since the epoch; nil: from the beginning
---@type fun(source: string|table, options: { item: string, from: integer? }): (what: table[]?, err: zuora.Error?)
extract.reset = of_plan("reset", { item = "text!", from = "integer" }, function(plan, options)
  return tend.reset(plan, options.item, options.from)
end)

--- Takes old files away, but never the newest of an item.
--- keep: seconds: what was done before that goes
---@type fun(source: string|table, options: { keep: number }): (paths: string[]|nil, err: zuora.Error|nil)
extract.prune = of_plan("prune", { keep = "limit!" }, function(plan, options)
  return tend.prune(plan, math.floor(options.keep))
end)

--- Proves what lies in a folder, without Zuora.
---@param folder string
---@param options { items: string[]|nil }|nil
---@return { files: integer, records: integer, bytes: integer, problems: { path: string, problem: string }[],
--- cure: string|nil }|nil found cure: the command that brings anew what is damaged
---@return zuora.Error|nil err
function extract.verify(folder, options)
  check.value("zuora.extract.verify", "folder", folder, "line")
  options = check.options("zuora.extract.verify", options, { items = "list" })
  return guarded(verify.folder, folder, options.items)
end

local PREVIEW = { items = "list", again = "boolean", keep_mark = "boolean", reconcile = "boolean",
  backfill = "list", entity_id = "entity_id" }

--- What the next run would ask for. Nothing that starts anything is sent.
---@param client zuora.Client
---@param source string|table
---@param options table|nil items, again, keep_mark, reconcile, backfill: as for run
---@return table[]|nil reads item, kind, from, to, query, state; or up_to_date, or err
---@return zuora.Error|nil err
function extract.preview(client, source, options)
  options = check.options("zuora.extract.preview", options, PREVIEW)
  return with_plan(source, function(plan) return tend.preview(client, plan, options) end)
end

--- A plan of the tenant's objects, to be looked through and kept. GET /v1/describe
---@param client zuora.Client
---@param options { objects: string[]|nil, plan: string|nil, output: string|nil }|nil
---@return table|nil plan, zuora.Error|nil err
function extract.init(client, options)
  options = check.options("zuora.extract.init", options, { objects = "list", plan = "text", output = "line",
    entity_id = "entity_id" })
  local made = { plan = options.plan or "nightly", output = options.output or "out", every = "1h", settle = "2h",
    concurrency = 4, items = { { object = "Account" } } }
  return with_plan(made, function()
    made.items = tend.items_of(client, options.objects, options.entity_id)
    return made
  end)
end

--- Reads a plan, and checks it.
---@type fun(source: string|table): (plan: table?, err: zuora.Error?)
extract.plan = plans.read

--- A plan as it stands in a file.
---@param of table
---@return string
function extract.encode(of) return json.encode(of) end

return extract
