--- A server whose first HTTP/2 stream ends in its midst, without an error: what a proxy sends whose upstream broke
-- off. Every later answer is whole. It is moved on by `step`, in the process of the spec.

local socket = require "socket"
local ssl = require "ssl"

local streams = {}
streams.__index = streams

local PREFACE = 24 -- bytes that a client says first
local DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
local END_STREAM, ACK, END_HEADERS = 1, 1, 4

local function frame(kind, flags, stream, payload)
  return string.pack(">I3BBI4", #payload, kind, flags, stream) .. payload
end

-- ":status: 200" by its number in the static table, and a header in plain text.
local HEAD = "\x88" .. "\0" .. string.pack("s1s1", "content-type", "text/csv")

local function answer_stream(self, peer, stream)
  local body = self.body
  self.requests = self.requests + 1
  local cut = self.requests == 1
  peer.output = peer.output .. frame(HEADERS, END_HEADERS, stream, HEAD)
    .. frame(DATA, cut and 0 or END_STREAM, stream, cut and body:sub(1, #body // 2) or body)
  if cut then peer.later = frame(RST_STREAM, 0, stream, "\0\0\0\0") end -- NO_ERROR
end

local function read_frames(self, peer)
  while #peer.input >= 9 do
    local length, kind, flags, stream = string.unpack(">I3BBI4", peer.input)
    if #peer.input < 9 + length then return end
    peer.input = peer.input:sub(10 + length)
    if kind == SETTINGS and flags & ACK == 0 then peer.output = peer.output .. frame(SETTINGS, ACK, 0, "") end
    if kind == HEADERS then answer_stream(self, peer, stream) end
  end
end

local function read_plain(self, peer)
  if not peer.input:find "\r\n\r\n" then return end
  peer.input = ""
  self.requests = self.requests + 1
  peer.output = ("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n")
    :format(#self.body, self.body)
end

local function step_peer(self, peer)
  if not peer.secure then
    peer.secure = peer.connection:dohandshake()
    if not peer.secure then return end
    peer.framed = peer.connection:getalpn() == "h2"
    peer.output = peer.framed and frame(SETTINGS, 0, 0, "") or ""
    peer.skip = peer.framed and PREFACE or 0
  end
  if peer.output == "" then peer.output, peer.later = peer.later or "", nil end
  local data, _, part = peer.connection:receive(16384)
  peer.input = peer.input .. (data or part or "")
  if peer.skip > 0 and #peer.input >= peer.skip then peer.input, peer.skip = peer.input:sub(peer.skip + 1), 0 end
  if peer.skip == 0 then (peer.framed and read_frames or read_plain)(self, peer) end
  local sent = peer.connection:send(peer.output)
  peer.output = peer.output:sub((sent or 0) + 1)
end

function streams:step()
  local connection = self.listener:accept()
  if connection then
    connection = assert(ssl.wrap(connection, self.context))
    connection:settimeout(0)
    self.peers[#self.peers + 1] = { connection = connection, input = "", output = "" }
  end
  for _, peer in ipairs(self.peers) do step_peer(self, peer) end
end

function streams:stop()
  for _, peer in ipairs(self.peers) do peer.connection:close() end
  self.listener:close()
end

---@param body string what every whole answer brings
---@param directory string with `certificate` and `key`
---@return table server url, requests (how many have come)
function streams.start(body, directory)
  local listener = assert(socket.bind("127.0.0.1", 0))
  listener:settimeout(0)
  local context = assert(ssl.newcontext { mode = "server", protocol = "any", certificate = directory .. "/certificate",
    key = directory .. "/key", alpn = function(offered)
      for _, name in ipairs(offered) do
        if name == "h2" then return "h2" end
      end
      return "http/1.1"
    end })
  return setmetatable({ listener = listener, context = context, body = body, peers = {}, requests = 0,
    url = "https://127.0.0.1:" .. select(2, listener:getsockname()) }, streams)
end

return streams
