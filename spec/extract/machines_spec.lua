-- Several workers of one plan: one that is stopped past its lease, in whatever state, one that is killed, clocks that are
-- apart, a database that is restarted. At the end all is as though one had done it. TORTURE=all: each state by itself.

local cluster = require "spec.load.cluster"
local core = require "zuora.core"
local extract = require "zuora.extract"
local machines = require "spec.extract.machines"

local TORTURE = os.getenv "TORTURE"
local STATES = { "planned", "submitted", "completed", "fetched", "published", "loaded" }

describe("several machines", function()
  if cluster.missing() then
    pending("cannot be tried here: " .. cluster.missing())
    return
  end

  local database
  setup(function() database = cluster.start() end)
  teardown(function() database:stop() end)

  -- Two nights. Those that are hurt come first, and the others only when each of them was.
  local function nights(name, settings, hurts, more)
    local here <close> = machines.new(database, name, settings)
    for night = 1, TORTURE and 2 or settings and 1 or 2 do
      local hurt, begun = {}, core.now()
      for i, one in ipairs(hurts) do hurt[i] = here:start { signal = one[1], state = one[2], shift = 3600 * (i % 3 - 1) } end
      for i, worker in ipairs(hurt) do
        machines.wait(hurts[i][2], function() return worker.told(hurts[i][1]) or worker.child:poll() end)
      end
      local sound = { here:start { shift = 3600 } }
      if more == "restart" then
        machines.wait("a step", function() return sound[1].told "step" end)
        database:restart "immediate"
      end
      sound[2] = here:start { shift = -3600 }
      for _, worker in ipairs(sound) do assert.equal(0, here:ended(worker), worker.text()) end
      here:assert_sound()
      local files, woken = here:files(), 0
      for i, worker in ipairs(hurt) do
        if hurts[i][1] == "STOP" and worker.told "STOP" then
          machines.send(worker, "CONT")
          assert.equal(0, here:ended(worker), worker.text())
          assert.is_true(worker.told "item\t%w+\ttaken over", worker.text())
          woken = woken + 1
        end
      end
      assert.is_true(woken > 0)
      assert.equal(files, here:files())
      here:assert_sound()
      if TORTURE then print(("%s, night %d: %.1f s"):format(name, night, core.now() - begun)) end
      here:pass_night()
    end
  end

  local function all_at_once()
    local list = { { "KILL", "completed" } }
    for _, state in ipairs(STATES) do list[#list + 1] = { "STOP", state } end
    return list
  end

  -- Three workers, of whom one is stopped or killed at any moment, again and again.
  local function storm(name, settings, blows)
    local here <close> = machines.new(database, name, settings)
    local workers, counts = {}, { STOP = 0, KILL = 0, restart = 0, night = 0 }
    local function fill()
      for i = 1, 3 do
        if not workers[i] or workers[i].child:poll() then
          workers[i] = here:start { shift = 3600 * (i - 2) }
          if i == 1 and here.count > 3 then
            here:pass_night()
            counts.night = counts.night + 1
          end
        end
      end
    end
    for _ = 1, blows do
      fill()
      machines.sleep(math.random() * here.lease)
      local worker, chance = workers[math.random(3)], math.random(10)
      local blow = chance == 10 and "restart" or chance > 7 and "KILL" or "STOP"
      counts[blow] = counts[blow] + 1
      if blow == "restart" then database:restart "immediate" else machines.send(worker, blow) end
      if blow == "STOP" then
        machines.sleep(math.random() * 2.5 * here.lease)
        machines.send(worker, "CONT")
      end
    end
    for _, worker in ipairs(workers) do here:ended(worker) end
    local last = here:start()
    assert.equal(0, here:ended(last), last.text())
    here:assert_sound(true)
    local taken = 0
    for _, event in ipairs(assert(extract.history(here.plan))) do taken = taken + (event.what == "taken over" and 1 or 0) end
    assert.is_true(taken > blows / 10, taken)
    print(("%s: %d stopped, %d killed, %d restarts, %d nights, %d items taken over"):format(name, counts.STOP, counts.KILL,
      counts.restart, counts.night, taken))
  end

  it("come to the same end when workers are stopped in each state and woken, and one is killed", function()
    nights("stopped", nil, all_at_once(), "restart")
  end)

  it("come to the same end when keys mean nothing", function()
    nights("ignored", { ignore_keys = true }, all_at_once())
  end)

  for name, settings in pairs(TORTURE and { whole = {}, keyless = { ignore_keys = true } } or {}) do
    for _, state in ipairs(STATES) do
      it(("come to the same end when one of three is stopped, %s (%s)"):format(state, name), function()
        nights(state .. name, settings, { { "STOP", state } }, "restart")
      end)
    end

    it("come to the same end when they are stopped and killed at any moment " .. name, function()
      storm("storm" .. name, settings, 100)
    end)
  end
end)
