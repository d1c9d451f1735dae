-- client:map, by itself and over a simulator.

local core = require "zuora.core"
local loop_module = require "zuora.tasks.scheduler"
local support = require "spec.support"

describe("client:map", function()
  local session, clock, loop

  before_each(function()
    session = core.session {}
    clock = support.clock()
    loop = loop_module.new(session, clock)
  end)
  after_each(function() session:close() end)

  local function numbers(n)
    local list = {}
    for i = 1, n do list[i] = i end
    return list
  end

  it("returns the results in the order of the items, whatever ends first", function()
    local results = loop:map({ 30, 10, 20 }, function(pause, i) loop:sleep(pause) return pause .. "/" .. i end, 8, false)
    assert.same({ "30/1", "10/2", "20/3", n = 3 }, results)
    assert.equal(30, clock.total())
  end)

  it("keeps so many at work, and makes no more tasks than that", function()
    local active, most, threads, known = 0, 0, 0, {}
    local results = loop:map(numbers(10000), function(i)
      local thread = coroutine.running()
      if not known[thread] then known[thread], threads = true, threads + 1 end
      active = active + 1
      most = math.max(most, active)
      loop:sleep(1)
      active = active - 1
      return i
    end, 8, false)
    assert.equal(10000, results.n)
    assert.equal(10000, #results)
    assert.equal(8, most)
    assert.equal(8, threads)
    assert.equal(1250, clock.total())
  end)

  it("leaves a hole where nil came without an error, and takes the first result only", function()
    local results, errors = loop:map({ 1, 2, 3 }, function(i) if i ~= 1 then return i, "more" end end, 8, false)
    assert.equal(3, results.n)
    assert.is_nil(results[1])
    assert.equal(2, results[2])
    assert.is_nil(errors)
    results = loop:map({ 1 }, function() return false, "no error" end, 8, false)
    assert.same({ false, n = 1 }, results)
  end)

  it("of nothing is nothing, without a turn", function()
    assert.same({ n = 0 }, (loop:map({}, error, 8, false)))
    local results, errors = loop:map({}, error, 8, true)
    assert.same({ { n = 0 }, {} }, { results, errors })
  end)

  it("stops at the first failure: the others are cancelled, no further one is begun", function()
    local begun, closed, thrown = 0, 0, { "an error" }
    local results, err, index = loop:map(numbers(100), function(i)
      begun = begun + 1
      local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      loop:sleep(i == 3 and 1 or 50)
      if i == 3 then return nil, thrown end
      return i
    end, 8, false)
    assert.is_nil(results)
    assert.equal(thrown, err)
    assert.equal(3, index)
    assert.equal(8, begun)
    assert.equal(8, closed)
    assert.equal(1, clock.total())
    assert.equal(0, #loop.timers)
  end)

  it("begins nothing more when the first fails at once", function()
    local begun = 0
    assert.is_nil((loop:map(numbers(100), function() begun = begun + 1 return nil, "x" end, 8, false)))
    assert.equal(1, begun)
  end)

  it("collects failures by index, and an empty table when there are none", function()
    local results, errors = loop:map(numbers(20), function(i)
      loop:sleep(1)
      if i % 5 == 0 then return nil, "e" .. i end
      return -i
    end, 3, true)
    assert.equal(20, results.n)
    assert.same({ [5] = "e5", [10] = "e10", [15] = "e15", [20] = "e20" }, errors)
    assert.equal(-19, results[19])
    assert.is_nil(results[20])
    assert.same({}, (select(2, loop:map({ 1 }, function() return 1 end, 1, true))))
  end)

  it("raises what f raises, unchanged, and cancels the others", function()
    for _, collect in ipairs { true, false } do
      local thrown, closed = {}, 0
      local ok, err = pcall(loop.map, loop, numbers(10), function(i)
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        loop:sleep(i)
        if i == 2 then error(thrown) end
      end, 4, collect)
      assert.is_false(ok)
      assert.equal(thrown, err)
      assert.equal(5, closed) -- 1, which ended; 2; 3 and 4; and 5, which came after 1
    end
  end)

  it("waits for what f spawned, and raises its error", function()
    local ended = 0
    loop:map({ 1, 2 }, function() loop:spawn(function() loop:sleep(5) ended = ended + 1 end) end, 2, false)
    assert.equal(2, ended)
    local ok, err = pcall(loop.map, loop, { 1 }, function() loop:spawn(function() error "lonely" end) end, 2, false)
    assert.is_false(ok)
    assert.matches("lonely", err)
  end)

  it("is part of the task that it is called in, and ends with it", function()
    local events, other_ran = {}, false
    loop:run {
      function()
        local task = loop:spawn(function()
          loop:map({ 1, 2 }, function(i)
            local _ <close> = setmetatable({}, { __close = function() events[#events + 1] = "closed" end })
            loop:sleep(100 * i)
          end, 2, false)
        end)
        loop:sleep(1)
        task:cancel()
        assert.same({ "closed", "closed" }, events)
        assert.same({ 2, 4, n = 2 }, (loop:map({ 1, 2 }, function(i) loop:sleep(1) return 2 * i end, 2, false)))
      end,
      function() loop:sleep(0.5) other_ran = true end,
    }
    assert.is_true(other_ran)
    assert.equal(2, clock.total())
  end)

  it("nests", function()
    local results = loop:map({ 1, 2 }, function(i)
      return loop:map({ 10, 20 }, function(j) loop:sleep(j) return i + j end, 8, false)
    end, 8, false)
    assert.same({ { 11, 21, n = 2 }, { 12, 22, n = 2 }, n = 2 }, results)
    assert.equal(20, clock.total())
  end)

  it("says clearly that it could never end in a coroutine of the user's own within a task", function()
    local ok, err = pcall(loop.run, loop, { function()
      coroutine.wrap(function() loop:map({ 1 }, function() end, 1, false) end)()
    end })
    assert.is_false(ok)
    assert.matches("could never end", err)
    assert.equal(4, (loop:map({ 1 }, function() return 4 end, 1, false))[1])
  end)

  it("submits jobs side by side, and tells which failed", function()
    local sim <close> = support.simulator()
    local client <close> = support.client(sim)
    local function submit(query) return client.jobs:submit { queries = { { name = "q", query = query } } } end
    local queries = {}
    for i = 1, 12 do queries[i] = i == 7 and "choose nothing" or "select Id from Account" end
    local jobs, errors = client:map(queries, submit, { concurrency = 4, on_error = "collect" })
    assert.equal(12, jobs.n)
    assert.same({ 7 }, { next(errors) and (next(errors)) })
    assert.equal("90005", errors[7].code)
    assert.matches("^%x+$", jobs[12].id)
    local none, err, index = client:map(queries, submit)
    assert.is_nil(none)
    assert.equal("90005", err.code)
    assert.equal(7, index)
    local callable = setmetatable({}, { __call = function(_, item) return item end })
    assert.same({ "a", n = 1 }, (client:map({ "a" }, callable)))
  end)
end)
