local support = require "spec.support"

describe("the version", function()
  it("is one, and loads nothing else", function()
    assert.equal(require "zuora"._VERSION, require "zuora.version")
    assert.equal(require "zuora.version" .. "\tnil\n",
      (support.lua 'print(require "zuora.version", package.loaded["zuora.core"])'))
  end)
end)
