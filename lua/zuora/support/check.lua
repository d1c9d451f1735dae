--- Checks of arguments. Misuse raises, with the names of the function and of the argument, before
-- anything is sent.

local core = require "zuora.core"

local check = {}

-- Where the files of this module are, as Lua names them.
local OURS = debug.getinfo(1, "S").source:match "^(.*[/\\])support[/\\]" or "="

--- Raises at the line of the user's that led here, however many functions of this module are between.
---@param message string
function check.misuse(message)
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and (info.what == "C" or info.source:sub(1, #OURS) == OURS) do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  error(message, info and level or 0)
end

--- Raises as the checks do.
---@param where string the user's function
---@param argument string
---@param problem string
function check.fail(where, argument, problem)
  check.misuse(("bad argument '%s' to %s (%s)"):format(argument, where, problem))
end

-- A value for a message: short, printable.
local function shown(value)
  if type(value) ~= "string" then return type(value) end
  local text = ("%q"):format(value:sub(1, 40)):gsub("\\\n", "\\n")
  if utf8.len(text) then return text end
  return (text:gsub("[\128-\255]", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

local function is_finite(value)
  return value == value and value ~= math.huge and value ~= -math.huge
end

-- What each type of option must be: a test, and the words for it. Text is UTF-8, as JSON must be, unless the
-- type takes any `bytes`.
local types = {}

types.string = { function(v) return type(v) == "string" and v ~= "" end, "non-empty string" }
types.string_or_empty = { function(v) return type(v) == "string" end, "string" }
types.text = { function(v) return type(v) == "string" and v ~= "" and not v:find("[\0-\31\127]") end,
  "non-empty string without control characters" }
-- For what is not sent as text: paths, secrets, headers.
types.line = { types.text[1], types.text[2], bytes = true }
types.boolean = { function(v) return type(v) == "boolean" end, "boolean" }
types.table = { function(v) return type(v) == "table" end, "table" }
types["function"] = { function(v)
  if type(v) == "function" then return true end
  local meta = type(v) == "table" and getmetatable(v)
  return type(meta) == "table" and meta.__call ~= nil
end, "function" }
types.seconds = { function(v) return type(v) == "number" and v > 0 and is_finite(v) end,
  "number of seconds above 0" }
-- A limit may be infinite, and may be 0: look once, and do not wait.
types.limit = { function(v) return type(v) == "number" and v >= 0 end, "number of seconds, 0 or more" }
types.delay = { function(v) return type(v) == "number" and v >= 0 and is_finite(v) end,
  "finite number of seconds, 0 or more" }
types.fraction = { function(v) return type(v) == "number" and v >= 0 and v <= 1 end, "number from 0 to 1" }
types.factor = { function(v) return type(v) == "number" and v >= 1 and is_finite(v) end, "number, 1 or more" }
types.count = { function(v) return math.type(v) == "integer" and v >= 0 end, "integer, 0 or more" }
types.positive = { function(v) return math.type(v) == "integer" and v >= 1 end, "integer, 1 or more" }
types.integer = { function(v) return math.type(v) == "integer" end, "integer" }
types.any = { function() return true end, "value", bytes = true }
types.id = { core.is_id, "id of letters, digits, - and _", bytes = true }
-- A list has no holes, and nothing else.
local function is_list(v)
  if type(v) ~= "table" then return false end
  local count, size = 0, #v
  for _ in pairs(v) do count = count + 1 end
  return count == size
end

types.array = { is_list, "list (1, 2, 3 … without holes)" }
types.list = { function(v) return is_list(v) and #v > 0 end, "list (1, 2, 3 … without holes) of at least one" }
types.json = { function(v)
  local ok, text = pcall(core.encode, { v })
  if not ok and text:find "^not enough memory" then error(text, 0) end -- which says nothing about the value
  return ok and utf8.len(text) ~= nil
end, "value that JSON can hold (its text UTF-8)" }
types.json_table = { function(v) return type(v) == "table" and types.json[1](v) end,
  "table that JSON can hold (its text UTF-8)" }
types.segment = { function(v) return types.text[1](v) and v ~= "." and v ~= ".." end,
  "non-empty string without control characters, not '.' or '..'," }

-- Zuora's own rule for Zuora-Track-Id.
types.track_id = { function(v)
  return type(v) == "string" and #v <= 64 and v:match("^[\33-\126][\32-\126]*$") ~= nil and v:sub(-1) ~= " "
    and not v:find("[:;\"']")
end, "1 to 64 printable ASCII characters without : ; \" ' and no blank at either end" }
types.idempotency_key = { function(v)
  return type(v) == "string" and #v >= 1 and #v <= 255 and v:match("^[\33-\126]+$") ~= nil
end, "1 to 255 printable ASCII characters without blanks" }

local HEX4 = ("%x"):rep(4)
local UUID = "^(" .. HEX4 .. HEX4 .. ")%-?(" .. HEX4 .. ")%-?(" .. HEX4 .. ")%-?(" .. HEX4 .. ")%-?("
  .. HEX4:rep(3) .. ")$"

types.entity_id = { function(v) return type(v) == "string" and v:match(UUID) ~= nil end,
  "UUID, with or without hyphens," }

--- The entity id as the header wants it: 8-4-4-4-12.
---@param id string
---@return string
function check.hyphenated(id)
  return (id:gsub(UUID, "%1-%2-%3-%4-%5"))
end

local function test(where, argument, value, type_name, secret)
  local known = types[type_name]
  local wanted
  if known then
    local fits = known[1](value)
    if fits and (known.bytes or type(value) ~= "string" or utf8.len(value)) then return end
    wanted = fits and "UTF-8" or known[2]
  elseif type_name:sub(-1) == "*" then -- a list
    test(where, argument, value, "list", secret)
    for _, item in ipairs(value) do test(where, argument, item, type_name:sub(1, -2), secret) end
    return
  else -- a choice
    for choice in type_name:gmatch("[^|]+") do
      if value == choice then return end
    end
    wanted = "one of " .. type_name:gsub("|", ", ")
  end
  check.fail(where, argument, ("%s expected, got %s"):format(wanted, secret and type(value) or shown(value)))
end

--- Does the value fit? For what comes from outside.
---@param value any
---@param type_name string
---@return boolean
function check.is(value, type_name)
  return types[type_name][1](value)
end

--- One argument. `type_name` is a name from the table above, or a choice: "Detail|Summary"; "id*" is a list of ids,
--- of at least one.
---@param where string the user's function, for the message
---@param argument string
---@param value any
---@param type_name string
function check.value(where, argument, value, type_name)
  test(where, argument, value, type_name)
  return value
end

-- What a table of rules says, read once: { [name] = { type, secret } }, and the names of what must be there.
local compiled = setmetatable({}, { __mode = "k" })

local function compile(rules)
  local read = { options = {}, required = {} }
  for name, rule in pairs(rules) do
    read.options[name] = { (rule:gsub("[!#]", "")), rule:find("#", 1, true) ~= nil }
    if rule:find("!", 1, true) then read.required[#read.required + 1] = name end
  end
  table.sort(read.required)
  compiled[rules] = read
  return read
end

--- A table of options: every key must be in `rules`, a table of name = type; "!" at the end of a type:
--- required, "#": never shown in a message. Nil counts as an empty table.
---@param where string
---@param options table|nil
---@param rules table<string, string>
---@return table options
function check.options(where, options, rules)
  local read = compiled[rules] or compile(rules)
  if options == nil then
    options = {}
    if not read.required[1] then return options end
  end
  if type(options) ~= "table" then check.fail(where, "options", "table expected, got " .. type(options)) end
  for name, value in pairs(options) do
    local rule = read.options[name]
    if not rule then check.fail(where, shown(name):gsub('^"(.*)"$', "%1"), "unknown option") end
    test(where, name, value, rule[1], rule[2])
  end
  for _, name in ipairs(read.required) do
    if options[name] == nil then check.fail(where, name, "missing") end
  end
  return options
end

--- The rules of several tables in one.
---@param ... table<string, string>
---@return table<string, string>
function check.rules(...)
  local all = {}
  for i = 1, select("#", ...) do
    for name, rule in pairs((select(i, ...))) do all[name] = rule end
  end
  return all
end

return check
