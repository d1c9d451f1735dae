--- Faults of what is in an answer: JSON, records, delimited text; and of what is sent.

local core = require "zuora.core"
local documents = require "spec.documents"
local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"

local reply, csv = wire.reply, wire.csv

-- What a job's get makes of a body.
local function asked(w, body, options)
  local client = w:played({ always = reply(body) }, options or { retries = 0 })
  local job, err = client.jobs:get(w.job.id)
  w:tell(err)
  return job, err, client
end

local function refused(w, kind, body, options)
  local job, err = asked(w, body, options)
  assert(not job and err.kind == kind, ("%s: %s"):format(body:sub(1, 60), tostring(err)))
  return err
end

-- A call may fail, and it may refuse what it is given, but it never stumbles.
local function stands(w, f, ...)
  local ok, value, err = pcall(f, ...)
  w:tell(ok and err or value)
  local raised = not ok and tostring(value) or ""
  assert(not (raised:find "attempt to [cip]" or raised:find "userdata" or raised:find "bad argument #"), raised)
  return ok and value or nil
end

-- All that one does with a job.
local function use(w, job)
  if not job then return end
  stands(w, job.wait, job, { timeout = 0 })
  stands(w, job.stateful or job.is_stateful, job)
  local batch = stands(w, job.batch, job, "AccountingPeriod")
  if batch then
    stands(w, batch.files, batch)
    stands(w, batch.download, batch, w.directory .. "/nowhere/file")
  end
  stands(w, job.download, job, w:path "out")
end

-- Every table inside, with its fields in order.
local function each_field(value, f)
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  for _, name in ipairs(names) do
    local before = value[name]
    f(value, name)
    value[name] = before
    if type(before) == "table" then each_field(before, f) end
  end
end

-- The samples of jobs and runs with each field in turn as `make` has it: nothing may stumble over it.
local function with_each_field(w, make)
  for _, sample in ipairs { documents.job, documents.get_report_run } do
    local body = core.decode(sample)
    local id = (body.response or body).id
    local server = w:wire {}
    local client = w:client { at = server, retries = 0 }
    each_field(body, function(owner, name)
      make(owner, name)
      server.turns.always = reply(core.encode(body))
      if body.batches or not body.response and sample == documents.job then
        use(w, stands(w, client.jobs.get, client.jobs, id))
      else
        local run = stands(w, client.reportruns.get, client.reportruns, id)
        if run then stands(w, run.wait, run, { timeout = 0 }) end
      end
      stands(w, client.reportruns.data, client.reportruns, id)
      stands(w, client.reports.search, client.reports, "x")
    end)
  end
end

-- A job whose looks show these statuses, one after another.
local function goes(w, ...)
  local turns = {}
  for i, status in ipairs { ... } do turns[i] = reply(w:job_text({ status = status })) end
  local client, server = w:played(turns)
  local job, err = client.jobs:wait(w.job.id, { timeout = 60 })
  w:tell(err)
  return job, err, server
end

-- What rows make of a file, as one text; or the error that they raise.
local function rows_of(w, text, options)
  local path = w:path "rows.csv"
  support.write(path, text)
  local rows, err = require "zuora".rows(path, options)
  if not rows then return nil, err end
  local all = {}
  local ok, raised = pcall(function()
    options = options or {}
    for row in rows do all[#all + 1] = table.concat(row, "|") end
  end)
  rows:close()
  if not ok then return nil, raised end
  return table.concat(all, "/")
end

local ARRAY = { form = "array" }

-- Text that breaks things: bytes, quotes of many tongues, spaces that are none, directions, templates, paths.
local function awkward()
  local all = { "", " ", "\t", "nil", "null", "true", "NaN", "-1", "1e999", "0x7fffffff", "[]", "{}", "''", '"', "\\", "\\\"",
    "a\0b", "a\r\nX-Y: z", "../..", "/etc/passwd", "%00", "%n%s%d", "${7*7}", "$(id)", "`id`", "; drop table Account --",
    "' or ''='", "<script>", "]]>", "&amp;", "\u{feff}", "\u{200b}", "\u{202e}abc", "\u{2028}", "Ω≈ç√", "İıſß", "ﷺ", "👩‍👩‍👧",
    "e\u{301}", "\u{10ffff}", "\u{fffe}", "￾", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82",
    "\27[2J\27]0;x\7", "\xc2\x9b2J", ("x"):rep(300), ("ä"):rep(40), "--", "-rf", "a b", "a+b", "a&b=c", "a#b", "a?b", "a%2fb" }
  for byte = 0, 255 do all[#all + 1] = ("a%cb"):format(byte) end
  return all
end

return {
  { id = "C1", fault = "JSON that is cut, wrong, behind a mark, or with something after it", expect = "json, says where, shows no body",
    make = function(w)
      local text = w:job_text({ name = "zzzz" })
      for _, body in ipairs { text:sub(1, -2), text .. "x", text .. text, "\u{feff}" .. text, "{", "[", '{"id":}', "{'id':1}",
        '{"id":"x",}', "nul", '"open' } do
        refused(w, "json", body)
      end
      local message = refused(w, "json", '{"id":"x","secret":"zzzz",}').message
      assert(message:find "%d" and not message:find "zzzz", message)
    end },

  { id = "C2", fault = "names and messages that are no UTF-8", expect = "kept as they are, and clean in what is printed",
    design = "an error when it is of no use as text", make = function(w)
      local job, err = asked(w, ('{"id":"%s","status":"completed","name":"a\xff\xc3("}'):format(w.job.id))
      assert(job and job.name == "a\xff\xc3(" or err.kind == "json")
      local refusal = refused(w, "api", '{"success":false,"reasons":[{"code":53100320,"message":"\xff\\u001b[2J\xc2\x9b2J"}]}')
      assert(not tostring(refusal):find "[%c]" and not tostring(refusal):find "\xc2\x9b")
    end },

  { id = "C3", fault = "JSON that is 1,000 or a million deep", expect = "json, soon", make = function(w)
      local started = os.clock()
      for _, depth in ipairs { 1000, 1000000 } do
        refused(w, "json", ("["):rep(depth))
        refused(w, "json", ("["):rep(depth) .. ("]"):rep(depth))
        refused(w, "json", ('{"a":'):rep(depth))
      end
      assert(os.clock() - started < 5)
    end },

  { id = "C4", fault = "a body over the limit; an array of a million", expect = "too_large; bounded memory", make = function(w)
      refused(w, "too_large", (" "):rep(1000001), { memory_limit = 1000000, retries = 0 })
      collectgarbage()
      local before = collectgarbage "count"
      refused(w, "json", "[" .. ("1,"):rep(999999) .. "1]")
      collectgarbage()
      assert(collectgarbage "count" - before < 4096)
    end },

  { id = "C5", fault = "null in each field, one at a time", expect = "as if it were not there; nothing stumbles",
    make = function(w) with_each_field(w, function(owner, name) owner[name] = core.null end) end },

  { id = "C6", fault = "fields that are missing, or of another type", expect = "an error that names the field",
    make = function(w)
      assert(refused(w, "json", '{"status":"completed"}').message:find "'id'")
      assert(refused(w, "json", ('{"id":"%s"}'):format(w.job.id)).message:find "'status'")
      for _, batches in ipairs { '"x"', "7", "true", '{"a":1}', "[1]", '[{"fileId":7}]', '[{"segments":"x"}]', '[{"fileId":"../x"}]' } do
        local message = refused(w, "json", ('{"id":"%s","status":"completed","batches":%s}'):format(w.job.id, batches)).message
        assert(message:find "'batches'", message)
      end
      for _, value in ipairs { "x", 7, { 1 } } do
        with_each_field(w, function(owner, name) owner[name] = value end)
      end
      with_each_field(w, function(owner, name) owner[name] = nil end)
    end },

  { id = "C7", fault = "numbers as text, with a point, below 0, huge", expect = "integers where they are; kept as they came",
    make = function(w)
      local function count(text)
        local job, err = asked(w, ('{"id":"%s","status":"completed","batches":[{"recordCount":%s}]}'):format(w.job.id, text))
        return assert(job, err).batches[1].recordCount
      end
      assert(math.type(count "5") == "integer" and math.type(count "5.0") == "integer" and count "-1" == -1)
      assert(count '"5"' == "5" and math.type(count "9007199254740993") == "float") -- not all of those are integers
      assert(count "1e308" == 1e308 and count "1234567890123456789e1" == 12345678901234567890)
      -- OpenResty's lua-cjson takes what is beyond all integers for the greatest of them.
      local greatest = require "cjson".decode "[12345678901234567890]"[1]
      assert(count "12345678901234567890" == (greatest == math.maxinteger and 2.0 ^ 63 or 12345678901234567890))
      -- The count of a batch may be text.
      local turns = { reply(('{"id":"%s","status":"completed","batches":[{"name":"a","status":"completed","fileId":"f",'
        .. '"recordCount":"3"}]}'):format(w.job.id)), csv "a\n1\n2\n" }
      local job = assert(w:played(turns).jobs:get(w.job.id))
      w:fails("incomplete", job.batches[1]:download(w:path "file"))
    end },

  { id = "C8", fault = "Infinity, NaN, hexadecimal numbers", expect = "json", make = function(w)
      for _, number in ipairs { "Infinity", "-Infinity", "NaN", "nan", "0x10", "inf", "01", "+1", ".5", "-" } do
        refused(w, "json", ('{"id":"%s","status":"completed","n":%s}'):format(w.job.id, number))
      end
    end },

  { id = "C9", fault = "the same name twice in an object", expect = "the last one counts", make = function(w)
      local job = assert(asked(w, ('{"id":"x","id":"%s","status":"error","status":"completed"}'):format(w.job.id)))
      assert(job.status == "completed" and job:wait { timeout = 0 })
    end },

  { id = "C10", fault = "statuses that are unknown, empty, in another case, with blanks", expect = "any case; unknown is pending",
    make = function(w)
      for _, status in ipairs { "completed", "Completed", "COMPLETED" } do assert(goes(w, status)) end
      for _, status in ipairs { "error", "ERROR", "Aborted" } do assert(select(2, goes(w, status)).kind == "failed") end
      local server = w:wire { always = reply(w:job_text({ status = "resting" })) }
      for _, status in ipairs { "resting", "", "  " } do
        server.turns.always = reply(w:job_text({ status = status }))
        local client = w:client { at = server }
        local err = w:fails("timeout", client.jobs:wait(w.job.id, { timeout = 5 }))
        assert(err.message:find("last seen as " .. status:match "%S*", 1, true))
      end
    end },

  { id = "C11", fault = "statuses that go back", expect = "going on; completed is final once it is seen", make = function(w)
      local job, _, server = goes(w, "executing", "submitted", "pending", "executing", "completed", "error")
      assert(job.status == "completed" and #server.requests == 5)
      assert(job:wait().status == "completed" and #server.requests == 5)
    end },

  { id = "C12", fault = "a completed job with batches that are not, or have no file, or segments",
    expect = "errors for those; all segments, in order", make = function(w)
      local function batch(fields) return setmetatable(fields, nil) end
      local body = w:job_text({ batches = { batch { name = "ok", status = "completed", segments = { "s1", "s2" }, recordCount = 2 },
        batch { name = "no", status = "aborted", message = "too long" }, batch { name = "bare", status = "completed" } } })
      local client, server = w:played { reply(body), csv "a\n1\n", csv "a\n2\n" }
      local job = assert(client.jobs:get(w.job.id))
      local directory = w:path "out"
      local err = select(2, job:download(directory))
      w:tell(err)
      assert(support.read(directory .. "/ok.csv") == "a\n1\n2\n")
      assert(#support.listing(directory) == 1 and err and server.requests[2].line:find "s1" and server.requests[3].line:find "s2")
    end },

  { id = "C13", fault = "batches of the same name, 50 of them, more than before", expect = "a file of its own for each",
    make = function(w)
      local batches = {}
      for i = 1, 50 do batches[i] = { name = i % 2 == 0 and "A" or "a", status = "completed", fileId = "f" .. i } end
      local client, server = w:played { reply(w:job_text({ batches = { batches[1] } })), reply(w:job_text({ batches = batches })) }
      local job = assert(client.jobs:get(w.job.id))
      assert(job:refresh() and #job.batches == 50)
      server.turns.always = csv "a\n1\n"
      local directory = w:path "out"
      assert(#assert(job:download(directory)) == 50)
      assert(#support.listing(directory) == 50)
    end },

  { id = "C14", fault = "recordCount is not the number of rows", expect = "incomplete, unless verify is off", make = function(w)
      local body = w:job_text({ batches = { { name = "a", status = "completed", fileId = "f", recordCount = 3 } } })
      local client, server = w:played { reply(body) }
      local batch = assert(client.jobs:get(w.job.id)).batches[1]
      server.turns.always = csv "a\n1\n2\n"
      w:fails("incomplete", batch:download(w:path "file"))
      w:fails("incomplete", batch:rows())
      assert(not w:read "file")
      assert(batch:download(w:path "file", { verify = false }).records == 2)
    end },

  { id = "C15", fault = "delimited text in all its forms", expect = "exact rows; an open quote at the end is an error",
    make = function(w)
      local long = ("y"):rep(1000000)
      for text, rows in pairs { ['a,b\n"x\ny","z""w"\n'] = 'x\ny|z"w', ["a\r\n1\r\n2"] = "1/2", ["\u{feff}a\n1\n"] = "1", [""] = "",
        ["a,b\n"] = "", ["a\n" .. long .. "\n"] = long, ["a,b\n,\n"] = "|", ['a\n"\r\n"\n'] = "\r\n" } do
        local got, err = rows_of(w, text, ARRAY)
        assert(got == rows, ("%q: %q, %s"):format(text:sub(1, 20), tostring(got):sub(1, 20), tostring(err)))
      end
      for _, text in ipairs { 'a\n"x\n', "a,b\n1\n", "a,b\n1,2,3\n", "a\nx\0y\n", "a\n\xff\n", "a,a\n1,2\n" } do
        local got, err = rows_of(w, text, ARRAY)
        assert(not got and err.kind == "text", ("%q"):format(text))
      end
    end },

  { id = "C16", fault = "the answer is about another job, or run", expect = "an error that names both", make = function(w)
      assert(refused(w, "json", '{"id":"another","status":"completed"}').message:find "another")
      local client = w:played { always = reply '{"success":true,"response":{"id":"another","status":"COMPLETED"}}' }
      assert(w:fails("json", client.reportruns:get "mine").message:find "another")
    end },

  { id = "C17", fault = "times in milliseconds, in seconds, as text, absent", expect = "given as they came", make = function(w)
      for _, time in ipairs { 1453166692000, 1453166692, "2016-01-19T01:24:52Z", "soon", -1, 0 } do
        local client = w:played { reply(core.encode { success = true, response = { id = "r", status = "STARTED", startedOn = time } }) }
        assert(client.reportruns:get "r".startedOn == time)
      end
      with_each_field(w, function(owner, name) if tostring(name):find "On$" then owner[name] = nil end end)
    end },

  { id = "C18", fault = "an error's words with control characters, or of 2 MB", expect = "clean, and short", make = function(w)
      local words = "\27[31m\7\r\nX\0" .. ("long "):rep(400000)
      local err = refused(w, "api", core.encode { success = false, reasons = { { code = 53100320, message = words } } })
      assert(#tostring(err) < 2000 and not tostring(err):find "%c" and #err.body <= 2048)
    end },

  { id = "C19", fault = "token answers: none, one that would end a line, of another type, mad lifetimes",
    expect = "auth for what is no bearer token; the lifetime bounded", make = function(w)
      local function token(fields, life)
        local all = { access_token = world.planted.token, token_type = "bearer", expires_in = 7777 }
        for name, value in pairs(fields) do all[name] = value end
        local client, server, clock = w:played({ reply((core.encode(all):gsub("7777", life or "3600"))) },
          { client_id = world.planted.client_id, client_secret = world.planted.client_secret, retries = 0 })
        local job, err = client.jobs:get(w.job.id)
        w:tell(err)
        return job and server, err, client, clock
      end
      for _, fields in ipairs { { access_token = core.null }, { access_token = "a\r\nX: y" }, { access_token = "" },
        { access_token = 7 }, { access_token = { 1 } }, { token_type = "mac" }, { token_type = 7 }, { access_token = "a b" } } do
        assert(select(2, token(fields)).kind == "auth")
      end
      for _, life in ipairs { "0", "-1", '"3600"', '"soon"', '"nan"', "1e12", "1e300", "null", "true", "[1]", '"0x10"', '""' } do
        local server, err, client, clock = token({}, life)
        assert(server, tostring(err))
        -- It is believed for a second at least, and for a week at most.
        assert(client.jobs:get(w.job.id))
        assert(#server.requests == 3)
        clock.jumped = clock.jumped + 8 * 24 * 3600
        assert(client.jobs:get(w.job.id) and #server.requests == 5)
      end
    end },

  { id = "C20", fault = "awkward text as a search, a query, a name, a track id",
    expect = "it arrives as it is, or raises before it is sent", design = "the list of texts is our own: none is copied", make = function(w)
      local client, expected = w:client(), { search = {}, query = {}, name = {}, track = {} }
      local function try(list, text, f)
        local ok, raised, err = pcall(f)
        if ok then
          assert(raised, tostring(err))
          list[#list + 1] = text
        else
          assert(tostring(raised):find "^[^:]+:%d+: bad argument" and not tostring(raised):find "[%z\1-\31\127]", tostring(raised))
        end
      end
      local submit = "POST /v1/batch-query*"
      w.sim:fault { on = submit, kind = "status", status = 200, body = '{"id":"j","status":"submitted"}', times = "always" }
      for _, text in ipairs(awkward()) do
        try(expected.search, text, function() return client.reports:search(text) end)
        try(expected.query, text, function() return client.jobs:submit { queries = { { name = "n", query = text } } } end)
        try(expected.name, text, function() return client.jobs:submit { queries = { { name = text, query = "name" } } } end)
        try(expected.track, text, function() return client.describe:objects { track_id = text } end)
      end
      local arrived = { search = {}, query = {}, name = {}, track = {} }
      for _, entry in ipairs(w.sim:journal()) do
        local search = entry.target:match "/reports/search%?query=([^&]*)"
        local query = entry.method == "POST" and entry.target:find "batch%-query" and core.decode(entry.body).queries[1]
        if search then
          table.insert(arrived.search, (search:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)))
        elseif query and query.query == "name" then
          table.insert(arrived.name, query.name)
        elseif query then
          table.insert(arrived.query, query.query)
        elseif entry.headers["zuora-track-id"] then
          table.insert(arrived.track, entry.headers["zuora-track-id"])
        end
      end
      for kind, list in pairs(expected) do
        assert(#list >= 50, kind)
        for i, text in ipairs(list) do
          assert(arrived[kind][i] == text, ("%s: %q came as %q"):format(kind, text, tostring(arrived[kind][i])))
        end
      end
    end },
}
