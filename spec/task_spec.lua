-- Tasks that fail: where, and what becomes of the others.

local core = require "zuora.core"
local error_value = require "zuora.error"
local loop_module = require "zuora.tasks.scheduler"
local support = require "spec.support"

describe("zuora.tasks.task", function()
  local session, loop, lines

  before_each(function()
    lines = {}
    session = core.session {}
    loop = loop_module.new(session, support.clock(), function(line) lines[#lines + 1] = line end)
  end)
  after_each(function() session:close() end)

  local value = error_value.new { kind = "api", message = "what the world did" }

  local function fail_deep() error(value) end

  it("tells where an error value was raised, and leaves the value alone", function()
    loop:run { function()
      local task = loop:spawn(function()
        loop:sleep(1)
        fail_deep()
      end)
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.equal(value, err)
      assert.is_nil(err.traceback)
      assert.matches("^stack traceback:\n", task:traceback())
      assert.matches("task_spec%.lua:%d+: in upvalue 'fail_deep'", task:traceback())
    end }
    assert.same({}, lines)
  end)

  it("has no traceback for a task that has not failed", function()
    loop:run { function()
      local done, cancelled = loop:spawn(function() end), loop:spawn(function() loop:sleep(9) end)
      assert.is_nil(done:traceback())
      loop:sleep(1)
      cancelled:cancel()
      assert.is_nil(done:traceback())
      assert.is_nil(cancelled:traceback())
    end }
  end)

  it("names the first place of an error that came through other tasks", function()
    loop:run { function()
      local outer = loop:spawn(function()
        loop:run { function() loop:spawn(function() fail_deep() end):join() end }
      end)
      local _, err = pcall(outer.join, outer)
      assert.equal(value, err)
      local first = outer:traceback():match "^[^\n]*\n.-task_spec[^\n]*"
      assert.matches("fail_deep", first)
      assert.equal(3, select(2, outer:traceback():gsub("stack traceback:", "")))
    end }
  end)

  it("forgets where an error came from that was caught", function()
    loop:run { function()
      local outer = loop:spawn(function()
        pcall(loop.run, loop, { function() fail_deep() end })
        error "another"
      end)
      pcall(outer.join, outer)
      assert.is_nil(outer:traceback():find("fail_deep", 1, true))
    end }
  end)

  it("tells the log of an error that leaves the run, in one line, with its place", function()
    assert.is_false((pcall(loop.run, loop, { function() loop:run { fail_deep } end })))
    assert.equal(1, #lines)
    assert.matches("^a task failed: zuora: api: what the world did; stack traceback:", lines[1])
    assert.matches("task_spec%.lua:%d+: in", lines[1])
    assert.is_nil(lines[1]:find("\n", 1, true))
  end)

  it("tells the log of tasks of nobody's, and of errors that another one hides", function()
    loop:spawn(function() error "lonely" end)
    assert.is_false((pcall(loop.step, loop, 0)))
    assert.matches("lonely", lines[1])
    pcall(loop.run, loop, { function() error "first" end, function() error "second" end,
      function()
        local _ <close> = setmetatable({}, { __close = function() error "while closing" end })
        loop:sleep(1)
      end })
    local all = table.concat(lines, "\n", 2)
    for _, words in ipairs { "first", "second", "while closing" } do assert.matches(words, all) end
    assert.equal(4, #lines)
    loop:spawn(function() error "never asked" end)
    loop:sleep(0)
    loop:close()
    assert.matches("never asked", lines[5])
  end)

  it("is quiet about errors that were raised in a join, or caught", function()
    loop:run { function()
      local task = loop:spawn(fail_deep)
      pcall(task.join, task)
      pcall(loop.run, loop, { fail_deep })
    end }
    assert.same({}, lines)
  end)

  it("takes error values that cannot be printed", function()
    local odd = setmetatable({}, { __tostring = function() error "no" end })
    local _, err = pcall(loop.run, loop, { function() error(odd) end })
    assert.equal(odd, err)
    assert.matches("a task failed: table; stack", lines[1])
    _, err = pcall(loop.run, loop, { function() error() end })
    assert.is_nil(err)
  end)

  it("that cancels itself is cancelled, and has not failed", function()
    loop:run { function()
      local task
      task = loop:spawn(function() task:cancel() end)
      loop:sleep(1)
      local _, err = pcall(task.join, task)
      assert.equal("cancelled", err.kind)
      local stubborn
      stubborn = loop:spawn(function()
        pcall(stubborn.cancel, stubborn)
        error "of its own"
      end)
      _, err = pcall(stubborn.join, stubborn)
      assert.matches("of its own", err)
    end }
    assert.same({}, lines)
  end)

  it("leaves no timer and no place in a list behind when it is cancelled", function()
    local latch = loop:latch()
    loop:run { function()
      local forever = loop:spawn(function() latch:wait(1000) end)
      loop:sleep(0)
      collectgarbage()
      collectgarbage()
      local before = collectgarbage "count"
      for _ = 1, 100 do
        local tasks = {}
        for i = 1, 100 do
          tasks[i] = loop:spawn(i % 3 == 0 and function() loop:sleep(1e6) end or i % 3 == 1 and function() latch:wait(1e6) end
            or function() forever:join() end)
        end
        loop:sleep(0)
        for _, task in ipairs(tasks) do task:cancel() end
      end
      collectgarbage()
      collectgarbage()
      local grown = collectgarbage "count" - before
      assert.is_true(grown < 200, grown .. " KiB for 10,000 cancelled tasks")
      assert.equal(1, #loop.timers)
      forever:cancel()
      assert.equal(0, #loop.timers)
    end }
  end)

  it("wakes those who wait in the order in which they came, without those who left", function()
    local latch, order = loop:latch(), {}
    loop:run { function()
      local tasks = {}
      for i = 1, 6 do tasks[i] = loop:spawn(function() latch:wait() order[#order + 1] = i end) end
      loop:sleep(1)
      tasks[2]:cancel()
      tasks[5]:cancel()
      latch:open()
    end }
    assert.same({ 1, 3, 4, 6 }, order)
  end)

  it("ends a group of many in little time", function()
    local before = os.clock()
    local _, err = pcall(loop.run, loop, { function()
      for _ = 1, 20000 do loop:spawn(function() loop:sleep(1e6) end) end
      loop:sleep(1)
      error "enough"
    end })
    assert.matches("enough", err)
    assert.is_true(os.clock() - before < 2, os.clock() - before)
    assert.equal(0, #loop.timers)
  end)
end)
