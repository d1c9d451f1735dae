local error_value = require "zuora.error"
local exits = require "zuora.cli.exits"
local program = require "spec.cli.program"
local support = require "spec.support"

local START, RUN = "report run " .. support.REPORT .. " --poll 0.01", "GET /reporting/api/rest/v1/reportruns/*"

describe("the code that a command ends with", function()
  local sim, run, dir

  setup(function()
    sim = support.simulator()
    run = program.on(sim)
    dir = support.scratch "cli-exits"
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:heal() end)

  local function ends(code, words, environment)
    local result = run(words, environment or program.IMPATIENT)
    assert.equal(code, result.code, words .. "\n" .. result.err)
    if code ~= 0 then assert.equal("", result.out, words) end
    return result.err
  end

  it("is 0 for what is done", function() ends(0, START) end)

  it("is 1 for another failure", function()
    assert.equal('zuora: not_found: no report has the name "Nothing" (0 others were found)\n', ends(1, "report run Nothing"))
    ends(1, START .. " -o /nowhere/rows.csv")
    ends(1, START .. " -o /nowhere/rows.jsonl --format jsonl")
  end)

  it("is 2 for usage and configuration", function()
    ends(2, "")
    ends(2, "reports")
    ends(2, "report")
    ends(2, "report run")
    ends(2, START .. " --view Both")
    ends(2, START .. " --json --format csv")
    ends(2, START .. " --wait soon")
    ends(2, "report status 'no id'")
    ends(2, "extract run")
    ends(2, "tap")
    ends(2, "completion tcsh")
    ends(2, "help nothing")
    ends(2, START, { ZUORA_BASE_URL = "" })
    ends(2, START, { ZUORA_BASE_URL = "ftp://x" })
    ends(2, START, { ZUORA_CLIENT_SECRET = "" })
    ends(2, "files status x --legacy", { ZUORA_CLIENT_ID = "", ZUORA_CLIENT_SECRET = "", ZUORA_USERNAME = "u",
      ZUORA_PASSWORD = "p" })
  end)

  it("is 3 for what failed, or was cancelled, in Zuora", function()
    sim:fault { on = "POST */reportrun", kind = "outcome", run = "ERROR" }
    assert.matches("zuora: failed: report run %x+ ended with an error\n$", ends(3, START))
    sim:heal()
    sim:fault { on = "POST */reportrun", kind = "outcome", run = "CANCELLED" }
    ends(3, START)
    sim:heal()
    ends(3, "job submit --poll 0.01 -q A='select Nothing from Account'")
  end)

  it("is 4 for credentials and permission", function()
    assert.matches("\nzuora doctor says [^\n]+\n$", ends(4, START, { ZUORA_CLIENT_SECRET = "another" }))
    sim:fault { on = "POST /reporting/*", kind = "status", status = 403, times = "always" }
    ends(4, START)
  end)

  it("is 5 for what is not proven to be complete", function()
    local objects = { Account = { columns = { "Id" }, rows = { { "1" }, { "2" } } } }
    local short <close> = support.simulator { objects = objects }
    local on_short = program.on(short)
    short:fault { on = "GET /v1/files/*", kind = "cut", after = 3, times = "always" }
    local result = on_short("job submit --poll 0.01 -q A='select Id from Account' -d " .. dir, program.IMPATIENT)
    assert.equal(5, result.code, result.err)
    assert.equal("", result.out)
    assert.same({}, support.listing(dir))
  end)

  it("is 6 for what had not settled in time", function()
    local slow <close> = support.simulator { seconds = 60 }
    local on_slow = program.on(slow)
    for _, words in ipairs { START, "query run 'select Id from Account'", "job submit -q A='select Id from Account'" } do
      local result = on_slow(words .. " --wait 0")
      assert.equal(6, result.code, result.err)
      assert.equal("", result.out)
      assert.matches("goes on in Zuora; to go on with it: zuora %l+ %l+ [%x-]+\n$", result.err)
    end
  end)

  it("is 7 where some items failed, and the others are done", function()
    local result = program.shell(([[
      export %s
      ids=$($zuora job submit --poll 0.01 --json -q A='select Id from Account' -q B='select Name from Account' \
        | grep -o '"fileId":"[^"]*"' | cut -d'"' -f4)
      $zuora files download $ids nosuchfile -d %s]]):format(program.assignments(program.environment_of(sim)), dir))
    assert.equal(7, result.code, result.err)
    assert.equal(2, #support.listing(dir))
  end)

  it("is 75 for the network, a limit or an outage", function()
    ends(75, START, { ZUORA_BASE_URL = "http://127.0.0.1:1", XDG_CONFIG_HOME = program.IMPATIENT.XDG_CONFIG_HOME })
    sim:fault { on = RUN, kind = "status", status = 503, times = "always" }
    ends(75, "report status 4711")
    sim:heal()
    sim:fault { on = "POST /v1/batch-query", kind = "status", status = 429, headers = { ["Retry-After"] = "7200" } }
    ends(75, "job submit -q A='select Id from Account'")
  end)

  it("is 130 after Ctrl-C", function()
    local slow <close> = support.simulator { seconds = 60 }
    local result = program.interrupted("report run 'Accounts by balance' -o x.csv", program.environment_of(slow), function()
      return #support.sent(slow, "GET", "/reporting/api/rest/v1/reportruns/") > 0
    end)
    assert.equal(130, result.code)
    assert.matches("zuora: interrupted\nreport run (%x+) goes on in Zuora; to go on with it: "
      .. "zuora report download %1 %-%-output x.csv\n$", result.err)
    assert.equal("STARTED", slow:held().runs[1].status)
  end)

  it("is 143 after SIGTERM, which says as much, and leaves as little", function()
    local slow <close> = support.simulator { seconds = 60 }
    local function held() return #support.sent(slow, "GET", "/reporting/api/rest/v1/reportruns/") > 0 end
    local result = program.interrupted(START, program.environment_of(slow), held, "TERM")
    assert.equal(143, result.code)
    assert.is_true(result.seconds < 0.5, result.seconds)
    assert.matches("zuora: terminated\nreport run (%x+) goes on in Zuora; to go on with it: zuora report download %1\n$",
      result.err)
    slow:forget()
    result = program.interrupted(START .. " --cancel-on-interrupt", program.environment_of(slow), held, "TERM")
    assert.matches("zuora: terminated\nreport run %x+ is cancelled\n$", result.err)
    local export, left = "/reporting/api/rest/v1/reportruns/export/", support.scratch "cli-terminated"
    sim:forget() -- what was exported before
    sim:fault { on = "GET " .. export .. "*", kind = "trickle", size = 1, seconds = 0.1 }
    result = program.interrupted(START .. " -o " .. left .. "/cut.csv", program.environment_of(sim), function()
      return #support.sent(sim, "GET", export) > 0 and support.read(left .. "/cut.csv.part") ~= nil
    end, "TERM")
    assert.equal(143, result.code)
    assert.matches("is done in Zuora; to go on with it: zuora report download", result.err)
    assert.same({}, support.listing(left))
  end)

  it("is what help says", function()
    local text = program.run("help exit-codes").out
    for _, row in ipairs(exits.table) do
      assert.is_truthy(text:find(("\n%5d  %s\n"):format(row.code, row.meaning), 1, true), row.meaning)
    end
  end)
end)

describe("exits", function()
  local function err(kind, more)
    local fields = { kind = kind, message = "m" }
    for name, value in pairs(more or {}) do fields[name] = value end
    return error_value.new(fields)
  end

  it("knows what each kind of error means", function()
    local kinds = {}
    for kind in support.read("lua/zuora/meta/client.lua"):match "zuora%.ErrorKind ([^\n]*)":gmatch '"([%l_]+)"' do
      kinds[#kinds + 1] = kind
      local known = false
      for _, row in ipairs(exits.table) do known = known or (" %s "):format(row.kinds or ""):find(" " .. kind .. " ", 1, true) end
      assert.is_truthy(known, kind)
    end
    assert.is_true(#kinds > 10)
    assert.equal(4, exits.of(err("api", { code = "53000010", category = "permission" })))
    assert.equal(75, exits.of(err("api", { category = "over_limit" })))
    assert.equal(75, exits.of(err("http", { retryable = true })))
    assert.equal(75, exits.of(err("timeout", { operation = "jobs.get" })))
    assert.equal(6, exits.of(err "timeout"))
    assert.equal(5, exits.of(err("incomplete", { retryable = true })))
    assert.equal(1, exits.of "no error")
  end)

  it("says of several what another run can do about them", function()
    local lost, running, wrong, short, refused, failed = err "transport", err "timeout", err "json", err "incomplete",
      err "auth", err "failed"
    for _, case in ipairs { { 75, { lost, lost }, true }, { 75, { lost }, false }, { 6, { running, running }, true },
      { 7, { lost, running }, true }, { 7, { wrong }, true }, { 1, { wrong }, false }, { 1, { wrong, lost }, false },
      { 5, { lost, failed, refused, short }, true }, { 4, { lost, failed, refused }, true },
      { 3, { lost, failed, wrong }, true } } do
      assert.equal(case[1], exits.of_several(case[2], case[3]))
    end
  end)
end)
