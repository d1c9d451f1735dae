-- Answers go to who asked. Over TLS a host has connections of HTTP/2 and of HTTP/1.1 at the same time: a request
-- that must not be repeated unseen has one of its own. libcurl before 8.5.0 takes all connections of a host for
-- ones that can be shared as soon as one of them can, and then two requests share one that cannot.

local core = require "zuora.core"
local nginx = require "spec.nginx"
local support = require "spec.support"

describe("answers", function()
  local missing = nginx.missing()
  if missing then
    pending(missing)
    return
  end

  local FILES, SLOW = 20, ("slowly\n"):rep(50000)
  local server, session

  local function body_of(i) return ("%06d\n"):format(i):rep(({ 10, 100, 1000, 10000 })[i % 4 + 1]) end

  setup(function()
    server = nginx.start("crossing", "http://127.0.0.1:9", { static = "limit_rate 400k;" })
    for i = 1, FILES do support.write(("%s/static/%d"):format(server.directory, i), body_of(i)) end
    support.write(server.directory .. "/static/slow", SLOW)
  end)
  teardown(function() server:stop() end)
  before_each(function() session = core.session { max_connections = 8 } end)
  after_each(function() session:close() end)

  local function start(i, more)
    local options = { url = ("%s/static/%s"):format(server.secure, i), ca = server.ca_file, proxy = "" }
    for name, value in pairs(more or {}) do options[name] = value end
    return session:start(options)
  end

  it("are not taken from a connection that another request has for itself", function()
    local alone = start("slow", { fresh = true })
    local ends_at = core.now() + 0.3
    repeat session:step(0.01) until core.now() > ends_at -- it has come half
    for i = 1, 5 do
      local response = assert(support.finish(session, start(i)))
      assert.equal(200, response.status)
      assert.is_true(response.body == body_of(i), "the answer is another's")
    end
    assert.is_nil(alone:finished() or nil)
    local response = assert(support.finish(session, alone))
    assert.is_true(response.body == SLOW, "the answer is another's")
  end)

  it("do not cross while connections come and go", function()
    local live, answered, crash_at = {}, 0, core.now() + 0.4
    local ends_at = core.now() + 3
    repeat
      while session:running() < 24 do
        local i = math.random(FILES)
        live[start(i, { fresh = math.random(10) == 1 })] = i
      end
      for _, request in ipairs(select(2, session:step(0.01))) do
        local response = request:response()
        if response and response.status == 200 then
          answered = answered + 1
          assert.is_true(response.body == body_of(live[request]), "the answer is another's")
        end
        live[request] = nil
      end
      if core.now() > crash_at then
        server:crash()
        crash_at = core.now() + 0.4
      end
    until core.now() > ends_at
    assert.is_true(answered > 50)
  end)
end)
