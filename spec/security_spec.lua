-- What .github/SECURITY.md promises, as far as no other spec holds it.

local core = require "zuora.core"
local nginx = require "spec.nginx"
local support = require "spec.support"

local SECRET = "Wipe-Me-0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ"

describe("memory", function()
  local sim

  setup(function() sim = support.simulator() end)
  teardown(function() sim:stop() end)
  before_each(function() sim:heal() end)

  -- Runs code in a process that looks into all memory as it is given back: which modules left the secret there.
  local function leavers(code, secret)
    local prologue = ([[
      local core = require "zuora.core"
      local support = require "spec.support"
      local zuora = require "zuora"
      local SECRET, URL = %q, %q
      local function collect() for _ = 1, 3 do collectgarbage() end end
    ]]):format(SECRET, sim.url)
    local text, status = support.lua(prologue .. code .. "\ncollect() print 'ended well'",
      ("WIPED_SECRET='%s' LD_PRELOAD=$PWD/%s"):format(secret or SECRET, support.native "wiped.so"))
    assert.equal(0, status, text)
    assert.matches("ended well\n", text)
    local found = {}
    for module in text:gmatch "([^/\n]+) left it\n" do found[module] = (found[module] or 0) + 1 end
    return found, text
  end

  -- The shim sees what others leave; so it would see ours.
  local function is_ours_wiped(code)
    local found, text = leavers(code)
    assert.is_truthy(found["libcurl.so.4"], text)
    assert.is_nil(found["core.so"], text)
  end

  it("of header lines and of answers is wiped when a call ends", function()
    -- A token among so much that the buffer of the answer has to grow.
    sim:fault { on = "POST /oauth/token", kind = "status", status = 200,
      body = ('{"access_token":"%s","scope":"%s"}'):format(SECRET, ("x"):rep(20000)),
      headers = { ["Set-Cookie"] = "session=" .. SECRET } }
    is_ours_wiped [[
      local client <close> = zuora.new { base_url = URL, client_id = "i", client_secret = "s" }
      client.jobs:get "x"
    ]]
    is_ours_wiped [[
      local client <close> = zuora.new { base_url = URL, username = "u", password = SECRET }
      client.jobs:get "x"
    ]]
  end)

  it("is wiped when a call is given up, or its session closed, or it never began", function()
    sim:fault { on = "GET *", kind = "delay", seconds = 5, times = 9 }
    is_ours_wiped [[
      local session = core.session {}
      local function start(url)
        return session:start { url = url, proxy = "", headers = { Authorization = "Bearer " .. SECRET } }
      end
      local cancelled, abandoned = start(URL .. "/x"), start(URL .. "/x")
      for _ = 1, 10 do session:step(0.02) end
      cancelled:cancel()
      assert(not start(URL .. "/" .. ("x"):rep(9000000)))
      session:close()
    ]]
  end)

  it("of Lua has the token alone, and no header line made of it for each call", function()
    local found, text = leavers([[
      local client <close> = zuora.new { base_url = URL, token = SECRET }
      for _ = 1, 5 do client.jobs:get "x" end
    ]], "Authorization: Bearer " .. SECRET)
    assert.is_truthy(found["libcurl.so.4"], text)
    assert.is_nil(found["lua5.4"], text)
    assert.is_nil(found["core.so"], text)
  end)
end)
