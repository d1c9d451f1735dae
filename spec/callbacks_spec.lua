-- Functions of the user's that are called in the midst of a call: they may make calls of their own, and they
-- may raise. Inside of tasks, in a coroutine within one, and outside.

local support = require "spec.support"

describe("a callback", function()
  local sim, job_id, file_id, directory, path

  setup(function()
    sim = support.simulator()
    local client <close> = support.client(sim)
    local job = assert(client.jobs:submit { queries = { { name = "a", query = "select Id, Name from Account" } } })
    assert(job:wait(support.soon))
    job_id, file_id = job.id, job.batches[1].fileId
    directory = support.scratch "callbacks"
    path = directory .. "/file.csv"
  end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:heal()
    os.remove(path)
  end)

  local PLACES = {
    ["outside of tasks"] = function(_, f) return f() end,
    ["in a task"] = function(client, f) return client:run(f) end,
    ["in a task beside others"] = function(client, f)
      return (client:run(f, function() client:sleep(0.05) end, function() client.jobs:get(job_id) end))
    end,
    ["in a coroutine within a task"] = function(client, f)
      return client:run(function() return coroutine.wrap(f)() end)
    end,
  }

  -- What each callback is, and a call in which it is called: use(client, callback).
  local function download(client, hook)
    sim:fault { on = "GET /v1/files/*", kind = "trickle", size = 40, seconds = 0.02 }
    return client.files:download(file_id, path, { on_progress = hook })
  end
  local CALLBACKS = {
    on_poll = { call = function(client, hook) return client.jobs:wait(job_id, support.soon_with { on_poll = hook }) end },
    on_progress = { call = download },
    on_request = { option = true, call = function(client) return client.jobs:get(job_id) end },
    on_response = { option = true, call = function(client) return client.jobs:get(job_id) end },
    log = { option = true, call = function(client) return client.jobs:get(job_id) end },
    on_retry = { option = true, call = function(client)
      sim:fault { on = "GET /v1/batch-query/*", kind = "status", status = 503 }
      return client.jobs:get(job_id)
    end },
  }

  -- A client whose hook of that name is `hook`, at most one request in flight.
  local function fresh(name, hook)
    local options = { concurrency_limit = 1 }
    if CALLBACKS[name].option then options[name] = hook end
    return support.client(sim, options, { random = function() return 0.001 end })
  end

  for name, case in pairs(CALLBACKS) do
    for place, put in pairs(PLACES) do
      it(name .. " may make calls of its own " .. place, function()
        local client, inside, made = nil, false, 0
        local function hook()
          if inside then return end -- of the call that it makes
          inside = true
          assert.equal(job_id, assert(client.jobs:get(job_id)).id)
          client:sleep(0)
          made, inside = made + 1, false
        end
        client = fresh(name, hook)
        assert(put(client, function() return case.call(client, hook) end))
        assert.is_true(made >= 1)
        client:close()
      end)

      it(name .. " may raise " .. place .. ": the call does, and gives all back", function()
        local thrown, raising = {}, false
        local function hook() if raising then error(thrown) end end
        local before = support.descriptors()
        local client <close> = fresh(name, hook)
        assert(client.jobs:get(job_id))
        for _ = 1, 3 do
          raising = true
          local ok, err = pcall(put, client, function() return case.call(client, hook) end)
          raising = false
          assert.is_false(ok)
          assert.equal(thrown, err)
          sim:heal()
          -- Later calls work, with the one slot that there is.
          assert(client.jobs:get(job_id))
          assert.same({}, support.listing(directory))
        end
        client:close()
        assert.equal(before, support.descriptors())
      end)
    end
  end

  it("on_progress may raise while others go on, once its error is caught", function()
    local client <close> = fresh("on_progress")
    client:run(function()
      assert.is_false((pcall(download, client, function() error "mine" end)))
    end, function()
      client:sleep(0.01)
      assert(client.jobs:get(job_id))
    end)
    assert.same({}, support.listing(directory))
  end)

  it("may yield in a coroutine of the user's own, in the midst of a call", function()
    local client <close> = fresh("on_progress")
    for _, put in pairs(PLACES) do
      local seen = {}
      put(client, function()
        local generator = coroutine.wrap(function()
          assert(download(client, function(bytes) coroutine.yield(bytes) end))
          return nil
        end)
        for bytes in generator do
          seen[#seen + 1] = bytes
          assert(client.jobs:get(job_id)) -- while the download stands still
        end
      end)
      assert.is_true(#seen >= 1)
      os.remove(path)
    end
  end)

  it("that yields in a task's own coroutine ends the task with a clear word", function()
    local client <close> = fresh("on_progress")
    local _, err = pcall(client.run, client, function() download(client, function() coroutine.yield() end) end)
    assert.matches("a task may not yield by itself", err)
    assert(client.jobs:get(job_id))
    assert.same({}, support.listing(directory))
  end)

  it("may close the client: the call ends", function()
    local client
    client = fresh("on_retry", function() client:close() end)
    sim:fault { on = "GET *", kind = "status", status = 503 }
    assert.error_matches(function() client.jobs:get(job_id) end, "closed client")
    client = fresh("on_progress")
    local _, err = download(client, function() client:close() end)
    assert.equal("cancelled", err.kind)
    assert.same({}, support.listing(directory))
  end)

  it("leaves a generator's calls alone, in a task", function()
    local client <close> = fresh("on_poll")
    local seen = {}
    client:run(function()
      local function jobs(ids)
        return coroutine.wrap(function()
          for _, id in ipairs(ids) do coroutine.yield(assert(client.jobs:get(id))) end
        end)
      end
      for job in jobs { job_id, job_id, job_id } do
        seen[#seen + 1] = job.id
        client:sleep(0)
      end
    end, function() client.jobs:get(job_id) end)
    assert.same({ job_id, job_id, job_id }, seen)
  end)
end)
