local attempt = require "zuora.support.attempt"

describe("an attempt", function()
  it("gives what pcall gives", function()
    assert.same({ true, 1, nil, 3, n = 4 }, table.pack(attempt(function(...) return ... end, 1, nil, 3)))
    assert.same({ false, "no", n = 2 }, table.pack(attempt(error, "no", 0)))
  end)

  it("raises what Ctrl-C raises", function()
    assert.has_error(function() attempt(error, "interrupted!", 0) end, "interrupted!")
  end)
end)
