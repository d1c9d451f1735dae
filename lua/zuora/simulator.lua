--- A local Zuora, to try scripts against without a tenant: a process of its own on 127.0.0.1.
--
--     local sim <close> = require "zuora.simulator".start()
--     local client <close> = zuora.new {
--       base_url = sim.url, client_id = sim.client_id, client_secret = sim.client_secret,
--     }

local core = require "zuora.core"
local json = require "zuora.simulator.json"
local tenant = require "zuora.simulator.tenant"

local simulator = {}

---@class zuora.Simulator
local Simulator = {}
Simulator.__index = Simulator
Simulator.__name = "zuora.Simulator"

-- Seconds to wait for the address.
local START_LIMIT = 10

local function shell_quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The child runs the same files as we do, on the first Lua that is fit for them.
local function command_line(lua, address_file)
  local program = ("package.path=%q package.cpath=%q require'zuora.simulator.main'()")
    :format(package.path, package.cpath)
  local interpreter = lua and shell_quoted(lua)
    or '"$(command -v lua5.4 || command -v lua5.5 || command -v lua54 || command -v lua)"'
  return ("exec %s -e %s > %s"):format(interpreter, shell_quoted(program:gsub("\\\n", "\\n")),
    shell_quoted(address_file))
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

--- Starts a simulator.
---@param settings table|nil what differs from the built-in tenant (client_id, client_secret, username, password,
--- token_life (s), looks, reports, objects), `port` (0: any), `lua` (the interpreter)
---@return zuora.Simulator sim with sim.url and the credentials; raises when it cannot be started
function simulator.start(settings)
  settings = settings or {}
  local sent = {}
  for name, value in pairs(settings) do
    if name ~= "lua" then sent[name] = value end
  end
  local address_file = os.tmpname()
  local child = assert(io.popen(command_line(settings.lua, address_file), "w"))
  child:setvbuf("no")
  child:write(next(sent) and json.encode(sent) or "", "\n")
  local session = core.session {}
  local url = read_address(address_file, session)
  os.remove(address_file)
  if not url then
    child:close()
    error("the simulator did not start (is LuaSocket installed for this Lua?)", 2)
  end
  local self = { url = url, child = child, session = session }
  for _, name in ipairs { "client_id", "client_secret", "username", "password" } do
    self[name] = settings[name] or tenant.defaults[name]
  end
  return setmetatable(self, Simulator)
end

-- A request to the admin path; answers what is in its JSON.
function Simulator:admin(method, path, value)
  local request <close> = assert(self.session:start {
    method = method, url = self.url .. "/_simulator/" .. path, body = value and json.encode(value),
    headers = value and { ["Content-Type"] = "application/json" } or nil, proxy = "",
  })
  while not request:finished() do self.session:step(1) end
  local response = assert(request:response())
  local answer = json.decode(response.body) or {}
  if response.status ~= 200 then error(answer.message or response.body, 3) end
  return answer
end

--- Makes requests go wrong; see zuora.simulator.faults for the kinds.
---@param fault table
function Simulator:fault(fault) self:admin("POST", "fault", fault) end

--- Takes back all faults that have not struck.
function Simulator:heal() self:admin("DELETE", "fault") end

--- Every request so far: method, path, target, headers (secrets masked), body, connection,
--- time (seconds since the simulator started).
---@return table[]
function Simulator:journal() return self:admin("GET", "journal").journal end

--- Starts a new journal.
function Simulator:forget() self:admin("DELETE", "journal") end

--- Lets time pass for the tenant.
---@param seconds number
function Simulator:forward(seconds) self:admin("POST", "clock", { forward = seconds }) end

--- Ends the process. Twice is fine.
function Simulator:stop()
  if not self.child then return end
  local child = self.child
  self.child = nil
  self.session:close()
  child:close()
end

Simulator.__close = Simulator.stop
Simulator.__gc = Simulator.stop

return simulator
