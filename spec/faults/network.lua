--- Faults of the network: names, connections, TLS, proxies.

local core = require "zuora.core"
local h2 = require "spec.faults.h2"
local socket = require "socket"
local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"

local reply, cut = wire.reply, wire.cut

-- Where connections are never taken: its backlog is full.
local function black_hole(host, port)
  local listener = assert((host or ""):find ":" and socket.tcp6() or socket.tcp4())
  listener:setoption("reuseaddr", true)
  assert(listener:bind(host or "127.0.0.1", port or 0))
  assert(listener:listen(0))
  local _, actual = listener:getsockname()
  local all = { listener }
  for _ = 1, 4 do
    local one = assert((host or ""):find ":" and socket.tcp6() or socket.tcp4())
    one:settimeout(0)
    one:connect(host or "127.0.0.1", actual)
    all[#all + 1] = one
  end
  return actual, function() for _, one in ipairs(all) do one:close() end end
end

local function named(fault) return world.shim("FAULT_NAMES", fault) end

local function needs_namespace()
  if select(2, support.shell "unshare -rn true") ~= 0 then return "this user may make no network namespace" end
end

local function needs_http2()
  if not support.shell "curl-config --features 2>/dev/null || curl --version":find "HTTP2" then
    return "this libcurl has no HTTP/2"
  end
end

-- At the simulator by the name that the shim knows.
local BY_NAME = [[sim.url = sim.url:gsub("127.0.0.1", "zuora.test")]]

-- --- the cases ---------------------------------------------------------------------------------------

return {
  { id = "A1", fault = "the connection is refused", expect = "transport; asked again as often as is said; names host and port",
    make = function(w)
      local port = world.closed_port()
      local client, clock = w:client { base_url = "http://127.0.0.1:" .. port, token = world.planted.token }
      local err = w:fails("transport", client.jobs:get(w.job.id))
      assert(err.curl == "COULDNT_CONNECT" and err.attempts == 4 and clock.jumped > 1)
      assert(tostring(err):find("127.0.0.1 port " .. port, 1, true), tostring(err))
      w:wire({}, { port = port })
    end },

  { id = "A2", fault = "packets to the server vanish", expect = "a time-out within connect_timeout",
    make = function(w)
      local port, close = black_hole()
      local client = w:client { base_url = "http://127.0.0.1:" .. port, token = world.planted.token, connect_timeout = 0.2,
        retries = 0 }
      local started = core.now()
      local err = w:fails("transport", client.jobs:get(w.job.id))
      assert(err.curl == "OPERATION_TIMEDOUT" and core.now() - started < 3)
      close()
      w:wire({}, { port = port })
    end },

  { id = "A3", fault = "the name is not found, for good or for now", expect = "transport, names it; asked again",
    make = function(w)
      w:child(BY_NAME .. [[ works(new())]], named "again")
      w:child(BY_NAME .. [[
        local err = fails("transport", new({ retries = 1, token = "t" }, { random = function() return 0 end }).jobs:get(job))
        assert(err.attempts == 2 and err.message:find "zuora.test")
        sim.url = sim.url:gsub("zuora.test", "127.0.0.1")
        works(new())]], named "none")
    end },

  { id = "A4", fault = "looking up the name is slow", expect = "connect_timeout holds; close() waits for the look-up, no longer",
    make = function(w)
      w:child(BY_NAME .. [[
        local client, started = new { retries = 0, connect_timeout = 0.1, token = "t" }, core.now()
        assert(fails("transport", client.jobs:get(job)).curl == "OPERATION_TIMEDOUT")
        assert(core.now() - started < 0.9)
        client:close()
        assert(core.now() - started < 3)
        works(new())]], named "slow")
    end },

  { id = "A5", fault = "there is no network at all", expect = "transport", needs = needs_namespace,
    make = function(w)
      w:child([[assert(fails("transport", new { retries = 0 }.jobs:get(job)).curl == "COULDNT_CONNECT")]], "unshare -rn")
    end },

  { id = "A6", fault = "a reset as soon as the connection is there", expect = "transport; a GET is sent again",
    make = function(w)
      local resets = 2
      local client = w:played { accept = function(c)
        resets = resets - 1
        if resets >= 0 then c:reset() end
        return resets >= 0
      end }
      assert(client.jobs:get(w.job.id).id == w.job.id)
      assert(resets < 0)
      w:single_try("transport", { accept = function(c) c:reset() return true end })
    end },

  { id = "A7", fault = "the connection ends after the request, without a byte",
    expect = "a GET is sent again; a POST by us alone, under its key, never by libcurl",
    make = function(w)
      w:second_try(cut "")
      local client, server = w:played({ cut "" }, { retries = 0 })
      w:fails("transport", client.jobs:submit { queries = { A = "select Id from A" } })
      assert(#server.requests == 1)
      client, server = w:played { cut "" }
      assert(client.jobs:submit { queries = { A = "select Id from A" } })
      local first, second = table.unpack(server.requests)
      assert(first.headers["idempotency-key"] and first.headers["idempotency-key"] == second.headers["idempotency-key"])
    end },

  { id = "A8", fault = "a POST, where the kept connection dies", expect = "one POST on the wire",
    make = function(w)
      local client, server = w:played({ nil, cut "" }, { retries = 0 })
      assert(client.jobs:get(w.job.id))
      w:fails("transport", client.jobs:submit { queries = { A = "select Id from A" } })
      assert(#server.requests == 2 and server.requests[2].method == "POST")
    end },

  { id = "A26", fault = "a handshake that is never answered", expect = "a time-out within connect_timeout",
    make = function(w)
      local silent = assert(socket.bind("127.0.0.1", 0, 32))
      local port = select(2, silent:getsockname())
      local client = w:client { base_url = "https://127.0.0.1:" .. port, token = world.planted.token, connect_timeout = 0.2,
        retries = 0, ca_file = w:tls().certificate }
      local started = core.now()
      assert(w:fails("transport", client.jobs:get(w.job.id)).curl == "OPERATION_TIMEDOUT")
      assert(core.now() - started < 3)
      silent:close()
      w:wire({}, { port = port, tls = w:tls() })
    end },

  { id = "A27", fault = "plain text where TLS is spoken, and TLS where plain text is", expect = "transport, in clear words",
    make = function(w)
      local plain = w:wire { accept = cut "HTTP/1.1 400 Bad Request\r\n\r\n" }
      local client = w:client { base_url = plain.url:gsub("http", "https"), token = world.planted.token, retries = 0 }
      local err = w:fails("transport", client.jobs:get(w.job.id))
      assert(err.curl == "SSL_CONNECT_ERROR" and err.message:find "SSL", tostring(err))
      client:close()
      local secure = w:wire({}, { tls = w:tls() })
      client = w:client { base_url = secure.url:gsub("https", "http"), token = world.planted.token, retries = 0 }
      w:fails("transport", client.jobs:get(w.job.id))
      client:close()
    end },

  { id = "A28", fault = "the proxy refuses, or is not there", expect = "transport; its password is not told",
    make = function(w)
      local function through(turns, url)
        local proxy = w:wire(turns)
        return w:client { base_url = url, token = world.planted.token, retries = 0, ca_file = w:tls().certificate,
          proxy = ("http://planted.user:planted-proxy@127.0.0.1:%d"):format(proxy.port) }, proxy
      end
      for _, status in ipairs { "407 Proxy Authentication Required", "502 Bad Gateway" } do
        local client = through({ reply("", {}, status) }, "https://127.0.0.1:1")
        local err = w:fails("transport", client.jobs:get(w.job.id))
        assert(err.message:find(status:sub(1, 3)), tostring(err))
        client = through({ reply("", {}, status) }, "http://127.0.0.1:1")
        local value
        value, err = client.jobs:get(w.job.id)
        w:tell(err)
        assert(not value and err.status == tonumber(status:sub(1, 3)))
      end
      local client, proxy = through({}, "https://127.0.0.1:1")
      proxy.listener:close()
      w:fails("transport", client.jobs:get(w.job.id))
      client:close()
      proxy.listener = assert(socket.bind("127.0.0.1", 0))
      proxy.listener:settimeout(0)
    end },

  { id = "A29", fault = "HTTP/2: a stream is reset, refused or short; the server says goodbye in its midst",
    expect = "as A9; a POST is sent again by us alone, under its key, but libcurl may when it was refused",
    needs = needs_http2, make = function(w)
      local body = w:job_text()
      local headers = { ["content-type"] = "application/json", ["content-length"] = #body }
      local turns
      local server = w:wire({ accept = function(connection)
        h2.serve(connection, function(c, stream)
          local turn = table.remove(turns, 1)
          c:send(turn and turn(stream) or h2.answer(stream, body, headers))
        end)
        return true
      end }, { tls = { key = w:tls().key, certificate = w:tls().certificate, alpn = { "h2" } } })
      local client = w:client { at = server }
      local function half(stream) return h2.answer(stream, body:sub(1, 9), headers, true) end
      local faults = {
        reset = function(stream) return half(stream) .. h2.reset(stream, h2.CANCEL) end,
        short = function(stream) return h2.answer(stream, body:sub(1, 9), headers) end,
        refused = function(stream) return h2.reset(stream, h2.REFUSED) end,
        goodbye = function(stream) return half(stream) .. h2.goaway(stream, h2.NO_ERROR) .. h2.reset(stream, h2.CANCEL) end,
        early = function(stream) return h2.goaway(stream - 1, h2.NO_ERROR) end,
      }
      for name, fault in pairs(faults) do
        turns = { fault, fault }
        local job, err = client.jobs:get(w.job.id)
        assert(job and job.id == w.job.id and #turns == 0, name .. ": " .. tostring(err))
      end
      for _, name in ipairs { "reset", "short", "goodbye" } do
        turns = { faults[name], faults[name] }
        w:tell { client.jobs:submit { queries = { A = "select Id from A" }, retries = 0 } }
        assert(#turns == 1, name)
      end
      turns = {}
      assert(client.jobs:get(w.job.id)) -- the wire has no other HTTP
      client:close()
    end },

  { id = "A30", fault = "the server ends the kept connection between polls", expect = "nobody notices",
    make = function(w)
      local client, server = w:played({}, { retries = 0 })
      local polls = 0
      local function pending(c)
        polls = polls + 1
        c:send(reply(core.encode { id = w.job.id, status = "pending" }))
        return true
      end
      for i = 1, 5 do server.turns[i] = pending end
      assert(client.jobs:wait(w.job.id).status == "completed" and polls == 5 and server.accepted == 6)
    end },

  { id = "A31", fault = "IPv6 comes first, and is dead", expect = "the IPv4 address is tried, soon",
    make = function(w)
      local _, close = black_hole("::1", tonumber(w.sim.url:match ":(%d+)$"))
      local ok, problem = pcall(w.child, w, BY_NAME .. [[
        local started = core.now()
        works(new { connect_timeout = 5 })
        assert(core.now() - started < 4)]], named "six")
      close()
      assert(ok, problem)
      w:child(BY_NAME .. "works(new { connect_timeout = 5 })", named "six") -- refused at once
    end },

  { id = "A32", fault = "100 Continue a thousand times, or for ever", expect = "the answer behind it; a time-out",
    make = function(w)
      local go_on = "HTTP/1.1 100 Continue\r\n\r\n"
      local client = w:played { go_on:rep(1000) .. reply(w:job_text()) }
      assert(client.jobs:get(w.job.id))
      client = w:played({ function(c) while c:send(go_on) do c:yield() end return true end },
        { real = true, total_timeout = 0.3, retries = 0 })
      local value, err = client.jobs:get(w.job.id)
      assert(not value and (err.kind == "timeout" or err.kind == "transport"), tostring(err))
      w:tell(err)
    end },
}
