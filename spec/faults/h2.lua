--- HTTP/2 as a server that does wrong needs it: frames, and headers that any client can read. A wire speaks it
--- after TLS has settled on it.

local h2 = {}

local DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
local END_STREAM, END_HEADERS, ACK = 1, 4, 1
local PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

--- What streams and connections end with.
h2.NO_ERROR, h2.REFUSED, h2.CANCEL = 0, 7, 8

local function frame(kind, flags, stream, payload)
  return (">I3BBI4"):pack(#payload, kind, flags, stream) .. payload
end

-- Literals that no table remembers, with names in full and without Huffman's code.
local function header_block(status, headers)
  local block = {}
  local function put(name, value) block[#block + 1] = ("Bs1s1"):pack(0, name, value) end
  put(":status", tostring(status))
  for name, value in pairs(headers) do put(name, tostring(value)) end
  return table.concat(block)
end

--- The frames of an answer. The last one ends the stream, unless it is to stay open.
function h2.answer(stream, body, headers, open)
  return frame(HEADERS, END_HEADERS, stream, header_block(200, headers))
    .. frame(DATA, open and 0 or END_STREAM, stream, body)
end

function h2.reset(stream, code) return frame(RST_STREAM, 0, stream, (">I4"):pack(code)) end

--- No stream after `last` has been looked at.
function h2.goaway(last, code) return frame(GOAWAY, 0, 0, (">I4I4"):pack(last, code)) end

--- Serves a connection of a wire: `on_stream(connection, stream)` is called for each request, when all of it is
--- there; true ends the connection.
function h2.serve(connection, on_stream)
  if connection:bytes(#PREFACE) ~= PREFACE then return end
  connection:send(frame(SETTINGS, 0, 0, ""))
  while true do
    local head = connection:bytes(9)
    if not head then return end
    local size, kind, flags, stream = (">I3BBI4"):unpack(head)
    if not connection:bytes(size) then return end
    if kind == SETTINGS and flags & ACK == 0 then connection:send(frame(SETTINGS, ACK, 0, "")) end
    local ends = (kind == HEADERS or kind == DATA) and flags & END_STREAM ~= 0
    if ends and on_stream(connection, stream) then return end
  end
end

return h2
