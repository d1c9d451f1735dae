--- Taking secrets out of what came from outside, in whatever spelling they came back.

local ascii = require "zuora.support.ascii"

local mask = {}

-- The shortest secret that is looked for: below, it would be found in ordinary words.
local SHORTEST = 4

local function of_code(digits, base)
  local code = tonumber(digits, base)
  return code and code <= 0x10FFFF and utf8.char(code) or nil
end

local NAMED = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'" }

-- How URLs and markup spell a character: a pattern for it, and what it stands for.
local SPELLINGS = {
  { "^%%(%x%x)()", function(digits) return string.char(tonumber(digits, 16)) end },
  { "^&#[xX](%x%x?%x?%x?%x?%x?);()", function(digits) return of_code(digits, 16) end },
  { "^&#(%d%d?%d?%d?%d?%d?%d?);()", function(digits) return of_code(digits, 10) end },
  { "^&([a-z][a-z][a-z]?[a-z]?);()", function(name) return NAMED[name] end },
}

-- And JSON, by a backslash; JSON within JSON, by several. All of them are gone through at once.
local function escaped(text, at)
  local digits, behind = text:match("^u(%x%x%x%x)()", at)
  if digits then return of_code(digits, 16), behind end
  return text:sub(at, at), at + 1
end

-- The character that is spelled there, and where the next one begins.
local function spelled(text, at)
  local behind = text:match("^\\+()", at)
  if behind then return escaped(text, behind) end
  for _, spelling in ipairs(SPELLINGS) do
    local what, after = text:match(spelling[1], at)
    local character = what and spelling[2](what)
    if character then return character, after end
  end
  return text:sub(at, at), at + 1
end

-- The text with all its spellings undone, and for each byte of that where it stands in the text.
local function plain(text)
  local pieces, offsets, at = {}, {}, 1
  while at <= #text do
    local piece, behind = text:match("^([^\\%%&]+)()", at)
    if piece then
      for offset = at, behind - 1 do offsets[#offsets + 1] = offset end
    else
      piece, behind = spelled(text, at)
      for _ = 1, #piece do offsets[#offsets + 1] = at end
    end
    pieces[#pieces + 1] = piece
    at = behind
  end
  offsets[#offsets + 1] = at
  return table.concat(pieces), offsets
end

-- What the text spells, in lower case, since a secret may come back in capitals.
local function seen_of(text)
  local seen, offsets = plain(text)
  return ascii.lower(seen), offsets
end

-- Puts stars in the place of a secret, wherever the text, or what it spells, holds it.
local function hide(text, seen, offsets, secret)
  local pieces, rest, at = {}, 1, 1
  while true do
    local from, to = seen:find(secret, at, true)
    if not from then return table.concat(pieces) .. text:sub(rest) end
    pieces[#pieces + 1] = text:sub(rest, offsets[from] - 1) .. "***"
    rest, at = offsets[to + 1], to + 1
  end
end

--- The text without the secrets.
---@param text string
---@param secrets string[]
---@return string
function mask.text(text, secrets)
  local wanted = {}
  for _, secret in ipairs(secrets) do
    if #secret >= SHORTEST then
      wanted[#wanted + 1] = ascii.lower(secret)
      wanted[#wanted + 1] = seen_of(secret) -- what it spells, should it look like a spelling itself
    end
  end
  table.sort(wanted, function(a, b) return #a > #b end) -- one may be part of another
  local seen, offsets = seen_of(text)
  for _, secret in ipairs(wanted) do
    if seen:find(secret, 1, true) then
      text = hide(text, seen, offsets, secret)
      seen, offsets = seen_of(text)
    end
  end
  return text
end

--- User names and passwords of the proxies that requests may go through: the option's, and the environment's.
---@param proxy string|nil the option
---@return string[] secrets
function mask.of_proxies(proxy)
  local secrets = {}
  local function add(url)
    local user = (url or ""):gsub("^[^/@]*//", ""):match "^([^/]*)@" or ""
    for secret in user:gmatch "[^:]+" do secrets[#secrets + 1] = secret end
  end
  add(proxy)
  for _, name in ipairs { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" } do
    add(os.getenv(name))
  end
  return secrets
end

--- The text without links that bear parameters: whoever has one with a signature can use it.
---@param text string
---@return string
function mask.links(text)
  return (text:gsub("[hH][tT][tT][pP][sS]?://[^%s\"'<>\\]*", function(link)
    return link:find "[?&]" and "***" or nil
  end))
end

return mask
