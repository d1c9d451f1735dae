--- Which read of an item is next.

local digest = require "zuora.extract.digest"
local error_value = require "zuora.error"
local json = require "zuora.extract.json"
local query = require "zuora.extract.query"
local reads = require "zuora.extract.reads"
local times = require "zuora.extract.times"

local planner = {}

local DAY = 24 * 3600

-- For so long Zuora keeps what was deleted.
local DELETED_LIFE = 30 * DAY

-- Rows of a page where the plan names none.
local PAGE = 250000

local function fail(words, ...)
  error(error_value.new { kind = "plan", message = words:format(...) }, 0)
end

--- What the mark of an item is good for: another query, cursor or key needs a mark of its own.
---@return string
function planner.hash(item)
  local asked = item.parsed and query.text(item, {}) or item.query or item.report
    or ("%s %s %s"):format(item.object, type(item.fields) == "table" and table.concat(item.fields, ",") or item.fields,
      item.where or "")
  return digest.text(table.concat({ asked, tostring(item.cursor), item.key, item.view or "" }, "\31"))
end

--- Gives a read the texts that it is asked for by. `piece`: closed (above, by its end), after, up_to, limit.
---@return table read
function planner.with_query(item, read, piece)
  local bounds = { from = read.read_from, to = read.read_to }
  for name, value in pairs(piece or {}) do bounds[name] = value end
  read.extra = piece and json.encode(piece) or ""
  read.query = item.kind == "report" and "" or query.text(item, bounds)
  read.totals = item.object and not bounds.limit and query.totals(item, bounds) or ""
  return read
end

local function check_mark(ctx, item, mark)
  if mark.hash ~= planner.hash(item) and not ctx.options.keep_mark then
    fail("%s: its query, cursor or key is not what it was when it was read last: 'reset %s' reads it again from the "
      .. "beginning, '--keep-mark' goes on from there", item.name, item.name)
  end
  local at = times.of(mark.mark)
  if item.deleted and at and ctx.now - at > DELETED_LIFE - DAY and not ctx.options.reconcile then
    fail("%s: it was read last at %s, and Zuora keeps deleted rows for 30 days: what was deleted since may be gone "
      .. "there. 'reset %s' reads it again from the beginning", item.name, times.iso(at), item.name)
  end
end

-- What was found in the folder when the store was lost may not have been loaded.
local function is_made(ctx, read, mark)
  return not ctx.target or read.planned_at ~= "" or mark and mark.mark >= read.read_to
end

-- One that is not there, or a generation more of it, when that is wished for.
local function unless_made(ctx, item, mark, fields)
  local before = ctx.journal:ending_at(item.of, fields.kind, fields.read_to)
  local same
  for _, read in ipairs(before) do
    if read.read_from == (fields.read_from or "") and read.generation >= (fields.generation or 0)
      and is_made(ctx, read, mark)
    then
      same = same or read
    end
  end
  if not same then return reads.new(item.of, fields) end
  if ctx.options.again and not item.was_again then
    item.was_again = true
    fields.generation = same.generation + 1
    return reads.new(item.of, fields)
  end
  local failed = same.state == "failed" and same or same.state == "split" and ctx.journal:failed_piece(same)
  if failed then
    fail("%s: this read failed before (%s): '--again' tries once more", item.name, failed.error)
  end
  return nil
end

--- The point of time that a lookback belongs to.
---@return string stamp
function planner.lookback_due(ctx, item)
  return times.stamp(ctx.b // item.lookback.every * item.lookback.every)
end

local function lookback_of(ctx, item, mark)
  local lookback = item.lookback
  if not lookback then return nil end
  if (mark.looked_back or "") >= planner.lookback_due(ctx, item) then return nil end
  return unless_made(ctx, item, mark, { kind = "lookback", read_to = mark.mark,
    read_from = times.stamp(times.of(mark.mark) - lookback.days * DAY) })
end

--- What an item that has no open read is to be asked for next; nil: it is up to date.
---@param ctx table journal, marks, b (seconds), now, options
---@param item table of the plan, as it was prepared
---@return table|nil read
function planner.next(ctx, item)
  local to, mark = times.stamp(ctx.b), ctx.marks:mark(item.of)
  if mark then check_mark(ctx, item, mark) end
  if not item.cursor then
    local kind = mark and mark.pending == "1" and "reset" or "full"
    local read = unless_made(ctx, item, mark, { kind = kind, read_to = to, generation = kind == "reset" and
      tonumber(mark.resets) or 0 })
    return read and planner.with_query(item, read)
  end
  local from = mark and mark.mark or ""
  if from == "" or from < to then
    local kind = mark and mark.pending == "1" and "reset" or from == "" and "full" or "window"
    local read = unless_made(ctx, item, mark, { kind = kind, read_from = from, read_to = to,
      generation = kind == "reset" and tonumber(mark.resets) or 0 })
    return read and planner.with_query(item, read)
  end
  if ctx.options.again and not item.was_again then
    for _, kind in ipairs { "window", "full", "reset" } do
      local last = ctx.journal:ending_at(item.of, kind, to)[1]
      if last then
        item.was_again = true
        return planner.with_query(item, reads.new(item.of, { kind = kind, read_from = last.read_from, read_to = to,
          generation = last.generation + 1 }))
      end
    end
  end
  local read = lookback_of(ctx, item, mark)
  return read and planner.with_query(item, read)
end

-- --- pieces -------------------------------------------------------------------------------------------

local function child_of(parent, fields)
  return reads.new(parent, { kind = parent.kind, read_from = fields.read_from or parent.read_from,
    read_to = fields.read_to or parent.read_to, generation = parent.generation, piece = fields.piece,
    parent = parent.parent ~= "" and parent.parent or reads.name(parent) })
end

-- What a piece was planned with.
local function piece_of(read) return read.extra ~= "" and json.decode(read.extra) or {} end
planner.piece = piece_of

--- The page that begins behind an Id.
---@param item table
---@param read table the one that it is a part of, or the page before it
---@param after string|nil
---@return table read
function planner.page(item, read, after)
  return planner.with_query(item, child_of(read, { piece = "id:" .. (after or "") }),
    { closed = piece_of(read).closed, after = after, limit = item.split or PAGE })
end

--- The text of a page whose end is known: read again later, it must not end before.
---@param piece table what it was planned with
---@param up_to string its last Id
---@return string query, string extra
function planner.closed_page(item, read, piece, up_to)
  piece.up_to = up_to
  local bounds = { from = read.read_from, to = read.read_to, closed = piece.closed, after = piece.after, up_to = up_to }
  return query.text(item, bounds), json.encode(piece)
end

--- The halves of a window that is too large; the last one is open above if the whole is. Nil: it cannot be halved
--- by time.
---@return table[]|nil
function planner.halves(item, read)
  local from, to = reads.bounds(read)
  if not item.cursor or not from or to - from < 2 then return nil end
  local middle, closed = times.stamp(from + (to - from) // 2), piece_of(read).closed
  return {
    planner.with_query(item, child_of(read, { read_to = middle, piece = "half" }), { closed = true }),
    planner.with_query(item, child_of(read, { read_from = middle, piece = "half" }), { closed = closed }),
  }
end

--- Can it be read by pages of Ids?
function planner.has_pages(item) return item.kind == "object" or item.kind == "query" and item.cursor end

return planner
