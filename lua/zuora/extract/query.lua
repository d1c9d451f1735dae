--- Queries: what a user's `select` says, and what is asked for a read of it.

local ascii = require "zuora.support.ascii"
local times = require "zuora.extract.base.times"

local query = {}

-- What may follow the conditions.
local TAILS = { group = true, having = true, order = true, limit = true }

-- The words outside of quotes and parentheses, with their places; nil where one of these is not closed.
local function words_of(text)
  local words, at, depth = {}, 1, 0
  while at <= #text do
    local c = text:sub(at, at)
    if c == "'" or c == '"' then
      at = text:find(c, at + 1, true) -- a doubled quote is the end of one text and the begin of the next
      if not at then return nil, "a quote is not closed" end
    elseif c == "(" then
      depth = depth + 1
    elseif c == ")" then
      depth = depth - 1
      if depth < 0 then return nil, "a parenthesis is closed that was not opened" end
    elseif c:find "[%a_]" then
      local to = select(2, text:find("^[%w_.]+", at))
      if depth == 0 then words[#words + 1] = { text = ascii.lower(text:sub(at, to)), from = at, to = to } end
      at = to
    end
    at = at + 1
  end
  if depth > 0 then return nil, "a parenthesis is not closed" end
  return words
end

local function trimmed(text) return text:match "^%s*(.-)%s*$" end

-- The parts of a text between commas that are in no quotes and no parentheses.
local function split(text)
  local parts, depth, quoted, from = {}, 0, nil, 1
  for at = 1, #text do
    local c = text:sub(at, at)
    if quoted then
      if c == quoted then quoted = nil end
    elseif c == "'" or c == '"' then
      quoted = c
    elseif c == "(" or c == ")" then
      depth = depth + (c == "(" and 1 or -1)
    elseif c == "," and depth == 0 then
      parts[#parts + 1] = trimmed(text:sub(from, at - 1))
      from = at + 1
    end
  end
  parts[#parts + 1] = trimmed(text:sub(from))
  return parts
end

--- Takes a `select` apart.
---@param text string
---@return table|nil parsed select (the texts of the columns), object, where (text or nil), tail (what follows, or nil)
--- and tail_word
---@return string|nil problem
function query.parse(text)
  text = trimmed(text):gsub("%s*;$", "")
  local words, problem = words_of(text)
  if not words then return nil, problem end
  if not words[1] or words[1].text ~= "select" then return nil, "a query that begins with 'select' expected" end
  local parts = { select = words[1] }
  for _, word in ipairs(words) do
    local name = TAILS[word.text] and "tail" or (word.text == "from" or word.text == "where") and word.text
    if name and not parts[name] then parts[name] = word end
  end
  if not parts.from then return nil, "there is no 'from'" end
  local from_ends = (parts.where or parts.tail or { from = #text + 1 }).from - 1
  local object = trimmed(text:sub(parts.from.to + 1, from_ends))
  if not object:match "^[%a_][%w_]*$" then return nil, "the name of one object expected after 'from'" end
  local where = parts.where and trimmed(text:sub(parts.where.to + 1, (parts.tail or { from = #text + 1 }).from - 1))
  if where == "" then return nil, "there is nothing after 'where'" end
  return { select = split(text:sub(parts.select.to + 1, parts.from.from - 1)), object = object, where = where,
    tail = parts.tail and text:sub(parts.tail.from), tail_word = parts.tail and
      ({ group = "group by", order = "order by" })[parts.tail.text] or parts.tail and parts.tail.text }
end

--- Does a list of columns have this field, by itself or by the object's name before it?
---@param columns string[]
---@param object string
---@param field string
---@return boolean
function query.has(columns, object, field)
  local own, long = ascii.lower(field), ascii.lower(object .. "." .. field)
  for _, column in ipairs(columns) do
    local name = ascii.lower(column)
    if name == own or name == long or name == "*" then return true end
  end
  return false
end

local function quoted(text) return "'" .. text:gsub("'", "''") .. "'" end

-- The conditions of a read: the user's own in parentheses, the window, and the page.
local function conditions_of(item, read)
  local list = {}
  local own = item.parsed and item.parsed.where or item.where
  if own then list[#list + 1] = "(" .. own .. ")" end
  local from, to = times.of(read.from or ""), times.of(read.to or "")
  local by = read.by or item.cursor
  if by and from then list[#list + 1] = ("%s >= '%s'"):format(by, times.iso(from)) end
  -- Open above, where a key lets the newest row be merged: a row that is touched before every run is never below a
  -- bound, and would never be read.
  if by and to and (item.is_append and not read.by or read.closed) then
    list[#list + 1] = ("%s < '%s'"):format(by, times.iso(to))
  end
  if read.unchanged_since then
    list[#list + 1] = ("%s < '%s'"):format(item.cursor, times.iso(times.of(read.unchanged_since)))
  end
  if read.after then list[#list + 1] = ("%s > %s"):format(item.key, quoted(read.after)) end
  if read.up_to then list[#list + 1] = ("%s <= %s"):format(item.key, quoted(read.up_to)) end
  return #list > 0 and " where " .. table.concat(list, " and ") or ""
end

local function columns_of(item)
  local columns = {}
  for i, column in ipairs(item.columns or item.parsed.select) do columns[i] = column end
  for _, field in ipairs { item.key, item.cursor or nil } do
    if item.cursor and not query.has(columns, item.object, field) then columns[#columns + 1] = field end
  end
  return columns
end

--- The text of a read.
---@param item table of a plan, with its columns known
---@param read table from, to, after, up_to, limit
---@return string
function query.text(item, read)
  if item.kind == "data_query" then return item.query end
  if item.parsed and not item.cursor then return item.query end
  local text = ("select %s from %s%s"):format(table.concat(columns_of(item), ", "), item.object,
    conditions_of(item, read))
  if read.limit then text = ("%s order by %s limit %d"):format(text, item.key, read.limit) end
  return text
end

--- The text of its totals, in the same order: the first is always a count. Of a page that has no end yet it is all, and
--- counts what is beyond its begin.
---@param item table
---@param read table
---@return string|nil
function query.totals(item, read)
  if #item.totals == 0 and not read.audit then return nil end
  local list = { ("count(%s)"):format(item.key) }
  for _, total in ipairs(item.totals) do
    if total ~= "count" and not read.limit then list[#list + 1] = total end
  end
  return ("select %s from %s%s"):format(table.concat(list, ", "), item.object, conditions_of(item, read))
end

--- The text that asks for what has changed since then, by its keys: whatever the user's own conditions say, since rows
--- leave them, too.
---@param item table
---@param since string a stamp
---@return string
function query.changed(item, since)
  return ("select %s from %s where %s >= '%s'"):format(item.key, item.object, item.cursor, times.iso(times.of(since)))
end

return query
