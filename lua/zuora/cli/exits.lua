--- What a scheduler is told: one number for each way in which a command can end.
--
-- The table is what `zuora help exit-codes` prints, and what the numbers are taken from.

local exits = {}

--- Each with what it means, and the kinds of errors that lead to it.
---@type { code: integer, name: string, meaning: string, kinds: string|nil }[]
exits.table = {
  { code = 0, name = "ok", meaning = "done: all bytes have come, and all records that Zuora counts" },
  { code = 1, name = "failure", meaning = "another failure",
    kinds = "api http json file too_large stopped not_found ambiguous" },
  { code = 2, name = "usage", meaning = "usage, plan or configuration", kinds = "plan" },
  { code = 3, name = "failed", meaning = "a run or job failed, or was cancelled, in Zuora",
    kinds = "failed cancelled" },
  { code = 4, name = "auth", meaning = "credentials or permission", kinds = "auth" },
  { code = 5, name = "incomplete", meaning = "not proven complete: bytes, records, totals or hash",
    kinds = "incomplete text" },
  { code = 6, name = "running", meaning = "timed out, and still running in Zuora", kinds = "timeout" },
  { code = 7, name = "some", meaning = "some items failed, the others are done; or a column is gone, or was once" },
  { code = 8, name = "held", meaning = "another run holds the plan", kinds = "busy" },
  { code = 75, name = "later", meaning = "the network, a limit or an outage: try later", kinds = "transport" },
  { code = 130, name = "interrupted", meaning = "interrupted (Ctrl-C)" },
  { code = 143, name = "terminated", meaning = "terminated (SIGTERM)" },
}

local code_of_kind = {}

for _, row in ipairs(exits.table) do
  exits[row.name] = row.code
  for kind in (row.kinds or ""):gmatch "%S+" do code_of_kind[kind] = row.code end
end

-- Zuora's own categories of what is behind an error, whatever its kind.
local CODE_OF_CATEGORY = { permission = exits.auth, authentication = exits.auth, over_limit = exits.later,
  temporary = exits.later, lock = exits.later }

-- Kinds that say enough, whatever else there is in an error.
local FINAL = { failed = true, cancelled = true, auth = true, incomplete = true, plan = true, busy = true }

--- The code for one error.
---@param err zuora.Error|any
---@return integer
function exits.of(err)
  if type(err) ~= "table" then return exits.failure end
  if err.exit then return err.exit end -- said by the command itself
  local kind = err.kind
  -- A limit of ours that a single call did not keep; what was waited for is not known to be at fault.
  if kind == "timeout" and err.operation then return exits.later end
  if FINAL[kind] then return code_of_kind[kind] end
  if err.retryable then return exits.later end
  return CODE_OF_CATEGORY[err.category] or code_of_kind[kind] or exits.failure
end

-- Which of several matters most, where neither all can be helped by another run, nor all still run.
local ORDER = { exits.incomplete, exits.auth, exits.failed }

--- The code for several items of which some have failed.
---@param errors (zuora.Error|any)[] of those that failed, at least one
---@param done boolean are there others, and they are done?
---@return integer
function exits.of_several(errors, done)
  local seen, count = {}, 0
  local only ---@type integer
  for _, err in ipairs(errors) do
    local code = exits.of(err)
    if not seen[code] then count, only = count + 1, code end
    seen[code] = true
  end
  if count == 1 and (only == exits.later or only == exits.running) then return only end
  for _, code in ipairs(ORDER) do
    if seen[code] then return code end
  end
  return done and exits.some or count == 1 and only or exits.failure
end

--- The table, as `zuora help exit-codes` prints it.
---@return string
function exits.text()
  local lines = {}
  for i, row in ipairs(exits.table) do lines[i] = ("%5d  %s"):format(row.code, row.meaning) end
  return table.concat(lines, "\n")
end

return exits
