--- How far each item is, on standard error: bars that are redrawn, plain lines, or JSON.
--
-- Bars are a block of lines, one for each item that goes on. After it is drawn, the cursor stands at the beginning of
-- the block: a terminal that breaks lines anew when its window changes moves the cursor along, and a program that is
-- killed leaves nothing that has to be put back. What is finished, and all other talk, is written above the block.
--
-- Nothing here runs by itself: whoever waits calls `tick` some times a second, so that clocks go on and a new size of
-- the window is seen.

local count = require "zuora.extract.base.phrases".count
local json = require "zuora.cli.json"
local terminal = require "zuora.cli.terminal"

local progress = {}

-- Seconds between two drawings; and after which a clock is drawn again though nothing has happened.
local SHORTEST, LONGEST = 0.1, 1

-- Seconds between two words about the bytes of an item, in JSON; and over which its rate is averaged.
local REPORT, SMOOTHING = 1, 3

-- Cells: of a bar, at most and at least; of a name, at most (a report run has 43); and what is left to all else.
local BAR, LEAST_BAR, NAME, REST = 24, 10, 48, 28

-- --- words -------------------------------------------------------------------------------------------

local function bytes_text(bytes)
  if bytes < 1000 then return ("%.0f B"):format(bytes) end -- (a rate is no whole number)
  for _, unit in ipairs { "kB", "MB", "GB" } do
    bytes = bytes / 1000
    if bytes < 999.95 then return ("%.1f %s"):format(bytes, unit) end
  end
  return ("%.1f TB"):format(bytes / 1000)
end

local function time_text(seconds)
  seconds = math.floor(seconds)
  if seconds < 3600 then return ("%d:%02d"):format(seconds // 60, seconds % 60) end
  return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end

-- --- an item -----------------------------------------------------------------------------------------

---@class zuora.cli.Item
---@field of zuora.cli.Progress
local Item = {}
Item.__index = Item

local function elapsed_of(item, now) return item.elapsed + math.max(0, now - item.told) end

local function bar_text(self, item, cells)
  local full = math.floor(cells * math.min(1, item.bytes / item.total))
  local done, rest = "=", "-"
  if self.terminal.utf8 then done, rest = "━", "─" end
  return self.terminal:paint("green", done:rep(full)) .. self.terminal:paint("dim", rest:rep(cells - full))
    .. (" %3d%%"):format(math.floor(100 * math.min(1, item.bytes / item.total)))
end

-- What is told of an item behind its name (and its bar), from the fullest form to the shortest.
local function states(item, now)
  if not item.bytes then return { ("%s  %s"):format(item.status or "waiting", time_text(elapsed_of(item, now))) } end
  local size = bytes_text(item.bytes)
  local rate = item.rate and item.rate >= 1 and "  " .. bytes_text(item.rate) .. "/s" or ""
  if not item.total then return { size .. rate, size } end
  local sizes, left = ("%s of %s"):format(size, bytes_text(item.total)), ""
  if rate ~= "" and item.total > item.bytes then
    left = ("  %s left"):format(time_text((item.total - item.bytes) / item.rate))
  end
  return { sizes .. rate .. left, sizes .. left, (left:gsub("^ +", "")) }
end

-- A line of the block: no wider than the window, and one cell less, since some terminals go on to the next line
-- when the last cell is written.
local function item_line(self, item, now, cells, name_cells)
  local mark = self.terminal.utf8 and "…" or "..."
  local name = terminal.cut(item.name, name_cells, mark)
  local line = name .. (" "):rep(name_cells - terminal.width(name)) .. "  "
  local room = cells - terminal.width(line)
  if room < 4 then return terminal.cut(item.name, cells, mark) end
  local texts = states(item, now)
  for _, text in ipairs(item.total and item.total > 0 and texts or {}) do
    local left = room - terminal.width(text) - 7 -- with the percentage
    if left >= LEAST_BAR then return line .. bar_text(self, item, math.min(BAR, left)) .. "  " .. text end
  end
  return line .. terminal.cut(texts[1], room, mark)
end

-- The rate of the last seconds, as far as it can be told.
local function measure(item, bytes, now)
  if not item.bytes or bytes < item.bytes then
    item.since, item.from, item.rate = now, bytes, nil
    return
  end
  local seconds = now - item.since
  if seconds < 0.25 then return end
  local rate = (bytes - item.from) / seconds
  local weight = math.min(1, seconds / SMOOTHING)
  item.rate = item.rate and item.rate + weight * (rate - item.rate) or rate
  item.since, item.from = now, bytes
end

--- It waits for something in Zuora.
---@param status string|nil what Zuora calls its state
---@param elapsed number|nil seconds since it was begun
function Item:waiting(status, elapsed)
  local of, now = self.of, self.of.now()
  status = status and terminal.safe(status) or "waiting"
  local changed = status ~= self.status or self.bytes ~= nil
  self.status, self.bytes, self.total = status, nil, nil
  if elapsed then self.elapsed, self.told = elapsed, now end
  if changed then
    of:tell(self, "waiting", { status = status, elapsed = elapsed_of(self, now) }, status)
  end
  of:touch(changed)
end

--- Its bytes come.
---@param bytes integer so far
---@param total integer|nil of all, where that is known
function Item:receiving(bytes, total)
  local of, now = self.of, self.of.now()
  local begins = not self.bytes
  measure(self, bytes, now)
  self.bytes, self.total = bytes, total
  if begins or (of.mode == "json" and now - self.reported >= REPORT) then
    self.reported = now
    of:tell(self, "receiving", { bytes = bytes, total = total },
      total and ("receiving %s"):format(bytes_text(total)) or "receiving")
  end
  of:touch(true)
end

local function settle(self, event, words, colour, mark)
  local of = self.of
  if self.settled then return end
  self.settled = true
  of.items[self] = nil
  words = words and terminal.safe(words)
  of:tell(self, event, { words = words }, words or event)
  if of.mode == "bar" then
    of:above(("%s %s%s"):format(of.terminal:paint(colour, mark), self.name, words and "  " .. words or ""))
  end
end

-- Where nothing else is told.
local function tell_quiet(self, words)
  if self.of.mode == "quiet" then self.of:line(self.name .. ": " .. words, true) end
end

--- It is done.
---@param words string|nil what came of it
---@param is_important boolean|nil not all about it is well
function Item:done(words, is_important)
  settle(self, "done", words, "green", self.of.terminal.utf8 and "✓" or "+")
  if is_important then tell_quiet(self, words) end
end

--- It is done: it is in a file.
---@param file { path: string, records: integer|nil, record_count: integer|nil, bytes: integer }
function Item:written(file)
  local held = file.record_count and "" or " (not verified)" -- against a count of Zuora's
  local records = file.records and count(file.records, "record") .. held .. ", " or ""
  self:done(("%s  %s%s"):format(file.path, records, count(file.bytes, "byte")))
end

--- It has failed.
---@param words string|nil why
function Item:failed(words) settle(self, "failed", words, "red", self.of.terminal.utf8 and "✗" or "x") end

--- It is one of several that has failed: nobody else says why, so it is told where nothing else is, too.
---@param words string why
function Item:lost(words)
  self:failed(words)
  tell_quiet(self, words)
end

-- --- all of them -------------------------------------------------------------------------------------

---@class zuora.cli.Progress
---@field mode "bar"|"plain"|"json"|"quiet"
---@field terminal zuora.cli.Terminal
---@field now fun(): number
---@field drawn number when
---@field height integer lines that are drawn
---@field columns integer|nil of the window, when it was drawn
---@field rows integer|nil
local Progress = {}
Progress.__index = Progress

local function write(self, text)
  -- Nobody hears of it when there is nobody to talk to: what is asked for is still done.
  self.stream:write(text)
  self.stream:flush()
end

-- In plain lines, and in JSON.
function Progress:tell(item, event, fields, words)
  if self.mode == "plain" then
    write(self, ("%s: %s\n"):format(item.name, words))
  elseif self.mode == "json" then
    fields.event, fields.item = event, item.name
    write(self, json.record(fields) .. "\n")
  end
end

local function in_order(items)
  local list = {}
  for item in pairs(items) do list[#list + 1] = item end
  table.sort(list, function(a, b) return a.number < b.number end)
  return list
end

-- The lines of the block, as many as the window has room for.
local function block(self, now, columns, rows)
  local lines, items, name_cells = {}, in_order(self.items), 0
  local most = math.max(1, rows - 1)
  local shown = #items <= most and #items or most - 1
  for i = 1, shown do name_cells = math.max(name_cells, math.min(NAME, terminal.width(items[i].name))) end
  name_cells = math.min(name_cells, math.max(1, columns // 2, columns - REST))
  for i = 1, shown do lines[i] = item_line(self, items[i], now, columns - 1, name_cells) end
  if shown < #items then
    lines[#lines + 1] = terminal.cut(("and %d more"):format(#items - shown), columns - 1)
  end
  return lines
end

-- Back at the beginning of the block, each line is written over, and what is left of the old one wiped: that does not
-- flicker, and no terminal takes it for the wiping of a whole screen (of which tmux keeps a copy). A window may have
-- become narrower than was known: so no line is broken meanwhile (mode 7), and the block is as high as it should be.
local function draw(self, above)
  if self.mode ~= "bar" or self.closed then return end
  local now, columns, rows = self.now(), self.terminal:size()
  local lines = block(self, now, columns, rows)
  if above == nil and #lines == 0 and self.height == 0 then return end
  local text = "\r" .. (above and above .. "\27[K\n" or "")
  text = #lines == 0 and text .. "\27[J" or text .. "\27[?7l" .. table.concat(lines, "\27[K\n") .. "\27[J\27[?7h"
  if #lines > 1 then text = text .. ("\27[%dA"):format(#lines - 1) end
  write(self, text .. "\r")
  self.height, self.drawn, self.changed, self.columns, self.rows = #lines, now, false, columns, rows
end

--- Something has changed: draws it, unless something was drawn just now. (`tick` will.)
function Progress:touch(changed)
  self.changed = self.changed or changed
  if self.mode == "bar" and self.now() - self.drawn >= SHORTEST then draw(self) end
end

--- A line above the bars.
function Progress:above(text)
  if self.mode == "bar" and not self.closed then draw(self, text) else write(self, text .. "\n") end
end

--- Time goes on. Call it some times a second while anything is waited for.
function Progress:tick()
  if self.mode ~= "bar" or self.closed then return end
  local age = self.now() - self.drawn
  if age < SHORTEST then return end
  local columns, rows = self.terminal:size()
  if self.changed or age >= LONGEST or columns ~= self.columns or rows ~= self.rows then draw(self) end
end

--- Something that goes on: a report, a job, a file.
---@param name string what to call it; made safe here
---@return zuora.cli.Item
function Progress:item(name)
  self.count = self.count + 1
  local item = setmetatable({ of = self, name = terminal.safe(name), number = self.count, elapsed = 0,
    told = self.now(), reported = -math.huge }, Item)
  self.items[item] = true
  self.changed = true
  return item
end

--- A line of talk, above the bars. (With mode "quiet" only what is `important`: how to go on with what was left.)
---@param text string made safe here
---@param important boolean|nil
function Progress:line(text, important)
  text = terminal.safe(text)
  if self.mode == "json" then
    write(self, json.record { event = "line", text = text } .. "\n")
  elseif self.mode ~= "quiet" or important then
    self:above(text)
  end
end

--- The end: the bars of what still goes on are wiped.
function Progress:close()
  if self.closed then return end
  if self.mode == "bar" and self.height > 0 then write(self, "\r\27[J") end
  self.closed, self.items = true, {}
end

---@param options table mode: "bar", "plain", "json" or "quiet" (nil: bars on a terminal, else plain lines); stream
--- (io.stderr); terminal: of that stream; now: a clock that nobody sets back, in seconds
---@return zuora.cli.Progress
function progress.new(options)
  local of = options.terminal
  local mode = options.mode or (of.is_terminal and not of.is_dumb and "bar" or "plain")
  return setmetatable({ mode = mode, stream = options.stream or io.stderr, terminal = of, now = options.now,
    items = {}, count = 0, height = 0, drawn = -math.huge }, Progress)
end

return progress
