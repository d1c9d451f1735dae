--- What is told in files of a plan's folder when a run has ended: SHA256SUMS, run.json, and figures for Prometheus.

local disk = require "zuora.extract.base.disk"
local json = require "zuora.extract.base.json"
local lazy = require "zuora.extract.base.lazy"
local times = require "zuora.extract.base.times"

local summary = {}

local function text_of(write)
  local pieces = {}
  write(function(piece) pieces[#pieces + 1] = piece end)
  return table.concat(pieces)
end

-- Writes a file of the plan's folder. Of several workers the last one has the newest: each looks afterwards whether
-- there is something newer than its own.
local function write_newest(book, plan, name, write)
  local path, claimed = plan.output .. "/" .. name, book.claims
  if not claimed then return disk.write(path, write) end
  local text = text_of(write)
  repeat
    local written = text
    disk.write(path, written, claimed:scratch(plan.output))
    text = text_of(write)
  until text == written
end

--- What SHA256SUMS of a folder says.
---@param output string
---@return table<string, string> hashes by paths
function summary.sums(output)
  local sums = {}
  for sum, path in (disk.read(output .. "/SHA256SUMS") or ""):gmatch "(%x+)  ([^\n]+)\n" do sums[path] = sum end
  return sums
end

--- Writes down the hashes of all files that are there, as sha256sum -c reads them. One that is gone, and was not
--- pruned, keeps its line: it is missed.
---@param book table the journal
---@param plan table
---@param pruned table<string, boolean>|nil paths
function summary.write_sums(book, plan, pruned)
  write_newest(book, plan, "SHA256SUMS", function(out)
    local before -- looked at where a file is gone alone: there may be very many
    book:each_file(plan.plan, function(path, sum)
      if pruned and pruned[path] then return end
      if not disk.size(plan.output .. "/" .. path) then
        before = before or summary.sums(plan.output)
        if not before[path] then return end
      end
      out(("%s  %s\n"):format(sum, path))
    end)
  end)
end

--- A result of an item that nothing has come of yet.
---@param item string
---@param entity string
---@param outcome string
---@return table result
function summary.result(item, entity, outcome)
  return { item = item, entity = entity ~= "" and entity or nil, outcome = outcome, reads = 0, records = 0, bytes = 0,
    files = {} }
end

--- A result as it stands in a file, or stood there.
function summary.plain(result)
  local copy, err = {}, result.err
  for name, value in pairs(result) do copy[name] = value end
  if err then copy.err, copy.error, copy.category = nil, tostring(err), err.category end
  return copy
end

--- Writes what came of each item.
---@param ctx table
---@param results_of fun(): table[] asked again where another worker may have written meanwhile
function summary.write_run(ctx, results_of)
  local at = times.iso(ctx.journal:clock())
  write_newest(ctx.journal, ctx.plan, "run.json", function(out)
    local results = results_of()
    local items = lazy.list(#results, function(i) return summary.plain(results[i]) end)
    json.write({ plan = ctx.plan.plan, file = ctx.plan.file, tenant = ctx.tenant, read_to = times.iso(ctx.b), at = at,
      items = items }, out)
    out "\n"
  end)
end

--- Writes figures for Prometheus' textfile collector.
---@param ctx table
---@param results table[] or plain ones
---@param path string
function summary.write_metrics(ctx, results, path)
  disk.write(path, function(out)
    local function add(name, labels, value) out(("zuora_extract_%s{%s} %s\n"):format(name, labels, value)) end
    for _, name in ipairs { "records", "bytes", "seconds", "failed" } do
      out(("# TYPE zuora_extract_%s gauge\n"):format(name))
    end
    for _, result in ipairs(results) do
      local labels = ('plan="%s",item="%s",entity="%s"'):format(ctx.plan.plan, result.item, result.entity or "")
      add("records", labels, result.records)
      add("bytes", labels, result.bytes)
      add("seconds", labels, result.seconds)
      add("failed", labels, (result.err or result.error) and 1 or 0)
    end
    out "# TYPE zuora_extract_ended gauge\n"
    add("ended", ('plan="%s"'):format(ctx.plan.plan), os.time())
  end)
end

return summary
