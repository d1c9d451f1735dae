--- Time that grows with the length of what is read, and no faster: of answers, headers, and delimited text. Of
-- an input the first byte says what reads it, the next two what of the rest is repeated.

local answers = require "spec.fuzz.answers"
local headers = require "spec.fuzz.headers"
local mask = require "zuora.caller.mask"
local text = require "spec.fuzz.text"

local growth = {}

-- What reads, and how many times longer than usual its texts are: some are fast, and some are slow.
local READERS = {
  { answers.read_all, 1 },
  { function(body) mask.text(body, { answers.SECRET }) end, 0.25 },
  { headers.read_all, 1 },
  { function(body) text.read_all(body, true) end, 4 },
  { function(body) text.read_all(body, false) end, 4 },
}

local SMALL, LARGE = 2048, 8192
local SLOW = 0.03 -- seconds of the processor: what is below is no proof, of anything

local function cost(work, given)
  local before = os.clock()
  work(given)
  return os.clock() - before
end

local function cheapest(work, given, times)
  local least = math.huge
  for _ = 1, times do least = math.min(least, cost(work, given)) end
  return least
end

-- Raises when four times the text takes far more than four times as long (16 times is quadratic).
local function check(work, scale, prefix, unit, suffix)
  if unit == "" then return end
  local function repeated(size) return prefix .. unit:rep(size * scale // #unit + 1) .. suffix end
  local small, large = repeated(SMALL), repeated(LARGE)
  if cost(work, large) < SLOW then return end
  local before, after = cheapest(work, small, 5), cheapest(work, large, 3)
  if after > SLOW and after > 8 * before then
    error(("%q, %q many times, %q: %.1f ms for %d bytes, %.1f ms for %d"):format(prefix, unit, suffix, before * 1000,
      #small, after * 1000, #large))
  end
end

function growth.run(data)
  local which, first, second = data:byte(1, 3)
  if not second then return end
  local rest = data:sub(4)
  local from = first % (#rest + 1)
  local to = math.min(#rest, from + second % 32 + 1)
  local reader = READERS[which % #READERS + 1]
  check(reader[1], reader[2], rest:sub(1, from), rest:sub(from + 1, to), rest:sub(to + 1))
end

return growth
