--- What goes over the wire: a content whole, in part, or packed.

local content = require "zuora.simulator.engine.content"
local faults = require "zuora.simulator.http.faults"
local packing = require "zuora.simulator.engine.packing"

local body = {}

-- What Zuora compresses, and from how many bytes on.
local COMPRESSIBLE = { ["application/json"] = true, ["application/xml"] = true, ["text/html"] = true,
  ["text/csv"] = true, ["text/plain"] = true }
local COMPRESS_FROM = 1000

local function media_type_of(response)
  return ((response.headers or {})["Content-Type"] or ""):match("^[^;]*"):lower()
end

-- Packs an answer for whom that is welcome. Packed answers cannot be asked for in parts.
local function pack(response)
  local whole = response.content
  local stream, put = whole.stream(0, whole.length), packing.gzip_stream()
  response.headers["Content-Encoding"] = "gzip"
  response.headers["Vary"] = "Accept-Encoding"
  if response.etag then response.headers["ETag"] = "W/" .. response.etag end
  local fault = response.fault
  if fault and fault.kind == "gzip" then
    response.body = faults.spoil(packing.gzip(whole:read()), fault)
    return
  end
  local ended = false
  response.body = { read = function()
    while not ended do
      local piece = stream()
      ended = piece == nil
      local packed = put(piece)
      if packed ~= "" then return packed end
    end
  end }
end

-- The part of a file that was asked for.
local function cut_to_range(request, response)
  local whole, range, condition = response.content, request.headers.range, request.headers["if-range"]
  response.headers["Accept-Ranges"] = "bytes"
  response.headers["ETag"] = response.etag
  if condition and condition ~= response.etag then range = nil end
  local from, to
  if range then from, to = content.range(range, whole.length) end
  if from == false then
    response.status, response.body = 416, ""
    response.headers["Content-Range"] = "bytes */" .. whole.length
  elseif from then
    response.status = 206
    response.headers["Content-Range"] = ("bytes %d-%d/%d"):format(from, to - 1, whole.length)
    response.body = { read = whole.stream(from, to), length = to - from }
  else
    response.body = { read = whole.stream(0, whole.length), length = whole.length }
  end
end

local function is_packed_for(request, response)
  local accepted = request.headers["accept-encoding"] or ""
  return packing.available() and COMPRESSIBLE[media_type_of(response)] and not response.as_it_is
    and accepted:find("gzip", 1, true) and not accepted:find("gzip;%s*q=0%f[^%d.]")
    and not request.headers.range -- parts are of the file itself
end

--- Gives a good response the body that this request gets of its content.
---@param request table
---@param response table
function body.lay(request, response)
  local packable = is_packed_for(request, response)
  if packable and not response.content and #(response.body or "") > COMPRESS_FROM then
    response.content = content.text(response.body)
  end
  if not response.content then return end
  if response.fault and response.fault.kind == "gzip" and media_type_of(response) == "application/x-gzip" then
    response.content = content.text(faults.spoil(response.content:read(), response.fault))
  end
  if packable and response.content.length > COMPRESS_FROM then pack(response) else cut_to_range(request, response) end
end

return body
