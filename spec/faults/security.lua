--- Attacks, by a server, by what is handed to a call, by what lies in the folder; and secrets that must not be told.

local core = require "zuora.core"
local packing = require "zuora.simulator.engine.packing"
local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"
local zuora = require "zuora"

local reply, csv = wire.reply, wire.csv

local SUBMIT = { queries = { A = "select Id from Account" } }
local NASTY = { "a\rb", "a\nb", "a\0b", "a\127b", "a\r\nX-Evil: 1", "\n", "\t" }

-- A job with one batch for each of these names; and a client that gets a file for each.
local function downloaded(w, names)
  local batches = {}
  for i, name in ipairs(names) do batches[i] = { name = name, status = "completed", fileId = "f" .. i } end
  local client, server = w:played { reply(core.encode { id = w.job.id, status = "completed", batches = batches }) }
  local job = assert(client.jobs:get(w.job.id))
  server.turns.always = csv "a\n1\n"
  return assert(job:download(w:path "out"))
end

local function mode_of(path)
  local text = support.shell("stat -c %a " .. path)
  return text:match "%d+"
end

-- A server with this certificate must not be talked to.
local function untrusted(w, tls, options)
  local server = w:wire({}, { tls = tls })
  options = options or {}
  options.at = server
  local client = w:client(options)
  local err = w:fails("transport", client.jobs:get(w.job.id))
  assert(err.attempts == 1 or err.curl == "SSL_CONNECT_ERROR", tostring(err))
  assert(#server.requests == 0)
  client:close()
  return err
end

-- The environments of a process that might make it lax.
local LAX = { "CURL_INSECURE=1", "CURLOPT_SSL_VERIFYPEER=0", "SSL_VERIFY=0", "GIT_SSL_NO_VERIFY=1", "PYTHONHTTPSVERIFY=0",
  "NODE_TLS_REJECT_UNAUTHORIZED=0", "OPENSSL_CONF=/dev/null", "SSL_CERT_DIR=/", "REQUESTS_CA_BUNDLE=/dev/null" }

return {
  { id = "F1", fault = "ends of lines and NUL in headers, ids, keys, the agent, tokens", expect = "raises before a byte is sent",
    make = function(w)
      local client = w:client()
      for _, text in ipairs(NASTY) do
        for _, name in ipairs { "token", "client_id", "client_secret", "username", "password", "user_agent", "track_id", "entity_id",
          "entity_name", "org_ids", "version", "proxy", "ca_file" } do
          local options = { base_url = w.sim.url, [name] = text }
          if name == "client_id" then options.client_secret = "s" elseif name == "client_secret" then options.client_id = "i"
          elseif name == "username" then options.password = "p" elseif name == "password" then options.username = "u"
          elseif name == "entity_name" then options.username, options.password = "u", "p"
          elseif name ~= "token" then options.token = "t" end
          w:raises("bad argument '" .. name, zuora.new, options)
        end
        w:raises("bad argument", client.jobs.get, client.jobs, "x", { track_id = text })
        w:raises("bad argument", client.jobs.get, client.jobs, "x", { entity_id = text })
        w:raises("bad argument", client.jobs.submit, client.jobs, { queries = SUBMIT.queries, idempotency_key = text })
        w:raises(".", client.request, client, { path = "/x", headers = { ["X-Y"] = text } })
        local by_function = w:client { token = function() return text end }
        w:fails("auth", by_function.jobs:get "x")
        by_function:close()
      end
      assert(#w.sim:journal() == 0)
    end },

  { id = "F2", fault = "track ids of 65, with : ; \" ', not ASCII", expect = "raises; 64 are fine", make = function(w)
      local client = w:client()
      for _, text in ipairs { ("x"):rep(65), "a:b", "a;b", 'a"b', "a'b", "ä", "" } do
        w:raises("bad argument 'track_id'", client.jobs.get, client.jobs, w.job.id, { track_id = text })
      end
      assert(client.jobs:get(w.job.id, { track_id = ("x"):rep(64) }))
    end },

  { id = "F3", fault = "ids that are paths, queries, other addresses", expect = "raises; nothing is sent", make = function(w)
      local client = w:client()
      for _, id in ipairs { "..", ".", "a/b", "a%2fb", "a?b", "a#b", "a b", "", "%00", ("x"):rep(10000), "http://evil/", "//evil/",
        "a\\b", "a;b", "ä" } do
        for _, get in ipairs { client.jobs.get, client.jobs.cancel } do w:raises("bad argument", get, client.jobs, id) end
        w:raises("bad argument", client.reportruns.get, client.reportruns, id)
        w:raises("bad argument", client.files.download, client.files, id, w.directory .. "/x")
      end
      assert(#w.sim:journal() == 0)
      -- Nor does what a server calls an id make a path.
      for _, id in ipairs { "../x", "a/b", "http://evil/" } do
        w.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 200,
          body = core.encode { id = w.job.id, status = "completed", batches = { { name = "a", status = "completed", fileId = id } } } }
        w:fails("json", client.jobs:get(w.job.id))
      end
    end },

  { id = "F4", fault = "base URLs with a password, a query, \\, other schemes, a number as host", expect = "raises; slashes at the end go",
    make = function(w)
      for _, url in ipairs { "http://u:planted-p@h", "http://h?x", "http://h#x", "http://h\\@evil", "ftp://h", "file:///etc", "h",
        "http://", "http://2130706433", "http://0x7f000001", "http://h/../x", "http://h:99999", "http://h:x", "javascript:1", "//h" } do
        w:raises("bad argument 'base_url'", zuora.new, { base_url = url, token = "t" })
      end
      assert(w:client { base_url = w.sim.url .. "///" }.jobs:get(w.job.id))
      for _, url in ipairs { "http://[::1]:8080", "https://xn--nxasmq6b.example" } do
        zuora.new { base_url = url, token = "t" }:close()
      end
    end },

  { id = "F5", fault = "certificates: nobody's, ended, not begun, another host's; TLS 1.1", expect = "transport; not a byte is sent",
    make = function(w)
      local tls = w:tls()
      for _, name in ipairs { "old", "early", "elsewhere" } do
        tls.certificate = tls.certificate:gsub("[^/]*$", name)
        assert(untrusted(w, tls).curl == "PEER_FAILED_VERIFICATION")
      end
      tls = w:tls()
      assert(untrusted(w, tls, { ca_file = tls.certificate:gsub("good$", "elsewhere") }).curl == "PEER_FAILED_VERIFICATION")
      tls.protocol = "tlsv1_1"
      untrusted(w, tls, { retries = 0 })
    end },

  { id = "F6", fault = "an environment that might switch verification off", expect = "it stays on", make = function(w)
      local secure <close> = support.simulator { tls = true }
      support.write(w:path ".curlrc", "insecure\n")
      support.write(w:path ".netrc", "machine 127.0.0.1 login u password p\n")
      w:child(([[
        for _, options in ipairs { { base_url = %q }, { base_url = %q, ca_file = directory .. "/.netrc" } } do
          options.token, options.retries = "t", 0
          local err = fails("transport", new(options).jobs:get(job))
          assert(err.curl == "PEER_FAILED_VERIFICATION" or err.curl == "SSL_CACERT_BADFILE", err.curl)
        end]]):format(secure.url, secure.url), ("env HOME=%s CURL_HOME=%s %s"):format(w.directory, w.directory, table.concat(LAX, " ")))
      for _, entry in ipairs(secure:journal()) do error("it was asked: " .. entry.target) end
    end },

  { id = "F7", fault = "credentials, and a redirect to another server", expect = "it gets nothing", make = function(w)
      local planted, other = world.planted, w:wire {}
      for _, options in ipairs { { token = planted.token }, { username = planted.username, password = planted.password },
        { client_id = planted.client_id, client_secret = planted.client_secret } } do
        for _, status in ipairs { 301, 307, 308 } do
          w.sim:heal()
          w.sim:fault { on = "* *", kind = "status", status = status, headers = { Location = other.url .. "/x" }, times = "always" }
          local client = w:client(options)
          local value, err = client.jobs:get(w.job.id)
          w:tell(err)
          assert(not value)
          w:tell { client.jobs:submit(SUBMIT), client.files:download("f", w:path "file") }
          client:close()
        end
      end
      assert(other.accepted == 0)
      other:step()
      assert(other.accepted == 0)
    end },

  { id = "F8", fault = "secrets, in whatever can be seen", expect = "found nowhere", make = function(w)
      local planted = world.planted
      for _, options in ipairs { { token = planted.token }, { username = planted.username, password = planted.password },
        { client_id = planted.client_id, client_secret = planted.client_secret } } do
        for _, fault in ipairs { { status = 400, body = '{"message":"no"}' }, { status = 401 }, { status = 500, body = "x" },
          { status = 200, body = "{" }, { status = 302, headers = { Location = "/x" } } } do
          local secret = options.token or options.password or options.client_secret
          if fault.body then fault.body = fault.body .. (" you sent %s "):format(secret) end
          fault.on, fault.kind, fault.times = "* *", "status", "always"
          w.sim:heal()
          w.sim:fault(fault)
          local client = w:client(options)
          for _, call in ipairs { function() return client.jobs:get "x" end, function() return client.reportruns:list() end,
            function() return client.jobs:submit(SUBMIT) end, function() return client.files:download("f", w:path "file") end } do
            local value, err = call()
            assert(not value)
            w:tell(err)
            w:tell(select(2, xpcall(error, debug.traceback, err)))
            local task = client:spawn(function() assert(call()) end)
            w:tell(select(2, pcall(task.join, task)))
            w:tell(task:traceback())
          end
          w:tell(tostring(client))
          for name, value in pairs(client) do w:tell { name, tostring(value) } end
          w:tell(tostring(debug.getmetatable(client)))
          client:close()
        end
      end
      w:tell(support.read "/proc/self/cmdline")
      w:tell(table.concat(support.listing(w.directory), "\n"))
    end },

  { id = "F9", fault = "a proxy's password, when the proxy fails", expect = "not told", make = function(w)
      for _, host in ipairs { "127.0.0.1:" .. world.closed_port(), "proxy.invalid.zuora.test:1" } do
        w:child(([[
          local client = new { proxy = "http://planted.user:planted-proxy@%s", retries = 0 }
          fails("transport", client.jobs:get(job))]]):format(host),
          world.shim("FAULT_NAMES", "none"))
      end
      local proxy = w:wire { always = reply("proxy planted-proxy", {}, "407 No") }
      local client = w:client { base_url = "http://127.0.0.1:1", token = "t", retries = 0,
        proxy = ("http://planted.user:planted-proxy@127.0.0.1:%d"):format(proxy.port) }
      local value, err = client.jobs:get(w.job.id)
      assert(not value and err.status == 407)
    end },

  { id = "F10", fault = "names of batches that are paths, devices, options, too long, the same", expect = "a file each, in the folder",
    make = function(w)
      local names = { "../../x", "/etc/x", "a\0b", "CON", "-rf", ".", "..", ("x"):rep(300), "a\nb", "same", "same", "SAME", "\u{202e}abc",
        "", " ", "a/b", "a\\b", "con.txt", ".hidden", "a:b", "%s", "~", "$(id)", "*", "ä" }
      local written = downloaded(w, names)
      assert(#written == #names and #support.listing(w.directory .. "/out") == #names)
      assert(#support.listing(w.directory) == 2)
      for _, name in ipairs(support.listing(w.directory .. "/out")) do assert(not name:find "^[.]" and #name <= 255, name) end
    end },

  { id = "F11", fault = "Content-Disposition with a path", expect = "the file stays in the folder, under another's name never",
    make = function(w)
      for i, name in ipairs { "../../evil", "/etc/passwd", "..", ".part", "a\\..\\b", "" } do
        local directory = w:path("d" .. i)
        os.execute("mkdir " .. directory)
        support.write(directory .. "/evil", "before")
        local client = w:played { csv("a\n1\n", { ["Content-Disposition"] = ('attachment; filename="%s"'):format(name) }) }
        local written = assert(client.files:download("f", { directory = directory }))
        assert(written.path:sub(1, #directory + 1) == directory .. "/" and not written.path:sub(#directory + 2):find "/")
        assert(#support.listing(directory) == 2 and support.read(directory .. "/evil") == "before")
      end
    end },

  { id = "F12", fault = "links planted in the place of the file, or of its .part", expect = "they are not followed", make = function(w)
      support.write(w:path "victim", "before")
      for _, name in ipairs { "file", "file.part", "file.part.state" } do
        os.execute(("cd %s && rm -f file* && ln -s victim %s"):format(w.directory, name))
        w:path(name)
        local client = w:played { always = csv "a\n1\n" }
        for _, resume in ipairs { false, true } do
          w:tell { client.files:download("f", w:path "file", { resume = resume, retries = 0 }) }
          assert(w:read "victim" == "before", name)
        end
      end
    end },

  { id = "F13", fault = "who may read the file, while it comes and afterwards", expect = "what the umask leaves, both times",
    design = "new files get what the umask leaves, not 0600", make = function(w)
      for umask, mode in pairs { ["077"] = "600", ["027"] = "640", ["022"] = "644" } do
        w:child(([[
          local function mode(path) return support.shell("stat -c %%a " .. path):match "%%d+" end
          local path, seen = directory .. "/file%s", {}
          assert(new().files:download(file, path, { on_progress = function()
            for _, name in ipairs(support.listing(directory)) do
              if name:find "file%s%%.part" then seen[#seen + 1] = mode(directory .. "/" .. name) end
            end
          end }))
          for _, one in ipairs(seen) do assert(one == %q, one) end
          assert(#seen > 0 and mode(path) == %q)
          local rows = assert(new().files:rows(file))
          rows:close()]]):format(umask, umask, mode, mode), "umask " .. umask .. ";")
        assert(mode_of(w:path("file" .. umask)) == mode)
      end
    end },

  { id = "F14", fault = "escape sequences in a server's words", expect = "taken out of whatever is printed", make = function(w)
      local evil = "\27]0;owned\7\27[2J\u{9b}2J\r\nlog: forged\b\b"
      for _, body in ipairs { core.encode { success = false, reasons = { { code = evil, message = evil } } }, evil,
        "<html><title>" .. evil .. "</title>", core.encode { id = w.job.id, status = evil } } do
        local lines = {}
        w.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 200, body = body, headers = { ["Zuora-Request-Id"] = "x" } }
        local client = w:client { log = function(line) lines[#lines + 1] = line end }
        local _, err = client.jobs:wait(w.job.id, { timeout = 0 })
        lines[#lines + 1] = tostring(err)
        for _, line in ipairs(lines) do assert(not line:find "%c" and not line:find "\u{9b}", ("%q"):format(line)) end
      end
    end },

  { id = "F15", fault = "%n%s in texts of the server's and the user's", expect = "printed as they are", make = function(w)
      local evil = "%n%s%p%99999999d%"
      w.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 400,
        body = core.encode { success = false, reasons = { { code = 1, message = evil } } } }
      assert(w:fails("api", w:client().jobs:get(w.job.id)).message:find(evil, 1, true))
      w:raises(evil:gsub("%%", "%%%%"), w:client().jobs.get, w:client().jobs, evil)
      w:raises(evil:gsub("%%", "%%%%"), zuora.new, { [evil] = 1 })
      local err = w:fails("file", w:client().files:download("f", w.directory .. "/" .. evil .. "/x"))
      assert(err.message:find(evil, 1, true))
      w:tell { w:client().jobs:submit { queries = { { name = "n", query = evil } } } }
      assert(core.decode(w:sent("POST", "/v1/batch-query")[1].body).queries[1].query == evil)
    end },

  { id = "F16", fault = "quotes and braces in queries, filters, searches, partners", expect = "they stay inside what they are in",
    make = function(w)
      local evil = '"},{"query":"x?a=b&c=d#e/../f%2e'
      local client = w:client()
      w:tell { client.jobs:submit { queries = { { name = "n", query = evil } } } }
      w:tell { client.reportruns:start(support.REPORT, { view = "Detail", filters = { evil = evil } }) }
      w:tell { client.reports:search(evil) }
      w:tell { client.jobs:last { partner = evil, project = evil } }
      local journal = w.sim:journal()
      for _, entry in ipairs(journal) do
        assert(not entry.path:find("/../", 1, true) and not entry.target:find("c=d", 1, true), entry.target)
        if entry.path:find "batch%-query$" then assert(#core.decode(entry.body).queries == 1) end
      end
    end },

  { id = "F17", fault = "a second answer behind the first, which nobody asked for", expect = "it is nobody's answer", make = function(w)
      local mine = reply(w:job_text())
      local forged = reply(w:job_text { status = "forged" })
      -- What comes later than the first: libcurl before 8.1 takes a kept connection though something waits on it, and
      -- cannot be asked whether there is. What waits must be what was asked for; one with the same id would be taken, on
      -- plain HTTP. Who can write that could have written the first answer: against that is TLS, which all hosts have.
      local function late(c)
        c:send(mine)
        for _ = 1, 5 do c:yield() end
        c:send(reply '{"id":"another","status":"forged"}')
      end
      for i, turn in ipairs { mine .. forged, mine .. "junk", late, (mine:gsub("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n"))
        .. forged, reply("", { ["Content-Length"] = "" }, "204 No Content") .. forged,
        "HTTP/1.1 103 Early\r\n\r\n" .. mine .. forged } do
        local client, server = w:played { turn, turn }
        for _ = 1, 4 do
          local job, err = client.jobs:get(w.job.id)
          w:tell(err)
          assert(not job or job.status == "completed", i .. ": a forged answer was taken")
          for _ = 1, 10 do server:step() end
        end
      end
    end },

  { id = "F18", fault = "a million quotes, commas, lines, braces", expect = "time that grows with the length", make = function(w)
      local function read(text)
        support.write(w:path "rows", text)
        local rows = zuora.rows(w.directory .. "/rows", { form = "array" })
        pcall(function() for _ in rows do end end)
        if rows then rows:close() end
      end
      for _, unit in ipairs { '"', '""', ",", "\n", '"\n', "\r", '",' } do
        support.assert_linear(read, function(size) return "a\n" .. unit:rep(size) end, 1000000)
      end
      for _, body in ipairs { ('{"a":'):rep(100000), ('"\\u0000'):rep(100000), ("[],"):rep(300000), (" "):rep(1000000) } do
        local started = os.clock()
        local client = w:played({ always = reply(body) }, { retries = 0 })
        w:fails("json", client.jobs:get(w.job.id))
        assert(os.clock() - started < 5)
      end
      if packing.available() then
        local bomb = csv(packing.gzip(("x"):rep(5000000)), { ["Content-Encoding"] = "gzip" })
        local client = w:played { always = bomb }
        assert(client.files:download("f", w:path "file").bytes == 5000000)
      end
    end },

  { id = "F19", fault = "a configuration that others can read, or that is code", expect = "it is refused; data alone",
    elsewhere = "spec/cli/profiles_spec.lua" },

  { id = "F20", fault = "DNS rebinding, loopback as a base URL", expect = "nothing",
    not_here = "out of scope: the base URL is the user's word, and TLS is verified" },
}
