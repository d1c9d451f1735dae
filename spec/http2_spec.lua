-- HTTP/2 over TLS, against a real nginx that passes on to a simulator. (The simulator speaks HTTP/1.1.)

local core = require "zuora.core"
local nginx = require "spec.nginx"
local socket = require "socket"
local streams = require "spec.streams"
local support = require "spec.support"

describe("HTTP/2", function()
  local missing = nginx.missing()
  if missing then
    pending(missing)
    return
  end

  local sim, server, job

  local function client_new(options, at)
    options = options or {}
    at = at or server
    options.base_url, options.ca_file, options.proxy = options.base_url or at.secure, at.ca_file, ""
    return support.client(sim, options)
  end

  -- The same call many times, side by side.
  local function gets(client, count)
    local tasks = {}
    for i = 1, count do
      tasks[i] = function() return assert(client.jobs:get(job.id)) end
    end
    client:run(table.unpack(tasks))
  end

  setup(function()
    sim = support.simulator { looks = 1, objects = { Account = { generate = { rows = 20000, seed = 1 } },
      Big = { generate = { rows = 200000 } } } }
    server = nginx.start("nginx", sim.url)
    local client <close> = client_new()
    job = assert(client.jobs:submit { queries = { { name = "Account", query = "select Id, Name from Account" } } })
    assert(job:wait(support.soon))
    job = { id = job.id, file = job:batch "Account":file_ids()[1] }
  end)
  teardown(function()
    server:stop()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
    support.write(server.directory .. "/access.log", "")
  end)

  local shares = support.multiplexes()

  it("carries many requests side by side on one connection; from a cold start on max_connections at most", function()
    local client <close> = client_new { username = sim.username, password = sim.password }
    gets(client, 1)
    sim:fault { on = "GET /v1/batch-query/*", kind = "delay", seconds = 0.05, times = "always" }
    gets(client, 40)
    local connections, protocols = server:connections("/", 41)
    assert.equal(shares and 1 or 8, connections)
    assert.equal("HTTP/2.0", protocols)
    assert.equal(41, #server:logged("/v1/batch-query/", 41))
    support.write(server.directory .. "/access.log", "")
    local cold <close> = client_new { username = sim.username, password = sim.password, max_connections = 3 }
    gets(cold, 40)
    assert.is_true(server:connections("/", 40) <= 3)
  end)

  it("brings files that are more than a turn takes, side by side, and small calls between them", function()
    local client <close> = client_new { username = sim.username, password = sim.password }
    local big = assert(client.jobs:submit { queries = { { name = "Big", query = "select * from Big" } } })
    local file = assert(big:wait(support.soon)):batch "Big":file_ids()[1]
    local directory, sizes, ended, calls = support.scratch "http2big", {}, 0, 0
    local function download(i)
      return function()
        sizes[i] = assert(client.files:download(file, directory .. "/" .. i, { resume = true })).bytes
        ended = ended + 1
      end
    end
    client:run(download(1), download(2), download(3), function()
      repeat
        assert(client.jobs:get(job.id))
        calls = calls + 1
      until ended == 3
    end)
    assert.is_true(sizes[1] > 15 * 1024 * 1024, sizes[1]) -- some turns
    assert.same({ sizes[1], sizes[1], sizes[1] }, sizes)
    assert.is_true(calls > 1)
    for i = 2, 3 do assert(os.execute(("cmp -s %s/1 %s/%d"):format(directory, directory, i))) end
  end)

  it("leaves a connection on which nothing comes any more", function()
    -- A relay that forwards what comes on its connections, but for the dead ones, which nobody ends.
    local listener, ends, dead, accepted = assert(socket.bind("127.0.0.1", 0)), {}, {}, 0
    listener:settimeout(0)
    local function relay()
      local from = listener:accept()
      if from then
        accepted = accepted + 1
        local to = assert(socket.connect("127.0.0.1", tonumber(server.secure:match ":(%d+)$")))
        from:settimeout(0)
        to:settimeout(0)
        ends[#ends + 1] = { from, to, number = accepted }
      end
      for _, pair in ipairs(ends) do
        for i = 1, dead[pair.number] and 0 or 2 do
          local data, _, part = pair[i]:receive(65536)
          data = data or part
          if data and #data > 0 then pair[3 - i]:send(data) end
        end
      end
    end
    local client <close> = client_new { timeout = 0.5, base_url = "https://127.0.0.1:" .. select(2, listener:getsockname()) }
    local function get()
      local done, value, err
      client:spawn(function()
        value, err = client.jobs:get(job.id, { total_timeout = 20 })
        done = true
      end)
      local ends_at = core.now() + 20
      while not done and core.now() < ends_at do
        client:step(0.01)
        relay()
      end
      return value, err
    end
    assert(get())
    dead[1] = true
    assert(get()) -- its second try is on a connection of its own
    assert(get())
    for _, pair in ipairs(ends) do
      pair[1]:close()
      pair[2]:close()
    end
    listener:close()
  end)

  it("does not have everybody wait behind a handshake that stalls", function()
    local silent = assert(socket.bind("127.0.0.1", 0, 32)) -- TCP is made, and TLS never answered
    local client <close> = client_new { connect_timeout = 0.3, retries = 0, max_connections = 16,
      base_url = "https://127.0.0.1:" .. select(2, silent:getsockname()), token = "t" }
    local started, tasks = core.now(), {}
    for i = 1, 8 do
      tasks[i] = function()
        local _, err = client.jobs:get "x"
        assert.equal("transport", err.kind)
      end
    end
    client:run(table.unpack(tasks))
    assert.is_true(core.now() - started < 1.5)
    silent:close()
  end)

  it("keeps to the number of streams that the server takes, and to max_connections", function()
    local narrow <close> = nginx.start("nginx-narrow", sim.url, { more = "http2_max_concurrent_streams 4;" })
    local client <close> = client_new({ max_connections = 3 }, narrow)
    sim:fault { on = "GET /v1/batch-query/*", kind = "delay", seconds = 0.05, times = "always" }
    gets(client, 40)
    assert.is_true(narrow:connections("/v1/batch-query/", 40) <= 3)
    assert.equal(40, #narrow:logged("/v1/batch-query/", 40))
  end)

  it("is not spoken without TLS", function()
    local client <close> = client_new { base_url = server.plain }
    gets(client, 10)
    assert.equal("HTTP/1.1", select(2, server:connections "/"))
  end)

  it("brings a file that is whole, and goes on with it after a break", function()
    local client <close> = client_new()
    local path = server.directory .. "/download"
    local whole = assert(client.files:download(job.file, path))
    assert.equal(20000, whole.records)
    assert.equal("HTTP/2.0", select(2, server:connections "/v1/files/"))
    sim:forget()
    sim:fault { on = "GET /v1/files/*", kind = "cut", after = 200000 }
    local again = assert(client.files:download(job.file, path .. "2", { resume = true }))
    assert.equal(whole.bytes, again.bytes)
    assert.equal(support.read(path), support.read(path .. "2"))
    local asked = support.sent(sim, "GET", "/v1/files/")
    assert.equal(2, #asked)
    assert.matches("^bytes=%d+%-$", asked[2].headers.range)
  end)

  it("brings many files side by side, and again and again", function()
    support.write(server.directory .. "/static/file", ("x"):rep(1000))
    local session <close> = core.session { max_connections = 8 }
    for _ = 1, 100 do
      local requests, sinks = {}, {}
      for i = 1, 8 do
        sinks[i] = assert(core.sink { directory = server.directory })
        requests[i] = assert(session:start { url = server.secure .. "/static/file", ca = server.ca_file, proxy = "",
          sink = sinks[i] })
      end
      for i = 1, 8 do
        assert.equal(1000, assert(support.finish(session, requests[i])).bytes)
        sinks[i]:close()
      end
    end
    assert.equal("HTTP/2.0", select(2, server:connections "/static/"))
    local client <close> = client_new { retries = 0 }
    local queries = {}
    for i = 1, 8 do queries[i] = { name = "b" .. i, query = "select Id from Account where Name = 'x'" } end
    local many = assert(assert(client.jobs:submit { queries = queries }):wait(support.soon))
    for _ = 1, 5 do assert.equal(8, #assert(many:download(server.directory .. "/many"))) end
  end)

  it("asks again after a stream that was reset, and takes the connection for sound", function()
    local client <close> = client_new()
    sim:fault { on = "GET /v1/batch-query/*", kind = "cut", after = 5 }
    assert(client.jobs:get(job.id))
    assert.equal(2, #support.sent(sim, "GET", "/v1/batch-query/"))
    assert.equal(1, (server:connections("/v1/batch-query/", 2)))
    local once <close> = client_new { retries = 0 }
    sim:fault { on = "GET /v1/batch-query/*", kind = "cut", after = 5 }
    local _, err = once.jobs:get(job.id)
    assert.equal("transport", err.kind)
    assert.equal("HTTP2_STREAM", err.curl)
    assert.is_true(err.retryable)
  end)

  it("takes no stream that was reset for a file that is whole", function()
    local body = "a,b\n" .. ("1,2\n"):rep(1000)
    local cutting = streams.start(body, server.directory)
    local client <close> = client_new { base_url = cutting.url, token = "t" }
    local path, written, err = server.directory .. "/reset", nil, nil
    client:spawn(function() written, err = client.files:download("x", path) end)
    local ends_at = core.now() + 20
    while client:step(0.01) and core.now() < ends_at do cutting:step() end
    cutting:stop()
    assert(written, tostring(err))
    assert.equal(2, cutting.requests)
    assert.equal(body, support.read(path))
  end)

  it("lets the other streams go on when one is reset", function()
    local client <close> = client_new()
    local path = server.directory .. "/beside"
    sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 5000, seconds = 0.005 }
    sim:fault { on = "GET /v1/batch-query/*", kind = "cut", after = 5, times = 3 }
    client:run(function() assert(client.files:download(job.file, path)) end, function() assert(client.jobs:get(job.id)) end)
    assert.equal(1, #support.sent(sim, "GET", "/v1/files/"))
  end)

  it("survives a server that says goodbye after every third request", function()
    local short <close> = nginx.start("nginx-short", sim.url, { more = "keepalive_requests 3;" })
    local client <close> = client_new({}, short)
    for _ = 1, 10 do assert(client.jobs:get(job.id)) end
    gets(client, 30)
    assert.is_true(short:connections("/v1/batch-query/", 40) >= 10)
    assert.equal(1, #support.sent(sim, "POST", "/oauth"))
  end)

  it("asks again when the server dies with many streams open", function()
    local client <close> = client_new()
    gets(client, 1)
    sim:fault { on = "GET /v1/batch-query/*", kind = "delay", seconds = 0.3, times = 10 }
    client:run(function() gets(client, 10) end, function()
      client:sleep(0.1)
      server:crash()
    end)
  end)

  it("sends a request that must not be repeated on a connection of its own, and once", function()
    local session <close> = core.session {}
    local function start(options)
      options.url, options.ca, options.proxy = server.secure .. options.path, server.ca_file, ""
      options.path = nil
      return session:start(options)
    end
    sim:fault { on = "* /v1/slow", kind = "delay", seconds = 0.5, times = "always" }
    local function step_for(seconds)
      local ends_at = core.now() + seconds
      repeat session:step(0.01) until core.now() > ends_at
    end
    local post = start { path = "/v1/slow", method = "POST", body = "once", fresh = true }
    step_for(0.2)
    -- Another one joins it, so that libcurl would repeat both; then the connection is reset.
    server:freeze()
    local joined = start { path = "/v1/slow" }
    step_for(0.1)
    server:crash()
    local response, message, name = support.finish(session, post)
    assert.is_nil(response)
    if shares then
      assert.equal("SEND_ERROR", name)
      assert.equal("the connection ended before there was an answer", message)
    end
    support.finish(session, joined)
    assert.equal(1, #support.sent(sim, "POST", "/v1/slow"))
  end)

  it("gives a fresh request its own connection, with a body and without", function()
    local session <close> = core.session {}
    for _, body in ipairs { "x", "" } do
      for _, fresh in ipairs { false, true } do
        assert(support.finish(session, session:start { url = server.secure .. "/v1/y" .. body, ca = server.ca_file,
          proxy = "", method = "POST", body = body, fresh = fresh }))
      end
    end
    assert.equal(2, (server:connections("/v1/yx", 2)))
    assert.equal("HTTP/2.0", select(2, server:connections("/v1/yx", 2)))
    assert.equal("x", support.sent(sim, "POST", "/v1/yx")[2].body)
    assert.equal("HTTP/1.1 HTTP/2.0", select(2, server:connections("/v1/y", 4)))
  end)
end)
