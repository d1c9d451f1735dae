-- The shapes of failures are in answer_spec.lua, by their numbers; what comes as a file, in refusals_spec.lua.

local envelopes = require "zuora.caller.envelopes"
local support = require "spec.support"

describe("zuora.caller.envelopes", function()
  -- What a server may send to make a reader go through it again and again, made of pieces.
  local PIECES = { "<Error>", "<Error><Code>", "<Error><Code>x</Code>", "<zanResponse ", "<zanResponse success='",
    "<faultcode>", "<a:FaultCode>", "<aaaaaa", "<FaultMessage", "<title>", "<TITLE", "<security:max-object-size>", "</",
    "\239\187\191", " ", "<response>", "&amp", "&#39", "<zanResponse success='false'><response>" }

  for _, reader in ipairs { "read", "describe", "in_file" } do
    it("does work that grows with the length of a page, and no faster: " .. reader, function()
      for _, piece in ipairs(PIECES) do
        for _, begin in ipairs { "<", "" } do
          support.assert_linear(envelopes[reader], function(size) return begin .. piece:rep(size // #piece) end, 100000)
        end
      end
    end)
  end

  it("reads what an element holds, whatever stands around it", function()
    local function told(text) return select(2, envelopes.read(text)) end
    assert.same({ code = "a&lt;<'", message = "m" },
      told "<x><Error><Code>a&amp;lt;&lt;&#39;</Code><Message>m</Message></Error></x>")
    assert.same({ code = "c", message = "m" }, told "<Error>\n <Message>m</Message><Code>c</Code></Error>")
    assert.is_nil(told "<Error><Code>c")
    assert.is_nil(told "<zanResponse success='true'><response>{}</response></zanResponse>")
    assert.equal("2047MB", told("<security:max-object-size>2047MB</security:max-object-size>").message:match "%d+MB")
  end)

  it("has words for a failure, though the answer has none", function()
    local function told(text) return select(2, envelopes.read(text)) end
    assert.same({ code = "X", message = "code X" }, told "<FaultCode>X</FaultCode><FaultMessage></FaultMessage>")
    assert.same({ code = "X", message = "code X" }, told "<faultcode>X</faultcode><faultstring> \n</faultstring>")
    assert.is_nil(told "<FaultMessage></FaultMessage>")
    assert.equal("the report service refused the call",
      told("<zanResponse success='false'><response> \1 </response></zanResponse>").message)
    assert.equal(envelopes.NO_REASON, told('{"success":false,"message":"\194\155\\n"}').message)
    assert.equal(envelopes.NO_REASON, envelopes.in_file('{"success":false,"message":" ","x":"').message)
  end)

  it("says what a page is", function()
    assert.equal("empty", envelopes.describe "")
    assert.equal('an HTML page titled "Log in"', envelopes.describe '<html><TITLE lang="en"> Log\nin </TITLE>')
    assert.equal("a page of markup", envelopes.describe " <p>hello</p>")
    assert.equal('"plain words"', envelopes.describe "plain \27 words")
  end)
end)
