local help = require "zuora.cli.help"
local program = require "spec.cli.program"
local settings = require "zuora.cli.settings"

describe("help", function()
  it("has topics", function()
    for _, topic in ipairs { "environment", "formatting", "exit-codes", "plan" } do
      local result = program.run("help " .. topic)
      assert.equal(0, result.code)
      assert.is_true(#result.out > 80)
      for line in result.out:gmatch "[^\n]+" do assert.is_true(#line <= 100, line) end
    end
    assert.matches('\nIn load .*%* to +"sqlite:PATH" or "postgresql://…"\n.*deletes +one of flag, remove\n', help.topic("plan", {}) .. "\n")
    assert.is_nil(help.topic("nothing", {}))
    assert.equal("zuora x: y", help.topic("x", { { "x", "y" } }))
  end)

  it("names every variable that is read", function()
    local text = help.topic("environment", {})
    for _, row in ipairs(settings.table) do
      if row.variable then assert.is_truthy(text:find("\n  " .. row.variable .. " ", 1, true), row.variable) end
    end
  end)
end)
