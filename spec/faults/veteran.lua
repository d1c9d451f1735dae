--- What no list had, and who has run such programs for years would try.

local core = require "zuora.core"
local h2 = require "spec.faults.h2"
local nginx = require "spec.nginx"
local socket = require "socket"
local ssl = require "ssl"
local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"

local reply, csv = wire.reply, wire.csv

-- That many calls side by side must all succeed.
local function all_succeed(w, client, count)
  local numbers = {}
  for i = 1, count do numbers[i] = i end
  local _, err = client:map(numbers, function() return client.jobs:get(w.job.id, { total_timeout = 600 }) end,
    { concurrency = count })
  w:tell(err)
  assert(not err or next(err) == nil, tostring(err))
end

-- An nginx before the simulator, and a client of it that waits for real.
local function behind_nginx(w, address)
  local server = nginx.start("faults/nginx", w.sim.url)
  return server, w:client { base_url = server[address], ca_file = server.ca_file, real = true, proxy = "" }
end

-- While f's calls go on the server is reloaded a few times: no call may fail.
local function reloaded(w, address)
  local server, client = behind_nginx(w, address)
  local ok, problem = pcall(function()
    local over = false
    client:run(function()
      for _ = 1, 3 do
        client:sleep(0.1)
        assert(os.execute("kill -HUP $(cat " .. server.directory .. "/pid)"))
      end
      client:sleep(0.1)
      over = true
    end, function()
      client:map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function() repeat assert(client.jobs:get(w.job.id)) until over end)
    end)
    server:crash()
    all_succeed(w, client, 8)
  end)
  client:close()
  server:stop()
  os.execute("rm -rf " .. server.directory)
  assert(ok, problem)
end

return {
  { id = "V1", fault = "5 s of 429 with Retry-After, to 1,000 tasks", expect = "all succeed", make = function(w)
      local server = w:wire {}
      local client, clock = w:client { at = server, concurrency_limit = 40 }
      server.turns.always = function(c, request)
        if clock.jumped >= 5 then return w:serve(c, request) end
        c:send(reply("", { ["Retry-After"] = "2" }, "429 Too Many Requests"))
      end
      all_succeed(w, client, 1000)
      assert(clock.jumped >= 5)
    end },

  { id = "V2", fault = "tokens that have ended as they come, to 20 tasks", expect = "no storm of token calls", make = function(w)
      local token = reply(core.encode { access_token = world.planted.token, token_type = "bearer", expires_in = 0 })
      local server = w:wire {}
      server.turns = setmetatable({}, { __index = function(_, turn)
        return type(turn) == "number" and server.requests[turn].line:find "/oauth/token" and token or nil
      end })
      local client = w:client { at = server, client_id = world.planted.client_id, client_secret = world.planted.client_secret }
      all_succeed(w, client, 20)
      assert(#server.requests <= 22, #server.requests)
    end },

  { id = "V3", fault = "the token endpoint answers with a page, a list, nothing, a redirect", expect = "auth, http or json, and no secret",
    make = function(w)
      for _, answer in ipairs { reply("<html><title>Log in</title>", { ["Content-Type"] = "text/html" }), reply "[1]", reply "",
        reply("", { Location = "http://127.0.0.1:1/" }, "302 Found"), reply '{"error":"invalid_client"}', reply "null" } do
        local client = w:played({ always = answer }, { client_id = world.planted.client_id,
          client_secret = world.planted.client_secret, retries = 0 })
        local value, err = client.jobs:get(w.job.id)
        w:tell(err)
        assert(not value and (err.kind == "auth" or err.kind == "http" or err.kind == "json"), tostring(err))
        assert(err.kind == "auth" or err.code ~= "invalid_client")
      end
    end },

  { id = "V4", fault = "HTTP/2: goodbye under 32 tasks", expect = "all succeed", needs = nginx.missing, make = function(w)
      local body, seen, left = w:job_text(), 0, 3
      local together = support.multiplexes() and 8 or 1 -- requests on one connection
      local answered = together // 2
      local function answer(c, stream)
        c:send(h2.answer(stream, body, { ["content-type"] = "application/json", ["content-length"] = #body }))
      end
      local server = w:wire({ accept = function(connection)
        local open = {}
        h2.serve(connection, function(c, stream)
          seen = seen + 1
          open[#open + 1] = stream
          if left > 0 and #open < together then return end -- they wait for their answers
          if left > 0 then
            left = left - 1
            c:send(h2.goaway(open[answered] or 0, h2.NO_ERROR))
            for i = 1, answered do answer(c, open[i]) end
            return true
          end
          for _, one in ipairs(open) do answer(c, one) end
          open = {}
        end)
        return true
      end }, { tls = { key = w:tls().key, certificate = w:tls().certificate, alpn = { "h2" } } })
      local client = w:client { at = server, concurrency_limit = 32, max_connections = 4 }
      all_succeed(w, client, 32)
      assert(seen > 32 and left == 0)
      assert(client.jobs:get(w.job.id))
      client:close()
    end },

  { id = "V5", fault = "a server that is reloaded, and whose workers are killed", expect = "no call fails; HTTP/2 and 1.1",
    needs = nginx.missing, make = function(w)
      reloaded(w, "secure")
      reloaded(w, "plain")
    end },

  { id = "V6", fault = "a proxy that wants a password, from an option or the environment", expect = "it gets it; no_proxy and \"\" hold",
    make = function(w)
      local function asks(c, request)
        if c.plain or request.headers["proxy-authorization"] == "Basic cGxhbnRlZC51c2VyOnBsYW50ZWQtcHJveHk=" then
          w:serve(c, request)
        else
          c:send(reply("no", { ["Proxy-Authenticate"] = "Basic realm=x" }, "407 Who are you"))
        end
      end
      local proxy = w:wire { always = asks }
      local function through(password, base_url)
        return w:client { base_url = base_url, token = world.planted.token, retries = 0, ca_file = w:tls().certificate,
          proxy = ("http://planted.user:%s@127.0.0.1:%d"):format(password, proxy.port) }
      end
      assert(through("planted-proxy", "http://127.0.0.1:1").jobs:get(w.job.id))
      assert(through("planted-proxy", "https://127.0.0.1:1").jobs:get(w.job.id))
      assert(select(2, through("planted-wrong", "http://127.0.0.1:1").jobs:get(w.job.id)).status == 407)
      w:fails("transport", through("planted-wrong", "https://127.0.0.1:1").jobs:get(w.job.id))
      w:child([[
        fails("transport", new { token = "t", retries = 0 }.jobs:get(job))
        works(new { proxy = "" })
        works(new { no_proxy = "127.0.0.1" })]], ("env http_proxy=http://planted.user:planted-proxy@127.0.0.1:%d"):format(
          world.closed_port()))
      w:child("works(new())", "env http_proxy=http://127.0.0.1:1 no_proxy=127.0.0.1")
    end },

  { id = "V7", fault = "SSL_CERT_FILE names a certificate that ca_file does not", expect = "ca_file counts", make = function(w)
      local secure <close> = support.simulator { tls = true }
      w:child(([[
        local err = fails("transport", new { base_url = %q, ca_file = "%s/elsewhere", token = "t" }.jobs:get(job))
        assert(err.curl == "PEER_FAILED_VERIFICATION")]]):format(secure.url, w.certificates),
        ("env SSL_CERT_FILE=%s CURL_CA_BUNDLE=%s"):format(secure.ca_file, secure.ca_file))
    end },

  { id = "V8", fault = "the metatable of strings: other indexes, operators, or none", expect = "it works; or raises, and works again",
    make = function(w)
      w:child([[
        local client, meta = new(), getmetatable ""
        meta.__index = function(text, name) return type(name) == "number" and text:sub(name, name) or string[name] end
        meta.__add, meta.__call, meta.__len = function() return 7 end, function() return 7 end, nil
        assert(("abc")[2] == "b")
        works(client)
        works(new())
        debug.setmetatable("", nil)
        local ok = pcall(client.jobs.get, client.jobs, job)
        debug.setmetatable("", meta)
        works(client)]])
    end },

  { id = "V9", fault = "SIGTERM amidst a download", expect = "no file under its name, and the next call is not in doubt", make = function(w)
      w.sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 1, seconds = 0.02 }
      support.lua(([[
        local client = require "spec.support".client({ url = %q, client_id = %q, client_secret = %q })
        client.files:download(%q, %q, { on_progress = function() os.execute "kill -TERM $PPID" end })
      ]]):format(w.sim.url, w.sim.client_id, w.sim.client_secret, w.job.file, w:path "file"))
      assert(not w:read "file")
      assert(w:client().files:download(w.job.file, w:path "file").records == 3)
      assert(not w:read "file.part")
    end },

  { id = "V10", fault = "the folder is removed amidst a download", expect = "file", make = function(w)
      local directory = w.directory .. "/gone"
      os.execute("mkdir " .. directory)
      local client = w:played { function(c)
        c:send(csv("a\n1\n"):sub(1, -3))
        os.execute("rm -rf " .. directory)
        c:send "1\n"
      end }
      w:fails("file", client.files:download("f", directory .. "/file"))
    end },

  { id = "V11", fault = "an export in UTF-16, a byte at a time", expect = "the same as in one piece", make = function(w)
      local text, wide = "Id\tNäme\n1\t\u{1f600}\"x\n", { "\xff\xfe" }
      for _, code in utf8.codes(text) do
        wide[#wide + 1] = code < 0x10000 and ("<I2"):pack(code)
          or ("<I2I2"):pack(0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff))
      end
      local answer = csv(table.concat(wide), { ["Content-Type"] = "text/csv;charset=UTF-16LE" })
      local client = w:played { answer, function(c) c:dribble(answer) end }
      assert(client.reportruns:export("r", w:path "once") and client.reportruns:export("r", w:path "bit"))
      assert(w:read "once" == w:read "bit" and w:read "bit":find("\u{1f600}", 1, true), w:read "once")
    end },

  { id = "V12", fault = "a TLS client that goes without a word, behind its request",
    expect = "the simulator serves the others", make = function()
      local secure <close> = support.simulator { tls = true }
      local plain = assert(socket.connect("127.0.0.1", tonumber(secure.url:match ":(%d+)$")))
      local connection = assert(ssl.wrap(plain, { mode = "client", protocol = "any", verify = "none" }))
      assert(connection:dohandshake())
      connection:send "GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
      plain:setfd(connection:getfd())
      plain:shutdown "both"
      plain:setfd(-1)
      connection:close()
      local client <close> = support.client(secure, { ca_file = secure.ca_file, timeout = 2, retries = 0, token = "t" })
      local value, err = client.jobs:get "x"
      assert(not value and err.status, tostring(err))
    end },
}
