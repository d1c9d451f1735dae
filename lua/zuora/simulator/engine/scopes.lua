--- What the names in a query mean: the columns of its object, those of the objects that it is joined with, and
--- the functions of many rows.
--
-- A column has a `kind` (its type), `get` (its cell of a row; of a group, for a function of many), and three
-- names: `api` and `ui`, as an export's header has them, and `sql`. One of the object itself has its `place`.

local fields = require "zuora.simulator.engine.fields"

local scopes = {}

-- Nothing and an empty text are one.
local function cell_of(row, place)
  local cell = row[place]
  if cell == "" then return nil end
  return cell
end

local function column_of(owner, name, get)
  return { kind = fields.type_of(name), get = get, api = owner .. "." .. name, ui = owner .. ": " .. name, sql = name }
end

local function own_column(scope, place)
  local name = scope.object.columns[place]
  local column = column_of(scope.name, name, function(row) return cell_of(row, place) end)
  column.place = place
  return column
end

-- A column of an object that this one is joined with.
local function joined_column(scope, relation, wanted)
  local target = scope.tenant.objects[relation.target]
  local place = target and target:place(wanted)
  if not place and wanted:lower() ~= "id" then return nil end
  local function key_of(row) return relation.key and cell_of(row, relation.key) end
  local name = place and target.columns[place] or "Id"
  if name:lower() == "id" then return column_of(relation.name, name, key_of) end
  local others
  return column_of(relation.name, name, function(row)
    if not others then
      others = {}
      local id = target:place "Id" or 1
      for other in target.each(0, math.huge) do others[tostring(other[id])] = other end
    end
    local other = others[tostring(key_of(row))]
    return other and cell_of(other, place)
  end)
end

local Scope = {}
Scope.__index = Scope

-- The first problem counts. The column is in the place of the one that is not there.
function Scope:fail(words, ...)
  self.problem = self.problem or words:format(...)
  return { kind = "text", api = "", ui = "", sql = "", get = function() end }
end

function Scope:relation(wanted)
  for _, relation in ipairs(self.relations) do
    if relation.name:lower() == wanted:lower() then return relation end
  end
end

-- In an export, what leads to another object is no field of this one.
function Scope:is_hidden(place)
  for _, relation in ipairs(self.relations) do
    if relation.key == place then return true end
  end
  return false
end

-- The column that a name means: "Name", "Account.Name" of an account itself, or "Account.Name" of its invoice.
function Scope:field(written)
  local owner, rest = written:match "^(.-)%.(.+)$"
  local is_own = owner and owner:lower() == self.name:lower()
  local place = self.object:place(written) or is_own and self.object:place(rest)
  if place and not self:is_hidden(place) then return own_column(self, place) end
  local relation = owner and not is_own and self:relation(owner)
  return relation and joined_column(self, relation, rest)
    or self:fail("There is no field named %s on %s.", written, self.name)
end

-- All columns of this object, or of another: `*`, `Account.*`.
function Scope:all(owner)
  local list = {}
  if owner == "" or owner:lower() == self.name:lower() then
    for place in ipairs(self.object.columns) do
      if not self:is_hidden(place) then list[#list + 1] = own_column(self, place) end
    end
    return list
  end
  local relation = self:relation(owner)
  local target = relation and self.tenant.objects[relation.target]
  if not target then self:fail("There is no object named %s on %s.", owner, self.name) end
  for i, name in ipairs(target and target.columns or {}) do list[i] = joined_column(self, relation, name) end
  return list
end

-- A function of many rows: its place in the groups is its number.
function Scope:call(node)
  local of = node[1] == "*" and { kind = "text", api = "*", ui = "*", get = function() return true end }
    or self:field(node[1].name)
  local number = #self.calls + 1
  self.calls[number] = { name = node.name, distinct = node.distinct, of = of }
  local form = node.name .. (node.distinct and "(distinct %s)" or "(%s)")
  return { kind = node.name == "count" and "number" or of.kind, api = form:format(of.api), ui = form:format(of.ui),
    is_call = true, get = function(_, group) return group.results[number]() end }
end

function Scope:value(node)
  return node.op == "call" and self:call(node) or self:field(node.name)
end

---@param tenant table
---@param name string the object's
---@param object table
---@param language "zoql"|"zoqlexport"|"sql"
---@return table scope with `problem`, when a name means nothing, and `calls`: the functions of many rows
function scopes.new(tenant, name, object, language)
  return setmetatable({ tenant = tenant, name = name, object = object, language = language, now = tenant:now(),
    relations = language == "zoqlexport" and fields.relations(tenant, name, object) or {}, calls = {} }, Scope)
end

return scopes
