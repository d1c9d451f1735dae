local output = require "zuora.cli.output"
local pseudo = require "spec.terminal"
local support = require "spec.support"
local tables = require "zuora.cli.table"
local zuora = require "zuora"

-- What is written to a stream that is no terminal.
local function written(format, f)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  local of = { is_terminal = false, utf8 = true, colour = false, paint = function(_, _, text) return text end }
  local done, message = f(output.new { format = format, stream = file, terminal = of })
  file:close()
  local text = support.read(path)
  os.remove(path)
  assert.is_true(done, message)
  return text
end

local function rows_of(text, f, types)
  local path = os.tmpname()
  support.write(path, text)
  local it <close> = assert(zuora.rows(path, { form = "array", types = types }))
  os.remove(path)
  return f(it)
end

local function rows(format, text, types)
  return written(format, function(o)
    return rows_of(text, function(it) return o:rows(it) end, types)
  end)
end

local RECORDS = { { status = "a", id = "1", total = 0.1, parts = { 1, 2 }, done = true },
  { id = "2", name = 'say "hi", twice\n', big = 9007199254740993 } }

describe("output", function()
  it("of rows in a pipe is CSV, quoted where that is needed, and no byte is changed", function()
    local text = 'A.B,n,"x,y"\n"1,5",007,\n"a ""b"" c",,\27[2J\n"two\nlines",12,0010.50\n'
    assert.equal('A.B,n,"x,y"\n"1,5",7,\n"a ""b"" c",,\27[2J\n"two\nlines",12,0010.50\n', rows(nil, text, { n = "integer" }))
    assert.equal(text, rows("csv", text))
  end)

  it("of a single empty cell is no empty line", function()
    assert.equal('A\n""\nx\n', rows("csv", 'A\n""\nx\n'))
  end)

  it("of no rows has its header all the same", function()
    assert.equal("A,B\n", rows("csv", "A,B\n"))
    assert.equal("[]\n", rows("json", "A,B\n"))
    assert.equal("", rows("jsonl", "A,B\n"))
    assert.equal("A  B\n", rows("table", "A,B\n"))
  end)

  it("of rows as JSON keeps texts, and has members in the order of the columns", function()
    local text = 'Z,n,A\n0010.50,3,"say ""hi"""\n1e400,,ü\n'
    assert.equal('{"Z":"0010.50","n":3,"A":"say \\"hi\\""}\n{"Z":"1e400","n":null,"A":"ü"}\n', rows("jsonl", text, { n = "integer" }))
    assert.equal('[\n{"Z":"0010.50","n":3,"A":"say \\"hi\\""},\n{"Z":"1e400","n":null,"A":"ü"}\n]\n', rows("json", text, { n = "integer" }))
  end)

  it("of records in a pipe is a line of JSON for each", function()
    assert.equal('{"done":true,"id":"1","parts":[1,2],"status":"a","total":0.1}\n'
      .. '{"big":9007199254740993,"id":"2","name":"say \\"hi\\", twice\\n"}\n',
      written(nil, function(o) return o:records(RECORDS) end))
    assert.equal("[]\n", written("json", function(o) return o:records {} end))
  end)

  it("of records as a table for people has no column in which there is nothing", function()
    local list, columns = { { a = "1", b = "" }, { c = "3" } }, { "a", "b", "c" }
    assert.equal("a  c\n1\n   3\n", written("table", function(o) return o:records(list, columns) end))
    assert.matches("^a,b,c\r?\n1,,\r?\n,,3\r?\n$", written("csv", function(o) return o:records(list, columns) end))
  end)

  it("of records as rows has what has no parts, or what was asked for", function()
    assert.equal('id,name,status,big,done,total\n1,,a,,true,0.1\n2,"say ""hi"", twice\n",,9007199254740993,,\n',
      written("csv", function(o) return o:records(RECORDS) end))
    assert.equal('total,parts\n0.1,"[1,2]"\n,\n', written("csv", function(o) return o:records(RECORDS, { "total", "parts" }) end))
  end)

  it("of one record is one", function()
    assert.equal('{"id":"2","name":"x"}\n', written("json", function(o) return o:record { id = "2", name = "x" } end))
    assert.equal("id,name\n2,x\n", written("csv", function(o) return o:record { id = "2", name = "x" } end))
    assert.equal("id     2\nparts  [1,{\"a\":null}]\n",
      written("table", function(o) return o:record { id = "2", parts = { 1, { a = zuora.null } } } end))
    assert.equal("{}\n", written("json", function(o) return o:record {} end))
  end)

  it("as a table has numbers at their right, and wide characters in two cells", function()
    assert.equal("Name    Balance\nmü            1\n漢字     -12.50\nlonger\n",
      rows("table", "Name,Balance\nmü,1\n漢字,-12.50\nlonger,\n"))
  end)

  it("writes each number so that it reads back the same", function()
    for _, number in ipairs { 0.1, 1 / 3, 1e300, 5e-324, 123456.789, -0.5, 2 ^ 53 } do
      local text = written("json", function(o) return o:record { n = number } end)
      assert.equal(number, tonumber(text:match ":(.*)}"))
    end
    assert.equal('{"a":null,"b":null}\n', written("json", function(o) return o:record { a = 0 / 0, b = math.huge } end))
  end)

  it("of what is no UTF-8 is JSON all the same", function()
    assert.equal('{"n":"a\u{FFFD}b\\u0000\\u007f"}\n', written("json", function(o) return o:record { n = "a\xffb\0\127" } end))
  end)

  it("says what went wrong in the midst, after what came before it", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    local of = { is_terminal = false, paint = function(_, _, text) return text end }
    local ok, err = pcall(rows_of, "A,B\n1,2\n1,2,3\n", function(it)
      return output.new { format = "csv", stream = file, terminal = of }:rows(it)
    end)
    file:close()
    assert.is_false(ok)
    assert.equal("text", err.kind)
    assert.equal("A,B\n1,2\n", support.read(path))
    os.remove(path)
  end)
end)

describe("a table", function()
  it("takes time as its cells are long, blank or not", function()
    support.assert_linear(function(cell)
      local list = tables.new({ "A" }, function() end, { utf8 = true, paint = function(_, _, text) return text end })
      list:row { cell }
      list:close()
    end, function(size) return "a" .. (" "):rep(size) .. "b" end, 64000)
  end)
end)

describe("standard output that is gone", function()
  local CODE = [[
    local output, terminal = require "zuora.cli.output", require "zuora.cli.terminal"
    local o = output.new { stream = io.stdout, terminal = terminal.new(1) }
    local n = 0
    local rows = setmetatable({ columns = { "A" } }, { __call = function()
      n = n + 1
      if n <= 1000000 then return { tostring(n) } end
    end })
    local done, message, is_pipe = o:rows(rows)
    io.stderr:write(tostring(done), "|", tostring(message), "|", tostring(is_pipe), "|", n, "\n")
  ]]
  local function told(shell)
    local path = os.tmpname()
    support.write(path, ("package.path=%q package.cpath=%q "):format(package.path, package.cpath) .. CODE)
    local text = support.shell(shell:format(path))
    os.remove(path)
    return text
  end

  it("is the quiet end, and nothing more is made", function()
    -- With SIGPIPE ignored, as systemd has it; else the signal ends the process as quietly.
    local text = told "trap '' PIPE; lua5.4 %s | head -1"
    assert.matches("\nA\n", "\n" .. text) -- either of the two programs may be told of first
    local n = tonumber(text:match "nil|Broken pipe|true|(%d+)")
    assert.is_true(n < 1000000)
    -- (Where it is ignored from the beginning, no shell brings it back.)
    text = told "lua5.4 %s | head -1"
    assert.matches("\nA\n", "\n" .. text)
    assert.is_true(text == "A\n" or text:find "nil|Broken pipe|true|" ~= nil, text)
  end)

  it("because a disk is full is an error", function()
    assert.matches("nil|No space left on device|false|%d+", told "lua5.4 %s > /dev/full")
  end)
end)

describe("output on a terminal", function()
  local function drawn(code, columns)
    local run <close> = pseudo.lua([[
      local output, terminal = require "zuora.cli.output", require "zuora.cli.terminal"
      local function rows(columns, list)
        local n = 0
        return setmetatable({ columns = columns }, { __call = function() n = n + 1 return list[n] end })
      end
      local function o(format) return output.new { format = format, stream = io.stdout,
        terminal = terminal.new(1) } end
    ]] .. code, columns, 24, "TERM=xterm NO_COLOR=1 LC_ALL=C")
    assert.equal(0, run:finish())
    return run.screen:text(), run
  end

  it("is a table, whose cells cannot steer it", function()
    local lines = drawn [[ o():rows(rows({ "A\27[31m", "B" }, { { "x\27[2Jy\7", "a\nb" }, { "\u{9b}2J", "\u{202e}z" } })) ]]
    assert.same({ "A\\x1b[31m      B", "x\\x1b[2Jy\\x07  a\\nb", "\\u{9b}2J       \\u{202e}z" }, lines)
  end)

  it("is safe in each format, and still JSON", function()
    for _, format in ipairs { "table", "csv", "json", "jsonl" } do
      local _, run = drawn(([[
        o %q:rows(rows({ "A" }, { { "x\27[2J\u{9b}2J\u{202e}\127 e\u{301} \u{e0041}" } }))
        o %q:records { { id = "\27]0;x\7\u{9b}" } }
        o %q:record { ["\27c"] = "\27c\u{9b}" }
      ]]):format(format, format, format))
      assert.is_nil(run.drawn:find "[%z\1-\9\11\12\14-\31\127]")
      assert.is_nil(run.drawn:find "\194[\128-\159]")
      assert.is_nil(run.drawn:find "\u{202e}")
      if format == "jsonl" then
        local text = run.drawn:match "^(.-)\r\n"
        assert.equal([[{"A":"x\u001b[2J\u009b2J\u202e\u007f e]] .. "\u{301}" .. [[ \udb40\udc41"}]], text)
      end
    end
  end)

  it("is cut to the window, the widest columns first", function()
    local code = [[ o():rows(rows({ "Id", "Name", "Note" }, { { "1", ("n"):rep(50), ("x"):rep(50) }, { "22", "short", "s" } })) ]]
    local lines = drawn(code, 40)
    assert.same({ "Id  Name               Note", " 1  nnnnnnnnnnnnnn...  xxxxxxxxxxxxxx...", "22  short              s" }, lines)
    lines = drawn(code, 200)
    assert.equal(" 1  " .. ("n"):rep(50) .. "  " .. ("x"):rep(50), lines[2])
  end)

  it("leaves an id whole, whatever else is cut", function()
    local id = ("f"):rep(32)
    local code = ([[ o():rows(rows({ "id", "name", "reportId" }, { { %q, ("n"):rep(70), %q } })) ]]):format(id, id)
    assert.same({ id .. "  " .. ("n"):rep(9) .. "...  " .. id }, { drawn(code, 80)[2] })
    local lines = drawn(code, 50)
    assert.same({ id .. "  nnnnn...", "not shown: reportId" }, { lines[2], lines[3] })
    assert.equal(("f"):rep(17) .. "...", drawn(code, 20)[2])
  end)

  it("says which columns there was no room for", function()
    local lines = drawn([[ o():rows(rows({ "Aaaaaaaa", "Bbbbbbbb", "Cccccccc", "Dddddddd" }, { { "1", "2", "3", "4" } })) ]], 20)
    assert.same({ "Aaaaaaaa  Bbbbbbbb", "       1         2", "not shown: Cccccccc," }, { lines[1], lines[2], lines[3] })
  end)

  it("is a list of names and values for one record", function()
    local lines = drawn [[ o():record { id = "1", name = "a\27[2J", startedOn = 1453166692000 } ]]
    assert.same({ "id         1", "name       a\\x1b[2J", "startedOn  1453166692000" }, lines)
  end)
end)
