--- What an answer of Zuora's says: the value that was asked for, or an error.
--
-- Zuora has many envelopes for a failure, and HTTP 200 is not success. Every shape comes down to
-- `{ message, code, reasons }` here; the rest of the module knows one shape only.

local codes = require "zuora.codes"
local core = require "zuora.core"
local error_value = require "zuora.error"
local hosts = require "zuora.hosts"

local answer = {}

-- --- failures ---------------------------------------------------------------------------------------

local function code_text(code)
  if code == nil or code == core.null then return nil end
  if math.type(code) == "integer" then return ("%d"):format(code) end
  if type(code) == "number" then return ("%.14g"):format(code) end
  if type(code) == "string" and code ~= "" then return code end
  return nil
end

local function message_text(message)
  if type(message) == "string" and message ~= "" then return message end
  return nil
end

local function is_false(value)
  return value == false or value == "false"
end

-- A list of `{ code, message }` under any of the names and spellings in use.
local function reasons_of(list)
  if type(list) ~= "table" then return nil end
  local reasons = {}
  for i, item in ipairs(list) do
    if type(item) == "table" then
      reasons[i] = {
        code = code_text(item.code or item.Code),
        message = message_text(item.message or item.Message or item.title),
      }
    else
      reasons[i] = { message = message_text(item) }
    end
  end
  return reasons[1] and reasons or nil
end

local failure_of

-- Without any of these an answer tells of no failure.
local SIGNS = { "reasons", "Errors", "errors", "error", "code", "errorCode", "faultcode", "message", "errorMessage",
  "faultstring", "error_description" }

local function has_sign(body)
  if is_false(body.success) or is_false(body.Success) then return true end
  for i = 1, #SIGNS do
    if body[SIGNS[i]] ~= nil then return true end
  end
  return false
end

-- An envelope in JSON: nil when there is no failure in it.
local function json_failure(body)
  if type(body) ~= "table" or not has_sign(body) then return nil end
  local reasons = reasons_of(body.reasons) or reasons_of(body.Errors) or reasons_of(body.errors)
  local first = reasons and reasons[1] or {}
  local inner = body.error
  if type(inner) ~= "table" then inner = {} end

  -- Reporting packs the failure as JSON text into `response`; it may also be the words themselves.
  local words
  if is_false(body.success) and body.response ~= nil then
    local nested = body.response
    if type(nested) == "string" then nested = core.decode(nested) end
    local found = json_failure(nested)
    if found then return found end
    words = message_text(body.response)
  end

  -- `error` is a code in OAuth's words ("invalid_client"), and the name of the status in the gateway's.
  local code = first.code or code_text(body.errorCode) or code_text(body.code) or code_text(body.faultcode)
    or code_text(inner.code) or (type(body.error) == "string" and body.error:match "^%l[%l_]+$" or nil)
  local message = first.message or message_text(body.message) or message_text(body.errorMessage)
    or message_text(body.faultstring) or message_text(body.error_description) or message_text(inner.message)
    or message_text(body.error) or words
  if not (code or message) then
    if is_false(body.success) or is_false(body.Success) then
      return { message = "the answer says that the call failed, and not why" }
    end
    return nil
  end
  return { code = code, message = message or ("code " .. code), reasons = reasons,
    process_id = message_text(body.processId), request_id = message_text(body.requestId) }
end

-- A lookup that found nothing, as the older object calls say it with HTTP 404.
local function is_nothing_found(body)
  return type(body) == "table" and body.size == 0 and body.done == true and type(body.records) == "table"
end

local function xml_text(text)
  return (text:gsub("&lt;", "<"):gsub("&gt;", ">"):gsub("&quot;", '"'):gsub("&apos;", "'"):gsub("&#39;", "'")
    :gsub("&#34;", '"'):gsub("&amp;", "&"))
end

-- The kinds of XML that Zuora, and the store of its result files, fail with; none needs more than these few
-- patterns.
local function xml_failure(text)
  if text:match("<zanResponse[^>]-success=[\"']false[\"']") then
    local inner = xml_text(text:match("<response[^>]*>(.-)</response>") or "")
    local found = json_failure((core.decode(inner)))
    return found or { message = inner ~= "" and inner or "the report service refused the call" }
  end
  local code = text:match("<[%w:]*FaultCode>(.-)</") or text:match("<faultcode>(.-)</")
  local message = text:match("<[%w:]*FaultMessage>(.-)</") or text:match("<faultstring>(.-)</")
  if code or message then
    return { code = code, message = xml_text(message or code) }
  end
  local error_code, error_message = text:match "<Error>.-<Code>(.-)</Code>.-<Message>(.-)</Message>"
  if error_code then return { code = xml_text(error_code), message = xml_text(error_message) } end
  local size = text:match("<security:max%-object%-size>(.-)</security:max%-object%-size>")
  if size then return { message = "the file is larger than the " .. size .. " that Zuora serves" } end
  return nil
end

-- Reads a body as whatever it is. Returns the decoded JSON (nil when it is not JSON) and the failure in it.
function failure_of(text)
  local first = text:match("^%s*(.)")
  if first == "\239" then
    -- JSON has no byte order mark. As an answer that is no JSON; the failure behind it is told all the same.
    local rest, marks = text:gsub("^%s*\239\187\191", "")
    if marks == 0 then return nil, nil end
    local _, failure = failure_of(rest)
    return nil, failure, "it begins with a byte order mark"
  elseif first == "{" or first == "[" then
    local value, problem = core.decode(text)
    return value, json_failure(value), problem
  elseif first == "<" then
    return nil, xml_failure(text)
  end
  return nil, nil
end

--- Reads a body for its failure alone.
---@param text string
---@return table|nil failure `{ message, code, reasons }`
function answer.failure(text)
  local _, failure = failure_of(text)
  return failure
end

-- A page made for people: say its title, and that it is one.
local function page_title(text)
  local title = text:match("<[Tt][Ii][Tt][Ll][Ee]>(.-)</")
  return title and error_value.clean(title, 200) or nil
end

local function describe_page(text)
  if text == "" then return "no text with it" end
  local title = page_title(text)
  if title then return "an HTML page titled \"" .. title .. "\"" end
  if text:match("^%s*<") then return "a page of markup" end
  return "\"" .. error_value.clean(text, 200) .. "\""
end

-- --- what may be tried again ------------------------------------------------------------------------

local RETRYABLE_STATUS = { [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }

-- --- the answer as a whole --------------------------------------------------------------------------

-- Seconds that the answer asks for, by header or, for want of one, in its words.
local function retry_after_of(response, failure)
  if response.retry_after then return response.retry_after end
  local seconds = failure and failure.message and failure.message:match("retry after (%d+) second")
  return seconds and tonumber(seconds) or nil
end

--- An error about an answer, with everything that helps to find it again in Zuora's logs.
---@param response table as request:response() gives it
---@param fields table kind, message …
---@return zuora.Error
function answer.fault(response, fields)
  fields.status = response.status
  fields.request_id = response.headers["zuora-request-id"] or fields.request_id
  fields.track_id = response.headers["zuora-track-id"]
  fields.retry_after = fields.retry_after or response.retry_after
  -- "bytes */N": there is no such part, and this is the size of the whole.
  if response.status == 416 then
    local total = (response.headers["content-range"] or ""):match "^bytes %*/(%d+)$"
    fields.range_total = math.tointeger(tonumber(total))
  end
  if response.body and response.body ~= "" then fields.body = response.body end
  if fields.retryable == nil then
    fields.retryable = response.status == 416 or RETRYABLE_STATUS[response.status]
      or codes.is_retryable(fields.code)
  end
  return error_value.new(fields)
end

local function status_kind(status, failure)
  if status == 401 or status == 403 and not (failure and failure.message:find("^the file is larger")) then
    return "auth"
  end
  return failure and "api" or "http"
end

-- An error of a failure that was read from an answer.
local function failed(response, kind, failure)
  return answer.fault(response, { kind = kind, message = failure.message, code = failure.code,
    reasons = failure.reasons, process_id = failure.process_id, request_id = failure.request_id,
    retry_after = retry_after_of(response, failure) })
end

local function refused(response, failure, value)
  local status = response.status
  if status >= 300 and status < 400 then
    local target = response.headers.location
    return answer.fault(response, { kind = "http", message = ("HTTP %d: a redirect%s is not followed"):format(status,
      target and target:find("://", 1, true) and " to " .. hosts.authority(target) or "") })
  end
  if not failure and is_nothing_found(value) then failure = { message = "nothing was found" } end
  if failure then return failed(response, status_kind(status, failure), failure) end
  return answer.fault(response, { kind = status_kind(status),
    message = ("HTTP %d, and %s"):format(status, describe_page(response.body or "")) })
end

-- HTTP 200, and yet a failure? A body with `success` false; a code or a message where a value should be.
-- With an id it is a record of something that failed, and waiting for it will say so.
local function fails_in_spite_of_200(body, failure)
  if type(body) ~= "table" then return false end
  if is_false(body.success) or is_false(body.Success) then return true end
  for _, sign in ipairs { "id", "Id", "response", "data", "success", "Success" } do
    if body[sign] ~= nil then return false end
  end
  return failure ~= nil or body.status == "error"
end

--- The JSON value of an answer, or an error.
---@param response table as request:response() gives it
---@return any|nil value, zuora.Error|nil err
function answer.read(response)
  local text = response.body
  local value, failure, problem = failure_of(text)
  if response.status < 200 or response.status >= 300 then return nil, refused(response, failure, value) end
  if value == nil then
    if failure then return nil, failed(response, "api", failure) end
    if text == "" and response.status == 204 then return {} end
    return nil, answer.fault(response, { kind = "json",
      message = problem and "the answer is not JSON: " .. problem
        or "the answer should be JSON, and is " .. describe_page(text) })
  end
  if fails_in_spite_of_200(value, failure) then
    return nil, failed(response, "api", failure or { message = "the answer says that the call failed, and not why" })
  end
  return value
end

--- The text of an answer that is not to be JSON, or an error.
---@param response table
---@param wanted string|nil a word of the content type that it must have; without: any but a page for people
---@return string|nil text, zuora.Error|nil err
function answer.read_text(response, wanted)
  local _, failure = failure_of(response.body)
  if response.status < 200 or response.status >= 300 then return nil, refused(response, failure) end
  local media_type = (response.headers["content-type"] or ""):lower()
  local is_markup = media_type:find("xml", 1, true) or media_type:find("json", 1, true)
  if failure and is_markup then return nil, failed(response, "api", failure) end
  local fits
  if wanted then fits = media_type:find(wanted, 1, true) else fits = not media_type:find("text/html", 1, true) end
  if fits then return response.body end
  return nil, answer.fault(response, { kind = "http", message = "the answer is " .. describe_page(response.body) })
end

-- The same for a call that this module does not know, where a `code` or a `message` may mean anything.
local function fails_plainly(body)
  return is_false(body.success) or is_false(body.Success) or body.faultcode ~= nil or reasons_of(body.reasons) ~= nil
    or body.errorCode ~= nil and body.id == nil
end

--- Whatever the answer is, of a call that this module does not know: JSON as its value, anything else as
-- text, or an error.
---@param response table
---@return any|nil value, zuora.Error|nil err
function answer.read_any(response)
  local value, failure, problem = failure_of(response.body)
  if response.status < 200 or response.status >= 300 then return nil, refused(response, failure, value) end
  if failure and type(value) == "table" and fails_plainly(value) then return nil, failed(response, "api", failure) end
  local media_type = (response.headers["content-type"] or ""):lower()
  if not media_type:find("json", 1, true) or response.body == "" then return answer.read_text(response) end
  if value == nil then value, problem = core.decode(response.body) end -- a text or a number by itself
  if value ~= nil then return value end
  return nil, answer.fault(response, { kind = "json", message = "the answer is not JSON: " .. tostring(problem) })
end

--- A failure that came as a file, and was taken for one by its type.
---@param head string the beginning of the file; an export has put quotes around its cells
---@return zuora.Error|nil err
function answer.disguised_failure(head)
  if not head:gsub('"', ""):find "^%s*{%s*[sS]uccess%s*:%s*false" then return nil end
  local failure = json_failure((core.decode(head)))
  failure = failure or { message = "the answer is a failure, and no file: " .. head:gsub('"', ""):sub(1, 200) }
  return error_value.new { kind = "api", message = failure.message, code = failure.code, reasons = failure.reasons }
end

--- Checks the answer to a request for a file: everything that is not the file itself is an error.
---@param response table
---@return true|nil, zuora.Error|nil err
function answer.read_file(response)
  if response.to_sink then return true end
  local _, failure = failure_of(response.body)
  if response.status ~= 200 then return nil, refused(response, failure) end
  if failure then return nil, failed(response, "api", failure) end
  return nil, answer.fault(response, { kind = "http",
    message = "a file was asked for, and the answer is " .. describe_page(response.body) })
end

return answer
