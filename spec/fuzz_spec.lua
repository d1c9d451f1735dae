-- The inputs of spec/fuzz/corpus once more: by any compiler, with its sanitizers where it has them. Inputs that
-- `make fuzz` finds join them when what they found is mended.

local support = require "spec.support"
local targets = require "spec.fuzz.targets"

describe("an input of the corpus", function()
  local replay = "build/fuzz/replay"

  setup(function()
    local text, status = support.shell("make -s " .. replay)
    assert(status == 0, text)
  end)

  for _, target in ipairs(targets) do
    it("is as it should be: " .. target.name, function()
      local text, status = support.shell(("FUZZ_TARGET=%s timeout 60 %s spec/fuzz/corpus/%s/*"):format(target.name, replay,
        target.name))
      assert.matches("^[1-9]%d* inputs\n$", text)
      assert.equal(0, status)
    end)
  end
end)
