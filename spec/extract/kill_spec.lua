-- A run that is killed at its n-th write, sync, rename, removal or connect, or at any moment, or whose disk is full, and
-- that is started again, comes to the same end: whole files, every row once, one job for each key. TORTURE=all tries
-- every n, TORTURE=7 every seventh, TORTURE=300-400 those, and a hundred moments; else it is some of them.

local cluster = require "spec.load.cluster"
local extract = require "zuora.extract"
local found = require "spec.extract.found"
local json = require "zuora.extract.base.json"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = 3600
local TORTURE = os.getenv "TORTURE"
local CALLS = "open,write,pwrite,fsync,ftruncate,rename,unlink,mkdir,connect"

-- A prime, so that the few that are tried are not all of one sort.
local FIRST, LAST = (TORTURE or ""):match "^(%d+)%-(%d+)$"
local STRIDE = (TORTURE == "all" or FIRST) and 1 or tonumber(TORTURE) or 149
FIRST, LAST = tonumber(FIRST) or 1, tonumber(LAST) or math.huge
local MOMENTS = TORTURE and (FIRST == 1 and 100 or 0) or 1

local ITEMS = {
  { object = "Thing", deleted = true, totals = { "count", "sum(Amount)" } },
  { object = "Thing", name = "Paged", split = "id:8" },
  { report = "Accounts by balance", view = "Detail", name = "Balances" },
  { query = "select Id, Name from Thing", api = "query", name = "Data" },
}

-- What may lie in a plan's folder when a run is over.
local LEFT = { [".zuora.json"] = true, [".zuora.db"] = true, [".zuora.db.lock"] = true, ["SHA256SUMS"] = true,
  ["run.json"] = true, ["Thing"] = true, ["Paged"] = true, ["Balances"] = true, ["Data"] = true }

-- And where only the closing of the journal, or of its lock, had no room: SQLite's own, which the next run takes in.
local LEFT_FULL = { [".zuora.db-wal"] = true, [".zuora.db-shm"] = true, [".zuora.db.lock-journal"] = true }

local HERE = support.shell "pwd":gsub("\n", "")

describe("an extraction that is killed", function()
  local here, shim, counts, database
  local all = {} -- counts of all cases together

  setup(function()
    shim = HERE .. "/" .. support.native "torture/syscalls.so"
  end)
  teardown(function()
    if database then database:stop() end
  end)
  before_each(function() counts = {} end)
  after_each(function()
    if here then here:close() end
    here = nil
    for case, count in pairs(counts) do all[case] = (all[case] or 0) + count end
    if TORTURE then
      print("found: " .. found.text(counts))
      io.stdout:flush()
    end
  end)

  -- Runs the plan in a process; true when it ended by itself, as it should.
  local function run(path, before)
    local text, status = support.shell(("LUA_PATH_5_4='%s' LUA_CPATH_5_4='%s' SYNCED=%s.synced "
      .. "%slua5.4 spec/extract/child.lua %s %s 2>&1"):format(package.path, package.cpath, here.folder, before or "",
      here.sim.url, path))
    if status ~= 0 and not before then error(("%s (%s)"):format(text, status), 0) end
    return status == 0, text, status
  end

  local function shimmed(n, how)
    return ("LD_PRELOAD=%s SYSCALLS='below=%s/%s calls=%s at=%d %s' "):format(shim, HERE, here.folder, CALLS, n, how)
  end

  local function target_of(plan)
    if not plan.load then return nil end
    local path = plan.load.to:match "^sqlite:(.*)"
    return path and store.open(path) or store.connect(plan.load.to, plan.load.schema)
  end

  -- What is looked at is a copy: to open a database is to mend it.
  local function note_found(plan)
    local seen = setmetatable({ store = here.folder .. ".seen/.zuora.db", load = plan.load }, { __index = plan })
    support.shell(("rm -rf %s.seen; mkdir %s.seen; cp %s* %s/dw.db* %s.seen 2>/dev/null"):format(here.folder, here.folder,
      plan.store, here.folder, here.folder))
    if plan.load and plan.load.to:find "^sqlite:" then
      seen.load = { to = ("sqlite:%s.seen/dw.db"):format(here.folder) }
    end
    local ok, target = pcall(target_of, seen)
    local _ <close> = ok and target or nil
    found.note(counts, seen, here.sim:journal(), ok and target or nil, support.read(here.folder .. "/hooked") or "")
  end

  -- The target's rows that are not deleted, by Id; and each read is in it once.
  local function rows_of(plan, name)
    local target <close>, rows = target_of(plan), {}
    for _, row in ipairs(target:rows(('SELECT * FROM %s"%s" WHERE NOT _zuora_deleted'):format(target.prefix, name))) do
      assert.is_nil(rows[row.Id], row.Id)
      rows[row.Id] = row
    end
    return rows
  end

  local function assert_same(name, rows, held)
    for id, row in pairs(held) do
      assert.is_table(rows[id], ("%s: row %s is not there"):format(name, id))
      assert.equal(row.Name, rows[id].Name)
    end
    for id in pairs(rows) do
      assert.is_true(name == "Paged" or held[id] ~= nil, ("%s: row %s is no more"):format(name, id))
    end
  end

  -- How many keys the tenant was asked with.
  local function keys_asked()
    local keys, count = {}, 0
    for _, request in ipairs(here.sim:journal()) do
      local key = request.method == "POST" and request.path == "/v1/batch-query" and request.headers["idempotency-key"]
      if key and not keys[key] then keys[key], count = true, count + 1 end
    end
    return count
  end

  local function assert_sound(plan)
    local proven = assert(extract.verify(plan.output))
    assert.same({}, proven.problems)
    for name in support.shell("ls -A " .. plan.output):gmatch "[^\n]+" do
      assert.is_true(LEFT[name] or here.is_full and LEFT_FULL[name] or false, name)
    end
    local keys, held = keys_asked(), here:held()
    for _, name in ipairs { "Thing", "Paged", "Data" } do
      if plan.load then
        assert_same(name, rows_of(plan, name), held)
      elseif name ~= "Data" then
        assert_same(name, here:merged(name), held)
      end
    end
    return keys
  end

  -- More than the process is lost.
  local losses = {
    ["power lost"] = function(plan, _)
      if not support.read(plan.store .. "-wal") then return end
      support.shell(("rm -f %s-shm; truncate -s %s %s-wal"):format(plan.store, support.read(here.folder .. ".synced") or 0,
        plan.store))
    end,
    ["store gone"] = function(plan, _) support.shell(("rm -f %s*"):format(plan.store)) end,
    ["target restored"] = function(plan, night)
      if night == 1 then return end
      local path = plan.load.to:match "^sqlite:(.*)"
      support.shell(("rm -f %s-* && cp %s.old %s"):format(path, path, path))
      run(here.folder .. "/plan.json")
      here.sim:forward(HOUR) -- what the target lacks comes with the next read
    end,
  }

  local function plan_of(name, to)
    local plan = here:plan(ITEMS, { plan = "n" .. name, concurrency = 1 })
    plan.store = plan.output .. "/.zuora.db"
    if to == "files" then
      plan.publish = { "sh", "-c", ("echo $0 >> %s/hooked"):format(here.folder), "{path}" }
    else
      plan.load = to and { to = to, schema = "spec" } or { to = ("sqlite:%s/dw.db"):format(here.folder) }
    end
    return plan
  end

  -- Two nights, each hurt in a way and started again; false when nothing happened. In the second the first job fails.
  local function nights(name, hurt, to, lost)
    local plan, path, struck, k = plan_of(name, to), here.folder .. "/plan.json", false, #name
    support.write(path, json.encode(plan))
    for night = 1, 2 do
      here.sim:forget()
      local jobs = #here.sim:held().jobs
      for _, outcome in ipairs(night == 2 and { "error", "completed" } or {}) do
        here.sim:fault { on = "POST /v1/batch-query", kind = "outcome", job = outcome }
      end
      os.remove(here.folder .. ".synced")
      if hurt(path) then
        struck = true
        note_found(plan)
        if lost then losses[lost](plan, night) end
        run(path)
      end
      here.sim:heal()
      local ok, keys = pcall(assert_sound, plan)
      if not ok then error(name .. ", night " .. night .. ": " .. tostring(keys), 0) end
      if not here.ignores_keys then assert.equal(keys, #here.sim:held().jobs - jobs, name) end
      k = k + (tonumber((name:match "%d+")) or 0)
      if night == 1 then
        here.sim:forward(HOUR)
        here.sim:update("Thing", { { ("id%05d"):format(k % 20 + 1), "night " .. name, "3.25", "" } })
        here.sim:delete("Thing", { ("id%05d"):format((k + 7) % 20 + 1) })
        support.shell(("cp %s/dw.db %s/dw.db.old 2>/dev/null"):format(here.folder, here.folder))
      end
    end
    here.sim:forward(HOUR)
    here.sim:update("Thing", { { ("id%05d"):format((k + 7) % 20 + 1), "back " .. name, "1", "" } })
    support.shell(("rm -rf %s %s/dw.db* %s/hooked"):format(plan.output, here.folder, here.folder))
    if to and to ~= "files" then support.shell(("psql -q -d '%s' -c 'drop schema spec cascade' 2>&1"):format(to)) end
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

  local function each_call(how, stride, to, lost)
    local n, count = FIRST, 0
    local function hurt(path)
      local done, text, status = run(path, shimmed(n, how))
      assert(done or status > 128 or how:find "ENOSPC", text)
      return not done
    end
    while n <= LAST and nights(tostring(n), hurt, to, lost) do n, count = n + stride, count + 1 end
    if TORTURE then print(("\n%s: %d places, from %d to below %d"):format(how, count, FIRST, n)) end
    return n
  end

  for name, settings in pairs { ["whatever it was about"] = {}, ["though keys mean nothing"] = { ignore_keys = true } } do
    it("comes to the same end, " .. name, function()
      here = world.new { name = "extract-killed" .. #name, simulator = settings }
      here.ignores_keys = settings.ignore_keys
      local n = each_call("how=kill", STRIDE)
      assert.is_true(n > 300 or LAST < 300, "only " .. n .. " calls")
    end)

    it("comes to the same end with files alone, which are handed on, " .. name, function()
      here = world.new { name = "extract-killed-files" .. #name, simulator = settings }
      here.ignores_keys = settings.ignore_keys
      each_call("how=kill", TORTURE and STRIDE or 3 * STRIDE, "files")
    end)

    it("comes to the same end at any moment, " .. name, function()
      here = world.new { name = "extract-moments" .. #name, simulator = settings }
      here.ignores_keys = settings.ignore_keys
      each_moment(MOMENTS)
    end)

    it("comes to the same end with PostgreSQL, " .. name, function()
      if cluster.missing() then
        pending("cannot be tried here: " .. cluster.missing())
        return
      end
      database = database or cluster.start()
      here = world.new { name = "extract-killed-postgresql" .. #name, simulator = settings }
      here.ignores_keys = settings.ignore_keys
      each_call("how=kill", TORTURE and STRIDE or 5 * STRIDE, database.uri)
      if TORTURE then each_moment(MOMENTS // 4, database.uri) end
    end)
  end

  for name, of in pairs { ["store gone"] = { "sqlite", "files" }, ["target restored"] = { "sqlite" },
    ["power lost"] = { "sqlite", "files" } } do
    for _, to in ipairs(of) do
      it(("comes to the same end, with %s: %s"):format(to, name), function()
        here = world.new { name = ("extract-%s-%s"):format(name:match "%a+", to) }
        each_call("how=kill", TORTURE and STRIDE or 5 * STRIDE, to == "files" and to or nil, name)
      end)
    end
  end

  it("comes to the same end when the disk was full", function()
    here = world.new { name = "extract-full" }
    here.is_full = true
    each_call("times=always how=ENOSPC", STRIDE * 3)
  end)

  if TORTURE == "all" then
    it("has met each case three times at least", function()
      print("\nfound in all: " .. found.text(all))
      for _, case in ipairs(found.CASES) do assert.is_true((all[case] or 0) >= 3, case) end
    end)
  end
end)
