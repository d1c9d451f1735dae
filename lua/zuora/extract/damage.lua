--- Files that are not what they were when they were proven. A run that is to read once more brings each of them anew,
--- in the place of the one that there was (or its manifest alone, where the file is whole); no mark moves by that, and
--- nothing is loaded.

local digest = require "zuora.extract.base.digest"
local disk = require "zuora.extract.base.disk"
local json = require "zuora.extract.base.json"
local manifest = require "zuora.extract.base.manifest"
local phrases = require "zuora.extract.base.phrases"
local planner = require "zuora.extract.planner"
local summary = require "zuora.extract.summary"
local worker = require "zuora.extract.worker"

local damage = {}

local function is_whole(ctx, read)
  local path = ctx.output .. "/" .. read.path
  return disk.size(path) == tonumber(read.bytes) and digest.file(path, ctx.pulse) == read.sha256
end

-- Is each manifest what the journal says, and what the next one in the chain says of it?
local function proven(ctx, list)
  local is_proven, by_number, said = {}, {}, {}
  for _, read in ipairs(list) do
    local fields, _, sum = manifest.read(ctx.output .. "/" .. manifest.path(read.path))
    is_proven[read] = fields ~= nil and manifest.is_of(fields, read, planner.piece(read).replaces)
      and (read.manifest or sum) == sum
    by_number[tonumber(read.chain)] = { read = read, sum = sum }
    if fields then said[tonumber(read.chain)] = fields.previous or {} end
  end
  for number, previous in pairs(said) do
    local before = by_number[number - 1]
    if before and previous.sha256 ~= before.sum then is_proven[before.read] = false end
  end
  return is_proven
end

-- What was pruned, from the oldest on, is not missed; nor is what may lie on another machine.
local function is_expected(ctx, read, first)
  local path = ctx.output .. "/" .. read.path
  if disk.size(path) or disk.size(manifest.path(path)) then return true end
  ctx.sums = ctx.sums or summary.sums(ctx.output)
  if ctx.sums[read.path] then return true end
  return not ctx.journal.claims and tonumber(read.chain) > first
end

-- Reads, and whether the file of each is whole.
local function find(ctx, item)
  local list, files, first = {}, {}, math.huge
  for _, fields in ipairs(manifest.all(ctx.output .. "/" .. item.name, item.of.entity)) do
    first = math.min(first, fields.number)
  end
  for _, read in ipairs(ctx.journal:all(item.of)) do
    local is_file = read.state == "done" and (read.chain or "") ~= ""
    if is_file and is_expected(ctx, read, first) then files[#files + 1] = read end
  end
  local is_proven = proven(ctx, files)
  for _, read in ipairs(files) do
    local whole = is_whole(ctx, read)
    if not whole or not is_proven[read] then list[#list + 1] = { read, whole } end
  end
  return list
end

-- Why a file cannot be had again; nil: it can.
local function reason_of(ctx, item, read, piece)
  if planner.is_too_old(ctx, item, read) then
    return "what was deleted then may be gone at Zuora: only a backup has it"
  elseif piece.limit and not piece.up_to and piece.hash ~= planner.hash(item) then
    return ("what it was asked by has been edited, and its end is not known: only a backup has it; `%s` has all of it "
      .. "read again"):format(phrases.command(item.of, "reset", item.name))
  end
  return nil
end

--- Makes the next damaged file's read open again, if the run is to read once more.
---@param ctx table
---@param item table
---@param result table has a warning afterwards where one cannot be had any more
---@return boolean some false: there is none
function damage.reopen(ctx, item, result)
  if not ctx.options.again then return false end
  item.damaged = item.damaged or find(ctx, item)
  while item.damaged[1] do
    local read, whole = table.unpack(table.remove(item.damaged, 1))
    local piece = planner.piece(read)
    piece.is_mended = true
    if whole then
      worker.prove_anew(ctx, read, piece)
      return true
    end
    local reason = reason_of(ctx, item, read, piece)
    if not reason then
      worker.bring_anew(ctx, read, { extra = json.encode(piece) })
      return true
    end
    result.warning = ("%s is damaged, and %s"):format(read.path, reason)
  end
  return false
end

return damage
