local core = require "zuora.core"
local program = require "spec.cli.program"
local support = require "spec.support"
local target = require "zuora.cli.target"
local zuora = require "zuora"

local START = "report run " .. support.REPORT .. " --poll 0.01 --quiet"

describe("the place of a result", function()
  local sim, run, dir

  setup(function()
    sim = support.simulator()
    run = program.on(sim)
    dir = support.scratch "cli-target"
  end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    sim:forget()
  end)

  local function rows(text)
    support.write(dir .. "/rows.csv", text)
    return assert(zuora.rows(dir .. "/rows.csv", { form = "array" }))
  end

  it("is one writer's, as a download's is: whatever the format", function()
    local path = dir .. "/shared"
    support.write(path, "old")
    local first <close> = assert(core.file(path))
    local done, err = target.replace(path, rows "A\n1\n", "jsonl")
    assert.is_nil(done)
    assert.equal("file", err.kind)
    assert.matches("shared.part: Device or resource busy", err.message, 1, true)
    for _, words in ipairs { "", " --format jsonl", " --columns Account.Name" } do
      local result = run(START .. words .. " -o " .. path)
      assert.equal(75, result.code)
      assert.matches("^zuora: file: .*Device or resource busy\n$", result.err)
    end
    assert.equal(0, #sim:journal()) -- it is tried before anything is asked for
    assert.is_true(first:write "new")
    assert.is_true(first:publish())
    assert.equal("new", support.read(path))
    assert.is_nil(support.read(path .. ".part"))
  end)

  it("keeps its mode", function()
    local path = dir .. "/mode"
    support.write(path, "old")
    support.shell("chmod 600 " .. path)
    assert.equal(0, run(START .. " --format jsonl -o " .. path).code)
    assert.equal(384, (core.mode(path)))
    assert.matches('^{"Account', support.read(path))
  end)

  it("is reached through no symbolic link, and no pipe", function()
    local path, victim = dir .. "/linked", dir .. "/victim"
    support.write(victim, "old")
    support.shell(("ln -s victim %s.part"):format(path))
    assert.equal(1, run(START .. " --format jsonl -o " .. path).code)
    assert.equal("old", support.read(victim))
    os.remove(path .. ".part")
    support.shell(("ln -s victim %s"):format(path))
    assert.equal(1, run(START .. " --format jsonl -o " .. path).code)
    assert.equal("l\n", support.shell(("test -L %s && echo l"):format(path)))
    os.remove(path)
    support.shell(("mkfifo %s.part"):format(path))
    assert.equal(1, run(START .. " --format jsonl -o " .. path).code)
    assert.equal("old", support.read(victim))
    os.remove(path .. ".part")
  end)

  it("is as it was when rows are not as they should be", function()
    local path = dir .. "/kept"
    support.write(path, "old")
    assert.has_error(function() target.replace(path, rows "A,B\n1,2\n3\n") end)
    assert.equal("old", support.read(path))
    assert.is_nil(support.read(path .. ".part"))
    local done, err = target.replace("/dev/null/x", rows "A\n1\n")
    assert.is_nil(done)
    assert.matches("^/dev/null/x", err.message)
  end)

  it("is tried before anything is asked for", function()
    for _, words in ipairs { START .. " -o /nonexistent/x.csv", START .. " --columns A -o /nonexistent/x.csv",
      "job submit -q A='select Id from Account' -d /proc/x" } do
      local result = run(words)
      assert.equal(1, result.code, words)
      assert.matches("^zuora: file: /[^\n]+\n$", result.err)
    end
    -- (What is taken where nothing is said, too.)
    local result = program.shell([[here=$PWD
      export LUA_PATH_5_4=$(echo "$LUA_PATH_5_4" | sed "s|\./|$here/|g") LUA_CPATH_5_4=$(echo "$LUA_CPATH_5_4" | sed "s|\./|$here/|g")
      cd /proc/self; lua5.4 $here/lua/bin/zuora job download x1]], program.environment_of(sim))
    assert.same({ 1, "zuora: file: .: No such file or directory\n" }, { result.code, result.err })
    assert.equal(0, #sim:journal())
    assert.is_true(target.try_directory(dir .. "/made"))
    assert.same({}, support.listing(dir .. "/made"))
  end)

  it("has nothing on standard output, or in a pipe, before all rows have been read", function()
    sim:fault { on = "GET /reporting/api/rest/v1/reportruns/export/*", kind = "status", status = 200, times = "always",
      headers = { ["Content-Type"] = "text/csv" }, body = "A,B\n" .. ("1,2\n"):rep(50000) .. "3\n" }
    local result = run(START)
    assert.equal(5, result.code, result.err)
    assert.equal("", result.out)
    result = program.shell(("mkfifo %s/pipe; cat %s/pipe & $zuora %s --format jsonl -o %s/pipe; echo $?; : > %s/pipe; wait")
      :format(dir, dir, START, dir, dir), program.environment_of(sim))
    assert.equal("5\n", result.out)
  end)

  it("says which columns there are, and leaves the others out of the line that goes on", function()
    local result = run(START .. " --columns Nope")
    assert.equal(2, result.code)
    assert.matches("to go on with it: zuora report download %x+\n$", result.err)
  end)

  it("says where rows could not be kept", function()
    local spool, err = target.spool("/nonexistent", rows "A\n1\n")
    assert.is_nil(spool)
    assert.matches("^/nonexistent: ", err.message)
  end)

  it("is closed once", function()
    local file = assert(core.file(dir .. "/closed"))
    file:close()
    file:close()
    assert.has_error(function() file:write "x" end, "attempt to use a closed file")
    assert.equal("zuora.file (closed)", tostring(file))
    assert.is_nil(support.read(dir .. "/closed.part"))
    assert.has_error(function() core.file "a\0b" end)
  end)
end)
