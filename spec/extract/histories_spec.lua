-- zuora.extract.audit over histories that nobody has thought of: rows are made, changed and deleted between runs, after
-- the last of them, and while an audit looks. It must find nothing; and then the one row that is planted wrong. Of each
-- kind of target some, with TORTURE=all a hundred; SEED=n repeats one.

local audited = require "spec.extract.audited"
local counts = require "zuora.load.counts"
local kinds = require "spec.load.kinds"
local query = require "zuora.extract.query"

local HOUR, DAY = audited.HOUR, audited.DAY

local SEED = tonumber(os.getenv "SEED")
local FIRST = SEED or os.time()
local ALL = os.getenv "TORTURE" == "all"
local COUNTS = { SQLite = SEED and 1 or ALL and 100 or 8, PostgreSQL = SEED and 1 or ALL and 100 or 2 }

local function random_of(seed)
  local state = seed * 2654435761 + 88172645463325252
  return function(n)
    state = state ~ state << 13
    state = state ~ state >> 7
    state = state ~ state << 17
    return (state >> 11) % n + 1
  end
end

for kind, target in pairs(kinds) do
describe("an audit of " .. kind .. ", after any history,", function()
  if target.missing then
    pending("cannot be tried here: " .. target.missing)
    return
  end

  local here, told, planted
  local changed, query_of_target = query.changed, counts.query
  setup(target.setup)
  teardown(target.teardown)
  after_each(function()
    query.changed, counts.query = changed, query_of_target
    here:close()
    target.forget(here.folder)
  end)

  local function amount(pick) return ("%s%d.%02d"):format(pick(4) == 1 and "-" or "", pick(100000), pick(100) - 1) end

  -- Up to `most` rows are made, changed or deleted, now.
  local function live(pick, ids, most)
    for _ = 1, pick(most + 1) - 1 do
      local what, at = pick(10), #ids > 0 and pick(#ids)
      if what <= 3 or not at then
        ids.made = (ids.made or 0) + 1 -- (Zuora gives no Id twice)
        ids[#ids + 1] = ("new%05d"):format(ids.made)
        here.sim:update("Thing", { { ids[#ids], "made", amount(pick), "", "" } })
      elseif ids[at] == planted then
        goto continue -- a change would make it one that is left out
      elseif what <= 8 then
        here.sim:update("Thing", { { ids[at], "changed " .. pick(1000), pick(8) == 1 and "" or amount(pick), "", "" } })
      else
        here.sim:delete("Thing", { table.remove(ids, at) })
      end
      ::continue::
    end
  end

  local function pass_time(pick)
    local long = pick(6)
    here.sim:forward(long == 1 and pick(25) * DAY or long == 2 and pick(30 * HOUR) or pick(2 * HOUR))
  end

  local function first_rows(pick)
    local rows, ids, now = {}, {}, os.time()
    for i = 1, pick(150) + 10 do
      local made = now - pick(400 * DAY)
      ids[i] = ("id%05d"):format(i)
      rows[i] = { ids[i], "old", amount(pick), audited.stamp(made), audited.stamp(made + pick(now - made)) }
    end
    return rows, ids
  end

  -- What is wrong must be in rows that have not changed since the mark.
  local function plant(pick, mark)
    local held, list = here:held(), {}
    for id, row in pairs(held) do
      if row.UpdatedDate < mark then list[#list + 1] = id end
    end
    if #list == 0 then return nil end
    table.sort(list)
    planted = list[pick(#list)]
    local words = ({ [[DELETE FROM "Thing" WHERE "Id" = '%s']],
      [[INSERT INTO "Thing" SELECT * FROM "Thing" WHERE "Id" = '%s']],
      [[UPDATE "Thing" SET "Amount" = '123456789.87' WHERE "Id" = '%s']] })[pick(3)]
    target:run(here.folder, words:format(planted))
    return held[planted].CreatedDate:sub(1, 7)
  end

  local function history(seed)
    local pick = random_of(seed)
    planted = nil
    local rows, ids = first_rows(pick)
    here = audited.world(rows, { simulator = { turn_columns = pick(2) == 1 }, name = "audit-" .. kind })
    local item = { object = "Thing", deleted = true, totals = audited.TOTALS, split = pick(4) == 1 and "id:40" or nil,
      lookback = pick(4) == 1 and { days = 30, every = "7d" } or nil }
    local plan = here:plan({ item }, { settle = pick(3) == 1 and 7200 or 0,
      load = { to = target.to(here.folder), deletes = pick(2) == 1 and "remove" or "flag" } })
    local function audit(options)
      -- While it looks: before Zuora is asked, and before the target is.
      function query.changed(...)
        live(pick, ids, 3)
        return changed(...)
      end
      function counts.query(...)
        live(pick, ids, 3)
        return query_of_target(...)
      end
      local result = assert(audited.audit(here, plan, options))[1]
      query.changed, counts.query = changed, query_of_target
      assert.is_nil(result.err, tostring(result.err))
      told.audits, told.changed = told.audits + 1, told.changed + result.changed
      return result
    end
    for _ = 1, pick(6) do
      live(pick, ids, 12)
      pass_time(pick)
      local result = assert(here:run(plan, { again = pick(5) == 1, reconcile = true }))[1]
      assert.is_nil(result.err, tostring(result.err))
      told.runs = told.runs + 1
      live(pick, ids, 6)
      if pick(2) == 1 then assert.same({}, audit().differences) end
    end
    pass_time(pick)
    live(pick, ids, 12)
    local last = audit { check = pick(2) == 1 }
    assert.same({}, last.differences)
    assert.equal("right", last.outcome)
    local month = plant(pick, last.mark)
    if not month then return end
    told.planted = told.planted + 1
    local found = audit()
    assert.equal(1, #found.differences)
    local name = found.differences[1].month
    local before = name:match "^before (.*)$" -- what is older than the months is one
    assert.is_truthy(before and month < before or name:find(month, 1, true), name .. " is not " .. month)
    assert.equal("mended", found.outcome)
    here.sim:forward(3 * HOUR)
    assert.is_nil(assert(here:run(plan, { reconcile = true }))[1].err)
    assert.same({}, audited.differences(target, here))
  end

  it(("finds what is wrong and nothing else: %d from seed %d on"):format(COUNTS[kind], FIRST), function()
    told = { runs = 0, audits = 0, changed = 0, planted = 0 }
    for seed = FIRST, FIRST + COUNTS[kind] - 1 do
      local ok, problem = pcall(history, seed)
      if not ok then error(("SEED=%d: %s"):format(seed, tostring(type(problem) == "table" and problem.message or problem)), 0) end
      if seed < FIRST + COUNTS[kind] - 1 then
        here:close()
        target.forget(here.folder)
      end
    end
    if ALL then
      print(("\n%s: %d histories from seed %d on: %d runs, %d audits without a false alarm (%d rows left out), %d planted and mended")
        :format(kind, COUNTS[kind], FIRST, told.runs, told.audits, told.changed, told.planted))
    end
  end)
end)
end
