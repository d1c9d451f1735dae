-- The bench's works by LuaSocket and lua-cjson: one | files | first, with the arguments of ours.lua. Its own http module
-- opens a connection for each request, so that the little HTTP that is needed stands here.

local decode = require "cjson".decode
local socket = require "socket"

local PIECE = 262144

local function connect(base)
  local host, port = base:match "^http://([^:]+):(%d+)$"
  local connection = assert(socket.connect(host, tonumber(port)))
  connection:setoption("tcp-nodelay", true)
  return { connection = connection, host = host .. ":" .. port }
end

-- The length of the body, which is next.
local function ask(client, path)
  assert(client.connection:send("GET " .. path .. " HTTP/1.1\r\nHost: " .. client.host
    .. "\r\nAuthorization: Bearer t\r\nAccept: application/json\r\n\r\n"))
  assert(assert(client.connection:receive "*l"):find "^HTTP/1.1 200 ")
  local headers = {}
  while true do
    local line = assert(client.connection:receive "*l")
    if line == "" then break end
    local name, value = line:match "^([^:]+):%s*(.*)$"
    headers[name:lower()] = value
  end
  return tonumber(headers["content-length"])
end

local function job(client, number)
  local body = assert(client.connection:receive(ask(client, "/v1/batch-query/jobs/j" .. number)))
  local value = decode(body)
  assert(value.status == "completed")
  return value.batches[1].recordCount
end

local works = {}

function works.first(base) job(connect(base), 1) end

function works.one(loops, base, count, warm)
  local client = connect(base)
  for _ = 1, warm do job(client, 1) end
  local done, sum = loops.measure(), 0
  for i = 1, count do sum = sum + job(client, i) end
  done(count, sum)
end

function works.files(loops, base, _, _, _, directory, ...)
  local done, bytes, names = loops.measure(), 0, { ... }
  local client = connect(base)
  for _, name in ipairs(names) do
    local left = ask(client, "/v1/files/" .. name)
    local file = assert(io.open(directory .. "/" .. name, "wb"))
    file:setvbuf "no"
    while left > 0 do
      local piece = assert(client.connection:receive(math.min(left, PIECE)))
      assert(file:write(piece))
      left, bytes = left - #piece, bytes + #piece
    end
    assert(file:close())
  end
  done(#names, bytes)
end

if arg[1] == "first" then return works.first(arg[2]) end
local arguments = {}
for i = 2, #arg do arguments[i - 1] = math.tointeger(arg[i]) or arg[i] end
works[arg[1]](require "spec.bench.loops", table.unpack(arguments))
