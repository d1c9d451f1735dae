--- Contenders take turns at a work, and of what each of them spent the median counts: CPU seconds of its process
--- alone, which do not ask who else was there. What the hypervisor took away from is done again.

local measure = {}

-- The part of all processor time that may be stolen, and how often a run is tried.
local STOLEN, TRIES = 0.08, 4

local ENVIRONMENT = "export LUA_PATH_5_4='./?.lua;./lua/?.lua;./lua/?/init.lua;;' "
  .. "LUA_CPATH_5_4='./build/?.so;./build/bench/?.so;;'; "

--- Runs that were done again, and those that stayed as they were.
measure.repeated, measure.disturbed = 0, 0

local function processor_times()
  local file = assert(io.open "/proc/stat")
  local line = file:read "l"
  file:close()
  local total, column, stolen = 0, 0, 0
  for ticks in line:gmatch "%d+" do
    column = column + 1
    if column <= 8 then total = total + tonumber(ticks) end
    if column == 8 then stolen = tonumber(ticks) end
  end
  return stolen, total
end

-- One run: what it printed, as a table; or nil, and all that it printed.
local function run_once(command)
  local pipe = assert(io.popen(ENVIRONMENT .. command .. " 2>&1"))
  local text = pipe:read "a"
  local done = pipe:close()
  local line = text:match "(cpu=[^\n]*)\n$"
  if not done or not line then return nil, text end
  local result = {}
  for name, value in line:gmatch "(%w+)=(%S+)" do result[name] = tonumber(value) end
  return result
end

local function run_undisturbed(contender)
  for try = 1, TRIES do
    if contender.before then contender.before() end
    local stolen, total = processor_times()
    local result, problem = run_once(contender.command)
    local stolen_after, total_after = processor_times()
    if not result then return nil, problem end
    if stolen_after - stolen <= STOLEN * (total_after - total) then return result end
    if try < TRIES then measure.repeated = measure.repeated + 1 else measure.disturbed = measure.disturbed + 1 end
    if try == TRIES then return result end
  end
end

---@param values number[]
---@return number
function measure.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local half = #sorted // 2
  return #sorted % 2 == 1 and sorted[half + 1] or (sorted[half] + sorted[half + 1]) / 2
end

-- All have done the same? The floor, which comes first, says what that is.
local function compare(contender, result, first)
  for _, name in ipairs { "count", "check" } do
    if result[name] ~= first[name] then
      return nil, ("%s: %s %s, and should be %s"):format(contender.command, name, result[name], first[name])
    end
  end
  return true
end

--- The contenders of a work, one after another, and again.
---@param contenders { name: string, command: string, rounds: integer, before: function|nil, peer: boolean|nil }[] the
--- first is the floor; a peer that fails is told of and left out, all else is an error
---@param rounds integer
---@param loose boolean|nil the counts may differ
---@return table<string, table[]> results by name, a table of a run's numbers for each round
function measure.alternate(contenders, rounds, loose)
  local results = {}
  for round = 1, rounds do
    for _, contender in ipairs(contenders) do
      local list = results[contender.name] or {}
      results[contender.name] = list
      if round <= contender.rounds and not list.failed then
        local result, problem = run_undisturbed(contender)
        if result and not loose then
          local same
          same, problem = compare(contender, result, results[contenders[1].name][1] or result)
          result = same and result
        end
        if result then
          list[#list + 1] = result
        elseif contender.peer then
          list.failed = true
          io.stderr:write(contender.name, " is left out: ", problem, "\n")
        else
          error(contender.command .. ": " .. problem, 0)
        end
      end
    end
  end
  return results
end

return measure
