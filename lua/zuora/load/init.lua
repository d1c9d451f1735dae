--- Where extracted files are loaded into: a database that has every row once, and the marks.

local core = require "zuora.core"
local disk = require "zuora.extract.base.disk"

local raise = require "zuora.error".raise

local load = {}

local SCHEMES = { sqlite = "zuora.load.sqlite",
  postgresql = "zuora.load.postgresql", postgres = "zuora.load.postgresql" }

-- A pause where there are no other tasks.
local function alone(seconds)
  local session <close> = core.session {}
  session:step(seconds)
end

-- A database is made where there is none, but no folder for it: the place may be a mistake.
local function check_folder(path, output)
  local folder = path:match "^(.*)/[^/]*$"
  if not folder or folder == "" or folder == output or disk.is_folder(folder) then return end
  raise("plan", "load.to: sqlite:%s: there is no folder %s", path, folder)
end

-- Where a target is, the module of its kind, and is it a file?
local function place_of(spec)
  local scheme, rest = spec.to:match "^(%l+):(.*)$"
  if not SCHEMES[scheme or ""] then
    raise("plan", "load.to: '%s' is no target: sqlite:PATH, or postgresql://… expected", spec.to)
  end
  -- psql is given it as an argument.
  if spec.to:find "//[^/@]*:[^/@]*@" or spec.to:find "[?&]password=" then
    raise("plan", "load.to: a password in it would be seen in the list of processes: leave it to ~/.pgpass, or to a "
      .. "service")
  end
  local is_file = scheme == "sqlite"
  return is_file and rest:gsub("^//", "") or spec.to, require(SCHEMES[scheme]), is_file
end

--- Raises when the target of a plan is another's; nothing is made or changed.
---@param spec table
---@param output string
---@param plan string
---@param tenant string
function load.check_owner(spec, output, plan, tenant)
  local place, kind, is_file = place_of(spec)
  if is_file then check_folder(place, output) end
  kind.check_owner(place, spec, plan, tenant)
end

--- Opens the target of a plan.
---@param spec { to: string, schema: string|nil, columns: "evolve"|"freeze", deletes: "flag"|"remove" }
---@param output string the plan's folder, which may be made later
---@param sleep (fun(seconds: number))|nil lets other tasks go on while a program works
---@param looks boolean|"unless there"|nil nothing is made, and no change is kept; "unless there": so it is where there
--- is no target yet
---@return table target see zuora.load.tables.class
function load.open(spec, output, sleep, looks)
  local place, kind, is_file = place_of(spec)
  if is_file then check_folder(place, output) end
  return kind.open(place, spec, sleep or alone, looks)
end

return load
