-- A run that is killed at its n-th write, sync, rename, removal or connect, or at any moment, or whose disk is full, and
-- that is started again, comes to the same end: whole files, every row once, one job for each key. TORTURE=all tries
-- every n, TORTURE=7 every seventh, and a hundred moments; else it is some of them.

local cluster = require "spec.load.cluster"
local extract = require "zuora.extract"
local json = require "zuora.extract.json"
local store = require "zuora.extract.store"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = 3600
local TORTURE = os.getenv "TORTURE"
local CALLS = "open,write,pwrite,fsync,ftruncate,rename,unlink,mkdir,connect"

-- A prime, so that the few that are tried are not all of one sort.
local STRIDE = TORTURE == "all" and 1 or tonumber(TORTURE) or 149
local MOMENTS = TORTURE and 100 or 2

local ITEMS = {
  { object = "Thing", deleted = true, totals = { "count", "sum(Amount)" } },
  { object = "Thing", name = "Paged", split = "id:8" },
  { report = "Accounts by balance", view = "Detail", name = "Balances" },
  { query = "select Id, Name from Thing", api = "query", name = "Data" },
}

local HERE = support.shell "pwd":gsub("\n", "")

describe("an extraction that is killed", function()
  local here, shim, counts, database

  setup(function()
    shim = HERE .. "/" .. support.native "torture/syscalls.so"
    counts = {}
  end)
  teardown(function()
    if database then database:stop() end
  end)
  after_each(function()
    here:close()
    here = nil
    if TORTURE then print("\nstates of reads that were found:", (json.encode(counts):gsub("\n", ""))) end
  end)

  -- Runs the plan in a process; true when it ended by itself, as it should.
  local function run(path, before)
    local text, status = support.shell(("LUA_PATH_5_4='./lua/?.lua;./lua/?/init.lua;;' LUA_CPATH_5_4='./build/?.so;;' "
      .. "%slua5.4 spec/extract/child.lua %s %s 2>&1"):format(before or "", here.sim.url, path))
    if status ~= 0 and not before then error(("%s (%s)"):format(text, status), 0) end
    return status == 0, text, status
  end

  local function shimmed(n, how)
    return ("LD_PRELOAD=%s SYSCALLS='below=%s/%s calls=%s at=%d %s' "):format(shim, HERE, here.folder, CALLS, n, how)
  end

  local function note_states(plan)
    if not support.read(plan.store) then return end
    local book <close> = store.open(plan.store)
    local ok, rows = pcall(book.rows, book, "SELECT state, kind FROM zuora_read")
    for _, row in ipairs(ok and rows or {}) do counts[row.state] = (counts[row.state] or 0) + 1 end
  end

  local function target_of(plan)
    local path = plan.load.to:match "^sqlite:(.*)"
    return path and store.open(path) or store.connect(plan.load.to, plan.load.schema)
  end

  local function assert_sound(plan)
    local found = assert(extract.verify(plan.output))
    assert.same({}, found.problems)
    local held, target <close> = here:held(), target_of(plan)
    local expected = 0
    for _ in pairs(held) do expected = expected + 1 end
    for _, name in ipairs { "Thing", "Paged" } do
      local count = 0
      for _, row in ipairs(target:rows(('SELECT * FROM %s"%s" WHERE NOT _zuora_deleted'):format(target.prefix, name))) do
        local other = held[row.Id]
        if name == "Thing" or other then
          assert.is_table(other, row.Id)
          assert.equal(other.Name, row.Name)
          count = count + 1
        end
      end
      assert.equal(expected, count, name)
    end
    assert.equal(expected, #target:rows(('SELECT * FROM %s"Data"'):format(target.prefix)))
    -- What the tenant was asked for: how many keys.
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

  -- Two nights, each hurt in a way and started again; false when nothing happened.
  local function nights(name, hurt, more)
    local plan = here:plan(ITEMS, { plan = "n" .. name, output = here.folder .. "/out" .. name, concurrency = 1,
      load = more and { to = more, schema = "s" .. name } or { to = "sqlite:" .. here.folder .. "/dw" .. name .. ".db" } })
    plan.store = plan.output .. "/.zuora.db"
    local path, struck, k = here.folder .. "/plan.json", false, #name
    support.write(path, json.encode(plan))
    for night = 1, 2 do
      here.sim:forget()
      local jobs = #here.sim:held().jobs
      if hurt(path) then
        struck = true
        note_states(plan)
        run(path)
      end
      local ok, keys = pcall(assert_sound, plan)
      if not ok then error(name .. ", night " .. night .. ": " .. tostring(keys), 0) end
      if not here.ignores_keys then assert.equal(keys, #here.sim:held().jobs - jobs, name) end
      k = k + (tonumber((name:match "%d+")) or 0)
      if night == 1 then
        here.sim:forward(HOUR)
        here.sim:update("Thing", { { ("id%05d"):format(k % 20 + 1), "night " .. name, "3.25", "" } })
        here.sim:delete("Thing", { ("id%05d"):format((k + 7) % 20 + 1) })
      end
    end
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { ("id%05d"):format((k + 7) % 20 + 1), "back " .. name, "1", "" } })
    support.shell(("rm -rf %s %s/dw%s.db*"):format(plan.output, here.folder, name))
    return struck
  end

  local function each_moment(moments, to)
    local now = require "zuora.core".now
    local begun, struck = now(), 0
    nights("0", function(path) return not run(path) end, to)
    local whole = (now() - begun) / 2
    for i = 1, moments do
      if nights(tostring(i), function(path)
        return not run(path, ("timeout -s KILL %.3f "):format(whole * math.random()))
      end, to) then struck = struck + 1 end
    end
    if TORTURE then print(("\nkilled at %d moments of %d"):format(struck, moments)) end
  end

  local function each_call(how, stride)
    local n, count = 1, 0
    local function hurt(path)
      local done, text, status = run(path, shimmed(n, how))
      assert(done or status > 128 or how:find "ENOSPC", text)
      return not done
    end
    while nights(tostring(n), hurt) do n, count = n + stride, count + 1 end
    return n, count
  end

  for name, settings in pairs { ["whatever it was about"] = {}, ["though keys mean nothing"] = { ignore_keys = true } } do
    it("comes to the same end, " .. name, function()
      here = world.new { name = "extract-killed", simulator = settings }
      here.ignores_keys = settings.ignore_keys
      local n, count = each_call("how=kill", STRIDE)
      assert.is_true(n > 300, "only " .. n .. " calls")
      if TORTURE then print(("\nkilled at %d places of %d"):format(count, n)) end
    end)
  end

  it("comes to the same end when the disk was full", function()
    here = world.new { name = "extract-full" }
    local n, count = each_call("times=always how=ENOSPC", STRIDE * 3)
    if TORTURE then print(("\nfull at %d places of %d"):format(count, n)) end
  end)

  it("comes to the same end at any moment", function()
    here = world.new { name = "extract-moments" }
    each_moment(MOMENTS)
  end)

  it("comes to the same end with PostgreSQL", function()
    if cluster.missing() then
      pending("cannot be tried here: " .. cluster.missing())
      return
    end
    database = cluster.start()
    here = world.new { name = "extract-killed-postgresql" }
    each_moment(TORTURE and MOMENTS // 4 or 2, database.uri)
  end)
end)
