--- Which read of an item is next.

local ascii = require "zuora.support.ascii"
local columns = require "zuora.extract.base.columns"
local digest = require "zuora.extract.base.digest"
local json = require "zuora.extract.base.json"
local phrases = require "zuora.extract.base.phrases"
local query = require "zuora.extract.query"
local reads = require "zuora.extract.base.reads"
local times = require "zuora.extract.base.times"

local planner = {}

local DAY = 24 * 3600

--- For so long Zuora keeps what was deleted, in seconds.
planner.DELETED_LIFE = 30 * DAY

--- So far clocks of Zuora's servers, and of those who wrote a bookmark, may be apart, in seconds.
planner.SKEW = 300

--- What is said of reads that were given up by a reset.
planner.SET_BACK = "it was set back"

-- Rows of a page where the plan names none.
local PAGE = 250000

local raise = require "zuora.error".raise

--- What the mark of an item is good for: another query, cursor or key needs a mark of its own.
---@return string
function planner.hash(item)
  local asked = item.parsed and query.text(item, {}) or item.query or item.report
    or ("%s %s %s"):format(item.object, type(item.fields) == "table" and table.concat(item.fields, ",") or item.fields,
      item.where or "")
  return digest.text(table.concat({ asked, tostring(item.cursor), item.key, item.view or "" }, "\31"))
end

-- The item as it would be without some of its columns.
local function without(item, fields)
  local function kept(list) return columns.minus(list, item.object, fields) end
  local other = setmetatable({ columns = item.columns and kept(item.columns) }, { __index = item })
  if item.parsed then
    other.parsed = setmetatable({ select = kept(item.parsed.select) }, { __index = item.parsed })
  elseif type(item.fields) == "table" then
    other.fields = kept(item.fields)
  end
  return other
end

--- Those that were not there when it was read last.
---@return string[]
function planner.new_columns(item, mark)
  local known, list = json.decode(mark.columns) or {}, {}
  for _, name in ipairs(columns.of(item)) do
    if #known > 0 and not columns.find(known, item.object, name) then list[#list + 1] = name end
  end
  return list
end

--- What reads of a kind ask for: most want whole rows of a window; some the keys of all rows that there are, or those
--- and one column.
---@return table item
function planner.asked(item, kind)
  local field = kind:match "^backfill%-(.+)$"
  if kind ~= "reconcile" and not field then return item end
  return setmetatable({ kind = "object", parsed = false, cursor = false,
    where = field and (item.parsed and item.parsed.where or item.where) or false,
    columns = field and { item.key, item.cursor, field } or { item.key },
    totals = item.totals[1] and { "count" } or {} }, { __index = item })
end

-- What the mark will be good for: not columns that were missed for a while, but for one that is backfilled (`field`).
local function good_for(item, field, mark)
  local gaps, list = columns.minus(item.gaps or {}, item.object, { field }), columns.of(item)
  if field and columns.are_open(item) then -- its header is not that of a whole row
    list = json.decode(mark.columns) or {}
    if not columns.find(list, item.object, field) then list[#list + 1] = field end
  end
  return { hash = planner.hash(item), columns = columns.minus(list, item.object, gaps), gaps = gaps[1] and gaps or nil }
end
planner.good_for = good_for

--- Columns that are asked for, and were not for a while: in rows that changed then they are not as they are in Zuora.
---@param item table of which something was read, and nothing is left to be
---@return string[] names, string|nil words
function planner.gaps(item)
  local names = {}
  for _, gap in ipairs(columns.minus(item.gaps, item.object, item.refused)) do
    local _, name = columns.find(item.header or columns.of(item), item.object, gap)
    names[#names + 1] = name and columns.plain(name, item.object)
  end
  return names, names[1] and ("rows that changed while there was no %s still have the old one: `%s` reads %s of all "
    .. "rows"):format(table.concat(names, ", "), phrases.backfill(item, names), #names == 1 and "it" or "them") or nil
end

--- Gives a read the texts that it is asked for by. `piece`: closed (above, by its end), after, up_to, limit; hash and
--- columns: what the mark will be good for.
---@return table read
function planner.with_query(item, read, piece)
  piece = piece or good_for(item)
  item = planner.asked(item, read.kind)
  local bounds = { from = read.read_from, to = read.read_to }
  for name, value in pairs(piece) do bounds[name] = value end
  if bounds.up_to then bounds.limit = nil end
  read.extra = json.encode(piece)
  read.query = item.kind == "report" and "" or query.text(item, bounds)
  read.totals = item.object and query.totals(item, bounds) or ""
  return read
end

-- Has it been read, and loaded? The target may be another than it was, or an older copy.
local function is_made(ctx, read)
  if read.state == "done" and read.parent == "" then return not ctx.target or #ctx.target:lacking { read } == 0 end
  if read.state ~= "split" or read.parent ~= "" then return false end
  local pieces = ctx.journal:pieces_of(read, reads.name(read))
  for _, piece in ipairs(pieces) do
    if piece.state ~= "done" then return false end
  end
  return not ctx.target or #ctx.target:lacking(pieces) == 0
end

--- What is told of an item whose text is not that of its mark: all that can be done about it.
---@return string
function planner.changed(item, mark)
  local new = planner.new_columns(item, mark)
  local is_wider = new[1] and item.cursor and item.mode ~= "replace" and mark.hash == planner.hash(without(item, new))
  return ("its query, cursor or key is not what it was when it was read last: `%s` has it read again from the "
    .. "beginning, `%s` goes on from there%s"):format(phrases.command(item.of, "reset", item.name),
    phrases.command(item.of, "run", item.name, "--keep-mark"),
    is_wider and (", `%s` reads what is new of all rows, too"):format(phrases.backfill(item, new)) or "")
end

-- (What is to be read from the beginning again is read as it is now.)
local function check_hash(ctx, item, mark)
  if mark.pending == "1" and mark.mark == "" then return end
  local given = ctx.options.backfill or {}
  for i = #given + 1, 1, -1 do -- (some may be done)
    if mark.hash == planner.hash(without(item, table.move(given, i, #given, 1, {}))) then return end
  end
  raise("plan", "%s: %s", item.name, planner.changed(item, mark))
end

-- May there have been deletions since then which Zuora has forgotten, and no comparison of keys has found?
local function may_miss_deleted(ctx, item, at)
  local oldest = ctx.now - planner.DELETED_LIFE + DAY
  if not item.deleted or not at or at >= oldest or ctx.options.reconcile then return false end
  for _, read in ipairs(ctx.journal:all(item.of)) do
    if read.kind == "reconcile" and is_made(ctx, read) and times.of(read.read_to) >= oldest then return false end
  end
  return true
end

--- Was a window planned so long ago that what was deleted in it may be gone?
function planner.is_too_old(ctx, item, read)
  return read.kind == "window" and may_miss_deleted(ctx, item, times.of(read.read_from))
end

-- Was it read up to a time that has not come yet? Whoever said so had a wrong clock, and what changes until then would
-- never be read. (Others may have read more than was there when this run began.)
local function check_clock(ctx, item, mark)
  if mark.mark <= times.stamp(ctx.clock() + planner.SKEW) then return end
  raise("plan", "%s: it was read up to %s, which has not come yet by Zuora's clock: `%s` has it read again from the "
    .. "beginning, with --from TIME from before the clock was wrong", item.name, times.iso(times.of(mark.mark)),
    phrases.command(item.of, "reset", item.name))
end

local function check_deleted(ctx, item, mark)
  local at = times.of(mark.mark)
  if not may_miss_deleted(ctx, item, at) then return end
  raise("plan", "%s: it was read last at %s, and Zuora keeps deleted rows for 30 days: what was deleted since may be "
    .. "gone there. `%s` reads the keys of all rows, too, and takes those that are no longer there for deleted",
    item.name, times.iso(at), phrases.command(item.of, "run", item.name, "--reconcile"))
end

-- One that is not there, or a generation more of it, when that is wished for (or the mark says that it is missing).
local function unless_made(ctx, item, fields, is_missing)
  local before = ctx.journal:ending_at(item.of, fields.kind, fields.read_to)
  local same
  for _, read in ipairs(before) do
    if read.read_from == (fields.read_from or "") and read.generation >= (fields.generation or 0) then
      same = same or read
    end
  end
  if not same then return reads.new(item.of, fields) end
  local failed = same.state == "failed" and same
    or same.state == "split" and ctx.journal:failed_piece(same, reads.name(same))
  if failed and failed.error == planner.SET_BACK then failed, is_missing = nil, true end
  local is_again = ctx.options.again and not item.was_again
  if is_again or not failed and (is_missing or not is_made(ctx, same)) then
    item.was_again = item.was_again or is_again
    fields.generation = same.generation + 1
    return reads.new(item.of, fields)
  end
  if failed then
    raise("plan", "%s: this read failed before (%s): `%s` tries once more", item.name, failed.error,
      phrases.command(item.of, "run", item.name, "--again"))
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
  return unless_made(ctx, item, { kind = "lookback", read_to = mark.mark,
    read_from = times.stamp(times.of(mark.mark) - lookback.days * DAY) })
end

-- A column of all rows, that they were read without.
local function backfill_of(ctx, item, mark)
  local given = ctx.options.backfill or {}
  for i, field in ipairs(mark.mark ~= "" and given or {}) do
    local _, name = columns.find(columns.of(item), item.object, field)
    name = name or columns.find(columns.of(item), item.object, "*") and field
    if not name then raise("plan", "%s: it has no column '%s' to be backfilled", item.name, field) end
    local short = ascii.lower(columns.plain(name, item.object))
    local is_missing = item.taken[short] or columns.find(item.gaps, nil, short) ~= nil
    local read = unless_made(ctx, item, { kind = "backfill-" .. name, read_to = mark.mark }, is_missing)
    item.taken[short] = nil
    local rest = table.move(given, i + 1, #given, 1, {})
    if read then return planner.with_query(item, read, good_for(without(item, rest), short, mark)) end
  end
  return nil
end

-- The keys of all rows, where that is wished for: what the target has more, and was changed before, is gone.
local function reconcile_of(ctx, item, to)
  if not (ctx.options.reconcile and item.deleted) then return nil end
  local read = unless_made(ctx, item, { kind = "reconcile", read_to = to })
  return read and planner.with_query(item, read)
end

-- The kind of a read, and its generation: what was set back is read again by reads of their own.
local function kind_of(mark, otherwise)
  if not mark or mark.pending ~= "1" then return otherwise, 0 end
  return "reset", tonumber(mark.resets)
end

local function whole_of(ctx, item, mark, to)
  if ctx.options.backfill then
    raise("plan", "%s: it is read whole each time: there is nothing to backfill", item.name)
  end
  local kind, generation = kind_of(mark, "full")
  return unless_made(ctx, item, { kind = kind, read_to = to, generation = generation },
    not (mark and mark.mark >= to))
end

local function window_of(ctx, item, mark, to)
  local from = mark and mark.mark or ""
  local kind, generation = kind_of(mark, from == "" and "full" or "window")
  return unless_made(ctx, item, { kind = kind, read_from = from, read_to = to, generation = generation }, true)
end

-- The newest window once more, where that is wished for.
local function again_of(ctx, item, to)
  for _, kind in ipairs(ctx.options.again and not item.was_again and { "window", "full", "reset" } or {}) do
    local last = ctx.journal:ending_at(item.of, kind, to)[1]
    if last then
      item.was_again = true
      return reads.new(item.of, { kind = kind, read_from = last.read_from, read_to = to,
        generation = last.generation + 1 })
    end
  end
  return nil
end

--- What an item that has no open read is to be asked for next; nil: it is up to date.
---@param ctx table see zuora.extract.context
---@param item table of the plan, as it was prepared
---@return table|nil read
function planner.next(ctx, item)
  local to, mark = times.stamp(ctx.b), ctx.marks:mark(item.of)
  local read
  item.gaps = mark and ctx.target and ctx.target:gaps(item, mark) or {}
  if mark then check_clock(ctx, item, mark) end
  -- (Where this machine's clock is behind another's, whatever was read by that one is.)
  if mark and mark.pending ~= "1" and mark.mark > to then to = mark.mark end
  if mark and not ctx.options.keep_mark then check_hash(ctx, item, mark) end
  if not item.cursor or item.mode == "replace" then
    read = whole_of(ctx, item, mark, to)
    return read and planner.with_query(item, read)
  end
  if mark then check_deleted(ctx, item, mark) end
  local before = mark and (backfill_of(ctx, item, mark) or reconcile_of(ctx, item, to))
  if before then return before end
  if not mark or mark.mark < to then
    read = window_of(ctx, item, mark, to)
  else
    read = again_of(ctx, item, to) or lookback_of(ctx, item, mark)
  end
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

-- What a piece of it is asked by, besides its own bounds.
local function inherited(read, fields)
  local piece = piece_of(read)
  fields.audit, fields.by, fields.hash = piece.audit, piece.by, piece.hash
  return fields
end

--- More pieces of a read are of the text that it was planned with, or of none.
function planner.check_text(item, read)
  local hash = piece_of(read).hash
  if not hash or read.kind:find "^backfill" or hash == planner.hash(item) then return end
  raise("plan", "%s: its query, cursor or key was changed in the middle of a read: `%s` has it read again from the "
    .. "beginning, or let the plan be as it was until that is done", item.name,
    phrases.command(item.of, "reset", item.name))
end

--- The page that begins behind an Id.
---@param item table
---@param read table the one that it is a part of, or the page before it
---@param after string|nil
---@return table read
function planner.page(item, read, after)
  local before = piece_of(read)
  return planner.with_query(item, child_of(read, { piece = "id:" .. (after or "") }),
    inherited(read, { closed = before.closed, after = after, limit = before.limit or item.split or PAGE }))
end

--- The texts of a read that is there, when it is asked for anew as something else.
---@return { query: string, totals: string, extra: string }
function planner.texts(item, read, piece)
  local planned = planner.with_query(item, reads.new(read, read), piece)
  return { query = planned.query, totals = planned.totals, extra = planned.extra }
end

--- The text of a page that is too large, with half of its rows; those behind it are as small. Nil: it is none, or its
--- end is known.
---@return { query: string, totals: string, extra: string }|nil
function planner.smaller_page(item, read)
  local piece = piece_of(read)
  if not piece.limit or piece.up_to or piece.limit < 2 then return nil end
  piece.limit = piece.limit // 2
  return planner.texts(item, read, piece)
end

--- The text of a page whose end is known: read again later, it must not end before.
---@param piece table what it was planned with
---@param up_to string its last Id
---@return { query: string, totals: string, extra: string }
function planner.closed_page(item, read, piece, up_to)
  piece.up_to, piece.closed_at = up_to, read.attempt
  return planner.texts(item, read, piece)
end

--- The halves of a window that is too large; the last one is open above if the whole is. Nil: it cannot be halved
--- by time.
---@return table[]|nil
function planner.halves(item, read)
  local from, to = reads.bounds(read)
  if not item.cursor or not from or to - from < 2 then return nil end
  local middle, piece = times.stamp(from + (to - from) // 2), piece_of(read)
  return {
    planner.with_query(item, child_of(read, { read_to = middle, piece = "half" }), inherited(read, { closed = true })),
    planner.with_query(item, child_of(read, { read_from = middle, piece = "half" }),
      inherited(read, { closed = piece.closed })),
  }
end

--- Can it be read by pages of Ids?
function planner.has_pages(item) return item.kind == "object" or item.kind == "query" and item.cursor end

return planner
