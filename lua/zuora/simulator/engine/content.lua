--- What a file holds, so that any part of it can be sent without having it all in memory.
--
-- A content has `length` (bytes) and `stream(from, to)`: a function that gives its pieces in turn, and
-- nil at the end. Positions count from 0; `to` is the first byte that is left out.

local content = {}

local PIECE = 262144

local Content = {}
Content.__index = Content

local function new(length, stream)
  return setmetatable({ length = length, stream = stream }, Content)
end

--- A text in memory.
---@param text string
function content.text(text)
  return new(#text, function(from, to)
    return function()
      if from >= to then return nil end
      local piece = text:sub(from + 1, math.min(to, from + PIECE))
      from = from + #piece
      return piece
    end
  end)
end

-- What is larger than this goes to a file.
local MEMORY = 1024 * 1024

--- What is written once, piece by piece. A large one is kept in a file, which is gone when nobody refers to
--- it any more.
---@param write fun(put: fun(text: string)) is called at once
function content.file(write)
  local pieces, size, file = {}, 0, nil
  write(function(text)
    if file then
      assert(file:write(text))
      return
    end
    pieces[#pieces + 1], size = text, size + #text
    if size > MEMORY then
      file = assert(io.tmpfile())
      file:setvbuf("full", PIECE)
      assert(file:write(table.concat(pieces)))
    end
  end)
  if not file then return content.text(table.concat(pieces)) end
  return new(assert(file:seek("end")), function(from, to)
    return function()
      if from >= to then return nil end
      -- Several may read in turn: each says where.
      assert(file:seek("set", from))
      local piece = file:read(math.min(PIECE, to - from))
      from = from + #piece
      return piece
    end
  end)
end

--- A head, and then blocks of one length that differ by their number alone.
---@param head string
---@param block fun(number: integer): string
---@param block_length integer
---@param length integer of all, the head included
function content.blocks(head, block, block_length, length)
  return new(length, function(from, to)
    return function()
      if from >= to then return nil end
      local piece
      if from < #head then
        piece = head:sub(from + 1, to)
      else
        local number, skip = (from - #head) // block_length, (from - #head) % block_length
        piece = block(number)
        if skip > 0 or from + #piece - skip > to then piece = piece:sub(skip + 1, skip + to - from) end
      end
      from = from + #piece
      return piece
    end
  end)
end

--- All of it, for small ones.
---@return string
function Content:read()
  local pieces = {}
  for piece in self.stream(0, self.length) do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

--- The part of a Range header ("bytes=5-", "bytes=5-9", "bytes=-3"): from, to, or nil when the header is
--- none that is understood, or false when it asks for what is not there.
---@param range string
---@param length integer
---@return integer|nil|false from, integer|nil to
function content.range(range, length)
  local first, last = range:match("^bytes=(%d*)%-(%d*)$")
  if not first or first == "" and last == "" then return nil end
  if first == "" then
    if tonumber(last) == 0 then return false end
    return math.max(0, length - tonumber(last)), length
  end
  local from, to = tonumber(first), last ~= "" and tonumber(last) + 1 or length
  if from >= length then return false end
  if to <= from then return nil end
  return from, math.min(to, length)
end

return content
