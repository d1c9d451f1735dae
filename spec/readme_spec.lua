-- What the README prints must work as printed.

local cluster = require "spec.load.cluster"
local program = require "spec.cli.program"
local support = require "spec.support"
local tables = require "spec.tables"
local figures = require "spec.figures"

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

  -- As somebody types them in: one shell, from the tour to the simulator's chapter, in a folder of their own.
  it("has sessions of a shell that run one after another", function()
    local directory = support.scratch "readme"
    local paths = { LUA_PATH_5_4 = "../../../lua/?.lua;../../../lua/?/init.lua;;", LUA_CPATH_5_4 = "../../../build/?.so;;" }
    local chapters = {}
    for i, name in ipairs { "A tour", "From a shell", "Test without a tenant" } do
      chapters[i] = assert(readme:match("\n## " .. name .. "\n(.-)\n## "):match "```sh\n(.-)```", name)
    end
    local result = program.shell(([[
      export PATH="$PWD/lua/bin:$PATH"
      cd %s; set -eo pipefail; trap 'kill $simulator 2> /dev/null || true' EXIT
      %s]]):format(directory, table.concat(chapters, "\n")), paths)
    assert.equal(0, result.code, result.err)
    assert.same({ "account.xml", "accounts.csv", "queries", "simulator.env" }, support.listing(directory))
    assert.same({ "Account.csv", "Period.csv" }, support.listing(directory .. "/queries"))
    assert.matches("A00000003,日本 GmbH,%-12.50\n$", support.read(directory .. "/accounts.csv"))
    assert.matches("2 EUR\n +1 JPY\n", result.out)
    assert.matches("Accounts by balance", result.out)
    assert.matches('}\n("target":"/v1/describe/AccountingPeriod"\n)%1$', result.out)
  end)

  it("has a nightly job that runs", function()
    local sim <close> = support.simulator()
    local directory = support.scratch "readme-nightly"
    local chapter = readme:match "\n## The nightly job\n(.-)\n## "
    support.write(directory .. "/nightly.json", chapter:match "```json\n(.-)```")
    local paths = program.environment_of(sim)
    paths.LUA_PATH_5_4, paths.LUA_CPATH_5_4 = "../../../lua/?.lua;../../../lua/?/init.lua;;", "../../../build/?.so;;"
    local result = program.shell(([[
      export PATH="$PWD/lua/bin:$PATH"
      cd %s; set -eo pipefail
      %s]]):format(directory, chapter:match "```sh\n(.-)```"), paths)
    assert.equal(0, result.code, result.err)
    assert.matches("3 files, 7 records, %d+ bytes: all as they were", result.err)
    assert.matches("\n日本 GmbH|%-12.5\n$", result.out)
    assert.matches("zuora_extract_ended", support.read(directory .. "/zuora.prom"))
    assert.is_truthy(chapter:find("RestartForceExitStatus=6 75", 1, true))
  end)

  it("has an audit that runs", function()
    local sim <close> = support.simulator()
    local directory = support.scratch "readme-audit"
    support.write(directory .. "/nightly.json", readme:match '```json\n({ "plan": "nightly".-)```')
    local paths = program.environment_of(sim)
    paths.LUA_PATH_5_4, paths.LUA_CPATH_5_4 = "../../../lua/?.lua;../../../lua/?/init.lua;;", "../../../build/?.so;;"
    local result = program.shell(([[
      export PATH="$PWD/lua/bin:$PATH"
      cd %s; set -eo pipefail
      %s
      echo "$code $mended"]]):format(directory, readme:match "\n## Is the warehouse right%?\n.-```sh\n(.-)```"), paths)
    assert.equal(0, result.code, result.err)
    assert.matches("\n5 7\n$", result.out)
    assert.matches('"month":"2026%-03"', result.out)
  end)

  it("has workers of several machines that share a plan", function()
    if cluster.missing() then
      pending("cannot be tried here: " .. cluster.missing())
      return
    end
    local sim <close> = support.simulator()
    local database <close> = cluster.start()
    database:run(("psql -q '%s' -c 'create database dw'"):format(database.uri))
    local directory = support.scratch "readme-machines"
    local chapter = readme:match "\n## On several machines\n(.-)\n## "
    support.write(directory .. "/nightly.json", chapter:match "```json\n(.-)```")
    local environment = program.environment_of(sim)
    environment.LUA_PATH_5_4, environment.LUA_CPATH_5_4 = "../../../lua/?.lua;../../../lua/?/init.lua;;", "../../../build/?.so;;"
    environment.PGHOST, environment.PGUSER = database.folder, "postgres"
    local result = program.shell(([[
      export PATH="$PWD/lua/bin:$PATH"
      cd %s; set -eo pipefail
      %s]]):format(directory, chapter:match "```sh\n(.-)```"), environment)
    assert.equal(0, result.code, result.err)
    assert.matches('"item":"Account".*"mark":"20.*"records":3', result.out)
    assert.equal(1, select(2, result.err:gsub("Account: 3 records", "")), result.err)
    assert.equal("3\n", database:run(("psql -qAt '%s' -c 'select count(*) from zuora.\"Account\"'"):format(
      database.uri:gsub("/postgres%?", "/dw?"))))
    assert.is_truthy(chapter:find("zuora extract work /etc/zuora/nightly.json --forever", 1, true))
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
      %s
      %s]]):format(directory, readme:match "\n## Into any warehouse\n.-```sh\n(.-)```.-```sh\n(.-)```"), environment)
    assert.equal(0, result.code, result.err)
    assert.same({ "catalog.json", "config.json", "messages", "state.json", "states", "target.json" }, support.listing(directory))
    assert.matches('^{"bookmarks":{"Account":{"UpdatedDate":"20[^"]*:00:00Z"}}}\n$', support.read(directory .. "/state.json"))
    assert.matches("INFO Account: up to date", result.err)
    assert.equal('{"Account":1,"AccountingPeriod":1}\n{"Account":0,"AccountingPeriod":1}\n', support.read(directory .. "/target.json"))
    -- What a scheduler is told of the tap, and of the loader.
    local load, state = readme:match "\n(load%(%).-\n%))\n", support.read(directory .. "/state.json")
    for code, loader in pairs { [4] = "cat > /dev/null", [3] = "cat > /dev/null; return 3" } do
      environment.ZUORA_CLIENT_SECRET = code == 4 and "another" or sim.client_secret
      result = program.shell(([[
        zuora-tap() { lua5.4 ../../../lua/bin/zuora-tap --poll 0.01 "$@"; }
        target-postgres() { %s; }
        cd %s; set -eo pipefail
        %s
        load]]):format(loader, directory, load), environment)
      assert.equal(code, result.code, result.err)
    end
    assert.equal(state, support.read(directory .. "/state.json"))
  end)

  it("and the reference have their tables and lists of chapters as `make doc` prints them, each table once", function()
    local names = tables.names()
    for _, path in ipairs(tables.paths) do
      local text = support.read(path)
      local filled, found = tables.fill(text)
      assert.equal(filled, text)
      for name in pairs(found) do
        assert(names[name], name)
        names[name] = name == "chapters" or nil
      end
    end
    assert.same({ chapters = true }, names)
  end)

  it("and the reference link to what is there", function()
    for _, path in ipairs(tables.paths) do
      local text, folder = support.read(path), path:match "^.*/" or ""
      local anchors = {}
      for title in text:gmatch "\n##+ ([^\n]+)" do
        anchors[title:lower():gsub("[^%w%s_-]", ""):gsub(" ", "-")] = true
      end
      for file, anchor in text:gmatch "%]%(([^#)]*)#?([^)]*)%)" do
        if file == "" then
          assert(anchors[anchor], anchor)
        elseif not file:find "^https:" then
          local linked = support.read(folder .. file)
          assert.is_string(linked, file)
          local plain = linked:gsub("[`.:]", ""):lower():gsub(" ", "-")
          assert.is_truthy(anchor == "" or plain:find("#-" .. anchor .. "\n", 1, true), anchor)
        end
      end
    end
  end)

  it("installs what the Makefile does for its demo", function()
    local makefile = support.read "Makefile":gsub("\\\n", " ")
    local function words(text)
      local list = {}
      for word in text:gmatch "[%w.+-]+" do list[#list + 1] = word end
      table.sort(list)
      return list
    end
    assert.same(words(makefile:match "\nDEBIAN_PACKAGES = ([^\n]*)" .. " "
      .. makefile:match "\nDEBIAN_PACKAGES_FOR_EXTRACTION = ([^\n]*)"),
      words(readme:gsub("\\\n", " "):match "sudo apt%-get install ([^\n]*)"))
  end)

  it("has plots of the figures that it keeps, bar by bar", function()
    for _, plot in ipairs(figures.plots(readme)) do
      local picture = support.read((".github/%s.svg"):format(plot.name))
      assert.is_truthy(readme:find((".github/%s.svg"):format(plot.name), 1, true))
      assert.equal(plot.title, picture:match "<title>(.-)</title>")
      assert.equal(figures.words(plot), picture:match "<desc>(.-)</desc>")
      local scale, drawn = nil, 0
      for points in picture:gmatch "<polygon[^>]-points = '([^']*)'" do
        drawn = drawn + 1
        local left, right = math.huge, 0
        for x in points:gmatch "([%d.]+),[%d.]+" do left, right = math.min(left, tonumber(x)), math.max(right, tonumber(x)) end
        scale = scale or (right - left) / plot.bars[drawn][2]
        assert.near(scale, (right - left) / plot.bars[drawn][2], scale * 0.02)
      end
      assert.equal(#plot.bars, drawn)
    end
  end)

  it("stands beside promises of security that name a spec each, which is there", function()
    local promises = 0
    for list in support.read ".github/SECURITY.md":gmatch "%(([%l_/]+[%l_/, \n]*)%)[.;,\n]" do
      for name in list:gmatch "[%l_/]+" do
        promises = promises + 1
        assert.is_string(support.read("spec/" .. name .. "_spec.lua"), name)
      end
    end
    assert.is_true(promises > 30, promises)
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
