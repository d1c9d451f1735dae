local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"

describe("zuora request", function()
  local sim, run, good, dir

  setup(function()
    sim = support.simulator()
    run, good = program.on(sim)
    dir = support.scratch "cli-request"
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:forget() end)

  it("prints an answer as it is, be it JSON or not", function()
    assert.matches("^<%?xml .*</object>\n?$", (good "request GET /v1/describe/Account --accept application/xml"))
    good "query submit 'select Name from Account'"
    sim:forget()
    local out = good "request get '/query/jobs?pageSize=1&y=a+b%2f' -f x=1 -f x=2"
    assert.is_table(core.decode(out).data)
    assert.equal("/query/jobs?pageSize=1&x=1&x=2&y=a%20b%2F", support.sent(sim, "GET", "/query/jobs")[1].target)
  end)

  it("changes no byte of an answer, be it JSON or not", function()
    for body, content_type in pairs { ['{ "b":9007199254740993, "a":{},"c":1.10 }'] = "application/json",
      ["PK\3\4\0\255"] = "application/octet-stream", ["a\n"] = "text/plain" } do
      sim:fault { on = "GET /v1/thing", kind = "status", status = 200, body = body, headers = { ["Content-Type"] = content_type } }
      assert.equal(body, (good "request GET /v1/thing"))
    end
  end)

  it("sends members of a body, as text and as JSON, or a whole one", function()
    good [[request POST query/jobs -f query='select Name from Account' -f outputFormat=CSV -f compression=NONE \
      -F 'output={"target":"S3"}' -F readDeleted=false]]
    local sent = core.decode(support.sent(sim, "POST", "/query/jobs")[1].body)
    assert.same({ query = "select Name from Account", outputFormat = "CSV", compression = "NONE",
      output = { target = "S3" }, readDeleted = false }, sent)
    support.write(dir .. "/body.json", core.encode(sent))
    good(("request POST /query/jobs --input %s/body.json"):format(dir))
    good(("request POST /query/jobs --input - < %s/body.json"):format(dir))
    assert.equal(support.read(dir .. "/body.json"), support.sent(sim, "POST", "/query/jobs")[3].body)
  end)

  it("says what Zuora says of it", function()
    local result = run "request GET /v1/describe/Nothing"
    assert.equal(1, result.code)
    assert.matches("^zuora: .*status 4%d%d", result.err)
    assert.equal(2, run("request GET '/a b'").code)
    assert.equal(2, run("request FETCH /a").code)
    result = run("request POST /a -f x=1 --input - < /dev/null")
    assert.same({ 2, "zuora: --input is a whole body: no -f or -F goes into it\n" }, { result.code, result.err })
  end)
end)
