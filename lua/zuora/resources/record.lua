--- Records: tables of what Zuora sent, with verbs.
--
-- The verbs come from the metatable, one for each client and record type, so `pairs(record)` shows
-- API data only. What the verbs need of the client is in that metatable, too.

local ascii = require "zuora.support.ascii"
local check = require "zuora.support.check"

local record = {}

-- Kinds are hidden from getmetatable: behind them are the parts of the client, and its credentials.
local metatable = debug.getmetatable

--- A kind of object for one client: a collection such as `client.jobs`, or a type of record.
---@param name string for `__name`
---@param verbs table
---@param parts table what the verbs need: caller, and the kinds of the records they make
---@return table kind a metatable
function record.kind(name, verbs, parts)
  parts.__name = name
  parts.__index = verbs
  parts.__metatable = false
  return parts
end

--- The parts of the object that a method was called on. Raises when it was called on anything else,
-- as by `client.jobs.get(id)` for `client.jobs:get(id)`.
---@param self any
---@param verbs table
---@param where string
---@return table parts
function record.parts(self, verbs, where)
  local kind = type(self) == "table" and metatable(self)
  if not kind or kind.__index ~= verbs then
    check.misuse(("%s was called without its object: write it with a colon"):format(where))
  end
  return kind
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

--- A status for comparison: lower case, no blanks, one spelling of "cancelled".
---@param status any
---@return string
function record.status(status)
  local word = type(status) == "string" and ascii.lower(status):gsub("%s+", "") or ""
  return word == "canceled" and "cancelled" or word
end

return record
