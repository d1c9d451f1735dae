-- Results of any size in a few MiB of memory: 128 MiB of each in `make test`, gigabytes in `make test-big`.

local support = require "spec.support"

local MIB = 1024 * 1024
local SIZE = (tonumber(os.getenv "BIG_MIB") or 128) * MIB
local LIMIT = 24 * 1024 -- KiB

describe("a big result #big", function()
  local sim, job, run

  setup(function()
    sim = support.simulator { token_life = 86400,
      objects = { Big = { generate = { rows = SIZE // 84, awkward = true } } },
      reports = { r = { generate = { rows = SIZE // 84 // 4, awkward = true } } } }
    local client <close> = support.client(sim)
    job = assert(assert(client.jobs:submit { queries = { { name = "b", query = "select * from Big" } } }):wait(support.soon))
    run = assert(assert(client.reportruns:start("r", { view = "Detail" })):wait(support.soon))
  end)
  teardown(function() sim:stop() end)

  -- Runs the work in a process of its own: what it returns, and its peak memory in KiB.
  local function measure(work)
    local text = support.lua(([[
      local zuora = require "zuora"
      local client = zuora.new { base_url = %q, client_id = %q, client_secret = %q, tmpdir = "build/spec" }
      local job_id, run_id = %q, %q
      local result = (function() %s end)()
      print(result, io.open("/proc/self/status"):read("a"):match "VmHWM:%%s*(%%d+)")]])
      :format(sim.url, sim.client_id, sim.client_secret, job.id, run.id, work))
    local result, peak = text:match "^(%d+)\t(%d+)\n$"
    assert.is_string(result, text)
    return tonumber(result), tonumber(peak)
  end

  it("is downloaded in a few MiB", function()
    local bytes, peak = measure [[
      local written = assert(assert(client.jobs:get(job_id)).batches[1]:download "build/spec/big.csv")
      return written.bytes]]
    assert.is_true(bytes >= SIZE, bytes)
    assert.is_true(peak < LIMIT, peak)
  end)

  it("is read as rows in a few MiB", function()
    for _, form in ipairs { "keyed", "lazy" } do
      local count, peak = measure(([[
        local count = 0
        for row in assert(zuora.rows("build/spec/big.csv", { form = %q })) do count = count + 1 end
        return count]]):format(form))
      assert.equal(SIZE // 84, count)
      assert.is_true(peak < LIMIT, peak)
    end
    os.remove "build/spec/big.csv"
  end)

  it("is exported from UTF-16 in a few MiB", function()
    local records, peak = measure [[
      local written = assert(client.reportruns:export(run_id, "build/spec/big.csv"))
      os.remove "build/spec/big.csv"
      return written.records]]
    assert.equal(SIZE // 84 // 4, records)
    assert.is_true(peak < LIMIT, peak)
  end)
end)
