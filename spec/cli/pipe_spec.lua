-- The program as other programs have it.

local program = require "spec.cli.program"
local support = require "spec.support"

describe("zuora in a pipe", function()
  local sim, environment

  setup(function()
    sim = support.simulator { objects = { Account = { generate = { rows = 20000 } }, Invoice = { generate = { rows = 10 } } },
      reports = { [support.REPORT] = { generate = { rows = 20000 } } } }
    environment = program.environment_of(sim)
  end)
  teardown(function() sim:stop() end)

  local RUN = "$zuora report run " .. support.REPORT .. " --poll 0.05 "

  it("is quiet when nobody reads on, with SIGPIPE and without", function()
    local whole = program.shell(RUN, environment)
    assert.equal(0, whole.code)
    for _, trap in ipairs { "", "trap '' PIPE; " } do
      local result = program.shell("set -o pipefail; " .. trap .. RUN .. "--quiet | head -1", environment)
      assert.equal(whole.out:match "^[^\n]*\n", result.out)
      assert.equal("", result.err)
      assert.is_true(result.code == 0 or result.code == 128 + 13, result.code)
    end
  end)

  it("has data on standard output and nothing else, and no escape codes anywhere", function()
    for _, format in ipairs { "", "--format csv", "--format jsonl", "--json", "--format table" } do
      local result = program.shell(RUN .. format, environment)
      assert.equal(0, result.code)
      assert.is_nil((result.out .. result.err):find "\27")
      assert.is_nil(result.out:find "STARTED")
      assert.matches("report run %x+: STARTED\n", result.err)
    end
  end)

  it("says what it stands on and cannot, and the doctor the cure", function()
    local old = { FAULT_CURL = "1", LD_PRELOAD = support.native "shim.so" }
    local result = program.run("report list", old)
    assert.equal(2, result.code)
    assert.equal("zuora: libcurl 7.85.0 or newer is needed, this is 7.74.0; zuora doctor says more\n", result.err)
    result = program.run("doctor", old)
    assert.equal(2, result.code)
    assert.matches("fail  libcurl: libcurl 7.85.0 or newer is needed, this is 7.74.0\n      install libcurl", result.out)
    result = program.run("doctor", { LUA_PATH_5_4 = "lua/?.lua;lua/?/init.lua" }) -- where argparse is not
    assert.same({ 2, "" }, { result.code, result.err })
    assert.matches("fail  argparse: not there; the command line needs it\n      install argparse", result.out)
  end)

  it("says no to a disk that is full", function()
    local result = program.shell(RUN .. "--quiet > /dev/full", environment)
    assert.equal(1, result.code)
    assert.matches("standard output: No space left on device", result.err)
  end)

  it("has a line for each change of each of several items", function()
    local directory = support.scratch "cli-pipe"
    local result = program.shell("$zuora job submit -q a='select Id from Account' -q b='select Id from Invoice' --poll 0.05 -d "
      .. directory, environment)
    assert.equal(0, result.code)
    for _, pattern in ipairs { "job %x+: submitted\n", "job %x+: completed\n", "\na: [^\n]*a.csv  20000 records, %d+ bytes\n",
      "\nb: [^\n]*b.csv  10 records, %d+ bytes\n", "\njob %x+: 2 files in " } do
      assert.matches(pattern, result.err)
    end
    assert.is_nil(result.err:find "\27")
  end)

  it("tells how it gets on as JSON, an object a line", function()
    local result = program.shell(RUN .. "--progress json -o build/spec/pipe.csv", environment)
    assert.equal(0, result.code)
    local events = {}
    for line in result.err:gmatch "[^\n]+" do
      local event = assert(require "zuora.core".decode(line))
      events[#events + 1] = event.event
    end
    assert.equal("waiting", events[1])
    assert.equal("done", events[#events])
  end)
end)
