--- A server that plays bytes, in this process: each connection is a coroutine of its own, and all of them move
--- on with `wire:step`, which never waits.

local socket = require "socket"

local wire = {}

local Connection, Wire = {}, {}
Connection.__index, Wire.__index = Connection, Wire

--- The bytes of an answer.
---@param body string
---@param headers table<string, string>|nil "" leaves one out
---@param status string|nil "200 OK"
function wire.reply(body, headers, status)
  local all = { ["Content-Type"] = "application/json", ["Content-Length"] = #body }
  for name, value in pairs(headers or {}) do all[name] = value end
  local lines = { "HTTP/1.1 " .. (status or "200 OK") }
  for name, value in pairs(all) do
    if value ~= "" then lines[#lines + 1] = name .. ": " .. value end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

--- The same for a file.
function wire.csv(body, headers, status)
  local all = { ["Content-Type"] = "text/csv", ETag = '"one"' }
  for name, value in pairs(headers or {}) do all[name] = value end
  return wire.reply(body, all, status)
end

-- What a connection may do with some bytes of an answer: send them, and end; be reset; or keep silent.

function wire.cut(bytes)
  return function(c)
    c:send(bytes)
    return true
  end
end

function wire.reset(bytes)
  return function(c)
    c:send(bytes)
    c:reset()
    return true
  end
end

function wire.stall(bytes)
  return function(c)
    c:send(bytes)
    c:stall()
    return true
  end
end

-- --- a connection ------------------------------------------------------------------------------------

-- What a socket says where a turn later there may be more.
local LATER = { timeout = true, wantread = true, wantwrite = true }

--- Lets everybody else move on for a turn.
function Connection:yield() coroutine.yield() end

--- Takes what has come; false when the peer has gone.
function Connection:fill()
  while true do
    local data, problem, part = self.socket:receive(65536)
    data = data or part
    if data and data ~= "" then
      self.buffer = self.buffer .. data
      return true
    elseif not LATER[problem] then
      return false
    end
    self:yield()
  end
end

--- So many bytes; nil when the peer has gone.
function Connection:bytes(count)
  while #self.buffer < count do
    if not self:fill() then return nil end
  end
  local taken = self.buffer:sub(1, count)
  self.buffer = self.buffer:sub(count + 1)
  return taken
end

--- A request: its first line, headers in lower case, body; nil when the peer has gone.
---@return { line: string, method: string, headers: table<string, string>, body: string }|nil
function Connection:request()
  while not self.buffer:find("\r\n\r\n", 1, true) do
    if not self:fill() then return nil end
  end
  local head = self:bytes(self.buffer:find("\r\n\r\n", 1, true) + 3)
  local request = { line = head:match "^[^\r]*", method = head:match "^%S*", headers = {} }
  for name, value in head:gmatch "\r\n([^:\r]+):%s*([^\r]*)" do request.headers[name:lower()] = value end
  request.body = self:bytes(tonumber(request.headers["content-length"]) or 0)
  return request.body and request
end

function Connection:send(data)
  local from = 1
  while from <= #data do
    local last, problem, part = self.socket:send(data, from)
    last = last or part
    if last and last >= from then
      from = last + 1
    elseif LATER[problem] then
      self:yield()
    else
      return false
    end
  end
  return true
end

--- The same, one byte a turn.
function Connection:dribble(data)
  for i = 1, #data do
    self:send(data:sub(i, i))
    self:yield()
  end
end

--- Keeps silent until the peer has gone.
function Connection:stall()
  while self:fill() do self.buffer = "" end
end

--- From here on, TLS; `tls` as for wire.new.
function Connection:start_tls(tls)
  self.plain = self.socket
  self.socket = assert(require "ssl".wrap(self.plain, { mode = "server", protocol = tls.protocol or "any", key = tls.key,
    certificate = tls.certificate, alpn = tls.alpn,
    options = require "ssl".config.options.ignore_unexpected_eof and "ignore_unexpected_eof" }))
  self.socket:settimeout(0)
  while true do
    local done, problem = self.socket:dohandshake()
    if done then return true end
    if not LATER[problem] then return false end
    self:yield()
  end
end

--- Ends TLS's connection without saying that it ends.
function Connection:cut()
  self.plain:setfd(self.socket:getfd())
  self.plain:shutdown "both"
  self.plain:setfd(-1)
end

--- Lets the end of the connection be a reset.
function Connection:reset() self.socket:setoption("linger", { on = true, timeout = 0 }) end

-- --- all of them -------------------------------------------------------------------------------------

local function resume(self, connection)
  local ok, problem = coroutine.resume(connection.thread, connection)
  if not ok then self.problem = debug.traceback(connection.thread, problem) end
  if coroutine.status(connection.thread) == "dead" then
    connection.socket:close()
    self.connections[connection] = nil
  end
end

--- Moves everything on.
function Wire:step()
  local accepted = self.listener:accept()
  while accepted do
    accepted:settimeout(0)
    accepted:setoption("tcp-nodelay", true)
    self.accepted = self.accepted + 1
    self.connections[{ socket = accepted, buffer = "", number = self.accepted, thread = coroutine.create(function(c)
      if self.tls and not c:start_tls(self.tls) then return end
      self.serve(c)
    end) }] = true
    accepted = self.listener:accept()
  end
  local all = {}
  for connection in pairs(self.connections) do all[#all + 1] = connection end
  for _, connection in ipairs(all) do resume(self, setmetatable(connection, Connection)) end
  if self.problem then error(self.problem, 0) end
end

function Wire:close()
  for connection in pairs(self.connections) do connection.socket:close() end
  self.connections = {}
  self.listener:close()
end

-- Name, what it is for, and its time.
local CERTIFICATES = { { "good", "IP:127.0.0.1", "20200101000000Z", "20400101000000Z" },
  { "old", "IP:127.0.0.1", "20200101000000Z", "20200102000000Z" },
  { "early", "IP:127.0.0.1", "20390101000000Z", "20400101000000Z" },
  { "elsewhere", "DNS:zuora.test", "20200101000000Z", "20400101000000Z" } }

--- Makes a key, and certificates that sign themselves: good, old, early, elsewhere (another host's).
---@param directory string
---@return string directory
function wire.certificates(directory)
  local lines = { "set -e; cd '" .. directory .. "'; : >index.txt", "openssl ecparam -name prime256v1 -genkey -noout -out key",
    "openssl req -new -key key -subj /CN=localhost -out request",
    "printf '[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n"
      .. "policy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' >ca.cnf" }
  for _, one in ipairs(CERTIFICATES) do
    lines[#lines + 1] = ("printf 'subjectAltName=%s\n' >extra; openssl ca -selfsign -batch -notext -config ca.cnf -in request "
      .. "-keyfile key -startdate %s -enddate %s -extfile extra -out %s"):format(one[2], one[3], one[4], one[1])
  end
  local pipe = assert(io.popen("{ " .. table.concat(lines, "\n") .. "\n} 2>&1"))
  local said = pipe:read "a"
  assert(pipe:close(), said)
  return directory
end

---@param serve fun(connection: table) a coroutine; the connection ends with it
---@param options { host: string|nil, port: integer|nil, tls: table|nil }|nil tls: { key =, certificate =, alpn = }
function wire.new(serve, options)
  options = options or {}
  local host = options.host or "127.0.0.1"
  local listener = assert(socket.bind(host, options.port or 0, 512))
  listener:settimeout(0)
  local _, port = listener:getsockname()
  return setmetatable({ serve = serve, listener = listener, connections = {}, accepted = 0, tls = options.tls, port = port,
    url = ("%s://%s:%d"):format(options.tls and "https" or "http", host:find ":" and "[" .. host .. "]" or host, port) },
    Wire)
end

return wire
