--- Calls by what their answers are: JSON, XML, words, or whatever comes. Each is a handler of Caller:perform that does
--- no more than read.

local responses = require "zuora.caller.responses"
local error_value = require "zuora.error"

-- Methods of the caller; see caller/init.lua.
local Calls = {}

-- A handler that does no more than to read each response.
local function reader(read)
  return { read = function(_, response, ...) return read(response, ...) end }
end

-- What a call returns of the JSON in a response, by the `shape` of that; `read` is responses.read, or another of its
-- kind.
local function shaped(read)
  local handler = reader(function(response, shape, context, parameters)
    local body, err = read(response)
    if body == nil then return nil, err end
    local value, problem, kind = shape(body, context, parameters)
    if value ~= nil then return value end
    return nil, responses.error(response, { kind = kind or "json", message = problem, retryable = false })
  end)
  function handler.shape(body, shape, context, parameters) return shape(body, context, parameters) end
  return handler
end

local JSON, JSON_OR_NOTHING, DONE = shaped(responses.read), shaped(responses.read_done), reader(responses.read_done)

local XML = reader(function(response, parse)
  local text, err = responses.read_text(response, "xml")
  if not text then return nil, err end
  local value, problem = parse(text)
  if value ~= nil then return value end
  return nil, responses.error(response, { kind = "text", message = problem, retryable = false })
end)

local RAW = reader(function(response, method)
  local value, problem = responses.read_any(response, method)
  if value == nil then return nil, problem end
  return { value = value, response = response }
end)

-- What is packed does not prove to be whole, unless it is JSON.
function RAW:prepare(call)
  local request = call.request
  if call.tries > 0 or not call.parameters.accept:find("json", 1, true) then
    request.headers["Accept-Encoding"] = "identity"
  elseif next(request.headers) == nil then
    request.headers = nil
  end
end

--- Calls an operation whose answer is JSON.
---@param shape fun(body: any, context: any, parameters: table): any|nil, string|nil, string|nil what the call
--- returns of it, or what is wrong with it, and of which kind that is
---@param context any|nil for shape, which need not be made anew for each call then
---@return any|nil value, zuora.Error|nil err
function Calls:json(operation, parameters, options, shape, context)
  return self:perform(operation, parameters, options, JSON, shape, context)
end

--- Calls an operation that answers that it is done, be it with words or with nothing at all.
---@return true|nil done, string|zuora.Error|nil message Zuora's words, or the error
function Calls:done(operation, parameters, options)
  local value, err = self:perform(operation, parameters, options, DONE)
  if value == nil then return nil, err end
  local words = type(value) == "table" and value.response
  if type(words) == "table" then words = words.message end
  return true, type(words) == "string" and error_value.clean(self:masked(words)) or nil
end

--- Calls an operation that cancels a job, and answers what the job is then. A response that says nothing of the job,
--- and is a success by its status, means that it is done.
---@return any|nil value true where there is nothing but that, zuora.Error|nil err
function Calls:cancel(operation, parameters, options, shape)
  return self:perform(operation, parameters, options, JSON_OR_NOTHING, function(body)
    if type(body) == "table" and (next(body) == nil or body.success == true) then return true end
    return shape(body)
  end)
end

--- Calls an operation whose response is XML; `parse` is given the text of it.
---@return any|nil value, zuora.Error|nil err
function Calls:xml(operation, parameters, options, parse)
  return self:perform(operation, parameters, options, XML, parse)
end

--- Calls what is no operation, and gives whatever comes, with the response it came in.
---@param operation table method, send, safe, unkeyed
---@return any|nil value, table|zuora.Error|nil answered
function Calls:raw(operation, parameters, options)
  local done, err = self:perform(operation, parameters, options, RAW, parameters.method)
  if not done then return nil, err end
  local response = done.response
  return done.value, { status = response.status, headers = response.headers, body = response.body }
end

--- Calls an operation of the Reporting API; `shape` is given what is inside its envelope.
---@return any|nil value, zuora.Error|nil err
function Calls:reporting(operation, parameters, options, shape, context)
  return self:json(operation, parameters, options, function(body)
    if type(body) ~= "table" or body.response == nil then return nil, "the answer has no 'response'" end
    local value, problem = shape(body.response, context, parameters)
    -- A success with words in the place of what was asked for: they say why it is not there.
    if value == nil and type(body.response) == "string" and body.response ~= "" then
      return nil, body.response, "api"
    end
    return value, problem
  end)
end

return Calls
