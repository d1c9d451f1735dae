-- The short way from a response to its value, and what its requests share: it must never say anything but what the long
-- way says.

local core = require "zuora.core"
local responses = require "zuora.caller.responses"
local wire = require "spec.faults.wire"

describe("a request that differs from the others in its URL alone", function()
  local session, endpoints, server, seen, reply

  before_each(function()
    seen = {}
    server = wire.new(function(connection)
      for request in connection.request, connection do
        seen[#seen + 1] = request
        connection:send(reply)
      end
    end)
    session = core.session {}
    endpoints = core.endpoints { session = session, bases = { aqua = "http://127.0.0.1:" .. server.port },
      defaults = { proxy = "" } }
  end)
  after_each(function()
    session:close()
    server:close()
  end)

  local function get(options)
    local request = assert(core.jobs.get(endpoints, { id = "J" }, options))
    while not request:finished() do
      server:step()
      session:step(0.001)
    end
    return request
  end

  local BODIES = { "{}", '{"id":"J","status":"pending"}', '{"id":"J","status":"error"}', '{"status":"error"}',
    '{"success":true,"response":{"a":[1,2.5,null],"b":null}}', '{"success":false}', '{"success":"false"}', '{"Success":false}',
    '{"message":"no"}', '{"code":1}', '{"errorCode":"90001","id":"J"}', '{"reasons":[]}', '{"errors":null,"a":1}',
    '{"Errors":[{"Code":"1","Message":"x"}]}', '{"error":"invalid_client"}', '{"faultcode":"f"}', '[]', '[{"a":1}]',
    '[{"message":"no"}]', ' {"a":1}', "\239\187\191{}", '{"a":1', "null", "7", '"x"', "", "<html></html>", "{}{}",
    '{"a":{},"b":[],"c":[[]],"d":[null,true,false,null],"e":"","f":-1,"g":0}', '{"a":1,"a":2,"b":1,"b":null}', '{"a":tru}',
    '{"a":01}', '{"a":-}', '{"a":1,}', '[1,]', '[,]', '{"a" :\t1\r\n}\n', '{"a":"\\n\\u0041"}', '{"a":123456789012345}',
    '{"a":1234567890123456}', '{"a":"\195\164\1\255"}', ("["):rep(9) .. ("]"):rep(9), ("["):rep(101) .. ("]"):rep(101),
    "[" .. ("1,"):rep(200) .. "1]", '{"a":1}x', '{"a":1', '{"a', '{1:2}', '{"a":nul',
    '{"n":9007199254740993,"m":-0,"k":1e3}', '{"a":"' .. ("x"):rep(70000) .. '"}', '{"a":"\0"}', '{"\\u0000":1}' }

  it("is a success only where the long way says so, and gives what that gives", function()
    local successes = 0
    for _, status in ipairs { "200 OK", "201 Created", "204 No Content", "304 Not Modified", "400 Bad Request", "503 Busy" } do
      local no_body = status:find "^[23]04"
      for _, body in ipairs(BODIES) do
        reply = wire.reply(no_body and "" or body, { ["Content-Length"] = no_body and "" or #body }, status)
        local request <close> = get()
        local value = core.success(request)
        local expected = responses.read(assert(request:response()))
        if value ~= nil then
          successes = successes + 1
          assert.same(expected, value, status .. " " .. body)
        end
        assert.is_nil(core.success(request), "it was read")
      end
    end
    assert.equal(18, successes)
  end)

  it("tells of headers until it is read, those of one name together", function()
    reply = wire.reply("{}", { ["X-One"] = " a ", ["X-Two"] = "b\r\nX-Two: c" })
    local request <close> = get()
    assert.same({ nil, "a", "b, c", n = 3 }, table.pack(request:header("x-none", "x-one", "x-two")))
    request:response()
    assert.is_nil(request:header "x-one")
    reply = "HTTP/1.1 200 OK\r\nX-One: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}    "
    local broken <close> = get()
    assert.is_nil(broken:header "x-one")
    assert.has_error(function() request:header(table.unpack({}, 1, 17)) end)
  end)

  it("has no header of another one, and those of now", function()
    reply = wire.reply "{}"
    local function sent(options)
      get(options):close()
      return seen[#seen].headers
    end
    endpoints:headers("aqua", { Authorization = "Bearer one" })
    for _ = 1, 3 do assert.equal("Bearer one", sent().authorization) end
    local other = sent { headers = { ["X-Mine"] = "1", Authorization = "Bearer mine" }, user_agent = "other" }
    assert.same({ "1", "Bearer mine", "other" }, { other["x-mine"], other.authorization, other["user-agent"] })
    endpoints:headers("aqua", { Authorization = "Bearer two", ["X-All"] = "2" })
    for _ = 1, 3 do
      local headers = sent()
      assert.same({ nil, "Bearer two", "2", nil }, { headers["x-mine"], headers.authorization, headers["x-all"],
        headers["user-agent"] })
    end
    assert.equal(1, server.accepted)
  end)

  it("tells its name to the host, or to a proxy, and nothing else to one that is asked for a tunnel", function()
    reply = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    local function told(base, options)
      local own = core.endpoints { session = session, bases = { aqua = base }, defaults = {
        proxy = "http://127.0.0.1:" .. server.port, user_agent = "mine/1" } }
      own:headers("aqua", { Authorization = "Bearer secret" })
      local request <close> = assert(core.jobs.get(own, { id = "J" }, options))
      while not request:finished() do
        server:step()
        session:step(0.001)
      end
      return seen[#seen]
    end
    for _ = 1, 2 do
      local plain, tunnel = told "http://h.invalid", told "https://h.invalid"
      assert.equal("GET http://h.invalid/jobs/J HTTP/1.1", plain.line)
      assert.same({ "mine/1", "gzip", "Bearer secret" },
        { plain.headers["user-agent"], plain.headers["accept-encoding"], plain.headers.authorization })
      assert.equal("CONNECT h.invalid:443 HTTP/1.1", tunnel.line)
      assert.same({ host = "h.invalid:443", ["proxy-connection"] = "Keep-Alive", ["user-agent"] = "mine/1" }, tunnel.headers)
      assert.equal("his/1", told("http://h.invalid", { headers = { ["User-Agent"] = "his/1" } }).headers["user-agent"])
      assert.is_nil(told("https://h.invalid", { headers = { ["User-Agent"] = "his/1" } }).headers.authorization)
    end
  end)

  it("may end badly, and leave nothing of that to the next", function()
    reply = wire.reply("{}", { ["Content-Length"] = 3 })
    local cut = core.jobs.get(endpoints, { id = "J" })
    for _ = 1, 20 do
      server:step()
      session:step(0.001)
    end
    cut:cancel()
    reply = wire.reply '{"id":"J"}'
    for _ = 1, 20 do
      local request <close> = get()
      assert.same({ id = "J" }, core.success(request))
    end
  end)
end)
