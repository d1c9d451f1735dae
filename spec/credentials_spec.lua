local core = require "zuora.core"
local credentials = require "zuora.caller.credentials"
local loop_module = require "zuora.tasks.scheduler"
local support = require "spec.support"

describe("credentials", function()
  local sim

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  local function tokens_fetched() return #support.sent(sim, "POST", "/oauth/token") end

  it("fetch an OAuth token by a form, without other credentials, and reuse it", function()
    local client <close> = support.client(sim)
    assert(client.reportruns:list())
    assert(client.reportruns:list())
    local fetched = support.sent(sim, "POST", "/oauth/token")
    assert.equal(1, #fetched)
    assert.equal("application/x-www-form-urlencoded", fetched[1].headers["content-type"])
    assert.is_nil(fetched[1].headers.authorization)
    assert.is_nil(fetched[1].headers["idempotency-key"])
    assert.matches("client_id=" .. sim.client_id:gsub("%-", "%%-"), fetched[1].body)
    assert.matches("grant_type=client_credentials", fetched[1].body)
    assert.equal("Bearer ***", support.sent(sim, "POST", "/reporting")[1].headers.authorization)
  end)

  it("fetch it by itself when that is asked for", function()
    local client <close> = support.client(sim)
    local host = sim.url:match "//(.*)"
    assert.equal(host, client:tenant())
    assert.is_true(client:authenticate())
    assert.equal(host .. " tenant.12345", client:tenant())
    assert.equal(1, tokens_fetched())
    assert(client.reportruns:list())
    assert.is_true(client:authenticate())
    assert.equal(1, tokens_fetched())
    local stranger = require "zuora.client".new { base_url = sim.url, client_id = sim.client_id,
      client_secret = "no-4711" }
    local done, err = stranger:authenticate()
    assert.is_nil(done)
    assert.same({ "auth", 401 }, { err.kind, err.status })
    assert.is_nil(tostring(err):find "4711")
    local given <close> = support.client(sim, { token = "whatever" })
    assert.is_true(given:authenticate()) -- there is nothing to ask
    assert.equal(host, given:tenant())
    local user <close> = support.client(sim, { username = "me", password = "x" })
    assert.equal(host .. " user me", user:tenant())
    stranger:close()
    assert.has_error(function() stranger:authenticate() end)
  end)

  it("renew it 300 seconds before its end", function()
    local client <close>, clock = support.quick_client(sim)
    assert(client.reportruns:list())
    clock.at = clock.at + 3599 - 301
    assert(client.reportruns:list())
    assert.equal(1, tokens_fetched())
    clock.at = clock.at + 2
    assert(client.reportruns:list())
    assert.equal(2, tokens_fetched())
  end)

  it("renew it once on a 401, and repeat the call", function()
    local client <close> = support.client(sim)
    assert(client.reportruns:list())
    sim:fault { on = "POST /reporting/*", kind = "token" }
    assert(client.reportruns:list())
    assert.equal(2, tokens_fetched())
    assert.equal(3, #support.sent(sim, "POST", "/reporting"))
  end)

  it("give up at the second 401", function()
    local client <close> = support.client(sim)
    sim:fault { on = "POST /reporting/*", kind = "status", status = 401, times = 9, body = '{"message":"Authentication error"}' }
    local _, err = client.reportruns:list()
    assert.equal("auth", err.kind)
    assert.equal(401, err.status)
    assert.equal(2, err.attempts)
    assert.equal(2, tokens_fetched())
  end)

  it("repeat a keyed POST after a 401 under the same key", function()
    local client <close> = support.client(sim)
    sim:fault { on = "POST /reporting/*/reportrun", kind = "status", status = 401, body = "{}" }
    assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
    local sent = support.sent(sim, "POST", "/reporting/")
    assert.equal(2, #sent)
    assert.equal(sent[1].headers["idempotency-key"], sent[2].headers["idempotency-key"])
  end)

  it("do not renew on a 403", function()
    local client <close> = support.client(sim)
    sim:fault { on = "POST /reporting/*", kind = "status", status = 403, body = '{"message":"no"}' }
    local _, err = client.reportruns:list()
    assert.equal("auth", err.kind)
    assert.equal(1, err.attempts)
    assert.equal(1, tokens_fetched())
  end)

  it("fetch one token however many tasks ask, at first and after a 401", function()
    local client <close> = support.client(sim, { max_connections = 20 })
    local function ask() assert(client.reportruns:list()) end
    local functions = {}
    for i = 1, 20 do functions[i] = ask end
    client:run(table.unpack(functions))
    assert.equal(1, tokens_fetched())
    sim:fault { on = "POST /reporting/*", kind = "token" }
    client:run(table.unpack(functions))
    assert.equal(2, tokens_fetched())
  end)

  it("tell all who wait when the token cannot be had", function()
    local client <close> = support.client(sim, { client_secret = "wrong", client_id = "wrong", base_url = sim.url })
    sim:fault { on = "POST /oauth/token", kind = "status", status = 401, times = 3, body = '{"error":"Unauthorized"}' }
    local errors = {}
    local function ask()
      local _, err = client.reportruns:list()
      errors[#errors + 1] = err
    end
    client:run(ask, ask, ask)
    assert.equal(3, #errors)
    for _, err in ipairs(errors) do
      assert.equal("auth", err.kind)
      assert.matches("no token", err.message)
    end
    assert.equal(1, tokens_fetched())
    assert.equal(0, #support.sent(sim, "POST", "/reporting"))
  end)

  it("let another task fetch when the one that was at it is cancelled", function()
    local client <close> = support.client(sim)
    sim:fault { on = "POST /oauth/token", kind = "delay", seconds = 5 }
    client:run(function()
      local first = client:spawn(function() client.reportruns:list() end)
      local second = client:spawn(function() return client.reportruns:list() end)
      client:sleep(0.05)
      first:cancel()
      assert.is_table(second:join())
    end)
    assert.equal(2, tokens_fetched())
  end)

  it("do not lock up when a blocking call in a task needs the token that another task fetches", function()
    local client <close> = support.client(sim)
    sim:fault { on = "POST /oauth/token", kind = "delay", seconds = 0.2 }
    client:run(
      function() assert(client.reportruns:list()) end,
      function()
        client:sleep(0.05)
        coroutine.wrap(function() assert(client.reportruns:list()) end)()
      end)
  end)

  it("let nobody's deadline end another's call", function()
    local client <close> = support.client(sim)
    sim:fault { on = "POST /oauth/token", kind = "delay", seconds = 0.4 }
    client:run(
      function()
        local _, err = client.reportruns:list { total_timeout = 0.1 }
        assert.equal("timeout", err.kind)
      end,
      function()
        client:sleep(0.02)
        assert(client.reportruns:list())
      end,
      function()
        client:sleep(0.02)
        local before = require "zuora.core".now()
        local _, err = client.reportruns:list { total_timeout = 0.05 }
        assert.equal("timeout", err.kind)
        assert.is_true(require "zuora.core".now() - before < 0.2)
      end)
  end)

  it("take the call's own number of retries", function()
    local client <close> = support.quick_client(sim)
    sim:fault { on = "POST /oauth/token", kind = "status", status = 503, times = 9 }
    local _, err = client.reportruns:list { retries = 0 }
    assert.equal(503, err.status)
    assert.equal(1, tokens_fetched())
  end)

  it("are refused by 400, 401 and 403 alone: a limit or an outage says nothing about them", function()
    for status, kind in pairs { [400] = "auth", [401] = "auth", [403] = "auth", [429] = "http", [500] = "http", [503] = "http" } do
      local client <close> = support.quick_client(sim, { retries = 0 })
      sim:heal()
      sim:fault { on = "POST /oauth/token", kind = "status", status = status, body = "no" }
      local _, err = client.reportruns:list()
      assert.equal(kind, err.kind)
      assert.equal(status, err.status)
      assert.equal(kind == "http", err.retryable)
      assert.matches("^no token: ", err.message)
    end
  end)

  it("retry a token endpoint that is busy", function()
    local client <close> = support.quick_client(sim)
    sim:fault { on = "POST /oauth/token", kind = "status", status = 429, headers = { ["Retry-After"] = "7" }, times = 2 }
    assert(client.reportruns:list())
    assert.equal(3, tokens_fetched())
  end)

  it("refuse what is no bearer token, and believe no mad lifetimes", function()
    local function answered(body)
      local client <close> = support.client(sim)
      sim:fault { on = "POST /oauth/token", kind = "status", status = 200, body = body }
      return client.reportruns:list()
    end
    for _, body in ipairs {
      "{}", '{"access_token":""}', '{"access_token":"a\\r\\nX: y"}', '{"access_token":"a b"}', '{"access_token":5}',
      '{"access_token":"good","token_type":"mac"}',
    } do
      local _, err = answered(body)
      assert.equal("auth", err.kind)
    end
    -- Whatever else it says, there may be a token in it.
    for _, body in ipairs { '{"access_token":"leaked-token","expires', 'access_token=leaked-token',
      '{"success":false,"access_token":"leaked-token"}' } do
      local _, err = answered(body)
      assert.is_truthy(err.kind == "json" or err.kind == "api" or err.kind == "http", err.kind)
      assert.is_nil(err.body)
      assert.is_nil(tostring(err):find("leaked", 1, true))
    end
    for _, life in ipairs { "0", "-1", '"3600"', "1000000000000", "null", '"soon"' } do
      -- The token is taken, and sent: this simulator did not give it, so 401, then a real one.
      assert.is_table(answered('{"access_token":"t.0","token_type":"Bearer","expires_in":' .. life .. "}"))
    end
  end)

  it("take a token as it is given", function()
    local client <close> = support.client(sim, { token = "given-token" })
    local _, err = client.jobs:get "x"
    assert.equal("auth", err.kind)
    assert.equal(1, err.attempts)
    assert.equal(0, tokens_fetched())
    assert.has_error(function() support.client(sim, { token = "a\r\nb" }) end)
    assert.has_error(function() support.client(sim, { token = "" }) end)
    assert.has_error(function() support.client(sim, { token = 5 }) end)
  end)

  it("ask a token function for each try, and once more after a 401", function()
    local asked = 0
    local other <close> = support.client(sim)
    assert(other.reportruns:list())
    local client <close> = support.client(sim, { token = function()
      asked = asked + 1
      return "made-up." .. asked
    end })
    local _, err = client.jobs:get "x"
    assert.equal("auth", err.kind)
    assert.equal(2, asked)
    for _, bad in ipairs { function() return nil, "vault is closed" end, function() return "a b" end, function() return 7 end } do
      local broken <close> = support.client(sim, { token = bad })
      err = select(2, broken.jobs:get "x")
      assert.equal("auth", err.kind)
    end
    local raising <close> = support.client(sim, { token = function() error "mine" end })
    assert.error_matches(function() raising.jobs:get "x" end, "mine")
  end)

  it("send user and password as key headers on REST hosts", function()
    local client <close> = support.client(sim, { username = sim.username, password = sim.password })
    local _, err = client.jobs:get "x"
    assert.equal(404, err.status)
    local sent = support.sent(sim, "GET", "/v1/batch-query")[1]
    assert.equal("***", sent.headers.apiaccesskeyid)
    assert.equal("***", sent.headers.apisecretaccesskey)
    assert.is_nil(sent.headers.authorization)
  end)

  it("send them to today's Reporting base all the same, and say where they are taken", function()
    local client <close> = support.client(sim, { username = sim.username, password = sim.password })
    local _, err = client.reportruns:get "x"
    assert.equal("auth", err.kind)
    assert.matches("legacy = true", err.message)
    assert.equal("***", support.sent(sim, "GET", "/reporting")[1].headers.apiaccesskeyid)
  end)

  it("send them as the documents do on the legacy hosts: keys for reports, HTTP Basic for AQuA", function()
    local client <close> = support.client(sim, { username = sim.username, password = sim.password, legacy = true })
    assert(client.reportruns:list())
    assert.equal(404, select(2, client.jobs:get "x").status)
    assert.equal(404, select(2, client.files:download("x", "build/spec/credentials-x")).status)
    assert.equal("***", support.sent(sim, "POST", "/api/rest/v1/reportruns")[1].headers.apiaccesskeyid)
    assert.equal("Basic ***", support.sent(sim, "GET", "/apps/api/batch-query/jobs/x")[1].headers.authorization)
    assert.equal("Basic ***", support.sent(sim, "GET", "/apps/api/file/x")[1].headers.authorization)
  end)

  it("know what a bearer token is made of", function()
    for _, good in ipairs { "a", "A.b-c_d~e+f/g==", "0" } do assert.is_true(credentials.is_token(good)) end
    for _, bad in ipairs { "", "a b", "a=b", "a\n", "é", "=", 1 } do assert.is_false(credentials.is_token(bad)) end
  end)
end)

describe("the life of a token", function()
  local session, clock, loop, fetched

  before_each(function()
    session = core.session {}
    clock = support.clock()
    loop = loop_module.new(session, clock)
    fetched = 0
  end)
  after_each(function() session:close() end)

  -- Credentials whose fetching takes so long, and brings this life.
  local function oauth(life, seconds)
    return credentials.oauth(loop, { client_id = "id", client_secret = "secret" }, function()
      loop:sleep(seconds or 0)
      fetched = fetched + 1
      return { access_token = "t" .. fetched, expires_in = life }
    end)
  end

  local function ask(own)
    assert.is_true(own:prepare(clock.at + 100))
    assert.matches("^Bearer t%d+$", own:headers().Authorization)
  end

  it("is what is said of it, and no madness", function()
    local hour, week = 3300, 7 * 24 * 3600 - 300
    for _, case in ipairs { { 3600, hour }, { "3600", hour }, { 100, 90 }, { 0, 0.9 }, { -1, 0.9 }, { -1e300, 0.9 },
      { 1e12, week }, { "1e999", week }, { "soon", hour }, { "", hour }, { true, hour }, { {}, hour }, { nil, hour } }
    do
      fetched = 0
      local own = oauth(case[1])
      ask(own)
      clock.at = clock.at + case[2] - 0.1
      ask(own)
      assert.equal(1, fetched, tostring(case[1]))
      clock.at = clock.at + 0.2
      ask(own)
      assert.equal(2, fetched, tostring(case[1]))
    end
  end)

  it("is not over for its text: the one before is a secret still", function()
    local function hidden(own, text) assert.is_nil(own:mask(text):find "token%-%d") end
    local own = credentials.oauth(loop, { client_id = "id", client_secret = "secret" }, function()
      fetched = fetched + 1
      return { access_token = "token-" .. fetched }
    end)
    local given = credentials.token(function()
      fetched = fetched + 1
      return "token-" .. fetched
    end)
    assert.is_true(own:prepare(clock.at + 100))
    own:renew(1)
    hidden(own, "token-1")
    assert.is_true(own:prepare(clock.at + 100))
    hidden(own, "token-1 token-2")
    own:renew(2)
    hidden(own, "token-2")
    given.prepare()
    given.prepare()
    hidden(given, "token-3 token-4")
  end)

  it("may be over before those who waited for it have their turn", function()
    local own, done = oauth(0, 1), 0
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = function()
        ask(own)
        done = done + 1
        clock.at = clock.at + 2 -- what the task does meanwhile
      end
    end
    loop:run(tasks)
    assert.equal(50, done)
    assert.equal(1, fetched)
  end)
end)

describe("a secret that a server sends back", function()
  local sim
  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)

  local function err_of(client, body, headers)
    sim:fault { on = "GET *", kind = "status", status = 400, body = body, headers = headers }
    return select(2, client.jobs:get "x")
  end

  it("goes no further, in whatever field, nor does a signed link", function()
    local client <close> = support.client(sim, { token = "TOKENTOKEN123" })
    local err = err_of(client, '{"success":false,"processId":"TOKENTOKEN123","reasons":[{"code":"TOKENTOKEN123",'
      .. '"message":"TOKENTOKEN123 at https://s3.example/x?X-Amz-Signature=abc"}]}')
    for _, value in ipairs { tostring(err), err.code, err.process_id, err.body, err.reasons[1].code, err.reasons[1].message } do
      assert.is_nil(value:find("TOKENTOKEN123", 1, true), value)
      assert.is_nil(value:find("Signature", 1, true), value)
    end
  end)

  it("goes no further in another spelling, or where a text is cut", function()
    local token = "abc/DEF+ghi=="
    local client <close> = support.client(sim, { token = token })
    local function spell(body)
      local err = err_of(client, body)
      for _, value in ipairs { err.message, err.body, tostring(err) } do
        assert.is_nil(value:find "abc" or value:find "ghi", value)
      end
      return err
    end
    spell '{"message":"abc\\/DEF\\u002bghi\\u003d\\u003D"}'
    spell '{"success":false,"response":"{\\"message\\":\\"abc\\\\/DEF+ghi\\\\u003d=\\"}"}'
    spell "<html><title>abc%2FDEF%2bghi==</title>"
    spell "<html><title>abc/DEF&#43;ghi&#x3d;=</title>"
    for cut = 1, #token do
      for _, limit in ipairs { 200, 1000, 2048 } do
        spell(("."):rep(limit - cut) .. token .. " and more")
        spell('{"message":"' .. ("."):rep(limit - cut - 12) .. token .. '"}')
        spell("<html><title>" .. ("."):rep(limit - cut) .. token .. "</title>")
      end
    end
    assert.equal(2048, #spell(("."):rep(5000)).body)
  end)

  it("is a client's id and a user's name as well", function()
    local by_id <close> = require "zuora".new { base_url = sim.url,
      client_id = "ID-of-ours", client_secret = "SECRET=of=ours" }
    sim:fault { on = "POST /oauth/token", kind = "status", status = 401,
      body = '{"message":"ID-of-ours, SECRET%3Dof%3Dours"}' }
    assert.matches("no token: %*%*%*, %*%*%*", select(2, by_id.jobs:get "x").message)
    local by_name <close> = support.client(sim, { username = "me@a.example", password = "hunter22" })
    assert.equal("***: *** ***", err_of(by_name, '{"message":"me@a.example: hunter22 me%40a.example"}').message)
  end)

  it("goes to no hook, in whatever field", function()
    local told = {}
    local function tell(info)
      for _, value in pairs(type(info) == "table" and info or { info }) do told[#told + 1] = tostring(value) end
    end
    local client <close> = support.quick_client(sim, { token = "TOKENTOKEN123", on_response = tell, on_retry = tell,
      log = tell })
    local body = '{"code":"TOKENTOKEN123","message":"TOKENTOKEN123"}'
    sim:fault { on = "GET *", kind = "garbage", raw = ("HTTP/1.1 503 X\r\nZuora-Request-Id: R/TOKENTOKEN123\r\n"
      .. "Zuora-Track-Id: TOKENTOKEN123\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body) }
    client.jobs:get "x"
    assert.is_true(#told > 10)
    for _, value in ipairs(told) do assert.is_nil(value:find("TOKENTOKEN", 1, true), value) end
    assert.is_truthy(table.concat(told, " "):find("R/***", 1, true))
  end)

  it("is not looked for in our own words", function()
    local client <close> = support.client(sim, { username = "u", password = "jobs.get" })
    local err = err_of(client, '{"message":"jobs.get"}')
    assert.equal("***", err.message)
    assert.equal("jobs.get", err.operation)
  end)
end)
