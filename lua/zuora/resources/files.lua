--- client.files: result files of AQuA jobs, by their ids.

local check = require "zuora.support.check"
local core = require "zuora.core"
local entrance = require "zuora.resources.entrance"
local names = require "zuora.support.names"
local record = require "zuora.resources.record"
local rows = require "zuora.rows"

local operations = core.operations.files

local files = {}

---@class zuora.Files
local Files = {}

local DIRECTORY = { directory = "line!" }

local function is_directory(path) return type(path) == "table" and next(path) ~= nil end

local function check_path(where, _, _, path)
  if is_directory(path) then
    check.options(where, path, DIRECTORY)
  elseif check.value(where, "path", path, "line"):sub(-1) == "/" then
    check.fail(where, "path", "the path of a file expected, or { directory = … }")
  end
end

local enter = entrance.collection(Files, "client.files", {
  download = { operations.get, "file_id", "path:any", options = { resume = "boolean", strict = "boolean",
    verify = "boolean" },
    check = check_path },
  status = { operations.status, "file_id" },
  rows = { operations.get, "file_id", options = rows.options, check = rows.check },
})

-- The name in the end: as the server calls the file, inside the directory that was given. What is there
-- under that name may be another file: it stays, and this one gets a number.
local function named_in(caller, directory, file_id)
  return function(disposition, content_type, number)
    local name = caller:masked(names.of_disposition(disposition))
    name = names.safe(name or file_id .. names.ending(content_type), file_id)
    if number == 1 then return directory .. "/" .. name end
    local stem, ending = name:match "^(.-)(%..*)$"
    return ("%s/%s-%d%s"):format(directory, stem or name, number, ending or "")
  end
end

--- Fetches a result file, as it is. GET /v1/files/{file_id}
---@param file_id string as batch:file_ids() lists them
---@param path string|zuora.Directory replaced when all has been received, and left alone otherwise; in the
--- directory it gets the name that the server gives it, and a number when that is taken
---@param options zuora.FileDownloadOptions|nil resume = true: after a failure, or the end of the process, what has
--- come stays in path.part, and the same call goes on with it; verify = true: it is refused unless its records can be
--- counted, or it is a zip archive; strict = false: count records though they are not as rows would have them (see
--- zuora.rows); on_progress(bytes, total|nil); and the per-call options
---@return zuora.Written|nil written records: without the header; nil
--- when the file is no text
---@return zuora.Error|nil err
function Files:download(file_id, path, options)
  local context
  context, file_id, path, options = enter(self, "download", file_id, path, options)
  local target = { label = "file " .. file_id, path = path, segments = { { id = file_id } },
    proven = options.verify }
  if is_directory(path) then
    local directory = path.directory:gsub("(.)/+$", "%1")
    target.path, target.name = directory .. "/" .. file_id, named_in(context.caller, directory, file_id)
  end
  return context.caller:file(operations.get, options, target)
end

--- Can the file be had? GET /v1/files/{file_id}/status (REST hosts)
---@param file_id string
---@param options zuora.CallOptions|nil
---@return zuora.FileStatus|nil status, zuora.Error|nil err
function Files:status(file_id, options)
  local context
  context, file_id, options = enter(self, "status", file_id, options)
  return context.caller:json(operations.status, { id = file_id }, options, function(body)
    if type(body) ~= "table" or body.status == nil and body.accessible == nil then
      return nil, ("the answer does not say how file %s is"):format(file_id)
    end
    return body
  end)
end

--- Fetches a result file whole, and reads it as rows. GET /v1/files/{file_id}
---@param file_id string
---@param options zuora.FileRowOptions|nil form, columns, types, null, strict (see zuora.rows)
---@return zuora.Rows|nil it, zuora.Error|nil err
function Files:rows(file_id, options)
  local context
  context, file_id, options = enter(self, "rows", file_id, options)
  return context.caller:file(operations.get, options, { label = "file " .. file_id, segments = { { id = file_id } } })
end

---@param caller table
---@return zuora.Files
function files.new(caller)
  return setmetatable({}, record.metatable("zuora.Files", Files, { caller = caller }))
end

return files
