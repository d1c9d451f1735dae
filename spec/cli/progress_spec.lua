local progress = require "zuora.cli.progress"
local pseudo = require "spec.terminal"
local support = require "spec.support"

-- What is told where there is no terminal, with a clock that the spec sets.
local function told(mode, f)
  local path = os.tmpname()
  local file, clock = assert(io.open(path, "wb")), { at = 100 }
  local of = { is_terminal = false, is_dumb = false, utf8 = true, paint = function(_, _, text) return text end,
    size = function() return 80, 24 end }
  local p = progress.new { mode = mode, stream = file, terminal = of, now = function() return clock.at end }
  f(p, clock)
  p:close()
  file:close()
  local text = support.read(path)
  os.remove(path)
  return text
end

local function story(p, clock)
  local run, file = p:item "run 1", p:item "file\27[2J"
  p:line "begins\7"
  for second = 0, 9 do
    clock.at = 100 + second
    run:waiting(second < 5 and "STARTED" or "QUERYDATA", second)
    file:receiving(second * 1000, 9000)
    p:tick()
  end
  run:failed "no such\nreport"
  run:done "never"
  file:done "9000 bytes"
end

describe("progress in a pipe", function()
  it("is a plain line for each change, without any escape code", function()
    assert.equal([[
begins\x07
run 1: STARTED
file\x1b[2J: receiving 9.0 kB
run 1: QUERYDATA
run 1: no such\nreport
file\x1b[2J: 9000 bytes
]], told(nil, story))
  end)

  it("is an object a line where that is asked for", function()
    local lines = {}
    for line in told("json", story):gmatch "[^\n]+" do
      lines[#lines + 1] = assert(require "zuora.core".decode(line))
    end
    assert.same({ event = "line", text = "begins\\x07" }, lines[1])
    assert.same({ event = "waiting", item = "run 1", status = "STARTED", elapsed = 0 }, lines[2])
    assert.same({ event = "receiving", item = "file\\x1b[2J", bytes = 0, total = 9000 }, lines[3])
    assert.same({ event = "receiving", item = "file\\x1b[2J", bytes = 1000, total = 9000 }, lines[4])
    assert.same({ event = "failed", item = "run 1", words = "no such\\nreport" }, lines[#lines - 1])
    assert.same({ event = "done", item = "file\\x1b[2J", words = "9000 bytes" }, lines[#lines])
    assert.equal(1 + 2 + 10 + 2, #lines)
  end)

  it("in JSON tells of bytes once a second, however often they come", function()
    local text = told("json", function(p, clock)
      local file = p:item "f"
      for i = 1, 1000 do
        clock.at = 100 + i / 100
        file:receiving(i)
      end
    end)
    assert.is_true(select(2, text:gsub("\n", "")) <= 11)
  end)

  it("is nothing when it is to be quiet, but for what matters", function()
    assert.equal("how to go on\n", told("quiet", function(p, clock)
      story(p, clock)
      p:line("how to go on", true)
    end))
  end)

  it("tells how slow it is, too", function()
    assert.matches("slow  100 B  333 B/s", told("bar", function(p, clock)
      local item = p:item "slow"
      item:receiving(0)
      clock.at = clock.at + 0.3
      item:receiving(100)
    end), 1, true)
  end)

  it("that nobody reads does not end the work", function()
    local path, code = os.tmpname(), os.tmpname()
    support.write(code, ("package.path=%q package.cpath=%q "):format(package.path, package.cpath) .. [[
      local terminal = require "zuora.cli.terminal"
      os.execute "sleep 0.05"
      local p = require "zuora.cli.progress".new { terminal = terminal.new(2), now = os.time }
      for i = 1, 100 do p:item("x" .. i):done() end
      print "done"]])
    support.shell(("trap '' PIPE; { lua5.4 %s 2>&1 >%s; } | true"):format(code, path))
    assert.equal("done\n", support.read(path))
    os.remove(path)
    os.remove(code)
  end)
end)

-- --- on a terminal -----------------------------------------------------------------------------------

local BAR = "[\226\148\128\129]+" -- of either kind

local PROLOGUE = [[
local core = require "zuora.core"
local terminal, progress = require "zuora.cli.terminal", require "zuora.cli.progress"
local session = core.session {}
local p = progress.new { stream = io.stderr, terminal = terminal.new(2), now = core.now, mode = MODE }
local function pause(seconds, f)
  local ends_at = core.now() + seconds
  repeat session:step(0.02) if f then f() end p:tick() until core.now() > ends_at
end
]]

local function drawing(code, columns, rows, environment)
  -- (The keys that the spec presses are not to be seen.)
  return pseudo.lua(PROLOGUE .. code, columns, rows, "stty -echo; " .. (environment or "TERM=xterm NO_COLOR=1 LC_ALL=C.UTF-8"))
end

describe("progress on a terminal", function()
  it("draws a bar with rate and time left, and leaves one line", function()
    local run <close> = drawing [[
      local item, bytes = p:item "Accounts", 0
      pause(1, function() bytes = bytes + 100000 item:receiving(math.min(bytes, 9000000), 10000000) end)
      io.stdout:write "" io.read()
      item:done "10000000 bytes"
      p:close()
    ]]
    run:expect "MB/s.-left"
    run:settle(1)
    local lines = run.screen:text()
    assert.equal(1, #lines)
    assert.matches("^Accounts  " .. BAR .. " +%d+%%  [%d.]+ MB of 10.0 MB  [%d.]+ MB/s  0:%d%d left$", lines[1])
    run:press "\n"
    assert.equal(0, run:finish())
    assert.same({ "✓ Accounts  10000000 bytes" }, run.screen:text())
  end)

  it("shows what it waits for, and for how long, though nobody says a word", function()
    local run <close> = drawing [[
      local item = p:item "run 1"
      item:waiting("QUERYDATA", 59)
      pause(5)
    ]]
    run:expect "QUERYDATA  0:59"
    run:expect "QUERYDATA  1:00"
    run:expect "QUERYDATA  1:01"
  end)

  it("draws several items at once, talk above them, and those that are done", function()
    local run <close> = drawing [[
      local a, b, c = p:item "a", p:item "bb", p:item "c"
      a:waiting("STARTED", 0) b:waiting("submitted", 0) c:receiving(10, 100)
      pause(0.2)
      p:line "some talk"
      b:failed "it was aborted"
      pause(0.2)
      io.read()
      a:done() c:done "100 bytes" p:close()
      io.stderr:write "the end\n"
    ]]
    run:expect "aborted"
    run:settle(0.4)
    assert.same({ "some talk", "✗ bb  it was aborted", "a  STARTED  0:00", "c  ━━" .. ("─"):rep(22) .. "  10%  10 B of 100 B" },
      run.screen:text())
    run:press "\n"
    assert.equal(0, run:finish())
    assert.same({ "some talk", "✗ bb  it was aborted", "✓ a", "✓ c  100 bytes", "the end" }, run.screen:text())
  end)

  it("is redrawn when the window changes, and never wider than it", function()
    local run <close> = drawing([[
      local item = p:item("a report with a long name")
      item:receiving(0, 10000)
      item:receiving(5000, 10000)
      pause(30)
    ]], 100)
    run:expect "of 10.0 kB"
    local before = #run.drawn
    run:resize(30, 24)
    run:settle(0.5)
    local after = run.drawn:sub(before + 1)
    assert.matches("a report", after) -- within the half of a second, though nothing has changed
    for line in after:gsub("\27%[%??%d*%a", ""):gmatch "[^\r\n]+" do
      assert.is_true(require "zuora.cli.terminal".width(line) < 30, line)
    end
    for columns = 1, 12 do
      run:resize(columns, 5)
      run:settle(0.15)
    end
    run:resize(100, 24)
    run:expect("a report with a long name  " .. BAR .. "  50%%")
  end)

  it("has no more lines than the window", function()
    local run <close> = drawing([[
      for i = 1, 20 do p:item("item " .. i):waiting("STARTED", 0) end
      pause(30)
    ]], 80, 6)
    run:expect "and 16 more"
    run:settle(0.3)
    assert.equal(5, #run.screen:text())
  end)

  it("is drawn no more than some ten times a second", function()
    local run <close> = drawing [[
      local item, bytes = p:item "fast", 0
      local ends_at = core.now() + 1
      repeat bytes = bytes + 1 item:receiving(bytes, 1000000000) until core.now() > ends_at
      p:close()
    ]]
    run:finish()
    local drawings = select(2, run.drawn:gsub("\27%[J", ""))
    assert.is_true(drawings >= 5 and drawings <= 13, drawings)
  end)

  it("cannot be steered by names, statuses and words", function()
    local run <close> = drawing [[
      local a, b = p:item "\27]0;title\7\27[2J", p:item "\u{9b}2J\u{202e}"
      a:waiting("\27[H\r\n", 0) b:receiving(1, 2)
      p:line "\27[31m\n"
      pause(0.2)
      a:failed "\27[8m\r" b:done "\0\8"
      p:close()
    ]]
    assert.equal(0, run:finish()) -- the screen knows what is drawn, and nothing else
    assert.same({ "\\x1b[31m\\n", "✗ \\x1b]0;title\\x07\\x1b[2J  \\x1b[8m\\r", "✓ \\u{9b}2J\\u{202e}  \\x00\\x08" },
      run.screen:text())
  end)

  it("is plain lines on a dumb one, and has its colours where there are any", function()
    local code = [[
      local item = p:item "a"
      item:waiting("STARTED", 0)
      pause(0.2)
      item:done "well"
      p:close()
    ]]
    do
      local run <close> = drawing(code, 80, 24, "TERM=dumb")
      run:finish()
      assert.equal("a: STARTED\r\na: well\r\n", run.drawn)
    end
    do
      local run <close> = drawing(code, 80, 24, "TERM=xterm NO_COLOR= LC_ALL=C")
      run:finish()
      assert.matches("\27%[32m%+\27%[0m a  well", run.drawn)
    end
  end)
end)
