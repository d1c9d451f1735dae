--- What a run, an audit and a preview work with: the client, the journal and the target, and up to when is read.

local claims = require "zuora.extract.claims"
local core = require "zuora.core"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local journal = require "zuora.extract.journal"
local lazy = require "zuora.extract.base.lazy"
local load = require "zuora.load"
local manifest = require "zuora.extract.base.manifest"
local publish = require "zuora.extract.publish"
local times = require "zuora.extract.base.times"

local context = {}

local raise = error_value.raise

-- The server's clock, in seconds since the epoch: windows end by it.
local function server_time(client, options)
  local _, answer = client:request { path = "/v1/describe", accept = "text/xml", entity_id = options.entity_id }
  if error_value.is(answer) then error(answer, 0) end
  return times.of_header(answer.headers.date)
    or raise("http", "the server's answer has no Date: a window cannot be ended without")
end

--- Asks for Zuora's time: what is planned from now on ends by it.
---@param ctx table
function context.set_time(ctx)
  local now = server_time(ctx.client, ctx.options)
  ctx.now, ctx.clock, ctx.b = now, times.clock(now), times.grid(now, ctx.plan.settle, ctx.plan.every)
end

local function chosen(plan, names)
  if not names then return plan.items end
  local by_name, list = {}, {}
  for _, name in ipairs(names) do by_name[name] = false end
  for _, item in ipairs(plan.items) do
    if by_name[item.name] == false then by_name[item.name] = item end
  end
  for i, name in ipairs(names) do list[i] = by_name[name] or raise("plan", "the plan has no item '%s'", name) end
  return list
end

--- What is read of a plan: each item of each entity.
---@param plan table
---@param names string[]|nil of items; nil: all
---@return { [1]: table, [2]: string }[] pairs an item, and the id of an entity or ""
function context.work_of(plan, names)
  local items, entities = chosen(plan, names), plan.entities[1] and plan.entities or { "" }
  return lazy.list(#items * #entities, function(i)
    return { items[(i - 1) // #entities + 1], entities[(i - 1) % #entities + 1] }
  end)
end

local Context = {}

function Context:__close()
  local _ <close> = self.target
  local _ <close> = self.journal
  if self.journal.claims then pcall(self.journal.claims.leave, self.journal.claims) end
end

-- Opens what a run works with, and makes sure that it is this tenant's and this plan's.
local function open_context(ctx, owner)
  local plan, client = ctx.plan, ctx.client
  if plan.load then
    ctx.target = load.open(plan.load, plan.output, function(seconds) client:sleep(seconds) end,
      owner == nil or ctx.options.check and "unless there")
  end
  ctx.marks = ctx.target or ctx.journal
  local shared = ctx.journal.claims
  if shared and ctx.target then ctx.target.suffix = shared:suffix() end
  -- (Machines that share a store may have folders of their own.)
  local from_one = ctx.target and not shared
  if from_one then ctx.target:check_folder(plan.plan, ctx.output) end
  manifest.belong_to(ctx.output, plan.plan, ctx.tenant, owner ~= nil, shared and shared:scratch(ctx.output))
  ctx.journal:belong_to(plan.plan, ctx.tenant)
  if ctx.target then ctx.target:belong_to(plan.plan, ctx.tenant) end
  if from_one then ctx.target:note_folder(ctx.output) end
  context.set_time(ctx)
end

-- What is another's is left as it is: folder, store and target are looked at before anything is made in one of them.
local function check_owners(plan, tenant)
  manifest.belong_to(plan.output, plan.plan, tenant, false)
  local book <close> = journal.open(plan.store)
  book:belong_to(plan.plan, tenant)
  if plan.load then load.check_owner(plan.load, plan.output, plan.plan, tenant) end
end

--- Raises what is not one item's own: a mistake of ours, Ctrl-C, or that nobody reads on.
---@param err any
function context.raise_on(err)
  if not error_value.is(err) or err.kind == "cancelled" and not err.record then error(err, 0) end
end

--- Makes what a run works with.
---@param client zuora.Client
---@param plan table that was read
---@param options table
---@param owner string|nil who changes the journal; nil: nothing is made, and no change is kept
---@return table ctx client, plan, options, output, tenant, wait, publish, journal, target, marks (the target, or else
--- the journal), now (Zuora's time when it was asked for), clock() (what it is by now), b (where marks go), brought;
--- with a lease check and pulse, too; to be closed
function context.open(client, plan, options, owner)
  if options.backfill and not options.items then raise("plan", "--backfill needs --item: whose column is it?") end
  local published = plan.publish and publish.new(client, plan.publish)
  manifest.check_free(plan.output)
  local done, err = client:authenticate()
  if not done then error(err, 0) end
  if owner then
    check_owners(plan, client:tenant())
    disk.folder(plan.output)
    if not claims.are_at(plan.store) then disk.folder(plan.store:match "^(.*)/[^/]*$" or ".") end
  end
  local ctx = setmetatable({ client = client, plan = plan, options = options, output = plan.output,
    tenant = client:tenant(), wait = options.wait or plan.wait,
    publish = published, journal = journal.open(plan.store, owner, options.lease),
    keeps_deletes = true, libcurl = core.libraries:match "libcurl/(%S+)",
    brought = {}, -- paths of the files that this process has proven itself
    on_item = options.on_item, on_step = options.on_step }, Context)
  local ok, problem = pcall(open_context, ctx, owner)
  if ok then return ctx end
  Context.__close(ctx)
  error(problem, 0)
end

return context
