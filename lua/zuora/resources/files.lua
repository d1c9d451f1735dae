--- client.files: result files of AQuA jobs, by their ids.

local call = require "zuora.caller"
local check = require "zuora.support.check"
local core = require "zuora.core"
local names = require "zuora.support.names"
local record = require "zuora.resources.record"
local rows = require "zuora.rows"

local operations = core.operations.files

local files = {}

---@class zuora.Files
local Files = {}

local options_of = {
  download = check.rules(call.file_options, { resume = "boolean", strict = "boolean" }),
  rows = check.rules(call.file_options, rows.options),
}

-- The name in the end: as the server calls the file, inside the directory that was given. What is there
-- under that name may be another file: it stays, and this one gets a number.
local function named_in(directory, file_id)
  return function(disposition, content_type, number)
    local name = names.of_disposition(disposition)
    name = names.safe(name or file_id .. names.ending(content_type), file_id)
    if number == 1 then return directory .. "/" .. name end
    local stem, ending = name:match "^(.-)(%..*)$"
    return ("%s/%s-%d%s"):format(directory, stem or name, number, ending or "")
  end
end

--- Fetches a result file, as it is. GET /v1/files/{file_id}
---@param file_id string as batch:file_ids() lists them
---@param path string|{ directory: string } replaced when all has been received, and left alone otherwise; in the
--- directory it gets the name that the server gives it, and a number when that is taken
---@param options table|nil resume = true: after a failure, or the end of the process, what has come stays in
--- path.part, and the same call goes on with it; strict = false: count records though they are not as rows would
--- have them (see zuora.rows); on_progress(bytes, total|nil); and the per-call options
---@return { path: string, bytes: integer, records: integer|nil }|nil written records: without the header; nil
--- when the file is no text
---@return zuora.Error|nil err
function Files:download(file_id, path, options)
  local where = "client.files:download"
  local parts = record.parts(self, Files, where)
  check.value(where, "file_id", file_id, "id")
  local directory
  if type(path) == "table" and next(path) ~= nil then
    directory = check.options(where, path, { directory = "line!" }).directory
  end
  if not directory and check.value(where, "path", path, "line"):sub(-1) == "/" then
    check.fail(where, "path", "the path of a file expected, or { directory = … }")
  end
  options = check.options(where, options, options_of.download)
  local target = { what = "file " .. file_id, path = path, parts = { { id = file_id } } }
  if directory then
    directory = directory:gsub("(.)/+$", "%1")
    target.path, target.name = directory .. "/" .. file_id, named_in(directory, file_id)
  end
  return parts.caller:file(operations.get, options, target)
end

--- Can the file be had? GET /v1/files/{file_id}/status (REST hosts)
---@param file_id string
---@param options table|nil per-call options
---@return { success: boolean, accessible: boolean, status: string }|nil status, zuora.Error|nil err
function Files:status(file_id, options)
  local where = "client.files:status"
  local parts = record.parts(self, Files, where)
  check.value(where, "file_id", file_id, "id")
  options = check.options(where, options, call.options)
  parts.caller:check_offered(where, operations.status)
  return parts.caller:json(operations.status, { id = file_id }, options, function(body)
    if type(body) ~= "table" or body.status == nil and body.accessible == nil then
      return nil, ("the answer does not say how file %s is"):format(file_id)
    end
    return body
  end)
end

--- Fetches a result file whole, and reads it as rows. GET /v1/files/{file_id}
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
