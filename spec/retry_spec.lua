local error_value = require "zuora.error"
local retry = require "zuora.caller.retry"

describe("zuora.caller.retry", function()
  local function policy(draw)
    return retry.new { retry_after_limit = 300, random = function() return draw or 1 end }
  end

  local function call(fields)
    local all = { tries = 1, retries = 3, safe = true, remaining = 300, patience = 300 }
    for name, value in pairs(fields or {}) do all[name] = value end
    return all
  end

  local function err(fields)
    fields.message = "x"
    fields.kind = fields.kind or "api"
    if fields.retryable == nil then fields.retryable = true end
    return error_value.new(fields)
  end

  it("doubles the longest pause up to a cap, and draws from 0 to it", function()
    local longest = {}
    for tries = 1, 8 do longest[tries] = policy():delay(err { status = 503 }, call { tries = tries, retries = 9 }) end
    assert.same({ 0.5, 1, 2, 4, 8, 16, 20, 20 }, longest)
    assert.equal(0, policy(0):delay(err { status = 503 }, call()))
    assert.equal(1, policy():delay(err { status = 429 }, call()))
  end)

  it("stops after the retries, and at errors that stay", function()
    assert.is_nil((policy():delay(err { status = 503 }, call { tries = 4 })))
    assert.is_nil((policy():delay(err { status = 404, retryable = false }, call())))
    assert.is_nil((policy():delay(err { status = 503 }, call { retries = 0 })))
  end)

  it("waits as long as the server asks, within reason", function()
    assert.equal(120, policy():delay(err { status = 429, retry_after = 120 }, call()))
    assert.equal(0.5, policy():delay(err { status = 503, retry_after = 0.1 }, call()))
    assert.is_nil((policy():delay(err { status = 429, retry_after = 301 }, call { remaining = 1000 })))
  end)

  it("learns nothing of a call from a try that could not go out", function()
    local function noted(fields, error_fields)
      fields.safe = false
      local noticed, one = err(error_fields), call(fields)
      retry.note_outcome(noticed, one)
      return noticed.unknown_outcome
    end
    assert.is_true(noted({}, { status = 500 }))
    assert.is_true(noted({}, { status = 408, kind = "api" }))
    assert.is_nil(noted({}, { status = 200 }))
    for _, kind in ipairs { "transport", "incomplete", "too_large", "json", "http" } do
      assert.is_true(noted({}, { status = 200, kind = kind }))
      assert.is_nil(noted({}, { status = 400, kind = kind }))
    end
    assert.is_nil(noted({ refused = true }, { status = 500 }))
    assert.is_nil(noted({ refused = true }, {}))
    assert.is_true(noted({ unknown = true, refused = true }, { status = 400 }))
    assert.is_nil(noted({ unknown = true }, { status = 400 }))
  end)

  it("takes a pause that the server asks for for no failure: it costs nothing", function()
    local calm, one = policy(), call { tries = 4, patience = 1e6, remaining = 1e6 }
    for _ = 1, 1000 do assert.equal(60, calm:delay(err { status = 429, retry_after = 60 }, one)) end
    assert.equal(60, calm:delay(err { status = 503, retry_after = 60 }, call { tries = 9 }))
    assert.is_number(calm:delay(err { status = 503 }, call()))
    -- Other answers, and pauses of no length, are failures.
    assert.is_nil((calm:delay(err { status = 500, retry_after = 60 }, call { tries = 4 })))
    assert.is_nil((calm:delay(err { status = 429, retry_after = 0 }, call { tries = 4 })))
    -- A keyed call that got a 503 may not be sent again, pause or not.
    assert.is_nil((calm:delay(err { status = 503, retry_after = 60 }, call { safe = false })))
  end)

  it("waits through so many pauses in a row as it has patience, and anew after progress", function()
    local calm, one = policy(), call { patience = 150, remaining = math.huge }
    local pause = err { status = 429, retry_after = 60 }
    assert.equal(60, calm:delay(pause, one))
    assert.equal(60, calm:delay(pause, one))
    assert.is_nil((calm:delay(pause, one)))
    one.progressed = true
    assert.equal(60, calm:delay(pause, one))
    assert.is_nil((calm:delay(pause, call { retries = 0 })))
  end)

  it("lets the deadline win", function()
    assert.is_nil((policy():delay(err { status = 429, retry_after = 120 }, call { remaining = 100 })))
  end)

  it("sends a keyed call again without an answer, and after 409 and 429, but not after a 5xx", function()
    local keyed = { safe = false }
    assert.is_number(policy():delay(err { kind = "transport" }, call(keyed)))
    assert.is_number(policy():delay(err { kind = "incomplete", status = 200 }, call(keyed)))
    assert.is_nil((policy():delay(err { kind = "incomplete", status = 500 }, call(keyed))))
    assert.is_number(policy():delay(err { status = 409, retryable = false }, call(keyed)))
    assert.is_number(policy():delay(err { status = 429 }, call(keyed)))
    for _, status in ipairs { 500, 502, 503, 504, 408, 404, 400, 200 } do
      assert.is_nil((policy():delay(err { status = status }, call(keyed))))
    end
    assert.is_nil((policy():delay(err { kind = "transport", retryable = false }, call(keyed))))
    assert.is_nil((policy():delay(err { status = 409, retryable = false }, call())))
  end)

  it("runs out of tokens in an outage, and earns them back", function()
    local tired = policy()
    local granted = 0
    for _ = 1, 200 do
      if tired:delay(err { kind = "transport" }, call()) then granted = granted + 1 end
    end
    assert.equal(100, granted)
    tired:succeeded { cost = 5 }
    assert.is_number(tired:delay(err { status = 503 }, call()))
    assert.is_nil((tired:delay(err { status = 503 }, call())))
    for _ = 1, 5 do tired:succeeded {} end
    assert.is_number(tired:delay(err { status = 503 }, call()))
  end)

  it("pays double after a time-out", function()
    local tired = policy()
    local granted = 0
    for _ = 1, 200 do
      if tired:delay(err { kind = "transport" }, call { class = "timeout" }) then granted = granted + 1 end
    end
    assert.equal(50, granted)
  end)

  it("knows which failures of a connection pass", function()
    for _, class in ipairs { "unsent", "broken", "incomplete", "timeout" } do
      assert.is_true(retry.is_transient(class))
    end
    assert.is_false(retry.is_transient "local")
  end)

  it("sends again without a key only what was never sent", function()
    local function granted(class)
      return (policy():delay(err { kind = "transport" }, call { safe = false, unkeyed = true, class = class }))
    end
    assert.is_number(granted "unsent")
    assert.is_nil(granted "broken")
  end)

  it("says why not", function()
    local function reason(failure, fields) return select(2, policy():delay(err(failure), call(fields))) end
    assert.equal("final", reason { status = 404, retryable = false })
    assert.equal("not repeatable", reason({ status = 503 }, { safe = false }))
    assert.equal("attempts", reason({ status = 503 }, { tries = 4 }))
    assert.equal("deadline", reason({ status = 503 }, { remaining = 0.1 }))
    assert.equal("pause", reason { status = 429, retry_after = 301 })
    local tired = policy()
    tired.tokens = 0
    assert.equal("budget", select(2, tired:delay(err { status = 503 }, call())))
  end)
end)
