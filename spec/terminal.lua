--- A program in a pseudo-terminal: what it draws, and what a person would see of it.

local core = require "zuora.core"
local screen = require "spec.screen"
local support = require "spec.support"

local terminal = {}

local Terminal = {}
Terminal.__index = Terminal

local function take(self, seconds)
  local text = self.pty:read(seconds)
  if text then
    self.drawn = self.drawn .. text
    self.screen:write(text)
  end
  return text
end

--- Reads until the pattern was drawn (from here on); what was drawn until then. Raises when it is not.
---@param pattern string
---@param seconds number|nil (5)
function Terminal:expect(pattern, seconds)
  local from, ends_at = self.seen, core.now() + (seconds or 5)
  repeat
    local first, last = self.drawn:find(pattern, from)
    if first then
      self.seen = last + 1
      return self.drawn:sub(from, last)
    end
    local more = take(self, 0.05)
  until not more or core.now() > ends_at
  error(("%q was not drawn, but %q"):format(pattern, self.drawn:sub(from)), 2)
end

--- Reads for so long.
function Terminal:settle(seconds)
  local ends_at = core.now() + seconds
  repeat until not take(self, 0.02) or core.now() > ends_at
end

--- Reads to the end; the exit status, or minus the signal.
function Terminal:finish(seconds)
  local ends_at = core.now() + (seconds or 10)
  repeat
    if core.now() > ends_at then error("it did not end, but drew " .. ("%q"):format(self.drawn:sub(self.seen)), 2) end
  until not take(self, 0.05)
  return self.pty:wait()
end

function Terminal:press(keys) self.pty:write(keys) end

function Terminal:resize(columns, rows)
  self.pty:resize(columns, rows)
  self.screen.columns = columns
end

function Terminal:close() self.pty:close() end

Terminal.__close = Terminal.close

--- Runs a shell command in a terminal of so many columns and rows.
---@param command string
---@param columns integer|nil (80)
---@param rows integer|nil (24)
function terminal.open(command, columns, rows)
  local open = assert(package.loadlib(support.native "pty.so", "luaopen_pty"))().open
  columns = columns or 80
  return setmetatable({ pty = open(command, columns, rows or 24), drawn = "", seen = 1,
    screen = screen.new(columns) }, Terminal)
end

--- Runs Lua code with this tree's modules.
function terminal.lua(code, columns, rows, environment)
  local path = os.tmpname()
  support.write(path, ("package.path=%q package.cpath=%q os.remove %q\n"):format(package.path, package.cpath, path) .. code)
  return terminal.open((environment or "") .. " exec lua5.4 " .. path, columns, rows)
end

return terminal
