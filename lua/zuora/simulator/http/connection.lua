--- One connection of the server, in a coroutine of its own: what arrives on it, and what is sent.
--
-- It yields what it waits for: "read" or "write" and the socket, or "sleep" and the seconds.

local form = require "zuora.simulator.http.form"

local connection = {}

local Connection = {}
Connection.__index = Connection

local PIECE = 65536

-- --- what a connection's coroutine waits for ---------------------------------------------------------

-- LuaSocket says "timeout" for what would block, LuaSec which way. False: it is no matter of waiting.
local WAITS = { timeout = "read", wantread = "read", wantwrite = "write" }

function Connection:wait_for(problem, otherwise)
  local way = problem == "timeout" and otherwise or WAITS[problem]
  if not way then return false end
  coroutine.yield(way, self.socket)
  return true
end

--- A pause of the connection that is being served.
---@param seconds number
function connection.sleep(seconds) coroutine.yield("sleep", seconds) end

-- Sends all of `data`; false when the peer has gone.
function Connection:send(data)
  local from = 1
  while from <= #data do
    local last, problem, partial = self.socket:send(data, from)
    last = last or partial
    if last and last >= from then
      from = last + 1
    elseif not self:wait_for(problem, "write") then
      return false
    end
  end
  return true
end

-- --- reading -----------------------------------------------------------------------------------------

-- Takes what has arrived into the connection's buffer; false at the end of the stream.
function Connection:fill()
  while true do
    local data, problem, partial = self.socket:receive(PIECE)
    local got = data or partial
    if got and got ~= "" then
      self.buffer = self.buffer .. got
      return true
    end
    if not self:wait_for(problem) then return false end
  end
end

function Connection:read_line()
  while true do
    local line, rest = self.buffer:match("^(.-)\r?\n()")
    if line then
      self.buffer = self.buffer:sub(rest)
      return line
    end
    if #self.buffer > PIECE or not self:fill() then return nil end
  end
end

function Connection:read_bytes(count)
  local pieces, size = {}, 0
  while size + #self.buffer < count do
    pieces[#pieces + 1], size = self.buffer, size + #self.buffer
    self.buffer = ""
    if not self:fill() then return nil end
  end
  pieces[#pieces + 1] = self.buffer:sub(1, count - size)
  self.buffer = self.buffer:sub(count - size + 1)
  return table.concat(pieces)
end

function Connection:read_chunks()
  local chunks = {}
  while true do
    local size = tonumber((self:read_line() or ""):match("^%x+") or "", 16)
    if not size then return nil end
    if size == 0 then break end
    chunks[#chunks + 1] = self:read_bytes(size)
    self:read_line()
  end
  repeat local line = self:read_line() until not line or line == ""
  return table.concat(chunks)
end

-- Returns a request, or nil when the peer has gone.
function Connection:read_request()
  local line
  repeat line = self:read_line() until line ~= ""
  if not line then return nil end
  local method, target, version = line:match("^(%S+) (%S+) HTTP/(%d%.%d)$")
  if not method then return nil end
  local headers = {}
  while true do
    line = self:read_line()
    if not line then return nil end
    if line == "" then break end
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    if name then
      name = name:lower()
      headers[name] = headers[name] and headers[name] .. ", " .. value or value
    end
  end
  local body = ""
  if (headers.expect or ""):lower() == "100-continue" then self:send("HTTP/1.1 100 Continue\r\n\r\n") end
  if headers["transfer-encoding"] then
    body = self:read_chunks()
  elseif headers["content-length"] then
    local length = tonumber(headers["content-length"]:match "^%d+$")
    if not length then return nil end
    body = self:read_bytes(length)
  end
  if not body then return nil end
  local path, query = target:match("^([^?]*)%??(.*)$")
  local first, all = form.parse(query)
  return {
    method = method, target = target, path = path, query = first, query_all = all, headers = headers, body = body,
    connection = self.number, version = version,
    keep = version == "1.1" and (headers.connection or ""):lower() ~= "close",
  }
end

---@param socket table one that does not block
---@param number integer which one of the server's it is
function connection.new(socket, number)
  return setmetatable({ socket = socket, number = number, buffer = "" }, Connection)
end

return connection
