--- Files that are not what they were when they were proven. A run that is to read once more brings each of them anew,
--- in the place of the one that there was; no mark moves by that, and nothing is loaded.

local digest = require "zuora.extract.digest"
local disk = require "zuora.extract.disk"
local json = require "zuora.extract.json"
local manifest = require "zuora.extract.manifest"
local planner = require "zuora.extract.planner"
local summary = require "zuora.extract.summary"
local worker = require "zuora.extract.worker"

local damage = {}

local function is_whole(ctx, read)
  local path = ctx.output .. "/" .. read.path
  return disk.size(path) == tonumber(read.bytes) and manifest.read(manifest.path(path)) ~= nil
    and digest.file(path, ctx.pulse) == read.sha256
end

-- What was pruned, from the oldest on, is not missed; nor is what may lie on another machine.
local function is_expected(ctx, read, first, sums)
  local path = ctx.output .. "/" .. read.path
  if sums[read.path] or disk.size(path) or disk.size(manifest.path(path)) then return true end
  return not ctx.journal.claims and tonumber(read.chain) > first
end

local function find(ctx, item)
  local list, first, sums = {}, math.huge, summary.sums(ctx.output)
  for _, fields in ipairs(manifest.all(ctx.output .. "/" .. item.name, item.of.entity)) do
    first = math.min(first, fields.number)
  end
  for _, read in ipairs(ctx.journal:all(item.of)) do
    local is_file = read.state == "done" and (read.chain or "") ~= ""
    if is_file and is_expected(ctx, read, first, sums) and not is_whole(ctx, read) then
      list[#list + 1] = read
    end
  end
  return list
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
    local read = table.remove(item.damaged, 1)
    if not planner.is_too_old(ctx, item, read) then
      local piece = planner.piece(read)
      piece.is_mended = true
      worker.bring_anew(ctx, read, { extra = json.encode(piece) })
      return true
    end
    result.warning = read.path .. " is damaged, and what was deleted then may be gone at Zuora: only a backup has it"
  end
  return false
end

return damage
