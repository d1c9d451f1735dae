-- What the README prints must work as printed.

local support = require "spec.support"

describe("the README", function()
  local readme = support.read "README.md"

  it("has code that runs", function()
    local count = 0
    for code in readme:gmatch("```lua\n(.-)```") do
      count = count + 1
      local text, status = support.lua(code)
      assert.equal(0, status, text)
    end
    assert.is_true(count >= 1)
  end)

  it("has a tour of some 20 lines that shows rows and a file", function()
    local code = readme:match("```lua\n(.-)```")
    local lines = 0
    for line in code:gmatch("[^\n]+") do lines = lines + (line:match("%S") and 1 or 0) end
    assert.is_true(lines <= 25, lines)
    local text = support.lua(code)
    assert.matches("日本 GmbH\t%-12%.50", text)
    assert.matches("%d+ bytes\t3 records", text)
  end)

  it("names every call, and its path, as the core has them", function()
    for group, operations in pairs(require "zuora.core".operations) do
      for name, operation in pairs(operations) do
        if group ~= "oauth" and group ~= "files" then
          local row = readme:match("\n(| `client%." .. group .. ":" .. name .. "[^\n]*)")
          assert.is_string(row, group .. ":" .. name)
          assert.is_truthy(row:find(operation.method, 1, true), row)
        end
      end
    end
  end)

  it("lists the environments", function()
    for name in pairs(require "zuora".environments) do assert.is_truthy(readme:find("`" .. name .. "`", 1, true)) end
  end)
end)
