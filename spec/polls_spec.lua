-- A wait of hours, and one bad answer in it. A poll's failure ends a wait only where asking again cannot help.

local support = require "spec.support"

-- What may happen to one poll, and says nothing of what is waited for.
local PASSING = {
  ["an empty answer"] = { status = 200, body = "" },
  ["JSON that is cut"] = { status = 200, body = '{"id":"x","status":"comp' },
  ["JSON of something else"] = { status = 200, body = "[]" },
  ["null"] = { status = 200, body = "null" },
  ["another record"] = { status = 200, body = '{"id":"other","status":"completed"}' },
  ["an HTML page"] = { status = 200, body = "<html><title>Hi</title></html>", headers = { ["Content-Type"] = "text/html" } },
  ["a failure that says no more"] = { status = 200, body = '{"success":false}' },
  ["a failure of the server's, as 200"] = { status = 200,
    body = '{"success":false,"reasons":[{"code":50000060,"message":"internal"}]}' },
  ["a redirect"] = { status = 302, body = "", headers = { Location = "https://status.example/" } },
  ["a request that is none"] = { status = 400, body = "<html><title>400</title></html>" },
  ["a missing page"] = { status = 404, body = "<html><title>404</title></html>" },
  ["nothing of that name yet"] = { status = 404, body = '{"success":false,"reasons":[{"code":50000040,"message":"not found"}]}' },
  ["nothing of that name yet, as 200"] = { status = 200,
    body = '{"success":false,"reasons":[{"code":50000040,"message":"not found"}]}' },
  ["a limit"] = { status = 429, body = "" },
  ["a cut connection"] = { kind = "cut" },
  ["a page that is longer than it says"] = { kind = "length" },
}
for _, status in ipairs { 408, 500, 501, 502, 503, 504, 505, 520, 521, 522, 523, 524, 525, 526, 527, 530 } do
  PASSING["HTTP " .. status] = { status = status, body = "error" }
end

-- And what says that asking again cannot help.
local FINAL = {
  ["credentials that are refused"] = { status = 401, body = '{"message":"Authentication error"}', times = 2 },
  ["a permission that is missing"] = { status = 403, body = '{"message":"no"}' },
  ["a reason"] = { status = 400, body = '{"success":false,"reasons":[{"code":53100320,"message":"The value is not valid."}]}' },
  ["a reason in words"] = { status = 410, body = '{"message":"it is gone"}' },
  ["a reason, as 200"] = { status = 200, body = '{"success":false,"reasons":[{"code":50000020,"message":"not valid"}]}' },
}

-- The kinds of things that are waited for: how one is made, and where it is looked at.
local KINDS = {
  ["report run"] = { path = "/reporting/api/rest/v1/reportruns/*", collection = "reportruns", make = function(client)
    return assert(client.reportruns:start(support.REPORT, { view = "Detail" }))
  end },
  ["job"] = { path = "/v1/batch-query/jobs/*", collection = "jobs", make = function(client)
    return assert(client.jobs:submit { queries = { "select Id from Account" } })
  end },
  ["query job"] = { path = "/query/jobs/*", collection = "queries", make = function(client)
    return assert(client.queries:submit { query = "select Id from Account" })
  end },
}

for name, kind in pairs(KINDS) do
  describe("waiting for a " .. name, function()
    local sim, client, clock, record

    setup(function() sim = support.simulator() end)
    teardown(function() sim:stop() end)
    before_each(function()
      client, clock = support.quick_client(sim, { retries = 0 })
      record = kind.make(client)
    end)
    after_each(function()
      client:close()
      sim:heal()
    end)

    local function fail(how, times)
      local fault = { on = "GET " .. kind.path, kind = "status", times = times }
      for field, value in pairs(how) do fault[field] = value end
      sim:fault(fault)
    end

    for what, how in pairs(PASSING) do
      it("goes on after " .. what, function()
        fail(how)
        assert(record:wait())
        fail(how)
        assert(client[kind.collection]:wait(record.id))
      end)
    end

    for what, how in pairs(FINAL) do
      it("ends at " .. what, function()
        fail(how)
        local _, err = record:wait()
        assert.equal(how.status, err.status)
        assert.equal(record, err.record)
        assert.equal(0, clock.total())
      end)
    end

    it("tells at the end of its time why the last poll failed", function()
      fail({ status = 520, body = "" }, "always")
      local _, err = record:wait { timeout = 200 }
      assert.equal("timeout", err.kind)
      assert.equal(520, err.cause.status)
      assert.matches("HTTP 520", err.message)
      assert.equal(200, clock.total())
    end)

    it("ends at once at an id that is none", function()
      local _, err = client[kind.collection]:wait "402881824805cb110000000000ffffff"
      assert.equal(404, err.status)
      fail { status = 404, body = "" } -- from whoever answers for a wrong host
      _, err = client[kind.collection]:wait "402881824805cb110000000000ffffff"
      assert.equal(404, err.status)
      assert.equal(0, clock.total())
    end)

    it("ends soon when what it has made is not to be found", function()
      fail(PASSING["nothing of that name yet"], "always")
      local _, err = record:wait()
      assert.equal(404, err.status)
      assert.is_true(clock.total() > 5 and clock.total() < 90, clock.total())
      sim:heal()
      clock.at = clock.at + 60
      fail(PASSING["nothing of that name yet"])
      _, err = record:wait()
      assert.equal(404, err.status)
    end)

    it("goes on where a page is missing, once the record has been seen", function()
      local another <close>, time = support.quick_client(sim, { retries = 0 })
      local seen = assert(another[kind.collection]:get(record.id))
      fail(PASSING["a missing page"], 3)
      assert(seen:wait())
      assert.is_true(time.total() > 0)
    end)

    it("goes on when no token was to be had", function()
      local fresh <close>, time = support.quick_client(sim, { retries = 0 })
      sim:fault { on = "POST /oauth/token", kind = "status", status = 404, body = "<html></html>" }
      sim:fault { on = "POST /oauth/token", kind = "status", status = 503, body = "" }
      assert(fresh[kind.collection]:wait(record.id))
      assert.is_true(time.total() > 0)
      sim:fault { on = "POST /oauth/token", kind = "status", status = 401, body = '{"error":"invalid_client"}', times = "always" }
      local refused <close> = support.client(sim)
      local _, err = refused[kind.collection]:wait(record.id)
      assert.equal("auth", err.kind)
      assert.equal(401, err.status)
    end)
  end)
end

describe("waiting", function()
  it("takes a thousand records that were made for as many", function()
    local wait = require "zuora.tasks.wait"
    local now = 0
    local made = wait.recent(function() return now end)
    for i = 1, 1000 do
      now = i
      made:add(tostring(i))
    end
    assert.is_true(made:has "1000" and made:has "941")
    assert.is_false(made:has "940" or made:has "1" or made:has(nil))
  end)
end)
