--- Faults of the network.

local core = require "zuora.core"
local h2 = require "spec.faults.h2"
local packing = require "zuora.simulator.packing"
local socket = require "socket"
local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"

local reply, csv, cut, reset, stall = wire.reply, wire.csv, wire.cut, wire.reset, wire.stall

-- A job, whose answers the fault is to strike.
local function job_of(w, more) return core.encode { id = w.job.id, status = "completed", name = more } end

local CSV = "Id,Name\n1,\"Æ, \"\"b\"\"\r\nc\"\n2,d\n"

local function chunked(body) return body, { ["Content-Length"] = "", ["Transfer-Encoding"] = "chunked" } end

-- The call must succeed at its second try.
local function second_try(w, bytes, method)
  local client, server = w:played { bytes }
  assert(client.jobs[method or "get"](client.jobs, w.job.id).id == w.job.id)
  assert(#server.requests == 2, #server.requests)
end

-- Without another try it must be an error of that kind.
local function single_try(w, kind, turns)
  local client, server = w:played(turns, { retries = 0 })
  local err = w:fails(kind, client.jobs:get(w.job.id))
  return err, server, client
end

-- A file must come whole, with what `turns` do to it; or be an error, and no file.
local function download(w, turns, options)
  local client, server = w:played(turns)
  return client.files:download("f", w:path "file", options), server, client
end

local function whole(w, turns)
  assert(download(w, turns))
  assert(w:read "file" == CSV)
end

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

local function named(fault) return ("FAULT_NAMES=%s LD_PRELOAD=%s"):format(fault, support.native "faults/shim.so") end

local function needs_namespace()
  if select(2, support.shell "unshare -rn true") ~= 0 then return "this user may make no network namespace" end
end

local function needs_http2()
  if not support.shell "curl-config --features 2>/dev/null || curl --version":find "HTTP2" then
    return "this libcurl has no HTTP/2"
  end
end

local function needs_gzip()
  if not packing.available() then return "lua-zlib is not installed" end
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
      assert(err.curl == "OPERATION_TIMEDOUT" and core.now() - started < 1)
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
        assert(core.now() - started < 0.45)
        client:close()
        assert(core.now() - started < 1.5)
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
      single_try(w, "transport", { accept = function(c) c:reset() return true end })
    end },

  { id = "A7", fault = "the connection ends after the request, without a byte",
    expect = "a GET is sent again; a POST by us alone, under its key, never by libcurl",
    make = function(w)
      second_try(w, cut "")
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

  { id = "A9", fault = "a reset amidst the body", expect = "JSON is asked for again; a file goes on, or begins again: never short",
    make = function(w)
      second_try(w, reset(reply(job_of(w)):sub(1, -5)))
      whole(w, { reset(csv(CSV):sub(1, -5)), csv(CSV) })
      local broken, server = download(w, { always = reset(csv(CSV):sub(1, -5)) })
      assert(not broken and w:read "file" == CSV and #server.requests == 4)
    end },

  { id = "A10", fault = "the connection ends before Content-Length", expect = "as A9",
    make = function(w)
      second_try(w, cut(reply(job_of(w)):sub(1, -5)))
      whole(w, { cut(csv(CSV):sub(1, -5)), csv(CSV) })
    end },

  { id = "A11", fault = "chunks are cut, within one or before the last", expect = "as A9",
    make = function(w)
      local body = job_of(w)
      for _, torn in ipairs { ("%x\r\n%s\r\n"):format(#body, body), ("%x\r\n%s"):format(#body, body),
        ("%x\r\n%s"):format(#body, body:sub(1, 9)), ("%x"):format(#body), ("%x\r\n%s\r\n0"):format(#body, body),
        ("%x\r\n%s\r\n0\r\n"):format(#body, body) } do
        second_try(w, cut(reply(chunked(torn))))
      end
      local head = csv(chunked(""))
      for _, torn in ipairs { "8\r\nId,Name\n\r\n", "8\r\nId,N", ("%x\r\n%s\r\n"):format(#CSV, CSV) } do
        whole(w, { cut(head .. torn), csv(CSV), csv(CSV) })
      end
    end },

  { id = "A12", fault = "sizes of chunks that are none, or too large", expect = "an error, no endless asking, no crash",
    make = function(w)
      for _, junk in ipairs { "zz\r\n", "\r\n\r\n", "-1\r\nx\r\n", "ffffffffffffffffff\r\nx\r\n", "7fffffffffffffff\r\nx",
        ("0"):rep(70000) } do
        local client, server = w:played { always = cut(reply(chunked(junk))) }
        local value, err = client.jobs:get(w.job.id)
        assert(value == nil and (err.kind == "transport" or err.kind == "json"), tostring(err))
        w:tell(err)
        assert(#server.requests <= 4)
        local _, problem = download(w, { always = cut(csv(chunked(junk))) })
        assert(problem and not w:read "file", ("%q %s"):format(junk:sub(1,40), problem))
      end
    end },

  { id = "A13", fault = "Content-Length is larger, or smaller, than the body",
    expect = "larger: as A10; smaller: the rest is not the next answer",
    make = function(w)
      second_try(w, cut(reply(job_of(w), { ["Content-Length"] = #job_of(w) + 7 })))
      local lie = reply(core.encode { id = w.job.id, status = "evil" })
      local client = w:played { reply(job_of(w)) .. lie }
      assert(client.jobs:get(w.job.id).status == "completed")
      assert(client.jobs:get(w.job.id).status == "completed")
    end },

  { id = "A14", fault = "Content-Length is negative, text, huge, or there twice", expect = "an error; huge: as A16, for libcurl",
    make = function(w)
      for length, kind in pairs { ["-5"] = "transport", abc = "transport", ["5\r\nContent-Length: 6"] = "incomplete" } do
        single_try(w, kind, { always = cut(reply(job_of(w), { ["Content-Length"] = length })) })
        assert(not download(w, { always = cut(csv(CSV, { ["Content-Length"] = length })) }))
      end
      local huge = { ["Content-Length"] = ("9"):rep(30) }
      single_try(w, "json", { always = cut(reply(job_of(w):sub(1, -3), huge)) })
      assert(not download(w, { always = cut(csv(CSV, huge)) }) and not w:read "file")
    end },

  { id = "A15", fault = "both Content-Length and chunks", expect = "the chunks count, always",
    make = function(w)
      local body = job_of(w)
      for _, length in ipairs { 3, 1000 } do
        local client = w:played { reply(("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body), { ["Transfer-Encoding"] = "chunked",
          ["Content-Length"] = length }) }
        assert(client.jobs:get(w.job.id).id == w.job.id)
      end
    end },

  { id = "A16", fault = "only the end of the connection ends the body", expect = "JSON: it must parse; a file: proven, or incomplete",
    design = "it is proven by asking for what is behind its end", make = function(w)
      local client = w:played { cut(reply(job_of(w), { ["Content-Length"] = "" })) }
      assert(client.jobs:get(w.job.id))
      single_try(w, "json", { cut(reply(job_of(w):sub(1, -3), { ["Content-Length"] = "" })) })
      local bare = cut(csv(CSV, { ["Content-Length"] = "" }))
      whole(w, { bare, reply("", { ["Content-Range"] = "bytes */" .. #CSV }, "416 Range Not Satisfiable") })
      local written, _, other = download(w, { always = bare })
      assert(not written)
      w:fails("incomplete", other.files:download("f", w:path "other", { retries = 0 }))
    end },

  { id = "A17", fault = "the same over TLS, whose end is not said (no close_notify)", expect = "as A16: never a file by itself",
    make = function(w)
      local bare = csv(CSV:sub(1, -6), { ["Content-Length"] = "" })
      local server = w:wire({ always = function(c)
        c:send(bare)
        c:cut()
        return true
      end }, { tls = w:tls() })
      local client = w:client { at = server, retries = 1 }
      w:fails("incomplete", client.files:download("f", w:path "file"))
      assert(not w:read "file")
    end },

  { id = "A18", fault = "silence after the headers, or amidst the body", expect = "a time-out, tried again, within the deadline",
    make = function(w)
      for _, bytes in ipairs { "", reply(job_of(w)):sub(1, 40), reply(job_of(w)):sub(1, -5) } do
        local client, server = w:played({ stall(bytes) },
          { timeout = 0.1, stall_timeout = 0.1 })
        assert(client.jobs:get(w.job.id))
        assert(#server.requests == 2)
      end
      local client = w:played({ stall(csv(CSV):sub(1, -5)), csv(CSV) },
        { stall_timeout = 0.1 })
      assert(client.files:download("f", w:path "file") and w:read "file" == CSV)
    end },

  { id = "A19", fault = "one byte now and then", expect = "it passes; the deadline ends it all the same",
    make = function(w)
      w.sim:fault { on = "GET /v1/batch-query/*", kind = "trickle", size = 1, seconds = 0.001 }
      local client = w:client { real = true, stall_timeout = 0.5 }
      assert(client.jobs:get(w.job.id))
      w.sim:fault { on = "GET /v1/batch-query/*", kind = "trickle", size = 1, seconds = 0.1, times = "always" }
      local started = core.now()
      w:fails("timeout", client.jobs:get(w.job.id, { deadline = 0.3 }))
      assert(core.now() - started < 0.8)
    end },

  { id = "A20", fault = "one byte in each packet, and in each chunk", expect = "the same as in one piece",
    make = function(w)
      local function bit_by_bit(head, body)
        return function(c)
          c:dribble(head)
          for i = 1, #body do c:dribble(("1\r\n%s\r\n"):format(body:sub(i, i))) end
          c:dribble "0\r\n\r\n"
        end
      end
      local body = job_of(w, "Ærø\n\"")
      local client = w:played { bit_by_bit(reply(chunked ""), body), bit_by_bit(csv(chunked ""), CSV),
        bit_by_bit(csv(chunked ""), CSV) }
      assert(client.jobs:get(w.job.id).name == "Ærø\n\"")
      assert(client.files:download("f", w:path "file").records == 2 and w:read "file" == CSV)
      local names = {}
      for row in assert(client.files:rows "f") do names[#names + 1] = row.Name end
      assert(names[1] == "Æ, \"b\"\r\nc" and names[2] == "d")
    end },

  { id = "A21", fault = "gzip that is cut, with a length that agrees", expect = "an error, or asked for again; never short",
    needs = needs_gzip, make = function(w)
      local packed = packing.gzip(CSV:rep(50))
      local short = csv(packed:sub(1, -20), { ["Content-Encoding"] = "gzip" })
      assert(download(w, { short, csv(CSV) }) and w:read "file" == CSV)
      local client = w:played { always = short }
      w:fails("incomplete", client.files:download("f", w:path "other", { retries = 0 }))
      assert(not w:read "other")
      packed = packing.gzip(job_of(w, ("x"):rep(500)))
      local value = w:played({ always = reply(packed:sub(1, -9), { ["Content-Encoding"] = "gzip" }) }).jobs:get(w.job.id)
      assert(not value or value.name == ("x"):rep(500))
    end },

  { id = "A22", fault = "gzip with a bad head, a bad sum, something behind it, or twice",
    expect = "an error, or (twice) all of it", needs = needs_gzip, make = function(w)
      local packed = packing.gzip(CSV)
      for name, bytes in pairs { head = "\31\138" .. packed:sub(3), sum = packed:sub(1, -9) .. "\0\0\0\0" .. packed:sub(-4),
        behind = packed .. "junk" } do
        local client = w:played({ always = csv(bytes, { ["Content-Encoding"] = "gzip" }) }, { retries = 1 })
        assert(not client.files:download("f", w:path(name)), name)
        assert(not w:read(name))
      end
      local client = w:played { always = csv(packed .. packed, { ["Content-Encoding"] = "gzip" }) }
      if client.files:download("f", w:path "twice", { retries = 0 }) then assert(w:read "twice" == CSV .. CSV) end
    end },

  { id = "A23", fault = "a bomb: 20 MB out of 20 KB", expect = "too_large, and no memory for it", needs = needs_gzip,
    make = function(w)
      local bomb = packing.gzip(("0"):rep(20000000))
      local client = w:played({ always = reply(bomb, { ["Content-Encoding"] = "gzip" }) }, { memory_limit = 100000 })
      local value, err = client.jobs:get(w.job.id)
      w:tell(err)
      assert(not value and (err.kind == "too_large" or err.kind == "json" or err.kind == "transport"), tostring(err))
    end },

  { id = "A24", fault = "gzip, though it was not asked for", expect = "unpacked, or refused; never kept as it is",
    needs = needs_gzip, make = function(w)
      local client = w:played { always = csv(packing.gzip(CSV), { ["Content-Encoding"] = "gzip" }) }
      if client.files:download("f", w:path "file", { resume = true, retries = 0 }) then assert(w:read "file" == CSV) end
      w:path "file.part"
      w:path "file.part.state"
    end },

  { id = "A25", fault = "a coding that nobody knows; six, one over the other", expect = "an error, and no file",
    make = function(w)
      for _, coding in ipairs { "foo", "br", "gzip, gzip, gzip, gzip, gzip, gzip" } do
        local client = w:played({ always = csv(CSV, { ["Content-Encoding"] = coding }) }, { retries = 1 })
        local written, err = client.files:download("f", w:path "file")
        w:tell(err)
        assert(not written and not w:read "file", coding)
      end
    end },

  { id = "A26", fault = "a handshake that is never answered", expect = "a time-out within connect_timeout",
    make = function(w)
      local silent = assert(socket.bind("127.0.0.1", 0, 32))
      local port = select(2, silent:getsockname())
      local client = w:client { base_url = "https://127.0.0.1:" .. port, token = world.planted.token, connect_timeout = 0.2,
        retries = 0, ca_file = w:tls().certificate }
      local started = core.now()
      assert(w:fails("transport", client.jobs:get(w.job.id)).curl == "OPERATION_TIMEDOUT")
      assert(core.now() - started < 1)
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
      local body = job_of(w)
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
        assert(core.now() - started < 2)]], named "six")
      close()
      assert(ok, problem)
      w:child(BY_NAME .. "works(new { connect_timeout = 5 })", named "six") -- refused at once
    end },

  { id = "A32", fault = "100 Continue a thousand times, or for ever", expect = "the answer behind it; a time-out",
    make = function(w)
      local go_on = "HTTP/1.1 100 Continue\r\n\r\n"
      local client = w:played { go_on:rep(1000) .. reply(job_of(w)) }
      assert(client.jobs:get(w.job.id))
      client = w:played({ function(c) while c:send(go_on) do c:yield() end return true end },
        { real = true, deadline = 0.3, retries = 0 })
      local value, err = client.jobs:get(w.job.id)
      assert(not value and (err.kind == "timeout" or err.kind == "transport"), tostring(err))
      w:tell(err)
    end },
}
