--- The months that an audit goes by: buckets of rows by when they were made. The first one is open below and the last
--- one above, so that every row is in one of them.

local reads = require "zuora.extract.base.reads"
local times = require "zuora.extract.base.times"

local months = {}

-- What is older than so many months before the mark is in the first bucket.
local MOST = 360

local DAY = 24 * 3600

local function number_of(month)
  local year, number = month:match "^(%d%d%d%d)-(%d%d)$"
  return year and tonumber(year) * 12 + tonumber(number) - 1
end

local function month_of(number) return ("%04d-%02d"):format(number // 12, number % 12 + 1) end
local function stamp_of(number) return ("%04d%02d01T000000Z"):format(number // 12, number % 12 + 1) end
local function month_of_stamp(stamp) return stamp ~= "" and stamp:sub(1, 4) .. "-" .. stamp:sub(5, 6) or nil end

--- Everything as one bucket, for what does not say when it was made.
---@param mark string a stamp
---@return table[]
function months.whole(mark) return { { key = "", name = "all", from = "", to = mark } } end

--- The buckets from a month on: what is before it is one.
---@param by string the field that says when a row was made
---@param first string|nil "2026-03"; nil: there is nothing yet
---@param mark string a stamp
---@return { key: string, name: string, by: string, from: string, to: string, closed: boolean|nil }[] key: "" of the
--- first one, then the months
function months.since(by, first, mark)
  local last = number_of(month_of_stamp(mark))
  local number = math.min(last, math.max(number_of(first or "") or last, last - MOST))
  local list = { { key = "", name = "before " .. month_of(number), by = by, from = "", to = stamp_of(number),
    closed = true } }
  for i = number, last do
    list[#list + 1] = { key = month_of(i), name = month_of(i), by = by, from = stamp_of(i), to = stamp_of(i + 1),
      closed = i < last or nil }
  end
  return list
end

--- Until when a row can have been changed: what is later is a mistake of whoever wrote it there.
---@param now integer
---@return string stamp
function months.latest(now) return times.stamp(now + DAY) end

--- What a read of kind audit is about in the target.
---@param read table the whole, not a piece of it
---@param piece table what it was planned with
---@return { by: string|nil, from: string|nil, to: string|nil, mark: string, latest: string } bucket from and to are
--- months
function months.of_read(read, piece)
  return { by = piece.by, from = piece.by and month_of_stamp(read.read_from), mark = piece.mark, latest = piece.latest,
    to = piece.by and piece.closed and month_of_stamp(read.read_to) or nil }
end

--- The read that brings a bucket as it is now.
---@param of table
---@param bucket table
---@param mark string a stamp
---@param latest string a stamp
---@param generation integer
---@return table read, table piece
function months.read(of, bucket, mark, latest, generation)
  return reads.new(of, { kind = "audit", read_from = bucket.from, read_to = bucket.to, generation = generation }),
    { audit = true, by = bucket.by, closed = bucket.closed, mark = mark, latest = latest }
end

return months
