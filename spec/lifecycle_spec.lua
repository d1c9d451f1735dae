-- One life for runs, jobs and query jobs: what differs between them is a description.

local lifecycle = require "zuora.resources.lifecycle"
local record = require "zuora.resources.record"

describe("zuora.resources.lifecycle", function()
  local answers, calls, context

  -- A caller that answers what it is told, in order.
  local function take(name, operation, id)
    calls[#calls + 1] = ("%s %s %s"):format(name, operation, id)
    return table.unpack(table.remove(answers, 1))
  end
  local caller = {
    json = function(_, operation, parameters, _, read, of)
      local fields, err = take("json", operation, parameters.id)
      if not fields then return nil, err end
      return read(fields, of, parameters)
    end,
    cancel = function(_, operation, parameters, _, read)
      local fields, err = take("cancel", operation, parameters.id)
      if type(fields) ~= "table" then return fields, err end
      return read(fields)
    end,
    done = function(_, operation, parameters) return take("done", operation, parameters.id) end,
    shared = function(_, options)
      return { timeout = options.timeout, ends_at = options.total_timeout and 100 + options.total_timeout }
    end,
    wait = function(_, subject, options)
      calls[#calls + 1] = "wait " .. options.timeout
      return subject
    end,
    poll_options = function(_, options, left) return { timeout = options.timeout, total_timeout = left } end,
    clock = { now = function() return 100 end },
    words = {},
    word = function(_, word) return word end,
  }

  local function life_of(more)
    local description = { noun = "thing", operations = { get = "GET", cancel = "DELETE" }, api = "json",
      status = "state", failed_by = "fault", replace = record.replace,
      read = function(fields, wanted)
        if wanted.id and fields.id ~= wanted.id then return nil, "it is another" end
        return fields
      end,
      details = function(held) return held.why end,
      outcomes = { completed = { "completed" }, cancelled = { "cancelled", "was cancelled" }, error = { "failed", "failed" } } }
    for name, value in pairs(more or {}) do description[name] = value end
    return lifecycle.new(description)
  end

  before_each(function()
    answers, calls = {}, {}
    context = { caller = caller, record = { __index = { is_thing = true } } }
  end)

  it("gets a new record, or brings one up to date", function()
    local life = life_of()
    answers = { { { id = "x", state = "a" } }, { { id = "x", state = "b" } }, { { id = "y" } }, { nil, "down" } }
    local held = life:get(context, "x", {})
    assert.is_true(held.is_thing)
    held.old = 1
    assert.equal(held, life:get(context, "x", {}, held))
    assert.same({ id = "x", state = "b" }, held)
    assert.same({ nil, "it is another" }, { life:get(context, "x", {}, held) })
    assert.same({ nil, "down" }, { life:get(context, "x", {}) })
    assert.same({ id = "x", state = "b" }, held)
    assert.equal("json GET x", calls[1])
  end)

  it("says what a status means, whatever its case; one that nobody knows is pending", function()
    local life = life_of()
    assert.equal("completed", life:verdict { state = "COMPLETED", why = "x" })
    assert.same({ "cancelled", "was cancelled" }, { life:verdict { state = "Canceled" } })
    assert.same({ "failed", "failed: why" }, { life:verdict { state = "error", why = "why" } })
    assert.same({ "failed", "failed" }, { life:verdict { state = "error", why = "" } })
    assert.is_nil(life:verdict { state = "WARMING_UP" })
    assert.is_nil(life:verdict {})
    assert.same({ "failed", "failed" }, { life:verdict { state = "running", fault = 5 } })
    assert.equal("cancelled", (life:verdict { state = "cancelled", fault = 5 }))
    assert.is_nil(life_of({ failed_by = false }):verdict { state = "running", fault = 5 })
  end)

  it("does not ask for what is completed, and waits for anything else", function()
    local life = life_of()
    local held = { id = "x", state = "completed" }
    assert.equal(held, life:wait(context, "x", {}, held))
    local subject = life:wait(context, "x", { timeout = 5 })
    assert.is_true(subject.last.is_thing)
    assert.equal("thing x", subject.label)
    assert.equal("state", subject.status)
    answers = { { { id = "x", state = "error" } } }
    assert.equal(subject.last, subject:poll(5, {}))
    assert.equal("failed", (subject:verdict(subject.last)))
    assert.same({ "wait 5", "json GET x" }, calls)
  end)

  it("cancels, and says what it is then", function()
    local life = life_of()
    answers = { { { id = "x", state = "cancelled" } } }
    local held = { id = "x" }
    assert.equal(held, life:cancel(context, "x", {}, held))
    assert.equal("cancelled", held.state)
    assert.same({ "cancel DELETE x" }, calls)
    answers = { { nil, "refused" } }
    assert.same({ nil, "refused" }, { life:cancel(context, "x", {}, held) })
  end)

  it("asks again where the answer to a cancel does not say what it is", function()
    local life = life_of()
    local held = { id = "x" }
    answers = { { true }, { { id = "x", state = "cancelled" } } }
    assert.equal(held, life:cancel(context, "x", {}, held))
    assert.equal("cancelled", held.state)
    assert.same({ "cancel DELETE x", "json GET x" }, calls)
    answers = { { true }, { nil, { message = "down" } } }
    local _, err = life:cancel(context, "x", {}, held)
    assert.equal("the thing was cancelled, but what it is now could not be learnt: down", err.message)
  end)

  it("asks again where the answer to a cancel is words", function()
    local life = life_of { cancelled_in_words = true }
    local held = { id = "x" }
    answers = { { true, "done so" }, { { id = "x", state = "cancelled" } } }
    assert.same({ held, "done so" }, { life:cancel(context, "x", {}, held) })
    assert.equal("cancelled", held.state)
    answers = { { nil, "refused" } }
    assert.same({ nil, "refused" }, { life:cancel(context, "x", {}, held) })
    answers = { { true }, { nil, { message = "down" } } }
    local _, err = life:cancel(context, "x", {}, held)
    assert.equal("the thing was cancelled, but what it is now could not be learnt: down", err.message)
  end)

  it("starts, waits and downloads in one call: timeout is the whole wait, request_timeout one request", function()
    local life = life_of()
    local seen = {}
    local function fetch(options, state)
      return life:fetch(context, options, function(request_options)
        seen[#seen + 1] = request_options.timeout or "none"
        if not state then return nil, "refused" end
        return { id = "x", state = state }
      end, function(held, request_options)
        return held, request_options.timeout
      end)
    end
    assert.same({ nil, "refused" }, { fetch({ timeout = 9 }) })
    assert.same({ { id = "x", state = "completed" }, 3 }, { fetch({ timeout = 9, request_timeout = 3 }, "completed") })
    assert.same({ "none", 3 }, seen)
    assert.same({}, calls)
    for wanted, options in pairs { ["wait 900"] = {}, ["wait 9"] = { timeout = 9, request_timeout = 3 },
      ["wait 4"] = { timeout = 9, total_timeout = 4 } } do
      assert.equal("thing x", fetch(options, "running").label)
      assert.equal(wanted, table.remove(calls))
    end
  end)
end)
