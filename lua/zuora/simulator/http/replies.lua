--- Answers in Zuora's envelopes.

local json = require "zuora.simulator.engine.json"

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
---@param status integer
---@param message string
---@param code string|nil
function replies.reporting_failure(status, message, code)
  return replies.json(status, { success = false, response = json.encode {
    errorId = "b1946ac9-2492-4d23", message = message, errorCode = code or "ZAN-USAGE-REST-ERROR" } })
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

-- The shapes that a failure has been seen in, by the numbers of the list that the client goes by; a letter
-- marks another form of the same.
local ENVELOPES = {
  E1 = { 400, '{"success":false,"processId":"5F3A2B1C0D9E8F70","reasons":[{"code":53100320,'
    .. '"message":"The value is not valid."}],"requestId":"r-1"}' },
  E2 = { 500, '{"reasons":[{"code":"SystemError","message":"internal server error"}]}' },
  E3 = { 200, '{"success":false,"code":50000090,"message":"Invalid format: json"}' },
  E4 = { 200, '{"status":"error","errorCode":"90005","message":"There is a syntax error in one of the queries",'
    .. '"batches":[],"name":null,"version":"1.0","format":"CSV","encrypted":"none",'
    .. '"useLastCompletedJobQueries":false}' },
  E5 = { 200, '{"success":false,"response":"{\\n \\"errorId\\":\\"1\\",\\"message\\":\\"No such report.\\",'
    .. '\\"errorCode\\":\\"ZAN-USAGE-REST-ERROR\\"\\n}","links":null}' },
  E6 = { 500, '<zanResponse success="false"><response xsi:type="xs:string">{"message":"No such report.",'
    .. '"errorCode":"ZAN-REST-ERROR"}</response></zanResponse>', "application/xml" },
  E6b = { 400, '<?xml version="1.0" encoding="UTF-8"?>\n<zanResponse xmlns:xsi="http://www.w3.org/2001/'
    .. 'XMLSchema-instance" success="false">\n  <response xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    .. 'xsi:type="xs:string">{&quot;message&quot;:&quot;No such report.&quot;,&quot;errorCode&quot;:'
    .. '&quot;ZAN-REST-ERROR&quot;}</response>\n</zanResponse>', "application/xml" },
  E7 = { 401, '{"message":"Token could not be decrypted.","errorCode":"loginFailed"}' },
  E8 = { 401, '{"message":"Authentication error"}' },
  E9 = { 429, '{"code":"REQUEST_EXCEEDED_LIMIT","message":"Request exceeded limit"}' },
  E10 = { 200, '{"Success":false,"Errors":[{"Code":"INVALID_VALUE","Message":"The value is not valid."}]}' },
  E11 = { 500, '{"faultcode":"fns:INVALID_SESSION","faultstring":"invalid session"}' },
  E11b = { 500, '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/'
    .. 'soap/envelope/"><soapenv:Body><soapenv:Fault><faultcode>fns:INVALID_SESSION</faultcode><faultstring>invalid '
    .. 'session</faultstring><detail><fns:UnexpectedErrorFault xmlns:fns="http://fault.api.zuora.com/"><fns:FaultCode>'
    .. 'INVALID_SESSION</fns:FaultCode><fns:FaultMessage>invalid session</fns:FaultMessage></fns:UnexpectedErrorFault>'
    .. '</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>', "text/xml" },
  E12 = { 404, '{"code":1001,"message":"The query job does not exist."}' },
  E13 = { 400, '{"timestamp":"2026-01-01T00:00:00Z","status":400,"error":"Bad Request","message":"Invalid",'
    .. '"path":"/oauth/token"}' },
  E14 = { 400, '{"message":"Error - unrecognised fields"}' },
  E15 = { 414, "<html><head><title>414 Request-URI Too Large</title></head><body></body></html>", "text/html" },
  E15b = { 502, "", "text/html" },
  E16 = { 403, "<security:max-object-size>2047MB</security:max-object-size>", "application/xml" },
  E17 = { 429, '{"message":"request exceeded limit"}' },
  E17b = { 429, '{"error":{"code":"REQUEST_EXCEEDED_LIMIT","message":"request exceeded limit"}}' },
  E17c = { 429, '{"errors":[{"title":"request exceeded limit","code":"REQUEST_EXCEEDED_LIMIT"}]}' },
}

--- An error in one of the shapes "E1" to "E17", or one of their variants: "E6b", "E11b", "E15b", "E17b", "E17c".
---@param name string
function replies.envelope(name)
  local status, body, media_type = table.unpack(ENVELOPES[name] or error("no envelope " .. tostring(name)))
  return { status = status, headers = { ["Content-Type"] = media_type or "application/json" }, body = body }
end

return replies
