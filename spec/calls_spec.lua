-- Calls by what their answers are: what each makes of one answer. (Over the wire: caller_spec and its neighbours.)

local calls = require "zuora.caller.calls"

describe("zuora.caller.calls", function()
  -- A caller whose attempts all get this answer.
  local function caller(body, content_type)
    local fake = { shared = function(_, options) return options end }
    function fake.perform(_, _, _, _, handler, context)
      return handler:read({ status = 200, headers = { ["content-type"] = content_type }, body = body }, context)
    end
    function fake.masked(_, text) return text end
    return setmetatable(fake, { __index = calls })
  end

  it("give the value of JSON, or what is wrong with it", function()
    local function shape(body) return body.id, "the answer has no id" end
    assert.equal("7", caller '{"id":"7"}':json({}, {}, {}, shape))
    local value, err = caller '{"success":true}':json({}, {}, {}, shape)
    assert.is_nil(value)
    assert.same({ "json", "the answer has no id", false }, { err.kind, err.message, err.retryable })
  end)

  it("say that it is done, with the words of the answer", function()
    assert.same({ true }, { caller "":done({}, {}, {}) })
    assert.same({ true, "gone" }, { caller '{"response":{"message":"gone"}}':done({}, {}, {}) })
  end)

  it("say that a job was cancelled, where the answer does not say what it is", function()
    local function shape(body) return body.id, "the answer has no id" end
    for _, body in ipairs { "", "{}", "null", '{"success":true}' } do
      assert.is_true(caller(body):cancel({}, {}, {}, shape))
    end
    assert.equal("7", caller '{"id":"7"}':cancel({}, {}, {}, shape))
    assert.equal("json", select(2, caller '{"name":"7"}':cancel({}, {}, {}, shape)).kind)
  end)

  it("take words in the place of what was asked for as the reason", function()
    local _, err = caller '{"response":"no such run"}':reporting({}, {}, {}, function() return nil, "no list" end)
    assert.same({ "api", "no such run" }, { err.kind, err.message })
  end)

  it("hand XML to its reader", function()
    assert.equal("<a/>", caller("<a/>", "text/xml"):xml({}, {}, {}, function(text) return text end))
    local _, err = caller("<a", "text/xml"):xml({}, {}, {}, function() return nil, "cut" end)
    assert.same({ "text", "cut" }, { err.kind, err.message })
  end)
end)
