-- The table of faults: whatever can go wrong, made to go wrong, and what must come of it. Each case says which
-- fault it is, what must come of it and how it is made; what is asked of all of them is in spec/faults/world.lua.

local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"

-- How many cases each letter has; "veteran" are those that no list had.
local LETTERS = { { "A", 32, "network", "bodies" }, { "B", 30, "http" }, { "C", 20, "data" }, { "D", 18, "local" },
  { "E", 20, "embedding" }, { "F", 20, "security" }, { "V", false, "veteran" } }

-- The cases of some files, in order.
local function cases_of(...)
  local cases = {}
  for _, file in ipairs { ... } do
    local list = require("spec.faults." .. file)
    table.move(list, 1, #list, #cases + 1, cases)
  end
  table.sort(cases, function(a, b) return tonumber(a.id:sub(2)) < tonumber(b.id:sub(2)) end)
  return cases
end

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
  local name, count, title = table.unpack(letter)
  local cases = cases_of(table.unpack(letter, 3))

  describe("faults of the " .. title, function()
    it("are all in the table", function()
      for i, case in ipairs(cases) do
        assert.equal(name .. i, case.id)
        assert.is_truthy(case.fault and case.expect and (case.make or case.not_here or case.elsewhere), case.id)
        if case.elsewhere then assert.equal(0, select(2, support.shell("test -e " .. case.elsewhere)), case.elsewhere) end
      end
      if count then assert.equal(count, #cases) end
    end)

    for _, case in ipairs(cases) do
      local words = ("%s: %s: %s"):format(case.id, case.fault, case.expect)
      local missing = case.not_here or case.needs and case.needs()
      if missing then
        pending(("%s (%s)"):format(words, missing))
      elseif case.make then
        it(words, function() world.run(shared, case) end)
      end
    end
  end)
end
