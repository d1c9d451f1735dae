local core = require "zuora.core"
local support = require "spec.support"
local zuora = require "zuora"

describe("core.session", function()
  local sim, session

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function() session = core.session { max_connections = 4 } end)
  after_each(function()
    session:close()
    sim:heal()
    sim:forget()
  end)

  local function get(options)
    options.url = sim.url .. (options.path or "/v1/files/x")
    options.path = nil
    return support.finish(session, assert(session:start(options)))
  end

  it("gives status, headers in lower case, body and sizes", function()
    local response = assert(get { headers = { ["Zuora-Track-Id"] = "abc" } })
    assert.equal(401, response.status)
    assert.equal("abc", response.headers["zuora-track-id"])
    assert.matches("Authentication error", response.body)
    assert.equal(#response.body, response.bytes)
    assert.is_false(response.to_sink)
  end)

  it("hands over each finished request once, in the order in which they finished", function()
    sim:fault { on = "GET /slow", kind = "delay", seconds = 0.3 }
    local slow = session:start { url = sim.url .. "/slow" }
    local fast = session:start { url = sim.url .. "/fast" }
    local seen = {}
    repeat
      local running, finished = session:step(1)
      for _, request in ipairs(finished) do seen[#seen + 1] = request end
    until running == 0
    assert.equal(2, #seen)
    assert.equal(fast, seen[1])
    assert.equal(slow, seen[2])
    assert.equal(404, slow:response().status)
    assert.same({}, select(2, session:step(0)))
  end)

  it("refuses to read a response that is not there yet", function()
    sim:fault { kind = "delay", seconds = 5 }
    local request = session:start { url = sim.url .. "/x" }
    assert.has_error(function() request:response() end)
    request:cancel()
    assert.equal("CANCELLED", select(3, request:response()))
    assert.equal(0, session:running())
  end)

  it("sends each method as it should be, bodies with their length", function()
    for _, method in ipairs { "GET", "DELETE", "POST", "PUT", "HEAD" } do
      local body = (method == "POST" or method == "PUT") and "payload" or nil
      assert(get { method = method, body = body, path = "/echo" })
    end
    local journal = sim:journal()
    for i, method in ipairs { "GET", "DELETE", "POST", "PUT", "HEAD" } do
      assert.equal(method, journal[i].method)
    end
    assert.equal("payload", journal[3].body)
    assert.equal("7", journal[4].headers["content-length"])
    assert.is_nil(journal[3].headers.expect)
    assert.equal("gzip", journal[1].headers["accept-encoding"])
  end)

  it("keeps connections, and makes a fresh one when that is asked for", function()
    get {}
    get {}
    get { fresh = true }
    local journal = sim:journal()
    assert.equal(journal[1].connection, journal[2].connection)
    assert.not_equal(journal[2].connection, journal[3].connection)
  end)

  it("stops at the ceiling for what is held in memory", function()
    sim:fault { kind = "status", status = 200, body = ("x"):rep(5000) }
    local response, message, name = get { limit = 4999 }
    assert.is_nil(response)
    assert.equal("TOO_LARGE", name)
    assert.matches("4999 bytes", message)
    sim:fault { kind = "status", status = 200, body = ("x"):rep(5000) }
    assert.equal(5000, assert(get { limit = 5000 }).bytes)
  end)

  it("names what went wrong, and says of which class that is", function()
    local function named(name, class, ...) assert.same({ name, class }, { (select(3, ...)), (select(4, ...)) }) end
    local function ended(name, class, request) named(name, class, support.finish(session, request)) end
    ended("COULDNT_CONNECT", "unsent", session:start { url = "http://127.0.0.1:1/", proxy = "" })
    ended("COULDNT_RESOLVE_HOST", "unsent", session:start { url = "http://nowhere.invalid/", proxy = "" })
    ended("UNSUPPORTED_PROTOCOL", "local", session:start { url = "file:///etc/passwd" })
    ended("UNSUPPORTED_PROTOCOL", "local", session:start { url = "ftp://127.0.0.1/" })
    sim:fault { kind = "garbage" }
    named("UNSUPPORTED_PROTOCOL", "local", get {}) -- HTTP/0.9 is not taken
    sim:fault { kind = "reset" }
    local name, class = select(3, get {})
    assert.is_true(name == "RECV_ERROR" or name == "GOT_NOTHING", name)
    assert.equal("broken", class)
    sim:fault { kind = "cut" }
    named("GOT_NOTHING", "broken", get {})
    sim:fault { kind = "cut", after = 3 }
    named("PARTIAL_FILE", "broken", get {})
    sim:fault { kind = "delay", seconds = 5 }
    named("OPERATION_TIMEDOUT", "timeout", get { timeout = 0.05 })
    sim:fault { kind = "delay", seconds = 5 }
    named("DEADLINE", "timeout", get { deadline = 0.05 })
  end)

  it("does not follow redirects", function()
    sim:fault { kind = "status", status = 302, headers = { Location = sim.url .. "/elsewhere" } }
    assert.equal(302, assert(get {}).status)
    assert.equal(1, #sim:journal())
  end)

  it("reads Retry-After in both forms, and ignores what is none", function()
    local function after(text)
      sim:fault { kind = "status", status = 503, headers = { ["Retry-After"] = text } }
      return assert(get {}).retry_after
    end
    assert.equal(7, after "7")
    assert.is_nil(after "soon")
    assert.is_nil(after "-5")
    assert.is_nil(after "Thu, 01 Jan 1970 00:00:01 GMT")
    local seconds = after(os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 100))
    assert.is_true(seconds > 90 and seconds <= 100)
  end)

  it("refuses an answer with two different lengths", function()
    sim:fault { kind = "garbage", raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc" }
    local response, _, name = get {}
    assert.is_nil(response)
    assert.is_true(name == "LENGTHS" or name == "WEIRD_SERVER_REPLY", name)
  end)

  it("takes only chunks and lengths for a proof that a file is whole", function()
    local path = support.scratch "framed" .. "/file"
    local function failure(raw)
      sim:fault { kind = "garbage", raw = "HTTP/1.1 200 OK\r\n" .. raw }
      local sink <close> = core.sink { path = path }
      return (select(3, get { sink = sink }))
    end
    assert.equal("UNFRAMED", failure "\r\nabc")
    assert.equal("UNFRAMED", failure "Transfer-Encoding: identity\r\n\r\nabc")
    assert.is_nil(failure "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert.is_nil(failure "Content-Length: 3\r\n\r\nabc")
  end)

  it("does not take headers that break off for headers that end", function()
    sim:fault { kind = "garbage", raw = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Le" }
    local response, _, name, class, status = get {}
    assert.is_nil(response)
    assert.equal("CUT_HEADERS", name)
    assert.equal("broken", class)
    assert.equal(200, status)
  end)

  it("is not brought down by a first header line that begins with a blank", function()
    sim:fault { on = "GET /folded", kind = "garbage", raw = "HTTP/1.1 200 OK\r\n x: y\r\n\r\n", times = "always" }
    -- In a process of its own: libcurl before 8.1.1 joined such a line to a header of the answer before.
    local text, status = support.lua(([[
      local core = require "zuora.core"
      local support = require "spec.support"
      local session <close> = core.session {}
      for _ = 1, 20 do
        support.finish(session, session:start { url = %q .. "/x" })
        print((select(3, support.finish(session, session:start { url = %q .. "/folded" }))))
      end
    ]]):format(sim.url, sim.url), os.getenv "SPEC_LUA_PREFIX")
    assert.equal(0, status, text)
    assert.equal(("WEIRD_SERVER_REPLY\n"):rep(20), text)
    -- The same of a client's calls, whose easy handles may be used again.
    sim:fault { on = "GET /v1/batch-query/*", kind = "garbage", raw = "HTTP/1.1 200 OK\r\n x: y\r\n\r\n", skip = 3,
      times = "always" }
    text, status = support.lua(([[
      local client <close> = require "zuora".new { base_url = %q, token = "t", retries = 0 }
      for _ = 1, 12 do print((select(2, client.jobs:get "x")).kind) end
    ]]):format(sim.url), os.getenv "SPEC_LUA_PREFIX")
    assert.equal(0, status, text)
    assert.equal(("auth\n"):rep(3) .. ("transport\n"):rep(9), text)
    sim:heal()
  end)

  it("tells lines of headers from the body when a handle is used again", function()
    local json = '{"id":"x","status":"completed"}'
    local final = "HTTP/1.1 200 OK\r\nContent-Length: " .. #json + 2 .. "\r\n\r\n \n" .. json
    local answers = { final, "HTTP/1.1 100 Continue\r\n\r\n" .. final,
      "HTTP/1.1 103 Early Hints\r\nA: b\r\n c\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" .. final,
      "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nTransfer-Encoding: chunked\r\n\r\n21\r\n \n" .. json .. "\r\n0\r\nD: e\r\n\r\n" }
    -- Of a line libcurl hands on 16 KiB at a time, and a blank may come first.
    answers[#answers + 1] = final:gsub("\r\n", "\r\nLong: " .. ("y"):rep(16384 - #"Long: ") .. " y\r\n", 1)
    local broken = { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n x: y\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\tx: y\r\n\r\n", " HTTP/1.1 200 OK\r\n x: y\r\n\r\n" }
    local client <close> = zuora.new { base_url = sim.url, token = "t", retries = 0 }
    for round = 1, 3 do
      for _, raw in ipairs(answers) do
        sim:fault { on = "GET /v1/batch-query/*", kind = "garbage", raw = raw }
        assert.equal("completed", assert(client.jobs:get "x").status)
      end
      sim:fault { on = "GET /v1/batch-query/*", kind = "garbage", raw = broken[round] }
      assert.equal("transport", select(2, client.jobs:get "x").kind)
    end
    sim:heal()
  end)

  -- An answer with so many lines beside a few others.
  local function with_lines(line, count, more)
    local lines = {}
    for i = 1, count do lines[i] = line:format(i) .. "\r\n" end
    sim:fault { kind = "garbage", raw = ("HTTP/1.1 200 OK\r\n%s%s\r\nabcde"):format(more or "", table.concat(lines)) }
  end

  it("joins what is repeated and what is folded", function()
    with_lines("X: %d", 3, "B:  b \r\nC: c\r\n \t d\r\n\te\r\nD:\r\nx: 0\r\n")
    local headers = assert(get {}).headers
    assert.same({ b = "b", c = "c d e", d = "", x = "0, 1, 2, 3" }, headers)
  end)

  for _, line in ipairs { "X: %d", "X%d: 1", "Content-Length: 5", "Content-Encoding: identity" } do
    it("takes time for headers that grows with their number: " .. line, function()
      local function seconds(count)
        local least = math.huge
        for _ = 1, 3 do
          local sink <close> = assert(core.sink { directory = "build/spec" })
          with_lines(line, count, "A: b\r\nContent-Length: 5\r\n")
          local started = os.clock()
          assert(get { sink = sink })
          least = math.min(least, os.clock() - started)
        end
        return least
      end
      -- A time that grows with the square would be 64 times as long.
      assert.is_true(seconds(8000) < 24 * seconds(1000))
    end)
  end

  it("takes a limited amount of headers, those of interim answers included", function()
    with_lines("X: " .. ("x"):rep(1000), 400)
    local response, message, name = get {}
    assert.is_nil(response)
    assert.equal("WEIRD_SERVER_REPLY", name)
    assert.matches("too large", message)
    sim:fault { kind = "garbage", raw = ("HTTP/1.1 100 Go\r\nX: " .. ("x"):rep(1000) .. "\r\n\r\n"):rep(400)
      .. "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
    assert.equal("WEIRD_SERVER_REPLY", (select(3, get {})))
  end)

  it("takes no trailer for a header", function()
    sim:fault { kind = "garbage", raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n" }
    assert.same({ ["transfer-encoding"] = "chunked" }, assert(get {}).headers)
  end)

  it("tells the status of an answer that broke off", function()
    sim:fault { kind = "cut", after = 3 }
    assert.equal(401, select(5, get {}))
  end)

  it("counts the time-out from when the request goes out, and the deadline from its start", function()
    session:close()
    session = core.session { max_connections = 1 }
    sim:fault { on = "GET /slow", kind = "delay", seconds = 0.3, times = 2 }
    local function both(options)
      options.url = sim.url .. "/x"
      local slow = session:start { url = sim.url .. "/slow" }
      session:step(0.05)
      local queued = session:start(options)
      support.finish(session, slow)
      return support.finish(session, queued)
    end
    assert.equal(404, assert(both { timeout = 0.2 }).status)
    local _, _, name = both { deadline = 0.1 }
    assert.equal("DEADLINE", name)
  end)

  it("says which descriptors to watch, and for how long", function()
    sim:fault { kind = "delay", seconds = 0.2 }
    assert.same({}, (session:fds()))
    local request = session:start { url = sim.url .. "/x" }
    session:step(0.05)
    local fds, seconds = session:fds()
    local fd, events = next(fds)
    assert.equal("integer", math.type(fd))
    assert.matches("^r?w?$", events)
    assert.is_number(seconds)
    while not request:finished() do session:step(0) end
    assert.equal(404, request:response().status)
  end)

  it("refuses control characters wherever they could end a line", function()
    for _, bad in ipairs { "a\r\nb", "a\nb", "a\rb", "a\0b", "a\127b" } do
      assert.has_error(function() session:start { url = sim.url .. "/" .. bad } end)
      assert.has_error(function() session:start { url = sim.url, method = bad } end)
      assert.has_error(function() session:start { url = sim.url, headers = { [bad] = "x" } } end)
      assert.has_error(function() session:start { url = sim.url, headers = { X = bad } } end)
      assert.has_error(function() session:start { url = sim.url, user_agent = bad } end)
    end
    assert.has_error(function() session:start { url = sim.url, headers = { ["a b"] = "x" } } end)
    assert.has_error(function() session:start { url = sim.url, headers = { ["a:b"] = "x" } } end)
    assert.has_error(function() session:start { url = sim.url, headers = { A = "" } } end)
    assert.has_error(function() session:start { url = sim.url, method = "GET x" } end)
    assert.equal(0, session:running())
    assert.equal(0, #sim:journal())
  end)

  it("sends a header once: the caller's own first, whatever its case", function()
    get { headers = { ["content-TYPE"] = "text/plain", accept = "text/csv", ["X-None"] = false }, path = "/echo" }
    local headers = sim:journal()[1].headers
    assert.equal("text/plain", headers["content-type"])
    assert.equal("text/csv", headers.accept)
    assert.is_nil(headers["x-none"])
    assert.has_error(function() session:start { url = sim.url, headers = { A = "  " } } end)
    assert.has_error(function() session:start { url = sim.url, headers = { A = 5 } } end)
    get { method = "POST", path = "/echo" }
    assert.is_nil(sim:journal()[2].headers["content-type"])
  end)

  it("lists descriptors, or says that it cannot", function()
    local text = support.lua(([[
      local core = require "zuora.core"
      local held = {}
      for i = 1, 1100 do held[i] = assert(io.open "/dev/null") end
      local session = core.session {}
      local request = session:start { url = %q }
      session:step(0)
      local ok, message = pcall(session.fds, session)
      print(ok, ok and next(message) ~= nil or message)
      while not request:finished() do session:step(1) end
      print(request:response().status)
    ]]):format(sim.url .. "/x"), "ulimit -n 4096;")
    assert.is_true(text:find("^true\ttrue\n") or text:find("^true\tfalse") or text:find("descriptor beyond") ~= nil, text)
    assert.matches("404\n$", text)
  end)

  it("raises for an unknown option by its name, and for unfit ones", function()
    assert.error_matches(function() session:start { url = sim.url, timout = 1 } end, "unknown option 'timout'")
    assert.error_matches(function() session:start { url = sim.url, timeout = "x" } end, "timeout")
    assert.error_matches(function() session:start { url = sim.url, timeout = 0 / 0 } end, "timeout")
    assert.error_matches(function() session:start { url = sim.url, limit = -1 } end, "limit")
    assert.error_matches(function() session:start { url = sim.url, fresh = 1 } end, "fresh")
    assert.error_matches(function() session:start { method = "GET" } end, "url")
    assert.error_matches(function() core.session { max_connectoins = 1 } end, "max_connectoins")
  end)

  it("is closed once, and raises when it is used afterwards", function()
    local request = session:start { url = sim.url .. "/x" }
    session:close()
    session:close()
    assert.has_error(function() session:start { url = sim.url } end)
    assert.has_error(function() session:step(0) end)
    assert.has_error(function() session:fds() end)
    assert.is_true(request:finished())
    assert.equal("CLOSED", select(3, request:response()))
    request:close()
    assert.matches("closed", tostring(session))
  end)

  it("lets go of requests that were cancelled", function()
    local weak = setmetatable({}, { __mode = "v" })
    do
      local request = session:start { url = sim.url .. "/x" }
      weak[1] = request
      request:cancel()
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)
end)
