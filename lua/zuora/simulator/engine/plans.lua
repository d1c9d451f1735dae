--- What a query asks for: the object, the columns and the conditions, and the rows that come of it. Jobs and
--- data queries have this in common.
--
-- There are three languages: "zoql" knows one object and plain conditions, "zoqlexport" what an export can have,
-- "sql" is that of data queries.

local conditions = require "zuora.simulator.engine.conditions"
local fields = require "zuora.simulator.engine.fields"
local objects = require "zuora.simulator.engine.objects"
local scopes = require "zuora.simulator.engine.scopes"
local totals = require "zuora.simulator.engine.totals"
local zoql = require "zuora.simulator.engine.zoql"

local plans = {}

local GROUP_FIELDS = 5

local NOT_GROUPED = "One or more columns in the SELECT statement does not appear in the GROUP BY statement."

-- --- what is asked for -------------------------------------------------------------------------------

local function columns_of(scope, items)
  local columns = {}
  for _, item in ipairs(items) do
    for _, column in ipairs(item.all and scope:all(item.all) or { scope:value(item.value) }) do
      column.alias = item.alias
      -- SQL engines keep what is written, and number what has no name.
      if column.is_call then column.sql = "_col" .. #columns end
      if item.value and not column.is_call then column.sql = item.value.name:match "[^.]*$" end
      columns[#columns + 1] = column
    end
  end
  return columns
end

-- An alias is the header of its column, unless it is the column's own name in other letters.
local function use_aliases(scope, columns)
  local seen = {}
  for _, column in ipairs(columns) do
    local alias = column.alias
    if alias then
      if seen[alias] then scope:fail("Duplicate column aliases %s were defined.", alias) end
      seen[alias], column.sql = true, alias
      if alias:lower() ~= column.api:lower() then column.api, column.ui = alias, alias end
    end
  end
end

local function groups_of(scope, columns, group)
  local list, grouped = {}, {}
  if #group > GROUP_FIELDS then scope:fail "A maximum of five fields is allowed in the GROUP BY statement." end
  for i, node in ipairs(group) do
    list[i] = scope:field(node.name)
    grouped[list[i].api] = true
  end
  for _, column in ipairs(columns) do
    if not column.is_call and not grouped[column.api] then scope:fail(NOT_GROUPED) end
  end
  return list
end

-- SQL sorts by aliases, too.
local function order_of(scope, columns, order)
  local list = {}
  for i, by in ipairs(order) do
    local value
    for _, column in ipairs(scope.language == "sql" and columns or {}) do
      if by.value.op == "field" and column.alias == by.value.name then value = column end
    end
    value = value or scope:value(by.value)
    list[i] = { get = value.get, order = conditions.order(value.kind), sign = by.descending and 1 or -1 }
  end
  return list
end

local function plan_of(scope, parsed)
  local columns = columns_of(scope, parsed.items)
  local plan = { name = scope.name, object = scope.object, columns = columns, distinct = parsed.distinct,
    skip = parsed.skip or 0, limit = parsed.limit or math.huge, calls = scope.calls }
  plan.group = parsed.group and groups_of(scope, columns, parsed.group)
  plan.where = parsed.where and conditions.new(parsed.where, scope)
  plan.having = parsed.having and conditions.new(parsed.having, scope)
  plan.order = order_of(scope, columns, parsed.order)
  if not plan.group and #scope.calls > 0 then plan.group = {} end -- all rows are one group
  use_aliases(scope, columns)
  plan.problem = scope.problem
  return plan
end

-- What was given beforehand as the answer to this text.
local function given_plan(tenant, given)
  local object = objects.new(given)
  local scope = scopes.new(tenant, "Answer", object, "sql")
  local plan = plan_of(scope, { items = { { all = "" } }, order = {} })
  for _, column in ipairs(plan.columns) do column.api, column.ui = column.sql, column.sql end
  return plan
end

--- The query's answer: given beforehand, or by an object.
---@param tenant table
---@param query string
---@param language "zoql"|"zoqlexport"|"sql"
---@return table|nil plan `object`, `name` (its name), `columns`, `distinct`, `problem` (why it fails when it is
--- executed); nil: it cannot be read
function plans.new(tenant, query, language)
  if tenant.answers[query] then return given_plan(tenant, tenant.answers[query]) end
  local parsed = zoql.parse(query)
  if not parsed or parsed.of_exports and language == "zoql" then return nil end
  local name, object = fields.object(tenant, parsed.object)
  if not object then return { name = name, problem = "Unknown object " .. name .. "." } end
  return plan_of(scopes.new(tenant, name, object, language), parsed)
end

--- Puts the columns into another order than that of the query, as Zuora may do.
function plans.turn(plan)
  local columns = plan.columns or {}
  for i = 1, #columns // 2 do columns[i], columns[#columns + 1 - i] = columns[#columns + 1 - i], columns[i] end
end

--- The places of the columns in the object's rows, when these are asked for as they are; else nil.
---@return integer[]|nil
function plans.places(plan)
  if plan.where or plan.group or plan.distinct or plan.order[1] or plan.skip > 0 or plan.limit < math.huge then
    return nil
  end
  local places = {}
  for i, column in ipairs(plan.columns) do
    places[i] = column.place
    if not places[i] then return nil end
  end
  return places
end

--- The names of the columns.
---@param plan table
---@param style "api"|"ui"|"sql"
---@return string[]
function plans.header(plan, style)
  local names = {}
  for i, column in ipairs(plan.columns) do names[i] = column[style] end
  return names
end

-- --- what comes of it --------------------------------------------------------------------------------

-- Each of these gives the next row, and its group where there are some; and each takes its rows from another.

local function filtered(source, condition)
  return function()
    for row, group in source do
      if condition(row, group) then return row, group end
    end
  end
end

-- Gives what is in a list.
local function each_of(list)
  local i = 0
  return function()
    i = i + 1
    if list[i] then return list[i].row, list[i].group end
  end
end

local function group_of(plan, row)
  local group = { adders = {}, results = {} }
  for i, call in ipairs(plan.calls) do
    group.adders[i], group.results[i] = totals.new(call.name, call.of.kind, call.distinct)
  end
  return { row = row, group = group }
end

local function key_of(columns, row, group)
  local key = {}
  for i, column in ipairs(columns) do
    local value = column.get(row, group)
    key[i] = value == nil and "" or "=" .. tostring(value)
  end
  return table.concat(key, "\0")
end

-- One for each group: its first row, and what its functions came to.
local function grouped(source, plan)
  local list, known = {}, {}
  for row in source do
    local key = key_of(plan.group, row)
    local one = known[key]
    if not one then
      one = group_of(plan, row)
      list[#list + 1], known[key] = one, one
    end
    for i, call in ipairs(plan.calls) do one.group.adders[i](call.of.get(row)) end
  end
  if #list == 0 and #plan.group == 0 then list[1] = group_of(plan, {}) end
  return each_of(list)
end

-- What was first before comes first among its equals.
local function sorted(source, order)
  local list = {}
  for row, group in source do
    local one = { row = row, group = group, number = #list }
    for i, by in ipairs(order) do one[i] = by.get(row, group) end
    list[#list + 1] = one
  end
  table.sort(list, function(a, b)
    for i, by in ipairs(order) do
      local sign = by.order(a[i], b[i])
      if sign ~= 0 then return sign == by.sign end
    end
    return a.number < b.number
  end)
  return each_of(list)
end

local function distinct(source, columns)
  local seen = {}
  return filtered(source, function(row, group)
    local key = key_of(columns, row, group)
    local is_new = not seen[key]
    seen[key] = true
    return is_new
  end)
end

local function cut(source, skip, limit)
  local number = 0
  return function()
    if number >= skip + limit then return nil end
    local row, group
    repeat
      row, group = source()
      number = number + 1
    until not row or number > skip
    return row, group
  end
end

--- The rows that fulfil the conditions and have changed in that time: cells in the order of the query's
--- columns, `null` where there is nothing; and whether it has been deleted.
---@param plan table
---@param since number
---@param before number
---@param null any
---@param gone_since number|nil nil: without what has been deleted
---@return fun(): any[]|nil, number|nil
function plans.rows(plan, since, before, null, gone_since)
  local source = plan.object.each(since, before, gone_since)
  if plan.where then source = filtered(source, plan.where) end
  if plan.group then source = grouped(source, plan) end
  if plan.having then source = filtered(source, plan.having) end
  if plan.order[1] then source = sorted(source, plan.order) end
  if plan.distinct then source = distinct(source, plan.columns) end
  source = cut(source, plan.skip, plan.limit)
  return function()
    local row, group = source()
    if not row then return nil end
    local cells = {}
    for i, column in ipairs(plan.columns) do
      cells[i] = column.get(row, group)
      if cells[i] == nil then cells[i] = null end
    end
    return cells, row.deleted
  end
end

return plans
