--- The query language: reads a `select` into a tree. What its names mean is not known here.
--
-- A node has an `op`: "field" (`name`), "text", "number", "word" (true, false) and "time" (each with a `text`),
-- "call" (`name`, `distinct`, and a field or "*" as [1]), "and", "or", "not", "null" (is it null?), "in" (the
-- list as [2]), "like", and the signs of comparisons, whose two sides are [1] and [2].

local zoql = {}

-- --- words -------------------------------------------------------------------------------------------

local RESERVED = {}
for word in ("select from where and or not group by having order limit like in is null as between"):gmatch "%a+" do
  RESERVED[word] = true
end

-- What a query is made of, tried in this order. A quoted text ends at a quote that is not doubled.
local PATTERNS = {
  { "time", "^%d%d%d%d%-%d%d%-%d%d[%w:.+%-]*" },
  { "number", "^[+-]?%d+%.?%d*" },
  { "word", "^[%a_][%w_.]*%.%*" },
  { "word", "^[%a_][%w_.]*" },
  { "sign", "^[<>!=]=" },
  { "sign", "^<>" },
  { "sign", "^[<>=,()*;]" },
}

local function quoted(query, from)
  local mark = query:sub(from, from)
  local at = from
  repeat
    at = query:find(mark, at + 1, true)
    if not at then return nil end
    local doubled = query:sub(at + 1, at + 1) == mark
    if doubled then at = at + 1 end
  until not doubled
  return { kind = mark == "'" and "text" or "name", text = query:sub(from + 1, at - 1):gsub(mark .. mark, mark),
    from = from, to = at }
end

local function token_at(query, from)
  if query:find("^['\"]", from) then return quoted(query, from) end
  for _, pattern in ipairs(PATTERNS) do
    local _, to = query:find(pattern[2], from)
    if to then
      local text = query:sub(from, to)
      return { kind = pattern[1], text = text, lower = text:lower(), from = from, to = to }
    end
  end
  return nil
end

-- Nil when there is something else in it.
local function tokens_of(query)
  local tokens, at = {}, query:find "%S"
  while at do
    local token = token_at(query, at)
    if not token then return nil end
    tokens[#tokens + 1] = token
    at = query:find("%S", token.to + 1)
  end
  return tokens
end

-- --- the parser --------------------------------------------------------------------------------------

local SYNTAX = {} -- what is raised for a query that is none

local Parser = {}
Parser.__index = Parser

local function fail() error(SYNTAX, 0) end

function Parser:peek(offset) return self.tokens[self.at + (offset or 0)] or { kind = "end" } end

function Parser:next()
  local token = self:peek()
  self.at = self.at + 1
  return token
end

-- Takes these words or signs when they come next.
function Parser:accept(...)
  for i = 1, select("#", ...) do
    if self:peek(i - 1).lower ~= select(i, ...) then return false end
  end
  self.at = self.at + select("#", ...)
  return true
end

function Parser:expect(...)
  if not self:accept(...) then fail() end
end

function Parser:list(item)
  local list = {}
  repeat list[#list + 1] = item(self) until not self:accept ","
  return list
end

-- A name, in quotes or without.
function Parser:name()
  local token = self:next()
  local is_word = token.kind == "word" and not (token.text .. "."):find "%.[.*]"
  if not is_word and token.kind ~= "name" then fail() end
  return token.text
end

-- --- values ------------------------------------------------------------------------------------------

local FUNCTIONS = { count = true, sum = true, min = true, max = true, avg = true }

function Parser:field()
  if RESERVED[self:peek().lower] then fail() end
  return { op = "field", name = self:name() }
end

-- A field, or a function of one.
function Parser:value()
  local name = self:peek().lower
  if self:peek(1).lower ~= "(" then return self:field() end
  if not FUNCTIONS[name] or self.in_where then fail() end
  self.at = self.at + 2
  local call = { op = "call", name = name, distinct = self:accept "distinct" }
  if name == "count" and not call.distinct and self:accept "*" then call[1] = "*" else call[1] = self:field() end
  self:expect ")"
  return call
end

local LITERALS = { text = true, number = true, time = true }

function Parser:literal()
  local token = self:next()
  if token.lower == "true" or token.lower == "false" then return { op = "word", text = token.lower } end
  -- SQL has a word before its datetimes.
  local is_time = token.lower == "timestamp" or token.lower == "date"
  if is_time then token = self:next() end
  if not LITERALS[token.kind] or is_time and token.kind ~= "text" then fail() end
  return { op = is_time and "time" or token.kind, text = token.text }
end

function Parser:right_side()
  local token = self:peek()
  local is_field = (token.kind == "word" or token.kind == "name") and self:peek(1).kind ~= "text"
    and token.lower ~= "true" and token.lower ~= "false"
  return is_field and self:field() or self:literal()
end

-- --- conditions --------------------------------------------------------------------------------------

local SIGNS = { ["="] = "=", ["!="] = "!=", ["<>"] = "!=", ["<"] = "<", [">"] = ">", ["<="] = "<=", [">="] = ">=" }

local function negated(node, is_negated) return is_negated and { op = "not", node } or node end

function Parser:comparison()
  local left = self:value()
  if self:accept "is" then
    local is_negated = self:accept "not"
    self:expect "null"
    return negated({ op = "null", left }, is_negated)
  end
  local is_negated = self:accept "not"
  if self:accept "in" then
    self.of_exports = true
    self:expect "("
    local list = self:list(self.literal)
    self:expect ")"
    return negated({ op = "in", left, list }, is_negated)
  elseif self:accept "like" then
    return negated({ op = "like", left, self:literal() }, is_negated)
  elseif self:accept "between" then
    local from = self:literal()
    self:expect "and"
    return negated({ op = "and", { op = ">=", left, from }, { op = "<=", left, self:literal() } }, is_negated)
  end
  local sign = SIGNS[self:next().lower]
  if not sign or is_negated then fail() end
  if self:accept "null" then
    if sign ~= "=" and sign ~= "!=" then fail() end
    return negated({ op = "null", left }, sign == "!=")
  end
  return { op = sign, left, self:right_side() }
end

function Parser:factor()
  if self:accept "not" then return { op = "not", self:factor() } end
  if not self:accept "(" then return self:comparison() end
  local node = self:condition()
  self:expect ")"
  return node
end

function Parser:term()
  local node = self:factor()
  while self:accept "and" do node = { op = "and", node, self:factor() } end
  return node
end

function Parser:condition()
  local node = self:term()
  while self:accept "or" do node = { op = "or", node, self:term() } end
  return node
end

-- --- clauses -----------------------------------------------------------------------------------------

-- One of what is selected: a value and its alias, or { all = "" } for `*`, { all = "Account" } for `Account.*`.
function Parser:item()
  local token = self:peek()
  local all = token.lower == "*" and "" or token.kind == "word" and token.text:match "^(.+)%.%*$"
  if all then
    self.at, self.of_exports = self.at + 1, true
    return { all = all }
  end
  local item = { value = self:value() }
  if self:accept "as" then item.alias = self:name() end
  return item
end

function Parser:order()
  local by = { value = self:value() }
  by.descending = self:accept "desc"
  if not by.descending then self:accept "asc" end
  return by
end

function Parser:count()
  local token = self:next()
  local count = token.kind == "number" and math.tointeger(tonumber(token.text))
  if not count or count < 0 then fail() end
  return count
end

function Parser:query()
  self:expect "select"
  local query = { distinct = self:accept "distinct", items = self:list(self.item), order = {} }
  self:expect "from"
  query.object = self:name()
  self.in_where = self:accept "where"
  if self.in_where then query.where = self:condition() end
  self.in_where = false
  if self:accept("group", "by") then query.group = self:list(self.field) end
  if self:accept "having" then query.having = self:condition() end
  if self:accept("order", "by") then
    query.order, self.of_exports = self:list(self.order), true
  end
  if self:accept "limit" then
    query.skip, query.limit = 0, self:count()
    if self:accept "," then query.skip, query.limit = query.limit, self:count() end
  end
  self:accept ";"
  if self:peek().kind ~= "end" then fail() end
  query.of_exports = self.of_exports
  return query
end

--- Reads a query.
---@param text any
---@return table|nil query `object`, `items` ({ value, alias } or { all }), `distinct`, `where`, `group`, `having`,
--- `order` ({ value, descending }), `skip` and `limit`; `of_exports`: plain ZOQL knows not all of it. Nil: a
--- syntax error
function zoql.parse(text)
  local tokens = type(text) == "string" and tokens_of(text)
  if not tokens then return nil end
  local ok, query = pcall(Parser.query, setmetatable({ tokens = tokens, at = 1 }, Parser))
  if not ok and query ~= SYNTAX then error(query, 0) end
  return ok and query or nil
end

return zoql
