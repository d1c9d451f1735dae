--- Faults on demand: which requests go wrong, how often, and how.
--
-- A fault is a table:
--   on      "GET /v1/files/*": method and path; * stands for anything; the method may be *
--   times   how often (1); skip: how many requests are spared first (0)
--   kind    "status": answered with `status`, `headers`, `body`, and nothing is done
--           "delay": `seconds` before it is done
--           "cut", "reset": the connection ends after `after` bytes of the body, or `headers_after` bytes
--             of the headers; without either, instead of an answer (what was asked for is done)
--           "stall": the same, but the connection stays open in silence
--           "trickle": `size` bytes (1) at a time, `seconds` (0.001) apart
--           "gzip": a packed answer is spoilt: `how` is "flip" (a bit), "cut" (its end is missing, and the
--             length agrees), or "more" (something follows)
--           "envelope": an error in the shape `envelope`, "E1" to "E17"
--           "length": a Content-Length that is `extra` (10) too large
--           "unframed": neither length nor chunks: the body ends with the connection
--           "garbage": `raw` bytes instead of an answer
--           "token": all tokens are taken for expired
--           "outcome": jobs and runs started from now on end as `job` and `run` say

local faults = {}

local Faults = {}
Faults.__index = Faults

local KINDS = {}
local NAMES = "status delay cut reset stall trickle length unframed garbage token outcome gzip envelope"
for kind in NAMES:gmatch("%S+") do
  KINDS[kind] = true
end

--- Adds a fault. Raises for a table that is none.
function Faults:add(fault)
  if type(fault) ~= "table" or not KINDS[fault.kind] then
    error("a fault of one of these kinds expected: " .. NAMES, 0)
  end
  local method, path = (fault.on or "* *"):match("^(%S+) (%S+)$")
  if not method then error("a fault is 'on' a method and a path, such as \"GET /v1/files/*\"", 0) end
  fault.method = method ~= "*" and method or nil
  fault.pattern = "^" .. path:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
  fault.left, fault.spare = fault.times or 1, fault.skip or 0
  self[#self + 1] = fault
end

--- The fault that strikes this request, if any.
function Faults:strike(request)
  for i, fault in ipairs(self) do
    if (not fault.method or fault.method == request.method) and request.path:match(fault.pattern) then
      if fault.spare > 0 then
        fault.spare = fault.spare - 1
      else
        fault.left = fault.left - 1
        if fault.left <= 0 then table.remove(self, i) end
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

function faults.new() return setmetatable({}, Faults) end

return faults
