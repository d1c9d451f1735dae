--- client.files: result files of AQuA jobs.

local call = require "zuora.call"
local check = require "zuora.check"
local core = require "zuora.core"
local record = require "zuora.record"

local operations = core.operations.files

local files = {}

---@class zuora.Files
local Files = {}

--- Fetches a result file. GET /v1/files/{file_id}
---@param file_id string as batch:files() lists them
---@param path string replaced when all has been received, and left alone otherwise
---@param options table|nil per-call options
---@return { path: string, bytes: integer }|nil written, zuora.Error|nil err
function Files:download(file_id, path, options)
  local where = "client.files:download"
  local parts = record.parts(self, Files, where)
  check.value(where, "file_id", file_id, "id")
  check.value(where, "path", path, "text")
  options = check.options(where, options, call.options)
  return parts.caller:file(operations.get, { id = file_id }, options, path)
end

---@param caller table
---@return zuora.Files
function files.new(caller)
  return setmetatable({}, record.kind("zuora.Files", Files, { caller = caller }))
end

return files
