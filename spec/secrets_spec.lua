-- What people see of what came from outside. (Which spellings are known: mask_spec; over the wire: credentials_spec.)

local error_value = require "zuora.error"
local mask = require "zuora.caller.mask"
local secrets = require "zuora.caller.secrets"

describe("zuora.caller.secrets", function()
  local caller

  before_each(function()
    local own = { mask = function(_, text) return mask.text(text, { "SECRET-1" }) end }
    caller = setmetatable({ credentials = own, proxy_secrets = { "SECRET-2" }, words = { count = 0 } },
      { __index = secrets })
  end)

  it("takes the secrets of credentials and proxies out of a text, and signed links", function()
    assert.equal("*** *** ***", caller:masked "SECRET-1 SECRET-2 https://a.example/x?sig=1")
    assert.is_nil(caller:masked(nil))
  end)

  it("takes them out of errors alone, and leaves its own words", function()
    local err = error_value.new { kind = "api", message = "SECRET-1", operation = "SECRET-1", body = "SECRET-2",
      reasons = { { code = "SECRET-1", message = "m" } } }
    assert.same({ nil, err, 3 }, { caller:shown(nil, err, 3) })
    assert.same({ "***", "***", "***", "m" }, { err.message, err.body, err.reasons[1].code, err.reasons[1].message })
    assert.equal("SECRET-1", err.operation)
    assert.same({ "SECRET-1" }, { caller:shown "SECRET-1" })
  end)

  it("remembers which words hold none, so many of them", function()
    assert.equal("completed", caller:word "completed")
    assert.is_true(caller.words.completed)
    assert.equal("is ***", caller:word "is SECRET-1")
    assert.is_nil(caller.words["is SECRET-1"])
    assert.equal(7, caller:word(7))
    for i = 1, 200 do caller:word("word " .. i) end
    assert.equal(100, caller.words.count)
  end)
end)
