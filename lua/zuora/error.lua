--- The error values of this module: what the world did, as a table that prints as one line.
--
-- Fields: `kind`, `message`, and where they are known `status`, `code` (always a string), `category` and
-- `advice` (what the code says), `reasons`, `request_id`, `process_id`, `track_id`, `attempts`, `retry_after`
-- (seconds), `body` (the first 2 KiB), `retryable`, `unknown_outcome` (it may have been done all the same),
-- `record` (of a failed or cancelled run or job), `cause`.
-- No credential is ever put into one.

local codes = require "zuora.codes"

local Error = {}
Error.__index = Error
Error.__name = "zuora.error"

local error_value = {}

local MESSAGE_LIMIT = 1000
local BODY_LIMIT = 2048

--- Text from outside, made fit for a log line: no control characters, C0 or C1 (escape sequences of
-- terminals begin with one), single blanks, no more than `limit` bytes.
---@param text any
---@param limit integer|nil
---@return string
function error_value.clean(text, limit)
  text = tostring(text):sub(1, 4 * MESSAGE_LIMIT):gsub("[\0-\31\127]+", " "):gsub("\194[\128-\159]", " ")
  text = text:gsub("  +", " "):gsub("^ ", "")
  text = text:gsub(" $", "")
  limit = limit or MESSAGE_LIMIT
  if #text > limit then text = text:sub(1, limit - 3) .. "..." end
  return text
end

---@param fields table `kind` and `message`, and any of the fields above
---@return zuora.Error
function error_value.new(fields)
  fields.message = error_value.clean(fields.message)
  fields.retryable = fields.retryable == true
  if fields.code then
    fields.category = fields.category or codes.category(fields.code)
    fields.advice = fields.advice or codes.advice(fields.code)
  end
  if fields.body then fields.body = fields.body:sub(1, BODY_LIMIT) end
  return setmetatable(fields, Error)
end

--- The same error for another caller, who may add to it.
---@param err zuora.Error
---@return zuora.Error
function error_value.copy(err)
  local copy = {}
  for name, value in pairs(err) do copy[name] = value end
  return setmetatable(copy, Error)
end

---@param value any
---@return boolean
function error_value.is(value)
  return getmetatable(value) == Error
end

function Error:__tostring()
  local details = {}
  local function add(name, value)
    if value ~= nil then details[#details + 1] = name .. " " .. error_value.clean(value, 100) end
  end
  add("status", self.status)
  add("code", self.code)
  add("request id", self.request_id)
  if self.attempts and self.attempts > 1 then add("attempts", self.attempts) end
  local tail = #details > 0 and " (" .. table.concat(details, ", ") .. ")" or ""
  if self.advice then tail = tail .. "; " .. error_value.clean(self.advice, 200) end
  return ("zuora: %s: %s%s"):format(self.kind, self.message, tail)
end

return error_value
