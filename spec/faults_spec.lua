-- The table of faults: whatever can go wrong, made to go wrong, and what must come of it. Each case says which
-- fault it is, what must come of it and how it is made; what is asked of all of them is in spec/faults/world.lua.

local support = require "spec.support"
local wire = require "spec.faults.wire"
local world = require "spec.faults.world"

-- How many cases each letter has; "veteran" are those that no list had.
local LETTERS = { { "A", 32, "network", "bodies" }, { "B", 30, "http" }, { "C", 20, "data" }, { "D", 18, "local" },
  { "E", 20, "embedding" }, { "F", 20, "security" }, { "V", false, "veteran" } }

-- The cases of some files, in order.
local function cases_of(...)
  local cases = {}
  for _, file in ipairs { ... } do
    local list = require("spec.faults." .. file)
    table.move(list, 1, #list, #cases + 1, cases)
  end
  table.sort(cases, function(a, b) return tonumber(a.id:sub(2)) < tonumber(b.id:sub(2)) end)
  return cases
end

local shared

setup(function()
  local planted = world.planted
  local sim = support.simulator { looks = 1, client_id = planted.client_id, client_secret = planted.client_secret,
    username = planted.username, password = planted.password }
  local client <close> = support.client(sim)
  local job = assert(client.jobs:submit { queries = { { name = "a", query = "select Id, Name from Account" } } })
  assert(job:wait(support.soon))
  shared = { sim = sim, job = { id = job.id, file = job:batch "a".fileId },
    certificates = wire.certificates(support.scratch "certificates") }
end)
teardown(function() shared.sim:stop() end)

for _, letter in ipairs(LETTERS) do
  local name, count, title = table.unpack(letter)
  local cases = cases_of(table.unpack(letter, 3))

  describe("faults of the " .. title, function()
    it("are all in the table", function()
      for i, case in ipairs(cases) do
        assert.equal(name .. i, case.id)
        assert.is_truthy(case.fault and case.expect and (case.make or case.not_here or case.elsewhere), case.id)
        if case.elsewhere then assert.equal(0, select(2, support.shell("test -e " .. case.elsewhere)), case.elsewhere) end
      end
      if count then assert.equal(count, #cases) end
    end)

    for _, case in ipairs(cases) do
      local words = ("%s: %s: %s"):format(case.id, case.fault, case.expect)
      local missing = case.not_here or case.needs and case.needs()
      if missing then
        pending(("%s (%s)"):format(words, missing))
      elseif case.make then
        it(words, function() world.run(shared, case) end)
      end
    end
  end)
end

describe("what is asked of every case", function()
  local kept

  local function asked(make)
    local ok, problem = pcall(world.run, shared, { id = "X1", make = make })
    if kept then kept:close() end
    kept = nil
    assert.is_false(ok)
    return tostring(problem)
  end

  it("finds a secret that was told, wherever", function()
    for _, secret in pairs(world.planted) do
      assert.matches("a secret was told", asked(function(w) w:tell { deep = { [1] = "x" .. secret .. "y" } } end))
    end
    assert.matches("a secret was told", asked(function(w)
      w:child "print 'Bearer simulated-token.1.42'"
    end))
  end)

  it("finds a descriptor, a file and a spool that are left", function()
    assert.matches("descriptors before", asked(function() kept = assert(io.open "/dev/null") end))
    assert.matches("descriptors before", asked(function(w) w:child "Kept = io.open '/dev/null'" end))
    assert.matches("a file was left: x.part", asked(function(w) support.write(w.directory .. "/x.part", "") end))
    assert.matches("a spool was left", asked(function(w) support.write(w.directory .. "/tmp/x", "") end))
  end)

  it("finds a client that does not work afterwards", function()
    assert.matches("does not work afterwards", asked(function(w)
      w:client { base_url = "http://127.0.0.1:" .. world.closed_port(), token = "t" }
    end))
  end)
end)
