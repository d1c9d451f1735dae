-- Files that are brought while system calls fail, or while the process is killed. `make torture` does all of it,
-- `busted` a part. See syscalls.c.

local downloads = require "spec.torture.downloads"
local support = require "spec.support"

local ALL = os.getenv "TORTURE" ~= nil
local STEP, KILLS = ALL and 1 or 19, ALL and 200 or 10

local function tell(line)
  if ALL then print(line) end
end

local HERE = support.shell "pwd":match "%S+"

describe("when system calls fail", function()
  local shim, directory

  setup(function()
    shim = HERE .. "/" .. support.native "torture/syscalls.so"
    directory = HERE .. "/" .. support.scratch "syscalls"
  end)

  local function run(rule, code)
    return support.lua(code:format(directory .. "/file"), ("LD_PRELOAD=%s SYSCALLS='below=%s %s'"):format(shim, directory, rule))
  end

  local WRITES = [[
    local file = assert(io.open(%q, "w"))
    file:setvbuf "no"
    print(select(2, file:write "one line\n"))
    print(select(2, file:write "another\n"))]]

  it("the library that fails them reaches what Lua writes, in half and for good", function()
    local _, status = run("calls=write at=2 how=torn", WRITES)
    assert.equal(137, status)
    assert.equal("one line\nanot", support.read(directory .. "/file"))
  end)

  it("the library fails the n-th, or all from there on", function()
    assert.equal("\nNo space left on device\t28\n", (run("calls=write at=2 how=ENOSPC", WRITES)))
    assert.matches("^No space left on device\t28\nNo space", (run("calls=write at=1 times=always how=ENOSPC", WRITES)))
  end)

  it("the library ends a process where it connects", function()
    local sim <close> = support.simulator()
    local code = ([[
      local client = require "zuora".new { base_url = %q, token = "x", retries = 0 }
      print(select(2, client.jobs:get "1"))]]):format(sim.url)
    assert.matches("Couldn't connect to server", run("calls=connect at=1 times=always how=ECONNREFUSED", code))
    assert.equal(137, select(2, run("calls=connect at=1 how=kill", code)))
  end)
  it("a file that is brought is whole, or told as an error of the disk", function()
    local text = support.lua(("assert(loadfile 'spec/torture/syscalls.lua')(%q, %q, %d)"):format(shim, directory,
      STEP), "LD_PRELOAD=" .. shim)
    assert.matches("^tried %d+\n$", text)
    tell(text:sub(1, -2) .. " calls that fail")
  end)

  describe("a file that a killed process was to bring", function()
    local sim, client, ids, ways

    setup(function()
      sim = support.simulator(downloads.tenant)
      client = support.client(sim, { tmpdir = directory })
      ids = downloads.prepare(client)
      ways = downloads.ways(client, ids, directory)
      downloads.know(sim, ways)
    end)
    teardown(function()
      client:close()
      sim:stop()
    end)

    -- What it printed, and its status: 137 for one that was killed.
    local function process(way, prefix)
      return support.lua(("assert(loadfile 'spec/torture/bring.lua')(%q, %q, %q, %q, %q, { job = %q, segment = %q, run = %q })")
        :format(way.name, directory, sim.url, sim.client_id, sim.client_secret, ids.job, ids.segment, ids.run), prefix)
    end

    -- Whatever has a name of its own is whole, or what it was before.
    local function check_names(way, where)
      for _, name in ipairs(support.listing(directory)) do
        local content = not name:find "%.part" and support.read(directory .. "/" .. name)
        assert.is_true(not content or content == way.before or content == way.whole, where .. ": " .. name)
      end
    end

    local function finish(way, where)
      local text, status = process(way)
      assert.equal(0, status, where .. ": " .. text)
      check_names(way, where)
      local left = table.concat(support.listing(directory), " ")
      assert.is_nil(left:find ".part", where .. ": " .. left)
      assert.equal(way.read == support.read or way.before ~= nil, left ~= "", where .. ": " .. left)
    end

    local function under_rule(way, rule)
      way.begin()
      return process(way, ("LD_PRELOAD=%s SYSCALLS='below=%s %s'"):format(shim, directory, rule))
    end

    local function kill(way, how, n)
      local where = ("%s, %s at call %d"):format(way.name, how, n)
      local text, status = under_rule(way, ("at=%d how=%s"):format(n, how))
      check_names(way, where)
      assert.equal(137, status, where .. ": " .. text)
      finish(way, where)
    end

    it("is whole or not there, at any call, and the next process brings it", function()
      local log, turn, kills = os.tmpname(), 0, 0
      for _, way in ipairs(ways) do
        under_rule(way, "log=" .. log)
        for n, call in ipairs(downloads.calls(log)) do
          turn = turn + 1
          if turn % STEP == 0 then
            kill(way, call == "write" and "torn" or "kill", n)
            kills = kills + 1
          end
        end
      end
      tell(("killed at %d calls"):format(kills))
    end)

    it("is whole or not there, at any moment, and the next process goes on with it", function()
      local way
      for _, one in ipairs(ways) do
        if one.name == "plain" then way = one end
      end
      way.begin()
      sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 8000, seconds = 0.002, times = "always" }
      sim:forget()
      local kills = 0
      while kills < KILLS do
        local text, status = process(way, ("timeout -s KILL %.3f"):format(0.02 + math.random() * 0.3))
        check_names(way, "at some moment")
        if status == 0 then
          way.begin() -- it was faster
        else
          assert.equal(137, status, text)
          kills = kills + 1
        end
      end
      sim:heal()
      finish(way, "in the end")
      local gone_on = 0
      for _, sent in ipairs(support.sent(sim, "GET", "/v1/files/")) do
        if sent.headers.range then gone_on = gone_on + 1 end
      end
      tell(("killed at %d moments, gone on %d times"):format(kills, gone_on))
      assert.is_true(gone_on > 0)
    end)
  end)
end)
