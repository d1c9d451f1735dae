--- Answers in Zuora's envelopes.

local json = require "zuora.simulator.json"

local replies = {}

--- A JSON answer.
---@param status integer
---@param value table|string a value, or JSON text
---@return table response
function replies.json(status, value, headers)
  headers = headers or {}
  headers["Content-Type"] = "application/json;charset=UTF-8"
  return { status = status, headers = headers, body = type(value) == "string" and value or json.encode(value) }
end

--- The v1 envelope: success, processId, reasons.
function replies.reasons(status, code, message)
  return replies.json(status, { success = false, processId = "5F3A2B1C0D9E8F70",
    reasons = { { code = code, message = message } } })
end

--- 401, as the REST hosts say it.
function replies.unauthorized(message)
  return replies.json(401, { message = message or "Authentication error" }, {
    ["WWW-Authenticate"] = "Basic realm=Zuora API, ZSession realm=Zuora API, Bearer realm=Zuora API",
  })
end

--- A failure of the Reporting API: the error is JSON text inside a string.
function replies.reporting_failure(status, message)
  return replies.json(status, { success = false, response = json.encode {
    errorId = "b1946ac9-2492-4d23", message = message, errorCode = "ZAN-USAGE-REST-ERROR" } })
end

--- A rejected AQuA job: HTTP 200, no id.
function replies.job_rejected(fields, code, message)
  local batches = {}
  for i, query in ipairs(type(fields.queries) == "table" and fields.queries or {}) do
    batches[i] = { name = query.name, query = query.query, status = "pending", recordCount = 0, apiVersion = "0.0",
      batchType = query.type }
  end
  return replies.json(200, { status = "error", errorCode = code, message = message, batches = json.array(batches),
    name = fields.name, version = tostring(fields.version or "1.0"), format = "CSV", encrypted = "none",
    useLastCompletedJobQueries = false })
end

return replies
