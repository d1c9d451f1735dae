--- What a query asks for: the object, the columns and the conditions, and the rows that come of it.
--- Jobs and data queries have this in common.

local objects = require "zuora.simulator.objects"
local zoql = require "zuora.simulator.zoql"

local plans = {}

local function find_object(tenant, wanted)
  for name, object in pairs(tenant.objects) do
    if name:lower() == wanted:lower() then return name, object end
  end
  return wanted, nil
end

-- What was given beforehand as the answer to this text.
local function given_plan(given)
  local object = objects.new(given)
  local plan = { object = object, name = "Answer", places = {}, written = {}, any = {}, given = true }
  for i, column in ipairs(object.columns) do plan.places[i], plan.written[i] = i, column end
  return plan
end

--- The query's answer: given beforehand, or by an object.
---@param tenant table
---@param query string
---@return table|nil plan `object`, `name` (its name), `places` (of its columns), `written` (their names as the
--- query has them), `any` (conditions), `problem` (why it fails when it is executed); nil: it cannot be read
function plans.new(tenant, query)
  if tenant.answers[query] then return given_plan(tenant.answers[query]) end
  local parsed = zoql.parse(query)
  if not parsed then return nil end
  local name, object = find_object(tenant, parsed.object)
  local plan = { name = name, object = object, places = {}, written = {}, any = parsed.any }
  if not object then
    plan.problem = "Unknown object " .. parsed.object .. "."
    return plan
  end
  local function place_of(field)
    local place = object:place(field)
    if not place then plan.problem = ("There is no field named %s on %s."):format(field, name) end
    return place
  end
  local function add(place, written)
    plan.places[#plan.places + 1] = place
    if place then plan.written[#plan.places] = written end
  end
  for _, field in ipairs(parsed.fields) do
    if field == "*" then
      for i, column in ipairs(object.columns) do add(i, column) end
    else
      add(place_of(field), field)
    end
  end
  for _, all in ipairs(parsed.any) do
    for _, condition in ipairs(all) do place_of(condition.field) end
  end
  return plan
end

--- The rows that fulfil the conditions and have changed in that time: cells in the order of the query's
--- fields, `null` where there is nothing.
---@param plan table
---@param since number
---@param before number
---@param null any
---@return fun(): any[]|nil
function plans.rows(plan, since, before, null)
  local each = plan.object.each(since, before)
  return function()
    for row in each do
      local function get(field)
        local cell = row[plan.object:place(field)]
        return cell == nil and "" or cell
      end
      if zoql.matches(plan.any, get) then
        local cells = {}
        for i, place in ipairs(plan.places) do
          cells[i] = row[place]
          if cells[i] == nil or cells[i] == "" then cells[i] = null end
        end
        return cells
      end
    end
  end
end

return plans
