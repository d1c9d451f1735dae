local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

describe("zuora query", function()
  local sim, good, dir

  setup(function()
    sim = support.simulator()
    good = select(2, program.on(sim))
    dir = support.scratch "cli-query"
  end)
  teardown(function() sim:stop() end)

  it("runs a query, by word and by file, and writes its rows", function()
    assert.equal("Name\n\"Ærøskøbing \"\"Ferry\"\", Ltd\"\n\"Line\nBreak AG\"\n日本 GmbH\n",
      (good "query run 'select Name from Account' --poll 0.01"))
    support.write(dir .. "/q.sql", "select AccountNumber from Account")
    local out, err = good(("query run @%s/q.sql --deleted --poll 0.01 -o %s/rows.csv"):format(dir, dir))
    assert.equal("", out)
    assert.equal("AccountNumber\nA00000001\nA00000002\nA00000003\n", support.read(dir .. "/rows.csv"))
    assert.matches("rows.csv  3 records, %d+ bytes\n$", err)
    local sent = support.sent(sim, "POST", "/query/jobs")
    assert.is_true(core.decode(sent[#sent].body).readDeleted)
  end)

  it("goes on with what was left: status, wait, download, list", function()
    local one = core.decode((good "query submit 'select Name from Account'"))
    assert.equal(one.id, core.decode((good("query status " .. one.id))).id)
    assert.equal("completed", core.decode((good("query wait --poll 0.01 " .. one.id))).queryStatus)
    assert.matches("^Name\n", (good("query download --no-wait " .. one.id)))
    assert.equal('{"Name":"日本 GmbH"}\n', (good("query download --format jsonl " .. one.id)):match "[^\n]*\n$")
    assert.matches("^id,queryStatus,outputRows,createdOn,query\n[%x-]+,completed,3,",
      (good "query list --status completed --limit 5 --format csv"))
  end)

  it("cancels", function()
    local slow <close> = support.simulator { seconds = 60 }
    local _, on_slow = program.on(slow)
    local one = core.decode((on_slow "query submit 'select Name from Account'"))
    local out, err = on_slow("query cancel " .. one.id)
    assert.equal("", out)
    assert.equal(("query job %s is cancelled\n"):format(one.id), err)
  end)
end)
