--- What a terminal shows of what was written to it: enough of one for what `zuora` draws. Whatever else it is told
--- is an error, so that nothing unforeseen reaches a real one.

local screen = {}

local Screen = {}
Screen.__index = Screen

local function line_at(self, row)
  while #self.lines < row do self.lines[#self.lines + 1] = {} end
  return self.lines[row]
end

local function put(self, character)
  if self.column > self.columns and self.wraps then self.column, self.row = 1, self.row + 1 end
  self.column = math.min(self.column, self.columns)
  line_at(self, self.row)[self.column] = character
  self.column = self.column + 1
end

local CONTROL = {}

function CONTROL.A(self, count) self.row = math.max(1, self.row - count) end

function CONTROL.J(self)
  local line = line_at(self, self.row)
  for column = self.column, self.columns do line[column] = nil end
  for row = self.row + 1, #self.lines do self.lines[row] = nil end
end

function CONTROL.K(self)
  local line = line_at(self, self.row)
  for column = self.column, self.columns do line[column] = nil end
end

function CONTROL.h(self, mode) self.wraps = self.wraps or mode == "?7" end
function CONTROL.l(self, mode) self.wraps = self.wraps and mode ~= "?7" end

function CONTROL.m(self) self.coloured = true end

--- Takes what was written.
---@param text string
function Screen:write(text)
  local at = 1
  while at <= #text do
    local count, final, after = text:match("^\27%[(%??%d*)(%a)()", at)
    if final then
      assert(CONTROL[final], "what is \\27[" .. count .. final .. "?")(self, tonumber(count) or count ~= "" and count or 1)
      at = after
    else
      local character = text:match("^[%z\1-\127\194-\253][\128-\191]*", at)
      if character == "\r" then
        self.column = 1
      elseif character == "\n" then
        self.row = self.row + 1
      elseif character == "\t" then
        self.column = (self.column - 1) // 8 * 8 + 9
      else
        assert(character:byte() >= 32, ("what is byte %d?"):format(character:byte()))
        put(self, character)
      end
      at = at + #character
    end
  end
end

--- Its lines, without blanks at their ends, and without empty lines at the end.
---@return string[]
function Screen:text()
  local lines = {}
  for row, line in ipairs(self.lines) do
    local cells = {}
    for column = 1, self.columns do cells[column] = line[column] or " " end
    lines[row] = table.concat(cells):gsub(" +$", "")
  end
  while lines[#lines] == "" do lines[#lines] = nil end
  return lines
end

function screen.new(columns) return setmetatable({ columns = columns, lines = {}, row = 1, column = 1, wraps = true }, Screen) end

return screen
