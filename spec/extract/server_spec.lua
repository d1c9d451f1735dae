local cluster = require "spec.load.cluster"
local load = require "zuora.load"
local server = require "zuora.extract.base.server"
local support = require "spec.support"

describe("zuora.extract.base.server", function()
  local database
  if cluster.missing() then
    pending("cannot be tried here: " .. cluster.missing())
    return
  end

  setup(function()
    database = cluster.start()
    database:run(("psql -X -q -d '%s' -c \"CREATE ROLE careful LOGIN PASSWORD 'r@ght:'\" -c 'CREATE ROLE nologin'"):format(
      database.uri))
    database:run(("sed -i '1i local all careful scram-sha-256' %s/data/pg_hba.conf"):format(database.folder))
    database:run(("%s/pg_ctl -D %s/data reload"):format(database.bin, database.folder))
  end)
  teardown(function() database:stop() end)

  local function refused(uri)
    local ok, err = pcall(server.connect, uri, "public", {})
    assert.is_false(ok)
    return err
  end

  local function at(user, name, more)
    return ("postgresql://%s/%s?host=%s%s"):format(user, name or "postgres", database.folder, more or "")
  end

  it("tells a wrong password or role from a server that is down, and never the password", function()
    local good <close> = server.connect(at "careful:r%40ght%3a@", "public", {})
    assert.equal("careful", good:row "SELECT CAST(current_user AS TEXT) AS who".who)
    for uri, words in pairs { [at "careful:wr%40ng@"] = 'password authentication failed for user "careful"',
      [at("", nil, "&user=careful&password=wr%40ng")] = 'password authentication failed for user "careful"',
      [at "careful@"] = "no password supplied", [at "nobody_here@"] = 'role "nobody_here" does not exist',
      [at "nologin@"] = 'role "nologin" is not permitted to log in' } do
      local err = refused(uri)
      assert.same({ "auth", false }, { err.kind, err.retryable }, tostring(err))
      assert.matches(words, err.message, 1, true)
      assert.is_nil(tostring(err):find "wr[@%%]")
    end
  end)

  it("tells a database or an address that is wrong", function()
    for uri, words in pairs { [at("postgres@", "nodb")] = 'database "nodb" does not exist',
      [at("postgres:secret@", nil, "&hots=x")] = "hots", [at("postgres:sec/ret@", nil)] = "written %2F",
      ["postgresql://x:sec@ret@127.0.0.1/db"] = "written %2F",
      ["postgresql://x:secret@127.0.0.1:port/db"] = "port", ["postgresql:///?service=nowhere"] = "nowhere" } do
      local err = refused(uri)
      assert.same({ "plan", false }, { err.kind, err.retryable }, tostring(err))
      assert.matches(words, err.message, 1, true)
      assert.is_nil(tostring(err):find "sec")
      assert.is_nil(tostring(err):find "ret@")
    end
    local err = select(2, pcall(load.open, { to = at("postgres@", "nodb") }, "out"))
    assert.equal("plan", err.kind)
  end)

  it("leaves what may pass for another time", function()
    local tmpname, names = os.tmpname, {}
    rawset(os, "tmpname", function()
      names[#names + 1] = tmpname()
      return names[#names]
    end)
    local _ <close> = setmetatable({}, { __close = function() rawset(os, "tmpname", tmpname) end })
    for _, uri in ipairs { "postgresql://x:secret@127.0.0.1:1/db", "postgresql:///db?host=/nowhere" } do
      local err = refused(uri)
      assert.same({ "file", true }, { err.kind, err.retryable }, tostring(err))
      assert.is_nil(tostring(err):find "secret")
    end
    assert.equal(3, #names) -- a file for a password, too
    local core = require "zuora.core"
    local session = core.session
    core.session = function()
      local it = session {}
      return setmetatable({}, { __index = { step = function() error "interrupted!" end }, __close = function() it:close() end })
    end
    local ok, problem = pcall(server.connect, "postgresql://x:secret@127.0.0.1:1/db", "public", {})
    core.session = session
    assert.is_false(ok)
    assert.matches("interrupted!", tostring(problem))
    assert.equal(5, #names)
    for _, name in ipairs(names) do assert.is_nil(support.read(name)) end
  end)
end)
