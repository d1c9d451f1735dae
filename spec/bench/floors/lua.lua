-- Floors of what ends in Lua's values: they are made in C, by rows.c and fetch.c, and used by the same loops as ours.
--
--   lua5.4 spec/bench/floors/lua.lua rows PATH POSITIONS HOW TIMES | page BASE CA | one BASE N WARM CA
--
-- "one" is no floor, but a peer: libcurl and lua-cjson with nothing around them.

local loops = require "spec.bench.loops"

local works = {}

function works.rows(path, positions, how, times)
  local rows = require "rows"
  loops.rows(function(form)
    if form:find "^lazy" then return rows.open(path, nil, "lazy") end
    if form ~= "columns" then return rows.open(path, positions, form) end
    return rows.open(path, positions, "keyed", table.unpack(loops.COLUMNS))
  end, how, times)
end

function works.page(base, ca)
  local decode = require "cjson".decode
  local get = require "fetch".new(ca)
  get(base .. "/v1/batch-query/jobs/j1")
  local done = loops.measure()
  done(loops.page(decode(get(base .. "/reporting/api/rest/v1/reportruns/reportdata/run?offset=1&pageSize=1000000")).response))
end

function works.one(base, count, warm, ca)
  local decode = require "cjson".decode
  local get = require "fetch".new(ca)
  local function job(number)
    local value = decode(get(base .. "/v1/batch-query/jobs/j" .. number))
    assert(value.status == "completed")
    return value.batches[1].recordCount
  end
  for _ = 1, warm do job(1) end
  local done, sum = loops.measure(), 0
  for i = 1, count do sum = sum + job(i) end
  done(count, sum)
end

local arguments = {}
for i = 2, #arg do arguments[i - 1] = math.tointeger(arg[i]) or tonumber(arg[i]) or arg[i] end
works[arg[1]](table.unpack(arguments))
