-- A run that is killed at its n-th write, sync, rename, removal or connect, and started again, comes to the same end:
-- whole files, every row once, one job for each key. Each n in turn with TORTURE=all; some of them else.

local extract = require "zuora.extract"
local json = require "zuora.extract.json"
local store = require "zuora.extract.store"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = 3600
local EVERY = os.getenv "TORTURE" == "all"
local CALLS = "open,write,fsync,ftruncate,rename,unlink,mkdir,connect"

-- A prime, so that the few that are tried are not all of one sort.
local STRIDE = EVERY and 1 or 97

local ITEMS = {
  { object = "Thing", deleted = true, totals = { "count", "sum(Amount)" } },
  { object = "Thing", name = "Paged", split = "id:8" },
  { report = "Accounts by balance", view = "Detail", name = "Balances" },
  { query = "select Id, Name from Thing", api = "query", name = "Data" },
}

describe("an extraction that is killed", function()
  local here, shim, counts

  setup(function()
    local text, status = support.shell "make -s build/spec/torture/syscalls.so"
    assert.equal(0, status, text)
    shim = support.shell "pwd":gsub("\n", "") .. "/build/spec/torture/syscalls.so"
    counts = {}
  end)

  -- Runs the plan in a process; true when it ended by itself.
  local function run(path, at)
    local rule = at and ("LD_PRELOAD=%s SYSCALLS='below=%s calls=%s at=%d how=kill' "):format(shim,
      support.shell "pwd":gsub("\n", "") .. "/" .. here.folder, CALLS, at) or ""
    local text, status = support.shell(("LUA_PATH_5_4='./lua/?.lua;./lua/?/init.lua;;' LUA_CPATH_5_4='./build/?.so;;' "
      .. "%slua5.4 spec/extract/child.lua %s %s 2>&1"):format(rule, here.sim.url, path))
    if status ~= 0 and not at then error(("%s (%s)"):format(text, status), 0) end
    assert(status == 0 or status > 128, text)
    return status == 0
  end

  local function states(plan)
    if not support.read(plan.store) then return end
    local book <close> = store.open(plan.store)
    local ok, rows = pcall(book.rows, book, "SELECT state, kind FROM zuora_read")
    for _, row in ipairs(ok and rows or {}) do counts[row.state] = (counts[row.state] or 0) + 1 end
  end

  local function assert_sound(plan)
    local found = assert(extract.verify(plan.output))
    assert.same({}, found.problems)
    local held, target <close> = here:held(), store.open(plan.load.to:match ":(.*)")
    for _, name in ipairs { "Thing", "Paged" } do
      local count = 0
      for _, row in ipairs(target:rows(('SELECT * FROM "%s" WHERE NOT _zuora_deleted'):format(name))) do
        local other = held[row.Id]
        if name == "Thing" or other then
          assert.is_table(other, row.Id)
          assert.equal(other.Name, row.Name)
          count = count + 1
        end
      end
      local expected = 0
      for _ in pairs(held) do expected = expected + 1 end
      assert.equal(expected, count, name)
    end
    -- One job for each key, and each key for one job.
    local keys, jobs = {}, 0
    for _, request in ipairs(here.sim:journal()) do
      if request.method == "POST" and request.path == "/v1/batch-query" then
        local key = request.headers["idempotency-key"]
        if not keys[key] then jobs = jobs + 1 end
        keys[key] = true
      end
    end
    return jobs
  end

  -- Two nights, each killed at the n-th call and started again; false when there were fewer calls.
  local function nights(n)
    local plan = here:plan(ITEMS, { plan = "n" .. n, output = here.folder .. "/out" .. n, concurrency = 1 })
    plan.store, plan.load = plan.output .. "/.zuora.db", { to = "sqlite:" .. here.folder .. "/dw" .. n .. ".db" }
    local path = here.folder .. "/plan.json"
    support.write(path, json.encode(plan))
    local killed = false
    for night = 1, 2 do
      here.sim:forget()
      local jobs = #here.sim:held().jobs
      if not run(path, n) then
        killed = true
        states(plan)
        run(path)
      end
      local keys = assert_sound(plan)
      if not here.ignores_keys then assert.equal(keys, #here.sim:held().jobs - jobs) end
      if night == 1 then
        here.sim:forward(HOUR)
        here.sim:update("Thing", { { ("id%05d"):format(n % 20 + 1), "night " .. n, "3.25", "" } })
        here.sim:delete("Thing", { ("id%05d"):format((n + 7) % 20 + 1) })
      end
    end
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { ("id%05d"):format((n + 7) % 20 + 1), "back " .. n, "1", "" } })
    support.shell(("rm -rf %s %s/dw%d.db*"):format(plan.output, here.folder, n))
    return killed
  end

  for name, settings in pairs { ["whatever it was about"] = {}, ["though keys mean nothing"] = { ignore_keys = true } } do
    it("comes to the same end, " .. name, function()
      here = world.new { name = "extract-killed", simulator = settings }
      here.ignores_keys = settings.ignore_keys
      local of <close> = here
      local n = 1
      while nights(n) do n = n + STRIDE end
      local _ = of
      assert.is_true(n > 300, "only " .. n .. " calls")
      print(("\nkilled at %d places; reads were"):format((n - 1) // STRIDE + 1), json.encode(counts))
    end)
  end
end)
