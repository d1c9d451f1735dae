-- The table of faults: whatever can go wrong, made to go wrong, and what must come of it. Each case says which
-- fault it is, what must come of it and how it is made; what is asked of all of them is in spec/faults/world.lua.

local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"

-- How many cases each letter has; "veteran" are those that no list had.
local LETTERS = { { "A", "network", 32 }, { "B", "http", 30 }, { "C", "data", 20 }, { "D", "local", 18 },
  { "E", "embedding", 20 }, { "F", "security", 20 }, { "V", "veteran" } }

local shared

setup(function()
  local planted = world.planted
  local sim = support.simulator { looks = 1, client_id = planted.client_id, client_secret = planted.client_secret,
    username = planted.username, password = planted.password }
  local client <close> = support.client(sim)
  local job = assert(client.jobs:submit { queries = { { name = "a", query = "select Id, Name from Account" } } })
  assert(job:wait(support.soon))
  shared = { sim = sim, job = { id = job.id, file = job:batch "a".fileId },
    certificates = wire.certificates(support.scratch "certificates") }
end)
teardown(function() shared.sim:stop() end)

for _, letter in ipairs(LETTERS) do
  local name, file, count = table.unpack(letter)
  local cases = require("spec.faults." .. file)

  describe("faults of the " .. file, function()
    it("are all in the table", function()
      for i, case in ipairs(cases) do
        assert.equal(name .. i, case.id)
        assert.is_truthy(case.fault and case.expect and (case.make or case.not_here or case.elsewhere), case.id)
        if case.elsewhere then assert.equal(0, select(2, support.shell("test -e " .. case.elsewhere)), case.elsewhere) end
      end
      assert.equal(count or #cases, #cases)
    end)

    for _, case in ipairs(cases) do
      local title = ("%s: %s: %s"):format(case.id, case.fault, case.expect)
      local missing = case.not_here or case.needs and case.needs()
      if missing then
        pending(("%s (%s)"):format(title, missing))
      elseif case.make then
        it(title, function() world.run(shared, case) end)
      end
    end
  end)
end
