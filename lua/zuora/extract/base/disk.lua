--- Files that are there for good: written beside their place, synced, and renamed.

local attempt = require "zuora.support.attempt"
local core = require "zuora.core"

local disk = {}

local raise = require "zuora.error".raise

local function folder_of(path) return path:match "^(.*)/[^/]*$" or "." end

--- Makes a folder, and those above it.
function disk.folder(path)
  local ok, problem = core.mkdir(path)
  if not ok then raise("file", "%s", problem) end
end

--- Makes sure that what lies in a folder is found there after a loss of power.
function disk.sync(path)
  local ok, problem = core.sync(path)
  if not ok then raise("file", "%s", problem) end
end

local function lfs()
  local ok, found = attempt(require, "lfs")
  if ok then return found end
  raise("plan", "an extraction needs LuaFileSystem (Debian: lua-filesystem, LuaRocks: luafilesystem)")
end

--- Puts a text in the place of a file.
---@param path string
---@param text string|fun(out: fun(piece: string)) or what writes it, piece by piece
---@param beside string|nil where it grows; where there may be other writers, a path of one's own
---@param once boolean|nil what is there stays
function disk.write(path, text, beside, once)
  beside = beside or path .. ".new"
  local file <close>, problem = io.open(beside, "wb")
  if not file then raise("file", "%s", problem) end
  local ok, wrong = true, nil
  local function out(piece)
    if ok then ok, wrong = file:write(piece) end
  end
  if type(text) == "string" then out(text) else text(out) end
  local closed, wrong_too = file:close()
  if not (ok and closed) then
    os.remove(beside)
    raise("file", "%s", beside .. ": " .. tostring(wrong or wrong_too))
  end
  disk.sync(beside)
  if once then lfs().link(beside, path) end
  -- (Not all file systems have links.)
  local is_there = once and disk.size(path)
  local renamed, reason = is_there, nil
  if not is_there then renamed, reason = os.rename(beside, path) end
  if is_there or not renamed then os.remove(beside) end
  if not renamed then raise("file", "%s", reason) end
  disk.sync(folder_of(path))
end

--- Is there anything? (To open and close a database of this process' own would give up its locks.)
---@return boolean
function disk.is_there(path) return lfs().attributes(path, "mode") ~= nil end

--- A path from the root; what it leads to may not be there.
---@return string
function disk.absolute(path) return path:find "^/" and path or lfs().currentdir() .. "/" .. path end

--- Do two paths lead to the same thing?
---@return boolean
function disk.is_same(one, other)
  local a, b = lfs().attributes(one), lfs().attributes(other)
  return a ~= nil and b ~= nil and a.dev == b.dev and a.ino == b.ino
end

--- What is to be closed where files are needed no more, whatever ends that: an error, or that the task is cancelled.
---@param ... string paths
---@return table
function disk.passing(...)
  local paths = { ... }
  return setmetatable({}, { __close = function()
    for _, path in ipairs(paths) do os.remove(path) end
  end })
end

---@return boolean
function disk.is_folder(path) return lfs().attributes(path, "mode") == "directory" end

--- Is it a file that somebody may run?
---@return boolean
function disk.is_program(path)
  local mode = lfs().attributes(path)
  return mode ~= nil and mode.mode == "file" and mode.permissions:find "x" ~= nil
end

--- What lies in a folder, in order; nothing where there is none.
---@return string[]
function disk.names(path)
  local list = {}
  if not disk.is_folder(path) then return list end
  for name in lfs().dir(path) do
    if name ~= "." and name ~= ".." then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

--- The text of a file, or nil.
function disk.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

--- Its length, or nil.
function disk.size(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local size = file:seek "end"
  file:close()
  return size
end

return disk
