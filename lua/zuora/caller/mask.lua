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

-- Spellings of spellings that are undone: "%2541" is two.
local DEPTH = 3

-- The text, and what it spells, and what that does: each in lower case, since a secret may come back in capitals, and
-- with the place of each of its bytes in the text.
local function readings(text)
  local list, seen, places = { { text = ascii.lower(text) } }, text, nil
  for i = 2, 1 + DEPTH do
    if not seen:find "[\\%%&]" then break end
    local offsets
    seen, offsets = plain(seen)
    for at = 1, places and #offsets or 0 do offsets[at] = places[offsets[at]] end
    places, list[i] = offsets, { text = ascii.lower(seen), places = offsets }
  end
  return list
end

-- --- what a secret looks like ------------------------------------------------------------------------

local BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

---@param text string
---@return string
function mask.base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    for shift = 18, 0, -6 do
      local digit = bits >> shift & 63
      out[#out + 1] = BASE64:sub(digit + 1, digit + 1)
    end
    if not c then out[#out] = "=" end
    if not b then out[#out - 1] = "=" end
  end
  return table.concat(out)
end

-- What of a base64 text is the secret's alone, behind so many bytes of something else, and before others.
local function inner_base64(secret, shift)
  local encoded = mask.base64(("\0"):rep(shift) .. secret)
  return encoded:sub(shift > 0 and shift + 2 or 1, (shift + #secret) * 8 // 6)
end

-- Where text in UTF-8 is taken for Latin-1, and written as UTF-8 once more; and where it is made Latin-1.
local function in_latin(secret, add)
  if not secret:find "[\128-\255]" or not utf8.len(secret) then return end
  add((secret:gsub("[\128-\255]", function(byte) return utf8.char(byte:byte()) end)))
  local is_latin = true
  local latin = secret:gsub(utf8.charpattern, function(character)
    local code = utf8.codepoint(character)
    is_latin = is_latin and code < 256
    return is_latin and string.char(code) or nil
  end)
  if is_latin then add(latin) end
end

-- The shortest part of a secret in another form.
local SHORTEST_PART = 8

-- By a list of secrets: what is looked for of each.
local known = setmetatable({}, { __mode = "k" })

local function forms_of(secret)
  local forms, seen = {}, {}
  local function add(form)
    form = ascii.lower(form)
    if not seen[form] then forms[#forms + 1], seen[form] = form, true end
  end
  add(secret)
  local spelt = readings(secret)
  for i = 2, #spelt do add(spelt[i].text) end -- what it spells, should it look like a spelling itself
  in_latin(secret, add)
  add((secret:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)))
  add((mask.base64(secret):gsub("=+$", "")))
  for shift = 0, 2 do
    local part = inner_base64(secret, shift)
    if #part >= SHORTEST_PART then add(part) end
  end
  for i = 1, #forms do add((forms[i]:gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))) end -- base64 in URLs
  return forms
end

-- (Where one is new, as a token is, those that are in the list no more are let go.)
local function known_forms(secrets, secret)
  local before = known[secrets] or {}
  if before[secret] then return before[secret] end
  local now = { [secret] = forms_of(secret) }
  for _, one in ipairs(secrets) do now[one] = now[one] or before[one] end
  known[secrets] = now
  return now[secret]
end

-- --- texts without them ------------------------------------------------------------------------------

-- Puts stars in the place of a secret, wherever a reading of the text holds it.
local function hide(text, reading, secret)
  local seen, places, pieces, rest, at = reading.text, reading.places, {}, 1, 1
  while true do
    local from, to = seen:find(secret, at, true)
    if not from then return table.concat(pieces) .. text:sub(rest) end
    pieces[#pieces + 1] = text:sub(rest, (places and places[from] or from) - 1) .. "***"
    rest, at = places and places[to + 1] or to + 1, to + 1
  end
end

--- The text without the secrets.
---@param text string
---@param secrets string[]
---@return string
function mask.text(text, secrets)
  local read, found = readings(text), {}
  for _, secret in ipairs(secrets) do
    for _, form in ipairs(#secret >= SHORTEST and known_forms(secrets, secret) or {}) do
      for _, reading in ipairs(read) do
        if reading.text:find(form, 1, true) then
          found[#found + 1] = form
          break
        end
      end
    end
  end
  if #found == 0 then return text end
  table.sort(found, function(a, b) return #a > #b end) -- one may be part of another
  for _, form in ipairs(found) do
    for i = 1, #read do
      if read[i] and read[i].text:find(form, 1, true) then
        text = hide(text, read[i], form)
        read = readings(text)
      end
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
    -- (A password may have any sign in it, though it should not.)
    local user = (url or ""):gsub("^[^/@]*//", ""):match "^(.*)@" or ""
    for secret in user:gmatch "[^:]+" do secrets[#secrets + 1] = secret end
    if user:find(":", 1, true) then secrets[#secrets + 1] = user end
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
