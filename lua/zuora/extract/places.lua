--- Where a plan's store and target may be, and the names that these and its folder have for something else than items.

local ascii = require "zuora.support.ascii"
local claims = require "zuora.extract.claims"
local manifest = require "zuora.extract.base.manifest"

local places = {}

-- (What else has a scheme is told by that alone: there may be a password in it.)
local function place_or(words, is_good)
  return function(value)
    if type(value) ~= "string" or value == "" or value:find "[\0-\31\127]" then return nil, words end
    local scheme = value:match "^(%a[%w+.-]*):"
    if claims.are_at(value) then
      -- libpq knows no name that needs it, and would take it for a password all the same.
      local is_hidden = value:find "[?&][^=&]*%%[^=&]*="
      return not is_hidden and value or nil, words .. " (no name of a parameter with a %)"
    elseif is_good(scheme, value) then
      return value
    end
    return nil, words .. (scheme and (" (and not %s:…)"):format(scheme) or "")
  end
end

--- The place of a store, or nil and what is expected.
---@type fun(value: any): string|nil, string|nil
places.store = place_or('a path, or "postgresql://…" for several machines', function(scheme, value)
  return not scheme and not value:find "password%s*="
end)

--- The place of a target, or nil and what is expected.
---@type fun(value: any): string|nil, string|nil
places.target = place_or('"sqlite:PATH" or "postgresql://…"', function(_, value) return value:find "^sqlite:." end)

local TAKEN = {}
for _, name in ipairs(manifest.NAMES) do
  TAKEN[ascii.lower(name)], TAKEN[ascii.lower(name) .. ".new"] = true, true
end

--- Whose a name is that no item can have; nil: it can.
---@param name string
---@return string|nil
function places.whose(name)
  local lower = ascii.lower(name)
  return (lower:find "^zuora_" or TAKEN[lower]) and "of ours" or lower:find "^sqlite_" and "that SQLite keeps" or nil
end

--- A plan's files that may be where the folder of an item would be, and what they are.
---@param made table a plan whose store and target are known
---@return table<string, string> words by paths
function places.files(made)
  local to, files = made.load and made.load.to:match "^sqlite:(.*)$", {}
  files[made.store] = "store"
  if to then files[to:gsub("^//", "")] = "load.to" end
  return files
end

return places
