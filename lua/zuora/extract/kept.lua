--- Which files must be there, by a journal: pruned are the oldest ones, and never the newest of an item.

local kept = {}

local function is_chained(read) return (read.chain or "") ~= "" and read.path ~= "" end

--- The items of a plan of which something was read.
---@param book table the journal
---@param plan string
---@return { plan: string, item: string, entity: string }[]
function kept.items(book, plan)
  return book.store:rows("SELECT DISTINCT plan, item, entity FROM zuora_read WHERE plan = ? ORDER BY item", plan)
end

--- When files of a plan were pruned last; "": never.
---@param book table the journal
---@param plan string
---@return string
function kept.pruned_at(book, plan)
  return book.store:row("SELECT COALESCE(MAX(at), '') AS at FROM zuora_event WHERE plan = ? AND what = 'pruned'",
    plan).at
end

--- Those of an item that are there, unless somebody has taken them away.
---@param all table[] all reads of it
---@param since string when files were pruned last
---@param is_own boolean the store lies in the folder: else older files may lie in a folder that was the plan's before
---@return table<table, true> reads
function kept.reads(all, since, is_own)
  local newest, must = nil, {}
  for _, read in ipairs(all) do
    local is_newer = is_chained(read) and (not newest or tonumber(read.chain) > tonumber(newest.chain))
    newest = is_newer and read or newest
  end
  for _, read in ipairs(all) do
    local is_file = read.state == "done" and is_chained(read)
    if is_file and (read == newest or is_own and read.updated_at > since) then must[read] = true end
  end
  return must
end

--- Is a store the folder's own?
---@param store string
---@param output string
---@return boolean
function kept.is_own(store, output) return store:match "^(.*)/[^/]*$" == output end

return kept
