--- The history of a plan: beside what has happened to its items, a line for each run.

local core = require "zuora.core"
local error_value = require "zuora.error"
local phrases = require "zuora.extract.base.phrases"

local history = {}

-- Bytes of the names of items that have failed.
local LONGEST = 200

--- Writes into the history what came of a command.
---@param ctx table
---@param what string the command
---@param results table[] of its items
function history.note(ctx, what, results)
  if #results == 0 then return end
  local outcomes, counts, failed, files, records = {}, {}, {}, 0, 0
  for _, result in ipairs(results) do
    local outcome = result.outcome
    if not counts[outcome] then outcomes[#outcomes + 1] = outcome end
    counts[outcome] = (counts[outcome] or 0) + 1
    if outcome == "failed" then failed[#failed + 1] = result.item end
    files, records = files + #result.files, records + result.records
  end
  for i, outcome in ipairs(outcomes) do
    outcomes[i] = counts[outcome] .. " " .. outcome
      .. (outcome == "failed" and (" (%s)"):format(error_value.clean(table.concat(failed, ", "), LONGEST)) or "")
  end
  ctx.journal:event(ctx.plan.plan, "", what, ("%s: %s; %s, %s"):format(phrases.count(#results, "item"),
    table.concat(outcomes, ", "), phrases.count(files, "file"), phrases.count(records, "row")))
end

--- What has a command that is cut by Ctrl-C or SIGTERM stand in the history, too, where that can still be written.
---@param ctx table
---@param what string the command
---@return table to be closed before it
function history.watch(ctx, what)
  return setmetatable({}, { __close = function(_, err)
    if type(err) ~= "string" or not err:find "interrupted!$" then return end
    pcall(ctx.journal.event, ctx.journal, ctx.plan.plan, "", what,
      core.terminated() and "terminated (SIGTERM)" or "interrupted (Ctrl-C)")
  end })
end

return history
