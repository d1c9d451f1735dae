--- Faults of the machine: disk, descriptors, memory, clock, signals, locale.

local core = require "zuora.core"
local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"

local csv, cut = wire.csv, wire.cut

local CSV = "Id,Name\n1,a\n2,b\n"

-- --- how it is made ----------------------------------------------------------------------------------

-- A file of that many bytes, as the simulator's next ones, and always.
local function file_of(w, size)
  w.sim:fault { on = "GET /v1/files/*", kind = "status", status = 200, times = "always",
    headers = { ["Content-Type"] = "text/csv" }, body = "a\n" .. ("x"):rep(98) .. ("\n" .. ("x"):rep(99)):rep(size // 100) }
end

-- In a child: the download must fail by that word of the system's, and leave nothing.
local FAILS_TO_WRITE = [[
local client = new { retries = 1 }
local path = directory .. "/%s"
local err = fails("file", client.files:download(file, path))
assert(err.message:find(%q), err.message)
assert(not support.read(path) and not support.read(path .. ".part"))
works(client)
]]

local function needs_namespace()
  if select(2, support.shell "unshare -rm mount -t tmpfs none /mnt") ~= 0 then return "this user may mount nothing" end
end

-- A child with a small disk at "small", in the case's folder.
local function on_small_disk(w, options)
  os.execute("mkdir -p " .. w:path "small")
  return ("unshare -rm sh -c 'mount -t tmpfs -o %s none %s && exec \"$@\"' sh"):format(options, w.directory .. "/small")
end

local function process()
  return ("local process = assert(package.loadlib(%q, 'luaopen_process'))()\n"):format(support.native "process.so")
end

local function needs_locale()
  if select(2, support.shell "command -v localedef && test -f /usr/share/i18n/locales/tr_TR") ~= 0 then
    return "the package locales is not installed"
  end
end

-- They take seconds to be made, and stay.
local function in_locale(name)
  local directory = "build/spec/locales"
  assert(os.execute(("mkdir -p %s; test -d %s/%s.UTF-8 || localedef -i %s -f UTF-8 --no-archive %s/%s.UTF-8 2>/dev/null"):format(
    directory, directory, name, name, directory, name)))
  return "LOCPATH=" .. directory
end

-- A path that cannot be written to is told before anything is sent.
local function refused(w, name, words)
  w.sim:forget()
  local err = w:fails("file", w:client().files:download(w.job.file, w.directory .. "/" .. name))
  assert(err.message:find(words), err.message)
  assert(#w:sent("GET", "/v1/files") == 0, name .. ": it was asked for")
end

return {
  { id = "D1", fault = "the disk is full amidst a download", expect = "file, with the system's words; no file at all",
    needs = needs_namespace, make = function(w)
      file_of(w, 300000)
      w:child(FAILS_TO_WRITE:format("small/file", "No space left"), on_small_disk(w, "size=64k"))
    end },

  { id = "D2", fault = "no inode is left; a file larger than may be", expect = "file, with the system's words",
    needs = needs_namespace, make = function(w)
      file_of(w, 300000)
      w:child(FAILS_TO_WRITE:format("small/file", "No space left"), on_small_disk(w, "nr_inodes=1"))
      w:child(FAILS_TO_WRITE:format("file", "File too large"), "trap '' XFSZ; ulimit -f 100;")
    end },

  { id = "D3", fault = "no such folder; a name that is too long; a folder, a link, a FIFO in its place; read only",
    expect = "file, before anything is sent", make = function(w)
      refused(w, "nowhere/file", "No such file")
      refused(w, ("x"):rep(300), "name too long")
      os.execute(("cd %s && mkdir folder && ln -s /nowhere link.part && mkfifo fifo.part"):format(w.directory))
      for _, name in ipairs { "folder", "link.part", "fifo.part" } do w:path(name) end
      refused(w, "folder", "Is a directory")
      refused(w, "link", "link.part")
      refused(w, "fifo", "fifo.part")
      if not needs_namespace() then
        w:child(FAILS_TO_WRITE:format("small/file", "Read%-only file system"), on_small_disk(w, "ro"))
      end
    end },

  { id = "D4", fault = "there is a file already", expect = "replaced when all is there, and left alone until then",
    design = "there is no option against replacing", make = function(w)
      support.write(w:path "file", "before")
      local client = w:played { always = cut(csv(CSV):sub(1, -5)) }
      w:fails("incomplete", client.files:download("f", w:path "file"))
      assert(w:read "file" == "before")
      client = w:played { csv(CSV) }
      assert(client.files:download("f", w:path "file") and w:read "file" == CSV)
    end },

  { id = "D5", fault = "write, fsync, rename fail", expect = "file, and no file; every call at every place: spec/torture",
    make = function(w)
      for call, words in pairs { ["write:28"] = "No space left", ["write:5"] = "Input/output", ["fsync:5"] = "Input/output",
        ["fsync:122"] = "quota", ["rename:5"] = "Input/output" } do
        w:child(FAILS_TO_WRITE:format("file", words), world.shim("FAULT_CALL", call))
      end
    end },

  { id = "D6", fault = "kill -9 amidst a download, and again", expect = "no file, or a whole one; it goes on", make = function(w)
      file_of(w, 600000)
      local whole = assert(w:client().files:download(w.job.file, w:path "whole")).bytes
      w.sim:heal()
      w.sim:fault { on = "GET /v1/files/*", kind = "cut", after = 100, times = "always" }
      support.lua(([[
        local support = require "spec.support"
        local client = support.client({ url = %q, client_id = %q, client_secret = %q })
        client.files:download(%q, %q, { resume = true, on_progress = function() os.execute "kill -9 $PPID" end })
      ]]):format(w.sim.url, w.sim.client_id, w.sim.client_secret, w.job.file, w:path "file"))
      assert(not w:read "file")
      w.sim:heal()
      file_of(w, 600000)
      assert(w:client().files:download(w.job.file, w:path "file", { resume = true }).bytes == whole)
      assert(w:read "file" == w:read "whole")
    end },

  { id = "D7", fault = "SIGTERM; a storm of SIGSTOP and SIGCONT; SIGPIPE", expect = "its end; none is noticed",
    design = "SIGINT: spec/interrupt_spec.lua", make = function(w)
      w.sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 1, seconds = 0.005 }
      w:child(process() .. [[
        local parent = io.open "/proc/self/stat":read "n"
        local storm = process.fork()
        if storm == 0 then
          for _ = 1, 20 do
            process.kill(parent, 19)
            os.execute "sleep 0.01"
            process.kill(parent, 18)
            os.execute "sleep 0.01"
          end
          os.exit(0, false)
        end
        local client = new { retries = 0 }
        assert(client.files:download(file, directory .. "/file").records == 3)
        process.wait(storm)
        works(client)]])
      w:path "file"
      -- A peer that goes while much is sent to it, in a process that has not been told to ignore SIGPIPE.
      w:child(process() .. [[
        local pid = process.fork()
        if pid == 0 then
          local wire = require "spec.faults.wire"
local world = require "spec.faults.world"
          local server = wire.new(function(c) c:fill() c:reset() end)
          support.write(directory .. "/tmp/port", server.url .. "\n")
          while true do server:step() require "socket".sleep(0.001) end
        end
        local url
        repeat url = (support.read(directory .. "/tmp/port") or ""):match "^(.*)\n" until url
        os.remove(directory .. "/tmp/port")
        local client = zuora.new { base_url = url, token = "t", retries = 2 }
        for _ = 1, 5 do
          fails("transport", client.jobs:submit { retries = 0, queries = { { name = "n", query = ("x"):rep(2000000) } } })
        end
        client:close()
        process.kill(pid, 9)
        process.wait(pid)]])
      local _, status = support.shell(("timeout -s TERM 0.5 lua5.4 -e 'package.path=%q package.cpath=%q' -e '%s'"):format(
        package.path, package.cpath, ("require [[zuora]].new { base_url = [[%s]], token = [[t]] }:sleep(9)"):format(w.sim.url)))
      assert(status == 124)
    end },

  { id = "D8", fault = "memory runs out, for Lua", expect = "an error; the client works afterwards", elsewhere = "spec/torture",
    make = function(w)
      w.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 200, body = '["' .. ("x"):rep(6000000) .. '"]' }
      w:child([[
        local client = new()
        client.reportruns:list()
        local function limit(kib) assert(os.execute("prlimit --pid $PPID --as=" .. (kib and kib * 1024 or "unlimited") .. ":")) end
        limit(tonumber(support.read "/proc/self/status":match "VmSize:%s*(%d+)") + 4096)
        local ok, value, err = pcall(client.jobs.get, client.jobs, job)
        limit()
        print(ok and err or value)
        assert(not (ok and value) and tostring(err or value):find "memory", tostring(err or value))
        works(client)]])
    end },

  { id = "D9", fault = "memory runs out in libcurl", expect = "an error; the client works afterwards", elsewhere = "spec/torture" },

  { id = "D10", fault = "no descriptor is left", expect = "an error; it works when there are some", make = function(w)
      w:child([[
        local client, taken = new { retries = 0, connect_timeout = 1 }, {}
        works(client)
        repeat taken[#taken + 1] = io.open "/dev/null" until not taken[#taken] or #taken > 100 or not io.open "/dev/null"
        collectgarbage()
        while true do
          local one = io.open "/dev/null"
          if not one then break end
          taken[#taken + 1] = one
        end
        local fresh = new { retries = 0, connect_timeout = 1, token = "t" }
        fails("transport", fresh.jobs:get(job))
        fails("file", client.files:download(file, directory .. "/file"))
        fails("file", client.files:rows(file))
        for _, one in ipairs(taken) do one:close() end
        works(client)
        works(new())]], "ulimit -n 40;")
    end },

  { id = "D11", fault = "the clock on the wall jumps by an hour, by 40 days, back and forth", expect = "waits and limits as ever",
    make = function(w)
      w.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 503, times = 2 }
      w:child([[
        local client, started = new(nil, { random = function() return 0.1 end }), core.now()
        local t = os.time()
        assert(math.abs(os.time() - t) >= 3599, "the clock stands still")
        works(client)
        client:sleep(0.1)
        local finished = assert(client.jobs:submit { queries = { A = "select Id from Account" } })
        assert(finished:wait { min = 0.01, max = 0.05, timeout = 10 })

        assert(core.now() - started < 5)]], world.shim("FAULT_CLOCK", 1))
      w.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 429, times = "always",
        headers = { ["Retry-After"] = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 60) } }
      w:child([[
        local clock = support.clock()
        local client = new({ token = "t" }, { clock = clock })
        fails("http", client.jobs:get(job))
        for _ = 1, 3 do fails("timeout", client.jobs:get(job)) end -- the pause that was asked for is not over
        assert(clock.total() < 4 * 3 * 300, clock.total())]], world.shim("FAULT_CLOCK", 1))
    end },

  { id = "D12", fault = "the machine slept: the token has ended, and its clock does not know", expect = "401, and a new token",
    make = function(w)
      local client = w:client()
      assert(client.jobs:get(w.job.id))
      w.sim:forward(7200)
      assert(client.jobs:get(w.job.id))
      assert(#w:sent("POST", "/oauth/token") == 2)
    end },

  { id = "D13", fault = "a child made by fork has its parent's client", expect = "it is refused; the parent's goes on",
    make = function(w)
      w:child(process() .. [[
        local client = new()
        works(client)
        local pid = process.fork()
        if pid == 0 then
          local ok, problem = pcall(client.jobs.get, client.jobs, job)
          client = nil
          collectgarbage()
          local own = support.client(sim)
          os.exit(not ok and tostring(problem):find "belongs to the process" and own.jobs:get(job) and 0 or 1, true)
        end
        assert(process.wait(pid) == 0)
        works(client)]])
    end },

  { id = "D14", fault = "a locale with a decimal comma, a Turkish one; other zones", expect = "the same numbers, statuses, times",
    needs = needs_locale, make = function(w)
      local body = ('{"id":"%s","status":"%%s","batches":[{"recordCount":1.5,"list":[1,5]}]}'):format(w.job.id)
      for _, name in ipairs { "de_DE", "tr_TR" } do
        for _, status in ipairs { "COMPLETED", "INVALID" } do
          w.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 200, body = body:format(status) }
        end
        w:child(([[
          local client = new()
          assert(core.decode "1.5" == 1.5)
          assert(os.setlocale "%s.UTF-8")
          assert(("%%g"):format(1.5) == "1,5")
          local job = assert(client.jobs:wait(job, { timeout = 0 }))
          local count, list = job.batches[1].recordCount, job.batches[1].list
          assert(count == 1.5 and #list == 2 and list[1] == 1 and list[2] == 5)
          assert(core.encode { 1.5 } == "[1.5]" and core.encode { 1, 5 } == "[1,5]")
          assert(os.setlocale "C" and core.decode "[1.5]"[1] == 1.5 and core.encode { 1.5 } == "[1.5]")
          client.jobs:get(job.id)]]):format(name), in_locale(name))
        w.sim:heal()
      end
      for _, zone in ipairs { "America/St_Johns", "Pacific/Kiritimati", "XXX+99" } do
        w:child([[assert(zuora.time "2016-01-19T01:24:52Z" == 1453166692 and zuora.time(1453166692000) == 1453166692)]],
          "LANG=C TZ=" .. zone)
      end
    end },

  { id = "D15", fault = "no HOME; a file of certificates that is not there, or is none", expect = "transport, which names it",
    make = function(w)
      local server = w:wire({}, { tls = w:tls() })
      for _, path in ipairs { "/nowhere/ca.pem", "/etc/hostname" } do
        local client = w:client { at = server, ca_file = path, retries = 0 }
        local err = w:fails("transport", client.jobs:get(w.job.id))
        assert(err.message:find(path, 1, true), tostring(err))
        client:close()
      end
      w:child("works(new())", "env -i PATH=$PATH ASAN_OPTIONS=$ASAN_OPTIONS")
    end },

  { id = "D16", fault = "standard output is closed, or nobody reads it", expect = "a quiet end",
    elsewhere = "spec/cli/pipe_spec.lua" },

  { id = "D17", fault = "two processes, one target", expect = "the second is told that it is busy; the file is whole",
    design = "both use the same .part, one at a time", make = function(w)
      local client = w:client { real = true }
      w.sim:fault { on = "GET /v1/files/*", kind = "stall", after = 10 }
      local first = client:spawn(function() return client.files:download(w.job.file, w:path "file") end)
      while not w:read "file.part" do client:step(0.01) end
      w:child([[assert(fails("file", new().files:download(file, directory .. "/file")).message:find "[Bb]usy")]])
      first:cancel()
      w.sim:heal()
      assert(client.files:download(w.job.file, w:path "file").records == 3)
    end },

  { id = "D18", fault = "a file of more than 2 GiB", expect = "its sizes are right", design = "all of it: make test-big",
    make = function(w)
      local size, head = (1 << 31) + 5, { ["Content-Type"] = "application/zip" }
      head["Content-Range"] = ("bytes %d-%d/%d"):format(size - 5, size - 1, size)
      local server, path = w:wire { csv("tail!", head, "206 Partial Content") }, w:path "file"
      assert(os.execute(("truncate -s %d %s.part"):format(size - 5, path)))
      support.write(path .. ".part.state", ('f\n"one"\n%d\napplication/zip\n'):format(size))
      local sink <close> = assert(core.sink { path = path, identity = "f", resume = true })
      assert(sink:position() == size - 5)
      local session <close> = core.session {}
      local request = session:start { url = server.url, sink = sink, proxy = "", headers = { Range = "bytes=x-" } }
      while not request:finished() do
        server:step()
        session:step(0.001)
      end
      assert(request:response())
      assert(sink:bytes() == size and sink:publish(path))
      local file <close> = assert(io.open(path))
      assert(file:seek "end" == size)
      os.remove(w:path "file")
    end },
}
