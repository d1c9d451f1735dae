--- Faults of the network: how a body comes, and how it breaks off.

local core = require "zuora.core"
local packing = require "zuora.simulator.engine.packing"
local wire = require "spec.faults.wire"

local reply, csv, cut, reset, stall = wire.reply, wire.csv, wire.cut, wire.reset, wire.stall

local CSV = "Id,Name\n1,\"Æ, \"\"b\"\"\r\nc\"\n2,d\n"

local function chunked(body) return body, { ["Content-Length"] = "", ["Transfer-Encoding"] = "chunked" } end

-- A file must come whole, with what `turns` do to it; or be an error, and no file.
local function download(w, turns, options)
  local client, server = w:played(turns)
  return client.files:download("f", w:path "file", options), server, client
end

local function whole(w, turns)
  assert(download(w, turns))
  assert(w:read "file" == CSV)
end

local function needs_gzip()
  if not packing.available() then return "lua-zlib is not installed" end
end

return {
  { id = "A9", fault = "a reset amidst the body", expect = "JSON is asked for again; a file goes on, or begins again: never short",
    make = function(w)
      w:second_try(reset(reply(w:job_text()):sub(1, -5)))
      whole(w, { reset(csv(CSV):sub(1, -5)), csv(CSV) })
      local broken, server = download(w, { always = reset(csv(CSV):sub(1, -5)) })
      assert(not broken and w:read "file" == CSV and #server.requests == 4)
    end },

  { id = "A10", fault = "the connection ends before Content-Length", expect = "as A9",
    make = function(w)
      w:second_try(cut(reply(w:job_text()):sub(1, -5)))
      whole(w, { cut(csv(CSV):sub(1, -5)), csv(CSV) })
    end },

  { id = "A11", fault = "chunks are cut, within one or before the last", expect = "as A9",
    make = function(w)
      local body = w:job_text()
      for _, torn in ipairs { ("%x\r\n%s\r\n"):format(#body, body), ("%x\r\n%s"):format(#body, body),
        ("%x\r\n%s"):format(#body, body:sub(1, 9)), ("%x"):format(#body), ("%x\r\n%s\r\n0"):format(#body, body),
        ("%x\r\n%s\r\n0\r\n"):format(#body, body) } do
        w:second_try(cut(reply(chunked(torn))))
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
      w:second_try(cut(reply(w:job_text(), { ["Content-Length"] = #w:job_text() + 7 })))
      local lie = reply(core.encode { id = w.job.id, status = "evil" })
      local client = w:played { reply(w:job_text()) .. lie }
      assert(client.jobs:get(w.job.id).status == "completed")
      assert(client.jobs:get(w.job.id).status == "completed")
    end },

  { id = "A14", fault = "Content-Length is negative, text, huge, or there twice", expect = "an error; huge: as A16, for libcurl",
    make = function(w)
      for length, kind in pairs { ["-5"] = "transport", abc = "transport", ["5\r\nContent-Length: 6"] = "incomplete" } do
        w:single_try(kind, { always = cut(reply(w:job_text(), { ["Content-Length"] = length })) })
        assert(not download(w, { always = cut(csv(CSV, { ["Content-Length"] = length })) }))
      end
      local huge = { ["Content-Length"] = ("9"):rep(30) }
      w:single_try("json", { always = cut(reply(w:job_text():sub(1, -3), huge)) })
      assert(not download(w, { always = cut(csv(CSV, huge)) }) and not w:read "file")
    end },

  { id = "A15", fault = "both Content-Length and chunks", expect = "the chunks count, always",
    make = function(w)
      local body = w:job_text()
      for _, length in ipairs { 3, 1000 } do
        local client = w:played { reply(("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body), { ["Transfer-Encoding"] = "chunked",
          ["Content-Length"] = length }) }
        assert(client.jobs:get(w.job.id).id == w.job.id)
      end
    end },

  { id = "A16", fault = "only the end of the connection ends the body", expect = "JSON: it must parse; a file: proven, or incomplete",
    design = "it is proven by asking for what is behind its end", make = function(w)
      local client = w:played { cut(reply(w:job_text(), { ["Content-Length"] = "" })) }
      assert(client.jobs:get(w.job.id))
      w:single_try("json", { cut(reply(w:job_text():sub(1, -3), { ["Content-Length"] = "" })) })
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
      for _, bytes in ipairs { "", reply(w:job_text()):sub(1, 40), reply(w:job_text()):sub(1, -5) } do
        local client, server = w:played({ stall(bytes) },
          { timeout = 0.25, stall_timeout = 0.25 })
        assert(client.jobs:get(w.job.id))
        assert(#server.requests == 2)
      end
      local client = w:played({ stall(csv(CSV):sub(1, -5)), csv(CSV) },
        { stall_timeout = 0.25 })
      assert(client.files:download("f", w:path "file") and w:read "file" == CSV)
    end },

  { id = "A19", fault = "one byte now and then", expect = "it passes; the deadline ends it all the same",
    make = function(w)
      w.sim:fault { on = "GET /v1/batch-query/*", kind = "trickle", size = 1, seconds = 0.001 }
      local client = w:client { real = true, stall_timeout = 0.5 }
      assert(client.jobs:get(w.job.id))
      w.sim:fault { on = "GET /v1/batch-query/*", kind = "trickle", size = 1, seconds = 0.1, times = "always" }
      local started = core.now()
      w:fails("timeout", client.jobs:get(w.job.id, { total_timeout = 0.3 }))
      assert(core.now() - started < 2)
    end },

  { id = "A20", fault = "one byte in each packet, and in each chunk", expect = "the same as in one piece",
    make = function(w)
      local function bit_by_bit(head, body)
        return function(c)
          c:dribble(head)
          for i = 1, #body do c:dribble(("1\r\n%s\r\n"):format(body:sub(i, i))) end
          c:send "0\r\n\r\n"
        end
      end
      local body = w:job_text { name = "Ærø\n\"" }
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
      packed = packing.gzip(w:job_text { name = ("x"):rep(500) })
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
}
