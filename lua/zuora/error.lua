--- The error values of this module: what the world did, as a table that prints as one line.
--
-- Fields: `kind`, `message`, and where they are known `status`, `code` (always a string), `category` and
-- `advice` (what the code says), `reasons`, `request_id`, `process_id`, `track_id`, `attempts`, `not_retried`
-- (why there was no further attempt), `retry_after` (seconds), `body` (the first 2 KiB, as they came), `retryable`,
-- `unknown_outcome` (it may have been done all the same), `record` (of a failed or cancelled run or job), `cause`.
-- No credential is ever put into one.

local codes = require "zuora.codes"

local Error = {}
Error.__index = Error
Error.__name = "zuora.error"

local error_value = {}

local MESSAGE_LIMIT = 1000
local BODY_LIMIT = 2048

-- What steers a terminal (C0, DEL, C1), turns the writing around, or ends a line (U+061C, U+200E, U+200F, U+2028 to
-- U+202E, U+2066 to U+2069). By its bytes: what a class such as %c holds is the locale's.
local STEERING = { "[\0-\31\127]", "\194[\128-\159]", "\216\156", "\226\128[\142\143\168-\174]",
  "\226\129[\166-\169]" }

-- Each byte that is no UTF-8 is a question mark: by itself it could be taken for a control character.
local function as_utf8(text)
  local pieces, from = {}, 1
  local length, at = utf8.len(text)
  while not length do
    pieces[#pieces + 1] = text:sub(from, at - 1)
    from = at + 1
    length, at = utf8.len(text, from)
  end
  pieces[#pieces + 1] = text:sub(from)
  return table.concat(pieces, "?")
end

--- Text from outside, made fit for a log line: UTF-8 that steers nothing, single blanks, no more than `limit` bytes.
---@param text any
---@param limit integer|nil
---@return string
function error_value.clean(text, limit)
  text = as_utf8(tostring(text):sub(1, 4 * MESSAGE_LIMIT))
  for _, steering in ipairs(STEERING) do text = text:gsub(steering, " ") end
  text = text:gsub("  +", " "):gsub("^ ", "")
  text = text:gsub(" $", "")
  limit = limit or MESSAGE_LIMIT
  if #text <= limit then return text end
  return text:sub(1, utf8.offset(text, 0, limit - 2) - 1) .. "..." -- between two characters
end

-- What servers say, and people read.
local function clean_fields(fields)
  for _, name in ipairs { "message", "code", "request_id", "track_id", "process_id" } do
    if fields[name] then fields[name] = error_value.clean(fields[name]) end
  end
end

---@param fields table `kind` and `message`, and any of the fields above
---@return zuora.Error
function error_value.new(fields)
  clean_fields(fields)
  for _, reason in ipairs(fields.reasons or {}) do clean_fields(reason) end
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

--- Raises an error value.
---@param kind string of the error
---@param words string as of string.format
---@param ... string|number
function error_value.raise(kind, words, ...)
  error(error_value.new { kind = kind, message = words:format(...) }, 0)
end

local function guarded(ok, value, ...)
  if ok then return value, ... end
  if error_value.is(value) then return nil, value end
  error(value, 0)
end

--- What f returns; an error value that it raises is the world's doing, and is returned.
---@param f function
---@param ... any
---@return any ...
function error_value.guarded(f, ...) return guarded(pcall(f, ...)) end

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
  return ("zuora: %s: %s%s"):format(self.kind, error_value.clean(self.message, 2 * MESSAGE_LIMIT), tail)
end

return error_value
