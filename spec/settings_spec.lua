-- What the options of zuora.new say, by themselves.

local settings = require "zuora.settings"

describe("zuora.settings", function()
  local function read(options)
    local all = { environment = "us1", token = "t" }
    for name, value in pairs(options or {}) do all[name] = value end
    return settings.read(all)
  end

  it("are what the README says, unless they are given", function()
    local values = read().values
    assert.same({ 10, 125, 60, 300, 3, 300, 8 }, { values.connect_timeout, values.timeout, values.stall_timeout,
      values.total_timeout, values.retries, values.retry_after_limit, values.max_connections })
    values = read { retries = 0, rate_reserve = 0 }.values
    assert.same({ 0, 0, 10 }, { values.retries, values.rate_reserve, values.connect_timeout })
  end)

  it("tell each request of its times, its limit and its proxy", function()
    local defaults = read { timeout = 7, memory_limit = 5, proxy = "", ca_file = "/ca", user_agent = "me" }.defaults
    assert.same({ connect_timeout = 10, timeout = 7, stall_timeout = 60, limit = 5, proxy = "", ca = "/ca",
      user_agent = "me" }, defaults)
  end)

  it("name the bases, and which family of hosts has each that was not given by itself", function()
    local read_ = read { files_url = "https://files.example.com/v1/files/" }
    assert.equal("https://files.example.com/v1/files", read_.bases.files)
    assert.is_nil(read_.families.files)
    assert.equal("rest", read_.families.reporting)
    local legacy = settings.read { environment = "us1", legacy = true, username = "u", password = "p" }
    assert.equal("legacy", legacy.families.reporting)
    assert.equal("password", legacy.credentials)
  end)

  it("name the entity as the kind of credentials has it", function()
    local id = "2c92c0f8-1234-1234-1234-123456789012"
    assert.equal(id, read { entity_id = id }.default_headers.reporting["Zuora-Entity-Ids"])
    local by_password = settings.read { environment = "us1", username = "u", password = "p", entity_id = id }
    assert.equal(id, by_password.default_headers.reporting.entityId)
    assert.is_nil(by_password.default_headers.oauth.entityId)
  end)

  for problem, options in pairs {
    ["exactly one kind of credentials"] = { client_id = "i", client_secret = "s" },
    ["either environment or base_url"] = { base_url = "http://127.0.0.1" },
    ["one of ap, "] = { environment = "mars" },
    ["legacy hosts take username and password only"] = { legacy = true },
    ["either entity_id or entity_name"] = { entity_id = ("a"):rep(32), entity_name = "n" },
    ["goes with username and password"] = { entity_name = "n" },
    ["a date such as"] = { version = "new" },
    ["host:port or a URL"] = { proxy = "gopher://x" },
    ["unknown option"] = { enviroment = "us1" },
  } do
    it("raise at the user's line: " .. problem, function()
      local ok, message = pcall(read, options)
      assert.is_false(ok)
      assert.matches(problem, message, 1, true)
      assert.matches("^spec/settings_spec%.lua:%d+: bad argument", message)
    end)
  end
end)
