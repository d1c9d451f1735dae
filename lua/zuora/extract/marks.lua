--- Marks: up to where an item has been read. One moves when a read is done with all of its pieces; where the store was
--- lost, it is found again in the manifests.

local disk = require "zuora.extract.base.disk"
local json = require "zuora.extract.base.json"
local manifest = require "zuora.extract.base.manifest"
local phrases = require "zuora.extract.base.phrases"
local reads = require "zuora.extract.base.reads"

local raise = require "zuora.error".raise

local marks = {}

--- Sets the mark to where a read ends.
---@param book table what keeps marks: the journal, or the target
---@param of table
---@param read table the whole, not a piece of it
---@param with { hash: string, columns: string, tenant: string, looked_back: string|nil }
function marks.advance(book, of, read, with)
  if read.kind == "reconcile" or read.kind == "audit" then return end -- they look back
  local known = book:mark(of)
  local after = { mark = read.read_to, hash = with.hash, columns = with.columns, tenant = with.tenant,
    looked_back = known and known.looked_back }
  if read.kind == "lookback" then
    -- (Of one whose windows were taken away the manifests are silent; it ended where they did.)
    after.mark, after.looked_back = known and known.mark or read.read_to, with.looked_back
  elseif read.kind:find "^backfill" then
    if not known then return end
    after.mark = known.mark
  elseif known and known.mark > read.read_to then
    after.mark = known.mark -- what was read once more
  end
  book:set_mark(of, known and known.mark, after)
end

-- The whole that a piece is of, by its name: nobody knows whether all of its pieces are there.
local function plan_whole(ctx, of, name)
  local kind, from, to, generation = name:sub(of.entity ~= "" and #of.entity + 2 or 1)
    :match "^(.-)%.([^.]*)%.([^.]*)%.g(%d+)$"
  if not kind then return end
  local read = reads.new(of, { kind = kind, read_from = from ~= "begin" and from or "", read_to = to,
    generation = math.tointeger(tonumber(generation)) })
  if ctx.journal:find(read) then return end
  read.query = ""
  ctx.journal:plan(read)
  ctx.journal:move(read, "split")
end

-- How names of an entity's files begin.
local function own_names(entity)
  return "^" .. (entity ~= "" and entity:gsub("%-", "%%-") .. "%-" or "") .. "[a-z]+%.[^.]+%.[0-9TZ]+%.g[0-9]+"
end

-- What a killed run has left there, and no manifest knows: nobody will go on with it.
local function clear(folder, entity)
  local own = own_names(entity)
  for _, name in ipairs(disk.names(folder)) do
    local file = name:match "^(.*%.csv)" or name:match "^(.*)%.manifest%.json%.new$"
    if file and name:find(own) and not disk.size(folder .. "/" .. manifest.path(file)) then
      os.remove(folder .. "/" .. name)
    end
  end
end

--- Takes over what the manifests of an item's folder say, where the journal knows nothing of it: a file that is read
--- again keeps its number. The marks too, where no target has them.
---@param ctx table
---@param item table
function marks.recover(ctx, item)
  local of = item.of
  if ctx.journal:mark(of) or ctx.journal:all(of)[1] then return end
  local folder = ctx.output .. "/" .. of.item
  clear(folder, of.entity)
  local found = manifest.all(folder, of.entity)
  if #found == 0 then return end
  ctx.journal:transaction(function()
    for _, fields in ipairs(found) do
      local read = reads.new(of, { kind = fields.kind, read_from = fields.from, read_to = fields.to,
        generation = fields.generation, piece = fields.piece, parent = fields.parent })
      read.query, read.attempt = fields.query, fields.attempt
      ctx.journal:plan(read)
      ctx.journal:move(read, "done", { path = of.item .. "/" .. fields.file, bytes = fields.bytes,
        records = fields.records, sha256 = fields.sha256, job_id = fields.job or "", chain = fields.number,
        extra = fields.replaces and json.encode { replaces = fields.replaces } or "" })
      if read.parent ~= "" then
        plan_whole(ctx, of, read.parent)
      elseif not ctx.target then
        marks.advance(ctx.journal, of, read, { hash = fields.hash, columns = json.encode(fields.columns or {}),
          tenant = fields.tenant })
      end
    end
  end)
  ctx.journal:event(of.plan, of.item, "recovered", phrases.count(#found, "manifest"))
end

-- After a loss of power a file may be there that is to be brought once more: the same, if it is of the same job.
local function is_same(path, read)
  local fields = manifest.read(manifest.path(path))
  return fields ~= nil and fields.job == read.job_id
end

--- Raises where there are proven files that the journal knows nothing of: it is an older copy, and would number others
--- as they are, or write over them.
---@param ctx table
---@param item table
---@param read table whose file is to be brought
---@param path string its place, below the output
function marks.check_known(ctx, item, read, path)
  local of = item.of
  local folder, own, known = ctx.output .. "/" .. of.item, own_names(of.entity), ctx.journal:paths(of)
  known[path] = known[path] or is_same(ctx.output .. "/" .. path, read)
  for _, name in ipairs(disk.names(folder)) do
    local file = name:find "%.manifest%.json$" and name:find(own) and name:gsub("%.manifest%.json$", ".csv")
    if file and not known[of.item .. "/" .. file] and manifest.read(folder .. "/" .. name)
      and disk.size(folder .. "/" .. file) then
      local cure = ctx.journal.claims and "without what it has of this plan"
        or ("remove it and %s-wal, and"):format(ctx.plan.store)
      raise("plan", "%s: %s/%s is proven, and the store %s knows nothing of it: it is an older copy: %s all is found "
        .. "again in the manifests%s", item.name, folder, file, ctx.plan.store, cure,
        ctx.target and ", and in the target" or "")
    end
  end
end

return marks
