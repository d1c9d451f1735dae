--- The part of ZOQL that the simulator answers: `select` of named fields (or *) from one object, with
--- simple conditions joined by `and` and `or`.
--
-- Two traps of the real thing are kept: a datetime with a blank in it is ignored, and an upper bound with
-- fractions of a second lets no row through.

local zoql = {}

-- 'it''s' at `from`: the text, and where it ends. Two quotes stand for one.
local function quoted_text(query, from)
  local text, at = query:match("^'([^']*)'()", from)
  while at and query:sub(at, at) == "'" do
    local more
    more, at = query:match("^'([^']*)'()", at)
    text = text .. "'" .. (more or "")
  end
  return text, at
end

-- Cuts a query into words, quoted texts and operators; nil when there is something else in it.
local function tokens_of(query)
  local tokens, at = {}, 1
  while true do
    local from = query:find("%S", at)
    if not from then return tokens end
    local token = {}
    token.word, at = query:match("^([%w_.%-:+*]+)()", from)
    if not at then token.text, at = quoted_text(query, from) end
    if not at then token.operator, at = query:match("^([<>!=]+)()", from) end
    if not at then token.operator, at = query:match("^([,()])()", from) end
    if not at then return nil end
    token.lower = token.word and token.word:lower()
    tokens[#tokens + 1] = token
  end
end

local OPERATORS = { ["="] = true, ["!="] = true, ["<>"] = true, ["<"] = true, [">"] = true, ["<="] = true,
  [">="] = true }

-- One "field operator value", from tokens[i] on: the condition and where it ends.
local function condition_of(tokens, i)
  local field, operator, value = tokens[i], tokens[i + 1], tokens[i + 2]
  if not (field and field.word and operator and value) then return nil end
  local sign = operator.operator or operator.lower
  if not (OPERATORS[sign] or sign == "like") or value.operator then return nil end
  local condition = { field = field.word, sign = sign, value = value.text or value.word, is_text = value.text ~= nil }
  if value.lower == "null" then condition.value = "" end
  return condition, i + 3
end

--- Reads a query.
---@param query any
---@return { object: string, fields: string[], any: table[][] }|nil parsed `any`: of these lists of
--- conditions one must hold whole; nil: a syntax error
function zoql.parse(query)
  local tokens = type(query) == "string" and tokens_of(query)
  if not tokens or not tokens[1] or tokens[1].lower ~= "select" then return nil end
  local fields, i = {}, 2
  while true do
    local field = tokens[i]
    if not (field and field.word) then return nil end
    fields[#fields + 1] = field.word
    i = i + 1
    if not (tokens[i] and tokens[i].operator == ",") then break end
    i = i + 1
  end
  local from, object = tokens[i], tokens[i + 1]
  if not (from and from.lower == "from" and object and object.word) then return nil end
  i = i + 2
  local parsed = { object = object.word, fields = fields, any = {} }
  if not tokens[i] then return parsed end
  if tokens[i].lower ~= "where" then return nil end
  local all = {}
  parsed.any[1] = all
  repeat
    local condition
    condition, i = condition_of(tokens, i + 1)
    if not condition then return nil end
    all[#all + 1] = condition
    local joint = tokens[i] and tokens[i].lower
    if joint == "or" then
      all = {}
      table.insert(parsed.any, all)
    elseif joint and joint ~= "and" then
      return nil
    end
  until not tokens[i]
  return parsed
end

local BLANK_IN_DATETIME = "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d"
local FRACTION = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d"

-- % stands for any text, _ for one character.
local function like(value, pattern)
  pattern = pattern:lower():gsub(".", function(c)
    if c == "%" then return ".*" end
    if c == "_" then return "." end
    return c:match("%p") and "%" .. c or c
  end)
  return value:lower():match("^" .. pattern .. "$") ~= nil
end

local function holds(condition, value)
  local sign, wanted = condition.sign, condition.value
  if wanted:match(BLANK_IN_DATETIME) then return true end
  if (sign == "<" or sign == "<=") and wanted:match(FRACTION) then return false end
  value = tostring(value)
  if sign == "like" then return like(value, wanted) end
  local a, b = value, wanted
  if not condition.is_text and wanted ~= "" then -- a bare number is compared with numbers only
    a, b = tonumber(value), tonumber(wanted)
    if not b then a, b = value:lower(), wanted:lower() end -- true, false
    if a == nil then return sign == "!=" or sign == "<>" end
  end
  if sign == "=" then return a == b end
  if sign == "!=" or sign == "<>" then return a ~= b end
  if sign == "<" then return a < b end
  if sign == ">" then return a > b end
  if sign == "<=" then return a <= b end
  return a >= b
end

--- Does a row fulfil the conditions?
---@param any table[][]
---@param get fun(field: string): any
---@return boolean
function zoql.matches(any, get)
  if #any == 0 then return true end
  for _, all in ipairs(any) do
    local every = true
    for _, condition in ipairs(all) do every = every and holds(condition, get(condition.field)) end
    if every then return true end
  end
  return false
end

return zoql
