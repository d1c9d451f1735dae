local cluster = require "spec.load.cluster"
local core = require "zuora.core"
local journal = require "zuora.extract.journal"
local program = require "spec.cli.program"
local support = require "spec.support"

describe("zuora extract", function()
  local sim, run, good, dir, plan

  before_each(function()
    sim = support.simulator()
    run, good = program.on(sim)
    dir = support.scratch "cli-extract"
    plan = dir .. "/plan.json"
  end)
  after_each(function() sim:stop() end)

  local function write_plan(items, more)
    local all = { plan = "nightly", output = dir .. "/out", items = items }
    for name, value in pairs(more or {}) do all[name] = value end
    support.write(plan, core.encode(all))
  end

  local function lines_of(text)
    local list = {}
    for line in text:gmatch "[^\n]+" do list[#list + 1] = core.decode(line) end
    return list
  end

  it("makes a plan, runs it, and tells where it stands", function()
    support.write(plan, (good(("extract init --name first --folder %s/out"):format(dir))))
    assert.equal("first", core.decode(support.read(plan)).plan)
    assert.matches('"Account"', good "extract init --object Account")
    assert.equal(2, run("extract init --object Nonesuch").code)
    assert.matches("a name of letters", run("extract init --name 'my plan'").err)
    assert.equal("Account: nothing has been read of it yet\n", select(2, good(("extract reset %s --item Account"):format(plan))))

    local seen = lines_of(good("extract check " .. plan))
    assert.same({ "Account", "new", "full" }, { seen[1].item, seen[1].state, seen[1].kind })
    assert.equal(1, #lines_of(good(("extract check %s --item Account"):format(plan))))
    good(("extract run %s --dry-run"):format(plan))
    assert.equal(0, #support.sent(sim, "POST", "/v1/batch-query"))
    assert.is_nil(support.read(dir .. "/out/.zuora.json"))

    local out, err = good(("extract run %s --poll 0.01 --item Account --metrics %s/zuora.prom"):format(plan, dir))
    assert.equal("", out)
    assert.matches("Account: 3 records, %d+ bytes, 1 read\n$", err)
    assert.matches('zuora_extract_records{plan="first",item="Account",entity=""} 3\n', support.read(dir .. "/zuora.prom"))
    err = select(2, good(("extract run %s --poll 0.01"):format(plan)))
    assert.matches("Account: up to date\n", err)
    assert.matches("AccountingPeriod: 1 record,", err)
    local status = lines_of(good("extract status " .. plan))
    assert.equal(3, status[1].records)
    assert.matches("^%d+%-%d+%-%d+T%d%d:00:00Z$", status[1].mark)
    assert.matches("2 files, 4 records, %d+ bytes: all as they were", select(2, good(("extract verify %s/out"):format(dir))))
  end)

  it("sets an item back, tells what happened, and takes old files away", function()
    write_plan { { object = "Account" } }
    good(("extract run %s --poll 0.01"):format(plan))
    assert.equal("Account: the next run reads it again from the beginning\n",
      select(2, good(("extract reset %s --item Account"):format(plan))))
    assert.matches("from 2026%-01%-02T00:00:00Z",
      select(2, good(("extract reset %s --item Account --from 2026-01-02"):format(plan))))
    assert.matches("[12] reads?\n", select(2, good(("extract run %s --poll 0.01 --again"):format(plan))))
    local history = lines_of(good("extract history " .. plan))
    assert.same({ "run", "1 item: 1 done; 1 file, 3 rows", "reset" }, { history[1].what, history[1].detail, history[2].what })
    assert.matches("^removed Account/full[^\n]+csv\n", select(2, good(("extract prune %s --keep 0s"):format(plan))))
    for _, words in ipairs { "reset PLAN", "reset PLAN --item Nothing", "reset PLAN --item Account --from soon",
      "status PLAN --item x", "history PLAN --item x", "prune PLAN --keep long", "run PLAN --item x",
      "run PLAN --backfill Name",
      "verify", "status " .. dir .. "/none" } do
      local result = run("extract " .. words:gsub("PLAN", plan))
      assert.equal(2, result.code, words .. result.err)
      assert.equal("", result.out)
    end
  end)

  it("is one of several workers, and gives back what it has when it is told to end", function()
    if cluster.missing() then
      pending("cannot be tried here: " .. cluster.missing())
      return
    end
    local database <close> = cluster.start()
    write_plan({ { object = "Account" }, { report = "Accounts by balance", view = "Detail" } }, { store = database.uri })
    local err = select(2, good(("extract work %s --poll 0.01 --metrics %s/zuora.prom"):format(plan, dir)))
    assert.matches("Account: 3 records, %d+ bytes, 1 read\n", err)
    assert.matches('zuora_extract_records{plan="nightly",item="Account",entity=""} 3\n', support.read(dir .. "/zuora.prom"))
    assert.equal("Account: up to date\nAccounts by balance: up to date\n", select(2, good("extract work " .. plan)))
    assert.matches("up to date", select(2, good("extract run " .. plan)))
    local slow <close> = support.simulator { looks = 1000000 }
    write_plan({ { object = "Account" } }, { plan = "slow", output = dir .. "/slow", store = database.uri })
    local function status() return lines_of(good("extract status " .. plan))[1] end
    local result = program.interrupted(("extract work %s --forever --poll 0.01"):format(plan), program.environment_of(slow),
      function()
        local now = status()
        return now.state == "submitted" and now.owner ~= nil
      end, "TERM")
    assert.equal(143, result.code, result.err)
    assert.equal("submitted", status().state)
    assert.is_nil(status().owner)
    local history = lines_of(good("extract history " .. plan))
    assert.same({ "work", "terminated (SIGTERM)" }, { history[#history].what, history[#history].detail })
    write_plan { { object = "Account" } }
    assert.equal(2, run("extract work " .. plan).code)
  end)

  it("tells a database that takes nobody from one that is not there now: 2, 4, 75", function()
    if cluster.missing() then
      pending("cannot be tried here: " .. cluster.missing())
      return
    end
    local database <close> = cluster.start()
    for code, uri in pairs { [2] = database.uri:gsub("/postgres%?", "/nodb?"), [4] = database.uri:gsub("=postgres$", "=nobody"),
      [75] = "postgresql://x:secret@127.0.0.1:1/db" } do
      write_plan({ { object = "Account" } }, { store = uri })
      for _, verb in ipairs { "run", "status" } do
        local result = run(("extract %s %s"):format(verb, plan))
        assert.equal(code, result.code, result.err)
        assert.is_nil(result.err:find "secret")
      end
    end
  end)

  it("names cures that can be pasted", function()
    plan = dir .. "/my plan.json"
    local quoted = program.quoted(plan)
    write_plan { { name = "posted", query = "select Id, Name from Account", cursor = "UpdatedDate" } }
    good(("extract run %s --poll 0.01"):format(quoted))
    for _, cure in ipairs { "reset", "run" } do
      write_plan { { name = "posted", query = "select Id, Name, " .. (cure == "run" and "Balance" or "Currency")
        .. " from Account", cursor = "UpdatedDate" } }
      local result = run("extract run " .. quoted)
      assert.equal(2, result.code)
      local command = result.err:match("`zuora (extract " .. cure .. " [^`]*)`")
      assert.equal(("extract %s %s --item posted%s"):format(cure, quoted, cure == "run" and " --keep-mark" or ""), command)
      good(command)
      good(("extract run %s --poll 0.01"):format(quoted))
    end
  end)

  it("has nothing to go on with where the same would be refused again: 7", function()
    write_plan { { object = "Account", where = "Balance > 0" }, { object = "AccountingPeriod" } }
    good(("extract run %s --poll 0.01"):format(plan))
    write_plan { { object = "Account", where = "Balance > 5" }, { object = "AccountingPeriod" } }
    local result = run(("extract run %s --poll 0.01 --again"):format(plan))
    assert.equal(7, result.code, result.err)
    assert.matches("its query, cursor or key is not what it was", result.err)
    assert.matches("AccountingPeriod: 1 record", result.err)
    assert.is_nil(result.err:find("to go on with", 1, true), result.err)
  end)

  it("knows one item from the others in each of its verbs", function()
    write_plan { { object = "Account" }, { object = "AccountingPeriod" } }
    good(("extract run %s --poll 0.01"):format(plan))
    good(("extract reset %s --item Account --item AccountingPeriod"):format(plan))
    for _, verb in ipairs { "status", "history" } do
      local lines = lines_of(good(("extract %s %s --item AccountingPeriod"):format(verb, plan)))
      assert.same({ "AccountingPeriod", 1 }, { lines[1].item, #lines })
    end
    assert.matches("^1 file, 1 record, %d+ bytes: all as they were\n$",
      select(2, good(("extract verify %s/out --item AccountingPeriod"):format(dir))))
    assert.equal(2, run(("extract verify %s/out --item Nothing"):format(dir)).code)
  end)

  it("refuses a plan that is wrong before anything is sent: 2", function()
    write_plan({ { object = "Account" } }, { evry = "1h" })
    local result = run("extract run " .. plan)
    assert.equal(2, result.code)
    assert.matches("plan%.json: evry: unknown word; known here: ", result.err)
    assert.same({}, sim:journal())
  end)

  it("is told of a sum of what is not there, before a job is submitted: 2", function()
    for words, item in pairs {
      ["Account has no field 'Balanc'"] = { object = "Account", totals = { "sum(Balanc)" } },
      ["Account has no field 'Balances'"] = { query = "select Id from Account", name = "Account", totals = { "sum(Balances)" } },
      ["Balance is not among the fields that are read"] = { object = "Account", fields = { "Name" },
        totals = { "count", "sum(Balance)" } } } do
      write_plan { item }
      for _, verb in ipairs { "run", "check" } do
        local result = run(("extract %s %s"):format(verb, plan))
        assert.equal(2, result.code, result.err)
        assert.is_truthy((result.err .. result.out):find("Account: totals: " .. words, 1, true), result.err)
      end
    end
    assert.equal(0, #support.sent(sim, "POST", "/v1/batch-query"))
    write_plan { { object = "Account", fields = { "Name", "balance" }, totals = { "sum(Balance)" } } }
    good(("extract run %s --poll 0.01"):format(plan))
  end)

  it("is told of a program that is not there, before anything is sent: 2", function()
    support.write(dir .. "/folder", "no program")
    for _, name in ipairs { "nonesuch-program", dir .. "/folder", dir } do
      write_plan({ { object = "Account" } }, { publish = { name, "{path}" } })
      for _, verb in ipairs { "run", "check" } do
        local result = run(("extract %s %s"):format(verb, plan))
        assert.same({ 2, ("zuora: plan: publish: %s: there is no such program\n"):format(name) },
          { result.code, result.err })
      end
    end
    assert.same({}, sim:journal())
    assert(os.execute("chmod +x " .. dir .. "/folder"))
    support.write(dir .. "/folder", "#!/nonesuch/interpreter\n")
    write_plan({ { object = "Account" } }, { publish = { dir .. "/folder", "{path}" } })
    assert.equal(2, run(("extract run %s --poll 0.01"):format(plan)).code)
  end)

  it("tries the place of figures before anything is sent: 2", function()
    write_plan { { object = "Account" } }
    for _, verb in ipairs { "run", "work" } do
      local result = run(("extract %s %s --metrics %s/none/zuora.prom"):format(verb, plan, dir))
      assert.equal(2, result.code, result.err)
      assert.matches("^zuora: file: [^\n]*none/zuora.prom", result.err)
    end
    assert.same({}, sim:journal())
  end)

  it("tells by figures, too, that it could not begin", function()
    write_plan { { object = "Account" } }
    support.write(dir .. "/zuora.prom", "of the last good run")
    for _, verb in ipairs { "run", "work" } do
      local result = run(("extract %s %s --metrics %s/zuora.prom"):format(verb, plan, dir), { ZUORA_CLIENT_SECRET = "" })
      assert.equal(2, result.code, result.err)
      assert.matches('failed{plan="nightly",item="Account",entity=""} 1\n', support.read(dir .. "/zuora.prom"))
      os.remove(dir .. "/zuora.prom")
    end
  end)

  it("replaces nothing but files: 2", function()
    write_plan { { object = "Account" } }
    local function left(words) return (support.shell(("cd %s && %s; ls -lR"):format(dir, words))) end
    local function refused(line, name)
      local before = left "true"
      local result = run(line)
      assert.equal(2, result.code, result.err)
      assert.matches(name .. " is no regular file, but a [sn]%a+ [lp]i[np][ke]: nothing is put", result.err)
      assert.equal(before, left "true")
    end
    left "mkfifo pipe.prom; echo keep > kept; ln -s kept link.prom"
    refused(("extract run %s --metrics %s/pipe.prom"):format(plan, dir), "pipe%.prom")
    assert.equal(2, run(("extract run %s --metrics %s/link.prom"):format(plan, dir)).code)
    assert.equal("keep\n", support.read(dir .. "/kept"))
    for _, name in ipairs { "run.json", "SHA256SUMS", "audit.json", ".zuora.json" } do
      left(("mkdir -p out && rm -f out/* out/.zuora.json && mkfifo out/%s"):format(name))
      refused("extract run " .. plan, (name:gsub("%.", "%%.")))
      left(("rm out/%s && ln -s ../kept out/%s"):format(name, name))
      refused("extract run " .. plan, (name:gsub("%.", "%%.")))
    end
    assert.same({}, sim:journal())
  end)

  it("is told of a folder that is not there: 2", function()
    local result = run(("extract verify %s/nofolder"):format(dir))
    assert.same({ 2, "zuora: plan: " .. dir .. "/nofolder: there is no such folder\n" }, { result.code, result.err })
    write_plan({ { object = "Account" } }, { load = { to = ("sqlite:%s/no/dw.db"):format(dir) } })
    for _, verb in ipairs { "run", "check" } do
      result = run(("extract %s %s"):format(verb, plan))
      assert.equal(2, result.code)
      assert.matches(("load.to: sqlite:%s/no/dw.db: there is no folder %s/no\n"):format(dir, dir), result.err, 1, true)
    end
    write_plan({ { object = "Account" } }, { load = { to = ("sqlite:%s/out/dw.db"):format(dir) } }) -- which a run makes
    good("extract check " .. plan)
    good(("extract run %s --poll 0.01"):format(plan))
  end)

  it("says that files are not what they were: 5", function()
    write_plan { { object = "Account" } }
    good(("extract run %s --poll 0.01"):format(plan))
    local path = support.shell(("ls %s/out/Account/*.csv"):format(dir)):match "%S+"
    support.write(path, (support.read(path):gsub("JPY", "EUR")))
    local result = run(("extract verify %s/out"):format(dir))
    assert.equal(5, result.code)
    local command = result.err:match("^Account/full[^\n]*%.csv: was changed: its SHA%-256 is another\n"
      .. "to bring anew what is damaged: zuora (extract [^\n]*)\nzuora: a file is not what it was\n$")
    assert.equal(("extract run %s --item Account --again"):format(plan), command)
    good(command)
    good(("extract verify %s/out"):format(dir))
  end)

  it("says why an item failed, though it is to be quiet", function()
    write_plan { { object = "Account" }, { report = "No such report", view = "Detail" } }
    local result = run(("extract run %s --poll 0.01 --quiet"):format(plan))
    assert.equal(7, result.code, result.err)
    assert.matches("^No such report: zuora: not_found: [^\n]+\nzuora: not all of the plan is as it should be\n", result.err)
  end)

  it("leaves what still runs, and says how to go on: 6", function()
    local slow <close> = support.simulator { seconds = 60 }
    local run_slow = program.on(slow)
    write_plan { { object = "Account" } }
    local result = run_slow(("extract run %s --poll 0.01 --wait 0.1 --item Account"):format(plan))
    assert.equal(6, result.code, result.err)
    assert.matches("plan%.json is not done; to go on with it: zuora extract run [^\n]*plan%.json %-%-item Account "
      .. "%-%-wait 0%.1 %-%-poll 0%.01\n$", result.err)
    local status = lines_of(good("extract status " .. plan))[1]
    assert.same({ "submitted", 1 }, { status.state, status.open_reads })
  end)

  it("is interrupted by Ctrl-C, and goes on afterwards with the same job", function()
    local slow <close> = support.simulator { seconds = 60 }
    write_plan({ { object = "Account" } }, { every = "400d" }) -- no point of the grid is crossed
    local result = program.interrupted("extract run --keep-mark --lease 9 " .. plan, program.environment_of(slow), function(_, err)
      return err:find("Account: waiting", 1, true) ~= nil
    end)
    assert.equal(130, result.code)
    assert.matches("zuora: interrupted\n[^\n]*plan%.json is not done; to go on with it: zuora extract run "
      .. "[^\n]*plan%.json %-%-keep%-mark %-%-lease 9\n$", result.err)
    local history = lines_of(good("extract history " .. plan))
    assert.same({ "run", "interrupted (Ctrl-C)", 1 }, { history[1].what, history[1].detail, #history })
    slow:forward(300)
    local _, on_slow = program.on(slow)
    assert.matches("Account: 3 records", select(2, on_slow(("extract run %s --poll 0.01"):format(plan))))
    assert.equal(1, #slow:held().jobs)
  end)

  it("does what can be done when an item fails: 7", function()
    write_plan { { object = "Account" }, { object = "Nonesuch" } }
    local result = run(("extract run %s --poll 0.01"):format(plan))
    assert.equal(7, result.code, result.err)
    assert.matches("Account: 3 records", result.err)
    assert.matches("Nonesuch: [^\n]*404", result.err)
    result = run("extract check " .. plan)
    assert.equal(7, result.code)
    local refused = lines_of(result.out)[2]
    assert.same({ "refused", "api" }, { refused.state, refused.error:match "^zuora: (%l+): " })
    assert.is_nil(refused.query)
  end)

  it("tells of a field that is no longer there, though all is done: 7", function()
    write_plan { { object = "Account" } }
    good(("extract run %s --poll 0.01"):format(plan))
    local xml = good "request GET /v1/describe/Account --accept text/xml"
    sim:fault { on = "GET /v1/describe/Account", kind = "status", status = 200, headers = { ["Content-Type"] = "text/xml" },
      body = (xml:gsub("<field><name>Balance</name>.-</field>", "")) }
    local result = run(("extract run %s --poll 0.01 --again"):format(plan))
    assert.equal(7, result.code, result.err)
    assert.matches("Account: 3 records[^\n]+; no longer there: Balance\nzuora: not all of the plan is as it should be\n",
      result.err)
  end)

  it("tells of a field that was not there for a while, until it has been read of all rows: 7", function()
    write_plan({ { object = "Account" } }, { load = { to = ("sqlite:%s/dw.db"):format(dir) } })
    good(("extract run %s --poll 0.01"):format(plan))
    local xml = good "request GET /v1/describe/Account --accept text/xml"
    sim:forward(3600)
    sim:fault { on = "GET /v1/describe/Account", kind = "status", status = 200, headers = { ["Content-Type"] = "text/xml" },
      body = (xml:gsub("<field><name>Balance</name>.-</field>", "")) }
    assert.matches("no longer there: Balance\n", run(("extract run %s --poll 0.01"):format(plan)).err)
    local cure = "rows that changed while there was no Balance still have the old one: `(zuora extract run %S+ %-%-item Account "
      .. "%-%-backfill Balance)` reads it of all rows"
    sim:forward(3600)
    for _, words in ipairs { "0 records[^\n]+; ", "up to date; " } do
      local result = run(("extract run %s --poll 0.01"):format(plan))
      assert.equal(7, result.code, result.err)
      assert.matches("Account: " .. words .. cure .. "\nzuora: not all of the plan is as it should be\n", result.err)
      assert.matches(cure, lines_of(good("extract status " .. plan))[1].error)
    end
    local quiet = run(("extract run %s --poll 0.01 --quiet"):format(plan))
    assert.equal(7, quiet.code)
    local _, told = good(quiet.err:match(cure):gsub("^zuora ", "") .. " --poll 0.01")
    assert.is_nil(told:find "warning", told) -- about what it has just read
    good(("extract run %s --poll 0.01"):format(plan))
    assert.is_nil(lines_of(good("extract status " .. plan))[1].error)
  end)

  it("lets one run at a time have a plan: 8", function()
    write_plan { { object = "Account" } }
    assert(os.execute(("mkdir %s/out"):format(dir)))
    local held <close> = journal.open(dir .. "/out/.zuora.db", "another")
    local result = run("extract run " .. plan)
    assert.equal(8, result.code)
    assert.matches("another run holds it", result.err)
    local _ = held
  end)
end)
