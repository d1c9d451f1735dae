local support = require "spec.support"

describe("client.describe", function()
  local sim, client

  setup(function()
    sim = support.simulator()
    client = support.client(sim)
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)
  before_each(function() sim:heal() end)

  local function answer(body, media_type, times)
    sim:fault { on = "GET /v1/describe*", kind = "status", status = 200, body = body, times = times,
      headers = { ["Content-Type"] = media_type or "application/xml;charset=UTF-8" } }
  end

  it("lists the objects", function()
    local found = {}
    for _, object in ipairs(assert(client.describe:objects())) do found[object.name] = object end
    assert.equal("Account", found.Account.label)
    assert.matches("/v1/describe/Account$", found.Account.href)
    assert.is_table(found.AccountingPeriod)
  end)

  it("asks for what Zuora sends, and takes it", function()
    sim:forget()
    for _, media_type in ipairs { "text/xml", "text/xml; charset=UTF-8", "application/xml" } do
      answer("<object><name>Account</name><fields/></object>", media_type)
      assert.equal("Account", assert(client.describe:object "Account").name)
    end
    assert.equal("text/xml, application/xml", support.sent(sim, "GET", "/v1/describe")[1].headers.accept)
  end)

  it("does work that grows with the length of a description", function()
    local LABELS = {
      function(count) return "a" .. (" "):rep(count) .. "b" end,
      function(count) return ("<x/>" .. (" "):rep(10)):rep(count // 14) end,
    }
    for _, label in ipairs(LABELS) do
      support.assert_linear(function() assert(client.describe:object "Account") end, function(size)
        sim:heal()
        answer("<object><name>Account</name><label>" .. label(size) .. "</label></object>", nil, "always")
      end, 300000)
    end
  end)

  it("describes an object: its fields by Zuora's names, truth values and numbers as such", function()
    local account = assert(client.describe:object "Account")
    assert.equal("Account", account.name)
    local field = assert(account:field "accountnumber")
    assert.equal("AccountNumber", field.name)
    assert.is_true(field.selectable)
    assert.is_false(field.custom)
    assert.equal("integer", math.type(field.maxlength))
    assert.same({ "soap", "export" }, field.contexts)
    assert.is_nil(account:field "nonesuch")
    local with_options = 0
    for _, one in ipairs(account.fields) do with_options = with_options + #one.options end
    assert.is_true(with_options > 1)
  end)

  it("answers which fields can be exported", function()
    local account = assert(client.describe:object "Account")
    local names = {}
    for _, name in ipairs(account:exportable()) do names[name] = true end
    assert.is_true(names.AccountNumber)
    assert.is_true(names[account.related[1].name .. ".Id"])
    local hidden = 0
    for _, field in ipairs(account.fields) do hidden = hidden + (names[field.name] and 0 or 1) end
    assert.is_true(hidden > 0)
    -- And an export takes them.
    local select_all = "select " .. table.concat(account:exportable(), ", ") .. " from Account"
    local job = assert(assert(client.jobs:submit { queries = { select_all } }):wait(support.soon))
    assert.equal("completed", job.status)
  end)

  it("reads what XML can say", function()
    answer [==[<?xml version="1.0" encoding="UTF-8"?>
<object href="h"><name>X</name><label>A &lt;b&gt; &amp; &#xC6; <![CDATA[<raw>]]></label>
  <fields><!-- one --><field><name> Padded </name><maxlength>12</maxlength><required>true</required><contexts><context>
      export </context></contexts></field></fields>
</object>]==]
    local object = assert(client.describe:object "x")
    assert.equal("A <b> & Æ <raw>", object.label)
    assert.equal("Padded", object.fields[1].name)
    assert.equal(12, object.fields[1].maxlength)
    assert.is_true(object.fields[1].required)
    assert.same({ "export" }, object.fields[1].contexts)
    assert.same({ "Padded" }, object:exportable())
    assert.same({}, object.related)
  end)

  it("takes no other document, no broken one and no trick for the answer", function()
    for body, words in pairs {
      ["<object><name>Y</name></object>"] = "about Y, not X",
      ["<objects/>"] = "no description",
      ["<object><name>X</name><fields><field/></fields></object>"] = "a field of X has no name",
      ["<object><name>X</name>"] = "cannot be read: line 1",
      [""] = "cannot be read",
      ['<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><object><name>X</name></object>'] = "cannot be read",
    } do
      answer(body)
      local object, err = client.describe:object "X"
      assert.is_nil(object, body)
      assert.matches(words, err.message)
    end
    answer "<object/>"
    local _, err = client.describe:objects()
    assert.matches("no list of objects, but <object>", err.message)
    answer("<html><title>Log in</title></html>", "text/html")
    _, err = client.describe:objects()
    assert.equal("http", err.kind)
    assert.matches("Log in", err.message)
  end)

  it("gives Zuora's errors as errors", function()
    local object, err = client.describe:object "Nonesuch"
    assert.is_nil(object)
    assert.equal("api", err.kind)
    assert.equal("not_found", err.category)
    answer('<zanResponse success="false"><response>{"message":"m","errorCode":"E"}</response></zanResponse>')
    assert.equal("E", select(2, client.describe:objects()).code)
  end)
end)
