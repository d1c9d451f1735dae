--- A local Zuora, to try scripts against without a tenant.
--
-- `start` makes it a process of its own, which ends with its parent; `open` keeps it in this process, where
-- it moves on with `sim:step` or with the tasks of a client. Either listens on 127.0.0.1, on any free port.
--
--     local sim <close> = require "zuora.simulator".start()
--     local client <close> = zuora.new {
--       base_url = sim.url, client_id = sim.client_id, client_secret = sim.client_secret,
--     }
--
-- LuaSocket is needed; LuaSec and the openssl program for TLS; lua-zlib for gzip and zip.

local core = require "zuora.core"

local simulator = {}

---@class zuora.Simulator
---@field url string
---@field client_id string
---@field client_secret string
---@field username string
---@field password string
---@field app any of one in this process
---@field private session any of a child: what talks to it
---@field private child any
---@field private server any
---@field private tls any
---@field ca_file string|nil of a simulator with TLS: what a client has to trust
local Simulator = {}
Simulator.__index = Simulator
Simulator.__name = "zuora.Simulator"

-- Seconds to wait for the child's address.
local START_LIMIT = 10

-- Seconds between two looks at the network, inside another's loop, when nothing happens.
local IDLE = 0.002

-- The parts of the simulator are loaded when one is made: they need LuaSocket.
local function part(name) return require("zuora.simulator." .. name) end

-- --- starting ----------------------------------------------------------------------------------------

local function shell_quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The child runs the same files as we do, on the first Lua that is fit for them. When it ends without a
-- word, the shell says so in its place.
local function command_line(lua, settings_file, address_file)
  local program = ("package.path=%q package.cpath=%q require'zuora.simulator.main'(nil, %q)")
    :format(package.path, package.cpath, settings_file)
  local interpreter = lua and shell_quoted(lua)
    or '"$(command -v lua5.4 || command -v lua5.5 || command -v lua54 || command -v lua)"'
  return ("SIMULATOR_PARENT=$PPID %s -e %s > %s || echo error: it ended at once >> %s"):format(interpreter,
    shell_quoted(program:gsub("\\\n", "\\n")), shell_quoted(address_file), shell_quoted(address_file))
end

-- A file for the settings, which a program's arguments or a pipe might not hold.
local function write_settings(settings)
  local text = part "engine.json".encode(next(settings) and settings or { looks = 1 })
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
  return path
end

-- The files of a certificate that was made here.
local function remove_own(tls)
  if not (tls and tls.name) then return end
  for _, path in ipairs { tls.name, tls.key, tls.certificate } do os.remove(path) end
end

local function read_address(path, session)
  local ends_at = core.now() + START_LIMIT
  repeat
    local file = assert(io.open(path))
    local line = file:read("L")
    file:close()
    if line and line:sub(-1) == "\n" then return line:sub(1, -2) end
    session:step(0.01)
  until core.now() > ends_at
  return nil
end

-- A certificate for 127.0.0.1 that signs itself: three files that are removed at the end.
local function certificate_new()
  local name = os.tmpname()
  local tls = { name = name, key = name .. ".key", certificate = name .. ".pem" }
  local ok = os.execute(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
    .. "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout %s -out %s 2>/dev/null")
    :format(shell_quoted(tls.key), shell_quoted(tls.certificate)))
  if not ok then error("TLS needs the openssl program to make a certificate", 3) end
  return tls
end

local function new(settings, fields)
  local defaults = part "engine.tenant".defaults
  for _, name in ipairs { "client_id", "client_secret", "username", "password" } do
    fields[name] = settings[name] or defaults[name]
  end
  return setmetatable(fields, Simulator)
end

-- The user's settings, with the files for TLS when that is asked for.
local function prepared(settings)
  local all = {}
  for name, value in pairs(settings or {}) do all[name] = value end
  if all.tls == true then all.tls = certificate_new() end
  return all, all.tls and all.tls.certificate
end

--- Starts a simulator as a process of its own.
---@param settings table|nil what differs from the built-in tenant: client_id, client_secret, username,
--- password, token_life (s), looks or seconds (how long each status lasts), objects, reports, report_labels,
--- answers, concurrent_jobs, segment_rows, partners, link_life (s), requests_per_minute, concurrent_requests,
--- query_rows, file_bytes, turn_columns, ignore_keys (see engine/tenant.lua);
--- and port (0: any), tls (true, or { key =, certificate = }),
--- lua (the interpreter)
---@return zuora.Simulator sim raises when it cannot be started
function simulator.start(settings)
  local all, ca_file = prepared(settings)
  local lua = all.lua
  all.lua = nil
  local settings_file, address_file = write_settings(all), os.tmpname()
  local child = assert(io.popen(command_line(lua, settings_file, address_file), "w"))
  child:setvbuf("no")
  local session = core.session {}
  local url = read_address(address_file, session)
  os.remove(address_file)
  os.remove(settings_file)
  if not url or not url:find "^http" then
    child:close()
    remove_own(all.tls)
    error("the simulator did not start: " .. (url and url:gsub("^error: ", "") or "no word from it"), 2)
  end
  return new(all, { url = url, child = child, session = session, ca_file = ca_file, tls = all.tls })
end

--- Opens a simulator in this process. It does nothing by itself: see sim:step and sim:serve.
---@param settings table|nil as for start
---@return zuora.Simulator sim
function simulator.open(settings)
  local all, ca_file = prepared(settings)
  local ok, app, server = pcall(function()
    local app = part "http.app".new(part "engine.tenant".new(all))
    return app, part "http.server".new(function(request) return app:handle(request) end, all)
  end)
  if not ok then
    remove_own(all.tls)
    error(app, 0)
  end
  return new(all, { url = server.url, app = app, server = server, ca_file = ca_file, tls = all.tls })
end

--- Runs a simulator in this process until it is killed, and prints its address first. For a shell:
--- lua5.4 -e 'require "zuora.simulator".run { port = 8080 }'
---@param settings table|nil as for start
function simulator.run(settings)
  part "main"((prepared(settings)))
end

-- --- in this process ---------------------------------------------------------------------------------

--- Moves an open simulator on.
---@param seconds number|nil waits at most so long for something to do (0)
function Simulator:step(seconds)
  if not self.server then error("sim:step is for simulators that were opened, not started", 2) end
  self.server:step(seconds or 0)
end

--- Lets an open simulator move on with the tasks of a client, so that one process is both. Call it outside
--- of client:run: the task goes on until the simulator is stopped.
---@param client zuora.Client
---@return zuora.Task
function Simulator:serve(client)
  if not self.server then error("sim:serve is for simulators that were opened, not started", 2) end
  return client:spawn(function()
    while self.server do
      self.server:step(0)
      client:sleep(IDLE)
    end
  end)
end

-- --- what it is told ---------------------------------------------------------------------------------

-- A request to the admin path; answers what is in its JSON.
function Simulator:admin(method, path, value)
  local json = part "engine.json"
  local status, body
  if not (self.app or self.child) then error("attempt to use a simulator that was stopped", 3) end
  if self.app then
    local response = self.app:handle { method = method, path = "/_simulator/" .. path,
      body = value and json.encode(value) or "" }
    status, body = response.status, response.body
  else
    local request <close> = assert(self.session:start {
      method = method, url = self.url .. "/_simulator/" .. path, body = value and json.encode(value),
      headers = value and { ["Content-Type"] = "application/json" } or nil, proxy = "", ca = self.ca_file,
    })
    while not request:finished() do self.session:step(1) end
    local response = assert(request:response())
    status, body = response.status, response.body
  end
  local answer = json.decode(body) or {}
  if status ~= 200 then error(answer.message or body, 3) end
  return answer
end

--- Makes requests go wrong; see zuora.simulator.http.faults for the kinds.
---@param fault table
function Simulator:fault(fault) self:admin("POST", "fault", fault) end

--- Takes back all faults that have not struck, and outcomes.
function Simulator:heal() self:admin("DELETE", "fault") end

--- Every request so far: method, path, target, headers (secrets masked), body, connection,
--- time (seconds since the simulator started).
---@return table[]
function Simulator:journal() return self:admin("GET", "journal").journal end

--- Starts a new journal.
function Simulator:forget() self:admin("DELETE", "journal") end

--- What the tenant was asked for, whether anybody heard of it or not: its jobs, runs and data queries, each with
--- id and status, and name, report or query; struck: how often each kind of fault has come.
---@return { jobs: table[], runs: table[], queries: table[], struck: table<string, integer> }
function Simulator:held()
  local held = self:admin("GET", "held")
  held.struck = held.struck or {}
  return held
end

--- Lets time pass for the tenant: tokens end, files are purged, jobs are gone.
---@param seconds number
function Simulator:forward(seconds) self:admin("POST", "clock", { forward = seconds }) end

--- Changes rows of an object by their first column, and adds others: the next incremental job finds them. An
--- UpdatedDate that is left empty, or as it was, becomes the present time.
---@param object string
---@param rows table[]
function Simulator:update(object, rows) self:admin("POST", "update", { object = object, rows = rows }) end

--- Deletes rows of an object, by their first column. Jobs that ask for deleted rows find them for 30 days.
---@param object string
---@param ids string[]
function Simulator:delete(object, ids) self:admin("POST", "delete", { object = object, ids = ids }) end

-- --- the end -----------------------------------------------------------------------------------------

--- Ends it. Twice is fine. In a child made by fork it goes on: it is the parent's.
function Simulator:stop()
  if self.session and self.session:inherited() then return end
  if self.server then
    self.server:close()
    self.server = nil
  elseif self.child then
    -- The end of the pipe would do, but another process may have inherited it.
    pcall(self.admin, self, "POST", "stop")
    local child = self.child
    self.child = nil
    self.session:close()
    child:close()
  end
  self.app = nil
  remove_own(self.tls)
  self.tls = nil
end

Simulator.__close = Simulator.stop
Simulator.__gc = Simulator.stop

return simulator
