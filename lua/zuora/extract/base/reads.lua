--- A read: one part of an item that is asked for at once, and the eight fields that it is known by. They are in every
--- primary key, in the idempotency key, and in the name of the file, so that no read is ever taken for another.

local digest = require "zuora.extract.base.digest"
local times = require "zuora.extract.base.times"

local reads = {}

--- What a read is known by, in the order of the journal's key.
reads.KEY = { "plan", "item", "entity", "kind", "read_from", "read_to", "generation", "piece" }

--- A read that is still to be planned.
---@param of { plan: string, item: string, entity: string }
---@param fields table kind ("full", "window", "lookback", "audit", "reset"), read_from and read_to (stamps; "": from
--- the beginning), generation, piece
function reads.new(of, fields)
  return { plan = of.plan, item = of.item, entity = of.entity or "", kind = fields.kind,
    read_from = fields.read_from or "", read_to = fields.read_to, generation = fields.generation or 0,
    piece = fields.piece or "", parent = fields.parent or "", attempt = 1 }
end

--- The eight fields as one text.
---@param read table
---@return string
function reads.identity(read)
  local list = {}
  for i, name in ipairs(reads.KEY) do list[i] = tostring(read[name]) end
  return table.concat(list, "\31")
end

-- A key may be any text: no two have the same name, and none is too long.
local function piece_name(piece)
  local name = piece:gsub("^id:", ""):gsub("[^%w-]", function(c) return ("_%02x"):format(c:byte()) end)
  if #name > 80 then name = digest.text(piece) end
  return piece:find "^id:" and "id_" .. name or name
end

--- Its name among those of its item.
---@param read table
---@return string "window.20261127T100000Z.20261128T100000Z.g0"
function reads.name(read)
  local name = ("%s.%s.%s.g%s"):format(read.kind, read.read_from ~= "" and read.read_from or "begin", read.read_to,
    read.generation)
  if read.entity ~= "" then name = read.entity .. "-" .. name end
  if read.piece ~= "" then name = name .. "." .. piece_name(read.piece) end
  return name
end

--- Where its file lies, below the plan's output. Each attempt has its own: nothing is ever written over. So has each
--- turn: whoever takes an item from a worker that may still be writing.
---@param read table
---@param turn integer|nil
---@return string path "Account/window.….csv"
function reads.path(read, turn)
  return ("%s/%s-a%s%s.csv"):format(read.item, reads.name(read), read.attempt, (turn or 0) > 0 and "-t" .. turn or "")
end

--- The bounds of a read for a query, in seconds.
function reads.bounds(read) return times.of(read.read_from), times.of(read.read_to) end

return reads
