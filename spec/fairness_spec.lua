-- Nobody has all of the time: neither big downloads nor tasks that never wait for the network; and whoever
-- waits takes none.

local core = require "zuora.core"
local support = require "spec.support"

describe("fairness", function()
  local sim, job, directory

  setup(function()
    sim = support.simulator { looks = 1, objects = { Big = { generate = { rows = 600000 } } } } -- some 50 MiB
    -- In memory, where there is such a place: not the disk is measured, which stops everybody while it syncs.
    directory = os.execute "test -w /dev/shm" and "/dev/shm/" .. os.tmpname():match "[^/]*$" or support.scratch "fairness"
    assert(os.execute("mkdir -p " .. directory))
    local client <close> = support.client(sim)
    job = assert(client.jobs:submit { queries = { { name = "a", query = "select * from Big" } } })
    job = assert(job:wait(support.soon))
  end)
  teardown(function()
    sim:stop()
    os.execute("rm -r " .. directory)
  end)

  it("lets small calls through while big files come", function()
    -- Another server, so that not the simulator is measured, which is one thread.
    local other <close> = support.simulator()
    local client <close> = support.client(sim, { aqua_url = other.url .. "/v1/batch-query", username = sim.username,
      password = sim.password })
    local id = assert(client.jobs:submit { queries = { { name = "a", query = "select Id from Account" } } }).id
    local file_id, ended, bytes = job.batches[1].fileId, 0, 0
    local during = {}
    local function download(i)
      return function()
        local path = directory .. "/" .. i
        local written = assert(client.files:download(file_id, path, { resume = true })) -- not packed
        bytes = bytes + written.bytes
        os.remove(path)
        ended = ended + 1
      end
    end
    local began = core.now()
    client:run(download(1), download(2), download(3), download(4), function()
      repeat
        local before = core.now()
        assert(client.jobs:get(id))
        during[#during + 1] = core.now() - before
      until ended == 4
    end)
    assert.is_true(bytes > 150 * 1024 * 1024, bytes)
    -- A call that had to wait for the files would be the only one. Where each had to wait for one of them, it would take
    -- a quarter of the time, however fast the machine is; one or two may have met with what else the machine does.
    local took = core.now() - began
    assert.is_true(#during >= 4, #during .. " calls while four files came")
    table.sort(during, function(a, b) return a > b end)
    assert.is_true(during[3] < took / 4, ("%g s for a small call, %g s for the files"):format(during[3], took))
  end)

  it("lets others go on beside a task that never waits for the network", function()
    local client <close> = support.client(sim)
    local id, turns, done = job.id, 0, false
    client:run(function()
      while not done do
        turns = turns + 1
        client:sleep(0)
      end
    end, function()
      for _ = 1, 5 do assert(client.jobs:get(id)) end
      client:sleep(0.02)
      done = true
    end)
    assert.is_true(turns > 10)
  end)

  it("costs no time while everybody waits", function()
    local patient <close> = support.simulator { looks = 1000 }
    local client <close> = support.client(patient)
    local id = assert(client.jobs:submit { queries = { { name = "a", query = "select Id from Account" } } }).id
    local cpu
    assert.is_false((pcall(client.run, client, function()
      for _ = 1, 1000 do client:spawn(function() client:sleep(1000) end) end
      for _ = 1, 20 do client:spawn(function() client.jobs:wait(id, { min = 1000, max = 1000 }) end) end
      client:sleep(0.3)
      local before = os.clock()
      client:sleep(1)
      cpu = os.clock() - before
      error "enough"
    end)))
    assert.is_true(cpu < 0.1, cpu .. " s of CPU")
  end)

  it("costs no time while requests wait for a slot", function()
    local client <close> = support.client(sim, { concurrency_limit = 1 })
    assert(client.jobs:get(job.id))
    sim:fault { on = "GET /v1/batch-query/*", kind = "stall" }
    local cpu
    assert.is_false((pcall(client.run, client, function()
      for _ = 1, 500 do client:spawn(function() client.jobs:get(job.id) end) end
      client:sleep(0.05)
      local before = os.clock()
      client:sleep(1)
      cpu = os.clock() - before
      error "enough"
    end)))
    assert.is_true(cpu < 0.1, cpu .. " s of CPU")
    assert(client.jobs:get(job.id))
  end)
end)
