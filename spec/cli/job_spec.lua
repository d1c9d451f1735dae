local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

describe("zuora job", function()
  local sim, run, good, dir

  setup(function()
    sim = support.simulator()
    run, good = program.on(sim)
    dir = support.scratch "cli-job"
  end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  local function submitted() return core.decode(support.sent(sim, "POST", "/v1/batch-query")[1].body) end

  it("submits queries, by word and by file, waits, and writes a file for each", function()
    support.write(dir .. "/periods.zoql", "select Id, Name from AccountingPeriod")
    local out, err = good(([[job submit -q Account="select Id, Name from Account" -q "Fiscal Periods=@%s/periods.zoql" \
      -d %s/made --poll 0.01 --name nightly --labels --format csv]]):format(dir, dir))
    assert.equal(("name,path,records,bytes\nAccount,%s/made/Account.csv,3,%d\n"):format(dir,
      #support.read(dir .. "/made/Account.csv")), out:match "^.-\n.-\n")
    assert.same({ "Account.csv", "Fiscal Periods.csv" }, support.listing(dir .. "/made"))
    assert.matches("\nAccount: .*Account.csv  3 records, %d+ bytes\n", err)
    assert.matches("\nFiscal Periods: .*Fiscal Periods.csv  1 record, %d+ bytes\n", err)
    assert.matches("job %x+: 2 files in build/spec[^ ]+/made\n$", err)
    assert.equal("nightly", submitted().name)
    assert.is_true(submitted().useQueryLabels)
    assert.equal("select Id, Name from AccountingPeriod", submitted().queries[2].query)
  end)

  it("takes all other fields as JSON, and shows the batches in a table", function()
    support.write(dir .. "/job.json", '{"format":"gzip","dateTimeUtc":true,"partner":"acme","project":"p"}')
    local out = good(("job submit --input %s/job.json -q A='select Id from Account' --poll 0.01 --format table"):format(dir))
    assert.matches("^name +status +recordCount +full +fileId\nA +completed +3 +true +%x+", out)
    assert.equal("gzip", submitted().format)
    assert.equal("acme", submitted().partner)
    local last = core.decode((good "job last --partner acme --project p"))
    assert.equal("completed", last.status)
    good(("job last --partner acme --project p -d %s/last"):format(dir))
    assert.same({ "A.csv.gz" }, support.listing(dir .. "/last"))
  end)

  it("goes on with what was left: status, wait, download", function()
    local one = core.decode((good "job submit --no-wait -q A='select Id from Account'"))
    assert.equal("submitted", one.status)
    assert.equal(one.id, core.decode((good("job status " .. one.id))).id)
    assert.equal("completed", core.decode((good("job wait --poll 0.01 " .. one.id))).status)
    good(("job download %s -d %s/later"):format(one.id, dir))
    good(("job download %s --no-wait -d %s/later2"):format(one.id, dir))
    assert.same({ "A.csv" }, support.listing(dir .. "/later2"))
    good(("job wait %s -d %s/waited"):format(one.id, dir))
    assert.same({ "A.csv" }, support.listing(dir .. "/waited"))
  end)

  it("cancels", function()
    local slow <close> = support.simulator { seconds = 60 }
    local _, on_slow = program.on(slow)
    local one = core.decode((on_slow "job submit --no-wait -q A='select Id from Account'"))
    local out, err = on_slow("job cancel " .. one.id)
    assert.equal("", out)
    assert.equal(("job %s is cancelled\n"):format(one.id), err)
    assert.equal("cancelled", core.decode((on_slow("job status " .. one.id))).status)
  end)

  it("keeps what could be had of several results, and tells of each that could not", function()
    local one = core.decode((good "job submit --poll 0.01 -q A='select Id from Account' -q B='select Name from Account'"))
    local file = "GET /v1/files/" .. one.batches[1].fileId
    for code, fault in pairs { [7] = { kind = "status", status = 404 }, [5] = { kind = "cut", after = 9 },
      [75] = { kind = "status", status = 503 }, [4] = { kind = "status", status = 403 } } do
      fault.on, fault.times = file, "always"
      sim:fault(fault)
      local result = run(("job download %s -d %s/some"):format(one.id, dir), program.IMPATIENT)
      assert.equal(code, result.code, result.err)
      assert.same({ "B.csv" }, support.listing(dir .. "/some"))
      assert.equal("", result.out)
      assert.matches("\nA: [^\n]+\n", result.err)
      assert.matches("\nB: [^\n]*B.csv  3 records, %d+ bytes\n", result.err)
      assert.matches("\nzuora: 1 of 2 batches could not be had\njob %x+ is done in Zuora; to go on with it: "
        .. "zuora job download %x+ %-%-directory build/spec[^ ]+/some\n$", result.err)
      sim:heal()
      os.remove(dir .. "/some/B.csv")
    end
  end)

  it("takes no results of a job that is not done", function()
    local slow <close> = support.simulator { seconds = 60 }
    local on_slow, good_on_slow = program.on(slow)
    local one = core.decode((good_on_slow "job submit --no-wait -q A='select Id from Account'"))
    local result = on_slow(("job download %s --no-wait -d %s/early"):format(one.id, dir))
    assert.equal(6, result.code)
    assert.matches("job " .. one.id .. " goes on in Zuora; to go on with it: zuora job download ", result.err)
    good_on_slow("job cancel " .. one.id)
    assert.equal(3, on_slow(("job download %s --no-wait -d %s/early"):format(one.id, dir)).code)
    for status, code in pairs { aborted = 3, executing = 6 } do
      slow:fault { on = "GET *", kind = "status", status = 200, headers = { ["Content-Type"] = "application/json" },
        times = "always", body = ('{"id":"%s","status":"%s","batches":[{"name":"A","status":"completed","fileId":"%s"}]}')
          :format(one.id, status, one.id) }
      assert.equal(code, on_slow(("job last --partner a --project p -d %s/early"):format(dir)).code)
      slow:heal()
    end
    assert.same({}, support.listing(dir .. "/early"))
  end)

  it("says what is wrong with a query before anything is sent", function()
    for words, problem in pairs {
      ["-q 'select Id from Account'"] = "%-q: name=value expected, got 'select Id from Account'",
      ["-q A=@" .. dir .. "/none"] = "build/spec[^ ]+/none: No such file or directory",
      ["--partner acme -q A='select Id from Account'"] = "project: partner and project go together",
      [""] = "queries: missing: only a stateful job",
      ["--input - <<< [1]"] = "%-%-input: an object with a job's fields is needed",
      ["--input @x"] = "@x: No such file or directory",
    } do
      local result = run("job submit " .. words)
      assert.equal(2, result.code, words)
      assert.matches("^zuora: " .. problem, result.err)
      assert.equal("", result.out)
    end
    assert.same({}, sim:journal())
  end)

  it("warns of a condition that Zuora misreads", function()
    local _, err = good [[job submit --no-wait -q A="select Id from Account where UpdatedDate > '2026-01-01 10:00:00'"]]
    assert.matches("^warning: query \"A\": '2026%-01%-01 10:00:00': Zuora ignores a condition", err)
  end)

  it("does not take a lost stateful submit for one that can be tried again", function()
    sim:fault { on = "POST /v1/batch-query", kind = "reset", times = "always" }
    local result = run("job submit --partner 'ac me' --project p -q A='select Id from Account'", program.IMPATIENT)
    assert.equal(1, result.code)
    assert.matches("the job may have been started in Zuora all the same; see zuora job last %-%-partner 'ac me' %-%-project p\n",
      result.err)
    result = run("job submit -q A='select Id from Account'", program.IMPATIENT)
    assert.equal(75, result.code)
  end)
end)
