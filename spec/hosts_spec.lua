local hosts = require "zuora.caller.hosts"

describe("zuora.caller.hosts", function()
  it("has the environments that Zuora documents", function()
    local names = {}
    for name in pairs(hosts.environments) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "ap", "ap-central-sandbox", "eu", "eu-central-sandbox", "eu-sandbox", "us-central-sandbox",
      "us-performance", "us1", "us1-sandbox", "us2", "us2-sandbox" }, names)
    for _, origins in pairs(hosts.environments) do
      for _, url in pairs(origins) do assert.equal(url, hosts.normalise(url)) end
    end
  end)

  it("derives the base URLs", function()
    assert.same({
      oauth = "https://rest.zuora.com/oauth/token",
      reporting = "https://rest.zuora.com/reporting/api/rest/v1",
      aqua = "https://rest.zuora.com/v1/batch-query",
      files = "https://rest.zuora.com/v1/files",
      queries = "https://rest.zuora.com/query/jobs",
      describe = "https://rest.zuora.com/v1/describe",
      rest = "https://rest.zuora.com",
    }, hosts.bases(hosts.environments.us2, false))
  end)

  it("derives the hosts of the documents when legacy is asked for", function()
    assert.same({
      oauth = "https://rest.apisandbox.zuora.com/oauth/token",
      reporting = "https://zconnectsandbox.zuora.com/api/rest/v1",
      aqua = "https://apisandbox.zuora.com/apps/api/batch-query",
      files = "https://apisandbox.zuora.com/apps/api/file",
      queries = "https://rest.apisandbox.zuora.com/query/jobs",
      describe = "https://rest.apisandbox.zuora.com/v1/describe",
      rest = "https://rest.apisandbox.zuora.com",
    }, hosts.bases(hosts.environments["us2-sandbox"], true))
    local bases, problem = hosts.bases(hosts.environments.ap, true)
    assert.is_nil(bases)
    assert.matches("no legacy hosts", problem)
  end)

  it("takes base URLs that are plain, and cleans them", function()
    assert.equal("https://example.com", hosts.normalise "https://example.com/")
    assert.equal("https://example.com/a/b", hosts.normalise "HTTPS://example.com/a/b//")
    assert.equal("http://127.0.0.1:8080", hosts.normalise "http://127.0.0.1:8080")
    assert.equal("http://[::1]:8080/x", hosts.normalise "http://[::1]:8080/x")
  end)

  it("refuses base URLs that could mean something else", function()
    for _, bad in ipairs {
      "", "example.com", "ftp://example.com", "file:///etc/passwd", "https://", "https:///x",
      "https://user@example.com", "https://user:pass@example.com", "https://example.com/?a=b",
      "https://example.com/#x", "https://example.com\\@evil.example", "https://example.com/a b",
      "https://example.com/\r\nX: y", "https://2130706433/", "https://0x7f000001/", "https://a..b/",
      "https://example.com:port",
      "https://example.com:99999", "https://example.com:0", "http://.", "http://-",
      "https://example.com/a/../b", "https://exa\0mple.com", "//example.com",
    } do
      local url, problem = hosts.normalise(bad)
      assert.is_nil(url, bad)
      assert.is_string(problem)
    end
    assert.is_nil((hosts.normalise(nil)))
    assert.is_nil((hosts.normalise {}))
  end)

  it("shows no more of a URL than host and port", function()
    assert.equal("example.com:8080", hosts.authority "https://user:secret@example.com:8080/path?x=y")
    assert.equal("?", hosts.authority "nonsense")
  end)
end)
