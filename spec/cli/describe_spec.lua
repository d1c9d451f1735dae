local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

describe("zuora describe", function()
  local sim, run, good

  setup(function()
    sim = support.simulator()
    run, good = program.on(sim)
  end)
  teardown(function() sim:stop() end)

  it("lists objects, the fields of one, and what an export can select", function()
    assert.matches("^name,label\nAccount,Account\n", (good "describe --format csv"))
    assert.matches("^name,label,type,required,custom,selectable,filterable\nId,Id,text,", (good "describe Account --format csv"))
    assert.matches("^name\nId\nAccountNumber\n", (good "describe Account --exportable --format csv"))
    assert.equal("Account", core.decode((good "describe Account --json")).name)
  end)

  it("says that there is no such object", function()
    local result = run "describe Nothing"
    assert.equal(1, result.code)
    assert.equal("", result.out)
    assert.matches("^zuora: %w+: [^\n]*\n$", result.err)
  end)
end)
