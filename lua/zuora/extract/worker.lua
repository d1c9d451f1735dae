--- Takes a read from one state to the next, until it is done. Each state is written down before the next step is
--- taken, so that a run that was killed goes on where it was.

local columns = require "zuora.extract.base.columns"
local digest = require "zuora.extract.base.digest"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local header = require "zuora.extract.header"
local json = require "zuora.extract.base.json"
local manifest = require "zuora.extract.base.manifest"
local marks = require "zuora.extract.marks"
local months = require "zuora.extract.months"
local planner = require "zuora.extract.planner"
local publish = require "zuora.extract.publish"
local reads = require "zuora.extract.base.reads"
local rows = require "zuora.rows"
local totals = require "zuora.extract.totals"

local worker = {}

local DAY = 24 * 3600

-- How often a read is asked for anew before it counts as failed.
local ATTEMPTS = 3

local SOURCES = {
  object = require "zuora.extract.sources.aqua", query = require "zuora.extract.sources.aqua",
  report = require "zuora.extract.sources.report", data_query = require "zuora.extract.sources.data_query",
}

local DELETED = SOURCES.object.DELETED

local raise = error_value.raise

--- Options of a call that is about a read, or about an item: for its entity.
---@param ctx table
---@param read { entity: string }
---@param more table|nil
---@return table options
function worker.options_of(ctx, read, more)
  local options = more or {}
  options.entity_id = read.entity ~= "" and read.entity or ctx.options.entity_id
  return options
end

local options_of = worker.options_of

-- --- failures -----------------------------------------------------------------------------------------

-- What there is of an attempt's file is no good to the next.
local function discard(ctx, item, read)
  manifest.discard(ctx.output .. "/" .. reads.path(read, item.claim.turn))
end

local function try_again(ctx, item, read, err, changes)
  discard(ctx, item, read)
  changes = changes or {}
  changes.attempt, changes.planned_at, changes.job_id = read.attempt + 1, ctx.journal:clock(), ""
  changes.error = tostring(err)
  ctx.journal:move(read, "planned", changes)
end

-- A field that the engine refuses, though it was described as one that can be had, is left out.
local function leave_out(ctx, item, read, field)
  if item.kind ~= "object" or item.fields ~= "*" then return false end
  local kept = {}
  for _, column in ipairs(item.columns) do
    if column ~= field then kept[#kept + 1] = column end
  end
  if #kept == #item.columns or #kept == 0 then return false end
  item.columns = kept
  item.refused[#item.refused + 1] = field
  ctx.journal:event(read.plan, read.item, "field refused", field)
  local piece = planner.piece(read)
  piece.columns = piece.columns and columns.minus(piece.columns, item.object, { field })
  try_again(ctx, item, read, "the field " .. field .. " was refused", planner.texts(item, read, piece))
  return true
end

-- The read is too large at once: its pieces are planned in its place, or it is a page and becomes a smaller one.
local function split(ctx, item, read, err)
  planner.check_text(item, read)
  local smaller = planner.smaller_page(item, read)
  if smaller then
    try_again(ctx, item, read, err, smaller)
    ctx.journal:event(read.plan, read.item, "split", reads.name(read))
    return true
  end
  local pieces = planner.halves(item, read)
  if not pieces and planner.has_pages(item) and read.piece:sub(1, 3) ~= "id:" then
    pieces = { planner.page(item, read) }
  end
  if not pieces then return false end
  ctx.journal:transaction(function()
    ctx.journal:move(read, "split")
    for _, piece in ipairs(pieces) do ctx.journal:plan(piece) end
  end)
  ctx.journal:event(read.plan, read.item, "split", reads.name(read))
  return true
end

-- What is to be done about an error; true: the read goes on. Else it is raised.
local function recover(ctx, item, read, source, err)
  if not error_value.is(err) then error(err, 0) end
  local field = source.refused_field(err)
  if field and leave_out(ctx, item, read, field) then return true end
  local verdict = source.verdict(err)
  -- The file itself is wrong, and will be: another job may bring a better one.
  if (err.kind == "text" or err.kind == "incomplete") and not err.retryable then verdict = "again" end
  if verdict == "smaller" and split(ctx, item, read, err) then return true end
  if verdict == "again" and read.attempt - #item.refused < ATTEMPTS then
    try_again(ctx, item, read, err)
    ctx.journal:event(read.plan, read.item, "asked for anew", tostring(err))
    return true
  end
  if verdict ~= "later" then
    discard(ctx, item, read)
    ctx.journal:move(read, "failed", { error = tostring(err), chain = "" })
    ctx.journal:event(read.plan, read.item, "failed", tostring(err))
  end
  error(err, 0)
end

-- --- steps --------------------------------------------------------------------------------------------

local steps = {}

-- Before anything is done outside, and while a job goes on. The rest may be done again after a loss of power: it comes
-- to the same files.
local function sync(ctx) ctx.journal:sync(function() ctx.client:sleep(0) end) end

-- The same read has the same key, whoever computes it: within a day the same job comes of it. Another body has another.
local function key_of(item, read)
  local body = { deleted = item.deleted, report = item.report, view = item.view, filters = item.filters }
  return digest.text(table.concat({ reads.identity(read), tostring(read.attempt), read.query, read.totals,
    json.encode(body) }, "\31"))
end

function steps.planned(ctx, item, read, source)
  if ctx.keeps_deletes and planner.is_too_old(ctx, item, read) then
    -- Deletions in it are gone at Zuora: it is planned anew, as what is so old is.
    return ctx.journal:move(read, "failed", { error = "it was planned too long ago" })
  end
  if ctx.journal:clock() - tonumber(read.planned_at) > DAY - 3600 then
    -- The key may be forgotten, and what was asked for under it be there twice.
    ctx.journal:move(read, "planned", { attempt = read.attempt + 1, planned_at = ctx.journal:clock() })
  end
  local key = key_of(item, read)
  read.idempotency_key = key
  sync(ctx)
  local id, err = source.submit(ctx.client, item, read, options_of(ctx, read))
  local other = id and ctx.journal:other_of(read, id)
  if other then
    id, err = nil, error_value.new { kind = "incomplete", message =
      ("%s was answered with job %s, which is that of %s %s"):format(item.name, id, other.item, reads.name(other)) }
  end
  if not id then return recover(ctx, item, read, source, err) end
  ctx.journal:move(read, "submitted", { job_id = id, idempotency_key = key })
end

function steps.submitted(ctx, item, read, source)
  sync(ctx)
  local done, err = source.wait(ctx.client, read, options_of(ctx, read, { timeout = ctx.wait, min = ctx.options.poll }))
  if not done then return recover(ctx, item, read, source, err) end
  ctx.journal:move(read, "completed")
end

-- Is what has come what was asked for? Gives the header, and the last Id of a page whose end was not known.
local function prove(ctx, item, path, written, read, piece)
  local names, pulse = header.check(item, read, path, written, ctx.target ~= nil), ctx.pulse
  if written.totals then
    -- (The job of a page does not know the end that was found in its file.)
    local has_no_end = not piece.up_to or piece.closed_at == read.attempt
    local ok, err = totals.agree(item, path, written.totals, DELETED, has_no_end and piece.limit or nil, pulse)
    if not ok then error(err, 0) end
  end
  -- (One that is read again has its end, and the next is there.)
  return names, piece.limit and not piece.up_to and totals.last(item, path, pulse) or nil
end

-- The number of a file in its chain: one that was there before is another's now, which says so.
local function number_of(ctx, read, piece)
  if (read.chain or "") ~= "" then
    piece.replaces = piece.replaces or {}
    table.insert(piece.replaces, tonumber(read.chain))
  end
  return (ctx.journal:chain(read))
end

function steps.completed(ctx, item, read, source)
  local piece = planner.piece(read)
  if piece.limit and not piece.up_to then planner.check_text(item, read) end
  local path = reads.path(read, item.claim.turn)
  local whole = ctx.output .. "/" .. path
  disk.folder(ctx.output .. "/" .. read.item)
  if not item.is_known then marks.check_known(ctx, item, read, path) end
  item.is_known = true
  item.claim.bringing = { read = read, path = path }
  local written, err = source.fetch(ctx.client, read, whole, options_of(ctx, read))
  if not written then return recover(ctx, item, read, source, err) end
  local ok, names, last = pcall(prove, ctx, planner.asked(item, read.kind), whole, written, read, piece)
  if not ok then return recover(ctx, item, read, source, names) end
  local sum, problem = digest.file(whole, ctx.pulse)
  if not sum then raise("file", "%s", problem) end
  disk.sync(ctx.output .. "/" .. read.item)
  local chain = number_of(ctx, read, piece)
  piece.told = { query = read.query, totals_query = read.totals ~= "" and read.totals or nil, totals = written.totals,
    files = written.files, request_ids = written.request_ids }
  piece.header = header.open_columns(item, read, names)
  local changes = last and planner.closed_page(item, read, piece, last) or { extra = json.encode(piece) }
  for name, value in pairs { path = path, bytes = written.bytes, records = written.records, sha256 = sum, error = "",
    record_count = written.record_count or "", chain = chain } do
    changes[name] = value
  end
  ctx.journal:transaction(function()
    if last and written.records >= piece.limit then ctx.journal:plan(planner.page(item, read, last)) end
    ctx.journal:move(read, "fetched", changes)
  end)
  ctx.brought[path], item.claim.bringing = true, nil
end

--- Sets a read whose file is gone, or was changed, back to where that is brought.
---@param ctx table
---@param read table
---@param changes table<string, string>|nil of its row
function worker.bring_anew(ctx, read, changes)
  local path = ctx.output .. "/" .. read.path
  ctx.journal:hold(read)
  ctx.journal:event(read.plan, read.item, disk.size(path) and "file changed" or "file gone", read.path)
  ctx.journal:reopen(read, changes)
  ctx.brought[read.path] = nil
  os.remove(path)
  os.remove(manifest.path(path))
end

--- Sets a read whose file is whole back to where its manifest is written. That comes last in the chain: the one behind
--- the old one may name it by its hash.
---@param ctx table
---@param read table
---@param piece table what is kept of it
function worker.prove_anew(ctx, read, piece)
  ctx.journal:hold(read)
  ctx.journal:event(read.plan, read.item, "manifest written anew", read.path)
  local chain = number_of(ctx, read, piece)
  os.remove(ctx.output .. "/" .. manifest.path(read.path))
  ctx.journal:reopen(read, { chain = chain, extra = json.encode(piece) }, "fetched")
end

-- A state holds only with its file: one that is gone, or was changed since another process brought it, is brought anew.
local function is_there(ctx, read)
  local path = ctx.output .. "/" .. read.path
  local size = disk.size(path)
  local is_same = size == tonumber(read.bytes)
    and (ctx.brought[read.path] or digest.file(path, ctx.pulse) == read.sha256)
  if is_same then return true end
  -- (Brought again it would be handed over again, and so on without an end.)
  if ctx.publish and ctx.brought[read.path] then publish.refuse(ctx.plan.publish, path) end
  worker.bring_anew(ctx, read)
  return false
end

function steps.fetched(ctx, item, read)
  if not is_there(ctx, read) then return end
  local whole = ctx.output .. "/" .. read.path
  local it <close> = assert(rows.of_file(whole, { form = "lazy" }))
  local piece = planner.piece(read)
  header.tell_lost(ctx, item, piece)
  local told = piece.told or {}
  local path = manifest.write(ctx.journal, ctx.output, read, { tenant = ctx.tenant, key = item.key,
    query = told.query, totals_query = told.totals_query, totals = told.totals, files = told.files,
    request_ids = told.request_ids, libcurl = ctx.libcurl,
    hash = piece.hash or planner.hash(item), columns = piece.header or columns.of(item), replaces = piece.replaces,
    cursor = item.cursor or nil, object = item.object, header = it.columns, types = item.types,
    refused = item.refused[1] and item.refused or nil, lost = item.lost and item.lost[1] and item.lost or nil })
  -- The next one names it, wherever it lies by then.
  local claims = ctx.journal.claims
  local sum = (claims or ctx.publish) and manifest.sum(ctx.output, path)
  if ctx.publish then
    sync(ctx)
    ctx.publish(whole, item, read.sha256, ctx.pulse)
    ctx.publish(ctx.output .. "/" .. path, item, sum)
  end
  ctx.journal:move(read, "published", claims and { manifest = sum })
end

-- The mark goes to the end of a read when all of its pieces are done. (Of one that was brought anew it did so then.)
local function advance(ctx, item, root, read, book)
  local good_for, list = planner.piece(root), planner.piece(read).header -- whatever the plan says by now
  if good_for.is_mended then return end
  list = list and columns.minus(list, item.object, good_for.gaps or {}) or good_for.columns or columns.of(item)
  list = columns.minus(list, item.object, item.refused) -- one of the pieces may have it, and another not
  marks.advance(book, item.of, root, { hash = good_for.hash or planner.hash(item), columns = json.encode(list),
    tenant = ctx.tenant, looked_back = item.lookback and planner.lookback_due(ctx, item) })
end

local function root_of(ctx, read) return read.parent == "" and read or ctx.journal:parent_of(read) end

local function finish(ctx, item, read)
  ctx.journal:transaction(function()
    ctx.journal:move(read, "done")
    if planner.piece(read).is_mended then return end
    if read.parent ~= "" and ctx.journal:pieces_left(read, read.parent) > 0 then return end
    if ctx.target then
      ctx.journal:copy_mark(item.of, ctx.target:mark(item.of))
    else
      advance(ctx, item, root_of(ctx, read), read, ctx.journal)
    end
  end)
  if read.parent == "" then ctx.brought[read.path] = nil end -- pieces may be loaded together
end

-- The files that are loaded now, each list at once: what replaces all that is there, or is compared with it, when all
-- of it is here. Before the last of other pieces come those that the target lacks: it may be an older copy, or another.
local function loads_of(ctx, item, read, is_last)
  if read.parent == "" then return { { read } } end
  local replaces = (item.mode or item.cursor and "merge" or "replace") == "replace"
  local is_whole = replaces or read.kind == "reconcile" or read.kind == "audit"
  local pieces, lists = is_last and ctx.journal:pieces_of(read, read.parent) or {}, {}
  if is_whole then return is_last and { pieces } or {} end
  for _, piece in ipairs(ctx.target.lacking and ctx.target:lacking(pieces) or {}) do
    if piece.piece ~= read.piece or piece.read_to ~= read.read_to then lists[#lists + 1] = { piece } end
  end
  lists[#lists + 1] = { read }
  return lists
end

-- What cannot be loaded as it is will not be the next time either.
local function load(ctx, item, read, list, on_load, bucket)
  local ok, added = pcall(ctx.target.load, ctx.target, item, list, ctx.output, DELETED, on_load, bucket)
  if not ok then
    if error_value.is(added) and added.kind == "incomplete" then
      ctx.journal:move(read, "failed", { error = tostring(added) })
      ctx.journal:event(read.plan, read.item, "failed", tostring(added))
    end
    error(added, 0)
  end
  for _, name in ipairs(added) do ctx.journal:event(read.plan, read.item, "column added", name) end
end

function steps.published(ctx, item, read)
  if not ctx.target or planner.piece(root_of(ctx, read)).is_mended or planner.piece(read).is_mended then
    return finish(ctx, item, read)
  end
  local is_last = read.parent == "" or ctx.journal:pieces_left(read, read.parent) == 1
  local lists = loads_of(ctx, item, read, is_last)
  for _, list in ipairs(lists) do
    for _, piece in ipairs(list) do
      if not is_there(ctx, piece) then return end
    end
  end
  if #lists > 0 then sync(ctx) end
  local root = root_of(ctx, read)
  header.tell_lost(ctx, item, planner.piece(read))
  local bucket = read.kind == "audit" and months.of_read(root, planner.piece(root)) or nil
  local function move(book) advance(ctx, item, root, read, book) end
  for i, list in ipairs(lists) do
    load(ctx, item, read, list, is_last and i == #lists and move or nil, bucket)
  end
  ctx.journal:move(read, "loaded")
end

function steps.loaded(ctx, item, read) finish(ctx, item, read) end

--- Brings a read on until it is done, or stays in its state for now. Raises what stands in the way: a later run goes on
--- from the state that it is in.
---@param ctx table see zuora.extract.context
---@param item table
---@param read table
function worker.advance(ctx, item, read)
  local source = SOURCES[item.kind]
  local before
  item.claim = item.claim or {}
  while steps[read.state] and read.state ~= before do
    before = read.state
    if ctx.check then ctx.check(item.of) end
    if ctx.on_step then ctx.on_step(item, read) end
    steps[before](ctx, item, read, source)
  end
end

return worker
