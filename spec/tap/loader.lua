--- A loader of Singer's messages, small and strict, by rules of its own: it has the rows of each stream by their keys, and
--- the last state that it may give back.

local decode = require "zuora".decode

local loader = {}
loader.__index = loader

function loader.new() return setmetatable({ streams = {}, rows = {}, written = 0, lines = 0 }, loader) end

local function key_of(schema, record)
  local parts = {}
  for i, name in ipairs(schema.key_properties) do
    parts[i] = assert(type(record[name]) == "string" and record[name], "a record has no " .. name)
  end
  assert(#parts > 0, "a stream has no key")
  return table.concat(parts, "\0")
end

local take = {}

function take:SCHEMA(message)
  assert(type(message.stream) == "string" and type(message.schema.properties) == "table")
  self.streams[message.stream] = message
  self.rows[message.stream] = self.rows[message.stream] or {}
end

function take:RECORD(message, line)
  local schema = assert(self.streams[message.stream], "a record before its schema: " .. line)
  for name in pairs(message.record) do assert(schema.schema.properties[name], "a record has " .. name .. ": " .. line) end
  local key = key_of(schema, message.record)
  message.record._sdc_deleted_at, message.record.Deleted = nil, nil
  self.rows[message.stream][key] = not line:find '"_sdc_deleted_at":"' and message.record or nil
  self.written = self.written + 1
end

function take:STATE(message) self.state = message.value end

--- Takes a line as it is, without its end.
function loader:line(line)
  local message = assert(decode(line))
  assert(take[message.type], "a message of no known type: " .. line)(self, message, line)
  self.lines = self.lines + 1
end

--- Takes whole lines.
function loader:write(text)
  assert(text:sub(-1) == "\n", "half a line")
  for line in text:gmatch "[^\n]+" do self:line(line) end
end

return loader
