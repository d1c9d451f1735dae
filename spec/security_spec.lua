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

describe("what a server says", function()
  it("steers no terminal and no log: not by errors, log lines, hooks, or words", function()
    local sim <close> = support.simulator()
    local bad = "A\27]0;title\7\127\194\155\155\u{202e}\u{2066}\u{2028}B"
    local escaped = bad:gsub("[\0-\31\127]", function(c) return ("\\u%04x"):format(c:byte()) end)
    local function answer(status, body)
      sim:fault { on = "* /reporting/*", kind = "garbage", raw = ("HTTP/1.1 %d x\r\nContent-Type: application/json\r\n"
        .. "Zuora-Request-Id: %s\r\nZuora-Track-Id: %s\r\nContent-Length: %d\r\n\r\n%s"):format(status, bad, bad, #body, body) }
    end
    local told = {}
    local function tell(info)
      for _, value in pairs(info) do told[#told + 1] = tostring(value) end
    end
    local client <close> = support.quick_client(sim, { log = function(line) tell { line } end, on_response = tell, on_retry = tell })
    answer(503, ('{"success":false,"reasons":[{"code":"%s","message":"%s"}]}'):format(escaped, escaped))
    answer(400, ('{"success":false,"reasons":[{"code":"%s","message":"%s"}]}'):format(escaped, escaped))
    local _, err = client.reportruns:get "x"
    assert.equal("A ]0;title ? B", err.request_id)
    assert.equal("A ]0;title ? B", err.reasons[1].message)
    assert.equal(2, err.attempts)
    tell { tostring(err), err.message, err.code, err.track_id }
    answer(200, ('{"success":true,"response":{"message":"%s"}}'):format(escaped))
    tell { (select(2, assert(client.reportruns:cancel "x"))) }
    -- Nor by a page, by the words of an HTTP line, or by an error that nobody joins.
    answer(502, "<html><title>" .. bad .. "</title></html>")
    tell { tostring((select(2, client.reportruns:get("x", { retries = 0 })))) }
    pcall(client.run, client, function() error(bad) end)
    assert.is_true(#told > 25)
    for _, text in ipairs(told) do
      assert.is_nil(text:find "[\0-\31\127]")
      for _, piece in ipairs { "\194\155", "\u{202e}", "\u{2066}", "\u{2028}" } do assert.is_nil(text:find(piece, 1, true), text) end
      assert.is_truthy(utf8.len(text), text)
    end
    assert.matches("a task failed: .*A %]0;title %? B", told[#told])
  end)
end)
