-- Every code that Zuora publishes for AQuA, in the body that a rejected submit has; and the scheme of the
-- eight-digit codes.

local answer = require "zuora.caller.responses"
local codes = require "zuora.codes"

-- Code, the words of Zuora's table in short, may another try help?
local AQUA = {
  { "90001", "batch id" }, { "90002", "job id" }, { "90003", "job id on cancel" }, { "90004", "more than 50 queries" },
  { "90005", "syntax" }, { "90006", "storage", true }, { "90007", "aborted" }, { "90008", "database connection", true },
  { "90009", "not authorized" }, { "90010", "server", true }, { "90012", "stateless and deleted" },
  { "90014", "notifyUrl" }, { "90015", "incremental time" }, { "90016", "no queries" }, { "90017", "deleted unsupported" },
  { "90018", "no permission on an object" }, { "90019", "partner" }, { "90020", "distinct without count" },
  { "90021", "currency" }, { "90022", "internal, retry", true }, { "90027", "query too long" },
  { "90028", "too many jobs", true }, { "90029", "job stuck in processing" },
}

describe("AQuA's code", function()
  for _, row in ipairs(AQUA) do
    local code, words, retryable = table.unpack(row)
    it(code .. ": " .. words, function()
      local body = ('{"status":"error","errorCode":"%s","message":"%s","batches":[],"name":null,"version":"1.0",'
        .. '"format":"CSV","encrypted":"none","useLastCompletedJobQueries":false}'):format(code, words)
      local value, err = answer.read { status = 200, headers = {}, body = body }
      assert.is_nil(value)
      assert.equal("api", err.kind)
      assert.equal(code, err.code)
      assert.equal(words, err.message)
      assert.equal(retryable == true, err.retryable)
      assert.equal(codes.aqua[code].advice, err.advice)
      assert.is_true(#err.advice > 5)
      assert.is_nil(err.category) -- its digits say nothing
      assert.is_truthy(tostring(err):find("(status 200, code " .. code .. "); " .. err.advice, 1, true), tostring(err))
    end)
  end

  it("has no others in the table", function()
    local count = 0
    for _ in pairs(codes.aqua) do count = count + 1 end
    assert.equal(#AQUA, count)
    assert.equal(codes.aqua, require "zuora".aqua_codes)
  end)

  it("is known though a detail stands behind the message", function()
    local _, err = answer.read { status = 200, headers = {}, body = '{"status":"error","errorCode":"90005","message":'
      .. '"There is a syntax error in one of the queries in the AQuA input (unexpected token: form)"}' }
    assert.equal("90005", err.code)
    assert.is_truthy(err.advice)
  end)
end)

describe("an eight-digit code", function()
  it("names a category by its last two digits", function()
    for digits, category in pairs { ["10"] = "permission", ["11"] = "authentication", ["20"] = "bad_value",
      ["21"] = "unknown_field", ["22"] = "missing_field", ["23"] = "missing_parameter", ["27"] = "bad_query_parameter",
      ["30"] = "rule", ["40"] = "not_found", ["45"] = "unsupported_method", ["50"] = "lock", ["60"] = "internal",
      ["61"] = "temporary", ["70"] = "over_limit", ["90"] = "malformed", ["99"] = "integration" } do
      assert.equal(category, codes.category("500000" .. digits))
      assert.equal(category, codes.category("679999" .. digits))
      assert.equal(category, codes.category("900000" .. digits))
    end
    assert.equal("over_limit", codes.category "70")
    assert.equal("over_limit", codes.category "REQUEST_EXCEEDED_LIMIT")
  end)

  it("names none outside the scheme", function()
    for _, code in ipairs { "49999940", "68000040", "90005", "90040", "1003", "SystemError", "5000004", "500000400", "50000012" } do
      assert.is_nil(codes.category(code), code)
    end
  end)

  it("may be worth another try", function()
    for _, code in ipairs { "50000050", "53100061", "50000070", "51234599", "90006", "90008", "90010", "90022", "90028",
      "REQUEST_EXCEEDED_LIMIT", "70" } do
      assert.is_true(codes.is_retryable(code), code)
    end
    for _, code in ipairs { "50000020", "50000040", "50000060", "90005", "90050", "90099", "1070", "ABC70" } do
      assert.is_false(codes.is_retryable(code), code)
    end
    assert.is_false(codes.is_retryable(nil))
  end)

  it("comes with the error, and with advice where there is some", function()
    local function err_of(code)
      return select(2, answer.read { status = 400, headers = {},
        body = '{"success":false,"reasons":[{"code":' .. code .. ',"message":"m"}]}' })
    end
    assert.equal("not_found", err_of("50000040").category)
    assert.is_nil(err_of("50000040").advice)
    assert.matches("entity", err_of("90000020").advice)
    assert.equal("authentication", err_of("90000011").category)
    assert.matches("accepted or in progress", err_of("1003").advice)
  end)
end)
