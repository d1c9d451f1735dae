-- zuora-tap, as a shell and as loaders have it: zuora.cli.tap, and lua/bin/zuora-tap.

local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"
local world = require "spec.tap.world"

local MONEY = "12345678901234567890.123456789"

describe("zuora-tap", function()
  local here

  setup(function()
    here = world.new { name = "tap-program", simulator = { objects = { Thing = {
      columns = { "Id", "Name", "Amount", "StartDate", "UpdatedDate" }, rows = {
        { "t1", 'a "quote",\nand a line\\', MONEY, "2026-08-04", "2026-11-01T00:00:00+0000" },
        { "t2", "日本 🙂", "-0.10", "", "2026-11-02T00:00:00+0000" },
        { "t3", "", "", "2026-08-05T00:00:00+0000", "2026-11-03T10:00:00+0000" } } },
      Many = { columns = { "Id", "Name" }, generate = { rows = 20000 } },
      Plain = { columns = { "Id", "Amount" }, rows = { { "p", "1.0" } } } } } }
    here.sim:delete("Thing", { "t3" })
  end)
  teardown(function() here:close() end)

  local function good(line, config)
    local result = here:shell(line, config)
    assert(result.code == 0, result.code .. ": " .. result.err)
    return result
  end

  it("writes what validates, with decimals exact", function()
    if select(2, support.shell "python3 -W ignore -c 'import jsonschema'") ~= 0 then return pending "jsonschema is not installed" end
    for _, decimals in ipairs { "number", "string" } do
      local result = good("set -o pipefail; $tap --decimals " .. decimals .. " | tee " .. here.folder
        .. "/lines | python3 -W ignore spec/tap/validate.py", { select = { "Thing", "Plain" } })
      assert.same({ SCHEMA = 2, RECORD = 4, STATE = 3 }, core.decode(result.out))
      local lines = support.read(here.folder .. "/lines")
      local quote = decimals == "string" and '"' or ""
      assert.matches('"Amount":' .. quote .. MONEY .. quote .. ",", lines, nil, true)
      assert.matches('"Amount":' .. quote .. "-0.10" .. quote .. ",", lines, nil, true)
      assert.matches('"StartDate":"2026-08-04T00:00:00Z"', lines, nil, true)
      assert.matches('"Name":null', lines, nil, true)
      assert.matches('"Name":"a \\"quote\\",\\nand a line\\\\"', lines, nil, true)
      assert.matches('"Deleted":true,"_sdc_deleted_at":"20', lines, nil, true)
      local _, metrics = result.err:gsub('INFO METRIC: {"type": "counter", "metric": "record_count", "value": %d, "tags"', "")
      assert.equal(2, metrics)
    end
    local state = support.read(here.folder .. "/lines"):match '[^\n]*"STATE"[^\n]*\n$'
    assert.same({ "Thing" }, { (next(core.decode(state).value.bookmarks)) })
  end)

  it("goes by a catalogue and a state, until there is nothing new", function()
    local result = good(([[
      $tap --discover > %/catalog.json
      $tap --catalog %/catalog.json > %/first
      tail -n 1 %/first | sed 's/.*"value":\(.*\)}$/\1/' > %/state.json
      $tap --properties %/catalog.json --state %/state.json]]):gsub("%%", here.folder), { select = { "Thing" } })
    local into = world.loader()
    into:write(support.read(here.folder .. "/first"))
    assert.equal(3, into.written)
    here:assert_loaded(into)
    assert.matches("^[^\n]*SCHEMA[^\n]*\n[^\n]*STATE[^\n]*\n$", result.out)
    assert.matches("INFO Thing: up to date", result.err)
    local same = here:shell(("$zuora tap --config %s/config.json --catalog %s/catalog.json --poll 0.01"):format(here.folder,
      here.folder), { select = { "Thing" } })
    local second = world.loader()
    second:write(same.out)
    assert.same(into.rows, second.rows)
  end)

  it("takes user and password, as tap-zuora is told them", function()
    local config = { select = { "Plain" }, client_id = "", client_secret = "" }
    config.username, config.password = here.sim.username, here.sim.password
    assert.matches('"Amount":1.0', good("$tap", config).out, nil, true)
    config.username, config.password, config.auth_type = here.sim.client_id, here.sim.client_secret, "OAUTH"
    assert.matches('"Amount":1.0', good("$tap", config).out, nil, true)
    -- What is in no file may be in the environment.
    config = { select = { "Plain" }, client_id = "", client_secret = "" }
    assert.matches('"Amount":1.0', good("export ZUORA_CLIENT_ID=" .. here.sim.client_id
      .. " ZUORA_CLIENT_SECRET=" .. program.quoted(here.sim.client_secret) .. "; $tap", config).out, nil, true)
  end)

  it("ends quietly when nobody reads on, and leaves nothing behind", function()
    for _, trap in ipairs { "trap '' PIPE; ", "" } do
      local result = here:shell("set -o pipefail; " .. trap .. "$tap --quiet | head -n 2", { select = { "Many" } })
      assert.matches("^[^\n]*SCHEMA[^\n]*\n[^\n]*RECORD[^\n]*\n$", result.out)
      assert.equal("", result.err)
      assert.is_true(result.code == 0 or result.code == 128 + 13, result.code)
    end
    local result = here:shell("$tap > /dev/full", { select = { "Thing" } })
    assert.equal(1, result.code)
    assert.matches("standard output: No space left on device\n$", result.err)
    assert.is_nil(support.shell("ls " .. here.folder):find "zuora%-tap", 1)
  end)

  it("that is killed with whoever reads it goes on from the last state", function()
    for count = 1, 5 do
      local into = world.loader()
      into:write(here:shell("$tap | { head -n " .. count .. "; kill -9 $(pgrep -P $$ lua5.4); } 2> /dev/null",
        { select = { "Thing" } }).out)
      assert.equal(count, into.lines)
      support.write(here.folder .. "/state.json", core.encode(into.state or {}))
      into:write(good("$tap --state " .. here.folder .. "/state.json", { select = { "Thing" } }).out)
      here:assert_loaded(into)
    end
    assert.is_nil(support.shell("ls " .. here.folder):find "zuora%-tap")
  end)

  it("takes away what a killed one has left, and nobody else's", function()
    local left = here.folder .. "/zuora-tap-00aa"
    core.mkdir(left .. "/Thing", true)
    -- Somebody else's, to have what it points to removed by us; and such a link in our own.
    local trap, victim = here.folder .. "/zuora-tap-00cc", support.scratch "tap-victim"
    core.mkdir(trap)
    support.write(trap .. "/journal.lock", "")
    support.write(victim .. "/kept", "")
    support.shell(("ln -s $PWD/%s %s/link; ln -s $PWD/%s %s/Thing/link"):format(victim, trap, victim, left))
    for _, name in ipairs { "journal.lock", "Thing/x.csv", "journal" } do support.write(left .. "/" .. name, "") end
    local held = here.folder .. "/zuora-tap-00bb"
    core.mkdir(held, true)
    local book = require "zuora.extract.journal".open(held .. "/journal", "other")
    good("$tap", { select = { "Plain" } })
    assert.equal("zuora-tap-00bb\nzuora-tap-00cc\n", (support.shell("ls " .. here.folder .. " | grep zuora-tap")))
    assert.same({ "kept" }, support.listing(victim))
    book:close()
    support.shell(("rm -r %s %s"):format(held, trap))
  end)

  it("keeps what it fetches where nobody else can look", function()
    local seen = good("$tap > " .. here.folder .. "/out & while ! ls -ld " .. here.folder .. "/zuora-tap-* 2> /dev/null; do :; done; wait",
      { select = { "Thing" } }).out
    assert.matches("^drwx%-%-%-%-%-%-", seen)
  end)

  it("says no secret, whatever happens", function()
    local secret = here.sim.client_secret
    for _, config in ipairs { { select = { "Thing" } }, { client_secret = secret .. "x" }, { base_url = "http://127.0.0.1:1" },
      { client_secret = { secret } }, { client_id = secret .. "\n" }, { start_date = "no" } } do
      config.select = { "Thing" }
      config.retries = 0
      local result = here:shell("$tap --debug", config)
      assert.is_nil(result.err:find(secret, 1, true), result.err)
      assert.is_nil(result.out:find(secret, 1, true))
      assert.is_true(#result.err > 20)
    end
    support.write(here.folder .. "/broken.json", '{"client_secret": "' .. secret .. '" "')
    local result = here:shell("$zuora tap --config " .. here.folder .. "/broken.json")
    assert.equal(2, result.code)
    assert.is_nil(result.err:find(secret, 1, true))
  end)

  it("ends with the number that says why", function()
    local function ends(code, line, config, words)
      local result = here:shell(line, config)
      assert.equal(code, result.code, line .. ": " .. result.err)
      if words then assert.matches(words, result.err, nil, true) end
    end
    local THING = { select = { "Thing" }, retries = 0 }
    local function with(more)
      for name, value in pairs(THING) do more[name] = more[name] == nil and value or more[name] end
      return more
    end
    ends(2, "$zuora tap", nil, "missing option '-c'")
    ends(2, "$zuora tap --config " .. here.folder .. "/not", nil, "cannot be read")
    ends(2, "$tap", nil, "which streams?")
    ends(2, "$tap --catalog x --properties y", nil, "can not be used together")
    ends(2, "$tap", { select = { "Nope" } }, "there is no object 'Nope'")
    ends(2, "$tap", with { every = "often" }, "config: every: a time such as")
    ends(2, "$tap", with { environment = "mars", base_url = "" }, "environment")
    ends(2, "$tap --state " .. here.folder .. "/config.json --catalog " .. here.folder .. "/config.json", THING, "no streams")
    ends(4, "$tap", with { client_secret = "wrong" })
    ends(75, "$tap", with { base_url = "http://127.0.0.1:1" })
    ends(6, "$tap --wait 0", with { start_date = "2020-01-13" }, "1 of 1 streams failed")
    here.sim:fault { on = "POST /v1/batch-query", kind = "outcome", job = "error" }
    ends(3, "$tap", with { start_date = "2020-01-07" }, "ERROR Thing: ")
    here.sim:heal()
  end)

  it("tells of a word that it does not know, and of a bare selection", function()
    local result = good(([[$tap --discover > %/c
      sed -i 's/"selected": true/"selected": false/; 0,/"selected": false/s//"selected": true/' %/c
      $tap --catalog %/c]]):gsub("%%", here.folder), { select = { "Thing" }, clent_id = "x" })
    assert.matches("WARNING config: nothing is known of 'clent_id'", result.err)
    assert.matches("WARNING Thing: of its properties only those are selected that always are", result.err)
    assert.matches('"record":{"Id":"t1","UpdatedDate":', result.out, nil, true)
  end)

  it("answers Ctrl-C at once", function()
    here.sim:fault { on = "GET /v1/batch-query/jobs/*", kind = "delay", seconds = 5, times = "always" }
    here:shell("", { select = { "Thing" }, start_date = "2020-01-11" })
    local result = program.interrupted("tap --config " .. here.folder .. "/config.json", { TMPDIR = here.folder },
      function(_, err) return err:find "INFO Thing: begins" ~= nil end)
    here.sim:heal()
    assert.equal(130, result.code)
    assert.is_true(result.seconds < 2, result.seconds)
    assert.is_nil(support.shell("ls " .. here.folder):find "zuora%-tap")
  end)
end)
