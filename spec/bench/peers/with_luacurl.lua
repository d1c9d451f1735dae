-- The bench's works by Lua-cURLv3 and lua-cjson: one | first, with the arguments of ours.lua. One easy handle for all.

local curl = require "lcurl"
local decode = require "cjson".decode

local function new_client(ca)
  local pieces, count = {}, 0
  local easy = curl.easy()
  easy:setopt_httpheader { "Authorization: Bearer t", "Accept: application/json" }
  easy:setopt_accept_encoding "gzip"
  easy:setopt_proxy ""
  easy:setopt_failonerror(1)
  if ca ~= "-" then easy:setopt_cainfo(ca) end
  easy:setopt_writefunction(function(piece)
    count = count + 1
    pieces[count] = piece
  end)
  return function(url)
    count = 0
    easy:setopt_url(url):perform()
    return count == 1 and pieces[1] or table.concat(pieces, "", 1, count)
  end
end

local function job(get, base, number)
  local value = decode(get(base .. "/v1/batch-query/jobs/j" .. number))
  assert(value.status == "completed")
  return value.batches[1].recordCount
end

local works = {}

function works.first(base) job(new_client "-", base, 1) end

function works.one(base, count, warm, ca)
  local loops = require "spec.bench.loops"
  local get = new_client(ca)
  for _ = 1, warm do job(get, base, 1) end
  local done, sum = loops.measure(), 0
  for i = 1, count do sum = sum + job(get, base, i) end
  done(count, sum)
end

local arguments = {}
for i = 2, #arg do arguments[i - 1] = math.tointeger(arg[i]) or arg[i] end
works[arg[1]](table.unpack(arguments))
