--- Singer's messages, a line each: what is written to standard output, and nothing else is.

local catalogue = require "zuora.tap.catalogue"
local columns = require "zuora.extract.base.columns"
local core = require "zuora.core"
local rows = require "zuora.rows"
local times = require "zuora.extract.base.times"
local zuora = require "zuora"

local raise = require "zuora.error".raise

local messages = {}

local function text_of(value) return zuora.encode { value }:sub(2, -2) end

--- SCHEMA, before the first record of a stream.
function messages.schema(stream, decimals)
  return ('{"type":"SCHEMA","stream":%s,"schema":%s,"key_properties":["Id"]%s}\n'):format(text_of(stream.name),
    zuora.encode(catalogue.schema(stream, decimals)),
    stream.cursor and (',"bookmark_properties":[%s]'):format(text_of(stream.cursor)) or "")
end

--- STATE: what is before it is loaded for good when this comes out of the loader again.
function messages.state(value) return ('{"type":"STATE","value":%s}\n'):format(zuora.encode(value)) end

local function missing(stream, column) raise("incomplete", "%s: the file has no column %s", stream.id, column) end

local function is_refused(column, options)
  for _, name in ipairs(options.refused) do
    if name == column then return true end
  end
  return false
end

-- What of a file's columns goes where. All that was asked for must be there, but for fields that the engine refuses.
local function members_of(stream, header, options)
  local members = {}
  local function add(name, member)
    member.key = (#members > 0 and "," or "") .. text_of(name) .. ":"
    members[#members + 1] = member
  end
  for _, property in ipairs(stream.properties) do
    local place = columns.find(header, stream.object, property.column)
    if place then
      add(property.name, { place = place, type = property.kind,
        quoted = property.kind == "number" and options.decimals == "string" })
    elseif not is_refused(property.column, options) then
      missing(stream, property.column)
    end
  end
  if stream.deleted then
    local gone = columns.find(header, stream.object, options.deleted) or missing(stream, options.deleted)
    -- To be deleted is a change: its time is that of the last one.
    local changed = stream.cursor and columns.find(header, stream.object, stream.cursor)
    add(catalogue.DELETED, { place = gone, type = "boolean" })
    add("_sdc_deleted_at", changed and { place = changed, type = "time", gate = gone }
      or { fixed = text_of(times.iso(options.extracted)), gate = gone })
  end
  return members
end

--- RECORDs of a file, in pieces of several lines.
---@param stream table
---@param path string
---@param options { deleted: string, decimals: string, extracted: integer, refused: string[] } deleted: the file's
--- column that says it; extracted: when it was asked for; refused: fields that are not there
---@return function next gives lines and how many they are, and nothing at the end; raises what is no value of its type
function messages.records(stream, path, options)
  local it, problem = rows.of_file(path, { form = "lazy" })
  if not it then error(problem, 0) end
  -- (An empty file has not even a header.)
  local members = #it.columns > 0 and members_of(stream, it.columns, options) or {}
  local shape = { members = members, head = ('{"type":"RECORD","stream":%s,"record":{'):format(text_of(stream.name)),
    tail = ('},"time_extracted":"%s"}\n'):format(times.iso(options.extracted)) }
  return function() return core.lines(it, shape) end
end

-- --- standard error -----------------------------------------------------------------------------------

--- METRIC, as Singer's programs look for it in what is logged.
---@param kind "counter"|"timer"
---@param metric string
---@param value number
---@param tags table<string, string>
function messages.metric(kind, metric, value, tags)
  local list = {}
  for name, text in pairs(tags) do list[#list + 1] = ("%s: %s"):format(text_of(name), text_of(text)) end
  table.sort(list)
  return ('INFO METRIC: {"type": "%s", "metric": "%s", "value": %s, "tags": {%s}}'):format(kind, metric,
    math.type(value) == "integer" and value or ("%.3f"):format(value), table.concat(list, ", "))
end

return messages
