local error_value = require "zuora.error"

describe("zuora.error", function()
  it("prints as one line with what helps to find it again", function()
    local err = error_value.new { kind = "api", message = "no such\njob", status = 404, code = "50000040",
      request_id = "abc", attempts = 3 }
    assert.equal("zuora: api: no such job (status 404, code 50000040, request id abc, attempts 3)", tostring(err))
    assert.equal("zuora: file: full", tostring(error_value.new { kind = "file", message = "full" }))
  end)

  it("is returned where it was raised, and nothing else is", function()
    local err = error_value.new { kind = "file", message = "full" }
    assert.same({ 1, nil, 3 }, { error_value.guarded(function(...) return ... end, 1, nil, 3) })
    assert.same({ nil, err }, { error_value.guarded(error, err, 0) })
    assert.has_error(function() error_value.guarded(error, "a mistake", 0) end, "a mistake")
  end)

  it("is raised with its words", function()
    local _, err = error_value.guarded(error_value.raise, "file", "%s: %d", "100%", 3)
    assert.same({ "file", "100%: 3", false }, { err.kind, err.message, err.retryable })
  end)

  it("takes control characters and length out of what servers say", function()
    local err = error_value.new { kind = "api", message = "a\27[31mred\0\r\n\tb" .. ("x"):rep(100000) }
    assert.is_nil(err.message:find("%c"))
    assert.is_true(#err.message <= 1000)
    assert.is_nil(tostring(err):find("[\n\27]"))
    assert.equal("a b", error_value.clean "a\194\155b")
    assert.equal("50%n %s", error_value.new { kind = "api", message = "50%n %s" }.message)
  end)

  it("lets nothing of a server's steer a terminal, turn a line, or break it", function()
    local bad = { "\27]0;title\7", "\127", "\0", "\r", "\194\133", "\194\155", "\155", "\u{202e}", "\u{202a}", "\u{2066}", "\u{2069}",
      "\u{200e}", "\u{200f}", "\u{61c}", "\u{2028}", "\u{2029}", "\237\160\128", "\226\128", "\192\155" }
    local function is_plain(text)
      assert.is_truthy(utf8.len(text), text)
      for _, code in utf8.codes(text) do
        assert.is_false(code < 32 or code >= 127 and code < 160 or code == 0x61c or code >= 0x200e and code <= 0x200f
          or code >= 0x2028 and code <= 0x202e or code >= 0x2066 and code <= 0x2069, ("U+%04X"):format(code))
      end
    end
    for _, piece in ipairs(bad) do
      local text = "A" .. piece .. "B"
      local err = error_value.new { kind = "api", message = text, code = text, request_id = text, track_id = text,
        process_id = text, reasons = { { code = text, message = text } }, body = text }
      for _, value in ipairs { err.message, err.code, err.request_id, err.track_id, err.process_id, err.reasons[1].code,
        err.reasons[1].message, tostring(err), error_value.clean(piece) } do
        is_plain(value)
      end
      -- What is added later is in no way better.
      err.message = "x: " .. text
      is_plain(tostring(err))
      assert.equal(text, err.body) -- as it came
      assert.is_nil(tostring(error_value.new { kind = "api", message = "m", body = "B0DY" }):find("B0DY", 1, true))
    end
    -- Good text stays, and is cut between characters.
    assert.equal("Žluťoučký kůň – ½ €", error_value.clean "Žluťoučký kůň – ½ €")
    for length = 5, 12 do is_plain(error_value.clean("ěščřžýáíé", length)) end
    assert.equal("ě...", error_value.clean("ěščřžýáíé", 6))
    is_plain(error_value.clean(("€"):rep(5000)))
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
