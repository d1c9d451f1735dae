--- The program itself, as a shell runs it: a process of its own with words, an environment and streams.

local core = require "zuora.core"
local support = require "spec.support"

local program = {}

-- What the machine's own environment says is none of a spec's business. (Empty is not set.)
local NOTHING = {}
for _, name in ipairs { "ENVIRONMENT", "BASE_URL", "CLIENT_ID", "CLIENT_SECRET", "TOKEN", "USERNAME", "PASSWORD", "LEGACY",
  "ENTITY_ID", "PROFILE", "CA_FILE" } do NOTHING["ZUORA_" .. name] = "" end
for _, name in ipairs { "http_proxy", "https_proxy", "all_proxy", "XDG_CONFIG_HOME", "NO_COLOR", "CLICOLOR_FORCE" } do
  NOTHING[name] = ""
end

--- What a home without anything in it is.
program.HOME = support.scratch "cli-home"

--- Where no call is tried twice: specs need not wait for that.
program.IMPATIENT = { XDG_CONFIG_HOME = support.scratch "cli-impatient" }
assert(os.execute("mkdir " .. program.IMPATIENT.XDG_CONFIG_HOME .. "/zuora"))
support.write(program.IMPATIENT.XDG_CONFIG_HOME .. "/zuora/config.json", '{"profiles":{"default":{"retries":0}}}')

local function quoted(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

program.quoted = quoted

--- What talks to a simulator.
function program.environment_of(sim)
  return { ZUORA_BASE_URL = sim.url, ZUORA_CLIENT_ID = sim.client_id, ZUORA_CLIENT_SECRET = sim.client_secret,
    ZUORA_CA_FILE = sim.ca_file }
end

--- Assignments for a shell.
function program.assignments(...)
  local all = { HOME = program.HOME, LUA_PATH_5_4 = package.path, LUA_CPATH_5_4 = package.cpath }
  for name, value in pairs(NOTHING) do all[name] = value end
  for i = 1, select("#", ...) do
    for name, value in pairs((select(i, ...))) do all[name] = value end
  end
  local list = {}
  for name, value in pairs(all) do list[#list + 1] = name .. "=" .. quoted(value) end
  return table.concat(list, " ")
end

--- Runs a line of a shell in which $zuora is the program.
---@param line string
---@param environment table|nil
---@return { out: string, err: string, code: integer }
function program.shell(line, environment)
  local out, err, script = os.tmpname(), os.tmpname(), os.tmpname()
  support.write(script, ("export %s\nzuora='lua5.4 lua/bin/zuora'\n%s\n"):format(program.assignments(environment or {}),
    line))
  local _, how, code = os.execute(("bash %s > %s 2> %s < /dev/null"):format(script, out, err))
  local result = { out = support.read(out), err = support.read(err), code = how == "exit" and code or 128 + code }
  for _, path in ipairs { out, err, script } do os.remove(path) end
  return result
end

-- Waits until it is there, as whoever is asked says.
local function wait_for(what, is_there)
  local pause <close> = core.session {}
  local ends_at = core.now() + 20
  local found = is_there()
  while not found do
    assert(core.now() < ends_at, what)
    pause:step(0.01)
    found = is_there()
  end
  return found
end

--- Runs the program, and sends it a signal as soon as something is so.
---@param words string
---@param environment table
---@param is_ready fun(pid: string, err: string): boolean asked again and again; err: what has been told so far
---@param signal string|nil ("INT", as Ctrl-C sends it)
---@return { err: string, code: integer, seconds: number } result seconds: from the signal to its end
function program.interrupted(words, environment, is_ready, signal)
  local path = support.scratch "cli-interrupted"
  support.write(path .. "/script", ("export %s\nlua5.4 lua/bin/zuora %s < /dev/null > %s/out 2> %s/err &\n"
    .. "echo $! > %s/pid.new; mv %s/pid.new %s/pid; wait $!; echo $? > %s/code\n"):format(
    program.assignments(environment), words, path, path, path, path, path, path))
  local pipe = assert(io.popen("bash " .. path .. "/script"))
  local pid = wait_for("it did not start", function() return support.read(path .. "/pid") end):match "%d+"
  local ready, problem = pcall(wait_for, "it did not get on", function()
    return is_ready(pid, support.read(path .. "/err") or "")
  end)
  local at = core.now()
  assert(os.execute(("kill -%s %s"):format(signal or "INT", pid)))
  local code = wait_for("it did not end", function()
    return (support.read(path .. "/code") or ""):match "^(%d+)\n"
  end)
  local seconds = core.now() - at
  pipe:close()
  assert(ready, problem)
  return { code = tonumber(code), seconds = seconds, out = support.read(path .. "/out"),
    err = support.read(path .. "/err") }
end

--- Runs the program.
---@param words string as a shell reads them
---@param environment table|nil
function program.run(words, environment) return program.shell("$zuora " .. words, environment) end

--- The same, against a simulator: gives standard output of what ends well, and nothing else.
---@param sim zuora.Simulator
function program.on(sim)
  local environment = program.environment_of(sim)
  local function run(words, more)
    local all = {}
    for name, value in pairs(environment) do all[name] = value end
    for name, value in pairs(more or {}) do all[name] = value end
    return program.run(words, all)
  end
  return run, function(words, more)
    local result = run(words, more)
    assert(result.code == 0, words .. ": " .. result.code .. ": " .. result.err)
    return result.out, result.err
  end
end

return program
