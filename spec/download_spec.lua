local support = require "spec.support"

describe("a transfer", function()
  local sim, client, file_id, whole, directory, path

  setup(function()
    sim = support.simulator()
    client = support.quick_client(sim)
    local job = assert(client.jobs:submit { queries = { { name = "a", query = "select Id, Name from Account" } } })
    file_id = assert(job:wait(support.soon)).batches[1].fileId
    path = support.scratch("transfer") .. "/whole.csv"
    assert(client.files:download(file_id, path))
    whole = support.read(path)
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function()
    sim:heal()
    sim:forget()
    directory = support.scratch("transfer")
    path = directory .. "/file.csv"
  end)

  for _, fault in ipairs { { kind = "cut" }, { kind = "cut", after = 50 }, { kind = "reset", after = 50 },
    { kind = "length" }, { kind = "cut", headers_after = 30 }, { kind = "status", status = 503 },
    { kind = "token" } } do
    it(("is whole after a fault: %s %s"):format(fault.kind, fault.after or fault.status or ""), function()
      fault.on = "GET /v1/files/*"
      sim:fault(fault)
      assert(client.files:download(file_id, path))
      assert.equal(whole, support.read(path))
      -- A length that is too large is found out by asking for the rest.
      assert.equal(fault.kind == "length" and 3 or 2, #support.sent(sim, "GET", "/v1/files/"))
    end)
  end

  for name, fault in pairs {
    incomplete = { kind = "garbage", raw = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\na,b\n1,2\n" },
    ["incomplete "] = { kind = "cut", after = 20 }, transport = { kind = "cut" },
    http = { kind = "status", status = 200, body = "<html><title>Log in</title>", headers = { ["Content-Type"] = "text/html" } },
    api = { kind = "status", status = 200, body = '{"success":false,"reasons":[{"code":50000040,"message":"gone"}]}' },
    auth = { kind = "status", status = 401 },
  } do
    it("is an error of kind " .. name .. ", and no file, when it cannot be proven whole", function()
      fault.on, fault.times = "GET /v1/files/*", 99
      sim:fault(fault)
      support.write(path, "before")
      local written, err = client.files:download(file_id, path)
      assert.is_nil(written)
      assert.equal((name:gsub(" ", "")), err.kind)
      assert.equal("before", support.read(path))
      assert.same({ "file.csv" }, support.listing(directory))
    end)
  end

  it("goes on where it broke off, and asks for the rest of the same file alone", function()
    sim:fault { on = "GET /v1/files/*", kind = "cut", after = 50, times = 2 }
    assert(client.files:download(file_id, path))
    assert.equal(whole, support.read(path))
    local sent = support.sent(sim, "GET", "/v1/files/")
    assert.is_nil(sent[1].headers.range)
    assert.equal("bytes=50-", sent[2].headers.range)
    assert.equal('"' .. file_id .. '"', sent[2].headers["if-range"])
    assert.equal("bytes=100-", sent[3].headers.range)
  end)

  it("starts again when the file has changed, or the part is another", function()
    local function after_break(second)
      sim:fault { on = "GET /v1/files/*", kind = "cut", after = 50 }
      second.on, second.kind, second.skip = "GET /v1/files/*", "garbage", 0
      sim:fault(second)
      assert(client.files:download(file_id, path))
      assert.equal(whole, support.read(path))
      sim:heal()
    end
    for _, range in ipairs { "bytes 51-183/184", "bytes 0-183/184", "bytes 50-183/185", "bytes x", "", "bytes 50-184/184",
      "bytes 50-49/184" } do
      after_break { raw = ("HTTP/1.1 206 Partial\r\nContent-Type: text/csv\r\n%sContent-Length: 5\r\n\r\nwrong")
        :format(range ~= "" and "Content-Range: " .. range .. "\r\n" or "") }
    end
    after_break { raw = ('HTTP/1.1 206 Partial\r\nContent-Type: text/csv\r\nETag: "other"\r\nContent-Range: bytes '
      .. "50-183/184\r\nContent-Length: 5\r\n\r\nwrong") }
    for _, etag in ipairs { 'W/"%s"', '"%s', '%s', '', '"%s"\r\nETag: "other"', '"other"\r\nETag: "%s"' } do
      after_break { raw = ("HTTP/1.1 206 Partial\r\nContent-Type: text/csv\r\nETag: " .. etag:format(file_id)
        .. "\r\nContent-Range: bytes 50-183/184\r\nContent-Length: 134\r\n\r\n") .. ("x"):rep(134) }
    end
    -- A part that does not say of which version it is, though If-Range asked for one.
    after_break { raw = "HTTP/1.1 206 Partial\r\nContent-Type: text/csv\r\nContent-Range: bytes 50-183/184\r\n"
      .. "Content-Length: 134\r\n\r\n" .. ("x"):rep(134) }
    after_break { raw = "HTTP/1.1 416 No\r\nContent-Range: bytes */60\r\nContent-Length: 0\r\n\r\n" }
    after_break { raw = "HTTP/1.1 416 No\r\nContent-Range: bytes */50\r\nContent-Length: 0\r\n\r\n" }
    -- Parts that agree, and are too short, empty, or too long.
    local head = ('HTTP/1.1 206 Partial\r\nContent-Type: text/csv\r\nETag: "%s"\r\nContent-Range: bytes '):format(file_id)
    after_break { raw = head .. "50-59/184\r\nContent-Length: 10\r\n\r\n" .. whole:sub(51, 60) }
    after_break { raw = head .. "50-183/184\r\nContent-Length: 0\r\n\r\n" }
    after_break { raw = head .. "50-183/184\r\nContent-Length: 139\r\n\r\n" .. whole:sub(51) .. "extra" }
  end)

  -- The first answer does not say how long the file is, and breaks off; then come parts of it: { range, length }.
  local function in_parts(parts)
    sim:forget()
    sim:fault { on = "GET /v1/files/*", kind = "garbage", raw = ("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n"
      .. 'ETag: "%s"\r\nTransfer-Encoding: chunked\r\n\r\n32\r\n%s\r\n'):format(file_id, whole:sub(1, 50)) }
    local at = 50
    for _, part in ipairs(parts) do
      local body = whole:sub(at + 1, at + part[2])
      sim:fault { on = "GET /v1/files/*", kind = "garbage", raw = ("HTTP/1.1 206 Partial\r\nContent-Type: text/csv\r\n"
        .. 'ETag: "%s"\r\nContent-Range: bytes %s\r\nContent-Length: %d\r\n\r\n%s'):format(file_id, part[1], #body, body) }
      at = at + part[2]
    end
    local written = assert(client.files:download(file_id, path))
    assert.equal(whole, support.read(path))
    assert.equal(3, written.records)
    local ranges = {}
    for i, entry in ipairs(support.sent(sim, "GET", "/v1/files/")) do
      if i > 1 then ranges[#ranges + 1] = entry.headers.range or "all" end
    end
    return table.concat(ranges, " ")
  end

  it("takes a part that does not name the total for no end, and goes on asking", function()
    assert.equal("bytes=50- bytes=60-", in_parts { { "50-59/*", 10 } })
    assert.equal("bytes=50- bytes=60- bytes=70-", in_parts { { "50-59/*", 10 }, { "60-69/*", 10 } })
    assert.equal("bytes=50-", in_parts { { ("50-%d/%d"):format(#whole - 1, #whole), #whole - 50 } })
    -- The last byte is here, and nobody said so: there is nothing behind it.
    assert.equal(("bytes=50- bytes=%d-"):format(#whole), in_parts { { ("50-%d/*"):format(#whole - 1), #whole - 50 } })
  end)

  it("takes 416 for the end only when it had asked for what is behind", function()
    sim:fault { on = "GET /v1/files/*", kind = "garbage", raw = ("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n32\r\n%s\r\n"):format(whole:sub(1, 50)) }
    sim:fault { on = "GET /v1/files/*", kind = "garbage",
      raw = "HTTP/1.1 416 No\r\nContent-Range: bytes */50\r\nContent-Length: 0\r\n\r\n" }
    assert(client.files:download(file_id, path))
    assert.equal(whole, support.read(path))
  end)

  it("goes on with parts, however many they are", function()
    local parts, asked = {}, { "bytes=50-" }
    for i = 1, 10 do
      parts[i] = { ("%d-%d/%d"):format(40 + 10 * i, 49 + 10 * i, #whole), 10 }
      asked[i + 1] = ("bytes=%d-"):format(50 + 10 * i)
    end
    assert.equal(table.concat(asked, " "), in_parts(parts))
  end)

  it("starts again after a part that is not what it says, or whose range cannot be read", function()
    for _, range in ipairs { "50-59/", "50-59/junk", "50-59", "50-59/60x", "50-59/ 60", " 50-59/60", "50- 59/*", "50-+59/*", "-59/*",
      "50-/*", "50-59/**", "50-59/*, bytes 60-69/*", "50-59/60\r\nContent-Range: bytes 50-59/61", "50-59/50",
      "50-9223372036854775807/*", "50-99999999999999999999/*", "50-59/99999999999999999999", "50-60/*", "50-58/*" } do
      assert.equal("bytes=50- all", in_parts { { range, 10 } }, range)
    end
  end)

  it("takes no validator that could not be sent back", function()
    for _, etag in ipairs { '"a\tb"', '"a\1b"', '"open', '""x' } do
      sim:fault { on = "GET /v1/files/*", kind = "garbage",
        raw = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nETag: " .. etag .. "\r\nContent-Length: 100\r\n\r\nabc" }
      assert(client.files:download(file_id, path))
      assert.equal(whole, support.read(path))
    end
  end)

  it("leaves no state behind that could be taken for another file's", function()
    support.write(path .. ".part", "left")
    support.write(path .. ".part.state", "left")
    local run = assert(assert(client.reportruns:start(support.REPORT, { view = "Detail" })):wait(support.soon))
    assert(run:export(path))
    assert.same({ "file.csv" }, support.listing(directory))
  end)

  it("comes packed, and is unpacked on its way; when that breaks, it comes plain", function()
    local large <close> = support.simulator { objects = { Big = { generate = { rows = 3000, awkward = true } } } }
    local one <close> = support.quick_client(large)
    local job = assert(assert(one.jobs:submit { queries = { { name = "b", query = "select * from Big" } } }):wait(support.soon))
    local id = job.batches[1].fileId
    local seen = {}
    local told <close> = support.client(large, { on_response = function(info) seen[#seen + 1] = info.bytes end })
    local written = assert(told.files:download(id, path))
    local plain = support.read(path)
    assert.equal(3000, written.records)
    assert.equal(#plain, written.bytes)
    assert.is_true(seen[#seen] < #plain / 2, "bytes on the wire: " .. seen[#seen])
    for _, fault in ipairs { { kind = "gzip", how = "cut" }, { kind = "gzip", how = "flip" }, { kind = "gzip", how = "more" },
      { kind = "cut", after = 1000 }, { kind = "reset", after = 5000 } } do
      os.remove(path)
      large:forget()
      fault.on = "GET /v1/files/*"
      large:fault(fault)
      assert(one.files:download(id, path))
      assert.equal(plain, support.read(path))
      local sent = support.sent(large, "GET", "/v1/files/")
      assert.equal(2, #sent)
      assert.equal("identity", sent[2].headers["accept-encoding"])
      assert.is_nil(sent[2].headers.range)
    end
    local size = 0
    one:close()
    local again <close> = support.quick_client(large, { on_response = function(info) size = info.bytes end })
    assert(again.files:download(id, path .. "3"))
    for after = 0, size, size // 40 do
      large:fault { on = "GET /v1/files/*", kind = after % 2 == 0 and "cut" or "reset", after = after }
      assert(again.files:download(id, path .. "3"))
      assert.equal(plain, support.read(path .. "3"))
    end
    large:heal()
    large:fault { on = "GET /v1/files/*", kind = "gzip", how = "cut" }
    local _, err = again.files:download(id, path .. "2", { retries = 0 })
    assert.equal("incomplete", err.kind)
    assert.is_nil(support.read(path .. "2"))
  end)

  it("tells of its progress, and lets an error in the telling out", function()
    local patient <close> = support.client(sim)
    local seen = {}
    sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 20, seconds = 0.1 }
    assert(patient.files:download(file_id, path, { on_progress = function(bytes, total) seen[#seen + 1] = { bytes, total } end }))
    assert.is_true(#seen >= 2)
    for i = 2, #seen do assert.is_true(seen[i - 1][1] <= seen[i][1]) end
    assert.same({ #whole, #whole }, seen[#seen])
    assert.equal(#whole, seen[1][2])
    sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 20, seconds = 0.1 }
    assert.error_matches(function()
      patient:run(function() patient.files:download(file_id, path, { on_progress = function() error "mine" end }) end)
    end, "mine")
    assert.same({ "file.csv" }, support.listing(directory))
  end)

  it("starts again without a validator, or with a weak one", function()
    for _, etag in ipairs { "", 'ETag: W/"x"\r\n' } do
      sim:forget()
      sim:fault { on = "GET /v1/files/*", kind = "garbage",
        raw = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n" .. etag .. "Content-Length: 100\r\n\r\nabc" }
      assert(client.files:download(file_id, path))
      assert.equal(whole, support.read(path))
      assert.is_nil(support.sent(sim, "GET", "/v1/files/")[2].headers.range)
    end
  end)

  it("proves a body that only the end of its connection delimits, by asking for what is behind it", function()
    sim:fault { on = "GET /v1/files/*", kind = "unframed" }
    assert(client.files:download(file_id, path))
    assert.equal(whole, support.read(path))
    local sent = support.sent(sim, "GET", "/v1/files/")
    assert.equal(("bytes=%d-"):format(#whole), sent[2].headers.range)
  end)

  it("is whole or an error, wherever the connection ends", function()
    for after = 0, #whole do
      sim:fault { on = "GET /v1/files/*", kind = after % 2 == 0 and "cut" or "reset", after = after }
      assert(client.files:download(file_id, path))
      assert.equal(whole, support.read(path))
      os.remove(path)
    end
    for after = 1, 400, 3 do
      sim:fault { on = "GET /v1/files/*", kind = "cut", headers_after = after }
      assert(client.files:download(file_id, path))
      assert.equal(whole, support.read(path))
      os.remove(path)
    end
    -- In chunks, as an export that is written anew.
    local run = assert(assert(client.reportruns:start(support.REPORT, { view = "Detail" })):wait(support.soon))
    assert(run:export(path))
    local export = support.read(path)
    for after = 0, 310, 5 do
      sim:fault { on = "GET *export*", kind = "cut", after = after }
      assert.equal(3, assert(run:export(path)).records)
      assert.equal(export, support.read(path))
    end
  end)

  it("goes on with a file that gets on, however often it breaks", function()
    local big <close> = support.simulator { objects = { Big = { generate = { rows = 60000 } } } }
    local one <close> = support.quick_client(big)
    local job = assert(assert(one.jobs:submit { queries = { { name = "b", query = "select * from Big" } } }):wait(support.soon))
    -- The first answer is packed, and breaks; the others are plain.
    big:fault { on = "GET /v1/files/*", kind = "cut", after = 1100000, times = "always" }
    local written = assert(job.batches[1]:download(path))
    assert.equal(60000, written.records)
    assert.is_true(written.bytes > 4 * 1100000)
    assert.is_true(#support.sent(big, "GET", "/v1/files/") > 4)
  end)

  it("keeps what has come when that is asked for, and goes on with it", function()
    sim:fault { on = "GET /v1/files/*", kind = "cut", after = 50 }
    local written, err = client.files:download(file_id, path, { resume = true, retries = 0 })
    assert.is_nil(written)
    assert.equal("incomplete", err.kind)
    assert.equal(whole:sub(1, 50), support.read(path .. ".part"))
    sim:forget()
    assert.equal(3, assert(client.files:download(file_id, path, { resume = true })).records)
    assert.equal(whole, support.read(path))
    assert.equal("bytes=50-", support.sent(sim, "GET", "/v1/files/")[1].headers.range)
    assert.same({ "file.csv" }, support.listing(directory))
  end)

  it("takes no .part for its own that it knows nothing of, or of another file", function()
    local name, etag = sim.url .. "/v1/files " .. file_id .. "\n", '"' .. file_id .. '"\n'
    for _, state in ipairs { "", "nonsense", name .. '"other"\n184\ntext/csv\n', name .. etag .. "10\ntext/csv\n",
      name .. "\n184\n\n", name .. etag .. "x\n\n", "another file\n" .. etag .. "184\ntext/csv\n" } do
      support.write(path .. ".part", "something else that was left behind")
      if state ~= "" then support.write(path .. ".part.state", state) end
      assert.equal(3, assert(client.files:download(file_id, path, { resume = true })).records)
      assert.equal(whole, support.read(path))
      assert.same({ "file.csv" }, support.listing(directory))
    end
  end)

  it("finishes what was all there but for its name", function()
    support.write(path .. ".part", whole)
    support.write(path .. ".part.state", ('%s/v1/files %s\n"%s"\n%d\ntext/csv\n'):format(sim.url, file_id, file_id, #whole))
    assert.equal(3, assert(client.files:download(file_id, path, { resume = true })).records)
    assert.equal(whole, support.read(path))
  end)

  it("leaves what a killed process has got to the next call", function()
    local big <close> = support.simulator { objects = { Big = { generate = { rows = 60000 } } } }
    local one <close> = support.client(big)
    local job = assert(assert(one.jobs:submit { queries = { { name = "b", query = "select * from Big" } } }):wait(support.soon))
    local id = job.batches[1].fileId
    assert(one.files:download(id, path))
    local expected = support.read(path)
    os.remove(path)
    big:fault { on = "GET /v1/files/*", kind = "stall", after = 2000000 }
    support.lua(([[
      local client = require "zuora".new { base_url = %q, client_id = %q, client_secret = %q }
      client:spawn(function() client.files:download(%q, %q, { resume = true }) end)
      for _ = 1, 20 do client:step(0.05) end
      os.execute "kill -9 $PPID"]]):format(big.url, big.client_id, big.client_secret, id, path))
    local left = #(support.read(path .. ".part") or "")
    assert.is_true(left > 0 and left <= 2000000, left)
    assert.is_nil(support.read(path))
    big:forget()
    assert.equal(60000, assert(one.files:download(id, path, { resume = true })).records)
    assert.equal(expected, support.read(path))
    assert.equal(("bytes=%d-"):format(left), support.sent(big, "GET", "/v1/files/")[1].headers.range)
    assert.same({ "file.csv" }, support.listing(directory))
  end)

  it("tells what the disk says before anything is sent", function()
    local _, err = client.files:download(file_id, directory .. "/no/such/file")
    assert.equal("file", err.kind)
    assert.matches("No such file or directory", err.message)
    _, err = client.files:download(file_id, directory)
    assert.equal("file", err.kind)
    assert.equal(0, #sim:journal())
  end)

  -- Runs code in a process of its own, for which calls of the system fail.
  local function with_failing(what, code, other, id)
    local at = other or sim
    local text, status = support.lua(([[
      local client = require "zuora".new { base_url = %q, client_id = %q, client_secret = %q, retries = 0 }
      local file_id, path = %q, %q
      %s
      print(err and err.kind, err and err.message)]]):format(at.url, at.client_id, at.client_secret, id or file_id, path, code),
      what .. " LD_PRELOAD=" .. support.native "failing.so")
    assert.equal(0, status, text)
    return text
  end

  it("says so when what has come cannot be read again, or unpacked for want of memory", function()
    assert.matches("^file\t.*: Input/output error\n$",
      with_failing("FAIL_PREAD=5", "local _, err = client.files:rows(file_id)"))
    -- ISA-L asks for no memory of its own.
    if support.shell("ldd " .. package.searchpath("zuora.core", package.cpath)):find "libisal" then return end
    local large <close> = support.simulator { objects = { Big = { generate = { rows = 20000 } } } }
    local one <close> = support.quick_client(large)
    local job = assert(assert(one.jobs:submit { queries = { { name = "b", query = "select * from Big" } } }):wait(support.soon))
    assert.equal(("file\t%s: Cannot allocate memory\n"):format(path),
      with_failing("FAIL_MALLOC=32768", "local _, err = client.files:download(file_id, path)",
        large, job.batches[1].fileId)) -- the window of zlib
    assert.same({}, support.listing(directory))
  end)

  it("takes an empty TMPDIR for none", function()
    local text = with_failing("TMPDIR=", [[
      local it, err = client.files:rows(file_id)
      os.execute "ls -l /proc/$PPID/fd"]])
    assert.matches("/tmp/%S+ %(deleted%)", text)
  end)

  it("stops when no byte comes any more, and starts again", function()
    local impatient <close> = support.client(sim, { stall_timeout = 0.1 })
    sim:fault { on = "GET /v1/files/*", kind = "stall", after = 50 }
    assert(impatient.files:download(file_id, path))
    assert.equal(whole, support.read(path))
  end)

  it("leaves nothing behind when its task is cancelled", function()
    sim:fault { on = "GET /v1/files/*", kind = "stall", after = 50 }
    local patient <close> = support.client(sim)
    patient:run(function()
      local task = patient:spawn(function() patient.files:download(file_id, path) end)
      patient:sleep(0.1)
      assert.same({ "file.csv.part", "file.csv.part.state" }, support.listing(directory))
      task:cancel()
    end)
    assert.same({}, support.listing(directory))
  end)

  it("takes no failure for a file, whatever type it is said to be", function()
    for _, body in ipairs { '{"success":false,"response":"{\\"message\\":\\"m\\",\\"errorCode\\":\\"ZAN-USAGE-REST-ERROR\\"}"}',
      '{\n "success" : false,\n "reasons":[{"code":1,"message":"m"}]}' } do
      for _, call in ipairs { function() return client.files:download(file_id, path) end,
        function() return client.files:rows(file_id) end,
        function() return client.reportruns:export("r", path) end } do
        sim:fault { on = "GET *", kind = "status", status = 200, body = body, headers = { ["Content-Type"] = "text/csv" } }
        local written, err = call()
        assert.is_nil(written)
        assert.equal("api", err.kind)
        assert.same({}, support.listing(directory))
      end
    end
  end)
end)
