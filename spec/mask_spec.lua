local mask = require "zuora.caller.mask"
local support = require "spec.support"

describe("zuora.caller.mask", function()
  local SECRET = "pä/ss=w&rd<1>"

  it("takes a secret out in whatever spelling it stands", function()
    for _, spelled in ipairs { SECRET, "p\\u00e4\\/ss\\u003Dw\\u0026rd\\u003c1\\u003e", "pä\\/ss=w&rd<1>",
      "p%C3%A4%2fss%3dw%26rd%3C1%3E", "pä/ss&#61;w&amp;rd&lt;1&gt;", "p&#xE4;&#47;ss=w&amp;rd&lt;1&gt;",
      "p\\\\u00e4\\\\\\/ss=w&rd<1>" } do
      assert.equal("a *** b", mask.text("a " .. spelled .. " b", { SECRET }), spelled)
      assert.equal("******", mask.text(spelled .. spelled, { SECRET }))
    end
  end)

  it("knows secrets that look like a spelling of another", function()
    for _, secret in ipairs { "a\\b\\nc", "100%25 sure", "x\\u0041y", "&amp;&lt;" } do
      for _, text in ipairs { secret, (secret:gsub("\\", "\\\\")), (secret:gsub("%%", "%%25")) } do
        assert.equal("<***>", mask.text("<" .. text .. ">", { secret }), text)
      end
    end
  end)

  it("takes out the longer of two first, and leaves short ones", function()
    assert.equal("***", mask.text("abcd-efgh", { "abcd", "abcd-efgh" }))
    assert.equal("*** and ***", mask.text("abcd and efgh", { "abcd", "efgh" }))
    assert.equal("abc", mask.text("abc", { "abc" }))
  end)

  it("takes a secret out in capitals, and in base64", function()
    local credentials = require "zuora.caller.credentials"
    local oauth = credentials.oauth({}, { client_id = "an-id-of-mine", client_secret = "a?>secret~~of-mine" })
    oauth.token = "token-AbC"
    local password = credentials.password({ username = "somebody", password = "a?>secret~~of-mine" }, {})
    for _, text in ipairs { "YT8+c2VjcmV0fn5vZi1taW5l", "YT8-c2VjcmV0fn5vZi1taW5l", "A?>SECRET~~OF-MINE" } do
      assert.equal("<***>", oauth:mask("<" .. text .. ">"))
      assert.equal("<***>", password:mask("<" .. text .. ">"))
    end
    assert.equal("<***>", oauth:mask "<TOKEN-ABC>")
    assert.equal("<***>", oauth:mask "<YW4taWQtb2YtbWluZTphPz5zZWNyZXR+fm9mLW1pbmU>") -- with the id
    assert.equal("<***=>", password:mask "<c29tZWJvZHk6YT8+c2VjcmV0fn5vZi1taW5l=>")
  end)

  it("leaves all else as it is", function()
    for _, text in ipairs { "", "plain", "100% \\ & \\u12 &#99999999999; &nonesuch; %zz", "\\u00e4 %41 &lt;\255" } do
      assert.equal(text, mask.text(text, { "secret" }))
    end
  end)

  it("takes out links that bear a signature, and no others", function()
    assert.equal("see *** and http://a.example/b.", mask.links "see https://s3.example/x?X-Sig=1 and http://a.example/b.")
    assert.equal('{"a":"***"}', mask.links '{"a":"HTTPS://s3.example/x?y"}')
  end)

  it("does work that grows with the length of a text", function()
    for _, piece in ipairs { "http://", "\\", "%", "&", "secret-of-min" } do
      support.assert_linear(function(text) mask.links(mask.text(text, { "secret-of-mine" })) end,
        function(size) return piece:rep(size // #piece) end, 64000)
    end
  end)
end)
