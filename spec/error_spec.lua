local error_value = require "zuora.error"

describe("zuora.error", function()
  it("prints as one line with what helps to find it again", function()
    local err = error_value.new { kind = "api", message = "no such\njob", status = 404, code = "50000040",
      request_id = "abc", attempts = 3 }
    assert.equal("zuora: api: no such job (status 404, code 50000040, request id abc, attempts 3)", tostring(err))
    assert.equal("zuora: file: full", tostring(error_value.new { kind = "file", message = "full" }))
  end)

  it("takes control characters and length out of what servers say", function()
    local err = error_value.new { kind = "api", message = "a\27[31mred\0\r\n\tb" .. ("x"):rep(100000) }
    assert.is_nil(err.message:find("%c"))
    assert.is_true(#err.message <= 1000)
    assert.is_nil(tostring(err):find("[\n\27]"))
    assert.equal("a b", error_value.clean "a\194\155b")
    assert.equal("50%n %s", error_value.new { kind = "api", message = "50%n %s" }.message)
  end)

  it("cuts the body", function()
    assert.equal(2048, #error_value.new { kind = "api", message = "x", body = ("y"):rep(5000) }.body)
  end)

  it("is a value: copied, told from others, retryable or not", function()
    local err = error_value.new { kind = "api", message = "x" }
    assert.is_false(err.retryable)
    local copy = error_value.copy(err)
    copy.attempts = 2
    assert.is_nil(err.attempts)
    assert.is_true(error_value.is(copy))
    assert.is_false(error_value.is {})
    assert.is_false(error_value.is "x")
  end)
end)
