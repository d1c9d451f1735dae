--- The catalogue: which streams there are, by describe, and what of it a user has selected.
--
-- It is tap-zuora's, key for key: a related object's Id is the property `OtherId`, whose metadata names the object.

local ascii = require "zuora.support.ascii"
local describe = require "zuora.extract.describe"
local zuora = require "zuora"

local catalogue = {}

-- What a loader is told of each kind of value: each may be null.
local SCHEMAS = {
  string = { type = { "string", "null" } },
  integer = { type = { "integer", "null" } },
  number = { type = { "number", "null" } },
  boolean = { type = { "boolean", "null" } },
  time = { type = { "string", "null" }, format = "date-time" },
  decimal_text = { type = { "string", "null" }, format = "singer.decimal" },
}

-- Zuora's types; of what is not here nobody knows more than that it is text.
local KINDS = { boolean = "boolean", integer = "integer", decimal = "number", date = "time", datetime = "time" }

local AUTOMATIC = { Id = true, UpdatedDate = true, TransactionDate = true, UpdatedOn = true }

local JOINED = "tap-zuora.joined_object"

-- Objects described at once.
local CONCURRENCY = 8

--- The property that says of a record whether it has been deleted.
catalogue.DELETED = "Deleted"

local raise = require "zuora.error".raise

-- --- discovery ----------------------------------------------------------------------------------------

-- The properties of an object: name, kind, and the related object that it is of.
local function properties_of(object)
  local list, taken, types = {}, {}, {}
  for _, field in ipairs(object.fields) do types[field.name] = KINDS[field.type] or "string" end
  for _, column in ipairs(object:exportable()) do
    local other = column:match "^(.*)%.Id$"
    local name = column:gsub("%.", "")
    if not taken[name] then
      taken[name] = true
      list[#list + 1] = { name = name, kind = types[column] or "string", joined = other }
    end
  end
  if not taken[catalogue.DELETED] then list[#list + 1] = { name = catalogue.DELETED, kind = "boolean" } end
  return list, taken
end

local function entry_of(object, selected)
  local list, taken = properties_of(object)
  if not taken.Id then return nil end
  local cursor
  for _, name in ipairs(describe.CURSORS) do cursor = cursor or taken[name] and name end
  local method = cursor and "INCREMENTAL" or "FULL_TABLE"
  local properties, metadata = {}, { { breadcrumb = {}, metadata = { inclusion = "available", selected = selected,
    ["table-key-properties"] = { "Id" }, ["forced-replication-method"] = method,
    ["valid-replication-keys"] = cursor and { cursor } or nil } } }
  for _, property in ipairs(list) do
    properties[property.name] = SCHEMAS[property.kind]
    metadata[#metadata + 1] = { breadcrumb = { "properties", property.name }, metadata = { selected = selected,
      inclusion = AUTOMATIC[property.name] and "automatic" or "available", [JOINED] = property.joined } }
  end
  return { tap_stream_id = object.name, stream = object.name, key_properties = { "Id" }, metadata = metadata,
    schema = { type = "object", additionalProperties = false, properties = properties },
    replication_key = cursor or zuora.null, replication_method = method }
end

-- The names of those that are asked for, as Zuora spells them; nil: all.
local function chosen(objects, select)
  local known, names = {}, {}
  for _, object in ipairs(objects) do known[ascii.lower(object.name)] = object.name end
  if not select then
    for i, object in ipairs(objects) do names[i] = object.name end
    return names
  end
  for i, name in ipairs(select) do
    names[i] = known[ascii.lower(name)]
    if not names[i] then raise("plan", "select: there is no object '%s'", name) end
  end
  return names
end

--- Asks Zuora which objects there are. Nothing is started there.
---@param client zuora.Client
---@param select string[]|nil these objects alone, all of them selected
---@param warn fun(text: string)
---@return { streams: table[] } catalogue raises an error value
function catalogue.discover(client, select, warn)
  local objects, err = client.describe:objects()
  if not objects then error(err, 0) end
  local names = chosen(objects, select)
  local found, failures = client:map(names, function(name)
    return client.describe:object(name)
  end, { concurrency = CONCURRENCY, on_error = "collect" })
  local streams = {}
  for i, name in ipairs(names) do
    local problem = failures[i]
    if problem and (select or problem.retryable or problem.kind == "auth") then error(problem, 0) end
    local entry = not problem and entry_of(found[i], select and true or nil)
    if entry then
      streams[#streams + 1] = entry
    else
      warn(("%s is left out: %s"):format(name, problem and tostring(problem) or "its Id cannot be exported"))
    end
  end
  return { streams = streams }
end

-- --- selection ----------------------------------------------------------------------------------------

local function fail_in(entry, words) raise("plan", "catalogue: %s: %s", tostring(entry.tap_stream_id), words) end

local function is_true(value) return value == true or value == "true" end

-- The metadata of each property; that of the stream itself is that of "".
local function metadata_of(entry)
  local by_name = {}
  for _, one in ipairs(entry.metadata or {}) do
    if type(one) ~= "table" or type(one.breadcrumb or {}) ~= "table" or type(one.metadata or {}) ~= "table" then
      fail_in(entry, "metadata: objects with breadcrumb and metadata expected")
    end
    by_name[(one.breadcrumb or {})[2] or ""] = one.metadata
  end
  return function(name) return by_name[name] or {} end
end

-- `inner`: what older catalogues say in the schema itself.
local function is_selected(metadata, inner)
  if metadata.selected ~= nil then return is_true(metadata.selected) end
  if inner.selected ~= nil then return is_true(inner.selected) end
  return is_true(metadata["selected-by-default"])
end

-- What the schema of a property says that its values are.
local function kind_of(schema)
  for _, one in ipairs { schema, table.unpack(schema.anyOf or {}) } do
    for _, name in ipairs(type(one.type) == "table" and one.type or { one.type }) do
      if name == "string" then return one.format == "date-time" and "time" or "string" end
      if SCHEMAS[name] then return name end
    end
  end
  return "string"
end

local function sorted(properties)
  local names = {}
  for name in pairs(properties) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The properties that are to be read, by name: the same catalogue gives the same query, in any order.
local function properties_in(entry, metadata)
  local list, deleted, extra = {}, false, 0
  for _, name in ipairs(sorted(entry.schema.properties)) do
    local schema, of = entry.schema.properties[name], metadata(name)
    if type(schema) ~= "table" then fail_in(entry, ("property '%s': an object expected"):format(name)) end
    local inclusion = of.inclusion or schema.inclusion
    local automatic = inclusion == "automatic" or AUTOMATIC[name]
    if inclusion ~= "unsupported" and (automatic or is_selected(of, schema)) then
      extra = extra + (automatic and 0 or 1)
      if name == catalogue.DELETED then
        deleted = true
      else
        local joined = of[JOINED]
        list[#list + 1] = { name = name, kind = kind_of(schema),
          column = joined and joined .. "." .. name:sub(#joined + 1) or name }
      end
    end
  end
  return list, deleted, extra > 0
end

local function stream_of(entry, metadata)
  local of = metadata ""
  local method = of["replication-method"] or entry.replication_method or of["forced-replication-method"]
  local cursor = of["replication-key"] or entry.replication_key or (of["valid-replication-keys"] or {})[1]
  local properties, deleted, is_more = properties_in(entry, metadata)
  local has = {}
  for _, property in ipairs(properties) do has[property.name] = true end
  if method == "FULL_TABLE" then cursor = nil end
  if not has.Id then fail_in(entry, "it has no property Id") end
  if cursor and not has[cursor] then fail_in(entry, ("it has no property '%s'"):format(cursor)) end
  return { id = entry.tap_stream_id, name = entry.stream or entry.tap_stream_id, properties = properties,
    object = entry.tap_stream_id, cursor = cursor or false, deleted = deleted, is_bare = not is_more }
end

--- The streams that a user has selected.
---@param given table a catalogue
---@return table[] streams id, name, object, cursor (false: it is read whole each time), deleted, properties (each with
--- name, kind and column), is_bare (of its properties only those are selected that always are)
function catalogue.selected(given)
  local streams = {}
  if type(given.streams) ~= "table" then raise("plan", "the catalogue has no streams") end
  for _, entry in ipairs(given.streams) do
    if type(entry) ~= "table" or type(entry.schema) ~= "table" or type(entry.schema.properties) ~= "table"
      or type(entry.tap_stream_id) ~= "string" then
      raise("plan", "catalogue: a stream with tap_stream_id, schema and properties expected")
    end
    local metadata = metadata_of(entry)
    if is_selected(metadata "", entry.schema) then streams[#streams + 1] = stream_of(entry, metadata) end
  end
  return streams
end

--- What a loader is told of a stream's records.
---@param stream table
---@param decimals "number"|"string"
---@return table schema
function catalogue.schema(stream, decimals)
  local properties = {}
  for _, property in ipairs(stream.properties) do
    local kind = property.kind == "number" and decimals == "string" and "decimal_text" or property.kind
    properties[property.name] = SCHEMAS[kind]
  end
  if stream.deleted then
    properties[catalogue.DELETED], properties._sdc_deleted_at = SCHEMAS.boolean, SCHEMAS.time
  end
  return { type = "object", additionalProperties = false, properties = properties }
end

return catalogue
