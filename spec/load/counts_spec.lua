-- zuora.load.counts: what an audit is told by a target, exact to the last digit.

local audited = require "spec.extract.audited"
local kinds = require "spec.load.kinds"

describe("the sums of a target", function()
  local AMOUNTS = { "0.1", "0.2", "-0.3", "900719925474099.75", "-0.000000001", "", "12", "-5", "100000000000.999999999",
    "-900719925474099.76", "7." .. ("3"):rep(9) }

  for kind, of in pairs(kinds) do
    it("are exact in " .. kind, function()
      if of.missing then return pending("cannot be tried here: " .. of.missing) end
      of.setup()
      local rows = {}
      for i, amount in ipairs(AMOUNTS) do
        rows[i] = { "id" .. i, "n", amount, "2026-01-0" .. i % 9 + 1 .. "T00:00:00+0000", "2026-02-01T00:00:00+0000" }
      end
      local ok, problem = pcall(function()
        local here <close> = audited.world(rows)
        local plan = here:plan({ { object = "Thing", totals = audited.TOTALS } }, { load = { to = of.to(here.folder) } })
        assert(here:run(plan))
        assert.equal("right", assert(audited.audit(here, plan))[1].outcome)
        of:run(here.folder, [[UPDATE "Thing" SET "Amount" = '-0.000000002' WHERE "Id" = 'id5']])
        local one = assert(audited.audit(here, plan))[1].differences[1]
        assert.same({ "2026-01", "100000000015.323333331", "100000000015.32333333" }, { one.month,
          one.expected["sum(Amount)"], one.found["sum(Amount)"] })
        of.forget(here.folder)
      end)
      of.teardown()
      assert(ok, problem)
    end)
  end
end)
