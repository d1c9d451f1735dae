--- The state of a tap: up to where each stream has been read, in tap-zuora's form.

local times = require "zuora.extract.base.times"
local zuora = require "zuora"

local raise = require "zuora.error".raise

local state = {}

local State = {}
State.__index = State

-- What tap-zuora notes of a window that it has not done: ours are read from their beginning.
local THEIRS = { "file_ids", "window_length", "current_window_end" }

-- Of a first load that goes by pages: which there have been. { query, to, after }, all texts.
local PAGE = "page"

local function fail(words, ...) raise("plan", "state: " .. words, ...) end

local function bookmark_of(self, stream)
  local bookmark = self.value.bookmarks[stream.id]
  return type(bookmark) == "table" and bookmark or {}
end

--- Up to where a stream has been read; nil: not at all.
---@param stream table
---@return integer|nil seconds
function State:bookmark(stream)
  local text = bookmark_of(self, stream)[stream.cursor]
  if not text then return nil end
  local seconds = type(text) == "string" and zuora.time(text)
  if not seconds then fail("bookmarks.%s.%s: no time", stream.id, stream.cursor) end
  return math.floor(seconds)
end

local function clear_bookmark(self, stream)
  local bookmark = bookmark_of(self, stream)
  for _, name in ipairs(THEIRS) do bookmark[name] = nil end
  bookmark[PAGE] = nil
  self.value.bookmarks[stream.id] = bookmark
  return bookmark
end

---@param stream table
---@param seconds integer
function State:set(stream, seconds) clear_bookmark(self, stream)[stream.cursor] = times.iso(seconds) end

--- The page that a first load goes on behind; nil: there is none, or it was of another query.
---@param stream table
---@param query string a name for it
---@return { to: string, after: string }|nil
function State:page(stream, query)
  local page = bookmark_of(self, stream)[PAGE]
  if type(page) ~= "table" or page.query ~= query then return nil end
  for _, name in ipairs { "to", "after" } do
    if type(page[name]) ~= "string" then return nil end
  end
  return page
end

---@param stream table
---@param page { query: string, to: string, after: string }
function State:set_page(stream, page) clear_bookmark(self, stream)[PAGE] = page end

--- Streams in the order in which they are to be read: a run that ended early goes on with the stream it was at.
---@param streams table[]
---@return table[]
function State:order(streams)
  local first = 1
  for i, stream in ipairs(streams) do
    if stream.id == self.current then first = i end
  end
  local list = table.move(streams, first, #streams, 1, {})
  return table.move(streams, 1, first - 1, #list + 1, list)
end

--- Reads a state; older ones have their bookmarks at the top.
---@param given table|nil
---@return table state
function state.read(given)
  given = given or {}
  local current = given.current_stream
  local value = given
  if given.bookmarks == nil then
    value = { bookmarks = {} }
    for id, bookmark in pairs(given) do
      if type(bookmark) == "table" then value.bookmarks[id] = bookmark end
    end
  end
  if type(value.bookmarks) ~= "table" then fail "bookmarks: an object expected" end
  value.current_stream = nil
  return setmetatable({ value = value, current = current }, State)
end

return state
