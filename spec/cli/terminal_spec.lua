local support = require "spec.support"
local pseudo = require "spec.terminal"
local terminal = require "zuora.cli.terminal"

describe("a terminal", function()
  it("is told from a file, and says how large its window is, each time anew", function()
    local run <close> = pseudo.lua([[
      local terminal = require "zuora.cli.terminal"
      local of = terminal.new(1)
      print(of.is_terminal, of.colour, of:size())
      io.read()
      print("then", of:size())
      local file = terminal.new(2)
      print("other", file.is_terminal)
    ]], 101, 33, "TERM=xterm NO_COLOR= CLICOLOR= 2>/dev/null")
    run:expect "true%s+true%s+101%s+33"
    run:resize(44, 11)
    run:press "\n"
    run:expect "then%s+44%s+11"
    run:expect "other%s+false"
    assert.equal(0, run:finish())
  end)

  it("of no known size has the usual one, or what the environment says", function()
    local run <close> = pseudo.lua([[
      local terminal = require "zuora.cli.terminal"
      print(terminal.new(1, {}):size())
      print(terminal.new(1, { COLUMNS = "90", LINES = "x" }):size())
    ]], 0, 0)
    run:expect "80%s+24%s+90%s+24"
  end)

  it("has the colours that the environment wants", function()
    local run <close> = pseudo.lua([[
      local terminal = require "zuora.cli.terminal"
      for _, of in ipairs { {}, { NO_COLOR = "1" }, { NO_COLOR = "" }, { TERM = "dumb" }, { CLICOLOR = "0" },
        { TERM = "dumb", CLICOLOR_FORCE = "1" }, { NO_COLOR = "1", CLICOLOR_FORCE = "1" } } do
        io.write(tostring(terminal.new(1, of).colour), " ")
      end
    ]])
    run:expect "true false true false false true false"
    run:finish()
  end)

  it("that is none has colours only where they are forced", function()
    local text = support.lua [[
      local terminal = require "zuora.cli.terminal"
      for _, of in ipairs { {}, { CLICOLOR_FORCE = "1" }, { CLICOLOR_FORCE = "0" }, { NO_COLOR = "1", CLICOLOR_FORCE = "1" } } do
        io.write(tostring(terminal.new(1, of).colour), " ")
      end
      io.write(terminal.new(1, {}):paint("red", "plain"))
      io.write(terminal.new(1, { CLICOLOR_FORCE = "1" }):paint("red", "red"))
    ]]
    assert.equal("false true false false plain\27[31mred\27[0m", text)
  end)

  it("is asked of the core by its descriptor", function()
    local core = require "zuora.core"
    assert.is_nil(core.terminal(9999))
    assert.has_error(function() core.terminal(-1) end)
    assert.has_error(function() core.terminal "x" end)
  end)
end)

describe("text for a terminal", function()
  it("is not changed where it is harmless", function()
    for _, text in ipairs { "", "Accounts by balance", "Müller & Søn, 漢字, 🎉, नमस्ते", "100 % ~" } do
      assert.equal(text, terminal.safe(text))
    end
  end)

  it("steers nothing", function()
    local function shown(expected, text) assert.equal(expected, terminal.safe(text)) end
    shown("\\x1b[2J\\x1b]0;title\\x07", "\27[2J\27]0;title\7")
    shown("one\\r\\ntwo\\tthree\\x00", "one\r\ntwo\tthree\0")
    shown("\\x7f", "\127")
    shown("\\u{9b}2J", "\u{9b}2J")
    shown("\\x9b2J\\xff", "\x9b2J\xff")               -- C1 by its byte, and what is no UTF-8
    shown("\\xc3", "\xc3")
    shown("\\u{202e}cod.exe", "\u{202e}cod.exe")     -- turns the writing around
    shown("\\u{2066}x\\u{2069}\\u{200f}\\u{61c}", "\u{2066}x\u{2069}\u{200f}\u{61c}")
    shown("\\u{2028}\\u{feff}\\u{e0041}", "\u{2028}\u{feff}\u{e0041}")
    for code = 0, 0x9f do
      if code < 32 or code >= 127 then
        assert.is_nil(terminal.safe(utf8.char(code)):find "[%z\1-\31\127-\255]")
      end
    end
    for byte = 0, 255 do assert.is_truthy(utf8.len(terminal.safe(string.char(byte)))) end
  end)

  it("is as wide as its characters are", function()
    assert.same({ 3, 4, 1, 2, 0 }, { terminal.width "abc", terminal.width "漢字", terminal.width "e\u{301}",
      terminal.width "🎉", terminal.width "" })
  end)

  it("is cut between characters, and never too wide", function()
    assert.equal("abc", terminal.cut("abc", 3))
    assert.equal("a...", terminal.cut("abcde", 4))
    assert.equal("漢…", terminal.cut("漢字漢字", 4, "…"))
    assert.equal("..", terminal.cut("abcde", 2))
    for cells = 0, 20 do
      for _, text in ipairs { "abcdefghijklmnop", "漢字漢字漢字漢字", "e\u{301}e\u{301}e\u{301}e\u{301}xyz" } do
        assert.is_true(terminal.width(terminal.cut(text, cells)) <= cells)
      end
    end
  end)
end)
