--- Names of files: what a server, or a query, calls a result, made fit for a directory.

local ascii = require "zuora.support.ascii"

local names = {}

local LONGEST = 100

--- A name that cannot leave its directory, hide, or be taken for something else.
---@param name string
---@param otherwise string what to take when nothing is left of it
---@return string
function names.safe(name, otherwise)
  -- What is no UTF-8 has no characters but those of ASCII: from others, a new one could arise below.
  if not utf8.len(name) then name = name:gsub("[\128-\255]", "_") end
  name = name:gsub("[\0-\31\127/\\:*?\"<>|]", "_"):gsub("\194[\128-\159]", "_") -- controls, C0 and C1
    :gsub("\226\128[\142\143\170-\174]", ""):gsub("\226\129[\166-\169]", "") -- marks that turn the writing
    :gsub("^[ .]+", "")
  if #name > LONGEST then
    name = name:sub(1, LONGEST)
    if not utf8.len(name) then name = name:gsub("[\192-\255][\128-\191]*$", "") end -- no half a character
  end
  name = name:gsub("[ .]+$", "")
  -- A download that goes on has files of these names beside it.
  if ascii.lower(name):find "%.part$" or ascii.lower(name):find "%.part%.state$" then name = name .. "_" end
  return name ~= "" and name or otherwise
end

--- A name for each, none twice whatever the case: twins are numbered.
---@param list string[] safe names
---@param ending string
---@return string[]
function names.unique(list, ending)
  local taken, numbers, unique = {}, {}, {}
  for i, base in ipairs(list) do
    local key = ascii.lower(base)
    local name, number = base, numbers[key] or 1 -- up to there all are taken
    while taken[ascii.lower(name)] do
      number = number + 1
      name = base .. "-" .. number
    end
    taken[ascii.lower(name)], numbers[key] = true, number
    unique[i] = name .. ending
  end
  return unique
end

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- The parameters of a header such as `attachment; filename="a;b.csv"; filename*=UTF-8''%C3%86.csv`.
local function parameters_of(header)
  local found, at = {}, header:find(";", 1, true)
  while at do
    local name, rest = header:match("^;%s*([A-Za-z0-9*_-]+)%s*=%s*()", at)
    if not name then
      at = header:find(";", at + 1, true)
    else
      local value, behind
      if header:sub(rest, rest) == '"' then
        behind = rest + 1
        while header:sub(behind, behind) ~= '"' and behind <= #header do
          behind = behind + (header:sub(behind, behind) == "\\" and 2 or 1)
        end
        value = header:sub(rest + 1, behind - 1):gsub("\\(.)", "%1")
      else
        behind = header:find(";", rest, true) or #header + 1
        value = header:sub(rest, behind - 1):match "^%S.*%S" or header:sub(rest, rest):match "[^%s;]" or ""
      end
      found[ascii.lower(name)] = found[ascii.lower(name)] or value
      at = header:find(";", behind, true)
    end
  end
  return found
end

--- The name that a Content-Disposition gives: `filename*=charset''name` before `filename=name`.
---@param header string|nil
---@return string|nil name as it came: see names.safe
function names.of_disposition(header)
  if not header then return nil end
  local parameters = parameters_of(header)
  local charset, extended = (parameters["filename*"] or ""):match "^([^']*)'[^']*'(.+)$"
  if extended and ascii.lower(charset) == "utf-8" and utf8.len(unescape(extended)) then return unescape(extended) end
  if extended and ascii.lower(charset) == "iso-8859-1" then
    return (unescape(extended):gsub("[\128-\255]", function(byte) return utf8.char(byte:byte()) end))
  end
  local plain = parameters.filename
  -- Some servers escape where they should not.
  if plain and plain:find "%%%x%x" and utf8.len(unescape(plain)) then plain = unescape(plain) end
  return plain ~= "" and plain or nil
end

local ENDINGS = { ["text/csv"] = ".csv", ["application/zip"] = ".zip", ["application/x-gzip"] = ".csv.gz",
  ["application/gzip"] = ".csv.gz", ["text/plain"] = ".txt" }

--- What to add to a name for a content type.
---@param content_type string
---@return string
function names.ending(content_type)
  return ENDINGS[ascii.lower(content_type):match "^[^;%s]*"] or ""
end

return names
