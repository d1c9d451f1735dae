-- What .github/SECURITY.md promises, as far as no other spec holds it.

local nginx = require "spec.nginx"
local support = require "spec.support"

local SECRET = "Wipe-Me-0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ"

describe("memory", function()
  local sim

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function() sim:heal() end)

  -- Runs code in a process that looks into all memory as it is given back: which modules left the secret there.
  local function leavers(code, secret)
    local prologue = ([[
      local core = require "zuora.core"
      local support = require "spec.support"
      local zuora = require "zuora"
      local SECRET, URL = %q, %q
      local function collect() for _ = 1, 3 do collectgarbage() end end
    ]]):format(SECRET, sim.url)
    local text, status = support.lua(prologue .. code .. "\ncollect() print 'ended well'",
      ("WIPED_SECRET='%s' LD_PRELOAD=$PWD/%s"):format(secret or SECRET, support.native "wiped.so"))
    assert.equal(0, status, text)
    assert.matches("ended well\n", text)
    local found = {}
    for module in text:gmatch "([^/\n]+) left it\n" do found[module] = (found[module] or 0) + 1 end
    return found, text
  end

  -- The shim sees what others leave; so it would see ours.
  local function is_ours_wiped(code)
    local found, text = leavers(code)
    assert.is_truthy(found["libcurl.so.4"], text)
    assert.is_nil(found["core.so"], text)
  end

  it("of header lines and of answers is wiped when a call ends", function()
    -- A token among so much that the buffer of the answer has to grow.
    sim:fault { on = "POST /oauth/token", kind = "status", status = 200,
      body = ('{"access_token":"%s","scope":"%s"}'):format(SECRET, ("x"):rep(20000)),
      headers = { ["Set-Cookie"] = "session=" .. SECRET } }
    is_ours_wiped [[
      local client <close> = zuora.new { base_url = URL, client_id = "i", client_secret = "s" }
      client.jobs:get "x"
    ]]
    is_ours_wiped [[
      local client <close> = zuora.new { base_url = URL, username = "u", password = SECRET }
      client.jobs:get "x"
    ]]
  end)

  it("is wiped when a call is given up, or its session closed, or it never began", function()
    sim:fault { on = "GET *", kind = "delay", seconds = 5, times = 9 }
    is_ours_wiped [[
      local session = core.session {}
      local function start(url)
        return session:start { url = url, proxy = "", headers = { Authorization = "Bearer " .. SECRET } }
      end
      local cancelled, abandoned = start(URL .. "/x"), start(URL .. "/x")
      for _ = 1, 10 do session:step(0.02) end
      cancelled:cancel()
      assert(not start(URL .. "/" .. ("x"):rep(9000000)))
      session:close()
    ]]
  end)

  it("of Lua has the token alone, and no header line made of it for each call", function()
    local found, text = leavers([[
      local client <close> = zuora.new { base_url = URL, token = SECRET }
      for _ = 1, 5 do client.jobs:get "x" end
    ]], "Authorization: Bearer " .. SECRET)
    assert.is_truthy(found["libcurl.so.4"], text)
    assert.is_nil(found["lua5.4"], text)
    assert.is_nil(found["core.so"], text)
  end)
end)

describe("what a server says", function()
  it("steers no terminal and no log: not by errors, log lines, hooks, or words", function()
    local sim <close> = support.simulator()
    local bad = "A\27]0;title\7\127\194\155\155\u{202e}\u{2066}\u{2028}B"
    local escaped = bad:gsub("[\0-\31\127]", function(c) return ("\\u%04x"):format(c:byte()) end)
    local function answer(status, body)
      sim:fault { on = "* /reporting/*", kind = "garbage", raw = ("HTTP/1.1 %d x\r\nContent-Type: application/json\r\n"
        .. "Zuora-Request-Id: %s\r\nZuora-Track-Id: %s\r\nContent-Length: %d\r\n\r\n%s"):format(status, bad, bad, #body, body) }
    end
    local told = {}
    local function tell(info)
      for _, value in pairs(info) do told[#told + 1] = tostring(value) end
    end
    local client <close> = support.quick_client(sim, { log = function(line) tell { line } end, on_response = tell, on_retry = tell })
    answer(503, ('{"success":false,"reasons":[{"code":"%s","message":"%s"}]}'):format(escaped, escaped))
    answer(400, ('{"success":false,"reasons":[{"code":"%s","message":"%s"}]}'):format(escaped, escaped))
    local _, err = client.reportruns:get "x"
    assert.equal("A ]0;title ? B", err.request_id)
    assert.equal("A ]0;title ? B", err.reasons[1].message)
    assert.equal(2, err.attempts)
    tell { tostring(err), err.message, err.code, err.track_id }
    answer(200, ('{"success":true,"response":{"message":"%s"}}'):format(escaped))
    tell { (select(2, assert(client.reportruns:cancel "x"))) }
    -- Nor by a page, by the words of an HTTP line, or by an error that nobody joins.
    answer(502, "<html><title>" .. bad .. "</title></html>")
    tell { tostring((select(2, client.reportruns:get("x", { retries = 0 })))) }
    pcall(client.run, client, function() error(bad) end)
    assert.is_true(#told > 25)
    for _, text in ipairs(told) do
      assert.is_nil(text:find "[\0-\31\127]")
      for _, piece in ipairs { "\194\155", "\u{202e}", "\u{2066}", "\u{2028}" } do assert.is_nil(text:find(piece, 1, true), text) end
      assert.is_truthy(utf8.len(text), text)
    end
    assert.matches("a task failed: .*A %]0;title %? B", told[#told])
  end)
end)

describe("a client's credentials", function()
  local sim

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)

  -- All that is to be reached from a value by what every program may use; with `debug`, also what only that shows.
  local function reaches(value, secret, with_debug)
    local seen, left = { [_G] = true, [package.loaded] = true }, { value } -- which lead to these specs
    local function note(one)
      if one ~= nil and one == one and not seen[one] then
        seen[one] = true
        left[#left + 1] = one
      end
    end
    while #left > 0 do
      local one = table.remove(left)
      if type(one) == "string" and one:find(secret, 1, true) then return true end
      local printed = type(one) ~= "string" and tostring(one) or ""
      if printed:find(secret, 1, true) then return true end
      if with_debug then note(debug.getmetatable(one)) else note(getmetatable(one)) end
      if type(one) == "table" then
        for key, held in next, one do
          note(key)
          note(held)
        end
      elseif with_debug and type(one) == "function" then
        for i = 1, 255 do
          local name, held = debug.getupvalue(one, i)
          if not name then break end
          note(held)
        end
      end
    end
    return false
  end

  it("are reached by nothing but the debug library", function()
    for kind, options in pairs { secret = {}, password = { username = "u", password = "password-" .. SECRET },
      token = { token = "token." .. SECRET } } do
      local client <close> = support.client(sim, options)
      local _, err = client.jobs:get "x"
      local run = client.reportruns:start(support.REPORT, { view = "Detail", retries = 0 })
      local secret = options.password or options.token or sim.client_secret
      for _, value in ipairs { client, err, run or err } do assert.is_false(reaches(value, secret), kind) end
      assert.is_true(reaches(client, secret, true), kind) -- as the document says
    end
  end)

  it("live as long as the client: they are let go with it", function()
    local held = setmetatable({}, { __mode = "k" })
    local function use()
      local function token() return "token." .. SECRET end
      held[token] = true
      local client <close> = support.client(sim, { token = token })
      client.jobs:get "x"
    end
    use()
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(next(held))
  end)
end)

describe("the environment", function()
  local missing = nginx.missing()
  if missing then
    pending(missing)
    return
  end

  local sim, server

  setup(function()
    sim = support.simulator()
    server = nginx.start("security", sim.url)
  end)
  teardown(function()
    server:stop()
    sim:stop()
  end)

  -- A request of a process with these variables: the name of its failure, or its status.
  local function ask(variables, options, url)
    local text, status = support.lua(([[
      local core = require "zuora.core"
      local support = require "spec.support"
      local session = core.session {}
      local response, _, name = support.finish(session, session:start { url = %q, %s })
      print(response and response.status or name)
    ]]):format(url or server.secure .. "/x", options or ""), "env " .. variables)
    assert.equal(0, status, text)
    return text:match "[^\n]+"
  end

  local function with_ca(more) return ("ca = %q, %s"):format(server.ca_file, more or "") end

  it("names a proxy, unless the option does; an empty one is none", function()
    for _, name in ipairs { "http_proxy", "all_proxy", "ALL_PROXY" } do
      local variable = name .. "=http://127.0.0.1:1"
      assert.equal("COULDNT_CONNECT", ask(variable, "", server.plain .. "/x"), name)
      assert.equal("404", ask(variable, 'proxy = ""', server.plain .. "/x"), name)
      assert.equal("404", ask(variable .. " no_proxy=127.0.0.1", "", server.plain .. "/x"), name)
    end
    for _, name in ipairs { "https_proxy", "HTTPS_PROXY" } do
      assert.equal("COULDNT_CONNECT", ask(name .. "=http://127.0.0.1:1", with_ca()), name)
      assert.equal("404", ask(name .. "=http://127.0.0.1:1", with_ca 'proxy = ""'), name)
    end
    assert.equal("404", ask("HTTP_PROXY=http://127.0.0.1:1", "", server.plain .. "/x")) -- a CGI's header
  end)

  it("does not turn verification off, and takes no place of ca_file", function()
    for _, variable in ipairs { "SSL_CERT_FILE=/dev/null", "CURL_CA_BUNDLE=/dev/null", "SSL_VERIFY=0", "CURL_INSECURE=1",
      "PYTHONHTTPSVERIFY=0", "GIT_SSL_NO_VERIFY=1" } do
      assert.equal("404", ask(variable, with_ca 'proxy = ""'), variable)
      assert.equal("PEER_FAILED_VERIFICATION", ask(variable, 'proxy = ""'), variable)
    end
    local by_name = server.secure:gsub("127%.0%.0%.1", "localhost") .. "/x" -- the certificate is for the number
    assert.equal("PEER_FAILED_VERIFICATION", ask("SSL_VERIFY=0", with_ca 'proxy = ""', by_name))
    for _, variable in ipairs { "SSL_CERT_FILE=", "CURL_CA_BUNDLE=" } do -- Debian's libcurl has a place of its own
      assert.equal("PEER_FAILED_VERIFICATION", ask(variable .. server.ca_file, 'proxy = ""'), variable)
    end
  end)

  it("may have the keys of TLS written down: SSLKEYLOGFILE", function()
    local path = support.scratch "keys" .. "/keys"
    assert.equal("404", ask("SSLKEYLOGFILE=" .. path, with_ca 'proxy = ""'))
    assert.matches("%u+ " .. ("%x"):rep(64) .. " %x+\n", support.read(path)) -- read by whoever listens, too
  end)

  it("has no file of passwords that is read", function()
    local home = support.scratch "home"
    support.write(home .. "/.netrc", "machine 127.0.0.1 login u password " .. SECRET .. "\n")
    support.write(home .. "/.curlrc", 'header = "X-Mine: x"\n')
    sim:forget()
    assert.equal("404", ask("HOME=" .. home .. " CURL_HOME=" .. home, 'proxy = ""', sim.url .. "/x"))
    local headers = sim:journal()[1].headers
    assert.is_nil(headers.authorization)
    assert.is_nil(headers["x-mine"])
  end)
end)

describe("files get what the umask leaves", function()
  it("under their names; spooled rows are their owner's alone", function()
    -- More than is read at a time, so that the file of the rows is still open.
    local sim <close> = support.simulator { looks = 1, objects = { Account = { generate = { rows = 20000 } } } }
    local client <close> = support.client(sim)
    local job = assert(client.jobs:submit { queries = { { name = "a", query = "select * from Account" } } })
    assert(job:wait(support.soon))
    for mask, modes in pairs { ["000"] = "666 777", ["022"] = "644 755", ["027"] = "640 750", ["077"] = "600 700" } do
      local directory = support.scratch "umask"
      local text, status = support.lua(([[
        local support = require "spec.support"
        local directory = %q
        local client = require "zuora".new { base_url = %q, client_id = %q, client_secret = %q, tmpdir = directory }
        local function mode(path) return support.shell("stat -L -c %%a " .. path):match "%%d+" end
        local job = assert(client.jobs:get(%q))
        local during
        assert(job:batch "a":download(directory .. "/one.csv", { resume = true, on_progress = function()
          during = during or mode(directory .. "/one.csv.part") .. mode(directory .. "/one.csv.part.state")
        end }))
        assert(job:download(directory .. "/deep/deeper"))
        print(mode(directory .. "/one.csv"), mode(directory .. "/deep/deeper/a.csv"), mode(directory .. "/deep"),
          mode(directory .. "/deep/deeper"), during)
        local it = assert(job:batch "a":rows())
        print((support.shell "for f in /proc/$PPID/fd/*; do readlink $f | grep -q deleted && stat -L -c '%%a %%h' $f; done"))
      ]]):format(directory, sim.url, sim.client_id, sim.client_secret, job.id), ("umask %s;"):format(mask))
      assert.equal(0, status, text)
      local file, folder = modes:match "(%d+) (%d+)"
      assert.equal(("%s %s %s %s %s%s\n600 0"):format(file, file, folder, folder, file, file), (text:gsub("\t", " "):gsub("%s+$", "")))
    end
  end)
end)
