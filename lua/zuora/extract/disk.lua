--- Files that are there for good: written beside their place, synced, and renamed.

local core = require "zuora.core"
local error_value = require "zuora.error"

local disk = {}

local function fail(words) error(error_value.new { kind = "file", message = tostring(words) }, 0) end

local function folder_of(path) return path:match "^(.*)/[^/]*$" or "." end

--- Makes a folder, and those above it.
function disk.folder(path)
  local ok, problem = core.mkdir(path)
  if not ok then fail(problem) end
end

--- Makes sure that what lies in a folder is found there after a loss of power.
function disk.sync(path)
  local ok, problem = core.sync(path)
  if not ok then fail(problem) end
end

--- Puts a text in the place of a file.
---@param path string
---@param text string|string[] or its pieces
function disk.write(path, text)
  local beside = path .. ".new"
  local file, problem = io.open(beside, "wb")
  if not file then fail(problem) end
  local ok, wrong = true, nil
  for _, piece in ipairs(type(text) == "table" and text or { text }) do
    ok, wrong = file:write(piece)
    if not ok then break end
  end
  local closed, wrong_too = file:close()
  if not (ok and closed) then
    os.remove(beside)
    fail(beside .. ": " .. tostring(wrong or wrong_too))
  end
  disk.sync(beside)
  local renamed, reason = os.rename(beside, path)
  if not renamed then
    os.remove(beside)
    fail(reason)
  end
  disk.sync(folder_of(path))
end

local function lfs()
  local ok, found = pcall(require, "lfs")
  if ok then return found end
  error(error_value.new { kind = "plan",
    message = "an extraction needs LuaFileSystem (Debian: lua-filesystem, LuaRocks: luafilesystem)" }, 0)
end

---@return boolean
function disk.is_folder(path) return lfs().attributes(path, "mode") == "directory" end

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
