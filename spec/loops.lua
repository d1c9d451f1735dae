--- The event loops of others, and what a client in each of them must do.

local assert = require "luassert"
local busted = require "busted"
local core = require "zuora.core"
local support = require "spec.support"

local after_each, before_each, describe, it = busted.after_each, busted.before_each, busted.describe, busted.it
local pending, setup, teardown = busted.pending, busted.setup, busted.teardown

local loops = {}

-- What the hosts bring: `every` calls f until it returns false; `run` returns when nothing is left in the loop.
loops.hosts = {}

function loops.hosts.luv()
  local uv = require "luv"
  local host = { run = uv.run }
  function host.every(seconds, f)
    local timer, milliseconds = uv.new_timer(), math.ceil(seconds * 1000)
    timer:start(milliseconds, milliseconds, function()
      if f() == false then timer:close() end
    end)
    if milliseconds == 0 then timer:set_repeat(1) end
  end
  return host
end

function loops.hosts.cqueues()
  local cqueues = require "cqueues"
  local loop = cqueues.new()
  local host = { options = { loop = loop } }
  function host.run() assert(loop:loop()) end
  function host.every(seconds, f)
    loop:wrap(function() repeat cqueues.sleep(seconds) until f() == false end)
  end
  return host
end

function loops.hosts.copas()
  local copas = require "copas"
  local host = { run = copas.loop }
  function host.every(seconds, f)
    copas.addthread(function() repeat copas.pause(seconds) until f() == false end)
  end
  return host
end

--- Why the specs of this loop cannot run here, or nil.
function loops.missing(name)
  if not package.searchpath(name, package.path) and not package.searchpath(name, package.cpath) then
    return name .. " for this Lua is not installed"
  end
  if name == "copas" and not require "copas".pauseforever then return "Copas is older than 4.0" end
end

-- A task that does all that has to be waited for, and puts what came of it into `done`.
local function job_of(client, path, done)
  return function()
    local job = assert(client.jobs:submit { queries = { { name = "Account", query = "select Id, Name from Account" } } })
    assert(job:wait(support.soon))
    local written = assert(job:batch "Account":download(path))
    done[#done + 1] = written.records
  end
end

-- --- what is the same in all loops --------------------------------------------------------------------

local cases = {}

cases["moves tasks on: calls, waits, retries, downloads, of two clients; and ends when nothing is left"] = function(t)
  t.sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 503, times = 1 }
  t.sim:fault { on = "GET /v1/files/*", kind = "cut", after = 10000 }
  local done, ticks = {}, 0
  local one <close> = t.client()
  local two <close> = t.client()
  for i, client in ipairs { one, two } do
    client:spawn(job_of(client, t.directory .. "/" .. i, done))
    t.attach(client)
  end
  t.every(0.002, function()
    ticks = ticks + 1
    return #done < 2
  end)
  t.run()
  assert.same({ 20000, 20000 }, done)
  assert.is_true(ticks > 20, ticks)
end

cases["tells the error of a task that nobody joins, and goes on with the others"] = function(t)
  local client <close> = t.client()
  local problems, done = {}, nil
  client:spawn(function() error { mine = true } end)
  client:spawn(function() done = assert(client.reportruns:list()) end)
  t.attach(client, function(problem) problems[#problems + 1] = problem end)
  t.run()
  assert.equal(1, #problems)
  assert.is_true(problems[1].mine)
  assert.is_table(done)
end

cases["starves neither the host nor small calls while big files come, nor the client while the host is busy"] = function(t)
  -- Another server for the small calls, so that not the simulator is measured, which is one thread.
  local other <close> = support.simulator()
  local client <close> = t.client { aqua_url = other.url .. "/v1/batch-query", username = t.sim.username,
    password = t.sim.password }
  local id = assert(client.jobs:submit { queries = { { name = "a", query = "select Id from Account" } } }).id
  local submitter <close> = t.client()
  local job = assert(assert(submitter.jobs:submit { queries = { { name = "Big", query = "select * from Big" } } })
    :wait(support.soon))
  local bytes, ended, calls, ticks, last, gap = 0, 0, 0, 0, nil, 0
  for i = 1, 2 do
    client:spawn(function()
      local path = t.directory .. "/big" .. i
      bytes = bytes + assert(client.files:download(job.batches[1].fileId, path, { resume = true })).bytes -- not packed
      os.remove(path)
      ended = ended + 1
    end)
  end
  client:spawn(function()
    repeat
      assert(client.jobs:get(id))
      calls = calls + 1
    until ended == 2
  end)
  t.attach(client)
  t.every(0, function() -- it always has something to do
    local now = core.now()
    ticks, last, gap = ticks + 1, now, math.max(gap, now - (last or now))
    return ended < 2
  end)
  t.run()
  assert.equal(2, ended)
  assert.is_true(bytes > 25000000, bytes)
  assert.is_true(calls >= 4, calls .. " calls while two files came")
  assert.is_true(ticks >= 3, ticks .. " turns of the host while two files came")
  assert.is_true(gap < 1, gap .. " s without a turn of the host") -- the machine may have others to serve
end

cases["costs no time while all wait"] = function(t)
  local client <close> = t.client { timeout = 0.5, retries = 0 }
  assert(client.reportruns:list())
  t.sim:fault { on = "GET *", kind = "stall" }
  local ended = 0
  for _ = 1, 50 do
    client:spawn(function()
      client:sleep(0.5)
      ended = ended + 1
    end)
  end
  client:spawn(function() assert.equal("transport", select(2, client.jobs:get "x").kind) end)
  t.attach(client)
  local cpu, started = os.clock(), core.now()
  t.run()
  assert.equal(50, ended)
  assert.is_true(os.clock() - cpu < 0.1, os.clock() - cpu .. " s of CPU")
  assert.is_true(core.now() - started < 2)
end

cases["hears of what the host starts and cancels, also after there was nothing to do"] = function(t)
  local client <close> = t.client()
  t.attach(client)
  local ticks, answered, joined = 0, nil, nil
  local patient
  t.every(0.01, function()
    ticks = ticks + 1
    if ticks == 3 then
      client:spawn(function() answered = assert(client.reportruns:list()) end)
      patient = client:spawn(function() client:sleep(1000) end)
      client:spawn(function() joined = select(2, pcall(patient.join, patient)) end)
    elseif ticks > 3 and answered and not patient.cancelled then
      patient:cancel()
    end
    return not joined
  end)
  t.run()
  assert.equal("cancelled", joined.kind)
end

cases["lets go: tasks stand still, and go on elsewhere"] = function(t)
  local client <close> = t.client()
  local looks, enough, attached = 0, false, t.attach(client)
  local task = client:spawn(function()
    repeat
      assert(client.reportruns:list())
      looks = looks + 1
    until enough
    return "seen"
  end)
  assert.has_error(function() t.attach(client) end, "client:on_ready: this client is in a loop already")
  t.every(0.001, function()
    if looks < 2 then return end
    attached:detach()
    attached:detach()
    return false
  end)
  t.run()
  assert.is_true(looks >= 2)
  assert.is_false(task.results)
  enough = true
  assert.equal("seen", task:join())
  local done
  client:spawn(function() done = assert(client.reportruns:list()) end)
  t.attach(client)
  t.run()
  assert.is_table(done)
end

cases["is left by a client that is closed in the midst of its work"] = function(t)
  local client = t.client()
  t.sim:fault { on = "POST *", kind = "stall" }
  client:spawn(function() client.reportruns:list() end)
  t.attach(client)
  local ticks = 0
  t.every(0.02, function()
    ticks = ticks + 1
    if ticks == 3 then client:close() end
    return ticks < 5
  end)
  t.run()
  assert.equal(5, ticks)
end

cases["takes clients and known options alone"] = function(t)
  local attach = require("zuora.loops." .. t.name).attach
  assert.has_error(function() attach {} end,
    ("bad argument 'client' to zuora.loops.%s.attach (a client expected, got table)"):format(t.name))
  local client <close> = t.client()
  assert.has_error(function() attach(client, { on_eror = print }) end,
    ("bad argument 'on_eror' to zuora.loops.%s.attach (unknown option)"):format(t.name))
end

--- Describes an adapter by its name, `more(t)` what only this one has.
function loops.describe(name, more)
  describe("a client in a loop of " .. name, function()
    local missing = loops.missing(name)
    if missing then return pending("is left out: " .. missing) end
    local sim
    local t = { name = name }

    setup(function()
      sim = support.simulator { looks = 1, objects = { Account = { generate = { rows = 20000 } },
        Big = { generate = { rows = 400000 } } } }
      t.sim, t.directory = sim, support.scratch("loops_" .. name)
    end)
    teardown(function() sim:stop() end)
    before_each(function()
      local host = loops.hosts[name]()
      t.run = host.run
      function t.every(seconds, f)
        local ends_at = core.now() + 20
        host.every(seconds, function()
          if core.now() > ends_at then error "the loop did not come to an end" end
          return f()
        end)
      end
      function t.attach(client, on_error)
        local options = { on_error = on_error }
        for key, value in pairs(host.options or {}) do options[key] = value end
        return require("zuora.loops." .. name).attach(client, options)
      end
    end)
    after_each(function()
      sim:heal()
      sim:forget()
    end)
    function t.client(options) return support.client(sim, options) end

    local titles = {}
    for title in pairs(cases) do titles[#titles + 1] = title end
    table.sort(titles)
    for _, title in ipairs(titles) do
      it(title, function() cases[title](t) end)
    end
    if more then more(t) end
  end)
end

return loops
