local core = require "zuora.core"
local support = require "spec.support"

describe("core.sink", function()
  local sim, session, directory, path

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function()
    session = core.session {}
    directory = support.scratch("sink")
    path = directory .. "/file.csv"
  end)
  after_each(function()
    session:close()
    sim:heal()
  end)

  local function serve(body, headers)
    sim:fault { kind = "status", status = 200, body = body, headers = headers or { ["Content-Type"] = "text/csv" } }
  end

  local function fetch(sink)
    return support.finish(session, session:start { url = sim.url .. "/x", sink = sink })
  end

  it("gathers the body in path.part, and renames it when told that all is there", function()
    support.write(path, "before")
    serve(("0123456789"):rep(100000))
    local sink <close> = assert(core.sink { path = path })
    local response = assert(fetch(sink))
    assert.is_true(response.to_sink)
    assert.is_nil(response.body)
    assert.equal(1000000, response.bytes)
    assert.equal("before", support.read(path))
    assert.equal(1000000, sink:bytes())
    assert.is_true(sink:publish())
    assert.equal(("0123456789"):rep(100000), support.read(path))
    assert.same({ "file.csv" }, support.listing(directory))
  end)

  it("starts anew when a try broke", function()
    local sink <close> = assert(core.sink { path = path })
    sim:fault { kind = "cut", after = 5 }
    -- The built-in 404 of the simulator is cut; then the file comes.
    assert.is_nil((fetch(sink)))
    serve("whole")
    assert(fetch(sink))
    assert.is_true(sink:publish())
    assert.equal("whole", support.read(path))
  end)

  it("publishes nothing but a whole body", function()
    local sink <close> = assert(core.sink { path = path })
    assert.error_matches(function() sink:publish() end, "not whole")
    serve("whole")
    assert(fetch(sink))
    sim:fault { kind = "cut", after = 2 }
    assert.is_nil((fetch(sink)))
    assert.error_matches(function() sink:publish() end, "not whole")
    assert(fetch(sink)) -- 404, taken for the file: this sink refuses no type and 404 is no 200
    assert.error_matches(function() sink:publish() end, "not whole")
    assert.is_nil(support.read(path))
  end)

  it("takes nothing over from a .part that was left", function()
    support.write(path .. ".part", "left over")
    serve("")
    local sink <close> = assert(core.sink { path = path })
    assert(fetch(sink))
    assert.is_true(sink:publish())
    assert.equal("", support.read(path))
  end)

  it("serves one request at a time", function()
    local sink <close> = assert(core.sink { path = path })
    sim:fault { kind = "delay", seconds = 5 }
    local first = session:start { url = sim.url .. "/x", sink = sink }
    session:step(0.05)
    assert.error_matches(function() session:start { url = sim.url .. "/x", sink = sink } end, "taken by another")
    assert.error_matches(function() sink:publish() end, "not whole")
    first:cancel()
    serve("whole")
    assert(fetch(sink))
    assert.is_true(sink:publish())
  end)

  it("is free again after a start that raised, or that libcurl refused", function()
    local sink <close> = assert(core.sink { path = path })
    collectgarbage "stop" -- which would set it free, too
    assert.has_error(function() session:start { url = sim.url, sink = sink, headers = { A = "" } } end)
    local first <close> = session:start { url = sim.url, sink = sink }
    first:cancel()
    collectgarbage "restart"
    local request, message, name, class = session:start { url = sim.url .. "/" .. ("x"):rep(9000000), sink = sink }
    assert.is_nil(request)
    assert.matches("bad argument", message)
    assert.equal("NOT_STARTED", name)
    assert.equal("unsent", class)
    serve "whole"
    assert(fetch(sink))
    assert.is_true(sink:publish())
  end)

  it("asks for no compression", function()
    sim:forget()
    local sink <close> = assert(core.sink { path = path })
    fetch(sink)
    assert.equal("identity", sim:journal()[1].headers["accept-encoding"])
  end)

  it("makes an empty file of an empty answer", function()
    serve("")
    local sink <close> = assert(core.sink { path = path })
    assert.is_true(assert(fetch(sink)).to_sink)
    assert.is_true(sink:publish())
    assert.equal("", support.read(path))
  end)

  it("leaves path as it was, and nothing beside it, when it is closed", function()
    support.write(path, "before")
    do
      serve("half")
      local sink <close> = assert(core.sink { path = path })
      assert(fetch(sink))
    end
    assert.equal("before", support.read(path))
    assert.same({ "file.csv" }, support.listing(directory))
  end)

  it("keeps error pages and refused types in memory", function()
    local sink <close> = assert(core.sink { path = path, refuse = "text/html application/json" })
    local response = assert(fetch(sink)) -- 404, JSON
    assert.is_false(response.to_sink)
    assert.matches("No such path", response.body)
    serve("<html>", { ["Content-Type"] = "Text/HTML; charset=utf-8" })
    assert.equal("<html>", assert(fetch(sink)).body)
    serve("a,b", { ["Content-Type"] = "text/csv;charset=UTF-8" })
    assert.is_true(assert(fetch(sink)).to_sink)
  end)

  it("does not take bytes in a coding that was not asked for", function()
    serve("\31\139", { ["Content-Type"] = "text/csv", ["Content-Encoding"] = "gzip" })
    local sink <close> = assert(core.sink { path = path })
    local response, _, name = fetch(sink)
    assert.is_nil(response)
    assert.equal("CODED", name)
  end)

  it("tells what the disk says, before anything is fetched", function()
    local sink, message, number = core.sink { path = directory .. "/missing/file.csv" }
    assert.is_nil(sink)
    assert.matches("missing/file.csv.part: No such file or directory", message)
    assert.equal(2, number)
    assert.matches("Is a directory", (select(2, core.sink { path = directory })))
    local named <close> = core.sink { path = path, directory = "" }
    assert.is_truthy(named)
    assert.same({ "file.csv.part" }, support.listing(directory))
    support.shell(("ln -s /dev/null %s/link.part; mkfifo %s/fifo.part"):format(directory, directory))
    assert.is_nil((core.sink { path = directory .. "/link" }))
    assert.is_nil((core.sink { path = directory .. "/fifo" }))
  end)

  it("puts no file in the place of what is none", function()
    support.shell(("cd %s && ln -s /dev/null null && ln -s nowhere dangling && mkfifo fifo && echo x >file && ln -s file link")
      :format(directory))
    local before = support.listing(directory)
    for _, name in ipairs { "null", "dangling", "fifo", "link", "../sink/fifo" } do
      local sink, message = core.sink { path = directory .. "/" .. name }
      assert.is_nil(sink)
      assert.matches(name .. ": it is not a regular file", message, 1, true)
    end
    -- Nor when it has come there meanwhile.
    serve "whole"
    local sink <close> = assert(core.sink { path = path })
    assert(fetch(sink))
    support.shell("mkfifo " .. path)
    local done, message = sink:publish()
    assert.is_nil(done)
    assert.matches("file.csv: it is not a regular file", message)
    os.remove(path)
    assert.same(before, support.listing(directory))
  end)

  it("does not wait for a FIFO in the place of its state", function()
    local text, status = support.lua(([[
      local support = require "spec.support"
      local core = require "zuora.core"
      local sim <close> = support.simulator()
      local path = %q
      local session = core.session {}
      for _, resume in ipairs { true, false } do
        os.execute("mkfifo " .. path .. ".part.state")
        support.write(path .. ".part", "left")
        sim:fault { kind = "status", status = 200, body = "whole", headers = { ["Content-Type"] = "text/csv", ETag = '"x"' } }
        local sink <close> = assert(core.sink { path = path, identity = "x", resume = resume })
        os.execute("mkfifo " .. path .. ".part.state")
        assert(support.finish(session, session:start { url = sim.url .. "/x", sink = sink }))
        assert(sink:publish())
        print(support.read(path))
      end
    ]]):format(path), "timeout 10")
    assert.equal(0, status, text)
    assert.equal("whole\nwhole\n", text)
    assert.same({ "file.csv" }, support.listing(directory))
  end)

  it("publishes its own bytes, though another download has taken the place of its .part", function()
    serve "mine"
    local sink <close> = assert(core.sink { path = path, identity = "mine" })
    assert(fetch(sink))
    os.remove(path .. ".part")
    serve("another's", { ["Content-Type"] = "text/csv", ETag = '"x"' })
    local other <close> = assert(core.sink { path = path, identity = "another's", resume = true })
    assert(fetch(other))
    local state = support.read(path .. ".part.state")
    assert.matches("another's", state)
    -- Whatever the first one does, it leaves the second one's files alone.
    sink:restart()
    serve("mine", { ["Content-Type"] = "text/csv", ETag = '"y"' })
    assert(fetch(sink))
    local done, message = sink:publish()
    assert.is_nil(done)
    assert.matches("file.csv: its .part file is another download's", message, 1, true)
    assert.same({ "file.csv.part", "file.csv.part.state" }, support.listing(directory))
    assert.equal(state, support.read(path .. ".part.state"))
    assert.is_true(other:publish())
    assert.equal("another's", support.read(path))
    assert.same({ "file.csv" }, support.listing(directory))
  end)

  local function mode_of(name) return support.shell("stat -c %a " .. name):match "%d+" end

  it("leaves the mode of a file as it is, and gives a new one what the umask leaves", function()
    local usual = tonumber("666", 8) & ~tonumber(support.shell "umask", 8)
    local function download()
      serve "whole"
      local sink <close> = assert(core.sink { path = path })
      local part = mode_of(path .. ".part")
      assert(fetch(sink))
      assert.is_true(sink:publish())
      return mode_of(path), part
    end
    assert.equal(("%o"):format(usual), (download()))
    for _, mode in ipairs { "600", "640", "664", "444", "755" } do
      assert(os.execute(("chmod %s %s"):format(mode, path)))
      local after, during = download()
      assert.equal(mode, after)
      -- Nobody reads the .part who may not read the file.
      assert.equal(0, tonumber(during, 8) & 63 & ~tonumber(mode, 8))
    end
  end)

  it("takes no more room on the disk than its bytes, published or left for later", function()
    local body = ("0123456789abcdef"):rep(9 << 16) -- 9 MiB
    local function room_of(name) return 512 * support.shell("stat -c %b " .. name):match "%d+" end
    for _, resume in ipairs { true, false } do
      serve(body, { ["Content-Type"] = "text/csv", ETag = '"x"' })
      local sink <close> = assert(core.sink { path = path, identity = "x", resume = resume })
      assert(fetch(sink))
      if not resume then assert.is_true(sink:publish()) end
      sink:close()
      local left = resume and path .. ".part" or path
      assert.is_true(support.read(left) == body)
      assert.is_true(room_of(left) <= #body + 65536, left .. ": " .. room_of(left))
    end
  end)

  it("gives back at once what a full disk still had to take ahead", function()
    local rooms = support.lua(([[
      local support = require "spec.support"
      local core = require "zuora.core"
      local path, body = %q, ("x"):rep(9 << 20)
      local sim <close> = support.simulator()
      sim:fault { kind = "status", status = 200, body = body, headers = { ["Content-Type"] = "text/csv" } }
      local session = core.session {}
      local sink <close> = assert(core.sink { path = path })
      assert(support.finish(session, session:start { url = sim.url .. "/x", sink = sink }))
      print(support.shell("stat -c %%b " .. path .. ".part"))
      assert(sink:publish())
      print(support.shell("stat -c %%b " .. path))
    ]]):format(path), ("FAIL_FALLOCATE=28 LD_PRELOAD=" .. support.native "failing.so"))
    for blocks in rooms:gmatch "%d+" do assert.is_true(512 * blocks <= (9 << 20) + 65536, rooms) end
    assert.equal(9 << 20, #support.read(path))
  end)

  it("leaves another user's .part alone", function()
    if support.shell "id -u" ~= "0\n" then
      pending "only root can give a file away"
      return
    end
    support.write(path .. ".part", "another's")
    assert(os.execute(("chown 12345 %s.part && chmod 666 %s.part"):format(path, path)))
    for _, resume in ipairs { true, false } do
      local sink, message = core.sink { path = path, identity = "x", resume = resume }
      assert.is_nil(sink)
      assert.matches("file.csv.part: Operation not permitted", message)
    end
    assert.equal("another's", support.read(path .. ".part"))
  end)

  it("belongs to one download at a time", function()
    local sink <close> = assert(core.sink { path = path })
    assert.matches("[Bb]usy", (select(2, core.sink { path = path })))
    sink:close()
    local again <close> = assert(core.sink { path = path })
    assert.is_truthy(again)
  end)

  it("tells of a disk that is full", function()
    local text = support.lua(([[
      local support = require "spec.support"
      local core = require "zuora.core"
      local sim <close> = support.simulator()
      sim:fault { kind = "status", status = 200, body = ("x"):rep(3000000), headers = { ["Content-Type"] = "text/csv" } }
      local session = core.session {}
      local sink <close> = assert(core.sink { path = %q })
      print(support.finish(session, session:start { url = sim.url .. "/x", sink = sink }))
    ]]):format(path), "trap '' XFSZ; ulimit -f 1000;")
    assert.matches("File too large\tFILE", text)
    assert.same({}, support.listing(directory))
  end)

  it("counts its time-outs by itself: to the first byte, and between bytes", function()
    local sink <close> = assert(core.sink { path = path })
    sim:fault { kind = "delay", seconds = 5 }
    local _, message, name = support.finish(session,
      session:start { url = sim.url .. "/x", sink = sink, timeout = 0.1 })
    assert.equal("OPERATION_TIMEDOUT", name)
    assert.matches("no answer within 0.1 seconds", message)
    sim:fault { kind = "garbage", raw = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc" }
    name = select(3, fetch(sink))
    assert.equal("PARTIAL_FILE", name)
  end)

  it("raises when it is used after its end", function()
    local sink = assert(core.sink { path = path })
    sink:close()
    sink:close()
    assert.has_error(function() sink:publish() end)
    assert.has_error(function() session:start { url = sim.url, sink = sink } end)
    assert.has_error(function() core.sink {} end)
    assert.has_error(function() core.sink { directory = "" } end)
    assert.has_error(function() core.sink { path = "a\0b" } end)
    assert.has_error(function() core.sink { path = path, pth = 1 } end)
  end)

  it("is finished under another path, once its body is whole", function()
    serve "a,b\n1,2\n"
    local sink <close> = assert(core.sink { path = path })
    assert(fetch(sink))
    for _, bad in ipairs { 5, {}, "", "a\0b", "a\nb" } do
      assert.has_error(function() sink:publish(bad) end)
    end
    support.write(directory .. "/taken.csv", "before")
    assert.is_false(sink:publish(directory .. "/taken.csv"))
    assert.is_true(sink:publish(directory .. "/other.csv"))
    assert.equal("before", support.read(directory .. "/taken.csv"))
    os.remove(directory .. "/taken.csv")
    assert.same({ "other.csv" }, support.listing(directory))
  end)
end)
