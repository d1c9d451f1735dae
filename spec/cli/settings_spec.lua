local core = require "zuora.core"
local settings = require "zuora.cli.settings"
local support = require "spec.support"

describe("the settings of the command line", function()
  local home = support.scratch "cli-settings"
  assert(os.execute("mkdir " .. home .. "/zuora"))

  local function profile(options, more)
    local config = more or {}
    config.profiles = { default = options, other = { environment = "ap", token = "theirs" } }
    support.write(home .. "/zuora/config.json", core.encode(config))
    assert(os.execute("chmod 600 " .. home .. "/zuora/config.json"))
  end

  local function read(args, variables, given)
    local environment = { XDG_CONFIG_HOME = home }
    for name, value in pairs(variables or {}) do environment[name] = value end
    return settings.read(args or {}, function(name) return environment[name] end, given)
  end

  local function refused(...)
    local ok, problem = pcall(read, ...)
    assert.is_false(ok)
    assert.equal(2, problem.exit)
    return problem.message
  end

  local WHOLE = { environment = "eu", client_id = "i", client_secret = "s", entity_id = "e", ca_file = "/profile.pem",
    timeout = 5 }

  it("of a command's own file go behind flags, and before all else", function()
    profile(WHOLE)
    local variables = { ZUORA_TOKEN = "t", ZUORA_BASE_URL = "http://variable", ZUORA_CA_FILE = "/variable.pem" }
    local options, origin = read({ entity = "flag's" }, variables, { username = "u", password = "p", entity_id = "x",
      base_url = "http://given", user_agent = "a" })
    assert.same({ username = "u", password = "p", entity_id = "flag's", base_url = "http://given", user_agent = "a",
      ca_file = "/variable.pem", timeout = 5 }, options)
    assert.equal("given", origin.base_url)
    assert.matches("client_id and username are both set", refused({}, {},
      { username = "u", password = "p", client_id = "i" }))
  end)

  it("go by flag, environment, profile, and say where each came from", function()
    profile(WHOLE)
    local options, origin = read({ entity = "flag's", legacy = true, track_id = "t" },
      { ZUORA_ENTITY_ID = "environment's", ZUORA_CA_FILE = "/environment.pem", ZUORA_LEGACY = "0", ZUORA_TOKEN = "" })
    assert.same({ environment = "eu", client_id = "i", client_secret = "s", entity_id = "flag's", legacy = true,
      track_id = "t", ca_file = "/environment.pem", timeout = 5 }, options)
    assert.same({ environment = "profile default", client_id = "profile default", client_secret = "profile default",
      entity_id = "flag", legacy = "flag", track_id = "flag", ca_file = "environment ZUORA_CA_FILE",
      timeout = "profile default" }, origin)
  end)

  it("take the place of the tenant from one source, whole", function()
    profile { environment = "eu", reporting_url = "https://r", aqua_url = "https://a", files_url = "https://f", token = "t" }
    assert.same({ base_url = "https://x", token = "t" }, (read({}, { ZUORA_BASE_URL = "https://x" })))
    assert.same({ environment = "us2", token = "t" },
      (read({ environment = "us2" }, { ZUORA_BASE_URL = "https://x" })))
    assert.equal("https://f", read().files_url)
  end)

  it("take one kind of credentials, from the first source that has any", function()
    profile(WHOLE)
    local options = read({}, { ZUORA_TOKEN = "t" })
    assert.equal("t", options.token)
    assert.is_nil(options.client_id)
    assert.is_nil(options.client_secret)
    options = read({}, { ZUORA_CLIENT_SECRET = "another" })
    assert.equal("i", options.client_id)
    assert.equal("another", options.client_secret)
    options = read({}, { ZUORA_USERNAME = "u", ZUORA_PASSWORD = "p" })
    assert.is_nil(options.client_id)
    assert.equal("ZUORA_TOKEN and ZUORA_CLIENT_ID are both set: one kind of credentials is needed",
      refused({}, { ZUORA_TOKEN = "t", ZUORA_CLIENT_ID = "i" }))
  end)

  it("take the profile that is asked for", function()
    profile(WHOLE)
    assert.equal("ap", read({ profile = "other" }).environment)
    assert.equal("ap", read({}, { ZUORA_PROFILE = "other" }).environment)
    assert.equal("eu", read({ profile = "default" }, { ZUORA_PROFILE = "other" }).environment)
    profile(WHOLE, { profile = "other" })
    assert.equal("ap", read().environment)
    assert.equal(home .. "/zuora/config.json has no profile 'third'", refused { profile = "third" })
  end)

  it("say which variables go before the profile that a flag asks for", function()
    local variables = { ZUORA_BASE_URL = "https://x", ZUORA_TOKEN = "t", ZUORA_CA_FILE = "/c" }
    profile(WHOLE)
    assert.same({ "ZUORA_BASE_URL", "ZUORA_TOKEN" }, (select(3, read({ profile = "other" }, variables))))
    assert.same({}, (select(3, read({}, variables))))
    assert.same({}, (select(3, read({ profile = "other" }, { ZUORA_CA_FILE = "/c" }))))
  end)

  it("say that a program gave a secret", function()
    profile { environment = "eu", client_id = "i", client_secret_command = { "echo", "s" } }
    local options, origin = read()
    assert.equal("s", options.client_secret)
    assert.equal("profile default, by client_secret_command", origin.client_secret)
    assert.is_nil(origin.client_secret_command)
  end)

  it("say what is missing, and what makes no sense", function()
    profile { environment = "eu" }
    assert.matches("^no credentials: set ZUORA_CLIENT_ID", refused())
    profile { token = "t" }
    assert.matches("^which tenant%? Give %-%-environment", refused())
    assert.equal("ZUORA_LEGACY is neither 1 nor 0", refused({}, { ZUORA_LEGACY = "maybe" }))
    for text, truth in pairs { ["1"] = true, yes = true, ["true"] = true, no = false, ["0"] = false } do
      assert.equal(truth, read({ environment = "eu" }, { ZUORA_LEGACY = text }).legacy)
    end
  end)
end)
