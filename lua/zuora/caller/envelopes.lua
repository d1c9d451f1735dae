--- How Zuora, and what stands before it, say that something has failed.
--
-- There are many envelopes. Every shape comes down to `{ message, code, reasons, process_id, request_id }`
-- here; the rest of the module knows one shape only. A text from outside may be anything, and large: it is
-- gone through by plain searches, whose work grows with its length and no faster.

local ascii = require "zuora.support.ascii"
local core = require "zuora.core"
local error_value = require "zuora.error"

local envelopes = {}

-- --- in JSON ----------------------------------------------------------------------------------------

local function code_text(code)
  if code == nil or code == core.null then return nil end
  if math.type(code) == "integer" then return ("%d"):format(code) end
  if type(code) == "number" then return ("%.14g"):format(code) end
  if type(code) == "string" and code ~= "" then return code end
  return nil
end

-- Words, and not only blanks or control characters.
local function message_text(message)
  if type(message) == "string" and error_value.clean(message) ~= "" then return message end
  return nil
end

local function is_false(value)
  return value == false or value == "false"
end

--- Does it say that it is no success?
---@param body table
---@return boolean
function envelopes.is_refusal(body)
  return is_false(body.success) or is_false(body.Success)
end

--- A list of `{ code, message }` under any of the names and spellings in use.
---@param list any
---@return table[]|nil reasons
function envelopes.reasons(list)
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

--- What is said of a failure that does not say why.
envelopes.NO_REASON = "the answer says that the call failed, and not why"

-- An envelope in JSON: nil when there is no failure in it.
local function json_failure(body)
  if type(body) ~= "table" or not core.tells_failure(body) then return nil end
  local reasons = envelopes.reasons(body.reasons) or envelopes.reasons(body.Errors) or envelopes.reasons(body.errors)
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
    or code_text(inner.code) or (type(body.error) == "string" and body.error:match "^[a-z][a-z_]+$" or nil)
  local message = first.message or message_text(body.message) or message_text(body.errorMessage)
    or message_text(body.faultstring) or message_text(body.error_description) or message_text(inner.message)
    or message_text(body.error) or words
  if not (code or message) then return envelopes.is_refusal(body) and { message = envelopes.NO_REASON } or nil end
  return { code = code, message = message or ("code " .. code), reasons = reasons,
    process_id = message_text(body.processId), request_id = message_text(body.requestId) }
end

-- --- in XML -----------------------------------------------------------------------------------------

local ENTITIES = { lt = "<", gt = ">", quot = '"', apos = "'", ["#39"] = "'", ["#34"] = '"', amp = "&" }

local function xml_text(text)
  return text and (text:gsub("&(#?[A-Za-z0-9]+);", ENTITIES))
end

-- What is in the first element whose tag begins like that, behind `at`; nil: there is none.
local function element(text, tag, at)
  local _, named = text:find(tag, at or 1, true)
  local from = named and text:find(">", named, true)
  local to = from and text:find("</", from, true)
  return to and text:sub(from + 1, to - 1)
end

-- The kinds of XML that Zuora, and the store of its result files, fail with.
local function xml_failure(text)
  local report = text:find("<zanResponse", 1, true)
  if report and text:match("^[^>]*", report):find "success=[\"']false[\"']" then
    local inner = xml_text(element(text, "<response", report)) or ""
    return json_failure((core.decode(inner)))
      or { message = message_text(inner) or "the report service refused the call" }
  end
  local code = element(text, "FaultCode>") or element(text, "<faultcode")
  local message = element(text, "FaultMessage>") or element(text, "<faultstring")
  local store = text:find("<Error", 1, true)
  if store and not (code or message) then
    code, message = element(text, "<Code", store), element(text, "<Message", store)
  end
  code, message = code_text(xml_text(code)), message_text(xml_text(message))
  if code or message then return { code = code, message = message or ("code " .. code) } end
  local size = element(text, "<security:max-object-size")
  return size and { message = "the file is larger than the " .. size .. " that Zuora serves" } or nil
end

-- --- in a text --------------------------------------------------------------------------------------

local MARK = "\239\187\191" -- of bytes in UTF-8

--- Reads a body as whatever it is. Returns the decoded JSON (nil when it is not JSON), the failure in it, and
--- what is wrong with the JSON.
---@param text string
---@return any|nil value, table|nil failure, string|nil problem
function envelopes.read(text)
  local at = text:find "[^%s\239\187\191]" or 1
  local first = text:sub(at, at)
  if first == "<" then return nil, xml_failure(text) end
  if first ~= "{" and first ~= "[" then return nil end
  -- JSON has no byte order mark: such a response is none. The failure behind it is told all the same.
  local marked = text:sub(1, at - 1):find(MARK, 1, true)
  local value, problem = core.decode(marked and text:sub(at) or text)
  if marked then return nil, json_failure(value), "it begins with a byte order mark" end
  return value, json_failure(value), problem
end

--- What a page that is made for people says of itself, for a message.
---@param text string
---@return string
function envelopes.describe(text)
  if text == "" then return "empty" end
  local lower = ascii.lower(text:sub(1, 65536))
  local open = lower:find("<title", 1, true)
  local from = open and lower:find(">", open, true)
  local to = from and lower:find("<", from, true)
  if to then return "an HTML page titled \"" .. error_value.clean(text:sub(from + 1, to - 1), 200) .. "\"" end
  if text:find "^%s*<" then return "a page of markup" end
  return "\"" .. error_value.clean(text, 200) .. "\""
end

-- --- in the place of a file -------------------------------------------------------------------------

-- ASCII in UTF-16, with or without its mark, as ASCII; and without the mark of UTF-8.
local function narrow(text)
  local body = text:gsub("^\255\254", ""):gsub("^\254\255", ""):gsub("^" .. MARK, "")
  if body:find "^[^\0]\0[^\0]\0" or body:find "^\0[^\0]\0[^\0]" then return (body:gsub("\0", "")) end
  return body
end

-- JSON of which only the beginning is here.
local function cut_failure(text)
  local refused = text:find '"[sS]uccess"%s*:%s*"?false' or text:find '"reasons"%s*:%s*%['
    or text:find '"errorCode"%s*:' and text:find '"message"%s*:'
  if not refused then return nil end
  return { message = message_text(text:match '"message"%s*:%s*"([^"]+)"') or envelopes.NO_REASON,
    code = text:match '"errorCode"%s*:%s*"?([A-Za-z0-9_.-]+)' or text:match '"code"%s*:%s*"?([A-Za-z0-9_.-]+)' }
end

-- The root of a page, or of a failure in XML, whatever its name space.
local PAGES = { html = true, head = true, body = true, title = true, fault = true, error = true, envelope = true,
  zanresponse = true }

local function is_page(text)
  local root = text:match "^%s*<([%w:._-]+)" or ""
  return text:find "^%s*<[!?]" ~= nil or PAGES[ascii.lower(root:match "[^:]*$")] == true
end

--- Is it no file, but a failure or a page? Types lie: the first bytes of it say so, as they came.
---@param first string
---@param lines boolean|nil lines of JSON are a file, too: of JSON, only Zuora's own envelope is none
---@return table|nil failure
---@return boolean|nil other true for a page, or JSON, that tells of no failure
function envelopes.in_file(first, lines)
  local text = narrow(first)
  local value, failure = envelopes.read(text)
  if lines and type(value) == "table" then
    return envelopes.is_refusal(value) and envelopes.reasons(value.reasons) and failure or nil
  end
  if type(value) == "table" then
    failure = failure or json_failure(value[1])
    return failure, not failure
  end
  if not failure and not lines and text:gsub("^%s+", ""):find "^%[?%s*{%s*\"" then failure = cut_failure(text) end
  return failure, not failure and is_page(text)
end

return envelopes
