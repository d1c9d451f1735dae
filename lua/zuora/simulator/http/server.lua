--- A small HTTP/1.1 server on LuaSocket: one coroutine for each connection, one select for all.
--
-- It serves the local Zuora, and it can misbehave as real servers and networks do: whoever answers may
-- put a `fault` into the response, and `write_response` breaks the answer in the way that it names.

local connections = require "zuora.simulator.http.connection"
local socket = require "socket"

local server = {}

local Server = {}
Server.__index = Server

local REASONS = {
  [200] = "OK", [206] = "Partial Content", [204] = "No Content", [301] = "Moved Permanently", [302] = "Found",
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [408] = "Request Timeout", [409] = "Conflict", [415] = "Unsupported Media Type",
  [416] = "Range Not Satisfiable", [422] = "Unprocessable Entity", [429] = "Too Many Requests",
  [500] = "Internal Server Error", [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout",
}

-- Pieces of a body after which others have their turn.
local TURN = 4

-- select cannot name higher descriptors; a few are left for files.
local HIGHEST = 1000

-- --- writing -----------------------------------------------------------------------------------------

-- The body as a function that gives its pieces, and its length in bytes (nil: not known beforehand).
local function body_source(body)
  if type(body) == "table" then return body.read, body.length end
  local given = body == "" or body == nil
  return function()
    if given then return nil end
    given = true
    return body
  end, #(body or "")
end

-- What a fault does to a connection whose answer has been sent as far as it goes.
local function break_off(connection, kind)
  if kind == "reset" and connection.socket.setoption then
    connection.socket:setoption("linger", { on = true, timeout = 0 })
  elseif kind == "stall" then
    while connection:fill() do connection.buffer = "" end -- until the peer has enough of it
  end
  return false
end

-- Sends a body as the fault has it. `after`: bytes of the body that get through.
local function write_faulty(connection, read, fault, frame, last)
  local left = fault.after or 0
  for piece in read do
    if fault.kind == "trickle" then
      for i = 1, #piece, fault.size or 1 do
        if not connection:send(frame(piece:sub(i, i + (fault.size or 1) - 1))) then return false end
        connections.sleep(fault.seconds or 0.001)
      end
    elseif #piece > left then
      -- A chunk that is cut announces more than follows.
      local framed = frame(piece)
      local head = #framed - #piece
      connection:send(framed:sub(1, (head > 0 and head - 2 or 0) + left))
      return break_off(connection, fault.kind)
    else
      left = left - #piece
      if not connection:send(frame(piece)) then return false end
    end
  end
  return fault.kind == "trickle" and connection:send(last) or break_off(connection, fault.kind)
end

local BREAKS = { cut = true, reset = true, stall = true }
local BODY_FAULTS = { cut = true, reset = true, stall = true, trickle = true }

local function chunk(piece) return ("%x\r\n%s\r\n"):format(#piece, piece) end
local function plain(piece) return piece end

-- Returns true when the connection can serve another request.
local function write_response(connection, request, response)
  local fault = response.fault or {}
  local read, length = body_source(response.body)
  local chunked = length == nil and fault.kind ~= "unframed" and request.version ~= "1.0"
  local head = { ("HTTP/1.1 %d %s\r\n"):format(response.status, REASONS[response.status] or "Status") }
  for name, value in pairs(response.headers or {}) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      head[#head + 1] = ("%s: %s\r\n"):format(name, one)
    end
  end
  local keep = request.keep and fault.kind ~= "unframed" and (chunked or length ~= nil)
  if not keep then head[#head + 1] = "Connection: close\r\n" end
  if chunked then
    head[#head + 1] = "Transfer-Encoding: chunked\r\n"
  elseif fault.kind ~= "unframed" and response.status ~= 204 then
    head[#head + 1] = ("Content-Length: %d\r\n"):format(length + (fault.kind == "length" and (fault.extra or 10) or 0))
  end
  head[#head + 1] = "\r\n"
  local header = table.concat(head)
  if fault.headers_after and fault.headers_after < #header then
    connection:send(header:sub(1, fault.headers_after))
    return break_off(connection, fault.kind)
  end
  if not connection:send(header) then return false end
  if request.method == "HEAD" or response.status == 204 or response.status == 304 then return keep end
  local frame, last = chunked and chunk or plain, chunked and "0\r\n\r\n" or ""
  if BODY_FAULTS[fault.kind] then return write_faulty(connection, read, fault, frame, last) and keep end
  local sent = 0
  for piece in read do
    if not connection:send(frame(piece)) then return false end
    sent = sent + 1
    if sent % TURN == 0 then connections.sleep(0) end
  end
  return connection:send(last) and keep and fault.kind ~= "length"
end

-- --- connections -------------------------------------------------------------------------------------

-- TLS first, where it is wanted.
local function shake_hands(self, connection)
  if not self.tls then return true end
  local wrapped = self.ssl.wrap(connection.socket, self.tls)
  if not wrapped then return false end
  connection.socket = wrapped
  wrapped:settimeout(0)
  while true do
    local done, problem = wrapped:dohandshake()
    if done then return true end
    if not connection:wait_for(problem) then return false end
  end
end

-- The request has been answered, or nobody waits for its answer any more.
local function finish(connection)
  local request = connection.request
  connection.request = nil
  if request and request.over then request.over() end
end

local function serve(self, connection)
  if not shake_hands(self, connection) then return end
  while true do
    local request = connection:read_request()
    if not request then return end
    connection.request = request
    local response = self.handler(request)
    if response.raw then
      connection:send(response.raw)
      return
    end
    local fault = response.fault or {}
    if BREAKS[fault.kind] and not (fault.after or fault.headers_after) then
      break_off(connection, fault.kind)
      return
    end
    if not write_response(connection, request, response) then return end
    finish(connection)
  end
end

function Server:accept()
  while true do
    local client, problem = self.listener:accept()
    if not client then
      -- Out of descriptors: the listener would stay readable, and nothing would come of it.
      if problem ~= "timeout" then self.deaf_until = socket.gettime() + 0.1 end
      return
    end
    if client:getfd() >= HIGHEST then
      client:close()
      return
    end
    client:settimeout(0)
    client:setoption("tcp-nodelay", true)
    self.accepted = self.accepted + 1
    local connection = connections.new(client, self.accepted)
    connection.thread = coroutine.create(serve)
    self.connections[connection] = true
    self:resume(connection, self, connection)
  end
end

function Server:drop(connection)
  finish(connection)
  connection.socket:close()
  self.connections[connection] = nil
end

-- Runs a connection until it waits again.
function Server:resume(connection, ...)
  connection.wants = nil
  local ok, wants, what = coroutine.resume(connection.thread, ...)
  if not ok then
    io.stderr:write("simulator: ", tostring(wants), "\n", debug.traceback(connection.thread), "\n")
    return self:drop(connection)
  end
  if coroutine.status(connection.thread) == "dead" then return self:drop(connection) end
  connection.wants = wants
  connection.wake_at = wants == "sleep" and socket.gettime() + what or nil
end

--- One turn: waits at most `seconds` for something to do, and does it.
---@param seconds number
---@param watched table|nil another socket, or any object with getfd, to be watched for reading
---@return boolean watched_is_readable
function Server:step(seconds, watched)
  local readers, writers, ready = { watched }, {}, {}
  local now = socket.gettime()
  if now >= (self.deaf_until or 0) then
    readers[#readers + 1] = self.listener
  else
    seconds = math.min(seconds, 0.1)
  end
  for connection in pairs(self.connections) do
    if connection.wants == "read" then
      readers[#readers + 1] = connection.socket
    elseif connection.wants == "write" then
      writers[#writers + 1] = connection.socket
    elseif connection.wake_at then
      seconds = math.min(seconds, math.max(0, connection.wake_at - now))
    end
  end
  local readable, writable = socket.select(readers, writers, seconds)
  now = socket.gettime()
  for connection in pairs(self.connections) do
    if connection.wants == "read" and readable[connection.socket]
      or connection.wants == "write" and writable[connection.socket]
      or connection.wake_at and connection.wake_at <= now
    then
      ready[#ready + 1] = connection
    end
  end
  for _, connection in ipairs(ready) do self:resume(connection) end
  if readable[self.listener] then self:accept() end
  return watched ~= nil and readable[watched] ~= nil
end

Server.__close = function(self) self:close() end

function Server:close()
  for connection in pairs(self.connections) do self:drop(connection) end
  self.listener:close()
end

--- Listens on 127.0.0.1.
---@param handler fun(request: table): table gives `{ status, headers, body, fault }`; may call connection.sleep; may
--- put a function `over` into the request, which is called when it has been answered or its connection is gone
---@param options { port: integer|nil, tls: { key: string, certificate: string }|nil } port 0, the default, takes
--- any free one; the files of `tls` are in PEM
function server.new(handler, options)
  local listener = assert(socket.bind("127.0.0.1", options.port or 0, 512))
  listener:settimeout(0)
  local _, actual = listener:getsockname()
  local tls, ssl
  if options.tls then
    ssl = require "ssl"
    tls = { mode = "server", protocol = "any", key = options.tls.key, certificate = options.tls.certificate,
      options = { "all", "no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1_1",
        -- A peer that goes without a word is gone: LuaSec would read on and on.
        ssl.config.options.ignore_unexpected_eof and "ignore_unexpected_eof" } }
  end
  return setmetatable({
    listener = listener, handler = handler, connections = {}, accepted = 0, tls = tls, ssl = ssl,
    url = ("%s://127.0.0.1:%d"):format(tls and "https" or "http", actual),
  }, Server)
end

return server
