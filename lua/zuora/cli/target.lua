--- Where rows go: into a file, which is replaced when all of them are there; or to what cannot be taken back, which
--- gets none before all of them have been read.

local core = require "zuora.core"
local exits = require "zuora.cli.exits"
local output = require "zuora.cli.output"
local put = require "zuora.cli.put"

local target = {}

local NO_TERMINAL = { is_terminal = false, paint = function(_, _, text) return text end }

-- errno: there is something that is no file; another one writes it.
local EEXIST, EBUSY = 17, 16

-- Bytes that are copied at a time.
local BLOCK = 65536

local function file_error(message, number)
  return { kind = "file", message = tostring(message), exit = number == EBUSY and exits.later or nil }
end

--- Is it a file, or will it be? What else there is (a pipe, a device) is written to.
---@param path string
---@return boolean
function target.replaces(path)
  local is_there, _, is_regular = core.mode(path)
  return not is_there or is_regular
end

--- Can a result go there?
---@param path string
---@return true|nil done, table|nil err
function target.try(path)
  local file, message, number = core.file(path)
  if file then file:close() end
  if file or number == EEXIST and not target.replaces(path) then return true end
  return nil, file_error(message, number)
end

--- Can files go there? Makes it when it is missing.
---@param directory string
---@return true|nil done, table|nil err
function target.try_directory(directory)
  local made, message = core.mkdir(directory)
  if not made then return nil, file_error(message) end
  local file, problem, number = core.file(directory .. "/.zuora")
  if file then file:close() end
  if file or number == EBUSY then return true end
  return nil, file_error((problem:gsub("/%.zuora%.part:", ":")))
end

--- Writes rows into a file, as downloads are written: under the same lock, and put in its place when it is whole.
---@param path string
---@param rows function|userdata
---@param format string|nil csv
---@return true|nil done, table|nil err
function target.replace(path, rows, format)
  local file <close>, message, number = core.file(path)
  if not file then return nil, file_error(message, number) end
  local to = { write = function(_, text) return file:write(text) end, flush = function() return true end }
  local done
  done, message = output.new { format = format or "csv", stream = to, terminal = NO_TERMINAL }:rows(rows)
  if done then done, message = file:publish() end
  if not done then return nil, file_error(message) end
  return true
end

--- Reads all rows, and keeps what is to be written of them in a file without a name.
---@param directory string for that
---@param rows function|userdata
---@param format string|nil
---@param terminal zuora.cli.Terminal|nil what they are for
---@return file*|nil spool, table|nil err
function target.spool(directory, rows, format, terminal)
  local spool, message = core.spool(directory)
  if not spool then return nil, file_error(message) end
  local ok, done
  ok, done, message = pcall(function()
    return output.new { format = format or not terminal and "csv" or nil, stream = spool,
      terminal = terminal or NO_TERMINAL }:rows(rows)
  end)
  if ok and done then
    spool:seek "set"
    return spool
  end
  spool:close()
  if not ok then error(done, 0) end
  return nil, file_error(directory .. ": " .. message)
end

--- Writes a spool to a stream.
---@return true|nil done, string|nil message, boolean|nil is_pipe as of put
function target.pour(spool, to)
  while true do
    local text, message = spool:read(BLOCK)
    if message then return nil, message end
    if not text then return true end
    local done, problem, is_pipe = put(to, text)
    if not done then return nil, problem, is_pipe end
  end
end

--- Writes a spool to what is at a path.
---@return true|nil done, table|nil err
function target.copy(spool, path)
  local file <close>, message = io.open(path, "wb")
  if not file then return nil, file_error(message) end
  local done
  done, message = target.pour(spool, file)
  if not done then return nil, file_error(path .. ": " .. message) end
  return true
end

return target
