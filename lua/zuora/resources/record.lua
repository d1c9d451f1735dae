--- Records: tables of what Zuora sent, with methods.
--
-- The methods come from the metatable, one for each client and type of record, so `pairs(record)` shows
-- API data only. What the methods need of the client is in that metatable, too: their context.

local ascii = require "zuora.support.ascii"
local check = require "zuora.support.check"

local record = {}

-- Metatables are hidden from getmetatable: behind them is what is of the client, with its credentials.
local metatable_of = debug.getmetatable

--- The metatable of a collection such as `client.jobs`, or of a type of record, for one client.
---@param name string for `__name`
---@param methods table
---@param context table what the methods need: caller, and the metatables of the records that they make
---@return table metatable
function record.metatable(name, methods, context)
  context.__name = name
  context.__index = methods
  context.__metatable = false
  return context
end

--- The context of the object that a method was called on. Raises when it was called on anything else,
--- as by `client.jobs.get(id)` for `client.jobs:get(id)`.
---@param self any
---@param methods table
---@param where string
---@return table context
function record.context(self, methods, where)
  local context = type(self) == "table" and metatable_of(self) ---@type any
  if not context or context.__index ~= methods then
    check.misuse(("%s was called without its object: write it with a colon"):format(where))
  end
  return context
end

--- Takes over a newer state of the same thing: the record becomes what the API says now.
---@param self table
---@param newer table
---@param kept string|nil a field that only the first answer has
function record.replace(self, newer, kept)
  for name in pairs(self) do
    if newer[name] == nil and name ~= kept then self[name] = nil end
  end
  for name, value in pairs(newer) do self[name] = value end
  return self
end

--- How many records there are, as Zuora says it. What is said, and is no count, proves nothing: it is not taken for
--- silence.
---@param value any
---@return integer|nil count nil: it is not said
---@return string|nil problem
function record.count(value)
  if value == nil then return nil end
  local is_count = type(value) == "number" or type(value) == "string" and value:find "^%d+$"
  local count = is_count and math.tointeger(tonumber(value))
  if count and count >= 0 then return count end
  return nil, type(value) == "table" and "a table" or ("%q"):format(tostring(value):sub(1, 40))
end

--- A status for comparison: lower case, no blanks, one spelling of "cancelled".
---@param status any
---@return string
function record.status(status)
  local word = type(status) == "string" and ascii.lower(status):gsub("%s+", "") or ""
  return word == "canceled" and "cancelled" or word
end

return record
