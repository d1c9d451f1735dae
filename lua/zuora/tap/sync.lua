--- Reads streams, and writes their records: an extraction whose target is standard output, and whose marks are the
--- state of the tap. Each file is proven before its first record is written.

local aqua = require "zuora.extract.sources.aqua"
local context = require "zuora.extract.context"
local core = require "zuora.core"
local describe = require "zuora.extract.describe"
local digest = require "zuora.extract.base.digest"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local journal = require "zuora.extract.journal"
local messages = require "zuora.tap.messages"
local plan = require "zuora.extract.plan"
local planner = require "zuora.extract.planner"
local query = require "zuora.extract.query"
local reads = require "zuora.extract.base.reads"
local run = require "zuora.extract.run"
local times = require "zuora.extract.base.times"
local worker = require "zuora.extract.worker"

local raise = error_value.raise

local sync = {}

-- For so long a run that begins again gets the jobs of the one before, those that failed, too.
local SAME_JOBS = 3600

-- --- the target ---------------------------------------------------------------------------------------

local Target = {}
Target.__index = Target

function Target:mark(of)
  local stream = self.streams[of.item]
  local at = stream.cursor and self.state:bookmark(stream)
  return at and { mark = times.stamp(at) } or stream.mark
end

function Target:set_mark(of, _, after)
  local stream = self.streams[of.item]
  stream.mark = after -- of one without a cursor it is good for this run alone
  if stream.cursor then self.state:set(stream, times.of(after.mark)) end
  self.write(messages.state(self.state.value))
end

local function write_records(self, stream, path, refused)
  local count = 0
  for lines, more in messages.records(stream, path, { deleted = aqua.DELETED, decimals = self.decimals,
    extracted = self.now, refused = refused }) do
    self.write(lines)
    count = count + more
    self.client:sleep(0) -- what others wait for goes on
  end
  return count
end

-- How far a window has been written, part by part: they are read in order.
local function note_piece(self, item, stream, read)
  local piece = planner.piece(read)
  if piece.closed and read.piece == "half" then
    self:set_mark(item.of, nil, { mark = read.read_to })
  elseif stream.first and piece.up_to then
    self.state:set_page(stream, { query = stream.first, to = read.read_to, after = piece.up_to })
    self.write(messages.state(self.state.value))
  end
end

--- Writes the records of reads whose files are there.
---@param on_last function|nil moves the mark: nothing of the window is left
function Target:load(item, list, output, _, on_last)
  local stream = self.streams[item.name]
  for _, read in ipairs(list) do
    local path = output .. "/" .. read.path
    local count = write_records(self, stream, path, item.refused)
    os.remove(path)
    stream.records = (stream.records or 0) + count
    self.log(messages.metric("counter", "record_count", count, { endpoint = stream.id }))
    if not on_last then note_piece(self, item, stream, read) end
  end
  if on_last then on_last(self) end
  return {}
end

-- --- streams ------------------------------------------------------------------------------------------

local function item_of(ctx, stream)
  local item = { of = { plan = ctx.plan.plan, item = stream.id, entity = "" }, refused = {}, columns = {} }
  for i, property in ipairs(stream.properties) do item.columns[i] = property.column end
  item.deleted = stream.deleted
  item.is_append = describe.is_append(stream.cursor)
  return setmetatable(item, { __index = stream.item })
end

-- What is to be asked for; nil: the stream is up to date.
local function next_read(ctx, item, stream)
  local generation = (ctx.now - ctx.b) // SAME_JOBS * 2 + (stream.had_deleted and 1 or 0)
  if not stream.cursor then
    return reads.new(item.of, { kind = "full", read_to = times.stamp(ctx.b), generation = generation })
  end
  local bookmark, start = ctx.target.state:bookmark(stream), ctx.start
  if bookmark == ctx.b then return nil end
  if bookmark and bookmark > ctx.now + planner.SKEW then
    raise("plan", "state: bookmarks.%s.%s: it has not come yet by Zuora's clock: set it to when the stream was read "
      .. "last", stream.id, stream.cursor)
  end
  local from = bookmark or start
  -- (tap-zuora's bookmarks are younger than what Zuora's replicas may have had.)
  if bookmark and bookmark > ctx.b then from = math.max(ctx.b, math.min(start or 0, bookmark)) end
  if bookmark and stream.deleted and ctx.now - bookmark > planner.DELETED_LIFE then
    ctx.log(("WARNING %s: it was read last at %s, and Zuora keeps deleted rows for 30 days: those deleted before are "
      .. "not among its records"):format(stream.id, times.iso(bookmark)))
  end
  return reads.new(item.of, { kind = from and "window" or "full", read_from = from and times.stamp(from),
    read_to = times.stamp(math.max(ctx.b, from or 0)), generation = generation })
end

local function read_stream(ctx, stream)
  local item, state = item_of(ctx, stream), ctx.target.state
  local read = next_read(ctx, item, stream)
  if not read then return ctx.log("INFO " .. stream.id .. ": up to date") end
  local page
  if item.split and not state:bookmark(stream) then
    -- A first load by pages goes on where it was, and then has the end that it had: later rows are the next window's.
    stream.first = digest.text(query.text(item, { from = read.read_from }))
    page = state:page(stream, stream.first)
    if page then read.read_to = page.to end
  end
  run.plan_read(ctx, item, planner.with_query(item, read), stream.first, page and page.after)
  while true do
    local open = ctx.journal:open_of(item.of)[1]
    if not open then break end
    worker.advance(ctx, item, open)
  end
  for _, field in ipairs(item.refused) do
    ctx.log(("WARNING %s: Zuora refuses the field %s: it is left out"):format(stream.id, field))
  end
end

local function run_stream(ctx, stream)
  local started, result = core.now(), { item = stream.id }
  ctx.log("INFO " .. stream.id .. ": begins")
  if stream.is_bare then
    ctx.log(("WARNING %s: of its properties only those are selected that always are"):format(stream.id))
  end
  ctx.target.write(messages.schema(stream, ctx.target.decimals))
  local ok, err = pcall(read_stream, ctx, stream)
  if not ok and stream.deleted and error_value.is(err) and aqua.without_deleted(err) then
    ctx.log(("WARNING %s: deleted rows of it cannot be had"):format(stream.id))
    stream.deleted, stream.had_deleted = false, true
    ok, err = pcall(read_stream, ctx, stream)
  end
  if not ok then
    context.raise_on(err)
    result.err = err
    ctx.log(("ERROR %s: %s"):format(stream.id, tostring(err)))
  end
  result.records = stream.records or 0
  ctx.log(messages.metric("timer", "job_duration", core.now() - started, { endpoint = stream.id, job_type = "stream",
    status = ok and "succeeded" or "failed" }))
  return result
end

-- --- the whole ----------------------------------------------------------------------------------------

local function plan_of(streams, options, folder)
  local items, given = {}, { plan = "tap", output = folder }
  for name, value in pairs(options.plan) do given[name] = value end
  for i, stream in ipairs(streams) do
    items[i] = { object = stream.object, name = stream.id, fields = "*", mode = "merge", cursor = stream.cursor,
      split = stream.cursor and given.split or nil }
  end
  given.items, given.split = items, nil
  local made, err = plan.read(given)
  if not made then
    err.message = err.message:gsub("^the plan: ", "config: ")
    error(err, 0)
  end
  for i, stream in ipairs(streams) do stream.item = made.items[i] end
  return made
end

-- What can be removed at once is a file, a link, or empty: no link is followed.
local function remove_folder(folder)
  for _, name in ipairs(disk.names(folder)) do
    local path = folder .. "/" .. name
    if not os.remove(path) then remove_folder(path) end
  end
  os.remove(folder)
end

local NAME = "zuora-tap-"

local OTHERS = 63 -- 077

-- A directory for temporary files is everybody's: whoever made a folder of such a name there could have links in it.
local function is_own(folder)
  local mode, is_ours = core.mode(folder)
  return mode and mode & OTHERS == 0 and is_ours and disk.size(folder .. "/journal.lock") ~= nil
end

-- What runs have left that were killed: nobody holds their journals any more.
local function sweep(tmpdir)
  for _, name in ipairs(disk.names(tmpdir)) do
    local folder = tmpdir .. "/" .. name
    if name:sub(1, #NAME) == NAME and is_own(folder) then
      local ok, book = pcall(journal.open, folder .. "/journal", "sweep")
      if ok then
        book:close()
        remove_folder(folder)
      end
    end
  end
end

-- A folder of this run's own, for files and the journal: others may not look into it.
local function own_folder(tmpdir)
  local folder = ("%s/%s%s"):format(tmpdir, NAME, digest.hex(core.random(8)))
  local made, problem = core.mkdir(folder, true)
  if not made then raise("file", "%s", problem) end
  return folder
end

--- Reads streams one beside the other, and writes their records.
---@param client zuora.Client
---@param streams table[] as catalogue.selected gives them
---@param options table state, plan (every, settle, wait, concurrency, split), start, decimals, poll, wait, tmpdir;
--- write(text) and log(text)
---@return table[] results item, records, err
function sync.run(client, streams, options)
  sweep(options.tmpdir)
  local folder = own_folder(options.tmpdir)
  local _ <close> = setmetatable({}, { __close = function() pcall(remove_folder, folder) end })
  local made = plan_of(streams, options, folder)
  local book <close> = journal.open(folder .. "/journal", "tap")
  local by_id = {}
  for _, stream in ipairs(streams) do by_id[stream.id] = stream end
  local target = setmetatable({ client = client, streams = by_id, state = options.state, write = options.write,
    log = options.log, decimals = options.decimals }, Target)
  local ctx = { client = client, plan = made, options = { poll = options.poll }, output = folder,
    wait = options.wait or made.wait, journal = book, target = target, marks = target, start = options.start,
    brought = {}, log = options.log }
  context.set_time(ctx)
  target.now = ctx.now
  local results = assert(client:map(options.state:order(streams), function(stream)
    return run_stream(ctx, stream)
  end, { concurrency = made.concurrency }))
  options.write(messages.state(options.state.value))
  return results
end

return sync
