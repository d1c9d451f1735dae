-- Errors from nowhere: Ctrl-C, or a hook of the host's, may raise between any two instructions. A program with
-- tasks is run again and again, and the error comes after 1, 2, 3 … instructions of its main code, and of each of
-- its tasks. Afterwards all tasks end, and the same client does the whole once more.
--
-- HOOK_STRIDE=1 takes every instruction in a time of its own (some minutes), and each 29th over the wire.

local core = require "zuora.core"
local credentials = require "zuora.caller.credentials"
local semaphore = require "zuora.caller.semaphore"
local loop = require "zuora.tasks.scheduler"
local support = require "spec.support"

local STRIDE = tonumber(os.getenv "HOOK_STRIDE") or 149
local STRIDE_OVER_THE_WIRE = 29 * STRIDE
local INTERRUPTED, ITS_OWN = "interrupted!", "its own"

-- --- where it runs -----------------------------------------------------------------------------------

-- A loop in a time of its own, with requests that answer after so many seconds of it.
local Requests = {}
Requests.__index = Requests

local Request = {}
Request.__index = Request
function Request:finished() return self.over end
function Request:owner(...)
  if select("#", ...) == 0 then return self.waiting end
  self.waiting = ...
end
function Request:cancel()
  self.over = true
  self.all[self] = nil
end
Request.__close = Request.cancel

function Requests:start(seconds)
  local request = setmetatable({ at = self.clock.at + seconds, all = self.all }, Request)
  self.all[request] = true
  return request
end

function Requests:running()
  local count = 0
  for _ in pairs(self.all) do count = count + 1 end
  return count
end

-- As the core's session: all that have finished are handed over, or none.
function Requests:step(seconds)
  local at, finished = self.clock.at + math.min(seconds, 1e4), {}
  for request in pairs(self.all) do at = math.min(at, request.at) end
  self.clock.at = math.max(self.clock.at, at)
  for request in pairs(self.all) do
    if request.at <= self.clock.at then finished[#finished + 1] = request end
  end
  for _, request in ipairs(finished) do request:cancel() end
  return self:running(), finished
end

local function of_its_own_time()
  local clock = { at = 1000 }
  local requests = setmetatable({ clock = clock, all = {} }, Requests)
  function clock.now() return clock.at end
  function clock.step(_, seconds) return requests:step(seconds) end
  local own = loop.new(requests, clock)
  local slots = semaphore.new(own, 2)
  local function answer(seconds)
    local request <close> = requests:start(seconds)
    own:await(request)
    return { access_token = "t", expires_in = 3 }
  end
  local tokens = credentials.oauth(own, { client_id = "id", client_secret = "secret" }, function() return answer(0.5) end)
  local world = { loop = own, semaphore = slots, second = 1, tasks = {} }
  function world.call(patience) -- as Caller:try
    assert(tokens:prepare(clock.at + 100))
    local slot <close> = slots:slot()
    local _ <close> = slot
    if slot:acquire(clock.at + (patience or 100)) then answer(1) end
    slot:release()
  end
  function world.run(...) return own:run { ... } end
  function world.map(items, f) return own:map(items, f, 3) end
  function world.step() return own:step(1000) end
  return world
end

local function of_a_simulator(sim)
  return function()
    local client = support.client(sim, { concurrency_limit = 2 })
    local world = { client = client, second = 0.001, tasks = {} }
    function world.call() assert(client.reportruns:list()) end
    function world.run(...) return client:run(...) end
    function world.map(items, f) return client:map(items, f, { concurrency = 3 }) end
    function world.step() return client:step(0.05) end
    function world.close()
      client:close()
      sim:forget() -- thousands of requests
    end
    world.loop = { spawn = function(_, f) return client:spawn(f) end,
      sleep = function(_, seconds) return client:sleep(seconds) end }
    return world
  end
end

-- --- what runs ---------------------------------------------------------------------------------------

local function spawn(world, f)
  local task = world.loop:spawn(f)
  world.tasks[#world.tasks + 1] = task
  return task
end

local function program(world)
  local own, second = world.loop, world.second
  spawn(world, world.call)
  world.run(
    function()
      world.call()
      own:sleep(second)
    end,
    function()
      spawn(world, world.call):join()
      coroutine.wrap(world.call)()
    end,
    function() world.call(second / 4) end)
  local got = world.map({ 1, 2, 3, 4 }, function(i)
    world.call()
    return i
  end)
  assert(got[1] == 1 and got[4] == 4 and got.n == 4)
  local sleeping = spawn(world, function() own:sleep(30 * second) end)
  local waiting = spawn(world, world.call)
  local failing = spawn(world, function() error(ITS_OWN, 0) end)
  own:sleep(second)
  sleeping:cancel()
  waiting:cancel()
  local _, problem = pcall(failing.join, failing)
  assert(problem == ITS_OWN or problem == INTERRUPTED)
  world.call()
end

-- --- striking ----------------------------------------------------------------------------------------

-- Runs f, but not for ever.
local function limited(f, ...)
  debug.sethook(function() error("it goes on for ever", 0) end, "", 2000000)
  local results = table.pack(pcall(f, ...))
  debug.sethook()
  return table.unpack(results, 1, results.n)
end

-- Runs the program with an error after so many instructions of one coroutine: the main one (0), or that of a task.
-- Returns where it struck, or nil, and the number of coroutines.
local function strike(world, number, count)
  local create, made, place = coroutine.create, 0, nil
  local function arm(thread)
    debug.sethook(thread, function()
      local info = debug.getinfo(2, "Sl")
      place = ("%s:%d"):format(info.short_src, info.currentline)
      if number == 0 then
        debug.sethook(thread, function() error("it goes on for ever", 0) end, "", 2000000)
      else
        debug.sethook(thread)
      end
      error(INTERRUPTED, 0)
    end, "", count)
  end
  coroutine.create = function(f) -- luacheck: ignore
    local thread = create(f)
    made = made + 1
    if made == number then arm(thread) end
    return thread
  end
  local ok, problem = limited(function()
    if number == 0 then arm(coroutine.running()) end
    program(world)
    debug.sethook()
  end)
  coroutine.create = create -- luacheck: ignore
  return place, made, not ok and problem
end

local function drive(world)
  local ends_at = core.now() + 20
  local ok, busy
  repeat
    ok, busy = pcall(world.step)
    if not ok and busy ~= INTERRUPTED and busy ~= ITS_OWN then return busy end
  until ok and not busy or core.now() > ends_at
  return not ok and "steps fail for ever" or busy and "steps for ever" or nil
end

-- What is wrong with this world, if anything?
local function damage(world)
  local problem = drive(world)
  if problem then return problem end
  for _, task in ipairs(world.tasks) do
    if not task.results then return "a task is lost, " .. task.status end
    local raised = task.status == "failed" and task.problem or INTERRUPTED
    if raised ~= INTERRUPTED and raised ~= ITS_OWN then return "a task failed by " .. tostring(raised) end
  end
  program(world)
  problem = drive(world)
  if problem or world.client then return problem end
  if world.semaphore:in_use() > 0 or world.semaphore.waiting:peek() then return "a slot is lost" end
  if #world.loop.timers > 0 or world.loop.ready:peek() or not world.loop.root:is_empty() then return "the loop is not empty" end
  return nil
end

-- All places, or those that the stride leaves, of all coroutines: what was wrong afterwards.
local function sweep(new_world, stride)
  local wrong, tried, number, last = {}, 0, 0, 0
  while number <= last do
    local count = 1
    repeat
      local world = new_world()
      local place, made, problem = strike(world, number, count)
      if number == 0 then last = math.max(last, made) end
      if not problem or problem == INTERRUPTED then
        local ok, found = limited(damage, world)
        problem = not ok and tostring(found) or found
      end
      if problem then wrong[#wrong + 1] = ("coroutine %d, %d, %s: %s"):format(number, count, place, problem) end
      if world.close then world.close() end
      tried = tried + 1
      count = count + stride
    until not place
    number = number + 1
  end
  return wrong, tried
end

describe("an error after any instruction", function()
  it("loses no task, and leaves a client that works: in a time of its own", function()
    local wrong, tried = sweep(of_its_own_time, STRIDE)
    assert.same({}, wrong)
    assert.is_true(tried > 20000 / STRIDE, tried)
  end)

  it("loses no task, and leaves a client that works: over the wire", function()
    local sim <close> = support.simulator()
    local wrong, tried = sweep(of_a_simulator(sim), STRIDE_OVER_THE_WIRE)
    assert.same({}, wrong)
    assert.is_true(tried > 20000 / STRIDE_OVER_THE_WIRE, tried)
  end)
end)
