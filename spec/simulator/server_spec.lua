-- What the simulator does on the wire: parts of files, packing, keys, TLS, life in one's own process.

local core = require "zuora.core"
local simulator = require "zuora.simulator"
local support = require "spec.support"

describe("the simulator's server", function()
  local sim, session, bearer, file_path

  setup(function()
    sim = support.simulator { objects = { Thing = { columns = { "Id", "Name" }, generate = { rows = 2000 } },
      Small = { columns = { "Id" }, rows = { { "1" } } } } }
    session = core.session {}
    local client <close> = support.client(sim)
    local job = assert(assert(client.jobs:submit { queries = { { name = "t", query = "select Id, Name from Thing" } } })
      :wait(support.soon))
    file_path = "/v1/files/" .. job.batches[1].fileId
    local response = support.finish(session, session:start { method = "POST", url = sim.url .. "/oauth/token",
      headers = { ["Content-Type"] = "application/x-www-form-urlencoded",
        Authorization = "Basic " .. require "mime".b64(sim.client_id .. ":" .. sim.client_secret) },
      body = "grant_type=client_credentials" })
    bearer = "Bearer " .. core.decode(response.body).access_token
  end)
  teardown(function()
    session:close()
    sim:stop()
  end)
  before_each(function() sim:heal() end)

  -- With what curl makes of it: our own core asks for gzip by itself.
  local function curl(options)
    local text, status = support.shell("curl -sS " .. options)
    return text, status
  end

  local function fetch(headers)
    headers = headers or {}
    headers.Authorization = bearer
    headers["Accept-Encoding"] = headers["Accept-Encoding"] or "identity"
    return assert(support.finish(session, session:start { url = sim.url .. file_path, headers = headers }))
  end

  it("says what time it is for the tenant", function()
    local other <close> = support.simulator()
    local function date()
      local client <close> = support.client(other)
      return select(2, client:request { path = "/v1/describe" }).headers.date
    end
    local now = os.time()
    local first = date()
    assert.is_true(first == os.date("!%a, %d %b %Y %H:%M:%S GMT", now)
      or first == os.date("!%a, %d %b %Y %H:%M:%S GMT", now + 1), first)
    other:forward(86400)
    assert.equal(os.date("!%a, %d %b %Y", now + 86400), date():match "^(.-) %d+:")
  end)

  it("sends parts of a file, and says when there is no such part", function()
    local whole = fetch()
    assert.equal(200, whole.status)
    assert.equal("bytes", whole.headers["accept-ranges"])
    local etag = whole.headers.etag
    assert.matches('^"%x+"$', etag)
    local part = fetch { Range = "bytes=100-199" }
    assert.equal(206, part.status)
    assert.equal(whole.body:sub(101, 200), part.body)
    assert.equal(("bytes 100-199/%d"):format(#whole.body), part.headers["content-range"])
    part = fetch { Range = ("bytes=%d-"):format(#whole.body - 5), ["If-Range"] = etag }
    assert.equal(206, part.status)
    assert.equal(whole.body:sub(-5), part.body)
    assert.equal(200, fetch { Range = "bytes=5-", ["If-Range"] = '"other"' }.status)
    assert.equal(200, fetch { Range = "nonsense" }.status)
    part = fetch { Range = ("bytes=%d-"):format(#whole.body) }
    assert.equal(416, part.status)
    assert.equal("bytes */" .. #whole.body, part.headers["content-range"])
  end)

  it("packs what is large enough, for whom it is welcome", function()
    local whole = fetch()
    local packed = fetch { ["Accept-Encoding"] = "gzip" }
    assert.equal("gzip", packed.headers["content-encoding"])
    assert.equal("chunked", packed.headers["transfer-encoding"])
    assert.matches('^W/"', packed.headers.etag)
    assert.equal(whole.body, packed.body) -- unpacked by libcurl
    local text = curl(("-H 'Authorization: %s' -H 'Accept-Encoding: gzip' %s%s | gzip -dc"):format(bearer, sim.url,
      file_path))
    assert.equal(whole.body, text)
    local response = support.finish(session, session:start { url = sim.url .. "/v1/files/none",
      headers = { Authorization = bearer } })
    assert.is_nil(response.headers["content-encoding"])
  end)

  it("spoils packed answers on demand", function()
    local outcomes = {}
    for _, how in ipairs { "flip", "cut", "more" } do
      sim:fault { on = "GET *", kind = "gzip", how = how }
      local text = curl(("-H 'Authorization: %s' -H 'Accept-Encoding: gzip' %s%s | gzip -dc 2>&1 >/dev/null"):format(bearer,
        sim.url, file_path))
      outcomes[how] = text
    end
    assert.matches("gzip: stdin: ", outcomes.flip)
    assert.matches("unexpected end of file", outcomes.cut)
    assert.matches("trailing", outcomes.more)
  end)

  it("answers in each of the shapes that a failure has been seen in", function()
    for i = 1, 17 do
      sim:fault { on = "GET *", kind = "envelope", envelope = "E" .. i }
      local response = fetch()
      local _, err = require "zuora.caller.responses".read(response)
      assert.is_table(err, "E" .. i)
      assert.is_string(err.message)
      assert.is_true(err.kind == "api" or err.kind == "auth" or i == 15 and err.kind == "http", "E" .. i .. err.kind)
    end
  end)

  it("has other forms of some of them", function()
    local wanted = { E6b = { 400, '^<%?xml.-<zanResponse xmlns:xsi="[^"]*" success="false">' },
      E11b = { 500, "<fns:FaultCode>INVALID_SESSION</fns:FaultCode><fns:FaultMessage>" }, E15b = { 502, "^$" },
      E17b = { 429, '^{"error":{"code":"[^"]*","message":"[^"]*"}}$' },
      E17c = { 429, '^{"errors":%[{"title":"[^"]*","code":"[^"]*"}%]}$' } }
    for name, one in pairs(wanted) do
      sim:fault { on = "GET *", kind = "envelope", envelope = name }
      local response = fetch()
      assert.equal(one[1], response.status, name)
      assert.matches(one[2], response.body)
    end
  end)

  it("says 409 while a request with the same key is in progress, and replays it for a day", function()
    sim:fault { on = "POST /v1/batch-query", kind = "delay", seconds = 0.3 }
    local function submit(key)
      return session:start { method = "POST", url = sim.url .. "/v1/batch-query",
        headers = { Authorization = bearer, ["Content-Type"] = "application/json", ["Idempotency-Key"] = key },
        body = '{"queries":[{"name":"s","query":"select Id from Small"}]}' }
    end
    local first = submit "k"
    session:step(0.1)
    assert.equal(409, support.finish(session, submit "k").status)
    local body = support.finish(session, first).body
    assert.equal(core.decode(body).id, core.decode(support.finish(session, submit "k").body).id)
    sim:forward(-3600) -- the bearer must stay good
    sim:forward(3600)
  end)

  it("speaks TLS, and is trusted by who knows its certificate", function()
    local secure <close> = support.simulator { tls = true }
    assert.matches("^https://", secure.url)
    local client <close> = support.client(secure, { ca_file = secure.ca_file })
    assert(client.reportruns:list())
    local stranger <close> = support.client(secure, { retries = 3 })
    local _, err = stranger.reportruns:list()
    assert.equal("transport", err.kind)
    assert.equal("PEER_FAILED_VERIFICATION", err.curl)
    assert.is_false(err.retryable)
    assert.equal(1, err.attempts)
    secure:fault { on = "GET *", kind = "cut", after = 3 }
    assert.equal(404, select(2, client.jobs:get "x").status)
  end)

  it("lives in the process of its client, and moves on with its tasks", function()
    local inside <close> = simulator.open()
    local client <close> = support.client(inside)
    inside:serve(client)
    local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
    assert(run:wait(support.soon))
    inside:fault { on = "GET *", kind = "status", status = 503 }
    assert.equal("COMPLETED", assert(client.reportruns:get(run.id)).status)
    assert.is_true(#inside:journal() >= 7)
    local path = "build/spec/inside"
    client:run(function() assert(run:export(path)) end, function() assert(client.reportruns:list()) end)
    assert.is_true(#support.read(path) > 0)
    inside:stop()
    assert.has_error(function() inside:step() end)
  end)

  it("may be stepped by any loop", function()
    local inside <close> = simulator.open()
    local request = session:start { url = inside.url .. "/v1/files/x", proxy = "" }
    while not request:finished() do
      inside:step(0.001)
      session:step(0)
    end
    assert.equal(401, request:response().status)
    assert.has_error(function() sim:step() end)
  end)

  it("runs from a shell in one line", function()
    local text = support.shell(([[
      lua5.4 -e 'package.path=%q package.cpath=%q require "zuora.simulator".run { client_id = "me" }' > build/spec/address &
      child=$!
      for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; url=$(cat build/spec/address); [ -n "$url" ] && break; done
      curl -sS "$url/oauth/token" -d grant_type=client_credentials -d client_id=me --data-urlencode 'client_secret=%s'
      kill $child]]):format(package.path, package.cpath, sim.client_secret))
    assert.matches('"access_token":"simulated', text)
  end)

  it("can be told everything from any language, by its admin path", function()
    local admin = sim.url .. "/_simulator/"
    curl(("-X DELETE %sjournal"):format(admin))
    assert.matches("true", curl(([[-d '{"on":"GET *","kind":"status","status":418}' %sfault]]):format(admin)))
    assert.matches("418", curl(("-o /dev/null -w '%%{http_code}' %s/x"):format(sim.url)))
    assert.matches('"path":"/x"', curl(("%sjournal"):format(admin)))
    assert.matches("true", curl(([=[-d '{"object":"Small","rows":[["2"]]}' %supdate]=]):format(admin)))
    assert.matches("no object", curl(([[-d '{"object":"Nothing","rows":[]}' %supdate]]):format(admin)))
    assert.matches("true", curl(([[-d '{"forward":1}' %sclock]]):format(admin)))
    assert.matches("No such admin path", curl(("%snonsense"):format(admin)))
  end)

  it("serves a client that is not ours, from token to file, for each way to log in", function()
    local script = [[
      set -e
      value() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }
      body='{"queries":[{"name":"s","query":"select Id from Small"}]}'
      id=$(curl -sS "${auth[@]}" -H 'Content-Type: application/json' -d "$body" "$base/batch-query/" | value id)
      for i in 1 2 3; do job=$(curl -sS "${auth[@]}" "$base/batch-query/jobs/$id"); done
      curl -sS "${auth[@]}" "$files/$(printf '%s' "$job" | value fileId)"
    ]]
    local ways = {
      -- The token, too, is fetched by curl alone.
      bearer = ("token=$(curl -sS %s/oauth/token -d grant_type=client_credentials -d client_id=%s "
        .. "--data-urlencode 'client_secret=%s' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n"
        .. "auth=(-H \"Authorization: Bearer $token\"); base=%s/v1; files=$base/files"):format(sim.url, sim.client_id,
        sim.client_secret, sim.url),
      keys = ("auth=(-H 'apiAccessKeyId: %s' -H 'apiSecretAccessKey: %s'); base=%s/v1; files=$base/file"):format(
        sim.username, sim.password, sim.url),
      basic = ("auth=(-u '%s:%s'); base=%s/apps/api; files=$base/file"):format(sim.username, sim.password, sim.url),
    }
    for name, way in pairs(ways) do
      support.write("build/spec/curl.sh", way .. "\n" .. script)
      local text, status = support.shell "bash build/spec/curl.sh"
      assert.equal(0, status, text)
      assert.matches("^Small: Id\n1\n", text, name)
    end
  end)

  it("serves a report run to curl, too, from start to export", function()
    support.write("build/spec/curl.sh", ([[
      set -e
      auth=(-H 'apiAccessKeyId: %s' -H 'apiSecretAccessKey: %s'); base=%s/api/rest/v1
      run=$(curl -sS "${auth[@]}" -X POST "$base/reports/%s/reportrun?viewType=Detail" |
        sed 's/.*"reportRunId":"\([^"]*\)".*/\1/')
      for i in 1 2 3 4; do curl -sS "${auth[@]}" "$base/reportruns/$run" >/dev/null; done
      curl -sS "${auth[@]}" "$base/reportruns/export/$run?pivoted=false" | iconv -f utf-16le -t utf-8]]):format(
      sim.username, sim.password, sim.url, support.REPORT))
    local text = support.shell "bash build/spec/curl.sh"
    assert.matches("^Account.AccountNumber\tAccount.Name\tAccount.Balance\nA00000001\t", text)
  end)

  it("lets others have their turn while a big file goes out", function()
    local big <close> = support.simulator { objects = { Big = { generate = { rows = 3000000 } } } }
    local client <close> = support.client(big)
    local job = assert(assert(client.jobs:submit { queries = { { name = "b", query = "select * from Big" } } })
      :wait(support.soon))
    local polls, done = 0, false
    client:run(
      function()
        assert(client.files:download(job.batches[1].fileId, "build/spec/simulated-big.csv"))
        done = true
      end,
      function()
        while not done do
          assert(client.jobs:get(job.id))
          polls = polls + 1
        end
      end)
    os.remove "build/spec/simulated-big.csv"
    assert.is_true(polls > 5, polls)
  end)

  it("outlives more connections than it can serve", function()
    local text = support.shell(([[ulimit -n 4096; timeout 20 lua5.4 -e '
      local socket = require "socket"
      local held = {}
      for i = 1, 1100 do held[i] = socket.connect("127.0.0.1", %d) end
      print(#held)']]):format(sim.url:match ":(%d+)$"))
    assert.matches("%d", text)
    assert.equal(200, fetch().status)
  end)

  it("answers 500 to what breaks it, and forgets the key", function()
    local function post(key, body)
      return support.finish(session, session:start { method = "POST", url = sim.url .. "/v1/batch-query", body = body,
        headers = { Authorization = bearer, ["Content-Type"] = "application/json", ["Idempotency-Key"] = key } })
    end
    for _, body in ipairs { '{"queries":5}', '{"queries":[{"query":"q"}],"notifyUrl":5}',
      '{"queries":[{"query":"select Id from Small"}],"version":"abc","partner":"p","project":"q"}',
      '{"queries":[{"query":"select Id from Small","deleted":5}]}' } do
      assert.is_true(post("broken" .. body:gsub("%W", ""), body).status < 600, body)
    end
    assert.is_not_nil(post("after", '{"queries":[{"query":"select Id from Small"}]}').body:find('"status":"submitted"', 1, true))
  end)

  it("asks for credentials before it replays an answer", function()
    local function post(auth)
      return support.finish(session, session:start { method = "POST", url = sim.url .. "/v1/batch-query",
        body = '{"queries":[{"query":"select Id from Small"}]}',
        headers = { Authorization = auth, ["Content-Type"] = "application/json", ["Idempotency-Key"] = "mine alone" } })
    end
    assert.equal(200, post(bearer).status)
    assert.equal(401, post("Bearer made-up").status)
    assert.equal(200, post(bearer).status)
  end)

  it("stalls in silence, and lets go of who has left", function()
    sim:fault { on = "GET *", kind = "stall" }
    local request = session:start { url = sim.url .. "/x" }
    session:step(0.1)
    session:step(0.1)
    assert.is_false(request:finished())
    request:cancel()
    assert.equal(200, fetch().status)
  end)

  it("takes no fault and no setting that it does not know", function()
    for _, bad in ipairs { { kind = "cut", afterr = 5 }, { kind = "cut", after = "5" }, { kind = "envelope", envelope = "E99" },
      { kind = "trickle", size = 0 }, { kind = "gzip", how = "odd" }, { kind = "cut", skip = "1" }, { kind = "status", body = {} } } do
      assert.has_error(function() sim:fault(bad) end)
    end
    for _, bad in ipairs { { lookss = 3 }, { runs = 5 }, { looks = "3" }, { segment_rows = 0 }, { objects = { A = { cvs = "x" } } },
      { objects = { A = { generate = { row = 1 } } } }, { objects = { A = { rows = { { Id = "1" } } } } },
      { objects = { A = { csv = "build/spec/none.csv" } } } } do
      assert.has_error(function() simulator.open(bad) end)
    end
    local before = core.now()
    assert.error_matches(function() support.simulator { lookss = 3 } end, "no setting 'lookss'")
    assert.error_matches(function() support.simulator { lua = "/bin/false" } end, "did not start")
    assert.error_matches(function() support.simulator { port = tonumber(sim.url:match ":(%d+)$") } end, "in use")
    assert.is_true(core.now() - before < 5)
    sim:fault { on = "get //x", kind = "status", status = 418, times = "always" }
    for _ = 1, 3 do
      assert.equal(404, support.finish(session, session:start { url = sim.url .. "/y" }).status)
    end
  end)

  it("shows no secret in its journal, wherever it is put", function()
    for _, options in ipairs {
      { method = "POST", url = "/oauth/token", body = '{"client_secret":"Secret-1"}', headers = { ["Content-Type"] = "application/json" } },
      { url = "/oauth/token?client_secret=Secret-1" }, { url = "/x", headers = { Authorization = "abcSecret-1" } },
      { url = "/x", headers = { Authorization = "Bearer Secret-1" } },
    } do
      options.url = sim.url .. options.url
      support.finish(session, session:start(options))
    end
    assert.is_nil(core.encode(sim:journal()):find("Secret-1", 1, true))
  end)

  it("ends at once when it is stopped, though another process holds its pipe; and when its parent is killed", function()
    local text = support.lua [[
      local core = require "zuora.core"
      local sim = require "zuora.simulator".start()
      os.execute "sleep 3 >/dev/null 2>&1 &" -- not what this is read from
      local before = core.now()
      sim:stop()
      print(core.now() - before < 2)
      os.execute "true"]]
    assert.matches("^true", text)
    local url = support.lua [[
      local sim = require "zuora.simulator".start()
      os.execute "sleep 8 >/dev/null 2>&1 &"
      io.write(sim.url)
      io.stdout:flush()
      os.execute "kill -9 $PPID"]]
    url = url:match "http://[%d.:]+"
    local ends_at = core.now() + 5
    repeat
      session:step(0.1)
      local response = support.finish(session, session:start { url = url, proxy = "" })
    until not response or core.now() > ends_at
    assert.is_true(core.now() < ends_at)
  end)

  it("holds none of a big file in memory", function()
    -- By hand, so that the process is known; it ends by itself should this spec not come to its end.
    -- (A sanitizer keeps back what was given back, unless it is told how much.)
    local pid = support.shell(([[ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=1 timeout 60 \
      lua5.4 -e 'package.path=%q package.cpath=%q require "zuora.simulator".run {
        objects = { Big = { generate = { rows = 2000000, awkward = true } } } }' > build/spec/address 2>/dev/null & echo $!]])
      :format(package.path, package.cpath)):match "%d+"
    local url
    local ends_at = core.now() + 10
    repeat
      url = (support.read "build/spec/address" or ""):match "^(http:.-)\n"
      session:step(0.05)
    until url or core.now() > ends_at
    local client <close> = support.client { url = url, client_id = sim.client_id, client_secret = sim.client_secret }
    local job = assert(assert(client.jobs:submit { queries = { { name = "b", query = "select * from Big" } } })
      :wait(support.soon))
    local written = assert(client.files:download(job.batches[1].fileId, "build/spec/simulated-big.csv"))
    os.remove "build/spec/simulated-big.csv"
    local child = support.read(("/proc/%s/task/%s/children"):format(pid, pid)):match "%d+"
    local peak = tonumber((support.read("/proc/" .. child .. "/status") or ""):match "VmHWM:%s*(%d+) kB")
    support.shell("kill " .. child)
    assert.is_true(written.bytes > 128 * 1024 * 1024, written.bytes)
    assert.is_true(peak < 32 * 1024, "peak KiB: " .. peak)
  end)
end)
