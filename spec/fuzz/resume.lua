--- Going on with a file: what is left of an earlier process, and a part that follows a break. What is called
-- whole is whole, whatever the headers say.

local core = require "zuora.core"
local host = require "spec.fuzz.host"
local socket = require "socket"

local resume = {}

local directory = os.tmpname()
os.remove(directory)
assert(core.mkdir(directory))
local PATH = directory .. "/file"
local PART, STATE = PATH .. ".part", PATH .. ".part.state"

resume.scratch = setmetatable({}, { __gc = function()
  for _, path in ipairs { PATH, PART, STATE, directory } do os.remove(path) end
end })

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

local function open() return assert(core.sink { path = PATH, identity = "id", resume = true }) end

-- --- what an earlier process has left ------------------------------------------------------------------

-- A state is taken up as it stands, or not at all.
local function left_behind(size, state)
  write(PART, ("x"):rep(size))
  write(STATE, state)
  local sink <close> = open()
  local received, validator, total = sink:position()
  sink:discard()
  if received == 0 then
    return assert(not validator and not total and sink:bytes() == 0, "half a state")
  end
  assert(received == size and sink:bytes() == size, "another size")
  assert(validator:find '^"[\33\35-\126\128-\255]*"$', "a validator that cannot be sent back")
  assert(state:find("\n" .. validator .. "\n", 1, true), "another validator")
  assert(state:find "^id\n", "another file's state")
  if total then assert(total >= size and state:find("%f[%d]0*" .. total .. "\n"), "another total") end
end

-- --- a break, and a part that follows ------------------------------------------------------------------

local server = assert(socket.bind("127.0.0.1", 0))
server:settimeout(0)
local url = ("http://127.0.0.1:%d/file"):format(select(2, server:getsockname()))
local session = core.session {}

-- One request, and the answer to it: what the request says in the end.
local function exchange(sink, answer)
  local request = assert(session:start { url = url, sink = sink, fresh = true, timeout = 10, limit = 200 })
  local client
  repeat
    session:step(0)
    client = server:accept()
  until client
  client:settimeout(5)
  repeat
    session:step(0)
    local line = client:receive "*l"
  until not line or line == ""
  client:send(answer)
  client:close()
  repeat
    local _, finished = session:step(1)
  until finished[1]
  return request:response()
end

local WHOLE = ("0123456789abcdef"):rep(16)
local HEAD = "HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: text/csv\r\n%s\r\n%s"

local function framed(way, body, announced)
  if way == 0 then return "", body end
  if way == 1 then return ("Content-Length: %d\r\n"):format(announced), body end
  return "Transfer-Encoding: chunked\r\n", #body > 0 and ("%x\r\n%s\r\n0\r\n\r\n"):format(#body, body) or "0\r\n\r\n"
end

local function line(name, value)
  return value ~= "" and ("%s: %s\r\n"):format(name, value) or ""
end

-- What a Content-Range says, as RFC 9110 writes it.
local function range_of(text)
  local first, last, total = text:match "^bytes (%d+)%-(%d+)/([%d*]+)$"
  first, last, total = math.tointeger(tonumber(first)), math.tointeger(tonumber(last)), total and tonumber(total)
  if first and last and last >= first then return first, last, total end
  return nil
end

local function check_retry_after(text, response)
  local seconds = response and response.retry_after
  assert(seconds == nil or math.type(seconds) == "integer" and seconds > 0, "a time that is none")
  if response and text:find "^[1-9]%d?%d?%d?%d?$" then assert(seconds == tonumber(text), "another time") end
end

local function check_whole(sink, expected)
  local ok = pcall(sink.publish, sink)
  if not ok then return false end
  local content = read(PATH)
  os.remove(PATH)
  if content ~= expected then error(("published: %q, expected: %q"):format(content, expected)) end
  return true
end

-- The first answer breaks off; the sink that goes on, which may be another process's.
local function broken_off(way, cut, etag)
  local size = way & 1 == 0 and 256 or 100
  local sink = open()
  local headers, body = framed(way >> 1 & 1, WHOLE:sub(1, math.min(cut, size - 1)), size)
  exchange(sink, HEAD:format("200 OK", headers .. line("ETag", etag), body))
  if way & 8 == 0 then return sink end
  local received, validator, total = sink:position()
  sink:close()
  local other = open()
  local r, v, t = other:position()
  if validator and received > 0 then
    assert(r == received and v == validator and t == total, "what was left is not taken up")
  end
  return other
end

local function continued(way, cut, length, lines)
  local etag, range, again, retry_after = table.unpack(lines)
  local sink <close> = broken_off(way, cut, etag)
  local received, validator, known = sink:position()
  local part = WHOLE:sub(received + 1, received + length)
  local headers, body = framed(1 + (way >> 2 & 1), part, #part)
  local response = exchange(sink, HEAD:format("206 Partial Content", headers .. line("Content-Range", range)
    .. line("ETag", again) .. line("Retry-After", retry_after), body))
  check_retry_after(retry_after, response)
  local first, last, total = range_of(range)
  local may = first == received and total == received + #part and validator and (not known or known == total)
    and again == validator
  local whole = check_whole(sink, may and WHOLE:sub(1, total))
  if may and last == total - 1 and not whole then error(("%q after %d bytes is not taken"):format(range, received)) end
  if not whole then sink:discard() end
end

-- --- one answer, with any head at all ------------------------------------------------------------------

local STATUSES = { "200 OK", "200 OK", "200 OK", "204 No Content", "206 Partial Content", "304 Not Modified", "404 Not Found",
  "416 Range Not Satisfiable", "503 Service Unavailable" }

-- What is taken is the beginning of what was sent, or of what was packed.
local function check_taken(what, taken, sent, body)
  if sent:sub(1, #taken) ~= taken and body:sub(1, #taken) ~= taken then error(("%s: %q of %q"):format(what, taken, sent)) end
end

local function headed(way, cut, status, text)
  local body = WHOLE:sub(1, cut)
  local sent = way & 1 ~= 0 and host.gzip(body) or body
  local headers, framed_body = framed(way >> 1 & 1, sent, #sent)
  local head = "HTTP/1.1 " .. STATUSES[status % #STATUSES + 1] .. "\r\nConnection: close\r\n"
  local lines = text:gsub("[%z\r]", ""):gsub("\n*([^\n]+)\n*", "%1\r\n"):gsub("^\n+", "")
  local sink <close> = way & 4 == 0 and assert(core.sink { path = PATH, refuse = "text/html application/json",
    filter = way & 8 ~= 0 and core.filter {} or nil }) or nil
  if way & 16 ~= 0 then headers, lines = lines, headers end
  local answer = head .. headers .. lines .. "\r\n" .. framed_body
  local response = exchange(sink, way & 32 ~= 0 and answer:sub(1, cut) or answer)
  if response then
    for name, value in pairs(response.headers) do
      assert(not (name .. value):find "[%z\r\n]" and name == name:lower(), "no header")
    end
  end
  if response and response.body then check_taken("in memory", response.body, sent, body) end
  if sink and pcall(sink.publish, sink) then
    local content = read(PATH)
    if content ~= body then check_taken("in the file", content, sent, "") end -- what is unpacked is whole
    os.remove(PATH)
  end
end

function resume.run(data)
  local way, cut, length = data:byte(1, 3)
  if not length then return end
  local rest = data:sub(4)
  if way & 128 ~= 0 then return left_behind(cut, rest) end
  if way & 64 ~= 0 then return headed(way, cut, length, rest) end
  local lines = {}
  for text in (rest .. "\n\n\n\n"):gmatch "([^\n]*)\n" do
    lines[#lines + 1] = text:gsub("[%z\r]", ""):match "^[ \t]*(.-)[ \t]*$" -- the blanks around a value are not part of it
  end
  continued(way, cut, length, lines)
end

return resume
