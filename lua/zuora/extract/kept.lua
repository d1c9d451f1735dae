--- Which files must be there, by a journal: pruned are the oldest ones, and never the newest of an item.

local kept = {}

local function is_chained(read) return (read.chain or "") ~= "" and read.path ~= "" end

--- Those of an item that are there, unless somebody has taken them away.
---@param book table the journal
---@param of { plan: string, item: string, entity: string }
---@param is_own boolean the store lies in the folder: else older files may lie in a folder that was the plan's before
---@return table[] reads
function kept.reads(book, of, is_own)
  local all, since, newest, list = book:all(of), book:pruned_at(of.plan), nil, {}
  for _, read in ipairs(all) do
    local is_newer = is_chained(read) and (not newest or tonumber(read.chain) > tonumber(newest.chain))
    newest = is_newer and read or newest
  end
  for _, read in ipairs(all) do
    local is_file = read.state == "done" and is_chained(read)
    if is_file and (read == newest or is_own and read.updated_at > since) then list[#list + 1] = read end
  end
  return list
end

--- Is a store the folder's own?
---@param store string
---@param output string
---@return boolean
function kept.is_own(store, output) return store:match "^(.*)/[^/]*$" == output end

return kept
