-- What continuous integration runs: that it can be run here is seen by running it; this holds its names.

local support = require "spec.support"

describe("the workflow", function()
  local workflow = support.read ".github/workflows/ci.yml"

  it("calls targets, rockspecs and packages that are there", function()
    local makefile = support.read "Makefile"
    local phony = {}
    for list in makefile:gsub("\\\n", " "):gmatch "\n%.PHONY:([^\n]*)" do
      for name in list:gmatch "%S+" do phony[name] = true end
    end
    local count = 0
    for target in workflow:gmatch "[:&,%[] ?make ([%l-]+)" do
      count = count + 1
      assert(phony[target] or makefile:find("\n" .. target .. ":", 1, true), target)
    end
    assert.is_true(count >= 8)
    for path in workflow:gmatch "rockspec/[%w.-]+" do assert.is_string(support.read(path)) end
    for name in workflow:match "\n  SPECS: >%-\n(.-)\n\n":gmatch "[%l_]+" do
      assert.is_string(support.read("spec/" .. name .. "_spec.lua"), name)
    end
  end)

  it("covers the systems and the compilers that are promised", function()
    for _, name in ipairs { "debian:12", "ubuntu:24.04", "fedora:", "alpine:", "macos-", "gcc, clang", "gh-actions-lua@",
      "gh-actions-luarocks@", "make test", "make lint", "make check", "make fuzz" } do
      assert.is_truthy(workflow:find(name, 1, true), name)
    end
  end)
end)
