-- Programs may set a locale: here Turkish, where the small I has no dot, and in an encoding of single bytes, where
-- half of UTF-8 is letters and control characters.

local ascii = require "zuora.support.ascii"
local support = require "spec.support"

describe("zuora.support.ascii", function()
  it("knows A to Z, and leaves all other bytes alone", function()
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    all = table.concat(all)
    assert.equal((all:gsub("[A-Z]", function(c) return string.char(c:byte() + 32) end)), ascii.lower(all))
    assert.equal((all:gsub("[a-z]", function(c) return string.char(c:byte() - 32) end)), ascii.upper(all))
    assert.equal("", ascii.lower "")
  end)
end)

describe("in a Turkish locale", function()
  local sim, locale
  setup(function()
    sim = support.simulator()
    locale = support.scratch "locale"
    local _, status = support.shell(("localedef -i tr_TR -f ISO-8859-9 ./%s/tr_TR.ISO-8859-9"):format(locale))
    if status ~= 0 then locale = nil end -- a machine without the sources of locales
  end)
  teardown(function() sim:stop() end)

  -- Runs code with a client there, and where the machine has no such locale, where lower and upper behave as there.
  local function turkish(code)
    local text, status = support.lua(([[
      if %s then assert(os.setlocale("tr_TR.ISO-8859-9", "ctype")) end
      if not pcall(function() assert(("I"):lower() == "\253") end) then
        local lower, upper = string.lower, string.upper
        function string.lower(s) return (lower(s:gsub("I", "\253"))) end
        function string.upper(s) return (upper(s:gsub("i", "\221"))) end
      end
      local client = require "zuora".new { base_url = %q, client_id = %q, client_secret = %q }
      %s
    ]]):format(locale ~= nil, sim.url, sim.client_id, sim.client_secret, code), "LOCPATH=$PWD/" .. (locale or ""))
    assert.equal(0, status, text)
  end

  it("a run that is INVALID has settled", function()
    sim:fault { kind = "outcome", run = "INVALID" }
    turkish [[
      local run = assert(client.reportruns:start("ff808081529f4e3401529fd373730070", { view = "Detail" }))
      local _, err = run:wait { min = 0.01, max = 0.05, timeout = 5 }
      assert(err.kind == "failed", err)
    ]]
    sim:heal()
  end)

  it("headers, formats and the names of files are what they are elsewhere", function()
    turkish [[
      local names, hosts = require "zuora.support.names", require "zuora.caller.hosts"
      assert(names.ending "APPLICATION/ZIP" == ".zip")
      assert(names.of_disposition "attachment; FILENAME=a.csv" == "a.csv")
      assert(names.safe("x.PART.STATE", "y") == "x.PART.STATE_")
      assert(hosts.is_proxy "HTTPS://proxy:1" and hosts.normalise "HTTPS://a.example" == "https://a.example")
      local job = assert(client.jobs:submit { format = "ZIP", queries = { "select Id from Account" } })
      assert(job.format == "ZIP") -- taken as zip
    ]]
  end)

  it("UTF-8 is neither control characters nor letters of ids", function()
    turkish [[
      local names, error_value = require "zuora.support.names", require "zuora.error"
      assert(names.safe("\u{c4}rger", "y") == "\u{c4}rger")
      assert(error_value.clean "\u{c4}rger" == "\u{c4}rger")
      local job = assert(client.jobs:submit { name = "\u{c4}rger", queries = { "select Id from Account" } })
      local ok, problem = pcall(client.jobs.get, client.jobs, job.id .. "\u{c4}")
      assert(not ok and problem:find("bad argument 'job_id'", 1, true), problem)
      assert(not require "zuora.caller.credentials".is_token "\u{c4}")
    ]]
  end)
end)
