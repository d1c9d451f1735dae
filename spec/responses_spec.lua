-- Zuora's envelopes, as published: see each shape by its number in the list of error shapes.

local answer = require "zuora.caller.responses"

local function response(status, body, headers)
  return { status = status, body = body, headers = headers or {}, bytes = #body, framed = true }
end

local function failure(status, body, headers)
  local value, err = answer.read(response(status, body, headers))
  assert.is_nil(value)
  assert.is_table(err)
  return err
end

describe("zuora.caller.responses", function()
  it("gives the value of a success", function()
    assert.same({ success = true, response = { a = 1 } },
      answer.read(response(200, '{"success":true,"response":{"a":1,"b":null}}')))
  end)

  it("E1: success false with reasons", function()
    local err = failure(400, '{"success":false,"processId":"P1","reasons":[{"code":53100320,"message":"Bad"},'
      .. '{"code":53100321,"message":"Worse"}],"requestId":"r"}', { ["zuora-request-id"] = "R9", ["zuora-track-id"] = "T" })
    assert.equal("api", err.kind)
    assert.equal("53100320", err.code)
    assert.equal("Bad", err.message)
    assert.same({ { code = "53100320", message = "Bad" }, { code = "53100321", message = "Worse" } }, err.reasons)
    assert.equal(400, err.status)
    assert.equal("R9", err.request_id)
    assert.equal("T", err.track_id)
    assert.is_false(err.retryable)
  end)

  it("E1 on HTTP 200 is a failure all the same", function()
    assert.equal("53100320", failure(200, '{"success":false,"reasons":[{"code":53100320,"message":"Bad"}]}').code)
    assert.equal("53100320", failure(200, '{"success":"false","reasons":[{"code":53100320,"message":"Bad"}]}').code)
  end)

  it("E2: reasons with a code in words, without success", function()
    local err = failure(500, '{"reasons":[{"code":"SystemError","message":"internal server error"}]}')
    assert.equal("api", err.kind)
    assert.equal("SystemError", err.code)
    assert.is_true(err.retryable)
  end)

  it("E3: flat code and message", function()
    local err = failure(200, '{"success":false,"code":50000090,"message":"Invalid format: json"}')
    assert.equal("50000090", err.code)
    assert.equal("Invalid format: json", err.message)
  end)

  it("E4: a rejected AQuA job, HTTP 200 without an id", function()
    local body = '{"status":"error","errorCode":"90005","message":"There is a syntax error","batches":[],"name":null,'
      .. '"version":"1.0","format":"CSV","encrypted":"none","useLastCompletedJobQueries":false,"id":null}'
    local err = failure(200, body)
    assert.equal("api", err.kind)
    assert.equal("90005", err.code)
    assert.matches("syntax error", err.message)
  end)

  it("an errorCode with an id is a record", function()
    assert.equal("J1", answer.read(response(200, '{"id":"J1","status":"error","errorCode":"90005"}')).id)
  end)

  it("E5: JSON text inside a string", function()
    local err = failure(200, [[{"success":false,"response":"{\n \"errorId\":\"x\",\"message\":\"No such report\",]]
      .. [[\"errorCode\":\"ZAN-USAGE-REST-ERROR\"\n}","links":null}]])
    assert.equal("ZAN-USAGE-REST-ERROR", err.code)
    assert.equal("No such report", err.message)
    err = failure(200, '{"success":false,"response":"plain words","errorCode":"E1"}')
    assert.equal("plain words", err.message)
    assert.equal("E1", err.code)
    assert.equal("inner", failure(200, '{"success":false,"response":{"message":"inner"}}').message)
  end)

  it("E6: the XML of the reporting service", function()
    local err = failure(500, '<zanResponse success="false"><response xsi:type="xs:string">{"message":"It is &lt;bad&gt;",'
      .. '"errorCode":"ZAN-REST-ERROR"}</response></zanResponse>')
    assert.equal("ZAN-REST-ERROR", err.code)
    assert.equal("It is <bad>", err.message)
    assert.equal("api", failure(200, '<zanResponse success="false"><response>no</response></zanResponse>').kind)
  end)

  it("E7: message and errorCode", function()
    for _, words in ipairs { "Token could not be decrypted.", "Token time was 2026-01-01" } do
      local err = failure(401, '{"message":"' .. words .. '","errorCode":"loginFailed"}')
      assert.equal("auth", err.kind)
      assert.equal("loginFailed", err.code)
      assert.equal(words, err.message)
    end
    for _, code in ipairs { "ZAN-REST-ERROR", "ZAN-USAGE-REST-ERROR" } do
      assert.equal(code, failure(400, '{"message":"m","errorCode":"' .. code .. '"}').code)
    end
  end)

  it("E8: a message alone", function()
    local err = failure(401, '{"message":"Authentication error"}')
    assert.equal("auth", err.kind)
    assert.equal("Authentication error", err.message)
    assert.equal("api", failure(400, '{"message":"No bearer token"}').kind)
  end)

  it("E9: over a limit, in words", function()
    local err = failure(429, '{"code":"REQUEST_EXCEEDED_LIMIT","message":"Slow down"}')
    assert.equal("REQUEST_EXCEEDED_LIMIT", err.code)
    assert.is_true(err.retryable)
  end)

  it("E10: Success and Errors with capitals", function()
    local err = failure(200, '{"Success":false,"Errors":[{"Code":"INVALID_VALUE","Message":"Wrong"}]}')
    assert.equal("INVALID_VALUE", err.code)
    assert.equal("Wrong", err.message)
    assert.equal("Wrong", err.reasons[1].message)
  end)

  it("E11: faults, in JSON and in SOAP", function()
    local err = failure(500, '{"faultcode":"fns:INVALID_SESSION","faultstring":"invalid session"}')
    assert.equal("fns:INVALID_SESSION", err.code)
    err = failure(500, "<soapenv:Envelope><soapenv:Body><soapenv:Fault><faultcode>fns:MALFORMED_QUERY</faultcode>"
      .. "<detail><fns:FaultCode>MALFORMED_QUERY</fns:FaultCode><fns:FaultMessage>bad query</fns:FaultMessage></detail>"
      .. "</soapenv:Fault></soapenv:Body></soapenv:Envelope>")
    assert.equal("MALFORMED_QUERY", err.code)
    assert.equal("bad query", err.message)
  end)

  it("E12: a code that is a small number", function()
    local err = failure(404, '{"code":1003,"message":"Not so"}')
    assert.equal("1003", err.code)
    assert.equal("415", failure(415, '{"code":415,"message":"HTTP 415 Unsupported Media Type"}').code)
    -- On a job it is a record of something that failed.
    local body = '{"data":{"id":"1","queryStatus":"failed","errorCode":"LINK_10000005","errorMessage":"m"}}'
    assert.equal("failed", answer.read(response(200, body)).data.queryStatus)
  end)

  it("E10: nothing found", function()
    local err = failure(404, '{"records":{},"size":0,"done":true}')
    assert.equal("api", err.kind)
    assert.equal("nothing was found", err.message)
  end)

  it("E13: the gateway's form", function()
    local err = failure(400, '{"timestamp":"2026-01-01","status":400,"error":"Bad Request","message":"Nope","path":"/x"}')
    assert.equal("api", err.kind)
    assert.equal("Nope", err.message)
    assert.equal(400, err.status)
    assert.is_nil(err.code) -- "Bad Request" is the status once more
  end)

  it("E14: unrecognised fields", function()
    assert.equal("Error - unrecognised fields", failure(400, '{"message":"Error - unrecognised fields"}').message)
  end)

  it("E15: pages of HTML, and nothing at all", function()
    local err = failure(414, "<html><head><title>414 Request-URI Too Large</title></head></html>")
    assert.equal("http", err.kind)
    assert.matches("414 Request%-URI Too Large", err.message)
    err = failure(502, "")
    assert.equal("http", err.kind)
    assert.is_true(err.retryable)
    assert.matches("Bad gateway", failure(502, "Bad gateway").message)
  end)

  it("E16: a file that is too large is told, and is no matter of credentials", function()
    local err = failure(403, "<security:max-object-size>2047MB</security:max-object-size>")
    assert.equal("api", err.kind)
    assert.matches("2047MB", err.message)
  end)

  it("E17: assorted", function()
    assert.equal("request exceeded limit", failure(429, '{"message":"request exceeded limit"}').message)
    local err = failure(400, '{"error":{"code":"c1","message":"m1"}}')
    assert.equal("c1", err.code)
    assert.equal("m1", err.message)
    err = failure(400, '{"errors":[{"title":"t1","code":7}]}')
    assert.equal("7", err.code)
    assert.equal("t1", err.message)
    err = failure(401, '{"error":"invalid_client","error_description":"unknown"}')
    assert.equal("invalid_client", err.code)
    assert.equal("unknown", err.message)
  end)

  it("403 is a matter of credentials, too", function()
    assert.equal("auth", failure(403, '{"reasons":[{"code":90000010,"message":"x"}]}').kind)
  end)

  it("sees the failure behind a byte order mark", function()
    assert.equal("no", failure(400, '\239\187\191{"message":"no"}').message)
  end)

  it("sees failures on HTTP 200 where a value should be", function()
    for _, body in ipairs { '{"reasons":[{"code":50000070,"message":"m"}]}', '{"message":"m"}',
      '{"code":"REQUEST_EXCEEDED_LIMIT","message":"m"}', '{"code":1003,"message":"m"}',
      '{"faultcode":"fns:X","faultstring":"m"}', '{"errors":["m"]}' } do
      local err = failure(200, body)
      assert.equal("api", err.kind, body)
      assert.equal("m", err.message)
    end
    assert.is_table((answer.read(response(200, '{"success":true,"message":"done"}'))))
  end)

  it("takes text for text, though it begins as a byte order mark does", function()
    assert.equal("http", failure(500, "\239\188\161 error").kind)
    assert.equal("http", failure(500, "\239").kind)
    assert.equal("json", failure(200, "\239\188\161").kind)
  end)

  it("calls an empty answer empty", function()
    assert.equal("HTTP 502, and an empty answer", failure(502, "").message)
    assert.equal("the answer should be JSON, and is empty", failure(200, "").message)
    local _, err = answer.read_text(response(200, "", { ["content-type"] = "text/html" }))
    assert.equal("the answer is empty", err.message)
    _, err = answer.read_file(response(200, "", { ["content-type"] = "text/html" }))
    assert.equal("a file was asked for, and the answer is empty", err.message)
  end)

  it("names a redirect's host alone", function()
    assert.matches("a redirect is not followed", failure(302, "").message)
    assert.matches("a redirect to another place on the same host is not", failure(302, "", { location = "/x?y=1" }).message)
    assert.matches("to elsewhere%.example is not", failure(302, "", { location = "//elsewhere.example/x?y=1" }).message)
    local err = failure(302, "", { location = "https://user:secret@elsewhere.example/path?token=x" })
    assert.equal("http", err.kind)
    assert.matches("to elsewhere%.example is not followed", err.message)
    assert.is_nil(tostring(err):find("secret", 1, true))
  end)

  it("takes no page and no broken JSON for an answer", function()
    for _, body in ipairs { "", "<html><title>Login</title></html>", '{"success":true', "[1", '\239\187\191{"a":1}', "hello" } do
      assert.equal("json", failure(200, body).kind)
    end
    assert.matches("Login", failure(200, "<html><title>Login</title></html>").message)
  end)

  it("reads how long to wait from the header, or from the words", function()
    local err = failure(429,
      '{"reasons":[{"code":70,"message":"API Rate limit exceeded for the minute, retry after 17 seconds"}]}')
    assert.equal(17, err.retry_after)
    assert.equal("70", err.code)
    local with_header = response(429, '{"message":"x"}')
    with_header.retry_after = 5
    assert.equal(5, select(2, answer.read(with_header)).retry_after)
  end)

  it("keeps what helps to find a call again in Zuora's logs", function()
    local err = failure(400, '{"success":false,"processId":"P1","requestId":"r-1","reasons":[{"code":53100320,"message":"m"}]}')
    assert.equal("P1", err.process_id)
    assert.equal("r-1", err.request_id) -- of the body, where the header is missing
    err = failure(400, '{"success":false,"processId":"P1","requestId":"r-1","message":"m"}',
      { ["zuora-request-id"] = "R9", ["zuora-track-id"] = "T9" })
    assert.equal("R9", err.request_id)
    assert.equal("T9", err.track_id)
    assert.equal("P1", err.process_id)
  end)

  it("reads text that is not to be JSON", function()
    assert.equal("<a/>", answer.read_text(response(200, "<a/>", { ["content-type"] = "application/xml" }), "xml"))
    local function text_failure(of, wanted)
      local text, err = answer.read_text(of, wanted)
      assert.is_nil(text)
      return err
    end
    assert.equal("http", text_failure(response(200, "hello", { ["content-type"] = "text/plain" }), "xml").kind)
    assert.equal("http", text_failure(response(200, "<html>", { ["content-type"] = "text/html" })).kind)
    assert.equal("api", text_failure(response(200, '{"success":false,"message":"m"}',
      { ["content-type"] = "application/json" }), "xml").kind)
    assert.equal("{ a text", answer.read_any(response(200, "{ a text", { ["content-type"] = "text/plain" })))
  end)

  it("reads the errors of the store of result files", function()
    local err = failure(403, '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
      .. "<Message>Request has expired</Message><RequestId>1</RequestId></Error>")
    assert.equal("AccessDenied", err.code)
    assert.equal("Request has expired", err.message)
  end)

  it("knows codes that are worth another try", function()
    assert.is_true(failure(200, '{"success":false,"reasons":[{"code":50000050,"message":"locked"}]}').retryable)
  end)

  it("tells a file from what is none", function()
    assert.is_true((answer.read_file({ status = 200, to_sink = true, headers = {}, bytes = 4 }, "a,b\n")))
    local function file_failure(of)
      local done, err = answer.read_file(of)
      assert.is_nil(done)
      return err
    end
    local err = file_failure(response(200, "<html><title>Log in</title></html>"))
    assert.equal("http", err.kind)
    assert.matches("Log in", err.message)
    err = file_failure(response(200, '{"success":false,"reasons":[{"code":50000040,"message":"gone"}]}'))
    assert.equal("api", err.kind)
    assert.equal("gone", err.message)
    assert.equal("api", file_failure(response(404, '{"reasons":[{"code":50000040,"message":"gone"}]}')).kind)
  end)
end)
