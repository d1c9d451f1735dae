local core = require "zuora.core"
local profiles = require "zuora.cli.profiles"
local program = require "spec.cli.program"
local support = require "spec.support"

describe("the file of profiles", function()
  local home = support.scratch "cli-profiles"
  local path = home .. "/.config/zuora/config.json"
  assert(os.execute("mkdir -p " .. home .. "/.config/zuora"))

  local function environment(name) return ({ HOME = home })[name] end

  local function write(config, mode)
    support.write(path, type(config) == "string" and config or core.encode(config))
    assert(os.execute("chmod " .. mode .. " " .. path))
  end

  local function refused(...)
    local ok, problem = pcall(profiles.read, environment, ...)
    assert.is_false(ok)
    assert.equal(2, problem.exit)
    return problem.message
  end

  it("is looked for where XDG says, or at home", function()
    assert.equal(path, profiles.path(environment))
    assert.equal("/x/zuora/config.json", profiles.path(function(name)
      return ({ HOME = home, XDG_CONFIG_HOME = "/x" })[name]
    end))
    assert.is_nil(profiles.path(function() end))
    os.remove(path)
    assert.same({}, (profiles.read(environment)))
    assert.equal(("there is no profile 'p': %s is not there"):format(path), refused "p")
  end)

  it("is refused when others can write it", function()
    for _, mode in ipairs { "620", "602", "666" } do
      write({ profiles = { default = { environment = "eu" } } }, mode)
      assert.equal(path .. " can be written by others: chmod go-w it", refused())
    end
  end)

  it("is refused when others can read a secret in it, and only then", function()
    for _, secret in ipairs { "client_secret", "token", "password" } do
      for _, mode in ipairs { "640", "604" } do
        write({ profiles = { default = { environment = "eu" }, b = { [secret] = "x" } } }, mode)
        assert.equal(path .. " can be read by others, and there is a secret in profile 'b': chmod 600 it", refused())
      end
    end
    write({ profiles = { default = { proxy = "http://user:word@proxy:1" } } }, "644")
    assert.matches("there is a secret in profile 'default'", refused())
    write({ profiles = { default = { environment = "eu", client_secret_command = { "x" }, proxy = "proxy:1" } } }, "644")
    assert.equal("eu", profiles.read(environment).environment)
    write({ profiles = { default = { client_secret = "x" } } }, "600")
    assert.equal("x", profiles.read(environment).client_secret)
  end)

  it("is refused when it is no such file", function()
    for _, text in ipairs { "", "{", "[]", '{"profiles":1}', '{"profiles":[1]}', '"x"' } do
      write(text, "600")
      assert.equal(path .. " is not JSON with profiles in it", refused())
    end
    write('{"profile":"a","profiles":{"b":{}}}', "600")
    assert.equal(path .. " has no profile 'a'", refused())
    write('{"profiles":{"default":7}}', "600")
    assert.equal(path .. " has no profile 'default'", refused())
  end)

  it("is refused when it is no file, or anybody can put another in its place", function()
    os.remove(path)
    support.shell("mkfifo " .. path)
    assert.equal(path .. " is no file", refused())
    os.remove(path)
    write({ profiles = {} }, "600")
    local directory = path:match "^(.*)/"
    for _, mode in ipairs { "777", "775", "702" } do
      support.shell(("chmod %s %s"):format(mode, directory))
      assert.equal(directory .. " can be written by others: chmod go-w it", refused())
    end
    support.shell("chmod 755 " .. directory)
    assert.same({}, (profiles.read(environment)))
  end)

  describe("with a program for a secret", function()
    local function secret_of(words, name)
      local options = { [(name or "client_secret") .. "_command"] = words }
      profiles.fetch_secrets(options)
      assert.is_nil(options[(name or "client_secret") .. "_command"])
      return options[name or "client_secret"]
    end

    local function refused_with(code, words)
      local ok, problem = pcall(secret_of, words)
      assert.is_false(ok)
      assert.equal(code, problem.exit)
      return problem.message
    end

    it("takes what it prints, and no shell reads its words", function()
      assert.equal("a b; echo $HOME `id` 'c\"", secret_of { "printf", "%s\n", "a b; echo $HOME `id` 'c\"" })
      assert.equal("x", secret_of({ "printf", "x\r\n" }, "token"))
      assert.equal("x", secret_of({ "echo", "x" }, "password"))
    end)

    it("says why there is none, and never what was printed", function()
      assert.equal("client_secret_command: sh ended with 3",
        refused_with(4, { "sh", "-c", "echo half; exit 3" }))
      assert.equal("client_secret_command: true gave no secret", refused_with(4, { "true" }))
      assert.equal("client_secret_command: printf gave no secret", refused_with(4, { "printf", "a\\nb" }))
      assert.equal("client_secret_command: /no/such: No such file or directory", refused_with(4, { "/no/such" }))
      assert.equal("client_secret_command is no list of words", refused_with(2, "pass show zuora"))
      assert.matches("^client_secret_command: .*strings expected", refused_with(2, { "echo", 7, true }))
    end)

    it("makes calls with it", function()
      local sim <close> = support.simulator()
      write({ profiles = { default = { client_secret_command = { "echo", sim.client_secret } } } }, "644")
      local run = program.on(sim)
      local result = run("report search accounts --json", { HOME = home, ZUORA_CLIENT_SECRET = "" })
      assert.equal(0, result.code, result.err)
      write({ profiles = { default = { client_secret_command = { "echo", "wrong" } } } }, "644")
      assert.equal(4, run("report search accounts --json", { HOME = home, ZUORA_CLIENT_SECRET = "" }).code)
    end)

    it("has its secret left alone where there is another", function()
      local options = { client_secret = "mine", client_secret_command = { "/no/such" } }
      profiles.fetch_secrets(options)
      assert.same({ client_secret = "mine" }, options)
    end)
  end)
end)
