local support = require "spec.support"
local zuora = require "zuora"

local ID = "11111111-2222-3333-4444-555555555555"

describe("zuora", function()
  it("tells its version, null and environments, and makes no client by itself", function()
    assert.matches("^%d+%.%d+%.%d+", zuora._VERSION)
    assert.equal("userdata", type(zuora.null))
    assert.matches("at character 3", select(2, zuora.decode "[1"))
    assert.same({ a = { 1, "x", zuora.null } }, zuora.decode(zuora.encode { a = { 1, "x", zuora.null } }))
    assert.equal("https://rest.eu.zuora.com", zuora.environments.eu.rest)
  end)
end)

describe("zuora.new", function()
  local function fails(words, options)
    local ok, message = pcall(zuora.new, options)
    assert.is_false(ok)
    assert.matches(words, message)
    assert.matches("zuora%.new", message)
  end

  it("takes every option of the table", function()
    zuora.new {
      environment = "us2-sandbox", client_id = ID, client_secret = "s", entity_id = ID, org_ids = { "a", "b" },
      track_id = "t", version = "2025-08-12", connect_timeout = 1, timeout = 2, stall_timeout = 3, total_timeout = 4,
      retries = 0, retry_after_limit = 0, max_connections = 2, concurrency_limit = 3, memory_limit = 1000, tmpdir = "/tmp", proxy = "",
      no_proxy = "*", ca_file = "/x", user_agent = "u", on_retry = print, on_request = print, on_response = print,
      log = print,
      reporting_url = "https://a.example/r", aqua_url = "https://a.example/a", files_url = "https://a.example/f",
    }:close()
    zuora.new { base_url = "http://127.0.0.1:1", username = "u", password = "p", legacy = true, entity_name = "E" }:close()
    zuora.new { environment = "eu", token = "t" }:close()
    for name in pairs(zuora.environments) do zuora.new { environment = name, token = "t" }:close() end
  end)

  it("wants one place to talk to", function()
    fails("environment", { token = "t" })
    fails("one of ap, ", { environment = "mars", token = "t" })
    fails("not both", { environment = "eu", base_url = "https://x.example", token = "t" })
    fails("base_url.*user or password", { base_url = "https://u:p@x.example", token = "t" })
    fails("aqua_url", { environment = "eu", aqua_url = "ftp://x", token = "t" })
    fails("legacy", { environment = "ap", legacy = true, username = "u", password = "p" })
    fails("environment", { token = "t", aqua_url = "https://x.example/a", files_url = "https://x.example/f" })
    zuora.new { token = "t", aqua_url = "https://x.example/a", files_url = "https://x.example/f",
      reporting_url = "https://x.example/r" }:close()
  end)

  it("wants exactly one kind of credentials, whole", function()
    fails("client_id' to zuora%.new %(missing, and so are client_secret, token, username and password: .* not set is nil",
      { environment = "eu", client_id = os.getenv "NOT_SET", client_secret = os.getenv "NOT_SET" })
    fails("exactly one kind", { environment = "eu", token = "t", username = "u", password = "p" })
    fails("exactly one kind", { environment = "eu", client_id = "i", client_secret = "s", token = "t" })
    fails("client_secret' to zuora%.new %(missing", { environment = "eu", client_id = "i" })
    fails("password' to zuora%.new %(missing", { environment = "eu", username = "u" })
    fails("legacy", { environment = "eu", legacy = true, token = "t" })
  end)

  it("checks every option, and knows no others", function()
    fails("timout.*unknown option", { environment = "eu", token = "t", timout = 1 })
    for name, bad in pairs {
      timeout = 0, connect_timeout = -1, stall_timeout = "1", total_timeout = 0 / 0, retries = 1.5, retry_after_limit = -1,
      max_connections = 0, memory_limit = "1", track_id = "a;b", entity_id = "x", version = "latest", org_ids = "a\n",
      ca_file = "a\0", user_agent = "a\r\nb", proxy = "a\n", log = "x", on_retry = 1, on_response = {}, on_request = 2, legacy = "yes",
      tmpdir = 1, no_proxy = 5, concurrency_limit = 0,
    } do
      fails(name, { environment = "eu", token = "t", [name] = bad })
    end
    for _, bad in ipairs { "foo://h:1", "http://h:99999", "http://u:p@[bad", "h h", 5 } do
      fails("proxy", { environment = "eu", token = "t", proxy = bad })
    end
    for _, good in ipairs { "", "h:3128", "http://u:p@h:3128/", "socks5h://127.0.0.1:9" } do
      zuora.new { environment = "eu", token = "t", proxy = good }:close()
    end
    assert.is_nil((select(2, pcall(zuora.new, "secret-token"))):find("secret-token", 1, true))
    fails("options", nil)
    fails("options", "eu")
  end)

  it("takes the entity as the credentials allow it", function()
    fails("entity_name", { environment = "eu", token = "t", entity_name = "E" })
    fails("not both", { environment = "eu", username = "u", password = "p", entity_name = "E", entity_id = ID })
  end)

  it("refuses a 65-character track id, and control characters in credentials", function()
    fails("track_id", { environment = "eu", token = "t", track_id = ("x"):rep(65) })
    for _, name in ipairs { "client_id", "client_secret" } do
      local options = { environment = "eu", client_id = "i", client_secret = "s" }
      options[name] = "a\r\nX: y"
      fails(name, options)
    end
    fails("password", { environment = "eu", username = "u", password = "a\nb" })
    fails("token", { environment = "eu", token = "a\nb" })
  end)
end)

describe("a client", function()
  local sim

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  it("sends its standing headers where they are documented", function()
    local client <close> = support.client(sim, { entity_id = ID:gsub("-", ""), org_ids = { "o1", "o2" },
      track_id = "job 7", version = "186.0", user_agent = "mine/1" })
    assert(client.reportruns:list())
    client.jobs:get "x"
    client.files:download("x", "build/spec/client-x")
    for _, target in ipairs { "/reporting", "/v1/batch-query", "/v1/files" } do
      local headers = (support.sent(sim, "GET", target)[1] or support.sent(sim, "POST", target)[1]).headers
      assert.equal(ID, headers["zuora-entity-ids"])
      assert.equal("job 7", headers["zuora-track-id"])
      assert.equal("mine/1", headers["user-agent"])
      local aqua = target ~= "/reporting"
      assert.equal(aqua and "o1,o2" or nil, headers["zuora-org-ids"])
      assert.equal(aqua and "186.0" or nil, headers["zuora-version"])
    end
    local token = support.sent(sim, "POST", "/oauth/token")[1].headers
    assert.is_nil(token["zuora-entity-ids"])
    assert.equal("job 7", token["zuora-track-id"])
  end)

  it("names the entity of a password by its own headers", function()
    local client <close> = support.client(sim, { username = "u", password = "p", entity_name = "Sales" })
    client.jobs:get "x"
    assert.equal("Sales", sim:journal()[1].headers.entityname)
    local other <close> = support.client(sim, { username = "u", password = "p", entity_id = ID })
    other.jobs:get "x"
    assert.equal(ID, sim:journal()[2].headers.entityid)
    assert.is_nil(sim:journal()[2].headers["zuora-entity-ids"])
    client.jobs:get("x", { entity_id = ID })
    assert.equal(ID, sim:journal()[3].headers.entityid)
    assert.is_nil(sim:journal()[3].headers.entityname)
  end)

  it("hides its parts from getmetatable", function()
    local client <close> = support.client(sim)
    assert.equal(false, getmetatable(client.jobs))
    assert.equal(false, getmetatable(assert(client.reportruns:start(support.REPORT, { view = "Detail" }))))
  end)

  it("says at the user's line what is wrong with the options", function()
    for _, bad in ipairs { { environment = "eu" }, { environment = "mars", token = "t" }, { base_url = "x", token = "t" },
      { environment = "eu", client_id = "i" }, { environment = "eu", token = "t", timeout = 0 },
      { environment = "eu", token = "t", version = "x" }, { environment = "eu", token = "t", proxy = "x x" } } do
      local _, message = pcall(function() zuora.new(bad) end)
      assert.matches("^%.?/?spec/client_spec%.lua:%d+: ", message)
    end
  end)

  it("is made with a dot", function()
    local ok, message = pcall(function() local _ = zuora:new { environment = "eu", token = "t" } end)
    assert.is_false(ok)
    assert.matches("^%.?/?spec/client_spec%.lua:%d+: zuora%.new was called with a colon: write it with a dot$", message)
  end)

  it("says at the user's line, and by the user's name for it, what was called when it was closed", function()
    local client = support.client(sim)
    local job = assert(client.jobs:submit { queries = { A = "select Id from Account" } })
    local query = assert(assert(client.queries:submit { query = "select Id from Account" }):wait(support.soon))
    client:close()
    local function message_of(f)
      local ok, message = pcall(f)
      assert.is_false(ok)
      local line, words = message:match "^%.?/?spec/client_spec%.lua:(%d+): (.*)$"
      assert.is_true(math.abs((tonumber(line) or 0) - debug.getinfo(f, "S").linedefined) <= 1, message)
      return words
    end
    local CLOSED = ": attempt to use a closed client"
    for name, f in pairs {
      ["client.jobs:get"] = function() local _ = client.jobs:get "x" end,
      ["client.jobs:submit"] = function() client.jobs:submit { queries = { A = "select Id from Account" } } end,
      ["client.files:download"] = function() client.files:download("f", "build/spec/client-x") end,
      ["client.reportruns:get"] = function() client.reportruns:wait "r" end,
      ["client.reportruns:export"] = function() client.reportruns:rows "r" end,
      ["client.reports:search"] = function() client.reports:find "x" end,
      ["client.describe:object"] = function() client.describe:object "Account" end,
      ["client.queries:get"] = function() query:download "build/spec/client-x" end,
      ["client.jobs:cancel"] = function() job:cancel() end,
      ["client:request"] = function() client:request { path = "/x" } end,
      ["client:run"] = function() client:run(print) end,
    } do
      assert.equal(name .. CLOSED, message_of(f))
    end
  end)

  it("may be closed by a hook", function()
    local client
    client = support.client(sim, { token = "t", on_retry = function() client:close() end })
    sim:fault { on = "GET *", kind = "status", status = 503 }
    assert.error_matches(function() client.jobs:get "x" end, "closed client")
  end)

  it("takes track and entity id for one call alone", function()
    local client <close> = support.client(sim, { track_id = "standing" })
    local other = "99999999-2222-3333-4444-555555555555"
    client.jobs:get("x", { track_id = "own", entity_id = other })
    client.jobs:get "x"
    local sent = support.sent(sim, "GET", "/v1")
    assert.equal("own", sent[1].headers["zuora-track-id"])
    assert.equal(other, sent[1].headers["zuora-entity-ids"])
    assert.equal("standing", sent[2].headers["zuora-track-id"])
    assert.is_nil(sent[2].headers["zuora-entity-ids"])
  end)

  it("keeps the echoed track id and the request id in errors", function()
    local client <close> = support.client(sim)
    local _, err = client.jobs:get("x", { track_id = "find me" })
    assert.equal("find me", err.track_id)
    assert.matches("^%x+%-", err.request_id)
    assert.matches("request id " .. err.request_id:gsub("%-", "%%-"), tostring(err))
  end)

  it("talks to each base by itself when told so", function()
    local other <close> = support.simulator()
    local client <close> = support.client(sim, { username = "u", password = "p",
      aqua_url = other.url .. "/apps/api/batch-query/", files_url = other.url .. "/my/files" })
    client.jobs:get "x"
    client.files:download("x", "build/spec/client-x")
    client.reportruns:get "x"
    local journal = other:journal()
    assert.equal("/apps/api/batch-query/jobs/x", journal[1].path)
    assert.equal("Basic ***", journal[1].headers.authorization)
    assert.equal("/my/files/x", journal[2].path)
    assert.equal("***", journal[2].headers.apiaccesskeyid)
    assert.equal("/reporting/api/rest/v1/reportruns/x", sim:journal()[1].path)
  end)

  it("shows its verbs, and nothing else", function()
    local client <close> = support.client(sim)
    local names = {}
    for name in pairs(client) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "describe", "files", "jobs", "queries", "reportruns", "reports" }, names)
    assert.equal(false, getmetatable(client))
    assert.matches("^zuora%.Client %(127%.0%.0%.1:%d+%)$", tostring(client))
  end)

  it("runs tasks side by side on one pool of connections", function()
    local client <close> = support.client(sim, { max_connections = 3 })
    local function job()
      local submitted = assert(client.jobs:submit { queries = { { name = "a", query = "select Id from Account" } } })
      return assert(submitted:wait(support.soon)).status
    end
    assert.same({ "completed", "completed", "completed" }, { client:run(job, job, job) })
  end)

  it("moves spawned tasks on with step, and with any blocking call", function()
    local client <close> = support.client(sim)
    local seen
    client:spawn(function() seen = assert(client.reportruns:list()) end)
    while client:step(0.2) do assert(true) end
    assert.is_table(seen)
    local task = client:spawn(function() client:sleep(0.01) return "x" end)
    client.jobs:get "x"
    assert.equal("x", task:join())
  end)

  it("ends its tasks when it is closed", function()
    local client = support.client(sim)
    local events = {}
    client:spawn(function()
      local _ <close> = setmetatable({}, { __close = function() events[1] = "closed" end })
      client:sleep(1000)
    end)
    client:step(0)
    client:close()
    assert.same({ "closed" }, events)
  end)

  it("has its methods called with a colon", function()
    local client <close> = support.client(sim)
    for name, wrong in pairs {
      ["client:run"] = function() client.run(print) end,
      ["client:close"] = function() client.close() end,
      ["client.jobs:get"] = function() client.jobs.get "x" end,
      ["client.reportruns:start"] = function() client.reportruns.start("x", { view = "Detail" }) end,
      ["client.files:download"] = function() client.files.download("x", "y") end,
    } do
      assert.error_matches(wrong, name .. " was called without its object")
    end
  end)

  it("answers Ctrl-C within a fifth of a second", function()
    sim:fault { on = "GET *", kind = "delay", seconds = 5 }
    local text = support.shell(([[
      cat > build/spec/interrupt.lua <<'END'
package.path, package.cpath = %q, %q
local zuora = require "zuora"
local client = zuora.new { base_url = %q, token = "t" }
io.stdout:write("ready\n") io.stdout:flush()
client.jobs:get("x", { timeout = 20 })
END
      lua5.4 build/spec/interrupt.lua & child=$!
      sleep 0.4
      before=$(date +%%s%%N)
      kill -INT $child
      wait $child
      after=$(date +%%s%%N)
      echo "took $(( (after - before) / 1000000 ))"]]):format(package.path, package.cpath, sim.url))
    assert.matches("ready", text)
    assert.is_true(tonumber(text:match("took (%d+)")) < 400, text)
  end)

  it("collects the errors of ours that a function raises in map, as iterators do, and raises all others", function()
    local other <close> = support.simulator()
    local own <close> = support.client(other)
    other:fault { on = "GET *search*", kind = "status", status = 403, body = "{}" }
    local results, errors = own:map({ "a", "b" }, function(text)
      local count = 0
      for _ in own.reports:each(text) do count = count + 1 end
      return text .. count
    end, { concurrency = 1, on_error = "collect" })
    assert.equal("auth", errors[1].kind)
    assert.equal("b0", results[2])
    local thrown = {}
    local ok, problem = pcall(own.map, own, { 1 }, function() error(thrown) end, { on_error = "collect" })
    assert.is_false(ok)
    assert.equal(thrown, problem)
  end)
end)
