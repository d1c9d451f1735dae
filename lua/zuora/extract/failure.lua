--- Figures of a run that has not begun, or has ended before it came to them: those of the last good one would say that
--- all is well.

local context = require "zuora.extract.context"
local plans = require "zuora.extract.plan"
local summary = require "zuora.extract.summary"

local failure = {}

-- Those that are for others to tell: another run holds the plan, somebody wants no more of this one.
local OTHERS = { busy = true, cancelled = true }

-- What has failed: each item, as far as they are known; nothing where there is none of a name.
local function items_of(source, names)
  local plan = plans.read(source)
  if not plan then return { { { name = "" }, "" } } end
  local ok, list = pcall(context.work_of, plan, names)
  return ok and list or nil
end

--- Writes that nothing of a plan was done, where figures are wished for.
---@param source string|table the plan
---@param options { metrics: string|nil, items: string[]|nil }
---@param err any why
function failure.note(source, options, err)
  if not options.metrics or type(err) == "table" and OTHERS[err.kind] then return end
  local list, results = items_of(source, options.items), {}
  for i, one in ipairs(list or {}) do
    results[i] = summary.result(one[1].name, one[2], "failed")
    results[i].seconds, results[i].err = 0, err
  end
  -- (Where they cannot be written, the run itself has said what is wrong.)
  if not list then return end
  pcall(summary.write_metrics, { plan = { plan = plans.name_of(source) } }, results, options.metrics)
end

return failure
