--- Sums of a file, exact: whole numbers and parts of them, never floats.

local ascii = require "zuora.support.ascii"
local columns = require "zuora.extract.base.columns"
local decimals = require "zuora.extract.base.decimals"
local error_value = require "zuora.error"
local phrases = require "zuora.extract.base.phrases"
local rows = require "zuora.rows"

local totals = {}

-- Rows between two pulses.
local STRETCH = 4096

local DIGITS, SCALE = decimals.DIGITS, decimals.SCALE

-- A decimal text as two integers with one sign: the whole part, and the fraction in SCALE parts.
local function parse(text)
  local sign, whole, fraction = text:match "^([+-]?)(%d*)%.?(%d*)$"
  if not sign or whole == "" and fraction == "" or #fraction > DIGITS or #whole > 15 then return nil end
  local factor = sign == "-" and -1 or 1
  return factor * (math.tointeger(tonumber(whole)) or 0),
    factor * (math.tointeger(tonumber(fraction .. ("0"):rep(DIGITS - #fraction))) or 0)
end

local function add(sum, text)
  local whole, fraction = parse(text)
  if not whole then return false end
  sum.whole, sum.fraction = sum.whole + whole, sum.fraction + fraction
  sum.whole, sum.fraction = sum.whole + sum.fraction // SCALE, sum.fraction % SCALE
  return true
end

--- What Zuora says that a function comes to.
---@param told table<string, string> by the headers, in lower case
---@param object string
---@param name "count"|"sum"
---@param field string
---@return string|nil
function totals.told(told, object, name, field)
  local long, short = ("%s(%s.%s)"):format(name, object, field), ("%s(%s)"):format(name, field)
  return told[ascii.lower(long)] or told[ascii.lower(short)]
end

local function disagree(words, ...)
  return nil, error_value.new { kind = "incomplete", message = words:format(...) }
end

local function sums_of(item, it)
  local sums = {}
  for _, total in ipairs(item.totals) do
    local field = total:match "^sum%((.*)%)$"
    if field then
      local place = columns.find(it.columns, item.object, field)
      if not place then return disagree("%s: the file has no column %s to be summed", item.name, field) end
      sums[#sums + 1] = { field = field, place = place, whole = 0, fraction = 0 }
    end
  end
  return sums
end

-- Is it so many rows? A page that is full may have more behind it; one that is not was the last.
local function counts(counted, count, all, limit)
  if not limit or all < limit then return counted == tostring(count) end
  local number = all == limit and (counted or ""):match "^%d+$"
  return number and math.tointeger(tonumber(number)) >= count
end

--- The rows of a file that may be long.
---@param it function
---@param pulse fun()|nil called every now and then
---@return function
function totals.each(it, pulse)
  if not pulse then return it end
  local left = STRETCH
  return function()
    left = left - 1
    if left == 0 then
      left = STRETCH
      pulse()
    end
    return it()
  end
end

--- Do the totals that came with a file agree with its rows? Those of deleted rows do not count.
---@param item table
---@param path string
---@param told table<string, string> "count(account.id)", "sum(account.balance)": by the headers, in lower case
---@param deleted string the column that says of a row that it is deleted, where there is one
---@param limit integer|nil of a page that has no end yet: what was counted is all that is beyond its begin
---@param pulse fun()|nil called every now and then
---@return true|nil ok, zuora.Error|nil err
function totals.agree(item, path, told, deleted, limit, pulse)
  local it <close>, problem = rows.of_file(path, { form = "array" })
  if not it then return nil, problem end
  local sums, wrong = sums_of(limit and { totals = {} } or item, it)
  if not sums then return nil, wrong end
  local gone, count, all = columns.find(it.columns, item.object, deleted), 0, 0
  for row in totals.each(it, pulse) do
    all = all + 1
    if not (gone and row[gone] == "true") then
      count = count + 1
      for _, sum in ipairs(sums) do
        local cell = row[sum.place]
        if cell ~= "" and not add(sum, cell) then
          return disagree("%s: row %d: '%s' is no number to be summed", item.name, it.row, error_value.clean(cell, 40))
        end
      end
    end
  end
  local counted = totals.told(told, item.object, "count", item.key)
  if not counts(counted, count, all, limit) then
    return disagree("%s: the file has %s%s, and Zuora %s in the same transaction", item.name,
      phrases.count(count, "row"), limit and (" of a page of %d"):format(limit) or "",
      counted and "counted " .. counted or "told no count")
  end
  for _, sum in ipairs(sums) do
    local summed, own = totals.told(told, item.object, "sum", sum.field), decimals.of_parts(sum.whole, sum.fraction)
    if not summed then return disagree("%s: Zuora told no sum of %s with the file", item.name, sum.field) end
    if decimals.plain(summed == "" and "0" or summed) ~= own then
      return disagree("%s: the file's sum of %s is %s, and Zuora's is %s", item.name, sum.field, own, summed)
    end
  end
  return true
end

--- The last Id of a page: they must come in order, or the next page would leave some out.
---@param item table
---@param path string
---@param pulse fun()|nil called every now and then
---@return string|nil
function totals.last(item, path, pulse)
  local it <close>, problem = rows.of_file(path, { form = "lazy" })
  if not it then error(problem, 0) end
  local _, name = columns.find(it.columns, item.object, item.key)
  if not name then
    error_value.raise("incomplete", "%s: a page has no column %s", item.name, item.key)
  end
  local last
  for row in totals.each(it, pulse) do
    local id = row[name]
    if last and id <= last then
      error_value.raise("incomplete", "%s: row %d of a page: %s is not behind %s", item.name, it.row, id, last)
    end
    last = id
  end
  return last
end

return totals
