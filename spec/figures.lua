--- The figures of the bench that README.md keeps between its marks, as a table of all who took part, and as plots:
--- `make doc` draws them with gnuplot, where it is there, and a spec holds the pictures against the figures.

local figures = {}

-- --- reading ------------------------------------------------------------------------------------------

local function others_of(text)
  local others = {}
  for name, cpu in text:gmatch "(%a[%w +-]-) ([%d.]+) %(" do others[name] = tonumber(cpu) end
  return others
end

--- What was measured: CPU time of each work, of this module, of the floor, and of others by name; and what a row
--- took, in microseconds.
---@param readme string
---@return { id: string, title: string, unit: string, floor: number, ours: number, others: table<string, number> }[] works
---@return table<string, number> rows by form: "array", "keyed"
function figures.read(readme)
  local run = assert(readme:match "<!%-%- make bench %-%->\n(.-)<!%-%- end of make bench %-%->", "no figures")
  local works, rows = {}, {}
  for line in run:gmatch "[^\n]+" do
    local cells = {}
    for text in line:gmatch "| ([^|]*)%f[|]" do cells[#cells + 1] = (text:gsub(" +$", "")) end
    local id, title, unit = (cells[1] or ""):match "^(%w+) (.*), (%S+)$"
    local floor, ours = (cells[2] or ""):match "^[%d.]+", (cells[3] or ""):match "^[%d.]+"
    if id and floor and ours then
      works[#works + 1] = { id = id, title = title, unit = unit, floor = tonumber(floor), ours = tonumber(ours),
        others = others_of(cells[6]) }
    end
    local form = (cells[1] or ""):match "^W4 rows, (%l+), a row$"
    if form then rows[form] = tonumber(cells[#cells]:match ": ([%d.]+),") end
  end
  return works, rows
end

-- --- as a table ---------------------------------------------------------------------------------------

local PEERS = { "Go", "Node", "curl", "pycurl", "requests", "Python", "LuaSocket", "Lua-cURLv3", "libcurl + cjson" }

--- The works that others did, too: a row for each, a column for each that was there.
---@return string head, string[][] rows
function figures.peers(readme)
  local works, there, names, rows = figures.read(readme), {}, {}, {}
  for _, work in ipairs(works) do
    for name in pairs(work.others) do there[name] = true end
  end
  for _, name in ipairs(PEERS) do names[#names + 1] = there[name] and name or nil end
  for _, work in ipairs(works) do
    if next(work.others) then
      local row = { work.title .. ", " .. work.unit, ("%.4g"):format(work.ours) }
      for _, name in ipairs(names) do row[#row + 1] = work.others[name] and ("%.4g"):format(work.others[name]) or "" end
      rows[#rows + 1] = row
    end
  end
  return "| CPU time | zuora | " .. table.concat(names, " | ") .. " |", rows
end

-- --- as plots -----------------------------------------------------------------------------------------

-- Bars of one plot, each with a label and a value; the module's own are in another colour.
local function bars_of_calls(works)
  local work = works[1]
  assert(work.id == "W1" and work.unit == "µs")
  local bars = { { "zuora", work.ours, true } }
  for name, cpu in pairs(work.others) do bars[#bars + 1] = { name, cpu } end
  table.sort(bars, function(a, b) return a[2] < b[2] end)
  return bars
end

-- Rows a second, of those works that read the same file: as many times more than the array's as it takes less time.
local function bars_of_rows(works, rows)
  local function find(words)
    for _, work in ipairs(works) do
      if work.id == "W4" and work.title:find(words, 1, true) then return work end
    end
    error("no figures of rows, " .. words)
  end
  local count = find ", array".ours / rows.array -- in millions
  local bars = {}
  for _, form in ipairs { { ", lazy, one cell read", "one cell of a row" }, { ", array", "all cells, a list" },
    { ", keyed", "all cells, by name" } } do
    local work = find(form[1])
    local list = { { "zuora, " .. form[2], count / work.ours, true } }
    for name, cpu in pairs(work.others) do list[#list + 1] = { name .. ", " .. form[2], count / cpu } end
    table.sort(list, function(a, b) return a[2] > b[2] end)
    table.move(list, 1, #list, #bars + 1, bars)
  end
  return bars
end

--- The plots: the name of each below .github, what its title says, and its bars.
---@param readme string
---@return { name: string, title: string, bars: { [1]: string, [2]: number, [3]: true|nil }[] }[]
function figures.plots(readme)
  local works, rows = figures.read(readme)
  return {
    { name = "calls", title = "CPU time of a call, µs (short is good)", bars = bars_of_calls(works) },
    { name = "rows", title = "Millions of rows a second of CPU time (long is good)", bars = bars_of_rows(works, rows) },
  }
end

-- A bar's value as it is written beside it.
local function written(bar) return ("%.3g"):format(bar[2]) end

--- The figures of a plot, as the picture has them in words.
function figures.words(plot)
  local list = {}
  for i, bar in ipairs(plot.bars) do list[i] = bar[1] .. ": " .. written(bar) end
  return table.concat(list, "; ")
end

-- Colours that can be read on white and on black, and no background.
local SCRIPT = [[
set terminal svg size 760,%d dynamic font "sans-serif,13"
set title "%s" textcolor rgb "#7d8590"
unset border
unset key
unset xtics
set ytics nomirror scale 0 textcolor rgb "#7d8590"
set yrange [%d.5:0.5]
set xrange [0:%g]
set style fill solid 1 noborder
$bars << END
%sEND
plot $bars using (0):2:(0):3:($2-0.36):($2+0.36):4:ytic(1) with boxxyerror linecolor rgb variable, \
  $bars using 3:2:5 with labels left offset 0.7,0 textcolor rgb "#7d8590"
]]
local OURS, OTHERS = 0x3b82f6, 0x9aa4af

local function script_of(plot)
  local lines, greatest = {}, 0
  for i, bar in ipairs(plot.bars) do
    lines[i] = ('"%s" %d %.6g %d "%s"\n'):format(bar[1], i, bar[2], bar[3] and OURS or OTHERS, written(bar))
    greatest = math.max(greatest, bar[2])
  end
  return SCRIPT:format(60 + 26 * #lines, plot.title, #lines, greatest * 1.1, table.concat(lines))
end

--- Draws the plots into the folder .github, where there is gnuplot.
---@param readme string
function figures.draw(readme)
  if not os.execute "command -v gnuplot > /dev/null" then
    io.stderr:write "no gnuplot: the plots stay as they are\n"
    return
  end
  for _, plot in ipairs(figures.plots(readme)) do
    local path, name = (".github/%s.svg"):format(plot.name), os.tmpname()
    local script = assert(io.open(name, "w"))
    script:write(script_of(plot))
    script:close()
    local pipe = assert(io.popen("LC_ALL=C.UTF-8 gnuplot " .. name))
    local picture = pipe:read "a"
    assert(pipe:close())
    os.remove(name)
    picture = picture:gsub("<title>.-</title>", "<title>" .. plot.title .. "</title>", 1)
      :gsub("<desc>.-</desc>", "<desc>" .. figures.words(plot) .. "</desc>", 1):gsub("<defs>.-</defs>\n*", "", 1):gsub("[ \t]+\n", "\n")
    local out = assert(io.open(path, "w"))
    out:write(picture)
    out:close()
  end
end

return figures
