--- What a response of Zuora's says: the value that was asked for, or an error.
--
-- HTTP 200 is not success; what a failure looks like is known to envelopes.lua.

local ascii = require "zuora.support.ascii"
local codes = require "zuora.codes"
local core = require "zuora.core"
local envelopes = require "zuora.caller.envelopes"
local error_value = require "zuora.error"
local hosts = require "zuora.caller.hosts"

local responses = {}

-- --- what may be tried again ------------------------------------------------------------------------

local RETRYABLE_STATUS = { [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }

-- --- the response as a whole --------------------------------------------------------------------------

-- Seconds that the response asks for, by header or, for want of one, in its words.
local function retry_after_of(response, failure)
  if response.retry_after then return response.retry_after end
  local seconds = failure and failure.message and failure.message:match("retry after (%d+) second")
  return seconds and tonumber(seconds) or nil
end

-- More than any error keeps of a text, by more than a secret is long.
local ENOUGH = 16384

-- A text of the response without the secrets that its caller knows: before it is cut, since half a secret would
-- not be known for one.
local function masked(response, text)
  text = text:sub(1, ENOUGH)
  return response.mask and response.mask(text) or text
end

local function succeeded(response) return response.status >= 200 and response.status < 300 end

--- An error about a response, with everything that helps to find it again in Zuora's logs.
---@param response table as request:response() gives it
---@param fields table kind, message …
---@return zuora.Error
function responses.error(response, fields)
  fields.status = response.status
  fields.request_id = response.headers["zuora-request-id"] or fields.request_id
  fields.track_id = response.headers["zuora-track-id"]
  fields.retry_after = fields.retry_after or response.retry_after
  fields.message = masked(response, fields.message)
  if response.body and response.body ~= "" then fields.body = masked(response, response.body) end
  if fields.retryable == nil then
    fields.retryable = response.status == 416 or RETRYABLE_STATUS[response.status]
      or codes.is_retryable(fields.code)
  end
  return error_value.new(fields)
end

-- A lookup that found nothing, as the older object calls say it with HTTP 404.
local function is_nothing_found(body)
  return type(body) == "table" and body.size == 0 and body.done == true and type(body.records) == "table"
end

local function status_kind(status, failure)
  if status == 401 or status == 403 and not (failure and failure.message:find("^the file is larger")) then
    return "auth"
  end
  return failure and "api" or "http"
end

-- An error of a failure that was read from a response.
local function failed(response, kind, failure)
  return responses.error(response, { kind = kind, message = failure.message, code = failure.code,
    reasons = failure.reasons, process_id = failure.process_id, request_id = failure.request_id,
    retry_after = retry_after_of(response, failure) })
end

-- What the response is instead of what was asked for.
local function described(response)
  return envelopes.describe(masked(response, response.body))
end

-- The place that a redirect points to: its host, without path and query, which may be somebody's secret.
local function redirect_target(location)
  if not location then return "" end
  if location:find "^//" then location = "https:" .. location end
  if not location:find "^[A-Za-z][A-Za-z0-9+.-]*://" then return " to another place on the same host" end
  return " to " .. hosts.authority(location)
end

local function refused(response, failure, value)
  local status = response.status
  if status >= 300 and status < 400 then
    return responses.error(response, { kind = "http",
      message = ("HTTP %d: a redirect%s is not followed"):format(status, redirect_target(response.headers.location)) })
  end
  if not failure and is_nothing_found(value) then failure = { message = "nothing was found" } end
  if failure then return failed(response, status_kind(status, failure), failure) end
  return responses.error(response, { kind = status_kind(status), message = ("HTTP %d, and %s"):format(status,
    response.body == "" and "an empty answer" or described(response)) })
end

-- HTTP 200, and yet a failure? A body with `success` false; a code or a message where a value should be.
-- With an id it is a record of something that failed, and waiting for it will say so.
local function fails_in_spite_of_200(body, failure)
  if type(body) ~= "table" then return false end
  if envelopes.is_refusal(body) then return true end
  for _, sign in ipairs { "id", "Id", "response", "data", "success", "Success" } do
    if body[sign] ~= nil then return false end
  end
  return failure ~= nil or body.status == "error"
end

-- The same for a call that this module does not know, where a `code` or a `message` may mean anything.
local function fails_plainly(body)
  return envelopes.is_refusal(body) or body.faultcode ~= nil or envelopes.reasons(body.reasons) ~= nil
    or body.errorCode ~= nil and body.id == nil
end

--- The JSON value of a response, or an error.
---@param response table as request:response() gives it
---@return any|nil value, zuora.Error|nil err
function responses.read(response)
  local text = response.body
  local value, failure, problem = envelopes.read(text)
  if not succeeded(response) then return nil, refused(response, failure, value) end
  if value == nil then
    if failure then return nil, failed(response, "api", failure) end
    if text == "" and response.status == 204 then return {} end
    return nil, responses.error(response, { kind = "json",
      message = problem and "the answer is not JSON: " .. problem
        or "the answer should be JSON, and is " .. described(response) })
  end
  if fails_in_spite_of_200(value, failure) then
    return nil, failed(response, "api", failure or { message = envelopes.NO_REASON })
  end
  return value
end

--- The same of a response that may say nothing: no text, or null, is {}.
---@param response table
---@return any|nil value, zuora.Error|nil err
function responses.read_done(response)
  local text = response.body
  if succeeded(response) and (text:find "^%s*$" or text:find "^%s*null%s*$") then return {} end
  return responses.read(response)
end

--- The text of a response that is not to be JSON, or an error.
---@param response table
---@param wanted string|nil a word of the content type that it must have; without: any but a page for people
---@return string|nil text, zuora.Error|nil err
function responses.read_text(response, wanted)
  local _, failure = envelopes.read(response.body)
  if not succeeded(response) then return nil, refused(response, failure) end
  local media_type = ascii.lower(response.headers["content-type"] or "")
  local is_markup = media_type:find("xml", 1, true) or media_type:find("json", 1, true)
  if failure and is_markup then return nil, failed(response, "api", failure) end
  local fits
  if wanted then fits = media_type:find(wanted, 1, true) else fits = not media_type:find("text/html", 1, true) end
  if fits then return response.body end
  return nil, responses.error(response, { kind = "http", message = "the answer is " .. described(response) })
end

-- Why it is not known whether this is all of the answer; nil: it is. JSON proves itself.
local function unproven(response, is_json, method)
  local coding = ascii.lower(response.headers["content-encoding"] or "identity")
  if response.status == 206 then return "the answer is a part of what was asked for" end
  if coding ~= "identity" and coding ~= "gzip" then
    return ("the answer came in a coding that was not asked for: %s"):format(coding)
  end
  if is_json or method == "HEAD" then return nil end
  if coding == "gzip" and response.body ~= "" then return "the answer is packed, and does not prove to be whole" end
  if not response.framed then return "the answer does not say where it ends, and may not be whole" end
  return nil
end

--- Whatever the response is, of a call that this module does not know: JSON as its value, anything else as
--- text, or an error.
---@param response table
---@param method string of the request
---@return any|nil value, zuora.Error|nil err
function responses.read_any(response, method)
  local value, failure, problem = envelopes.read(response.body)
  if not succeeded(response) then return nil, refused(response, failure, value) end
  if failure and type(value) == "table" and fails_plainly(value) then return nil, failed(response, "api", failure) end
  local doubt = unproven(response, type(value) == "table", method)
  if doubt then return nil, responses.error(response, { kind = "incomplete", message = doubt, retryable = true }) end
  if response.body == "" then return "" end -- whatever its type
  local media_type = ascii.lower(response.headers["content-type"] or "")
  if not media_type:find("json", 1, true) then return responses.read_text(response) end
  if value == nil then value, problem = core.decode(response.body) end -- a text or a number by itself
  if value ~= nil then return value end
  return nil, responses.error(response, { kind = "json", message = "the answer is not JSON: " .. tostring(problem) })
end

-- The longest text of a refusal that is unpacked.
local UNPACKED = 262144

-- And of a packed file.
local LOOKED_AT = 4096

-- What libcurl does for all other calls: a file's coding is taken off on its way into the file, and what comes
-- in its place stays as it came.
local function unpack_body(response)
  local coding = ascii.lower(response.headers["content-encoding"] or "")
  if coding:find("gzip", 1, true) and response.body:find "^\31\139" then
    response.body = core.gunzip(response.body, UNPACKED)
  end
end

--- Checks the response to a request for a file: everything that is not the file itself is an error.
---@param response table
---@param first string|nil the first bytes of the file, where it came as one
---@param lines boolean|nil a file may be lines of JSON
---@return true|nil, zuora.Error|nil err
function responses.read_file(response, first, lines)
  local failure, other
  if response.to_sink then
    if first and first:find "^\31\139" then first = core.gunzip(first, LOOKED_AT) end
    failure, other = envelopes.in_file(first, lines)
    if not (failure or other) then return true end
    response.body = first
  else
    unpack_body(response)
    failure = select(2, envelopes.read(response.body))
    if response.status ~= 200 then return nil, refused(response, failure) end
  end
  if failure then return nil, failed(response, "api", failure) end
  return nil, responses.error(response, { kind = "http",
    message = "a file was asked for, and the answer is " .. described(response) })
end

return responses
