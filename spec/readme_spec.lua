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

  it("has every operation in its table, with method, path and function as the core has them, and no other", function()
    local REST = { reporting = "/reporting/api/rest/v1", aqua = "/v1/batch-query", files = "/v1/files",
      queries = "/query/jobs", describe = "/v1/describe" }
    local HOSTS = { both = "", rest = "REST", legacy = "older" }
    local rows = {}
    for row in readme:match("\n## Every operation\n(.-)\n## "):gmatch "\n(| %u+ /[^\n]*)" do rows[row] = true end
    assert.is_true(rows["| POST /oauth/token | by itself | REST |"])
    rows["| POST /oauth/token | by itself | REST |"] = nil
    for group, operations in pairs(require "zuora.core".operations) do
      for name, operation in pairs(group ~= "oauth" and operations or {}) do
        local base = operation.hosts == "legacy" and "/api/rest/v1" or REST[operation.base]
        local face = group .. ":" .. name
        if face == "files:get" then face = "files:download" end
        local row = ("| %s %s%s | `client.%s` | %s |"):format(operation.method, base, operation.path, face,
          HOSTS[operation.hosts])
        assert.is_true(rows[row], row)
        rows[row] = nil
      end
    end
    assert.is_nil(next(rows))
  end)

  it("lists the environments", function()
    for name in pairs(require "zuora".environments) do assert.is_truthy(readme:find("`" .. name .. "`", 1, true)) end
  end)
end)
