--- Where objects and queries come from: AQuA, one job for each read, so that one refused query ends no other.

local ascii = require "zuora.support.ascii"
local error_value = require "zuora.error"

local aqua = {}

-- What asking again cannot help.
local FINAL = { ["90005"] = true, ["90009"] = true, ["90017"] = true }

-- Reads of what there is.
local LIVING = { reconcile = true, backfill = true }

--- The column that says of a row whether it has been deleted.
aqua.DELETED = "_zuora_deleted"

--- The column above, where a read asks for it.
---@return string|nil
function aqua.deleted_of(item, read)
  return item.deleted and not LIVING[read.kind:match "^%l+"] and aqua.DELETED or nil
end

---@return string|nil id, zuora.Error|nil err
function aqua.submit(client, item, read, options)
  local deleted = aqua.deleted_of(item, read)
  local queries = { { name = "rows", query = read.query,
    deleted = deleted and { column = deleted, format = "Boolean", forceExport = true } } }
  if read.totals ~= "" then queries[2] = { name = "totals", query = read.totals } end
  local job, err = client.jobs:submit { queries = queries, useQueryLabels = true, dateTimeUtc = true,
    idempotency_key = read.idempotency_key, entity_id = options.entity_id }
  if not job then return nil, err end
  return job.id
end

--- Waits until it is there.
---@return table|nil job, zuora.Error|nil err
function aqua.wait(client, read, options) return client.jobs:wait(read.job_id, options) end

--- Brings the file.
---@return { bytes: integer, records: integer, record_count: integer|nil, totals: table<string, string>|nil,
--- files: string[]|nil, request_ids: string[]|nil }|nil
---@return zuora.Error|nil err
function aqua.fetch(client, read, path, options)
  local job, err = client.jobs:wait(read.job_id, options)
  if not job then return nil, err end
  local batch, sums = job:batch "rows", read.totals ~= "" and job:batch "totals"
  if not batch or sums == nil then
    return nil, error_value.new { kind = "incomplete", record = job,
      message = ("job %s has not the batches that it was submitted with"):format(read.job_id) }
  end
  local written, problem = batch:download(path, { resume = true, entity_id = options.entity_id })
  if not written then return nil, problem end
  written.files = batch:file_ids()
  written.record_count = batch.recordCount ~= nil and written.records or nil -- the download has held them together
  if not sums then return written end
  local rows <close>, wrong = sums:rows { entity_id = options.entity_id }
  if not rows then return nil, wrong end
  written.totals = {}
  for name, value in pairs(rows() or {}) do written.totals[ascii.lower(name)] = value end
  return written
end

--- May it be tried once more? And is it as though it had never been made?
---@param err zuora.Error
---@return "final"|"again"|"later"|"smaller"
function aqua.verdict(err)
  local record = err.record or {}
  local code = err.code or record.errorCode
  if code == "90028" then return "later" end
  if code == "90027" or err.status == 403 and ascii.lower(err.body or ""):find("max-object-size", 1, true) then
    return "smaller"
  end
  if FINAL[code] then return "final" end
  if err.kind == "failed" or err.kind == "cancelled" then return "again" end
  if err.status == 404 then return "again" end -- the job, or its file, is gone
  return "later"
end

--- The field that the engine has refused, if that is what it says.
---@param err zuora.Error
---@return string|nil
function aqua.refused_field(err) return err.message:match "There is no field named ([%w_.]+)" end

--- Is it said that the object's deleted rows cannot be had?
---@param err zuora.Error
---@return boolean
function aqua.without_deleted(err) return (err.code or (err.record or {}).errorCode) == "90017" end

return aqua
