local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

describe("zuora files", function()
  local sim, run, good, dir, ids

  setup(function()
    sim = support.simulator()
    run, good = program.on(sim)
    dir = support.scratch "cli-files"
    local job = core.decode((good [[job submit --poll 0.01 -q A='select Id from Account' \
      -q B='select Name from AccountingPeriod' --json]]))
    ids = job.batches[1].fileId .. " " .. job.batches[2].fileId
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:heal() end)

  it("writes one: its rows, a file, or under the name that Zuora gives it", function()
    local id = ids:match "%S+"
    local rows = good("files download " .. id)
    assert.matches("^[^\n]+\n2c92", rows)
    good(("files download %s -o %s/one"):format(id, dir))
    assert.equal(rows, support.read(dir .. "/one"))
    assert.matches('^{"bytes":%d+,"file":"' .. id, (good(("files download %s -d %s"):format(id, dir))))
    assert.equal(2, #support.listing(dir))
    assert.equal("true", (good("files status --format csv " .. id)):match "true")
  end)

  it("keeps nothing that is broken, unless it is told to", function()
    local id, path = ids:match "%S+", dir .. "/broken"
    for _, body in ipairs { "A,B\n1,2\n3\n", 'A\n"open\n', "A\na\0b\n" } do
      sim:fault { on = "GET /v1/files/" .. id, kind = "status", status = 200, times = "always", body = body,
        headers = { ["Content-Type"] = "text/csv" } }
      for _, where in ipairs { "-o " .. path, "-d " .. path .. ".d", "" } do
        local result = run(("files download %s %s"):format(id, where))
        assert.equal(5, result.code, where .. result.err)
        assert.equal("", result.out)
        if where ~= "" then assert.matches("%-%-no%-verify keeps it", result.err) end
      end
      assert.is_nil(support.read(path))
      assert.same({}, support.listing(path .. ".d"))
      good(("files download %s -o %s --no-verify"):format(id, path))
      assert.equal(body, support.read(path))
      os.remove(path)
      sim:heal()
    end
  end)

  it("makes the directory, and fetches a file that is named twice once", function()
    local id = ids:match "%S+"
    good(("files download %s %s -d %s/made/here --format csv"):format(id, id, dir))
    assert.equal(1, #support.listing(dir .. "/made/here"))
  end)

  it("writes several, and says which of them failed", function()
    local out = good(("files download %s -d %s --format csv"):format(ids, dir))
    assert.equal(3, select(2, out:gsub("\n", "")))
    sim:fault { on = "GET /v1/files/" .. ids:match "%S+", kind = "status", status = 404, times = "always" }
    local result = run(("files download %s -d %s --format csv"):format(ids, dir))
    assert.equal(7, result.code)
    assert.equal(2, select(2, result.out:gsub("\n", "")))
    assert.matches("file " .. ids:match "%S+" .. ": .*\nzuora: 1 of 2 files could not be had\n$", result.err)
    assert.equal(2, run("files download " .. ids).code)
    for _, words in ipairs { "-o " .. dir .. "/x", "--columns Id" } do
      assert.equal(2, run(("files download %s -d %s %s"):format(ids, dir, words)).code)
    end
  end)
end)
