--- A call whose response is a file: what is asked for, what to make of a break, whether all records are there, and
--- where the file goes in the end. The attempts themselves are the caller's, to whom a download is a handler.

local responses = require "zuora.caller.responses"
local ascii = require "zuora.support.ascii"
local core = require "zuora.core"
local error_value = require "zuora.error"
local rows = require "zuora.rows"

local download = {}

-- --- the handler: one attempt after another ----------------------------------------------------------

-- Bytes of a file after which a break is no failure of the call's, but of that connection's.
local PROGRESS = 1024 * 1024

local Download = {}
Download.__index = Download

-- Tells of the bytes in the file so far, and where it is known how many there will be.
local function tell_progress(self)
  local received, _, total = self.sink:position()
  local bytes = self.sink:bytes()
  if bytes > 0 then self.on_progress(bytes, total and total - received + bytes or nil) end
end

--- What an attempt asks for: all of the file, or what is missing of it.
---@param call table see Caller:perform
function Download:prepare(call)
  local request, headers = call.request, call.request.headers
  local received, validator = self.sink:position()
  self.received, self.size = received, nil
  request.sink, request.fresh = self.sink, request.fresh or self.fresh
  call.on_wait = self.on_progress and function() tell_progress(self) end
  -- Packed at first: an export shrinks to a tenth. But of what is packed there are no parts: not what is to be gone on
  -- with later, or has come to nothing before.
  headers["Accept-Encoding"] = (self.resume or call.tries > 0) and "identity" or "gzip"
  if received == 0 or not (validator or self.unframed) then return end
  -- Of a file without a validator only the end can be asked for: 416 says that there is no more.
  headers.Range, headers["Accept-Encoding"] = ("bytes=%d-"):format(received), "identity"
  headers["If-Range"] = validator
end

---@return true|nil, zuora.Error|nil err
function Download:read(response)
  self.disposition = response.headers["content-disposition"]
  table.insert(self.request_ids, response.headers["zuora-request-id"])
  -- "bytes */N": there is no such part, and this is the size of the whole.
  local size = response.status == 416 and (response.headers["content-range"] or ""):match "^bytes %*/(%d+)$"
  self.size = size and math.tointeger(tonumber(size))
  local done, err = responses.read_file(response, self.filter:first(), self.uncounted)
  -- A proxy may make an empty success of an answer that it cannot read.
  if done and self.headed and self.sink:position() == 0 then
    done, err = nil, error_value.new { kind = "incomplete", retryable = true,
      message = "the answer is empty, and has a header at least when it is whole" }
  end
  if not done and response.to_sink then self.sink:restart() end -- what has come is no part of the file
  return done, err
end

--- An attempt has failed. Was it a break in a file that is getting on, or the proof that there is no more?
---@param call table
---@param err zuora.Error
---@return true|nil proven, zuora.Error|nil err
function Download:recover(call, err)
  local sink, failure = self.sink, call.failure
  -- A file that had begun to come is not all there.
  if err.kind == "transport" and (err.status == 200 or err.status == 206) then err.kind = "incomplete" end
  local received, _, total = sink:position()
  self.unframed = failure == "UNFRAMED"
  if self.unframed then self.fresh = true end -- which is HTTP/1.1: its chunks have an end
  if self.size == received and (total or received) == received and call.request.headers.Range then
    local done, message = sink:complete()
    if not done then return nil, error_value.new { kind = "file", message = message } end
    return self:read { status = 200, headers = {}, to_sink = true }
  end
  -- A server may send less than was asked for.
  call.progressed = failure == "PART" or received - self.received >= PROGRESS
  if failure == "RANGE" or err.status == 416 or failure == "SHORT" then sink:restart() end
end

-- --- the file as a whole -----------------------------------------------------------------------------

-- Media types that are error pages where a file was asked for.
local NO_FILES = "text/html application/json application/xml text/xml application/problem+json"

-- Are these all the records? `filter` has counted them.
local function count_records(filter, target)
  local records, problem, row, byte = filter:records()
  local broken = problem and problem:find("^the gzip data")
  if broken then
    return nil, error_value.new { kind = "incomplete", message = target.label .. ": " .. problem }
  end
  if target.uncounted then return true end
  -- A zip archive is kept as it is, where it may be one; of all else that cannot be read it is not known whether it is
  -- whole.
  local is_zip = problem and problem:find("zip archive", 1, true)
  local is_refused = target.export or target.expected and not (is_zip and target.zipped) or target.proven and not is_zip
  if problem and is_refused then
    return nil, error_value.new { kind = "text", row = row, byte = byte,
      message = ("%s: row %d, byte %d: %s"):format(target.label, row, byte, problem) }
  end
  if records and target.expected and records ~= target.expected then
    return nil, error_value.new { kind = "incomplete", message = ("%s has %d records, and should have %d"):format(
      target.label, records, target.expected) }
  end
  return true, nil, records
end

-- Brings all segments into the sink, up to the first that is not as it should be: the filter tells of it.
local function bring(self, operation, options, target, handler)
  for i, parameters in ipairs(target.segments) do
    if i > 1 then
      if not handler.filter:records() then break end
      handler.sink:keep()
    end
    local done, err = self:perform(operation, parameters, options, handler)
    if not done then
      if err.kind == "file" then err.message = (target.path or self.settings.tmpdir) .. ": " .. err.message end
      return nil, err
    end
  end
  return true
end

local function open_sink(self, operation, options, target, filter)
  local identity = target.identity or self.bases[operation.base] .. " " .. target.segments[1].id
  local sink, message = core.sink { path = target.path, filter = filter, refuse = target.refuse or NO_FILES,
    directory = not target.path and self.settings.tmpdir or nil,
    identity = target.path and not target.export and identity or nil,
    resume = target.path and options.resume }
  if not sink then return nil, error_value.new { kind = "file", message = message } end
  return sink
end

local function open_rows(sink, options, target)
  local content_type = ascii.lower(sink:content_type() or "")
  local charset = not target.export and content_type:match 'charset="?([A-Za-z0-9-]+)'
  return rows.open(sink:fd(), { form = options.form, columns = options.columns, types = options.types,
    null = options.null, strict = options.strict, charset = charset or nil }, target.label)
end

-- Puts the file where it belongs; of several names, at the first that is free.
local function move_to_path(sink, target, disposition)
  local path, number = target.path, 0
  local done, message
  repeat
    number = number + 1
    if target.name then path = target.name(disposition, sink:content_type() or "", number) end
    done, message = sink:publish(target.name and path)
  until done ~= false
  if not done then return nil, error_value.new { kind = "file", message = message } end
  return path
end

--- Calls an operation whose response is a file, once for each segment of it, and puts the whole at a path, or
--- opens it as rows.
---@param self table the caller
---@param operation table
---@param options table per-call options, and those of rows; strict = false is for what is counted, and for what is
--- written anew, as well
---@param target table label: "file 42", for messages; path; segments: the parameters of each; without a path: as rows;
--- export: UTF-8 and commas, whatever comes; expected: records that there must be; zipped: unless it is
--- a zip archive; name(Content-Disposition of the
--- response, its type, 1, 2 …): paths for it in the end, of which the first that is free is taken; refuse: media types
--- that are no file; identity: which file it is; uncounted: what is in it cannot be counted, and may be lines of
--- JSON; headed: it has a header, whatever comes; proven: it is refused unless rows can be read from it, or it is a
--- zip archive
---@return table|userdata|nil written `{ path, bytes, records, record_count, request_ids }`,
--- or the rows as rows.open gives them
---@return zuora.Error|nil err
function download.file(self, operation, options, target)
  self:check_open(operation)
  options = self:shared(options)
  options.ends_at = options.ends_at or math.huge -- a big file may take hours: a download ends by its own limits
  -- Several segments are one text only when each is written anew.
  target.export = target.export or #target.segments > 1 or nil
  local filter = core.filter { rewrite = target.export, strict = options.strict }
  local sink <close>, err = open_sink(self, operation, options, target, filter)
  if not sink then return nil, err end
  local handler = setmetatable({ sink = sink, filter = filter, uncounted = target.uncounted, resume = options.resume,
    on_progress = options.on_progress, headed = target.headed, request_ids = {} }, Download)
  local sound, records
  sound, err = bring(self, operation, options, target, handler)
  if not sound then return nil, err end
  sound, err, records = count_records(filter, target)
  if not sound then
    sink:discard() -- it is all there, and wrong
    return nil, err
  end
  if not target.path then return open_rows(sink, options, target) end
  local bytes = sink:bytes()
  if options.on_progress then options.on_progress(bytes, bytes) end
  local path
  path, err = move_to_path(sink, target, handler.disposition)
  if not path then return nil, err end
  local ids = handler.request_ids
  for i, id in ipairs(ids) do ids[i] = self:masked(id) end
  return { path = path, bytes = bytes, records = records, record_count = records and target.expected,
    request_ids = ids[1] and ids }
end

return download
