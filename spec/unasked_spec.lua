-- What a server sends without being asked is nobody's answer: libcurl 7.88 takes it for the next one's.

local core = require "zuora.core"
local wire = require "spec.faults.wire"

describe("bytes that nobody has asked for", function()
  local session
  before_each(function() session = core.session {} end)
  after_each(function() session:close() end)

  -- Gets of a server whose connections do this; the bodies or the names of failures.
  local function gets(server, pauses)
    local got = {}
    for i = 1, #pauses do
      local request <close> = session:start { url = server.url .. "/" .. i, proxy = "" }
      local ends_at = core.now() + 10
      while not request:finished() do
        session:step(0.01)
        server:step()
        assert(core.now() < ends_at, "the request did not finish")
      end
      local response, _, name, class = request:response()
      got[i] = response and response.body or name .. " " .. class
      ends_at = core.now() + pauses[i]
      while core.now() < ends_at do server:step() end
    end
    return got
  end

  it("are no answer to the next request on that connection", function()
    local server = wire.new(function(c)
      for request in c.request, c do
        local path = request.line:match "/(%d+)"
        c:send(wire.reply(path))
        for _ = 1, 3 do c:yield() end
        if path == "1" then c:send(wire.reply "stale") end
      end
    end)
    finally(function() server:close() end)
    assert.same({ "1", "UNASKED unsent", "3", "4" }, gets(server, { 0.05, 0, 0.05, 0 }))
  end)
end)
