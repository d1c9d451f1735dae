-- Several Lua states in threads of one process, each with a client of its own.

local support = require "spec.support"

-- What each of them does: a run, a job, files, rows, errors, everything at once.
local WORK = [[
package.path, package.cpath = %q, %q
local zuora = require "zuora"
local support = require "spec.support"
local path = ("%s/%%d-"):format(thread)
for round = 1, 3 do
  local client <close> = zuora.new { base_url = %q, client_id = %q, client_secret = %q, ca_file = %q }
  client:run(function()
    local run = assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
    assert(run:wait(support.soon))
    local count = 0
    for _ in assert(run:rows()) do count = count + 1 end
    assert(count == 3)
  end, function()
    local job = assert(client.jobs:submit { queries = {
      { name = "Account", query = "select Id, Name from Account" },
      { name = "Invoice", query = "select Id from Invoice" },
    } })
    assert(job:wait(support.soon))
    local file = assert(job:batch "Account":download(path .. round))
    assert(file.records == 500 and #support.read(path .. round) == file.bytes)
    assert(job:batch "Invoice":download(path .. "invoice"))
  end, function()
    for _ = 1, 10 do
      local _, err = client.jobs:get "nowhere"
      assert(err.kind == "api" or err.kind == "http", err)
      client:sleep(0.001)
    end
    local _, err = client.files:download("x", "/nowhere/x")
    assert(err.kind == "file" and tostring(err):find "No such file or directory", err)
  end)
end
]]

describe("Lua states in threads", function()
  local sim
  setup(function()
    sim = support.simulator { tls = true, objects = {
      Account = { generate = { rows = 500 } }, Invoice = { generate = { rows = 50 } },
    } }
  end)
  teardown(function() sim:stop() end)

  local function side_by_side(count)
    local directory = support.scratch("side-by-side")
    support.write(directory .. "/work.lua", WORK:format(package.path,
      ("./%s/?.so;"):format(support.BUILD) .. package.cpath, directory, sim.url, sim.client_id,
      sim.client_secret, sim.ca_file))
    local text, status = support.shell(("timeout 120 %s %s %d %s/work.lua"):format(os.getenv "SPEC_LUA_PREFIX" or "",
      support.native "threads", count, directory))
    assert.equal("0 failed\n", text)
    assert.equal(0, status)
  end

  it("work side by side: two", function() side_by_side(2) end)
  it("work side by side: eight", function() side_by_side(8) end)
end)
