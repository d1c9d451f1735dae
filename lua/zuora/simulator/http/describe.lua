--- What the tenant's objects are made of, in XML, as Zuora describes them.

local core = require "zuora.core"
local fields = require "zuora.simulator.engine.fields"
local form = require "zuora.simulator.http.form"
local replies = require "zuora.simulator.http.replies"

local HEAD = '<?xml version="1.0" encoding="UTF-8"?>'

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&apos;" }

-- Text as it may stand in an element or an attribute; what XML cannot hold at all is left out.
local function escaped(text)
  return (text:gsub("[\0-\8\11\12\14-\31]", ""):gsub("[&<>\"']", ENTITIES))
end

-- <name>text</name>; the text is escaped, unless it is XML itself.
local function element(name, text) return ("<%s>%s</%s>"):format(name, escaped(text), name) end
local function parent(name, xml) return ("<%s>%s</%s>"):format(name, xml, name) end

local function href(request, name) return escaped(request.origin .. "/v1/describe/" .. core.escape(name)) end

-- --- fields ------------------------------------------------------------------------------------------

local STATUSES = { "Active", "Canceled", "Draft" }

local function field_xml(name, kind, contexts)
  local own = name:lower() ~= "id" and "true" or "false"
  local parts = {
    element("name", name), element("label", fields.label_of(name)), element("selectable", "true"),
    element("createable", own), element("updateable", own), element("filterable", "true"),
    element("custom", tostring(name:find "__c$" ~= nil)),
    element("maxlength", kind == "text" and "70" or ""), element("required", "false"), element("type", kind),
  }
  if kind == "picklist" then
    local options = {}
    for i, option in ipairs(STATUSES) do options[i] = element("option", option) end
    parts[#parts + 1] = parent("options", table.concat(options))
  end
  for i, context in ipairs(contexts) do contexts[i] = element("context", context) end
  parts[#parts + 1] = parent("contexts", table.concat(contexts))
  return parent("field", table.concat(parts))
end

-- All columns can be exported but those that lead to other objects: these have `Account.Id` and the like. Besides
-- there is what only the SOAP API knows, and always a picklist.
local function fields_xml(object, relations)
  local parts, keys = {}, {}
  for _, relation in ipairs(relations) do keys[relation.key or 0] = true end
  for i, column in ipairs(object.columns) do
    parts[i] = field_xml(column, fields.type_of(column), { "soap", not keys[i] and "export" or nil })
  end
  for _, name in ipairs { "Status", "SequenceSetId" } do
    if not object:place(name) then parts[#parts + 1] = field_xml(name, fields.type_of(name), { "soap" }) end
  end
  return parent("fields", table.concat(parts))
end

-- --- objects -----------------------------------------------------------------------------------------

local function object_xml(request, name, xml)
  return ('<object href="%s">%s%s%s</object>'):format(href(request, name), element("name", name),
    element("label", fields.label_of(name)), xml or "")
end

local function related_xml(request, relations)
  local parts = {}
  for i, relation in ipairs(relations) do
    parts[i] = ('<object href="%s">%s%s</object>'):format(href(request, relation.target),
      element("name", relation.name), element("label", relation.label))
  end
  return parent("related-objects", table.concat(parts))
end

local function xml_reply(xml)
  return { status = 200, headers = { ["Content-Type"] = "text/xml;charset=UTF-8" }, body = HEAD .. xml }
end

local function all(request, tenant)
  local names, parts = {}, {}
  for name in pairs(tenant.objects) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = object_xml(request, name) end
  return xml_reply(parent("objects", table.concat(parts)))
end

local function one(request, tenant, escaped_name)
  local name = form.unescape(escaped_name)
  local object = tenant.objects[name]
  if not object then return replies.reasons(404, 50000040, "Cannot find object: '" .. name .. "'.") end
  local relations = fields.relations(tenant, name, object)
  return xml_reply(object_xml(request, name, fields_xml(object, relations) .. related_xml(request, relations)))
end

return {
  { "GET", "", all },
  { "GET", "/([^/]+)", one },
}
