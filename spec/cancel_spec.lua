-- One of many is cancelled, in each state that a call can be in: it ends at once, the others go on, and
-- nothing of it is left. `make check` runs the same under valgrind.

local core = require "zuora.core"
local socket = require "socket"
local support = require "spec.support"

-- Everything takes longer under valgrind, which preloads a library of its own.
local SLOW = (os.getenv "LD_PRELOAD" or ""):find "vgpreload" and 5 or 1

describe("a cancelled task", function()
  local sim, job_id, file_id, directory, path

  setup(function()
    sim = support.simulator { looks = { submitted = 1, pending = 1, executing = 1 } }
    directory = support.scratch "cancel"
    path = directory .. "/file.csv"
    local client <close> = support.client(sim)
    local job = assert(client.jobs:submit { queries = { { name = "a", query = "select Id, Name from Account" } } })
    file_id = assert(job:wait(support.soon)).batches[1].fileId
    job_id = job.id
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:heal() end)

  -- A place that takes no more connections: its queue is full.
  local function blackhole()
    local listener = assert(socket.tcp4())
    assert(listener:bind("127.0.0.1", 0))
    assert(listener:listen(0))
    local _, port = listener:getsockname()
    local fillers = {}
    for i = 1, 3 do
      fillers[i] = assert(socket.tcp4())
      fillers[i]:settimeout(0)
      fillers[i]:connect("127.0.0.1", port)
    end
    return ("http://127.0.0.1:%d"):format(port), function()
      for _, filler in ipairs(fillers) do filler:close() end
      listener:close()
    end
  end

  local GET, FILE = "GET /v1/batch-query/*", "GET /v1/files/*"

  -- options: of the client; fault: what keeps the victim where it is; victim(client): what it does; seconds
  -- until it is there; with_token: whether the client has its token before.
  local function get(client) return client.jobs:get(job_id) end
  local function download(client) return client.files:download(file_id, path) end

  local CASES = {
    ["that has not begun"] = { victim = function() error "it began" end, at_once = true },
    ["in the queue for a request"] = { options = { concurrency_limit = 1 }, first = get,
      fault = { on = GET, kind = "delay", seconds = 0.3 * SLOW }, victim = get },
    ["in libcurl's queue for a connection"] = { options = { max_connections = 1 }, first = get,
      fault = { on = GET, kind = "delay", seconds = 0.3 * SLOW }, victim = get },
    ["while it connects"] = { full = true, options = { connect_timeout = 60 }, victim = download },
    ["while it waits for an answer"] = { fault = { on = GET, kind = "stall" }, victim = get },
    ["while it waits for an answer, with the one slot there is"] = { options = { concurrency_limit = 1 },
      fault = { on = GET, kind = "stall" }, victim = get },
    ["in the midst of an answer"] = { fault = { on = GET, kind = "stall", after = 10 }, victim = get },
    ["in the midst of a download"] = { fault = { on = FILE, kind = "stall", after = 50 }, victim = download,
      files = { "file.csv.part", "file.csv.part.state" } },
    ["in the midst of a download that tells of its progress"] = {
      fault = { on = FILE, kind = "stall", after = 50 },
      victim = function(client) return client.files:download(file_id, path, { on_progress = function() end }) end,
      files = { "file.csv.part", "file.csv.part.state" } },
    ["in the midst of a download that is read as rows"] = { fault = { on = FILE, kind = "stall", after = 50 },
      victim = function(client) return client.files:rows(file_id) end },
    ["in the pause of a wait"] = { fault = { on = GET, kind = "status", status = 200,
      body = '{"id":"%s","status":"executing","batches":[]}' },
      victim = function(client) return client.jobs:wait(job_id, { min = 100, max = 100 }) end },
    ["in the pause before a retry"] = { fault = { on = GET, kind = "status", status = 503 }, victim = get },
    ["in the pause that the server asks for"] = { fault = { on = GET, kind = "status", status = 503,
      headers = { ["Retry-After"] = "1" } }, victim = get },
    ["while another fetches the token"] = { without_token = true, first = get,
      fault = { on = "POST /oauth/token", kind = "delay", seconds = 0.3 * SLOW }, victim = get },
    ["while it fetches the token for all"] = { without_token = true,
      fault = { on = "POST /oauth/token", kind = "stall" }, victim = get },
    ["while it sleeps"] = { victim = function(client) client:sleep(100) end },
    ["while it joins another"] = { victim = function(client)
      client:spawn(function() client:sleep(0.3 * SLOW) end):join()
    end },
    ["in a run of its own"] = { fault = { on = GET, kind = "stall", times = 2 }, victim = function(client)
      client:run(function() get(client) end, function() get(client) end, function() client:sleep(100) end)
    end },
    ["in a map of its own"] = { fault = { on = GET, kind = "stall", times = 2 }, victim = function(client)
      client:map({ 1, 2, 3, 4 }, function() return get(client) end, { concurrency = 2 })
    end },
  }

  local function once(case)
    local options, close_hole = { retries = 1 }, nil
    for name, value in pairs(case.options or {}) do options[name] = value end
    if case.full then options.files_url, close_hole = blackhole() end
    local client <close> = support.client(sim, options, { random = function() return 1 end }) -- long pauses
    if not case.without_token then assert(get(client)) end
    if case.fault then
      case.fault.body = case.fault.body and case.fault.body:format(job_id)
      sim:fault(case.fault)
    end
    local closed, answers, began = false, 0, core.now()
    client:run(function()
      local others = {}
      if case.first then others[1] = client:spawn(function() return assert(case.first(client)) end) end
      if case.first then client:sleep(0.02 * SLOW) end
      local victim = client:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        case.victim(client)
      end)
      local joiner = client:spawn(function() return pcall(victim.join, victim) end)
      if not case.at_once then client:sleep(0.05 * SLOW) end
      for _ = 1, 4 do others[#others + 1] = client:spawn(function() return assert(get(client)) end) end
      if case.files then assert.same(case.files, support.listing(directory)) end
      if not case.at_once then client:sleep(0.01) end
      assert.is_nil(victim:traceback())
      victim:cancel()
      assert.equal(not case.at_once, closed)
      for _, other in ipairs(others) do
        assert.equal(job_id, other:join().id)
        answers = answers + 1
      end
      local ok, err = joiner:join()
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
    end)
    assert.equal(case.first and 5 or 4, answers)
    assert.is_true(core.now() - began < 5 * SLOW, "it took " .. core.now() - began)
    assert(get(client))
    assert.same({}, support.listing(directory))
    client:close()
    if close_hole then close_hole() end
    sim:heal()
  end

  for name, case in pairs(CASES) do
    it("ends " .. name .. ", and leaves nothing", function()
      once(case)
      collectgarbage()
      local before = support.descriptors()
      once(case)
      assert.equal(before, support.descriptors())
    end)
  end

  it("keeps what it has got, where that was asked for", function()
    sim:fault { on = FILE, kind = "stall", after = 50 }
    local client <close> = support.client(sim)
    client:run(function()
      local task = client:spawn(function() client.files:download(file_id, path, { resume = true }) end)
      client:sleep(0.1 * SLOW)
      task:cancel()
    end)
    assert.same({ "file.csv.part", "file.csv.part.state" }, support.listing(directory))
    assert(client.files:download(file_id, path, { resume = true }))
    assert.same({ "file.csv" }, support.listing(directory))
    os.remove(path)
  end)

  it("is one of the others, when one of them fails: transfers stop, partial files go", function()
    local before = support.descriptors()
    do
      local client <close> = support.client(sim)
      assert(get(client))
      sim:fault { on = FILE, kind = "stall", after = 50, times = 3 }
      local closed, tasks = 0, {}
      for i = 1, 3 do
        tasks[i] = function()
          local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
          client.files:download(file_id, path .. i)
        end
      end
      local thrown = {}
      local ok, err = pcall(client.run, client, function()
        client:sleep(0.1 * SLOW)
        assert.equal(6, #support.listing(directory))
        error(thrown)
      end, table.unpack(tasks))
      assert.is_false(ok)
      assert.equal(thrown, err)
      assert.equal(3, closed)
      assert.same({}, support.listing(directory))
      assert(get(client))
    end
    assert.equal(before, support.descriptors())
  end)

  it("by the hundred leaves nothing in memory", function()
    local client <close> = support.client(sim)
    assert(get(client))
    local function round()
      client:run(function()
        local tasks = {}
        for i = 1, 100 do
          tasks[i] = client:spawn(function() return i % 2 == 0 and get(client) or client:sleep(100) end)
        end
        client:sleep(0.005)
        for _, task in ipairs(tasks) do task:cancel() end
      end)
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    round()
    local function growth()
      local before, after = 0, math.huge
      for _ = 1, 3 do before = math.max(before, round()) end
      for _ = 1, 4 do round() end
      for _ = 1, 3 do after = math.min(after, round()) end
      return after - before
    end
    -- Tables grow in leaps, and now and then: what leaks grows each time.
    local kib = growth()
    if kib >= 50 then kib = growth() end
    assert.is_true(kib < 50, kib .. " KiB more")
    assert(get(client))
  end)
end)
