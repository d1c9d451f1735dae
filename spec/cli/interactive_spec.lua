-- The program as a person at a terminal has it.

local core = require "zuora.core"
local program = require "spec.cli.program"
local pseudo = require "spec.terminal"
local support = require "spec.support"

describe("zuora at a terminal", function()
  local sim, directory

  setup(function()
    sim = support.simulator { seconds = 0.4, objects = { Account = { generate = { rows = 40000 } },
      Invoice = { generate = { rows = 40000 } }, Payment = { generate = { rows = 40000 } } },
      reports = { [support.REPORT] = { generate = { rows = 20000 } } } }
    directory = support.scratch "interactive"
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:heal() end)

  -- The program in a terminal; `more`: the environment besides.
  local function zuora(words, columns, rows, more)
    return pseudo.open("exec env " .. program.assignments(program.environment_of(sim), program.IMPATIENT,
      { TERM = "xterm", LC_ALL = "C.UTF-8", NO_COLOR = "1" }, more or {}) .. " lua5.4 lua/bin/zuora " .. words, columns, rows)
  end

  it("shows where the items of a plan stand, and all of why one failed", function()
    local plan = directory .. "/plan.json"
    support.write(plan, core.encode { plan = "p", output = directory .. "/out", items = { { object = "Nonesuch" } } })
    assert.equal(1, program.run("extract run " .. plan, program.environment_of(sim)).code)
    local run <close> = zuora("extract status " .. plan, 140, 24)
    assert.equal(0, run:finish(10))
    local lines = run.screen:text()
    assert.matches("^item +state +next +open_reads$", lines[1])
    assert.matches("^Nonesuch  failed  the next run +0$", lines[2])
    assert.matches("^Nonesuch: api %(not_found%): Cannot find object: 'Nonesuch'", lines[3])
  end)

  it("shows how a report gets on, then a bar while its rows come, and what came of it", function()
    sim:fault { on = "GET /reporting/api/rest/v1/reportruns/export/*", kind = "trickle", size = 8000, seconds = 0.02 }
    local run <close> = zuora(("report run %s --poll 0.2 -o %s/report.csv"):format(support.REPORT, directory))
    run:expect "report run %x+  STARTED  0:00"
    run:expect("report run %x+  %u+  0:0[1-9]", 5)
    run:resize(50, 24)
    run:expect "\27%[J"
    run:settle(0.3)
    run:resize(140, 24)
    run:expect("[kM]B .*/s", 15)
    assert.equal(0, run:finish(30))
    local lines = run.screen:text()
    assert.equal(1, #lines, table.concat(lines, "\n"))
    assert.matches("^✓ report run %x+  " .. directory .. "/report.csv  20000 records %(not verified%), %d+ bytes$", lines[1])
  end)

  it("answers Ctrl-C within half a second, with the line that resumes, which does", function()
    for _ = 1, 2 do
      local run <close> = zuora(("report run %s --poll 0.3 -o '%s/with blank.csv'"):format(support.REPORT, directory), 200)
      run:expect "STARTED  0:00"
      local before = core.now()
      run:press "\3"
      assert.equal(130, run:finish(5))
      assert.is_true(core.now() - before < 0.5, core.now() - before)
      local line = table.concat(run.screen:text(), "\n"):match "to go on with it: (zuora report download [^\n]*)"
      assert.is_string(line, run.drawn)
      assert.matches("%-%-output '.-/with blank.csv'$", line)
      assert.is_nil(run.drawn:find "traceback")
      local resumed <close> = zuora(line:gsub("^zuora ", "") .. " --poll 0.1")
      assert.equal(0, resumed:finish(20))
      assert.is_string(support.read(directory .. "/with blank.csv"))
      assert(os.remove(directory .. "/with blank.csv"))
    end
    assert.equal(0, #support.sent(sim, "DELETE", "/"))
  end)

  it("answers it while the rows come, and leaves no part of them", function()
    sim:fault { on = "GET /reporting/api/rest/v1/reportruns/export/*", kind = "trickle", size = 1000,
      seconds = 0.02, times = "always" }
    local run <close> = zuora(("report run %s --poll 0.2 -o %s/cut.csv"):format(support.REPORT, directory), 200)
    run:expect("[kM]B/s", 20)
    local before = core.now()
    run:press "\3"
    assert.equal(130, run:finish(5))
    assert.is_true(core.now() - before < 0.5, core.now() - before)
    assert.matches("is done in Zuora; to go on with it: zuora report download", table.concat(run.screen:text(), "\n"))
    assert.is_nil(table.concat(support.listing(directory), " "):find "cut")
  end)

  it("answers it when there is no answer yet", function()
    sim:fault { on = "POST /oauth/token", kind = "stall", times = "always" }
    local run <close> = zuora "report search accounts"
    run:settle(0.6)
    local before = core.now()
    run:press "\3"
    assert.equal(130, run:finish(5))
    assert.is_true(core.now() - before < 0.5, core.now() - before)
    assert.matches("zuora: interrupted", table.concat(run.screen:text(), "\n"))
  end)

  it("answers it while the program is being loaded", function()
    for i = 1, 8 do
      local run <close> = zuora "report search accounts"
      run:settle(0.008 * i)
      run:press "\3"
      local code = run:finish(5)
      -- Before Lua itself is ready, the signal ends it.
      assert.is_true(code == 130 or code == -2 or code == 0, code)
      assert.is_nil(run.drawn:find "traceback")
    end
  end)

  it("cancels in Zuora when it was told to", function()
    local run <close> = zuora(("report run %s --poll 1 --cancel-on-interrupt"):format(support.REPORT))
    run:expect "STARTED  0:00"
    run:press "\3"
    assert.equal(130, run:finish(5))
    assert.matches("is cancelled", table.concat(run.screen:text(), "\n"))
  end)

  it("shows several items at once, each with its bar", function()
    sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 2000, seconds = 0.02, times = "always" }
    local run <close> = zuora("job submit -q Account='select Id, Name from Account' -q Invoice='select Id from Invoice' "
      .. "-q Payment='select Id from Payment' --poll 0.2 -d " .. directory .. "/job", 100)
    run:expect "job [%x-]+  submitted  0:0"
    run:expect("Account .-Invoice .-Payment ", 20)
    run:settle(0.2)
    local lines = table.concat(run.screen:text(), "\n")
    for _, name in ipairs { "Account", "Invoice", "Payment" } do assert.matches("\n" .. name .. " +[^\n]*[kM]?B", lines) end
    assert.equal(0, run:finish(30))
    assert.same({ "Account.csv", "Invoice.csv", "Payment.csv" }, support.listing(directory .. "/job"))
    lines = table.concat(run.screen:text(), "\n")
    for _, name in ipairs { "Account", "Invoice", "Payment" } do
      assert.matches("✓ " .. name .. "  [^\n]*/" .. name .. ".csv  40000 records, %d+ bytes", lines)
    end
  end)

  it("prints a table that nothing from a server can steer", function()
    sim:fault { on = "GET /reporting/api/rest/v1/reports/search*", kind = "status", status = 200, body = [[{"success":true,
      "response":{"count":1,"reports":[{"id":"1","name":"a\u001b[2Jb\u009b2J\u202e","type":"\r\n"}]}}]] }
    local run <close> = zuora("report search accounts", 200)
    assert.equal(0, run:finish())
    assert.matches("a\\x1b%[2Jb\\u{9b}2J\\u{202e}  \\r\\n", run.drawn)
    assert.is_nil(run.drawn:find "\27%[2J")
    assert.is_nil(run.drawn:find "\u{9b}")
  end)

  it("doctor says what it found, in colours where there are any", function()
    local run <close> = zuora("doctor", 200, 60, { NO_COLOR = "" })
    assert.equal(0, run:finish())
    assert.matches("\27%[32mok", run.drawn)
    assert.is_nil(run.drawn:find(sim.client_secret, 1, true))
  end)

  it("has nothing on the screen but words where it is dumb", function()
    local run <close> = zuora(("report run %s --poll 0.1 -o %s/report.csv"):format(support.REPORT, directory), 80, 24,
      { TERM = "dumb" })
    assert.equal(0, run:finish(20))
    assert.is_nil(run.drawn:find "\27")
  end)
end)
