-- Whole programs that a user might begin with.

local loops = require "spec.loops"
local support = require "spec.support"

describe("the example for", function()
  for _, name in ipairs { "select", "luv", "cqueues", "copas" } do
    local missing = name ~= "select" and loops.missing(name)
    if missing then
      pending(("%s is left out: %s"):format(name, missing))
    else
      it(name .. " moves two clients beside the host's own work", function()
        local text, status = support.lua(support.read("spec/examples/" .. name .. ".lua"), "timeout 60")
        assert.equal(0, status, text)
        local _, completed = text:gsub("COMPLETED", "")
        assert.equal(2, completed, text)
        assert.matches("a task has failed: .*no luck\n", text)
        assert.is_true(tonumber(text:match "the host went on: (%d+)\n$") > 5, text)
      end)
    end
  end

  it("each of the loops is there", function()
    assert.same({ "copas.lua", "cqueues.lua", "luv.lua", "select.lua" }, support.listing "spec/examples")
  end)
end)
