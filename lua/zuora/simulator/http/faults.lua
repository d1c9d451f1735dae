--- Faults on demand: which requests go wrong, how often, and how.
--
-- A fault is a table:
--   on      "GET /v1/files/*": method and path; * stands for anything; the method may be *
--   times   how often (1, or "always"); skip: how many requests are spared first (0); rate: how likely it strikes
--           a request that it is for, from 0 to 1 (1)
--   kind    "status": answered with `status`, `headers`, `body`, and nothing is done
--           "delay": `seconds` before it is done
--           "cut", "reset": the connection ends after `after` bytes of the body, or `headers_after` bytes
--             of the headers; without either, instead of an answer (what was asked for is done)
--             (over TLS, a reset is a cut)
--           "stall": the same, but the connection stays open in silence
--           "trickle": `size` bytes (1) at a time, `seconds` (0.001) apart
--           "gzip": a packed answer is spoilt (strikes who accepts gzip): `how` is "flip"
--             (a bit), "cut" (its end is missing, and the
--             length agrees), or "more" (something follows)
--           "envelope": an error in the shape `envelope`, "E1" to "E17",
--             or a variant: "E6b", "E11b", "E15b", "E17b", "E17c"
--           "length": a Content-Length that is `extra` (10) too large
--           "unframed": neither length nor chunks: the body ends with the connection
--           "garbage": `raw` bytes instead of an answer
--           "token": all tokens are taken for expired
--           "outcome": jobs, runs and data queries started from now on end as `job`, `run` and `query` say

local replies = require "zuora.simulator.http.replies"

local faults = {}

local Faults = {}
Faults.__index = Faults

local KINDS = {}
local HOWS = { flip = true, cut = true, more = true }
local NAMES = "status delay cut reset stall trickle length unframed garbage token outcome gzip envelope"
for kind in NAMES:gmatch("%S+") do
  KINDS[kind] = true
end

-- What a fault may say, and as what.
local FIELDS = { on = "string", times = "number", skip = "number", rate = "number", kind = "string", status = "number",
  headers = "table", body = "string", seconds = "number", after = "number", headers_after = "number", size = "number",
  extra = "number", raw = "string", how = "string", envelope = "string", job = "string", run = "string",
  query = "string" }

local function check(fault)
  if type(fault) ~= "table" or not KINDS[fault.kind] then
    error("a fault of one of these kinds expected: " .. NAMES, 0)
  end
  for name, value in pairs(fault) do
    local wanted = FIELDS[name]
    if not wanted then error(("a fault has no field '%s'"):format(tostring(name)), 0) end
    if type(value) ~= wanted and not (name == "times" and value == "always") then
      error(("the field '%s' of a fault is a %s, not a %s"):format(name, wanted, type(value)), 0)
    end
  end
  if fault.size and fault.size < 1 then error("the field 'size' of a fault begins at 1", 0) end
  if fault.how and not HOWS[fault.how] then error("the field 'how' of a fault is flip, cut or more", 0) end
  if fault.kind == "envelope" then replies.envelope(fault.envelope) end -- raises for none
end

--- Adds a fault. Raises for a table that is none, or that says what no fault says.
function Faults:add(given)
  check(given)
  local method, path = (given.on or "* *"):match("^(%S+) (%S+)$")
  if not method then error("a fault is 'on' a method and a path, such as \"GET /v1/files/*\"", 0) end
  local fault = {}
  for name, value in pairs(given) do fault[name] = value end
  fault.method = method ~= "*" and method:upper() or nil
  fault.pattern = "^" .. path:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
  fault.left, fault.spare = fault.times == "always" and math.huge or fault.times or 1, fault.skip or 0
  self[#self + 1] = fault
end

local function accepts_gzip(request)
  return (request.headers["accept-encoding"] or ""):find("gzip", 1, true) ~= nil
end

--- The fault that strikes this request, if any.
---@param request table
---@param canonical string its path, without doubled slashes
function Faults:strike(request, canonical)
  for i, fault in ipairs(self) do
    if (not fault.method or fault.method == request.method) and canonical:match(fault.pattern)
      and (fault.kind ~= "gzip" or accepts_gzip(request))
    then
      if fault.spare > 0 then
        fault.spare = fault.spare - 1
      elseif math.random() < (fault.rate or 1) then
        fault.left = fault.left - 1
        if fault.left <= 0 then table.remove(self, i) end
        self.struck[fault.kind] = (self.struck[fault.kind] or 0) + 1
        return fault
      end
    end
  end
  return nil
end

function Faults:clear()
  for i = #self, 1, -1 do self[i] = nil end
end

--- Spoils packed bytes.
---@param packed string
---@param fault { how: string|nil }
---@return string
function faults.spoil(packed, fault)
  if fault.how == "cut" then return packed:sub(1, -math.min(21, #packed // 2)) end
  if fault.how == "more" then return packed .. "\0\1something else" end
  local middle = #packed // 2
  return packed:sub(1, middle - 1) .. string.char(packed:byte(middle) ~ 0x10) .. packed:sub(middle + 1)
end

--- Faults of which there are none yet. `struck` is how often each kind has struck.
function faults.new() return setmetatable({ struck = {} }, Faults) end

return faults
