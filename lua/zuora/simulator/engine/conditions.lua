--- What a condition of a query says of a row: true, false, or nil for what cannot be known, as SQL has it.
--
-- A tree becomes one function of a row and its group. Two traps of the real thing are kept: a datetime with a
-- blank in it is ignored, and an upper bound with fractions of a second lets no row through.

local times = require "zuora.simulator.engine.times"

local conditions = {}

local BLANK_IN_DATETIME = "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d"
local FRACTION = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d"

local NUMERIC = { decimal = true, number = true }
local TIMES = { date = true, datetime = true, time = true }

-- --- comparing ---------------------------------------------------------------------------------------

local function sign_of(a, b) return a < b and -1 or a > b and 1 or 0 end

local function by_text(a, b) return sign_of(tostring(a), tostring(b)) end

local function by_number(a, b)
  a, b = tonumber(a), tonumber(b)
  return a and b and sign_of(a, b)
end

-- A moment lies before a day, in it, or after it.
local function by_time(a, from, to)
  local moment = times.of(tostring(a))
  if not moment or not from then return nil end
  return moment < from and -1 or (to and moment >= to or not to and moment > from) and 1 or 0
end

local function moment_of(value) return (times.of(tostring(value))) end
local function number_of(value) return math.type(value) and value end

--- How values of a type are sorted: nothing first, then what is of the type, then what is not.
---@param kind string a type of a field
---@return fun(a: any, b: any): integer -1, 0 or 1
function conditions.order(kind)
  local of_kind = NUMERIC[kind] and tonumber or TIMES[kind] and moment_of or number_of
  local function place(value)
    if value == nil then return 0, 0 end
    local number = of_kind(value)
    if number then return 1, number end
    return 2, tostring(value)
  end
  return function(a, b)
    local rank_a, key_a = place(a)
    local rank_b, key_b = place(b)
    if rank_a ~= rank_b then return sign_of(rank_a, rank_b) end
    return sign_of(key_a, key_b)
  end
end

local HOLDS = {
  ["="] = function(order) return order == 0 end,
  ["!="] = function(order) return order ~= 0 end,
  ["<"] = function(order) return order == -1 end,
  [">"] = function(order) return order == 1 end,
  ["<="] = function(order) return order == -1 or order == 0 end,
  [">="] = function(order) return order == 1 or order == 0 end,
}

-- The moment or the day that a literal names, as a function of any text; else as a function of that text.
local function time_on(right, now)
  if not right.literal then return times.of end
  local from, to = times.of(right.literal)
  if not from then from, to = times.relative(right.literal, now) end
  return function() return from, to end, from ~= nil
end

-- The way to compare these two, by what they are.
local function way_of(left, right, now)
  if right.kind == "word" then
    return function(a, b) return sign_of(tostring(a):lower(), b) end
  elseif NUMERIC[left.kind] or NUMERIC[right.kind] then
    return by_number
  end
  local time_of, names_time = time_on(right, now)
  local is_time = names_time or TIMES[left.kind] or TIMES[right.kind]
  return function(a, b)
    if math.type(a) and tonumber(b) then return by_number(a, b) end
    return is_time and by_time(a, time_of(tostring(b))) or by_text(a, b)
  end
end

-- Nothing is known of what is compared with nothing.
local function comparison(left, sign, right, now)
  local holds, way = HOLDS[sign], way_of(left, right, now)
  local quoted = right.kind == "text" and right.literal or ""
  if quoted:match(BLANK_IN_DATETIME) then return function() return true end end
  if quoted:match(FRACTION) and (sign == "<" or sign == "<=") then return function() return false end end
  return function(row, group)
    local a, b = left.get(row, group), right.get(row, group)
    if a == nil or b == nil then return nil end
    return holds(way(a, b))
  end
end

-- % stands for any text, _ for one character.
local function pattern_of(text)
  return "^" .. text:lower():gsub("%p", function(c)
    return c == "%" and ".*" or c == "_" and utf8.charpattern or "%" .. c
  end) .. "$"
end

-- --- trees -------------------------------------------------------------------------------------------

local LITERALS = { text = true, number = true, word = true, time = true }

local function side_of(node, scope)
  if not LITERALS[node.op] then return scope:value(node) end
  return { kind = node.op, literal = node.text, get = function() return node.text end }
end

local build = {}

--- Makes a function of a tree.
---@param node table
---@param scope { now: number } with a method `value`, which gives { kind, get(row, group) } for a field or a call
---@return fun(row: any[], group: table|nil): boolean|nil
function conditions.new(node, scope)
  return (build[node.op] or build.comparison)(node, scope)
end

build["and"] = function(node, scope)
  local first, second = conditions.new(node[1], scope), conditions.new(node[2], scope)
  return function(row, group)
    local a = first(row, group)
    if a == false then return false end
    local b = second(row, group)
    if b == false then return false end
    if a and b then return true end
    return nil
  end
end

build["or"] = function(node, scope)
  local first, second = conditions.new(node[1], scope), conditions.new(node[2], scope)
  return function(row, group)
    local a = first(row, group)
    if a then return true end
    local b = second(row, group)
    if b then return true end
    if a == nil or b == nil then return nil end
    return false
  end
end

build["not"] = function(node, scope)
  local inner = conditions.new(node[1], scope)
  return function(row, group)
    local a = inner(row, group)
    if a == nil then return nil end
    return not a
  end
end

function build.null(node, scope)
  local value = scope:value(node[1])
  return function(row, group) return value.get(row, group) == nil end
end

build["in"] = function(node, scope)
  local tests = {}
  for i, literal in ipairs(node[2]) do tests[i] = conditions.new({ op = "=", node[1], literal }, scope) end
  return function(row, group)
    for _, test in ipairs(tests) do
      local found = test(row, group)
      if found ~= false then return found end
    end
    return false
  end
end

function build.like(node, scope)
  local value, pattern = scope:value(node[1]), pattern_of(node[2].text)
  return function(row, group)
    local a = value.get(row, group)
    if a == nil then return nil end
    return tostring(a):lower():match(pattern) ~= nil
  end
end

function build.comparison(node, scope)
  return comparison(side_of(node[1], scope), node.op, side_of(node[2], scope), scope.now)
end

return conditions
