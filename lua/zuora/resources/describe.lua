--- client.describe: which objects and fields a tenant has, and which of them can be exported.
--
-- The answers are XML, read by LuaExpat: it is loaded when it is needed, and needed for nothing else.

local ascii = require "zuora.support.ascii"
local attempt = require "zuora.support.attempt"
local core = require "zuora.core"
local entrance = require "zuora.resources.entrance"
local record = require "zuora.resources.record"

local operations = core.operations.describe

local describe = {}

---@class zuora.Describe
local Describe = {}

---@class zuora.Object
local Object = {}

local enter = entrance.collection(Describe, "client.describe", {
  objects = { operations.objects },
  object = { operations.object, "name" },
})
local enter_object = entrance.record(Object, "object", { field = { "name:string" }, exportable = {} })

-- --- XML to tables -----------------------------------------------------------------------------------

local function parser_of()
  local ok, lxp = attempt(require, "lxp")
  if not ok then error("client.describe needs LuaExpat (Debian: lua-expat, LuaRocks: luaexpat)", 0) end
  return lxp
end

-- A document as { name =, attributes =, pieces = of its text, children… }; nil and the problem for what is none.
local function parse(text)
  local root = { name = "", pieces = {} }
  local stack = { root }
  local parser = parser_of().new {
    StartElement = function(_, name, attributes)
      local node = { name = name, attributes = attributes, pieces = {} }
      table.insert(stack[#stack], node)
      stack[#stack + 1] = node
    end,
    EndElement = function() stack[#stack] = nil end,
    CharacterData = function(_, characters)
      table.insert(stack[#stack].pieces, characters)
    end,
    -- A description has no document type, and what could be hidden in one is not read.
    StartDoctypeDecl = function(of) of:stop() end,
  }
  local good, problem, line = parser:parse(text)
  if good then good, problem, line = parser:parse() end
  pcall(parser.close, parser) -- raises for what was not read to its end
  if not good then return nil, ("the XML cannot be read: line %s: %s"):format(tostring(line), tostring(problem)) end
  return root[1]
end

-- The first child of that name.
local function child(node, name)
  for _, element in ipairs(node or {}) do
    if element.name == name then return element end
  end
  return nil
end

local function trimmed(node)
  local text = table.concat(node.pieces)
  local first = text:find "%S"
  return first and text:match(".*%S", first) or ""
end

local function text_of(node, name)
  local found = child(node, name)
  return found and trimmed(found) or nil
end

-- The texts of a list: <contexts><context>soap</context>…</contexts>
local function texts(node, name)
  local list = {}
  for i, element in ipairs(child(node, name) or {}) do list[i] = trimmed(element) end
  return list
end

local TRUTH = { ["true"] = true, ["false"] = false }

-- A field, by Zuora's own names; truth values and numbers as such.
local function field_of(node)
  local field = {}
  for _, element in ipairs(node) do
    if #element == 0 then
      local text = trimmed(element)
      field[element.name] = text
      if TRUTH[text] ~= nil then field[element.name] = TRUTH[text] end
      if element.name == "maxlength" then field.maxlength = math.tointeger(tonumber(text)) or text end
    end
  end
  field.contexts, field.options = texts(node, "contexts"), texts(node, "options")
  return field
end

-- <object href="…"><name>…</name><label>…</label></object>, in a list.
local function references(node)
  local list = {}
  for _, element in ipairs(node or {}) do
    if element.name == "object" then
      list[#list + 1] = { name = text_of(element, "name"), label = text_of(element, "label"),
        href = element.attributes.href }
    end
  end
  return list
end

local function objects_of(text)
  local root, problem = parse(text)
  if not root then return nil, problem end
  if root.name ~= "objects" then return nil, "the answer is no list of objects, but <" .. root.name .. ">" end
  return references(root)
end

local function object_of(context, text, name)
  local root, problem = parse(text)
  if not root then return nil, problem end
  local found = text_of(root, "name")
  if root.name ~= "object" or not found then return nil, "the answer is no description of an object" end
  if ascii.lower(found) ~= ascii.lower(name) then return nil, ("the answer is about %s, not %s"):format(found, name) end
  local object = { name = found, label = text_of(root, "label"), fields = {},
    related = references(child(root, "related-objects")) }
  for i, node in ipairs(child(root, "fields") or {}) do
    object.fields[i] = field_of(node)
    if type(object.fields[i].name) ~= "string" then return nil, "a field of " .. found .. " has no name" end
  end
  return setmetatable(object, context.record)
end

-- --- client.describe ---------------------------------------------------------------------------------

--- All objects. GET /v1/describe
---@param options zuora.CallOptions|nil
---@return zuora.ObjectReference[]|nil objects, zuora.Error|nil err
function Describe:objects(options)
  local context
  context, options = enter(self, "objects", options)
  return context.caller:xml(operations.objects, {}, options, objects_of)
end

--- One object. GET /v1/describe/{name}
---@param name string "Account"
---@param options zuora.CallOptions|nil
---@return zuora.Object|nil object name, label; fields, each with name, label, type, selectable, createable,
--- updateable, filterable, required, custom, maxlength, contexts and options; related: the objects that it can be
--- joined with
---@return zuora.Error|nil err
function Describe:object(name, options)
  local context
  context, name, options = enter(self, "object", name, options)
  return context.caller:xml(operations.object, { name = name }, options, function(text)
    return object_of(context, text, name)
  end)
end

-- --- the record --------------------------------------------------------------------------------------

--- The field of that name, whatever its case; nil when there is none.
---@param name string
---@return zuora.Field|nil field
function Object:field(name)
  enter_object(self, "field", name)
  for _, field in ipairs(self.fields) do
    if ascii.lower(field.name) == ascii.lower(name) then return field end
  end
  return nil
end

--- The names of the fields that an export can have: what `select` takes in an AQuA query.
---@return string[] names with "Account.Id" and the like for the related objects, which `select *` leaves out
function Object:exportable()
  enter_object(self, "exportable")
  local names = {}
  for _, field in ipairs(self.fields) do
    for _, context in ipairs(field.contexts) do
      if context == "export" then names[#names + 1] = field.name end
    end
  end
  for _, related in ipairs(self.related) do names[#names + 1] = related.name .. ".Id" end
  return names
end

---@param caller table
---@return zuora.Describe
function describe.new(caller)
  local object = record.metatable("zuora.Object", Object, {})
  return setmetatable({}, record.metatable("zuora.Describe", Describe, { caller = caller, record = object }))
end

return describe
