-- What runs while memory fails: the main job. Run by the host of memory.c, which see.

local memory, part, url, client_id, client_secret, directory = ...

local REPORT = "ff808081529f4e3401529fd373730070"
local SOON = { min = 0.001, max = 0.002, timeout = 20 }

-- Lua 5.4 makes the metatable of its long buffers when the first one is wanted, and when it has no memory in the
-- midst of that, none can be made any more (lauxlib.c, newbox). That is not ours.
assert(#("x"):rep(10000) == 10000)

-- --- the parts ----------------------------------------------------------------------------------------

-- Its clock jumps where there is nothing to wait for.
local function new_clock()
  local core = require "zuora.core"
  local skipped = 0
  return { now = function() return core.now() + skipped end, step = function(session, seconds)
    if session:running() > 0 then return session:step(seconds) end
    skipped = skipped + seconds
    return session:step(0)
  end }
end

local function new_client()
  return require "zuora.client".new({ base_url = url, client_id = client_id, client_secret = client_secret,
    tmpdir = directory }, { clock = new_clock(), random = function() return 0 end })
end

local function count(rows)
  local n = 0
  for _ in rows do n = n + 1 end
  return n
end

-- A report, a job and a query, one after the other and side by side. Nothing is checked in here.
local function work(client)
  local done = {}
  local run = assert(client.reportruns:start(REPORT, { view = "Detail" }))
  assert(run:wait(SOON))
  done.report = assert(run:export(directory .. "/report.csv")).records
  done.report_rows = count(assert(run:rows()))
  local job = assert(client.jobs:submit { queries = {
    { name = "Account", query = "select Id, Name from Account" }, { name = "Invoice", query = "select Id from Invoice" },
  } })
  assert(job:wait(SOON))
  client:run(function()
    local files = assert(job:download(directory .. "/job"))
    done.accounts, done.invoices = files[1].records, files[2].records
  end, function()
    local query = assert(client.queries:submit { query = "select Id from Invoice" })
    assert(query:wait(SOON))
    done.query_rows = count(assert(query:rows()))
  end)
  return done
end

local EXPECTED = { report = 3, report_rows = 3, accounts = 3, invoices = 40, query_rows = 40 }

-- --- what must come of it -----------------------------------------------------------------------------

local function check_done(done, what)
  for name, wanted in pairs(EXPECTED) do
    if done[name] ~= wanted then memory.problem(("%s: %s is %s"):format(what, name, tostring(done[name]))) end
  end
end

local FILES = { ["report.csv"] = true, job = true, ["Account.csv"] = true, ["Invoice.csv"] = true }

local function no_strays()
  for _, place in ipairs { directory, directory .. "/job" } do
    for _, name in ipairs(memory.names(place)) do
      if not FILES[name] then memory.problem("a stray file: " .. name) end
    end
  end
end

-- What others have left.
local function empty()
  for _, place in ipairs { directory .. "/job", directory } do
    for _, name in ipairs(memory.names(place)) do os.remove(place .. "/" .. name) end
  end
end

-- In Lua's words, libcurl's, or the system's.
local function is_lack(problem)
  local told = tostring(problem):lower()
  return told:find "not enough memory" or told:find "out of memory" or told:find "cannot allocate memory"
end

local function check_told(ok, problem)
  if not (ok or is_lack(problem)) then memory.problem("told as: " .. tostring(problem)) end
end

local parts = {}

function parts.core()
  local _, ok, problem = memory.attempt(require, "zuora.core")
  check_told(ok, problem)
  package.loaded["zuora.core"] = nil
  local core = require "zuora.core"
  assert(core.decode '{"a":[1,null]}'.a[1] == 1)
end

function parts.client()
  require "zuora.client"
  local _, ok, client = memory.attempt(new_client)
  check_told(ok, client)
  if ok then client:close() end
  new_client():close()
end

-- Of what cannot be read, or written, for want of memory nothing else is to be said.
function parts.json()
  local core, check = require "zuora.core", require "zuora.support.check"
  local text = '{"list":[1,2,{"a":null,"b":[]}],"words":["one","two","three"]}'
  local value = core.decode(text)
  local fired, ok, result = memory.attempt(function()
    check.value("f", "argument", value, "json")
    return core.decode(text).words[3]
  end)
  if fired and not is_lack(result) or not fired and result ~= "three" then
    memory.problem(("told as %s, %s"):format(ok, result))
  end
end

function parts.work()
  empty()
  local client = new_client()
  local fired, ok, result = memory.attempt(work, client)
  local quiet, busy -- what there was no memory to end ends as the client moves on, with its transfer at the latest
  repeat quiet, busy = pcall(client.step, client, 0.1) until quiet and not busy
  for _ = 1, 3 do collectgarbage() end -- what was left without a word ends here
  check_told(ok, result)
  if ok then check_done(result, fired and "a success in spite of it" or "without a failure") end
  no_strays()
  local again
  ok, again = pcall(work, client)
  if ok then check_done(again, "afterwards") else memory.problem("afterwards: " .. tostring(again)) end
  no_strays()
  client:close()
end

parts[part]()
