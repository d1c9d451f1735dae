local core = require "zuora.core"
local support = require "spec.support"

describe("client:request", function()
  local sim, client

  setup(function()
    sim = support.simulator()
    client = support.client(sim)
    client.jobs:get "x" -- the token
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  local function answer(status, body, media_type, more)
    local headers = { ["Content-Type"] = media_type or "application/json" }
    for name, value in pairs(more or {}) do headers[name] = value end
    sim:fault { on = "* /v1/x*", kind = "status", status = status, body = body, headers = headers }
  end

  it("gives the value of any endpoint, with this client's credentials", function()
    answer(200, '{"success":true,"name":"Ærø","count":3}', nil, { ["X-Other"] = "R1" })
    local value, answered = client:request { path = "/v1/x", query = { b = { 1, "c&d" }, a = true } }
    assert.equal(3, value.count)
    assert.equal(200, answered.status)
    assert.equal("R1", answered.headers["x-other"])
    local sent = sim:journal()[1]
    assert.equal("GET", sent.method)
    assert.equal("/v1/x?a=true&b=1&b=c%26d", sent.target)
    assert.equal("Bearer ***", sent.headers.authorization)
    assert.equal("application/json", sent.headers.accept)
    assert.is_nil(sent.headers["content-type"])
    assert.is_nil(sent.headers["idempotency-key"])
  end)

  it("sends a table as JSON and a text as it is, under an idempotency key where Zuora takes one", function()
    for method, keyed in pairs { POST = true, PATCH = true, PUT = false } do
      sim:forget()
      answer(200, '{"success":true}')
      assert(client:request { method = method, path = "/v1/x", body = { a = { 1 } } })
      local sent = sim:journal()[1]
      assert.equal(method, sent.method)
      assert.same({ a = { 1 } }, core.decode(sent.body))
      assert.equal("application/json", sent.headers["content-type"])
      assert.equal(keyed, sent.headers["idempotency-key"] ~= nil)
    end
    sim:forget()
    answer(200, '{"success":true}')
    assert(client:request { method = "POST", path = "/v1/x", body = "a;b", content_type = "text/csv", safe = true,
      headers = { ["X-Zuora-WSDL-Version"] = "79" }, track_id = "T" })
    local sent = sim:journal()[1]
    assert.equal("a;b", sent.body)
    assert.equal("text/csv", sent.headers["content-type"])
    assert.equal("79", sent.headers["x-zuora-wsdl-version"])
    assert.equal("T", sent.headers["zuora-track-id"])
    assert.is_nil(sent.headers["idempotency-key"])
  end)

  it("goes below another base", function()
    client:request { base = "reporting", path = "/reportruns/y" }
    assert.equal("/reporting/api/rest/v1/reportruns/y", sim:journal()[1].target)
  end)

  it("gives what is no JSON as text, and a page for people as an error", function()
    answer(200, "<a/>", "application/xml")
    assert.equal("<a/>", (client:request { path = "/v1/x", accept = "application/xml" }))
    answer(200, "", "text/plain")
    assert.equal("", (client:request { path = "/v1/x" }))
    answer(204, "")
    local value, answered = client:request { method = "DELETE", path = "/v1/x" }
    assert.equal("", value)
    assert.equal(204, answered.status)
    answer(200, "<html><title>Log in</title></html>", "text/html")
    local _, err = client:request { path = "/v1/x" }
    assert.equal("http", err.kind)
    assert.matches("Log in", err.message)
  end)

  it("takes fields of other endpoints for what they are, and a success of false for none, whatever its type", function()
    for _, body in ipairs { '{"code":"USD","name":"US Dollar"}', '{"message":"queued","jobId":"1"}',
      '{"count":3,"errors":["w"]}', '{"status":"error","n":1}' } do
      answer(200, body)
      assert.same(core.decode(body), (client:request { path = "/v1/x" }))
    end
    for body, value in pairs { ['"text"'] = "text", ["5"] = 5, ["true"] = true, ["null"] = core.null } do
      answer(200, body)
      assert.equal(value, (client:request { path = "/v1/x" }))
    end
    for _, media_type in ipairs { "text/plain", "text/csv", "application/json" } do
      answer(200, '{"success":false,"reasons":[{"code":50000040,"message":"m"}]}', media_type)
      local _, err = client:request { path = "/v1/x" }
      assert.equal("api", err.kind)
      assert.equal("50000040", err.code)
    end
    answer(200, "{broken", "application/json")
    assert.equal("json", select(2, client:request { path = "/v1/x" }).kind)
  end)

  it("gives nothing that may be half of it", function()
    local packed = require "zlib".deflate(6, 31)(("a,b\n"):rep(5000), "finish")
    local half = packed:sub(1, #packed // 2)
    local quick <close> = support.quick_client(sim)
    quick.jobs:get "x"
    local function get(head, body, more)
      sim:heal()
      sim:forget()
      sim:fault { on = "* /v1/x*", kind = "garbage", times = "always", raw = "HTTP/1.1 " .. head .. "\r\n\r\n" .. body }
      local call = { path = "/v1/x" }
      for name, value in pairs(more or {}) do call[name] = value end
      return quick:request(call)
    end
    local length = "\r\nContent-Length: " .. #half
    for problem, head in pairs {
      ["does not say where it ends"] = "200 OK\r\nContent-Type: text/csv",
      ["is a part"] = "206 Partial\r\nContent-Type: text/csv\r\nContent-Range: bytes 0-1/9" .. length,
      ["is packed"] = "200 OK\r\nContent-Type: text/csv\r\nContent-Encoding: gzip" .. length,
    } do
      local value, err = get(head, head:find "gzip" and half or ("x"):rep(#half))
      assert.is_nil(value)
      assert.equal("incomplete", err.kind)
      assert.matches(problem, err.message)
      assert.equal(4, #support.sent(sim, "GET", "/v1/x"))
    end
    assert.is_nil((get("200 OK\r\nContent-Type: application/json\r\nContent-Encoding: br\r\nContent-Length: 2", "{}")))
    assert.equal(5, get("200 OK\r\nContent-Type: application/json", '{"a":5}').a)
    -- Not packed where it was not asked to be: at once, or when what came packed is no JSON.
    get("200 OK\r\nContent-Type: text/csv\r\nContent-Length: 1", "x", { accept = "text/csv" })
    assert.equal("identity", sim:journal()[1].headers["accept-encoding"])
    sim:heal()
    sim:forget()
    sim:fault { on = "* /v1/x*", kind = "garbage", raw = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
      .. #packed .. "\r\n\r\n" .. packed }
    answer(200, "whole", "text/plain")
    assert.equal("whole", (quick:request { path = "/v1/x" }))
    assert.equal("gzip", sim:journal()[1].headers["accept-encoding"])
    assert.equal("identity", sim:journal()[2].headers["accept-encoding"])
  end)

  it("gives errors as every call does", function()
    answer(404, '{"records":{},"size":0,"done":true}')
    local value, err = client:request { path = "/v1/x" }
    assert.is_nil(value)
    assert.equal("api", select(2, client:request { path = "/v1/y" }).kind)
    assert.equal("nothing was found", err.message)
    answer(200, '{"Success":false,"Errors":[{"Code":"INVALID_VALUE","Message":"m"}]}')
    assert.equal("INVALID_VALUE", select(2, client:request { path = "/v1/x" }).code)
    answer(200, '{"Id":"1","Success":true,"message":"fine"}')
    assert.equal("1", client:request { path = "/v1/x" }.Id)
  end)

  it("is retried where that is safe: reads, keyed calls without an answer, and what was never taken", function()
    local quick <close> = support.quick_client(sim)
    quick.jobs:get "x"
    local function requests(kind, call)
      sim:heal()
      sim:forget()
      sim:fault(kind)
      local value, err = quick:request(call)
      return #support.sent(sim, call.method or "GET", "/v1/batch-query/jobs/x"), value, err
    end
    local on = "* /v1/batch-query/jobs/x"
    local broken, busy = { on = on, kind = "reset" }, { on = on, kind = "status", status = 503 }
    local limited = { on = on, kind = "status", status = 429 }
    local path = "/v1/batch-query/jobs/x"
    assert.equal(2, (requests(broken, { path = path })))
    assert.equal(2, (requests(busy, { path = path })))
    assert.equal(2, (requests(busy, { method = "DELETE", path = path })))
    assert.equal(2, (requests(broken, { method = "POST", path = path, body = {} })))
    assert.equal(1, (requests(busy, { method = "POST", path = path, body = {} })))
    assert.equal(2, (requests(busy, { method = "POST", path = path, body = {}, safe = true })))
    local count, _, err = requests(broken, { method = "PUT", path = path, body = {} })
    assert.equal(1, count)
    assert.equal("transport", err.kind)
    assert.equal(1, (requests(busy, { method = "PUT", path = path, body = {} })))
    assert.equal(2, (requests(limited, { method = "PUT", path = path, body = {} })))
  end)

  it("takes an answer of nothing for a success, whatever its type", function()
    local function answered(on, status, length)
      sim:fault { on = on, kind = "garbage",
        raw = ("HTTP/1.1 %d X\r\nContent-Type: text/html\r\n%s\r\n"):format(status, length or "Content-Length: 0\r\n") }
    end
    for _, status in ipairs { 200, 202, 204 } do
      answered("DELETE *", status, status == 204 and "" or nil)
      local value, told = client:request { method = "DELETE", path = "/v1/x" }
      assert.equal("", value)
      assert.equal(status, told.status)
    end
    answered("HEAD *", 200, "Content-Length: 5\r\n")
    assert.equal("", (client:request { method = "HEAD", path = "/v1/x" }))
    answered("DELETE *", 404)
    assert.is_nil((client:request { method = "DELETE", path = "/v1/x" }))
  end)

  it("goes nowhere but to the host of its base", function()
    local function raises(words, call)
      local ok, message = pcall(function() client:request(call) end)
      assert.is_false(ok, words)
      assert.matches(words, message)
      assert.matches("^%.?/?spec/request_spec%.lua:%d+: bad argument", message)
    end
    for _, path in ipairs { "", "v1/x", "http://evil.example/", ".evil.example/", "@evil.example/", "/a b", "/a?b=c", "/a#b",
      "/a/../b", "/./a", "/a/%2e%2E/b", "/a\\b", "/a\r\nX: y", 5 } do
      raises("'path' to client:request", { path = path })
    end
    raises("'path' to client:request %(missing%)", {})
    raises("'call'", nil)
    raises("'method'", { path = "/x", method = "TRACE" })
    raises("'base'", { path = "/x", base = "oauth" })
    raises("'body'", { path = "/x", method = "POST", body = { print } })
    for _, method in ipairs { "GET", "HEAD" } do raises("'body'", { path = "/x", method = method, body = {} }) end
    raises("'query'", { path = "/x", query = { 1 } })
    raises("'query.a'", { path = "/x", query = { a = { {} } } })
    raises("'query.a'", { path = "/x", query = { a = 1.5 } })
    for _, bad in ipairs { { k = "v" }, {}, { nil, "z" } } do raises("'query.a'", { path = "/x", query = { a = bad } }) end
    raises("'timout'", { path = "/x", timout = 1 })
    raises("'idempotency_key'", { path = "/x", idempotency_key = "k" })
    for _, header in ipairs { "Authorization", "apiAccessKeyId", "APISECRETACCESSKEY", "Cookie", "Host", "Idempotency-Key",
      "Content-Length", "transfer-encoding", "Range", "Zuora-Track-Id", "entityName", "Proxy-Authorization",
      "Content-Type", "a b", "a:b" } do
      raises("'headers", { path = "/x", headers = { [header] = "v" } })
    end
    raises("'headers", { path = "/x", headers = { A = "a\r\nB: c" } })
    raises("'headers", { path = "/x", headers = { A = " " } })
    assert.equal(0, #sim:journal())
  end)

  it("has the core keep credentials to the base, too", function()
    local session = core.session {}
    local connection = core.endpoints { session = session, bases = { a = sim.url } }
    for words, target in pairs {
      ["either 'base' or 'url'"] = {}, ["'path' must begin with a slash"] = { base = "a", path = ".evil.example" },
      ["no base 'b'"] = { base = "b" }, ["'path' and 'query' go with 'base'"] = { url = sim.url, path = "/x" },
      ["control characters"] = { base = "a", path = "/x\r\n" }, ["unknown option 'headers'"] = { base = "a", headers = {} },
      ["not a method"] = { base = "a", method = "G T" },
    } do
      assert.error_matches(function() core.request(connection, target) end, words)
    end
    connection:headers("a", { ["X-Secret"] = "s" })
    local function sent(target)
      sim:forget()
      support.finish(session, assert(core.request(connection, target)))
      return sim:journal()[1]
    end
    assert.equal("s", sent({ base = "a", path = "/p", query = "q=1" }).headers["x-secret"])
    assert.equal("/p?q=1", sent({ base = "a", path = "/p", query = "q=1" }).target)
    assert.is_nil(sent({ url = sim.url .. "/p" }).headers["x-secret"])
    session:close()
  end)
end)
