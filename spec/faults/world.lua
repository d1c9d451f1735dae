--- What a case of the fault table has at hand, and what is asked of every case when it is over: that no secret
--- is in anything that was said, no descriptor and no file is left, and the clients it made go on working.

local core = require "zuora.core"
local mime = require "mime"
local socket = require "socket"
local support = require "spec.support"
local wire = require "spec.faults.wire"

local world = {}

local World = {}
World.__index = World

--- Found nowhere but where they were planted. (The simulator's tokens begin with its own word.)
world.planted = {
  client_id = "planted-id-41c7", client_secret = "planted=secret+/of=9d02", username = "planted.user@example",
  password = "planted pass:w0rd/5b", token = "planted-token.77ae",
}

local SECRETS = { "simulated-token", "planted-", "planted=", "planted.user", "planted pass" }
for _, secret in pairs(world.planted) do SECRETS[#SECRETS + 1] = core.escape(secret) end
SECRETS[#SECRETS + 1] = (mime.b64(world.planted.username .. ":" .. world.planted.password))

-- --- what was said -----------------------------------------------------------------------------------

--- Keeps a text, or all that is in a table, for the search for secrets.
function World:tell(said)
  if type(said) == "table" then
    for name, value in pairs(said) do
      self:tell(name)
      self:tell(value)
    end
  end
  self.said[#self.said + 1] = tostring(said)
end

--- What a call returned must be an error of that kind.
---@return table err
function World:fails(kind, value, err)
  assert(value == nil and err, "there is no error")
  self:tell(err)
  assert(kind == err.kind, ("of kind %s, not %s: %s"):format(err.kind, kind, tostring(err)))
  return err
end

--- The function must raise something that matches.
function World:raises(pattern, f, ...)
  local ok, raised = pcall(f, ...)
  self:tell(raised)
  assert(not ok, "nothing was raised")
  assert(tostring(raised):find(pattern), tostring(raised))
  return raised
end

-- --- files -------------------------------------------------------------------------------------------

--- A path in the case's own folder, which may be there in the end.
function World:path(name)
  self.known[name] = true
  return self.directory .. "/" .. name
end

function World:read(name) return support.read(self.directory .. "/" .. name) end

-- --- servers -----------------------------------------------------------------------------------------

--- A server that plays what `turns` say, one for each request: bytes; or a function(connection, request), which
--- returns true when the connection is to end. `turns.accept` has a new connection first. Later requests are
--- answered as they should be.
---@param turns table
---@param options table|nil as for wire.new
function World:wire(turns, options)
  local server
  server = wire.new(function(connection)
    if server.turns.accept and server.turns.accept(connection) then return end
    while true do
      local request = connection:request()
      if not request then return end
      table.insert(server.requests, request)
      local turn = server.turns[#server.requests] or server.turns.always
      if type(turn) == "string" then
        connection:send(turn)
      elseif turn then
        if turn(connection, request) then return end
      else
        self:serve(connection, request)
      end
    end
  end, options)
  server.requests, server.turns = {}, turns
  self.wires[#self.wires + 1] = server
  return server
end

--- The world's job as JSON, completed; with other fields, or more.
function World:job_text(fields)
  local all = { id = self.job.id, status = "completed" }
  for name, value in pairs(fields or {}) do all[name] = value end
  return core.encode(all)
end

--- Answers as Zuora does, whoever asks, and be it by way of a proxy.
function World:serve(connection, request)
  if request.method == "CONNECT" then
    connection:send "HTTP/1.1 200 Connection established\r\n\r\n"
    return connection:start_tls(self:tls())
  elseif request.line:find("/oauth/token", 1, true) then
    connection:send(wire.reply(core.encode { access_token = world.planted.token, token_type = "bearer", expires_in = 3599 }))
  else
    connection:send(wire.reply(self:job_text(request.method == "POST" and { status = "submitted" } or nil)))
  end
end

--- Files of a certificate for 127.0.0.1, as wires take them.
function World:tls() return { key = self.certificates .. "/key", certificate = self.certificates .. "/good" } end

--- The url of a port where nobody listens.
function world.closed_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return port
end

-- --- clients -----------------------------------------------------------------------------------------

-- Wires move on with whoever waits; where nothing is in flight, time jumps ("quick").
local function clock_of(self, is_quick)
  local clock = { jumped = 0 }
  function clock.now() return is_quick and 1000 + clock.jumped or core.now() end
  function clock.step(session, seconds)
    if is_quick and session:running() == 0 then
      clock.jumped = clock.jumped + seconds
      seconds = 0
    end
    for _, server in ipairs(self.wires) do server:step() end
    return session:step(self.wires[1] and math.min(seconds, 0.002) or seconds)
  end
  return clock
end

--- A client that tells all that it is told; of the simulator, unless `options` say of whom (`at`, a wire).
--- Its waits take no time; `real`: they do.
---@return table client, table clock jumped: the seconds that were waited
function World:client(options)
  local all = { tmpdir = self.directory .. "/tmp" }
  for _, hook in ipairs { "log", "on_retry", "on_response" } do all[hook] = function(told) self:tell(told) end end
  for name, value in pairs(options or {}) do all[name] = value end
  if all.at then
    all.base_url, all.ca_file = all.at.url, all.ca_file or all.at.tls and all.at.tls.certificate
    if not (all.client_id or all.username) then all.token = all.token or world.planted.token end
  end
  local clock = clock_of(self, not all.real)
  all.at, all.real = nil, nil
  local client = support.client(self.sim, all, { clock = clock, random = function() return 1 end })
  self.clients[#self.clients + 1] = client
  return client, clock
end

--- A client for one call that plays those bytes, and the server that does it.
function World:played(turns, options)
  local server = self:wire(turns)
  options = options or {}
  options.at = server
  local client, clock = self:client(options)
  return client, server, clock
end

--- The call that is answered so must succeed at its second try.
function World:second_try(turn)
  local client, server = self:played { turn }
  assert(client.jobs:get(self.job.id).id == self.job.id)
  assert(#server.requests == 2, #server.requests)
end

--- Without another try it must be an error of that kind.
---@return table err
function World:single_try(kind, turns)
  return self:fails(kind, self:played(turns, { retries = 0 }).jobs:get(self.job.id))
end

--- What the simulator was asked.
function World:sent(method, target) return support.sent(self.sim, method, target) end

-- --- other processes ---------------------------------------------------------------------------------

--- A command of the shell; what it printed.
function World:shell(command)
  local text, status = support.shell(command)
  self:tell(text)
  return text, status
end

--- Before a command: the C library as shim.c has it.
function world.shim(name, value) return ("%s=%s LD_PRELOAD=%s"):format(name, value, support.native "shim.so") end

-- A process has its own world: the same simulator, the same folder.
local INSIDE = [[
local core, support, zuora = require "zuora.core", require "spec.support", require "zuora"
local sim = { url = %q, client_id = %q, client_secret = %q }
local job, file, directory = %q, %q, %q
local clients = {}
local function new(options, seams)
  options = options or {}
  options.log, options.tmpdir = print, directory .. "/tmp"
  clients[#clients + 1] = support.client(sim, options, seams)
  return clients[#clients]
end
local function fails(kind, value, err)
  for name, said in pairs(err or {}) do print(name, said) end
  assert(value == nil and err and err.kind == kind, tostring(err))
  return err
end
local function works(client) assert(assert(client.jobs:get(job)).id == job) end
local before = support.descriptors()
]]

local OUTSIDE = [[

for _, client in ipairs(clients) do client:close() end
clients = nil
collectgarbage()
collectgarbage()
local after = support.descriptors()
assert(after <= before, before .. " descriptors before, and now " .. after)
print "ended well"
]]

--- Runs code in a process of its own, which must end well: there are sim, job, file (ids), directory; new(options)
--- makes a client, fails(kind, …) and works(client) look at it.
---@param code string
---@param prefix string|nil of the command
---@return string printed
function World:child(code, prefix)
  local inside = INSIDE:format(self.sim.url, self.sim.client_id, self.sim.client_secret, self.job.id, self.job.file,
    self.directory)
  local text, status = support.lua(inside .. code .. OUTSIDE, (prefix or "") .. " timeout 20")
  self:tell(text)
  assert(status == 0 and text:find "ended well\n$", text)
  return text
end

-- --- the end of a case -------------------------------------------------------------------------------

function World:check_clients()
  self.sim:heal()
  for _, server in ipairs(self.wires) do server.turns = {} end
  if #self.clients == 0 then self:client() end
  for _, client in ipairs(self.clients) do
    local ok, job, err = pcall(client.jobs.get, client.jobs, self.job.id)
    if ok and not job and err.retry_after then ok, job, err = true, self:client().jobs:get(self.job.id) end -- a pause is obeyed
    if ok or not tostring(job):find "closed client" then
      assert(ok and job, "the client does not work afterwards: " .. tostring(ok and err or job))
      assert(job.id == self.job.id)
    end
  end
end

function World:check_secrets()
  local said = table.concat(self.said, "\n")
  for _, secret in ipairs(SECRETS) do
    local at = said:find(secret, 1, true)
    assert(not at, at and "a secret was told: " .. said:sub(math.max(1, at - 100), at + 60))
  end
end

function World:close()
  for _, client in ipairs(self.clients) do client:close() end
  for _, server in ipairs(self.wires) do server:close() end
  self.clients, self.wires = {}, {}
  collectgarbage()
  collectgarbage()
end

function World:check_files()
  for _, name in ipairs(support.listing(self.directory)) do
    assert(self.known[name] or name == "tmp", "a file was left: " .. name)
  end
  assert(#support.listing(self.directory .. "/tmp") == 0, "a spool was left")
end

--- Runs a case, and asks what is asked of all.
---@param shared table sim, job, certificates
---@param case table
function world.run(shared, case)
  local self = setmetatable({ sim = shared.sim, job = shared.job, certificates = shared.certificates, said = {}, known = {},
    wires = {}, clients = {}, directory = support.scratch("faults/" .. case.id) }, World)
  assert(os.execute("mkdir " .. self.directory .. "/tmp"))
  self.sim:heal()
  self.sim:forget()
  local before = support.descriptors()
  local ok, problem = xpcall(function()
    case.make(self)
    self:check_clients()
  end, debug.traceback)
  self:close()
  if not ok then error(problem, 0) end
  local after = support.descriptors()
  assert(after <= before, ("%d descriptors before, and now %d"):format(before, after))
  self:check_secrets()
  self:check_files()
end

return world
