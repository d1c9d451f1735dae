local core = require "zuora.core"
local doctor = require "zuora.cli.doctor"
local socket = require "socket"
local support = require "spec.support"
local wire = require "spec.faults.wire"

local ENVIRONMENT = "env -u https_proxy -u http_proxy -u all_proxy -u HTTPS_PROXY -u ALL_PROXY -u no_proxy -u NO_PROXY"

-- What was told: by subject, the last line of it; and all of it as text.
local function examine(settings, origin, more)
  local told = { all = {} }
  local out = { line = function(_, state, subject, text, cure)
    told[subject] = { state = state, text = text, cure = cure }
    told.all[#told.all + 1] = table.concat({ state, subject, text, cure }, " | ")
  end }
  told.code = doctor.run(settings, origin or {}, out, more)
  told.text = table.concat(told.all, "\n")
  return told
end

-- The one that fails first is what is looked for.
local function assert_failed(told, subject, code, cause, cure)
  local first = told.text:match "fail | [^\n]*"
  assert.is_string(first, told.text)
  assert.equal(subject, first:match "^fail | (.-) |", told.text)
  assert.matches(cause, told[subject].text)
  assert.matches(cure, told[subject].cure)
  assert.equal(code, told.code)
end

-- The same in a process of its own, under the shim.
local function examine_under(environment, settings)
  local fields = {}
  for name, value in pairs(settings) do fields[#fields + 1] = ("%s = %q"):format(name, value) end
  local code = ([[
    local doctor = require "zuora.cli.doctor"
    local out = { line = function(_, ...) print(table.concat({ ... }, " | ")) end }
    os.exit(doctor.run({ %s }, {}, out), true)
  ]]):format(table.concat(fields, ", "))
  local text, status = support.lua(code, ('%s %s LD_PRELOAD="$LD_PRELOAD %s"'):format(ENVIRONMENT, environment,
    support.native "shim.so"))
  local told = { text = text, code = status }
  for state, subject, rest in text:gmatch "(%w+) | (.-) | ([^\n]*)" do
    local words, cure = rest:match "^(.*) | (.-)$"
    told[subject] = { state = state, text = words or rest, cure = cure }
  end
  return told
end

-- Serves with `serve` while f runs in a process of its own.
local function while_serving(server, path, command)
  local pipe = assert(io.popen(command .. " > " .. path .. " 2>&1; echo \"status $?\" >> " .. path))
  local ends_at = core.now() + 20
  repeat
    server:step()
    socket.sleep(0.005)
    local text = support.read(path) or ""
  until text:find "status %d+\n$" or core.now() > ends_at
  pipe:close()
  return support.read(path)
end

local function doctor_code(settings)
  local fields = {}
  for name, value in pairs(settings) do fields[#fields + 1] = ("%s = %q"):format(name, value) end
  return ("package.path=%q package.cpath=%q "):format(package.path, package.cpath) .. ([[
    local out = { line = function(_, ...) print(table.concat({ ... }, " | ")) end }
    os.exit(require "zuora.cli.doctor".run({ %s }, {}, out), true)]]):format(table.concat(fields, ", "))
end

describe("the doctor", function()
  local sim

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function() sim:heal() end)

  local function settings_with(more)
    local settings = { base_url = sim.url, client_id = sim.client_id, client_secret = sim.client_secret }
    for name, value in pairs(more or {}) do settings[name] = value end
    return settings
  end

  it("finds nothing where all is well, and says where each setting came from", function()
    local told = examine(settings_with { track_id = "t-1" },
      { base_url = "environment ZUORA_BASE_URL", client_id = "profile night", client_secret = "profile night", track_id = "flag" })
    assert.equal(0, told.code, told.text)
    assert.is_nil(told.text:find "fail |")
    assert.equal("Lua 5.4", told.Lua.text)
    assert.matches("^libcurl/%d", told.libcurl.text)
    assert.matches("SSL", told.libcurl.text)
    assert.matches("^%d", told["lua-cjson"].text)
    assert.matches("^%d", told.lxp.text)
    assert.equal(sim.url .. " (environment ZUORA_BASE_URL)", told.base_url.text)
    assert.equal("is set (profile night)", told.client_secret.text)
    assert.equal("t-1 (flag)", told.track_id.text)
    assert.matches("answers", told.network.text)
    assert.matches("agrees", told.clock.text)
    for _, name in ipairs { "credentials", "Reporting", "AQuA", "Data Query", "describe", "limits", "disk", "temporary files" } do
      assert.equal("ok", told[name].state, name)
    end
    assert.is_nil(told.text:find(sim.client_secret, 1, true))
    assert.is_nil(told.text:find(sim.client_id, 1, true))
  end)

  it("changes nothing", function()
    sim:forget()
    examine(settings_with())
    for _, entry in ipairs(sim:journal()) do
      assert.is_true(entry.method == "GET" or entry.path == "/oauth/token", entry.method .. " " .. entry.path)
    end
    assert.same({ {}, {}, {} }, { sim:held().jobs, sim:held().runs, sim:held().queries })
  end)

  it("takes a token, and user name and password, as they are", function()
    local told = examine { base_url = sim.url, username = sim.username, password = sim.password, legacy = true }
    assert.equal("ok", told.credentials.state, told.text)
    told = examine { reporting_url = sim.url .. "/api/rest/v1", aqua_url = sim.url .. "/apps/api/batch-query",
      files_url = sim.url .. "/apps/api/file", legacy = true, username = sim.username, password = sim.password }
    assert.equal("not on these hosts", told["Data Query"].text)
    told = examine { base_url = sim.url, token = "made-up" }
    assert_failed(told, "credentials", 4, "refused", "token may have ended")
  end)

  it("1: tells a secret that is wrong", function()
    local told = examine(settings_with { client_secret = "wrong-secret-4711" })
    assert_failed(told, "credentials", 4, "refused.*Bad credentials", "check client_id and client_secret")
    assert.is_nil(told.text:find "4711")
  end)

  it("1b: tells what was copied along with a secret", function()
    assert_failed(examine(settings_with { client_secret = sim.client_secret .. " " }), "client_secret", 2, "blank", "anew")
    assert_failed(examine(settings_with { client_secret = '"' .. sim.client_secret .. '"' }), "client_secret", 2, "quotation",
      "anew")
  end)

  it("2: tells which other data centre takes the credentials", function()
    local other <close> = support.simulator { client_id = "id-of-the-other", client_secret = "secret-of-the-other" }
    local third <close> = support.simulator { client_id = "third", client_secret = "third" }
    local places = { ["a-third"] = { rest = third.url }, here = { rest = sim.url }, there = { rest = other.url } }
    local told = examine(settings_with { client_id = other.client_id, client_secret = other.client_secret }, {},
      { environments = places })
    assert_failed(told, "credentials", 4, "another data centre: there takes them", "%-%-environment there")
    told = examine(settings_with { client_secret = "wrong" }, {}, { environments = places })
    assert_failed(told, "credentials", 4, "refused", "check")
  end)

  it("3: tells a clock that is 20 minutes off", function()
    local off <close> = support.simulator()
    off:forward(1200)
    local told = examine { base_url = off.url, client_id = off.client_id, client_secret = off.client_secret }
    assert_failed(told, "clock", 1, "^20 minutes behind ", "timedatectl")
    told = examine(settings_with(), {}, { now = function() return os.time() + 1200 end })
    assert_failed(told, "clock", 1, "^20 minutes ahead ", "timedatectl")
    told = examine(settings_with(), {}, { now = function() return os.time() + 90 end })
    assert.equal("note", told.clock.state)
    assert.equal(0, told.code)
  end)

  it("4: tells an authority that is not known", function()
    local secure <close> = support.simulator { tls = true }
    local settings = { base_url = secure.url, client_id = secure.client_id, client_secret = secure.client_secret }
    assert_failed(examine(settings), "TLS", 2, "authority that is not known", "%-%-ca%-file or ZUORA_CA_FILE")
    settings.ca_file = secure.ca_file
    local told = examine(settings)
    assert.equal(0, told.code, told.text)
    assert.matches("its certificate is good", told.network.text)
    settings.ca_file = "/nowhere"
    assert_failed(examine(settings), "TLS", 2, "cannot be read", "ZUORA_CA_FILE")
  end)

  it("4b: tells certificates that are out of time, or another host's", function()
    local directory = wire.certificates(support.scratch "doctor-certificates")
    for name, cause in pairs { old = "not valid at this time", elsewhere = "for another host" } do
      local server = wire.new(function(c) c:stall() end,
        { tls = { key = directory .. "/key", certificate = directory .. "/" .. name } })
      local path = os.tmpname()
      support.write(path, doctor_code { base_url = server.url, token = "t", ca_file = directory .. "/" .. name })
      local text = while_serving(server, os.tmpname(), ENVIRONMENT .. " lua5.4 " .. path)
      server:close()
      os.remove(path)
      assert.matches("fail | TLS | [^\n]*" .. cause, text)
    end
  end)

  -- What a proxy says to each request; over plain HTTP it stands in the server's place.
  local function through_proxy(answer, base_url)
    local seen = {}
    local proxy = wire.new(function(c)
      local request = c:request()
      if request then seen[#seen + 1] = request.line end
      c:send(answer)
    end)
    local code, path = doctor_code { base_url = base_url, client_id = "i", client_secret = "s",
      proxy = ("http://somebody:pass-4711@127.0.0.1:%d"):format(proxy.port) }, os.tmpname()
    support.write(path, code)
    local text = while_serving(proxy, os.tmpname(), ENVIRONMENT .. " lua5.4 " .. path)
    proxy:close()
    os.remove(path)
    return text, seen
  end

  it("5: tells a proxy that refuses", function()
    local text, seen = through_proxy("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "https://rest.zuora.test")
    assert.matches("^CONNECT rest.zuora.test:443", seen[1])
    assert.matches("fail | proxy | the proxy http://127.0.0.1:%d+ refuses to let rest.zuora.test through %(403%) | ask who", text)
    assert.matches("status 75\n$", text)
    assert.is_nil(text:find "4711")
    text, seen = through_proxy(
      "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
      "http://rest.zuora.test")
    assert.matches("^GET http://rest.zuora.test/", seen[1])
    assert.matches("fail | proxy | [^\n]*wants a user name and password %(407%) | put them", text)
  end)

  it("5b: tells a proxy that is not there, and who named it", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    listener:close()
    local told = examine(settings_with { proxy = "http://127.0.0.1:" .. port }, { proxy = "profile night" })
    assert_failed(told, "proxy", 75, "takes no connection", "profile night")
    told = examine_under("http_proxy=http://somebody:4711@127.0.0.1:" .. port, settings_with())
    assert_failed(told, "proxy", 75, "takes no connection", "environment http_proxy")
    assert.is_nil(told.text:find "4711")
    for _, password in ipairs { "a/4711", "a 4711", "a@4711:b" } do -- as people write it
      for _, scheme in ipairs { "http://", "" } do
        told = examine_under(("http_proxy='%ssomebody:%s@127.0.0.1:%d'"):format(scheme, password, port), settings_with())
        assert.matches("fail | proxy", told.text)
        assert.is_nil(told.text:find "4711", told.text)
      end
    end
    told = examine_under("no_proxy=127.0.0.1 http_proxy=http://127.0.0.1:" .. port, settings_with())
    assert.equal(0, told.code, told.text)
  end)

  it("6: tells that there is no permission for reports", function()
    sim:fault { on = "GET /reporting/*", kind = "status", times = "always", status = 403,
      body = '{"success":false,"processId":"P","reasons":[{"code":"50000010","message":"no access to reports"}]}' }
    local told = examine(settings_with())
    assert_failed(told, "Reporting", 4, "no permission: .*no access to reports", "Reporting Role")
    assert.equal("ok", told.AQuA.state)
    assert.equal("ok", told["Data Query"].state)
  end)

  it("6b: tells the same of each of the others", function()
    for on, name in pairs { ["GET /v1/batch-query/*"] = "AQuA", ["GET /query/*"] = "Data Query", ["GET /v1/describe*"] = "describe" } do
      sim:heal()
      sim:fault { on = on, kind = "status", times = "always", status = 403,
        body = '{"success":false,"reasons":[{"code":"50000010","message":"no"}]}' }
      assert_failed(examine(settings_with()), name, 4, "no permission", "needs")
    end
  end)

  it("7: tells a host that does not resolve", function()
    local told = examine_under("FAULT_NAMES=none", { base_url = "http://zuora.test:1", client_id = "i", client_secret = "s" })
    assert_failed(told, "DNS", 75, "zuora.test:1 does not resolve", "resolv.conf")
  end)

  it("7b: tells a host that takes no connection", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    listener:close()
    assert_failed(examine(settings_with { base_url = "http://127.0.0.1:" .. port }), "TCP", 75, "takes no connection", "firewall")
  end)

  it("8: tells profiles that others can read", function()
    local path = os.tmpname()
    support.write(path, '{"profiles":{"default":{"client_secret":"x"}}}')
    os.execute("chmod 644 " .. path)
    assert_failed(examine(settings_with(), {}, { config = path }), "profiles", 2, "mode 644: others can read the secrets",
      "chmod 600 " .. path)
    os.execute("chmod 622 " .. path)
    assert_failed(examine(settings_with(), {}, { config = path }), "profiles", 2, "others can write it", "chmod go%-w")
    os.execute("chmod 600 " .. path)
    assert.equal(0, examine(settings_with(), {}, { config = path }).code)
    support.write(path, '{"profiles":{"default":{"client_secret_command":["pass"]}}}')
    os.execute("chmod 644 " .. path)
    assert.equal(0, examine(settings_with(), {}, { config = path }).code)
    os.remove(path)
    assert.equal("ok", examine(settings_with(), {}, { config = path }).profiles.state)
  end)

  it("9: tells a libcurl that is too old", function()
    local told = examine_under("FAULT_CURL=1", settings_with())
    assert_failed(told, "libcurl", 2, "libcurl 7.85.0 or newer is needed, this is 7.74.0", "install libcurl")
  end)

  it("10: tells a disk that is full", function()
    local told = examine_under("FAULT_DISK=1", settings_with())
    assert_failed(told, "disk", 1, "full", "another disk")
    assert.matches("full", told["temporary files"].text)
    assert.equal("ok", told.credentials.state) -- and goes on
  end)

  it("tells a temporary directory that is not there", function()
    assert_failed(examine(settings_with { tmpdir = "/nowhere" }), "temporary files", 1, "No such file", "TMPDIR")
  end)

  it("tells settings that cannot be meant, and those that could not be read", function()
    assert_failed(examine { base_url = sim.url, client_id = "i" }, "settings", 2, "client_secret", "help environment")
    assert_failed(examine({}, {}, { problem = "which tenant?" }), "settings", 2, "which tenant", "help environment")
  end)

  it("tells when little is left of a limit", function()
    local small <close> = support.simulator { requests_per_minute = 10 }
    local told = examine { base_url = small.url, client_id = small.client_id, client_secret = small.client_secret, rate_reserve = 0 }
    assert.matches("%d+ of 10 requests a minute are left", told.text)
  end)
end)
