-- What `make fuzz` runs: each target (or the one that is named) for FUZZ_SECONDS, then the lines that its inputs
-- reach. What is found stays in build/fuzz/found, inputs that reached something new in build/fuzz/corpus.

package.path = "./?.lua;" .. package.path

local targets = require "spec.fuzz.targets"

local SECONDS = tonumber(os.getenv "FUZZ_SECONDS") or 60

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function write_words(words, path)
  local lines = {}
  for i, word in ipairs(words) do
    lines[i] = '"' .. word:gsub("[^%w ]", function(c) return ("\\x%02X"):format(c:byte()) end) .. '"\n'
  end
  write(path, table.concat(lines))
end

local function run(command)
  local ok, _, status = os.execute(command)
  return ok and 0 or status
end

-- --- lines --------------------------------------------------------------------------------------------

-- The lines of a Lua file that hold instructions.
local function lua_lines(path)
  local lines, total = {}, 0
  local listing = assert(io.popen("luac5.4 -p -l -l " .. path))
  for line in listing:lines() do
    local number, instruction = line:match "^%s+%d+%s+%[(%d+)%]%s+(%u+)"
    number = tonumber(number)
    if number and instruction ~= "VARARGPREP" and not lines[number] then lines[number], total = true, total + 1 end
  end
  listing:close()
  return lines, total
end

local function lua_coverage(path, reached)
  local lines, total = lua_lines(path)
  local missing = {}
  for number in pairs(lines) do
    if not reached[path .. ":" .. number] then missing[#missing + 1] = number end
  end
  table.sort(missing)
  return total, missing
end

local function c_coverage(path, profile)
  local report = assert(io.popen(("llvm-cov-14 export -format=lcov -instr-profile=%s build/fuzz/lines %s"):format(profile,
    path)))
  local total, missing = 0, {}
  for line in report:lines() do
    local number, count = line:match "^DA:(%d+),(%d+)"
    if number then
      total = total + 1
      if count == "0" then missing[#missing + 1] = tonumber(number) end
    end
  end
  report:close()
  return total, missing
end

-- "3-7 12"
local function ranges(numbers)
  local parts, from = {}, nil
  for i, number in ipairs(numbers) do
    from = from or number
    if numbers[i + 1] ~= number + 1 then
      parts[#parts + 1], from = from == number and number or from .. "-" .. number, nil
    end
  end
  return table.concat(parts, " ")
end

-- Runs all inputs once more, and counts the lines of what the target aims at.
local function coverage(name, aims, corpora)
  local profile, reached = "build/fuzz/" .. name .. ".profile", {}
  local command = ("find %s -type f -print0 | FUZZ_TARGET=%s FUZZ_LINES=build/fuzz/%s.lines LLVM_PROFILE_FILE=%s.raw "
    .. "xargs -0 -n 1000000 build/fuzz/lines >/dev/null && llvm-profdata-14 merge -o %s %s.raw"):format(corpora, name, name,
    profile, profile, profile)
  if run(command) ~= 0 then return print("  the lines could not be counted") end
  for line in io.lines("build/fuzz/" .. name .. ".lines") do reached[line] = true end
  local hits, lines = 0, 0
  for _, path in ipairs(aims) do
    local total, missing
    if path:find "%.lua$" then total, missing = lua_coverage(path, reached)
    else total, missing = c_coverage(path, profile) end
    print(("  %-24s %4d of %4d lines, %5.1f %%%s"):format(path, total - #missing, total,
      100 * (total - #missing) / math.max(total, 1), missing[1] and "; not: " .. ranges(missing) or ""))
    hits, lines = hits + total - #missing, lines + total
  end
  if not aims[1] then return end
  print(("  %-24s %4d of %4d lines, %5.1f %%"):format("together", hits, lines, 100 * hits / math.max(lines, 1)))
end

-- --- targets ------------------------------------------------------------------------------------------

local function fuzz(target)
  local name = target.name
  local words, log = "build/fuzz/" .. name .. ".words", "build/fuzz/" .. name .. ".log"
  local found, corpus, seeds = "build/fuzz/found/", "build/fuzz/corpus/" .. name, "spec/fuzz/corpus/" .. name
  write_words(target.words, words)
  assert(run(("mkdir -p %s %s"):format(found, corpus)) == 0)
  local status = run(("FUZZ_TARGET=%s build/fuzz/target -max_total_time=%d -max_len=1024 -timeout=20 -detect_leaks=0 "
    .. "-entropic_scale_per_exec_time=1 -print_final_stats=1 -dict=%s -artifact_prefix=%s%s- %s %s >%s 2>&1"):format(name,
    SECONDS, words, found, name, corpus, seeds, log))
  local text = read(log)
  print(("%-8s %8s executions, %s"):format(name, text:match "number_of_executed_units: *(%d+)" or "?",
    status == 0 and "nothing found" or "FOUND: see " .. log))
  if status ~= 0 then io.write("  ", text:match("\n(" .. name .. ": [^\n]*)") or text:match "SUMMARY: [^\n]*" or "", "\n") end
  if target.marks and run(("find %s %s -type f -print0 | FUZZ_TARGET=%s xargs -0 -n 1000000 build/fuzz/portable >>%s 2>&1"):format(
    corpus, seeds, name, log)) ~= 0 then
    print("  FOUND without SSE2 and ISA-L: see " .. log)
    status = 1
  end
  coverage(name, target.aims, corpus .. " " .. seeds)
  return status == 0
end

-- Made-up tables, as Python's csv reads and writes them.
local function compare()
  return run("/usr/bin/python3 spec/fuzz/tables.py " .. SECONDS) == 0
end

io.stdout:setvbuf "line"
local sound = true
for _, target in ipairs(targets) do
  if not arg[1] or arg[1] == target.name then sound = fuzz(target) and sound end
end
if not arg[1] or arg[1] == "tables" then sound = compare() and sound end
os.exit(sound)
