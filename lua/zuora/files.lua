--- client.files: result files of AQuA jobs.

local call = require "zuora.call"
local check = require "zuora.check"
local core = require "zuora.core"
local record = require "zuora.record"
local rows = require "zuora.rows"

local operations = core.operations.files

local files = {}

---@class zuora.Files
local Files = {}

local options_of = {
  download = check.rules(call.file_options, { resume = "boolean" }),
  rows = check.rules(call.file_options, rows.options),
}

--- Fetches a result file, as it is. GET /v1/files/{file_id}
---@param file_id string as batch:files() lists them
---@param path string replaced when all has been received, and left alone otherwise
---@param options table|nil resume = true: after a failure, or the end of the process, what has come stays in
--- path.part, and the same call goes on with it; on_progress(bytes, total|nil); and the per-call options
---@return { path: string, bytes: integer, records: integer|nil }|nil written records: without the header; nil
--- when the file is no text
---@return zuora.Error|nil err
function Files:download(file_id, path, options)
  local where = "client.files:download"
  local parts = record.parts(self, Files, where)
  check.value(where, "file_id", file_id, "id")
  check.value(where, "path", path, "text")
  options = check.options(where, options, options_of.download)
  return parts.caller:file(operations.get, options,
    { what = "file " .. file_id, path = path, parts = { { id = file_id } } })
end

--- Fetches a result file whole, and reads it as rows.
---@param file_id string
---@param options table|nil form, columns, types, null, strict (see zuora.rows), and the per-call options
---@return function|nil it, zuora.Error|nil err
function Files:rows(file_id, options)
  local where = "client.files:rows"
  local parts = record.parts(self, Files, where)
  check.value(where, "file_id", file_id, "id")
  options = check.options(where, options, options_of.rows)
  rows.check(where, options)
  return parts.caller:file(operations.get, options, { what = "file " .. file_id, parts = { { id = file_id } } })
end

---@param caller table
---@return zuora.Files
function files.new(caller)
  return setmetatable({}, record.kind("zuora.Files", Files, { caller = caller }))
end

return files
