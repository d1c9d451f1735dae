local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

local REPORT = support.REPORT
local ROWS = [[
Account.AccountNumber,Account.Name,Account.Balance
A00000001,"Ærøskøbing ""Ferry"", Ltd","1,729.76"
A00000002,"Line
Break AG",0.00
A00000003,日本 GmbH,-12.50
]]

describe("zuora report", function()
  local sim, run, good, dir

  setup(function()
    sim = support.simulator()
    run, good = program.on(sim)
    dir = support.scratch "cli-report"
  end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  it("runs a report by its name, and writes its rows", function()
    local out, err = good "report run 'Accounts by balance' --poll 0.01"
    assert.equal(ROWS, out)
    assert.matches("report run %x+: STARTED\n.*: COMPLETED\n.*: done\n$", err)
    assert.equal(1, #support.sent(sim, "POST", "/reporting/api/rest/v1/reports/" .. REPORT .. "/reportrun?viewType=Detail"))
  end)

  it("by its id, into a file, as it is or in another format, with some columns", function()
    local path = dir .. "/a b.csv"
    local out, err = good(("report run %s --poll 0.01 -o '%s' --view Summary"):format(REPORT, path))
    assert.equal("", out)
    assert.equal(ROWS, support.read(path))
    assert.matches("a b.csv  3 records %(not verified%), 163 bytes\n", err)
    assert.equal(0, #support.sent(sim, "GET", "/reporting/api/rest/v1/reports/search"))
    assert.equal(1, #support.sent(sim, "POST", "/reporting/api/rest/v1/reports/" .. REPORT .. "/reportrun?viewType=Summary"))
    good(("report run %s --poll 0.01 -o %s/rows --format jsonl --columns Account.Balance,Account.Name"):format(REPORT, dir))
    assert.equal('{"Account.Balance":"1,729.76","Account.Name":"Ærøskøbing \\"Ferry\\", Ltd"}\n'
      .. '{"Account.Balance":"0.00","Account.Name":"Line\\nBreak AG"}\n'
      .. '{"Account.Balance":"-12.50","Account.Name":"日本 GmbH"}\n', support.read(dir .. "/rows"))
    assert.equal("Account.Balance\n\"1,729.76\"\n0.00\n-12.50\n",
      (good(("report run %s --poll 0.01 --columns Account.Balance --format csv -o -"):format(REPORT))))
    assert.same({ "a b.csv", "rows" }, support.listing(dir))
  end)

  it("sends filters, by word and by file", function()
    support.write(dir .. "/filters.json", '[{"logicalOperator":{"value":"OR"},"filterClauses":[]}]')
    good(([[report run %s --poll 0.01 --filter '{"logicalOperator":{"value":"AND"},"filterClauses":[]}' \
      --filter @%s/filters.json]]):format(REPORT, dir))
    local body = core.decode(support.sent(sim, "POST", "/reporting/api/rest/v1/reports/" .. REPORT)[1].body)
    assert.equal("AND", body[1].logicalOperator.value)
    assert.equal("OR", body[2].logicalOperator.value)
    local refused = run(("report run %s --filter '{'"):format(REPORT))
    assert.equal(2, refused.code)
    assert.matches("^zuora: %-%-filter: that is no JSON: [^\n]+\n$", refused.err)
    assert.equal(2, run(("report run %s --raw"):format(REPORT)).code)
    refused = run(("report run %s --poll 0.01 --quiet --columns Nothing"):format(REPORT))
    assert.equal(2, refused.code)
    assert.matches("the file has no column Nothing, but \"Account.AccountNumber\"", refused.err)
  end)

  it("refuses what is for rows where there will be none", function()
    for _, words in ipairs { "-o " .. dir .. "/none", "--columns A", "--pivoted", "--verify" } do
      local result = run(("report run %s --no-wait %s"):format(REPORT, words))
      assert.equal(2, result.code)
      assert.matches("with %-%-no%-wait there are none: it goes with report download\n$", result.err)
    end
    for _, words in ipairs { "wait 4711", "last " .. REPORT } do
      assert.matches("^zuora: %-%-columns is for rows", run(("report %s --columns A"):format(words)).err)
    end
    assert.equal(2, run(("job submit -q A='select Id from Account' --no-wait -d %s/unused"):format(dir)).code)
    assert.same({}, sim:journal())
  end)

  it("goes on with what was left: status, wait, download, data, last", function()
    local run_id = core.decode((good("report run --no-wait " .. REPORT))).id
    assert.equal(run_id, core.decode((good("report status " .. run_id))).id)
    assert.equal("COMPLETED", core.decode((good("report wait --poll 0.01 " .. run_id))).status)
    assert.equal(ROWS, (good("report download " .. run_id)))
    assert.equal(ROWS, (good("report download --verify --no-wait " .. run_id)))
    good(("report download --raw -o %s/raw %s"):format(dir, run_id))
    assert.equal("A\0", support.read(dir .. "/raw"):sub(1, 2)) -- as Zuora has it: UTF-16
    local _, told = good(("report download --verify -o %s/verified %s"):format(dir, run_id))
    assert.matches("/verified  3 records, 163 bytes\n$", told)
    good(("report wait -o %s/waited %s"):format(dir, run_id))
    assert.equal(ROWS, support.read(dir .. "/waited"))
    local data = core.decode((good("report data --json " .. run_id)))
    assert.equal(3, #data)
    assert.equal("A00000001", data[1]["Account.AccountNumber"])
    assert.equal(run_id, core.decode((good "report last 'Accounts by balance'")).id)
    good(("report last %s -o %s/last"):format(REPORT, dir))
    assert.equal(ROWS, support.read(dir .. "/last"))
  end)

  it("takes no last run that is another report's, or not done", function()
    local run_id = core.decode((good("report run --no-wait " .. REPORT))).id
    for answer, code in pairs { ['"reportId":"' .. run_id .. '","status":"COMPLETED"'] = 5,
      ['"reportId":"' .. REPORT .. '","status":"ERROR"'] = 3, ['"status":"PROCESSINGDATA"'] = 6 } do
      sim:fault { on = "GET *", kind = "status", status = 200, times = "always",
        headers = { ["Content-Type"] = "application/json" }, body = ('{"response":{"id":"%s",%s}}'):format(run_id, answer) }
      local result = run(("report last %s -o %s/none"):format(REPORT, dir))
      assert.equal(code, result.code, result.err)
      assert.is_nil(support.read(dir .. "/none"))
      sim:heal()
    end
  end)

  it("prints no data that is not all there, or not in rows", function()
    local run_id = core.decode((good("report run --no-wait " .. REPORT))).id
    local function answered(answer, code)
      sim:fault { on = "GET *", kind = "status", status = 200, times = "always",
        headers = { ["Content-Type"] = "application/json" }, body = '{"response":{' .. answer .. "}}" }
      local result = run("report data --format csv " .. run_id)
      sim:heal()
      assert.equal(code, result.code, answer .. result.err)
      if code > 0 then assert.equal("", result.out) end
      return result
    end
    answered('"page":[{"A":"1"},{"A":"2"}],"offset":1,"total":4', 5) -- the same again and again
    assert.matches("a page came a second time", answered('"page":[{"A":"1"},{"A":"2"}],"total":4', 5).err)
    answered('"page":[{"A":"1"},{"A":"2"}],"offset":"1","total":1', 5)
    answered('"page":{"x":1}', 1)
    answered('"page":[["1"]],"total":1', 1)
    answered('"page":[{"A":"1"},null,5],"total":3', 1)
    answered('"page":[{"A":"1"}],"total":"many"', 1)
    assert.equal("A\n1\n1\n", answered('"page":[{"A":"1"},{"A":"1"}],"offset":"1","total":2', 0).out)
  end)

  it("cancels, lists and searches", function()
    local slow <close> = support.simulator { seconds = 60 }
    local _, on_slow = program.on(slow)
    local run_id = core.decode((on_slow("report run --no-wait " .. REPORT))).id
    assert.matches("id,status,reportId,reportType,startedOn\n" .. run_id .. ",STARTED,",
      (on_slow "report list --format csv --limit 3"))
    assert.equal("", (on_slow "report list --status COMPLETED --status ERROR"))
    assert.equal("", (on_slow("report cancel " .. run_id)))
    assert.equal("CANCELLED", core.decode((on_slow("report status " .. run_id))).status)
    assert.equal("Accounts by balance", core.decode((on_slow "report search accounts --json"))[1].name)
    assert.equal("[]\n", (on_slow "report search nothing-of-it --json"))
  end)
end)
