-- The inputs of spec/fuzz/corpus once more: by any compiler, with its sanitizers where it has them. Inputs that
-- `make fuzz` finds join them when what they found is mended.

local support = require "spec.support"
local targets = require "spec.fuzz.targets"

describe("an input of the corpus", function()
  local function replay(program, name)
    local text, status = support.shell(("make -s build/fuzz/%s && FUZZ_TARGET=%s timeout 60 build/fuzz/%s spec/fuzz/corpus/%s/*"):format(
      program, name, program, name))
    assert.matches("^[1-9]%d* inputs\n$", text)
    assert.equal(0, status)
  end

  for _, target in ipairs(targets) do
    it("is as it should be: " .. target.name, function() replay("replay", target.name) end)
    if target.marks then
      it("is as it should be without SSE2 and ISA-L: " .. target.name, function() replay("portable", target.name) end)
    end
  end
end)
