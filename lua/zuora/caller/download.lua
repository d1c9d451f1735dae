--- How a file comes: what is asked for, what to make of a break, whether all records are there, and where it
--- goes in the end. The tries themselves are the caller's.

local answer = require "zuora.caller.responses"
local ascii = require "zuora.support.ascii"
local core = require "zuora.core"
local error_value = require "zuora.error"
local rows = require "zuora.rows"

local transfer = {}

-- --- one try after another ---------------------------------------------------------------------------

-- Bytes of a file after which a break is no failure of the call's, but of that connection's.
local PROGRESS = 1024 * 1024

--- Tells of the bytes in the file so far, and where it is known how many there will be.
---@param sink userdata
---@param on_progress fun(bytes: integer, total: integer|nil)
function transfer.tell_progress(sink, on_progress)
  local received, _, total = sink:position()
  local bytes = sink:bytes()
  if bytes > 0 then on_progress(bytes, total and total - received + bytes or nil) end
end

--- Puts into the headers of a try what it asks for: all of the file, or what is missing of it.
---@param exchange table see Caller:perform
function transfer.ask(exchange)
  local headers, sink = exchange.request.headers, exchange.sink
  headers.Range, headers["If-Range"] = nil, nil
  if not sink then return end
  local received, validator = sink:position()
  exchange.received = received
  -- Packed at first: an export shrinks to a tenth. But of what is packed there are no parts.
  headers["Accept-Encoding"] = exchange.plain and "identity" or "gzip"
  if received == 0 or not (validator or exchange.unframed) then return end
  headers.Range, headers["Accept-Encoding"] = ("bytes=%d-"):format(received), "identity"
  -- Of a file without a validator only the end can be asked for: 416 says that there is no more.
  headers["If-Range"] = validator
end

--- A try has failed. Was it a break in a file that is getting on, or the proof that there is no more?
---@param exchange table
---@param err zuora.Error
---@return boolean proven there is no more
function transfer.look_at_break(exchange, err)
  local sink = exchange.sink
  local received, _, total = sink:position()
  exchange.unframed = err.curl == "UNFRAMED" or nil
  if exchange.unframed then exchange.request.fresh = true end -- which is HTTP/1.1: its chunks have an end
  -- A server may send less than was asked for.
  exchange.progressed = err.curl == "PART" or received - exchange.received >= PROGRESS
  local proven = err.status == 416 and err.range_total == received and (total or received) == received
  if proven and exchange.request.headers.Range then return true end
  if err.curl == "RANGE" or err.status == 416 or err.curl == "SHORT" then sink:restart() end
  if exchange.progressed then exchange.tries = 0 end
  return false
end

-- --- the file as a whole -----------------------------------------------------------------------------

-- Media types that are error pages where a file was asked for.
local NO_FILES = "text/html application/json application/xml text/xml application/problem+json"

-- Are these all the records? `filter` has counted them.
local function count_records(filter, target)
  local records, problem, row, byte = filter:records()
  local broken = problem and problem:find("^the gzip data")
  if target.uncounted and not broken then return true end
  -- A zip archive is kept as it is; of all else that cannot be read it is not known whether it is whole.
  if broken then
    return nil, error_value.new { kind = "incomplete", message = target.what .. ": " .. problem }
  end
  if problem and (target.export or target.expected and not problem:find("zip archive", 1, true)) then
    return nil, error_value.new { kind = "text", row = row, byte = byte,
      message = ("%s: row %d, byte %d: %s"):format(target.what, row, byte, problem) }
  end
  if records and target.expected and records ~= target.expected then
    return nil, error_value.new { kind = "incomplete", message = ("%s has %d records, and should have %d"):format(
      target.what, records, target.expected) }
  end
  return true, nil, records
end

-- Brings all parts into the sink, up to the first that is not as it should be: `filter` tells of it.
local function bring(self, operation, options, target, sink, filter)
  local function read(response)
    target.disposition = response.headers["content-disposition"]
    local done, err = answer.read_file(response, filter:first(), target.uncounted)
    if not done and response.to_sink then sink:restart() end -- what has come is no part of the file
    return done, err
  end
  for i, parameters in ipairs(target.parts) do
    if i > 1 then
      if not filter:records() then break end
      sink:keep()
    end
    local done, err = self:perform(operation, parameters, options, read, sink)
    if not done then
      if err.kind == "file" then err.message = (target.path or self.settings.tmpdir) .. ": " .. err.message end
      return nil, err
    end
  end
  return true
end

--- Calls an operation whose answer is a file, once for each part of it, and puts the whole at a path, or
-- opens it as rows.
---@param self table the caller
---@param operation table
---@param options table per-call options, and those of rows; strict = false is for what is counted, and for what is
--- written anew, as well
---@param target table what: "file 42", for messages; path; parts: the parameters of each; without a path: as rows;
--- export: UTF-8 and commas, whatever comes; expected: records that there must be; name(Content-Disposition of the
--- answer, its type, 1, 2 …): paths for it in the end, of which the first that is free is taken; refuse: media types
--- that are no file; identity: which file it is; uncounted: what is in it cannot be counted, and may be lines of
--- JSON
---@return table|userdata|nil written `{ path, bytes, records }`, or the rows as rows.open gives them
---@return zuora.Error|nil err
function transfer.file(self, operation, options, target)
  self:check_open(operation)
  options = self:shared(options)
  -- Several parts are one text only when each is written anew.
  target.export = target.export or #target.parts > 1 or nil
  local filter = core.filter { rewrite = target.export, strict = options.strict }
  local identity = target.identity or self.bases[operation.base] .. " " .. target.parts[1].id
  local sink <close>, message = core.sink { path = target.path, filter = filter, refuse = target.refuse or NO_FILES,
    directory = not target.path and self.settings.tmpdir or nil,
    identity = target.path and not target.export and identity or nil,
    resume = target.path and options.resume }
  if not sink then return nil, error_value.new { kind = "file", message = message } end
  local sound, err = bring(self, operation, options, target, sink, filter)
  if not sound then return nil, err end
  local records
  sound, err, records = count_records(filter, target)
  if not sound then
    sink:discard() -- it is all there, and wrong
    return nil, err
  end
  if not target.path then
    local content_type = ascii.lower(sink:content_type() or "")
    local charset = not target.export and content_type:match 'charset="?([A-Za-z0-9-]+)'
    return rows.open(sink:fd(), { form = options.form, columns = options.columns, types = options.types,
      null = options.null, strict = options.strict, charset = charset or nil }, target.what)
  end
  local bytes = sink:bytes()
  if options.on_progress then options.on_progress(bytes, bytes) end
  local path, number, done = target.path, 0
  repeat
    number = number + 1
    if target.name then path = target.name(target.disposition, sink:content_type() or "", number) end
    done, message = sink:finish(target.name and path)
  until done ~= false
  if not done then return nil, error_value.new { kind = "file", message = message } end
  return { path = path, bytes = bytes, records = records }
end

return transfer
