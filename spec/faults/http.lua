--- Faults of HTTP, and of the API behind it.

local support = require "spec.support"
local wire = require "spec.faults.wire"

local reply, csv, cut = wire.reply, wire.csv, wire.cut

local JOB, FILE, TOKEN = "GET /v1/batch-query/*", "GET /v1/files/*", "POST /oauth/token"
local SUBMIT = { queries = { A = "select Id from Account" } }
local CSV = "Id,Name\n1,a\n"

-- The simulator's answer for a time, or for ever.
local function strike(w, on, status, more)
  local fault = { on = on, kind = "status", status = status }
  for name, value in pairs(more or {}) do fault[name] = value end
  w.sim:fault(fault)
end

local function tokens(w) return #w:sent("POST", "/oauth/token") end
local function gets(w) return #w:sent("GET", "/v1/batch-query") end

-- Seconds that a client waits when it is answered so, and then as it should be.
local function waits(w, status, headers, body)
  w.sim:heal()
  strike(w, JOB, status, { headers = headers, body = body })
  local client, clock = w:client()
  assert(client.jobs:get(w.job.id))
  return clock.jumped
end

-- It must be asked for again, once, and then be there.
local function again(w, status, more)
  w.sim:forget()
  strike(w, JOB, status, more)
  assert(w:client().jobs:get(w.job.id))
  assert(gets(w) == 2, status .. " was not asked for again")
end

-- It must be an error of that kind, without another try.
local function once(w, kind, status, more)
  w.sim:heal()
  w.sim:forget()
  more = more or {}
  more.times = "always"
  strike(w, JOB, status, more)
  local err = w:fails(kind, w:client().jobs:get(w.job.id))
  assert(gets(w) == 1, gets(w))
  return err
end

local function date(format, seconds) return os.date("!" .. format, os.time() + seconds) end

-- An answer of a played server must be an error, or what is in it must be true.
local function plays(w, bytes, ...)
  local value, err = w:played({ always = bytes }, { retries = 0 }).jobs:get(w.job.id)
  w:tell(err)
  if value then
    assert(value.id == w.job.id)
    return value
  end
  for _, kind in ipairs { ... } do
    if err.kind == kind then return nil, err end
  end
  error(tostring(err))
end

return {
  { id = "B1", fault = "401 to the first call, to a poll, to a download", expect = "one new token, and the same request again",
    make = function(w)
      local client = w:client()
      for _, on in ipairs { "GET *", FILE } do
        w.sim:fault { on = on, kind = "token" }
        w.sim:forget()
        if on == FILE then assert(client.files:download(w.job.file, w:path "file")) else assert(client.jobs:get(w.job.id)) end
        assert(tokens(w) == 1 or on ~= FILE)
      end
      local job = assert(client.jobs:submit(SUBMIT))
      w.sim:fault { on = JOB, kind = "token", skip = 1 }
      w.sim:forget()
      assert(job:wait().status == "completed")
      assert(tokens(w) == 1)
    end },

  { id = "B2", fault = "401 for ever", expect = "two requests, then an error of kind auth",
    make = function(w)
      local client = w:client()
      strike(w, JOB, 401, { times = "always" })
      w:fails("auth", client.jobs:get(w.job.id))
      assert(gets(w) == 2 and tokens(w) == 2)
    end },

  { id = "B3", fault = "401 to several requests in flight", expect = "one new token for all",
    make = function(w)
      local client = w:client()
      assert(client.jobs:get(w.job.id))
      w.sim:forget()
      w.sim:fault { on = JOB, kind = "token" }
      assert(client:map({ 1, 2, 3, 4, 5, 6 }, function() return client.jobs:get(w.job.id) end))
      assert(tokens(w) == 1, tokens(w))
    end },

  { id = "B4", fault = "403: the user may not", expect = "auth, no new token, no other try",
    make = function(w)
      once(w, "auth", 403, { body = '{"message":"not permitted"}' })
      assert(tokens(w) == 1)
    end },

  { id = "B5", fault = "404 for a job or a file that is not there any more", expect = "an error with its status; a wait ends",
    make = function(w)
      local client = w:client()
      local err = w:fails("api", client.jobs:get "ff0000000000000000000000000000ff")
      assert(err.code == "90002" or err.status == 404, tostring(err))
      assert(w:fails("api", client.jobs:wait "ff0000000000000000000000000000ff").status == err.status)
      w:fails("api", client.files:download("ff0000000000000000000000000000ff", w:path "file"))
      strike(w, FILE, 404, { body = '{"message":"the file was purged"}' })
      w:fails("api", client.files:download(w.job.file, w:path "file"))
      assert(not w:read "file")
    end },

  { id = "B6", fault = "404 once, right after it was made", expect = "a wait goes on", design = "for what this client has made",
    make = function(w)
      local job = assert(w:client().jobs:submit(SUBMIT))
      strike(w, JOB, 404)
      assert(job:wait().status == "completed")
    end },

  { id = "B7", fault = "408, 425", expect = "408 is asked for again, 425 is an error", design = "425 is none of those that are tried again",
    make = function(w)
      again(w, 408)
      once(w, "http", 425)
    end },

  { id = "B8", fault = "409: the key is in use; 422: it was used for something else", expect = "the same key again; an error",
    make = function(w)
      local client = w:client()
      strike(w, "POST /v1/batch-query*", 409)
      assert(client.jobs:submit(SUBMIT))
      local sent = w:sent("POST", "/v1/batch-query")
      assert(#sent == 2 and sent[1].headers["idempotency-key"] == sent[2].headers["idempotency-key"])
      assert(client.jobs:submit { queries = SUBMIT.queries, idempotency_key = "mine" })
      local err = w:fails("api", client.reportruns:start(support.REPORT, { view = "Detail", idempotency_key = "mine" }))
      assert(err.status == 422, tostring(err))
    end },

  { id = "B9", fault = "429 with Retry-After 1, and 120", expect = "as long a wait, at least",
    make = function(w)
      assert(waits(w, 429, { ["Retry-After"] = "1" }) >= 1)
      assert(waits(w, 429, { ["Retry-After"] = "120" }) >= 120)
    end },

  { id = "B10", fault = "429 with a date, in three forms, and in the past", expect = "a wait until then; our own wait",
    make = function(w)
      for _, format in ipairs { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y" } do
        local seconds = waits(w, 429, { ["Retry-After"] = date(format, 60) })
        assert(seconds > 50 and seconds <= 61, format .. ": " .. seconds)
        seconds = waits(w, 429, { ["Retry-After"] = date(format, -60) })
        assert(seconds > 0 and seconds <= 1, format .. ": " .. seconds)
      end
    end },

  { id = "B11", fault = "429 with a Retry-After that is none, or too long", expect = "our own wait; an error that tells how long",
    make = function(w)
      for _, value in ipairs { "soon", "-5", "1e9", "0x10" } do
        local seconds = waits(w, 429, { ["Retry-After"] = value })
        assert(seconds <= 1, value .. ": " .. seconds)
      end
      local err = once(w, "http", 429, { headers = { ["Retry-After"] = "86400" } })
      assert(err.retry_after == 86400)
      strike(w, JOB, 429, { headers = { ["Retry-After"] = ("9"):rep(20) } })
      local value, huge = w:client().jobs:get(w.job.id)
      w:tell(huge)
      assert(value or huge.status == 429)
    end },

  { id = "B12", fault = "429 without the header; in words; with RateLimit-Reset", expect = "our own wait, or what the words say",
    make = function(w)
      assert(waits(w, 429) <= 1)
      assert(waits(w, 429, nil, '{"success":false,"reasons":[{"code":50000070,"message":"please retry after 7 seconds"}]}') >= 7)
      assert(waits(w, 429, { ["RateLimit-Reset"] = "2" }) <= 61)
    end },

  { id = "B13", fault = "429 to the token", expect = "one asks, waits, and asks again, for all",
    make = function(w)
      strike(w, TOKEN, 429, { headers = { ["Retry-After"] = "5" } })
      local client, clock = w:client()
      assert(client:map({ 1, 2, 3, 4, 5, 6 }, function() return client.jobs:get(w.job.id) end))
      assert(tokens(w) == 2 and clock.jumped >= 5)
    end },

  { id = "B14", fault = "500, 502, 503, 504 as JSON, as a page, or empty", expect = "asked again; a short error in the end",
    make = function(w)
      for _, status in ipairs { 500, 502, 503, 504 } do
        for _, body in ipairs { '{"message":"no"}', "<html><title>Oh</title>" .. ("x"):rep(5000), "" } do
          again(w, status, { body = body, headers = { ["Content-Type"] = "text/html" } })
        end
      end
      strike(w, JOB, 503, { body = ("\27[2Jx"):rep(5000), times = "always" })
      local err = w:fails("http", w:client().jobs:get(w.job.id))
      assert(err.attempts == 4 and #err.message < 300 and #err.body <= 2048 and not tostring(err):find "%c")
    end },

  { id = "B15", fault = "503 with Retry-After; 501, 505", expect = "a wait; no other try",
    make = function(w)
      assert(waits(w, 503, { ["Retry-After"] = "9" }) >= 9)
      once(w, "http", 501)
      once(w, "http", 505)
    end },

  { id = "B16", fault = "200, success false, with reasons", expect = "api: code, message, processId",
    make = function(w)
      local err = once(w, "api", 200,
        { body = '{"success":false,"processId":"P1","reasons":[{"code":53100320,"message":"not valid"},{},[],7,null]}' })
      assert(err.code == "53100320" and err.message == "not valid" and err.process_id == "P1")
    end },

  { id = "B17", fault = "200, AQuA's status error, without an id", expect = "api, from submit",
    make = function(w)
      w.sim:fault { on = "POST /v1/batch-query*", kind = "envelope", envelope = "E4" }
      assert(w:fails("api", w:client().jobs:submit(SUBMIT)).code == "90005")
    end },

  { id = "B18", fault = "200 with a page to log in", expect = "an error that names its title; never a file",
    design = "there is no kind of its own for it", make = function(w)
      local page = { body = "<html><head><title>Log in</title></head>", headers = { ["Content-Type"] = "text/html" } }
      assert(once(w, "json", 200, page).message:find "Log in")
      for _, media_type in ipairs { "text/html", "text/csv", "application/octet-stream" } do
        w.sim:heal()
        strike(w, FILE, 200, { body = page.body, headers = { ["Content-Type"] = media_type } })
        local written, err = w:client().files:download(w.job.file, w:path "file")
        w:tell(err)
        assert(not written and not w:read "file", media_type)
      end
    end },

  { id = "B19", fault = "200 with nothing in it; 204; 202", expect = "json; for a cancelling a success",
    make = function(w)
      once(w, "json", 200)
      once(w, "json", 204)
      assert(waits(w, 202, nil, w:job_text()) == 0)
      local client = w:client()
      w.sim:heal()
      strike(w, "DELETE *", 204)
      assert(client.reportruns:cancel "r" == true)
    end },

  { id = "B20", fault = "JSON as text/html, as iso-8859-1, without a type", expect = "JSON is read all the same",
    make = function(w)
      for _, media_type in ipairs { "text/html", "application/json; charset=iso-8859-1", "text/plain", "x" } do
        strike(w, JOB, 200, { body = w:job_text(), headers = { ["Content-Type"] = media_type } })
        assert(w:client().jobs:get(w.job.id).id == w.job.id)
      end
      assert(plays(w, reply(w:job_text(), { ["Content-Type"] = "" })))
    end },

  { id = "B21", fault = "200, and the error comes as the file", expect = "an error, and no file", make = function(w)
      local body = '{"success":false,"reasons":[{"code":50000040,"message":"gone"}]}'
      for _, media_type in ipairs { "application/json", "text/csv", "application/octet-stream" } do
        strike(w, FILE, 200, { body = body, headers = { ["Content-Type"] = media_type } })
        assert(w:fails("api", w:client().files:download(w.job.file, w:path "file")).code == "50000040")
        assert(not w:read "file")
      end
    end },

  { id = "B22", fault = "redirects: here, elsewhere, to http, to a file, in a loop, with a password",
    expect = "none is followed; the error names the host alone", make = function(w)
      local other = w:wire {}
      for _, target in ipairs { w.sim.url .. "/v1/x", other.url .. "/v1/x", "http://user:planted-user@127.0.0.1:" .. other.port
        .. "/?planted-query", "file:///etc/passwd", "//127.0.0.1:" .. other.port, "", "gopher://x", ("x"):rep(5000) } do
        for _, status in ipairs { 301, 302, 303, 307, 308 } do
          local err = once(w, "http", status, { headers = { Location = target } })
          assert(not err.message:find "passwd")
        end
        w.sim:heal()
        strike(w, FILE, 302, { headers = { Location = target } })
        w:fails("http", w:client().files:download(w.job.file, w:path "file"))
      end
      assert(#other.requests == 0)
    end },

  { id = "B23", fault = "headers: 300 KB, a line of 100 KB, 2,000 of them, NUL, folded, without a colon",
    expect = "an error, or the answer; bounded memory", make = function(w)
      local function with(lines) return "HTTP/1.1 200 OK\r\n" .. lines .. reply(w:job_text()):match "^[^\r]*\r\n(.*)$" end
      local lines = {}
      for i = 1, 2000 do lines[i] = ("X-%d: y\r\n"):format(i) end
      for _, more in ipairs { ("X-Y: " .. ("z"):rep(1000) .. "\r\n"):rep(300), "X-Y: " .. ("z"):rep(100000) .. "\r\n",
        table.concat(lines), "X-Y: a\0b\r\n", "X-Y: a\r\n  folded\r\n", "no colon\r\n", ": no name\r\n" } do
        collectgarbage()
        local before = collectgarbage "count"
        plays(w, cut(with(more)), "transport", "too_large")
        assert(collectgarbage "count" - before < 4096)
      end
      plays(w, cut("HTTP/1.1 200 OK\r\n " .. with("")), "transport", "json")
    end },

  { id = "B24", fault = "HTTP/0.9, HTTP/1.0, statuses of 099 and 600", expect = "an error, or what is in it",
    make = function(w)
      plays(w, cut(w:job_text()), "transport")
      assert(plays(w, cut((reply(w:job_text()):gsub("HTTP/1.1", "HTTP/1.0")))))
      for _, status in ipairs { "099 x", "600 x", "999 x", "2 x", "abc", "" } do
        plays(w, cut(reply(w:job_text(), {}, status)), "transport", "http", "api", "json")
      end
      plays(w, cut "HTTP/9.9 200 OK\r\n\r\n", "transport", "json")
    end },

  { id = "B25", fault = "Set-Cookie", expect = "it is not sent back", make = function(w)
      local client, server = w:played { reply(w:job_text(), { ["Set-Cookie"] = "a=planted-cookie; Path=/" }) }
      assert(client.jobs:get(w.job.id) and client.jobs:get(w.job.id))
      assert(#server.requests == 2 and not server.requests[2].headers.cookie)
    end },

  { id = "B26", fault = "206 that was not asked for, or another part; 200 or 416 when going on",
    expect = "refused, or begun again; 416 with the size in hand: all is there", make = function(w)
      local function part(range) return csv(CSV:sub(5), { ["Content-Range"] = range }, "206 Partial Content") end
      local function brings(...)
        local client = w:played { ... }
        assert(client.files:download("f", w:path "file"))
        assert(w:read "file" == CSV)
      end
      local half = cut(csv(CSV):sub(1, -#CSV + 3))
      brings(part("bytes 4-11/12"), csv(CSV))
      for _, range in ipairs { "bytes 5-11/12", "bytes 0-7/12", "bytes 4-11/99", "bytes 4-11/x", "items 4-11/12", "" } do
        brings(half, part(range), csv(CSV))
      end
      brings(half, csv(CSV))
      brings(half, csv("", { ["Content-Range"] = "bytes */3" }, "416 No"), csv(CSV))
      local client = w:played { always = part("bytes 4-11/12") }
      assert(not client.files:download("f", w:path "other") and not w:read "other")
    end },

  { id = "B27", fault = "the validator changes, is weak, or is not there", expect = "begun again, without If-Range",
    make = function(w)
      local function second_request(first)
        local client, server = w:played { cut(first:sub(1, 4 - #CSV - 1)), csv(CSV, { ETag = '"two"' }) }
        assert(client.files:download("f", w:path "file") and w:read "file" == CSV)
        return server.requests[2].headers
      end
      local headers = second_request(csv(CSV))
      assert(headers["if-range"] == '"one"' and headers.range == "bytes=4-")
      for _, etag in ipairs { 'W/"one"', "" } do
        headers = second_request(csv(CSV, { ETag = etag }))
        assert(not (headers["if-range"] or headers.range))
      end
    end },

  { id = "B28", fault = "the answer to a POST is lost, and comes again under its key", expect = "one job, as if nothing had been",
    make = function(w)
      w.sim:fault { on = "POST /v1/batch-query*", kind = "cut" }
      local job = assert(w:client().jobs:submit(SUBMIT))
      local sent = w:sent("POST", "/v1/batch-query")
      assert(#sent == 2 and sent[1].headers["idempotency-key"] == sent[2].headers["idempotency-key"])
      assert(job:wait().status == "completed")
    end },

  { id = "B29", fault = "cancelling: both spellings, twice, after the end", expect = "done, with Zuora's words; an error",
    make = function(w)
      local client = w:client()
      local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
      local done, words = client.reportruns:cancel(run.id)
      assert(done == true and words:find "cance")
      done, words = client.reportruns:cancel(run.id)
      assert(done == true and words:find "cance")
      assert(w:fails("cancelled", run:wait()).record.status:lower():find "cance")
      w:fails("api", client.jobs:cancel(w.job.id)) -- it has completed
    end },

  { id = "B30", fault = "302 to the page of a maintenance", expect = "as B22, and named", make = function(w)
      local err = once(w, "http", 302, { headers = { Location = "https://status.zuora.example/now?x=1" } })
      assert(err.message:find("status.zuora.example", 1, true) and not err.message:find "x=1")
    end },
}
