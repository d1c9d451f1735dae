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

  it("takes it out of Latin-1, of spellings of spellings, of hexadecimal digits, and of base64 with others", function()
    local base64 = mask.base64
    assert.equal("cMOkL3Nz", base64 "pä/ss")
    for _, spelled in ipairs { "pÃ¤/ss=w&rd<1>", "p\228/ss=w&rd<1>", "p\\u00c3\\u00a4/ss=w&rd<1>", "p%25C3%25A4/ss=w&amp;amp;rd<1>",
      "p%2525c3%2525a4/ss=w&rd<1>", "70C3A42f73733d772672643c313e", "70c3a42f73733d772672643c313e" } do
      assert.equal("a *** b", mask.text("a " .. spelled .. " b", { SECRET }), spelled)
    end
    for _, before in ipairs { "", "a", "ab", "abc" } do
      for _, behind in ipairs { "", "a", "ab", "abc" } do
        local masked = mask.text(base64(before .. SECRET .. behind), { SECRET })
        assert.matches("^[%w+/]*%*%*%*[%w+/=]*$", masked)
        assert.is_true(#masked <= #base64(before) + #base64(behind) + 5, masked)
      end
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

  it("takes the token out of what a server says in passing, and of the errors that tell of it", function()
    local core = require "zuora.core"
    local sim = support.simulator()
    local client = support.client(sim, { token = "planted-token-0123456789" })
    finally(function()
      client:close()
      sim:stop()
    end)
    local said = "said planted-token-0123456789"
    local function answer(on, value, headers)
      sim:heal()
      sim:fault { on = on, kind = "status", status = 200, body = type(value) == "string" and value or core.encode(value),
        times = "always", headers = headers }
    end
    local function clean(...)
      for i = 1, select("#", ...) do
        local value = select(i, ...)
        local text = type(value) == "table" and tostring(value.message) .. tostring(value.status) .. tostring(value.queryStatus)
          or tostring(value)
        assert.is_nil(text:find("planted", 1, true), text)
        if value ~= nil and value ~= true then assert.is_truthy(text:find("***", 1, true), text) end
      end
    end
    answer("GET *", { id = "j", status = said })
    clean(assert(client.jobs:get "j"))
    clean(client.jobs:wait("j", { timeout = 0 }))
    answer("GET *", { id = "j", status = "aborted", message = said })
    clean(client.jobs:wait "j")
    answer("DELETE *", { id = "j", status = said })
    clean(assert(client.jobs:cancel "j"))
    answer("GET *", { id = "j", status = "completed", batches = { { name = said, status = said, message = said, fileId = "f" } } })
    local job = assert(client.jobs:get "j")
    clean(job.batches[1], job.batches[1]:download "x")
    clean(job:download(support.scratch "mask"))
    answer("GET *", { data = { id = "q", queryStatus = "failed", errorMessage = said } })
    clean(client.queries:wait "q")
    answer("DELETE *", { success = true, response = said })
    clean(client.reportruns:cancel "r")
    answer("GET *", "a,planted-token-0123456789\n1,2\n", { ["Content-Type"] = "text/csv",
      ["Content-Disposition"] = 'attachment; filename="planted-token-0123456789.csv"' })
    clean(client.files:rows("f", { columns = { "zz" } }))
    local written = assert(client.files:download("f", { directory = support.scratch "mask" }))
    assert.is_nil(written.path:find("planted", 1, true))
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

  it("knows the secrets of a proxy, with or without a scheme", function()
    for _, proxy in ipairs { "http://user1:secret1@a.example:1", "user1:secret1@a.example:1" } do
      local secrets = mask.of_proxies(proxy)
      assert.same({ "user1", "secret1" }, { secrets[1], secrets[2] })
    end
    for _, password in ipairs { "sek/rit word", "sek@rit:word", "sek?rit#word" } do
      for _, scheme in ipairs { "http://", "" } do
        local proxy = scheme .. "user1:" .. password .. "@a.example:1"
        assert.equal("in '" .. scheme .. "***@a.example:1'", mask.text("in '" .. proxy .. "'", mask.of_proxies(proxy)))
      end
    end
    for _, proxy in ipairs { "", "a.example:8080", "socks5://a.example" } do
      assert.equal("a.example socks5", mask.text("a.example socks5", mask.of_proxies(proxy)))
    end
  end)

  it("does work that grows with the length of a text", function()
    for _, piece in ipairs { "http://", "\\", "%", "&", "secret-of-min" } do
      support.assert_linear(function(text) mask.links(mask.text(text, { "secret-of-mine" })) end,
        function(size) return piece:rep(size // #piece) end, 64000)
    end
  end)
end)
