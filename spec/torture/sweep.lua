--- Drives the host of memory.c over all allocations of a part of job.lua.

local support = require "spec.support"

local sweep = {}

-- A simulator keeps a file open for each result: after so many attempts it is time for another one.
local AT_A_TIME = 100

local TENANT = { concurrent_jobs = 1000, objects = {
  Account = { columns = { "Id", "Name" }, rows = { { "1", "a" }, { "2", "b" }, { "3", "c" } } },
  Invoice = { generate = { rows = 40 } },
} }

-- Where the modules are, for a host that has a core of its own.
local function paths(build)
  local path, cpath = package.path, ("./%s/?.so;%s"):format(build, package.cpath)
  return ("env LUA_PATH_5_4='%s' LUA_CPATH_5_4='%s'"):format(path, cpath)
end

local function new_result() return { tried = 0, count = nil, problems = {} } end

-- One process of the host, from n on. What it printed goes into the result; the next n, or nil at the end.
local function host(result, plan, n, last)
  local at, said_last = n, {}
  local directory = support.scratch "memory"
  local sim <close> = support.simulator(TENANT)
  local command = ("%s %s '%s' %s %d %d %d spec/torture/job.lua %s '%s' '%s' '%s' '%s' 2>&1"):format(paths(plan.build),
    plan.build .. "/spec/torture/memory", plan.who, plan.how, n, last, plan.step, plan.part, sim.url, sim.client_id,
    sim.client_secret, directory)
  local pipe, ended = assert(io.popen(command)), nil
  for line in pipe:lines() do
    local kind, rest = line:match "^(%S+) (.*)$"
    if kind == "@" then
      at, said_last, result.tried = tonumber(rest), {}, result.tried + 1
    elseif kind == "!" then
      result.problems[#result.problems + 1] = { n = at, text = rest }
    elseif kind == "all" then
      result.count, ended = tonumber(rest), true
    elseif kind == "up" then
      ended = true
    else
      said_last[#said_last + 1] = line
    end
  end
  local ok = pipe:close()
  if not (ok and ended) then
    result.problems[#result.problems + 1] = { n = at, text = "the process ended: " .. table.concat(said_last, "\n") }
  end
  return not result.count and at + plan.step or nil
end

--- Fails one allocation after another, until none is left to fail.
---@param plan { who: string, how: "from"|"only", part: string, step: integer, first: integer|nil, build: string } see
--- memory.c and job.lua; build: where the host and the core are
---@return { tried: integer, count: integer, problems: { n: integer, text: string }[] } result count: allocations
function sweep.run(plan)
  assert(os.execute(("make -s BUILD=%s %s/spec/torture/memory"):format(plan.build, plan.build)))
  local result, n = new_result(), plan.first or 1
  while n do n = host(result, plan, n, n + (AT_A_TIME - 1) * plan.step) end
  return result
end

--- What went wrong, a line for each.
---@param is_excused fun(problem: { n: integer, text: string }): boolean
function sweep.told(result, is_excused)
  local lines = {}
  for _, problem in ipairs(result.problems) do
    if not is_excused(problem) then lines[#lines + 1] = ("n = %d: %s"):format(problem.n, problem.text) end
  end
  return table.concat(lines, "\n")
end

return sweep
