-- How result files are named, and whether they are there.

local http = require "spec.simulator.http"

describe("simulated files", function()
  local caller

  setup(function() caller = http.open { segment_rows = 2 } end)
  teardown(function() caller:close() end)

  -- The ids of the files of a job with one query of that name.
  local function files(name, more)
    local fields = { queries = { { name = name, query = "select Id from Account" } } }
    for key, value in pairs(more or {}) do fields[key] = value end
    local path = "/v1/batch-query/jobs/" .. select(2, caller:send("POST", "/v1/batch-query", caller:bearer(), fields)).id
    local job
    for _ = 1, 3 do job = select(2, caller:ask("GET", path, caller:bearer())) end
    return job.batches[1].segments or { job.batches[1].fileId }
  end

  local function name_of(id)
    local _, _, headers = caller:ask("GET", "/v1/files/" .. id, caller:bearer())
    return headers["content-disposition"]
  end

  it("have the name of their query", function()
    assert.equal('attachment; filename="Name.csv"', name_of(files("Name")[1]))
    assert.equal('attachment; filename="Name.csv.gz"', name_of(files("Name", { format = "gzip" })[1]))
    assert.equal('attachment; filename="Name.zip"', name_of(files("Name", { format = "zip" })[1]))
    assert.equal([[attachment; filename="a \"b\" \\ c/d.csv"]], name_of(files([[a "b" \ c/d]])[1]))
    assert.equal([[attachment; filename="Konten _bersicht.csv"; filename*=UTF-8''Konten%20%C3%9Cbersicht.csv]],
      name_of(files("Konten Übersicht")[1]))
    assert.equal('attachment; filename="twoX-Lines: 2.csv"', name_of(files("two\r\nX-Lines: 2")[1]))
  end)

  it("are numbered when they are segments", function()
    local ids = files("Name", { partner = "p", project = "q", version = "1.1" })
    assert.equal(2, #ids)
    assert.equal('attachment; filename="Name_1.csv"', name_of(ids[1]))
    assert.equal('attachment; filename="Name_2.csv"', name_of(ids[2]))
  end)

  it("can be asked whether they are there", function()
    local status, body = caller:ask("GET", "/v1/files/" .. files("Name")[1] .. "/status", caller:bearer())
    assert.same({ 200, { success = true, accessible = true, status = "RESTORED" } }, { status, body })
    assert.equal(404, (caller:ask("GET", "/v1/files/none/status", caller:bearer())))
  end)
end)
