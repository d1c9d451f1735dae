--- The figures of a soak, and what they must be.

local support = require "spec.support"

local process = assert(package.loadlib(support.native "process.so", "luaopen_process"))()

local figures = {}

local Figures = {}
Figures.__index = Figures

-- How many of the problems are shown.
local SHOWN = 20

--- Something that must not happen: "lost", "wrong", "stuck" or "stray".
function Figures:problem(kind, text)
  self.problems[kind] = self.problems[kind] + 1
  if #self.texts < SHOWN then self.texts[#self.texts + 1] = kind .. ": " .. text end
end

--- An error that a call told of: that is as it should be.
function Figures:told(what, err)
  local key = ("%s: %s"):format(what, err.kind)
  self.errors[key] = (self.errors[key] or 0) + 1
end

--- How often each kind of fault has struck.
function Figures:struck_by(counts)
  for kind, count in pairs(counts) do self.struck[kind] = (self.struck[kind] or 0) + count end
end

-- Of what is in use: how much the heap keeps besides depends on what met by chance.
local function rss()
  process.trim()
  return tonumber(support.read "/proc/self/status":match "VmRSS:%s*(%d+)")
end

--- What the process has in use now, when nothing is going on.
function Figures:measure()
  collectgarbage()
  collectgarbage()
  local open, sockets = 0, 0
  local listing = os.tmpname() -- (of a pipe to read from, the other end may still be open here)
  assert(os.execute("ls -l /proc/$PPID/fd > " .. listing))
  for target in support.read(listing):gmatch "-> ([^\n]+)" do
    if target:find "^socket:" then sockets = sockets + 1 else open = open + 1 end
  end
  os.remove(listing)
  self.samples[#self.samples + 1] = { lua = collectgarbage "count" // 1, rss = rss(), open = open, sockets = sockets }
end

-- --- the end -----------------------------------------------------------------------------------------

local function sorted(counts)
  local names, parts = {}, {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = ("%s %d"):format(name, counts[name]) end
  return table.concat(parts, ", ")
end

-- KiB, and descriptors, that may be more at the end than in the middle: a heap is never quite the same.
local SLACK = { lua = 256, rss = 4096, open = 0 }

function Figures:middle() return self.samples[(#self.samples + 1) // 2] end

-- Until the middle the heap finds its size; from there on nothing grows. Sockets that are kept for the next call
-- may be there or not.
function Figures:grown()
  local middle, last = self:middle(), self.samples[#self.samples]
  local names = {}
  for _, name in ipairs { "lua", "rss", "open" } do
    if last[name] > middle[name] + SLACK[name] then names[#names + 1] = name end
  end
  if last.sockets > self.kept then names[#names + 1] = "sockets" end
  return names
end

--- Prints all, and says whether it is as it must be.
---@return boolean
function Figures:close()
  print(("%d jobs, %d files compared, %d tries again by the client"):format(self.jobs, self.files, self.retries))
  print("faults that struck: " .. sorted(self.struck))
  print("errors that calls told: " .. sorted(self.errors))
  local places = { { "start", self.samples[1] }, { "middle", self:middle() }, { "end", self.samples[#self.samples] } }
  for _, place in ipairs(places) do
    local at = place[2]
    print(("%-7s RSS %d KiB, Lua %d KiB, %d descriptors and %d sockets"):format(place[1], at.rss, at.lua, at.open, at.sockets))
  end
  local all = {}
  for i, sample in ipairs(self.samples) do all[i] = sample.rss end
  print("RSS, one measurement after another: " .. table.concat(all, " "))
  for _, text in ipairs(self.texts) do print(text) end
  local problems, grown = self.problems, self:grown()
  print(("lost %d, wrong files %d, stuck tasks %d, stray files %d, grown: %s"):format(problems.lost, problems.wrong,
    problems.stuck, problems.stray, #grown > 0 and table.concat(grown, ", ") or "nothing"))
  return #grown == 0 and problems.lost + problems.wrong + problems.stuck + problems.stray == 0
end

---@param kept integer sockets that may be kept for the next call
function figures.new(kept)
  return setmetatable({ jobs = 0, files = 0, retries = 0, errors = {}, struck = {}, samples = {}, texts = {}, kept = kept,
    problems = { lost = 0, wrong = 0, stuck = 0, stray = 0 } }, Figures)
end

return figures
