--- What stands behind a descriptor: a terminal or not, how large its window is, whether it takes colours; and text made
--- fit for one.

local core = require "zuora.core"

local terminal = {}

-- Columns and rows where nobody says how many.
local USUAL_COLUMNS, USUAL_ROWS = 80, 24

---@class zuora.cli.Terminal
---@field is_terminal boolean
---@field is_dumb boolean a terminal whose cursor cannot be moved
---@field colour boolean
---@field fd integer
---@field environment fun(name: string): string|nil
---@field utf8 boolean whether its locale says that it shows UTF-8
local Terminal = {}
Terminal.__index = Terminal

--- Its window, as it is now.
---@return integer columns
---@return integer rows
function Terminal:size()
  local columns, rows = core.terminal(self.fd)
  local function positive(number, name, usual)
    if number and number > 0 then return number end
    number = math.tointeger(tonumber(self.environment(name)))
    return number and number > 0 and number or usual
  end
  return positive(columns, "COLUMNS", USUAL_COLUMNS), positive(rows, "LINES", USUAL_ROWS)
end

--- Text in a colour, or as it is where there are none.
---@param name "bold"|"dim"|"red"|"green"|"yellow"
---@param text string
---@return string
function Terminal:paint(name, text)
  if not self.colour then return text end
  local codes = { bold = 1, dim = 2, red = 31, green = 32, yellow = 33 }
  return ("\27[%dm%s\27[0m"):format(codes[name], text)
end

-- https://no-color.org and https://bixense.com/clicolors: NO_COLOR goes before all others.
local function has_colour(self, get)
  local function given(name) return (get(name) or "") ~= "" end
  if given "NO_COLOR" then return false end
  if given "CLICOLOR_FORCE" and get "CLICOLOR_FORCE" ~= "0" then return true end
  return self.is_terminal and not self.is_dumb and get "CLICOLOR" ~= "0"
end

local function shows_utf8(get)
  for _, name in ipairs { "LC_ALL", "LC_CTYPE", "LANG" } do
    local value = get(name) or ""
    if value ~= "" then return value:upper():find "UTF%-?8" ~= nil end
  end
  return false
end

---@param fd integer
---@param environment nil|table<string, string>|fun(name: string): string|nil (os.getenv)
---@return zuora.cli.Terminal
function terminal.new(fd, environment)
  local get = environment or os.getenv
  if type(get) == "table" then get = function(name) return environment[name] end end
  local self = setmetatable({ fd = fd, environment = get }, Terminal)
  self.is_terminal = core.terminal(fd) ~= nil
  self.is_dumb = get "TERM" == "dumb"
  self.colour = has_colour(self, get)
  self.utf8 = shows_utf8(get)
  return self
end

-- --- text --------------------------------------------------------------------------------------------

-- Sorted pairs of first and last. What steers a terminal (C0, DEL, C1), turns the writing around, breaks a line, or
-- is not seen at all.
local STEERING = { 0x00, 0x1f, 0x7f, 0x9f, 0xad, 0xad, 0x61c, 0x61c, 0x180e, 0x180e, 0x200b, 0x200b, 0x200e, 0x200f,
  0x2028, 0x202e, 0x2060, 0x206f, 0xfeff, 0xfeff, 0xfff9, 0xfffb, 0xe0000, 0xe007f }

-- Characters that take no cell of their own, and those that take two (Unicode's East Asian Width, in large ranges).
local NARROW = { 0x300, 0x36f, 0x483, 0x489, 0x591, 0x5bd, 0x610, 0x61a, 0x64b, 0x65f, 0xe31, 0xe31, 0xe34, 0xe3a,
  0x1ab0, 0x1aff, 0x1dc0, 0x1dff, 0x200c, 0x200d, 0x20d0, 0x20ff, 0xfe00, 0xfe0f, 0xfe20, 0xfe2f }
local WIDE = { 0x1100, 0x115f, 0x231a, 0x231b, 0x23e9, 0x23ec, 0x2e80, 0x303e, 0x3041, 0x4dbf, 0x4e00, 0xa4cf,
  0xa960, 0xa97f, 0xac00, 0xd7a3, 0xf900, 0xfaff, 0xfe30, 0xfe6f, 0xff00, 0xff60, 0xffe0, 0xffe6,
  0x1f300, 0x1f64f, 0x1f680, 0x1f6ff, 0x1f900, 0x1f9ff, 0x1fa70, 0x1faff, 0x20000, 0x3fffd }

local function is_in(ranges, code)
  for i = 1, #ranges, 2 do
    if code < ranges[i] then return false end
    if code <= ranges[i + 1] then return true end
  end
  return false
end

--- Does this one character steer a terminal?
---@param character string UTF-8
---@return boolean
function terminal.steers(character) return is_in(STEERING, utf8.codepoint(character)) end

local SHORT = { [0x09] = "\\t", [0x0a] = "\\n", [0x0d] = "\\r" }

local function shown(character)
  if not terminal.steers(character) then return nil end
  local code = utf8.codepoint(character)
  return SHORT[code] or (code < 0x80 and "\\x%02x" or "\\u{%x}"):format(code)
end

-- Each byte that is no UTF-8 is written as its number: by itself it could be taken for a control character.
local function valid(text)
  local pieces, from = {}, 1
  local length, at = utf8.len(text)
  while not length do
    pieces[#pieces + 1] = text:sub(from, at - 1)
    pieces[#pieces + 1] = ("\\x%02x"):format(text:byte(at))
    from = at + 1
    length, at = utf8.len(text, from)
  end
  pieces[#pieces + 1] = text:sub(from)
  return table.concat(pieces)
end

--- Text that cannot steer a terminal, and is on one line: what could is written as an escape such as \n or \x1b.
---@param text any
---@return string
function terminal.safe(text)
  text = tostring(text)
  if not text:find "[^ -~]" then return text end -- (by their bytes: what a class such as %c holds is the locale's)
  return (valid(text):gsub(utf8.charpattern, shown))
end

--- How many cells a terminal gives to a text that is safe.
---@param text string
---@return integer
function terminal.width(text)
  if not text:find "[\128-\255]" then return #text end
  local cells = 0
  for _, code in utf8.codes(text) do
    cells = cells + (is_in(NARROW, code) and 0 or is_in(WIDE, code) and 2 or 1)
  end
  return cells
end

--- A safe text that takes no more than so many cells.
---@param text string
---@param cells integer
---@param mark string|nil what stands for what is cut off ("...")
---@return string
function terminal.cut(text, cells, mark)
  if #text <= cells or terminal.width(text) <= cells then return text end
  mark = mark or "..."
  local room, used = cells - terminal.width(mark), 0
  if room < 0 then return ("."):rep(cells) end
  for at, code in utf8.codes(text) do
    used = used + (is_in(NARROW, code) and 0 or is_in(WIDE, code) and 2 or 1)
    if used > room then return text:sub(1, at - 1) .. mark end
  end
  return text
end

return terminal
