-- What all commands have in common: streams, signals, secrets, how to go on.

local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

local START = "report run " .. support.REPORT

describe("a command", function()
  local sim, run, good, dir

  setup(function()
    sim = support.simulator()
    run, good = program.on(sim)
    dir = support.scratch "cli-command"
  end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  local function shell_on(one, line) return program.shell(line, program.environment_of(one)) end

  describe("in a pipe", function()
    it("says that standard output takes no more", function()
      local result = shell_on(sim, "$zuora request GET /v1/describe > /dev/full")
      assert.equal(1, result.code)
      assert.matches("^zuora: standard output: No space left on device\n", result.err)
      assert.equal(1, shell_on(sim, "$zuora doctor > /dev/full").code)
      result = program.shell "$zuora version > /dev/full"
      assert.equal(1, result.code)
      assert.equal("zuora: standard output: No space left on device\n", result.err)
      for _, words in ipairs { "help report", "report run --help", "help report run", "-h" } do
        result = program.shell("$zuora " .. words .. " > /dev/full")
        assert.equal(1, result.code)
        assert.equal("zuora: standard output: No space left on device\n", result.err)
      end
    end)

    it("gives nothing to a connection when standard output is closed", function()
      local result = shell_on(sim, ("$zuora %s --poll 0.01 --quiet <&- >&-"):format(START))
      assert.equal(1, result.code)
      assert.matches("^zuora: standard output: Bad file descriptor\n", result.err)
      assert.equal(0, shell_on(sim, ("$zuora %s --poll 0.01 -o %s/closed >&- 2>&-"):format(START, dir)).code)
      assert.matches("^Account.AccountNumber,", support.read(dir .. "/closed"))
    end)

    it("has nothing on standard output before all is proven", function()
      sim:fault { on = "GET /reporting/api/rest/v1/reportruns/export/*", kind = "cut", after = 200, times = "always" }
      local result = run(START .. " --poll 0.01", program.IMPATIENT)
      assert.equal(5, result.code)
      assert.equal("", result.out)
    end)
  end)

  describe("that is interrupted", function()
    local slow

    setup(function() slow = support.simulator { seconds = 60 } end)
    teardown(function() slow:stop() end)

    -- As soon as it waits for what it has started.
    local function interrupted(words, is_ready)
      slow:forget()
      local result = program.interrupted(words, program.environment_of(slow), is_ready or function(_, err)
        if not words:find "--quiet" then return err:find ": %a+\n" ~= nil end
        for _, request in ipairs(slow:journal()) do
          if request.method == "GET" then return true end
        end
        return false
      end)
      assert.is_true(result.seconds < 0.5, result.seconds)
      assert.equal(130, result.code)
      assert.equal("", result.out)
      return result.err
    end

    it("says the line that goes on, and leaves alone what it had started", function()
      local err = interrupted("report run 'Accounts by balance' --poll 10 -o \"it's here\" --columns A,B --format csv --entity "
        .. ("1"):rep(32))
      local run_id = err:match "report run (%x+) goes on"
      assert.equal(("report run %s: STARTED\nzuora: interrupted\nreport run %s goes on in Zuora; to go on with it: zuora report "
        .. "download %s --entity %s --format csv --output 'it'\\\\''s here' --columns A,B\n"):format(run_id, run_id, run_id,
        ("1"):rep(32)):gsub("\\\\", "\\"), err)
      err = interrupted("job submit -q A='select Id from Account' --quiet -d " .. dir)
      assert.matches("^zuora: interrupted\njob (%x+) goes on in Zuora; to go on with it: zuora job download %1 "
        .. "%-%-directory build/spec[^ ]+\n$", err)
      for _, held in ipairs(slow:held().runs) do assert.equal("STARTED", held.status) end
    end)

    it("cancels it when it is told to", function()
      local err = interrupted(START .. " --cancel-on-interrupt")
      local run_id = err:match "\nreport run (%x+) is cancelled\n$"
      local _, on_slow = program.on(slow)
      assert.equal("CANCELLED", core.decode((on_slow("report status " .. run_id))).status)
      err = interrupted "query run 'select Id from Account' --cancel-on-interrupt --quiet"
      assert.matches("^zuora: interrupted\nquery job [%x-]+ is cancelled\n$", err)
    end)

    it("before Zuora has answered says that it may have been started", function()
      slow:fault { on = "POST */reportrun", kind = "stall" }
      local function is_asked() return #support.sent(slow, "POST", "/reporting") > 0 end
      assert.equal("zuora: interrupted\na run of " .. support.REPORT
        .. " may have been started in Zuora all the same; see zuora report list\n", interrupted(START, is_asked))
    end)
  end)

  it("says what may have been started where the answer to the start is lost", function()
    local lost = { kind = "status", status = 502, body = "<html></html>" }
    local STARTS = {
      ["job submit -q A='select Id from Account' -d " .. dir] = { "the job", "Zuora's own list of jobs" },
      ["job submit --no-wait --partner a --project p -q A='select Id from Account'"] =
        { "the job", "zuora job last %-%-partner a %-%-project p" },
      ["query submit 'select Id from Account'"] = { "the query", "zuora query list" },
      [START .. " --quiet"] = { "a run of " .. support.REPORT, "zuora report list" },
    }
    for words, told in pairs(STARTS) do
      for _, status in ipairs { 502, 408 } do
        sim:heal()
        for _, on in ipairs { "POST /v1/batch-query", "POST /query/jobs", "POST */reportrun" } do
          lost.on, lost.status = on, status
          sim:fault(lost)
        end
        local result = run(words)
        assert.equal(words:find "partner" and 1 or 75, result.code, result.err)
        assert.matches(("\n%s may have been started in Zuora all the same; see %s\n$"):format(table.unpack(told)),
          result.err)
      end
    end
    sim:heal()
  end)

  it("tells the id of what it has started where it cannot be printed", function()
    for words, line in pairs {
      ["job submit -q A='select Id from Account' --no-wait"] = "job (%x+) goes on in Zuora; to go on with it: zuora job wait %1",
      ["query submit 'select Id from Account'"] = "query job (%S+) goes on in Zuora; to go on with it: zuora query download %1",
      [START .. " --no-wait --quiet"] = "report run (%x+) goes on in Zuora; to go on with it: zuora report download %1",
    } do
      for _, out in ipairs { "/dev/full", "&-" } do
        local result = run(words .. " >" .. out)
        assert.equal(1, result.code)
        assert.matches("zuora: standard output: [^\n]+\n" .. line .. "\n$", result.err)
      end
    end
  end)

  it("says no such line of what is not there", function()
    local result = run("report download " .. ("f"):rep(32))
    assert.equal(1, result.code)
    assert.matches("^zuora: [^\n]+\n$", result.err)
    for words, code in pairs { ["report wait 'a/b'"] = 2, ["job download 'a b' -d " .. dir] = 2, ["query wait x"] = 1 } do
      result = run(words)
      assert.equal(code, result.code)
      assert.matches("^zuora: [^\n]+\n$", result.err)
    end
    for _, words in ipairs { START, "query run 'select 1'", "job wait " .. ("f"):rep(32) } do
      result = run(words, { ZUORA_CLIENT_SECRET = "wrong" })
      assert.equal(4, result.code)
      assert.matches("^zuora: [^\n]+\nzuora doctor says [^\n]+\n$", result.err)
    end
  end)

  it("goes on by the line that it says", function()
    local slow <close> = support.simulator { seconds = 0.3 }
    local result = shell_on(slow, ([[
      $zuora report run 'Accounts by balance' --wait 0 -o '%s/go on' 2> %s/told; echo $?
      line=$(sed -n 's/.*to go on with it: zuora //p' %s/told)
      eval "$zuora $line --poll 0.05 --quiet"; echo $?]]):format(dir, dir, dir))
    assert.equal("6\n0\n", result.out, result.err)
    assert.matches("^Account.AccountNumber,", support.read(dir .. "/go on"))
  end)

  it("tells nothing when it is to be quiet", function()
    assert.equal("", select(2, good(START .. " --poll 0.01 --progress quiet")))
  end)

  it("says that the environment goes before the profile that is asked for", function()
    local home = support.scratch "cli-overridden"
    assert(os.execute("mkdir " .. home .. "/zuora"))
    support.write(home .. "/zuora/config.json", '{"profiles":{"prod":{"environment":"us2"}}}')
    local result = run("files status --profile prod --quiet x1", { XDG_CONFIG_HOME = home })
    assert.matches("^warning: ZUORA_BASE_URL in the environment, before what profile 'prod' says\n", result.err)
  end)

  it("says when it tries again", function()
    sim:fault { on = "POST */reportrun", kind = "status", status = 429, headers = { ["Retry-After"] = "0" } }
    local _, err = good(START .. " --poll 0.01")
    assert.matches("^reportruns.start: HTTP 429; again in %d%.%d s\n", err)
  end)

  describe("never tells a secret", function()
    local token

    it("when it tells of requests and answers", function()
      sim:fault { on = "POST */reportrun", kind = "status", status = 400, body = '{"success":false,"reasons":[{"code":1,'
        .. '"message":"no ' .. sim.client_secret .. ' here"}]}', headers = { ["Content-Type"] = "application/json" } }
      local result = run(START .. " --debug --poll 0.01")
      assert.equal(1, result.code)
      assert.matches("> POST http://127.0.0.1:%d+/oauth/token %(oauth.token, attempt 1%)\n< 200 %(oauth.token, ", result.err)
      assert.matches("> POST http://127.0.0.1:%d+/reporting/api/rest/v1/reports/" .. support.REPORT
        .. "/reportrun %(reportruns.start, attempt 1%) {.*\"viewType\":\"Detail\"", result.err)
      assert.matches("< 400 %(reportruns.start, %d+ bytes, [%d.]+ s, request id .*%) {.*no %*%*%* here", result.err)
      assert.is_nil(result.err:find(sim.client_secret, 1, true))
      assert.is_nil(result.err:find(sim.client_id, 1, true))
      token = run("query run 'select Id from Account' --poll 0.01 --debug").err
      assert.is_nil(token:lower():find("bearer", 1, true))
      assert.is_nil(token:find("X-Amz-Signature", 1, true))
      assert.is_nil(token:find("access_token", 1, true))
    end)

    it("in the list of processes", function()
      local slow <close> = support.simulator { seconds = 60 }
      local listed
      program.interrupted(START .. " --quiet", program.environment_of(slow), function(pid)
        listed = support.shell(("export LD_PRELOAD=; ps -ww -o args= -p %s; ps -ww -o args= --ppid %s"):format(pid, pid))
        return #support.sent(slow, "POST", "/reporting") > 0
      end)
      -- One line, whatever has started the interpreter.
      assert.matches("^[^\n]*lua5.4 lua/bin/zuora [^\n]*\n$", listed)
      local ours = "lua5.4 lua/bin/zuora " .. START .. " --quiet\n"
      assert.equal(ours, listed:sub(-#ours))
      for _, name in ipairs { "secret", "client-secret", "token", "password" } do
        assert.matches("unknown option", run(("%s --%s x"):format(START, name)).err)
      end
    end)

    it("in what goes wrong", function()
      local result = run(START, { ZUORA_CLIENT_SECRET = "mysecretvalue\n" })
      assert.equal(2, result.code)
      assert.is_nil(result.err:find("mysecretvalue", 1, true))
      result = run(START, { ZUORA_CLIENT_SECRET = "", ZUORA_CLIENT_ID = "", ZUORA_TOKEN = "my secret" })
      assert.equal(2, result.code)
      assert.matches("^zuora: setting 'token': a bearer token", result.err)
      assert.is_nil(result.err:find("my secret", 1, true))
    end)
  end)

  it("writes to what is no regular file, and does not replace it", function()
    for format, expected in pairs { csv = '"Line\nBreak AG"', jsonl = '"Account.Name":"Line\\nBreak AG"' } do
      local pipe = dir .. "/" .. format
      local result = shell_on(sim, ("mkfifo %s; cat %s & $zuora %s --poll 0.01 --quiet --format %s -o %s || : > %s; wait; test -p %s")
        :format(pipe, pipe, START, format, pipe, pipe, pipe))
      assert.same({ 0, "" }, { result.code, result.err })
      assert.matches(expected, result.out, 1, true)
    end
    for _, where in ipairs { "-", "/dev/null" } do
      assert.matches("--raw is for -o FILE", run(START .. " --raw -o " .. where).err, 1, true)
    end
  end)
end)
