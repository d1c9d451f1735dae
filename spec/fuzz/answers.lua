--- Answers: whatever a server says makes a value or an error, and raises nothing.

local answer = require "zuora.caller.responses"
local error_value = require "zuora.error"
local host = require "spec.fuzz.host"
local mask = require "zuora.caller.mask"

host.watch_lines()

local answers = {}

local STATUSES = { 200, 200, 200, 201, 202, 204, 206, 301, 400, 401, 403, 404, 409, 416, 429, 500, 502, 503, 504, 520 }
local TYPES = { "application/json", "application/json; charset=utf-8", "text/html", "text/xml", "text/csv", "text/plain",
  "application/octet-stream", "application/xml", "" }

answers.SECRET = 'k=/"1'

local function check_error(err, masked)
  assert(error_value.is(err), "no error value")
  assert(type(err.kind) == "string" and type(err.retryable) == "boolean", "half an error value")
  local message = err.message
  assert(type(message) == "string" and message ~= "" and #message <= 1000, "no message")
  assert(not message:find "[%c\127]", "control characters in a message")
  assert(err.code == nil or type(err.code) == "string", "a code that is no text")
  assert(err.retry_after == nil or type(err.retry_after) == "number", "a time that is no number")
  assert(not tostring(err):find "[%c\127]", "control characters in what is printed")
  for _, text in ipairs { message, err.body } do assert(not (masked and text:find(answers.SECRET, 1, true)), "a secret") end
end

local READERS = {
  answer.read,
  function(response) return answer.read_text(response, "csv") end,
  answer.read_text,
  answer.read_any,
  answer.read_done,
  answer.read_file,
  function(response) return answer.read_file(response, response.body) end,
  function(response) return answer.read_file(response, response.body, true) end,
}

local function read_all(response)
  for i = 1, #READERS do
    response.to_sink = i > #READERS - 2
    local value, err = READERS[i](response)
    if value == nil then
      check_error(err, response.mask)
    else
      assert(err == nil, "a value, and an error")
    end
  end
end

function answers.run(data)
  local first, second = data:byte(1, 2)
  if not second then return end
  local response = { status = STATUSES[first % 32 % #STATUSES + 1], body = data:sub(3),
    mask = function(text) return mask.text(text, { answers.SECRET }) end,
    headers = { ["content-type"] = TYPES[second % #TYPES + 1], location = first & 32 ~= 0 and data:sub(3) or nil,
      ["content-range"] = first & 64 ~= 0 and data:sub(3) or nil, ["content-encoding"] = first & 128 ~= 0 and "gzip" or nil } }
  read_all(response)
  assert(not mask.links(response.body):find "[hH][tT][tT][pP][sS]?://[^%s\"'<>\\]*[?&]", "a link that bears something")
  for _, secret in ipairs(mask.of_proxies(response.body)) do
    assert(secret ~= "" and response.body:find(secret, 1, true), "another secret")
  end
end

--- The same, for a text that may be long.
function answers.read_all(text)
  read_all { status = 200, body = text, headers = { ["content-type"] = "text/csv", location = text, ["content-range"] = text } }
end

return answers
