--- What a run that was killed has left, in the words of the design: which of the cases that the next run must know how to
--- go on from.

local reads = require "zuora.extract.base.reads"
local store = require "zuora.extract.base.store"
local support = require "spec.support"

local found = {}

--- All of them, in the order of the states.
found.CASES = { "nothing", "planned", "sent, and no answer", "submitted", "failure received", "completed", "part of a file",
  "file there, row not written", "fetched", "hook run, row not written", "published", "split, pieces open",
  "loaded, row not written", "loaded", "done" }

local STATES = { planned = true, submitted = true, completed = true, fetched = true, published = true, loaded = true,
  done = true }

-- The reads that the target has, by their names.
local function loads_of(target)
  local loads = {}
  local ok, rows = pcall(function() return target:rows(("SELECT * FROM %szuora_loads"):format(target.prefix)) end)
  for _, row in ipairs(ok and rows or {}) do loads[reads.identity(row)] = true end
  return loads
end

-- Were there more submits than the journal knows of?
local function is_unanswered(list, requests)
  local keys, count, known = {}, 0, 0
  for _, request in ipairs(requests) do
    local key = request.method == "POST" and request.headers["idempotency-key"]
    if key and not keys[key] then keys[key], count = true, count + 1 end
  end
  for _, read in ipairs(list) do
    if keys[read.idempotency_key] or tonumber(read.attempt) > 1 then known = known + 1 end
  end
  return count > known
end

local function note_read(met, read, plan, loads, hooked)
  if STATES[read.state] then met(read.state) end
  if tonumber(read.attempt) > 1 then met "failure received" end
  local path = ("%s/%s"):format(plan.output, reads.path(read))
  if read.state == "completed" and support.read(path .. ".part") then met "part of a file" end
  if read.state == "completed" and support.read(path) then met "file there, row not written" end
  if read.state == "fetched" and hooked:find(path, 1, true) then met "hook run, row not written" end
  if read.state == "published" and loads[reads.identity(read)] then met "loaded, row not written" end
end

--- Counts what there is.
---@param counts table<string, integer> by case
---@param plan table
---@param requests table[] that were sent
---@param target table|nil
---@param hooked string what the publish hook was called with
function found.note(counts, plan, requests, target, hooked)
  local function met(case) counts[case] = (counts[case] or 0) + 1 end
  local ok, list = pcall(function()
    local book <close> = store.open(plan.store, true)
    return book:rows "SELECT * FROM zuora_read"
  end)
  if not ok or #list == 0 then return met "nothing" end
  local loads, is_split, is_planned = target and loads_of(target) or {}, false, false
  for _, read in ipairs(list) do
    note_read(met, read, plan, loads, hooked)
    is_split = is_split or read.parent ~= "" and read.state ~= "done"
    is_planned = is_planned or read.state == "planned"
  end
  if is_split then met "split, pieces open" end
  if is_planned and is_unanswered(list, requests) then met "sent, and no answer" end
end

--- The counts as a text, in order.
---@param counts table<string, integer>
---@return string
function found.text(counts)
  local lines = {}
  for i, case in ipairs(found.CASES) do lines[i] = ("%s %d"):format(case, counts[case] or 0) end
  return table.concat(lines, " · ")
end

return found
