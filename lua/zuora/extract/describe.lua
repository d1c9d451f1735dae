--- What Zuora says of an item: what has to be asked for before its queries can be written.

local ascii = require "zuora.support.ascii"
local columns = require "zuora.extract.base.columns"
local json = require "zuora.extract.base.json"
local plan = require "zuora.extract.plan"
local query = require "zuora.extract.query"

local describe = {}

-- Objects whose changes UpdatedDate is known to miss (Fivetran reads them again every week, too).
local LOOKED_BACK = { InvoiceItem = true, TaxationItem = true, CreditMemoItem = true, DebitMemoItem = true,
  InvoiceAdjustment = true, InvoiceItemAdjustment = true, CreditTaxationItem = true, DebitTaxationItem = true }
local LOOKBACK = { days = 14, every = 7 * 24 * 3600 }

--- By what an object is known to have changed, in this order; the last two are of what is only ever added.
describe.CURSORS = { "UpdatedDate", "TransactionDate", "UpdatedOn" }

local raise = require "zuora.error".raise

--- Does Zuora set it in every row? What a plan names itself may be empty.
---@param cursor string
---@return boolean
function describe.is_always_set(cursor)
  for _, name in ipairs(describe.CURSORS) do
    if name == cursor then return true end
  end
  return false
end

--- Does it tell when a row was added, which then stays as it is?
---@param cursor string|false
---@return boolean
function describe.is_append(cursor) return cursor == "TransactionDate" or cursor == "UpdatedOn" end

local function columns_of(item, object)
  local list = object:exportable()
  if item.fields == "*" then return list end
  local known = {}
  for _, name in ipairs(list) do known[ascii.lower(name)] = name end
  for _, name in ipairs(item.fields) do
    if not known[ascii.lower(name)] then
      raise("plan", "%s: %s has no field '%s' that can be exported", item.name, object.name, name)
    end
  end
  return item.fields
end

local function cursor_of(item, object)
  if item.cursor == false then return false end
  for _, name in ipairs(item.cursor and { item.cursor } or describe.CURSORS) do
    if object:field(name) then return object:field(name).name end
  end
  if item.cursor then raise("plan", "%s: %s has no field '%s'", item.name, object.name, item.cursor) end
  return false
end

-- What is to be summed must be there, and in the file, too.
local function check_totals(item, object)
  for _, total in ipairs(item.totals) do
    local field = total:match "^sum%((.*)%)$"
    if field and not object:field(field) then
      raise("plan", "%s: totals: %s has no field '%s'", item.name, object.name, field)
    elseif field and item.columns and not query.has(item.columns, object.name, field) then
      raise("plan", "%s: totals: %s is not among the fields that are read", item.name, field)
    end
  end
end

local function types_of(object)
  local types = {}
  for _, field in ipairs(object.fields) do types[field.name] = field.type end
  return types
end

-- What was there when the item was read last, and is not now.
local function lost_of(ctx, item)
  local mark = item.fields == "*" and ctx.marks:mark(item.of)
  return mark and columns.minus(json.decode(mark.columns) or {}, item.object, item.columns) or {}
end

--- An item as it is worked with: with its columns, their types and its cursor as Zuora knows them. GET /v1/describe
---@param ctx table
---@param given table the item of the plan
---@param entity string its id, or ""
---@param claim table|nil where several machines share the store
---@return table item a copy, of one entity; raises what Zuora or the target has against it
function describe.item(ctx, given, entity, claim)
  local of = { plan = ctx.plan.plan, item = given.name, entity = entity, file = ctx.plan.file }
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
    check_totals(item, object)
  end
  if item.kind == "report" or item.kind == "data_query" then item.cursor = false end
  if item.mode == "append" and not item.cursor then raise("plan", "%s: %s", item.name, plan.NO_APPEND) end
  item.is_append = describe.is_append(item.cursor)
  item.backfill = ctx.options.backfill or {}
  item.taken = ctx.target and ctx.target:check(item) or {}
  return item
end

return describe
