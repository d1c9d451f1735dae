-- Histories that nobody has thought of: rows come, change and go, runs are killed anywhere, targets are restored, stores are
-- lost, items are set back, columns are added; at the end the target has every row once, as the tenant has it, and the
-- folder can be proven. TORTURE=all or a number: so many (all: 200); SEED=n: that one alone.

local extract = require "zuora.extract"
local store = require "zuora.extract.base.store"
local support = require "spec.support"
local world = require "spec.extract.world"

local HOUR = 3600
local TORTURE = os.getenv "TORTURE"
local COUNT = TORTURE == "all" and 200 or tonumber(TORTURE) or 8
local SEED = tonumber(os.getenv "SEED")

local STATES = { "planned", "submitted", "completed", "fetched", "published", "loaded" }

describe("a history of a target", function()
  local here, history, saved, wide, was_wide, kind, gone
  after_each(function()
    if here then here:close() end
    here = nil
  end)

  local function items()
    local fields = wide and { "Id", "Name", "UpdatedDate", "Amount" } or { "Id", "Name", "UpdatedDate" }
    return { { object = "Thing", deleted = true, fields = fields, split = kind.split, totals = { "count" },
      lookback = kind.lookback and { days = 1, every = "3h" } or nil },
      { object = "Thing", name = "Whole", cursor = false, fields = fields },
      { object = "Thing", name = "Anew", mode = "replace", split = "id:7", fields = fields } }
  end

  local function plan()
    return here:plan(items(), { concurrency = 1, load = { to = "sqlite:" .. here.folder .. "/dw.db",
      deletes = kind.deletes } })
  end

  local function note(words, ...) history[#history + 1] = words:format(...) end

  local function run(options)
    local results = assert(here:run(plan(), options))
    for _, result in ipairs(results) do
      if result.err then error(result.item .. ": " .. tostring(result.err), 0) end
    end
  end

  local function any_id() return ("id%05d"):format(math.random(1, 30)) end

  local acts = {}

  function acts.update()
    local id = any_id()
    if gone[id] then return end -- (Zuora gives no Id twice)
    note("update %s", id)
    here.sim:update("Thing", { { id, "v" .. math.random(1000), tostring(math.random(100)), "" } })
  end
  acts.more = acts.update

  function acts.delete()
    local id = any_id()
    note("delete %s", id)
    gone[id] = pcall(here.sim.delete, here.sim, "Thing", { id })
  end

  function acts.wait()
    note "wait"
    here.sim:forward(HOUR)
  end
  acts.rest = acts.wait

  function acts.run()
    note "run"
    run()
  end

  function acts.again()
    note "again"
    run { again = true }
  end

  function acts.reconcile()
    note "reconcile"
    run { reconcile = true }
  end

  function acts.kill()
    local state, left = STATES[math.random(#STATES)], math.random(1, 6)
    note("kill at %s %d", state, left)
    local ok, problem = pcall(run, { on_step = function(_, read)
      if read.state ~= state then return end
      left = left - 1
      if left == 0 then error("killed", 0) end
    end })
    if not ok and problem ~= "killed" then error(problem, 0) end
  end
  acts.murder = acts.kill

  function acts.save()
    note "save"
    local text = support.read(here.folder .. "/dw.db")
    if text then saved, was_wide = text, wide end
  end

  function acts.restore()
    if not saved then return end
    note "restore"
    support.shell(("rm -f %s/dw.db*"):format(here.folder))
    support.write(here.folder .. "/dw.db", saved)
    wide = was_wide -- its marks are good for the text of that time
  end

  function acts.lose_target()
    note "lose target"
    support.shell(("rm -f %s/dw.db*"):format(here.folder))
  end

  function acts.lose_store()
    note "lose store"
    support.shell(("rm -rf %s/out"):format(here.folder)) -- a container that is empty each time
  end

  function acts.lose_files()
    note "lose files"
    support.shell(("rm -f %s/out/Thing/*.csv %s/out/Anew/*.csv"):format(here.folder, here.folder))
    kind.lost = true
  end

  function acts.reset()
    local item = ({ "Thing", "Whole", "Anew" })[math.random(3)]
    note("reset %s", item)
    assert(extract.reset(plan(), { item = item }))
  end

  local NAMES = {}
  for name in pairs(acts) do NAMES[#NAMES + 1] = name end
  table.sort(NAMES)

  local function assert_loaded()
    local held, target <close> = here:held(), store.open(here.folder .. "/dw.db")
    local expected = 0
    for _ in pairs(held) do expected = expected + 1 end
    for _, name in ipairs { "Thing", "Whole", "Anew" } do
      local list = target:rows(('SELECT * FROM "%s" WHERE NOT COALESCE(_zuora_deleted, 0)'):format(name))
      for _, row in ipairs(list) do
        local other = held[row.Id] or error(("%s: row %s is no more"):format(name, row.Id), 0)
        for _, field in ipairs { "Name", "UpdatedDate", wide and "Amount" or nil } do
          if row[field] ~= other[field] then
            error(("%s: row %s: %s is %s, and should be %s"):format(name, row.Id, field, tostring(row[field]),
              tostring(other[field])), 0)
          end
        end
      end
      if #list ~= expected then error(("%s: %d rows, and should be %d"):format(name, #list, expected), 0) end
    end
    if not kind.lost then assert.same({}, extract.verify(here.folder .. "/out").problems) end
  end

  local function live(seed)
    math.randomseed(seed)
    history, saved, wide, gone = {}, nil, false, {}
    kind = { deletes = math.random(2) == 1 and "remove" or "flag", split = math.random(2) == 1 and "id:5" or nil,
      lookback = math.random(2) == 1 }
    here = world.new { name = "extract-history", rows = world.rows(16), simulator = { turn_columns = true } }
    local widens = math.random(30)
    for i = 1, 24 do
      if i == widens and support.read(here.folder .. "/dw.db") then
        run()
        note "widen"
        wide = true
        run { items = { "Thing" }, backfill = { "Amount" } }
        run { items = { "Whole", "Anew" }, keep_mark = true }
      end
      acts[NAMES[math.random(#NAMES)]]()
    end
    run()
    here.sim:forward(2 * HOUR)
    run()
    assert_loaded()
    here:close()
    here = nil
  end

  it("ends with every row once, as it is in Zuora", function()
    for seed = SEED or 1, SEED or COUNT do
      local ok, problem = pcall(live, seed)
      if not ok then
        error(("SEED=%d: %s\n%s"):format(seed, tostring(problem), table.concat(history, ", ")), 0)
      end
    end
  end)
end)
