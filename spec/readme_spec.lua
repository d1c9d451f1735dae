-- What the README prints must work as printed.

local program = require "spec.cli.program"
local support = require "spec.support"
local tables = require "spec.tables"

describe("the README", function()
  local readme = support.read "README.md"

  local count = 0
  for code in readme:gmatch("```lua\n(.-)```") do
    count = count + 1
    it(("has code that runs: block %d"):format(count), function()
      local text, status = support.lua(code, "timeout 60")
      assert.equal(0, status, text)
    end)
  end

  it("has a session of a shell that runs", function()
    local directory = support.scratch "readme"
    local lines = readme:match "```sh\n(.-)```"
    local paths = { LUA_PATH_5_4 = "../../../lua/?.lua;../../../lua/?/init.lua;;", LUA_CPATH_5_4 = "../../../build/?.so;;" }
    local result = program.shell(([[
      zuora() { lua5.4 ../../../lua/bin/zuora "$@"; }
      cd %s; set -eo pipefail; trap 'kill $! 2> /dev/null || true' EXIT
      %s]]):format(directory, lines), paths)
    assert.equal(0, result.code, result.err)
    assert.same({ "account.xml", "accounts.csv", "nightly", "simulator.env" }, support.listing(directory))
    assert.same({ "Account.csv", "Period.csv" }, support.listing(directory .. "/nightly"))
    assert.matches("A00000003,日本 GmbH,%-12.50\n$", support.read(directory .. "/accounts.csv"))
    assert.matches("2 EUR\n +1 JPY\n", result.out)
    assert.matches("Accounts by balance", result.out)
  end)

  it("has a nightly job that runs", function()
    local sim <close> = support.simulator()
    local directory = support.scratch "readme-nightly"
    local chapter = readme:match "\n## The nightly job\n(.-)\n## "
    support.write(directory .. "/nightly.json", chapter:match "```json\n(.-)```")
    local paths = program.environment_of(sim)
    paths.LUA_PATH_5_4, paths.LUA_CPATH_5_4 = "../../../lua/?.lua;../../../lua/?/init.lua;;", "../../../build/?.so;;"
    local result = program.shell(([[
      zuora() { lua5.4 ../../../lua/bin/zuora "$@"; }
      cd %s; set -eo pipefail
      %s]]):format(directory, chapter:match "```sh\n(.-)```"), paths)
    assert.equal(0, result.code, result.err)
    assert.matches("3 files, 7 records, %d+ bytes: all as they were", result.err)
    assert.matches("\n日本 GmbH|%-12.5\n$", result.out)
    assert.matches("zuora_extract_ended", support.read(directory .. "/zuora.prom"))
    assert.is_truthy(chapter:find("RestartForceExitStatus=6 75", 1, true))
  end)

  it("has an audit that runs", function()
    local rows = {}
    for i, currency in ipairs { "EUR", "JPY", "USD" } do
      rows[i] = { "a" .. i, "name", currency, i .. ".5", "2026-01-02T00:00:00+0000", "2026-01-02T00:00:00+0000" }
    end
    local sim <close> = support.simulator { objects = {
      Account = { columns = { "Id", "Name", "Currency", "Balance", "CreatedDate", "UpdatedDate" }, rows = rows },
      AccountingPeriod = { columns = { "Id", "Name", "StartDate", "FiscalYear" }, rows = {} } } }
    local directory = support.scratch "readme-audit"
    support.write(directory .. "/nightly.json", readme:match '```json\n({ "plan": "nightly".-)```')
    local paths = program.environment_of(sim)
    paths.LUA_PATH_5_4, paths.LUA_CPATH_5_4 = "../../../lua/?.lua;../../../lua/?/init.lua;;", "../../../build/?.so;;"
    local result = program.shell(([[
      zuora() { lua5.4 ../../../lua/bin/zuora "$@"; }
      cd %s; set -eo pipefail
      %s
      echo "$code $mended"]]):format(directory, readme:match "\n## Is the warehouse right%?\n.-```sh\n(.-)```"), paths)
    assert.equal(0, result.code, result.err)
    assert.matches("\n5 7\n$", result.out)
    assert.matches('"month":"2026%-01"', result.out)
  end)

  it("has a pipe into a warehouse that runs, with a loader of ours", function()
    local sim <close> = support.simulator { objects = {
      Account = { columns = { "Id", "UpdatedDate" }, rows = { { "a", "2026-11-01T00:00:00+0000" } } },
      AccountingPeriod = { columns = { "Id", "Name" }, rows = { { "p", "Sep 2014" } } } } }
    local directory = support.scratch "readme-tap"
    local environment = program.environment_of(sim)
    environment.LUA_PATH_5_4 = "../../../lua/?.lua;../../../lua/?/init.lua;../../../?.lua;;"
    environment.LUA_CPATH_5_4, environment.TMPDIR = "../../../build/?.so;;", "."
    local result = program.shell(([[
      zuora-tap() { lua5.4 ../../../lua/bin/zuora-tap --poll 0.01 "$@"; }
      target-postgres() { lua5.4 ../../../spec/tap/target.lua "$@"; }
      cd %s; set -eo pipefail
      %s]]):format(directory, readme:match "\n## Into any warehouse\n.-```sh\n(.-)```"), environment)
    assert.equal(0, result.code, result.err)
    assert.same({ "catalog.json", "config.json", "state.json", "states", "target.json" }, support.listing(directory))
    assert.matches('^{"bookmarks":{"Account":{"UpdatedDate":"20[^"]*:00:00Z"}}}\n$', support.read(directory .. "/state.json"))
    assert.matches("INFO Account: up to date", result.err)
    assert.equal('{"Account":1,"AccountingPeriod":1}\n{"Account":0,"AccountingPeriod":1}\n', support.read(directory .. "/target.json"))
  end)

  it("has its tables as `make doc` prints them: options, operations, exit codes", function()
    assert.equal(tables.fill(readme), readme)
  end)

  it("shows how to fit a client into other loops", function()
    assert.is_true(count >= 6)
    for _, name in ipairs { "luv", "cqueues", "copas" } do
      assert.is_truthy(readme:find(('require "zuora.loops.%s".attach(client, { on_error = f'):format(name), 1, true), name)
    end
  end)

  it("has a tour of some 20 lines that shows rows and a file", function()
    local code = readme:match("```lua\n(.-)```")
    local lines = 0
    for line in code:gmatch("[^\n]+") do lines = lines + (line:match("%S") and 1 or 0) end
    assert.is_true(lines <= 25, lines)
    local text = support.lua(code)
    assert.matches("日本 GmbH\t%-12%.50", text)
    assert.matches("%d+ bytes\t3 records", text)
    local _, count_of_name = text:gsub("日本 GmbH", "") -- of the report, and of the job
    assert.equal(2, count_of_name)
  end)

  it("names the Lua libraries that are needed, and when", function()
    local text = support.lua [[
      local function loaded()
        local names = {}
        for name in pairs(package.loaded) do
          if not name:find "^zuora" and not _G[name] and name ~= "_G" then names[#names + 1] = name end
        end
        return table.concat(names, " ")
      end
      require "zuora"
      require "zuora.simulator"
      print(loaded())
      require "zuora.simulator".open():stop()
      print(package.loaded.socket ~= nil, package.loaded.ssl, package.loaded.lxp)]]
    assert.equal("cjson\ntrue\tnil\tnil\n", text)
    assert.matches("`cjson` alone when `zuora` is required", readme, nil, true)
  end)

  it("lists the environments", function()
    for name in pairs(require "zuora".environments) do assert.is_truthy(readme:find("`" .. name .. "`", 1, true)) end
  end)
end)
