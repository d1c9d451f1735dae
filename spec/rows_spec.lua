local core = require "zuora.core"
local support = require "spec.support"
local zuora = require "zuora"

local PATH = "build/spec/rows.csv"

-- A fixed generator, so that a failure can be seen again.
local function random_of(seed)
  local state = seed
  return function(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return (state >> 8) % n + 1
  end
end

local function utf16(text, big)
  local units = {}
  for _, code in utf8.codes(text) do
    local format = big and ">I2" or "<I2"
    if code >= 0x10000 then
      code = code - 0x10000
      units[#units + 1] = format:pack(0xd800 | code >> 10) .. format:pack(0xdc00 | code & 0x3ff)
    else
      units[#units + 1] = format:pack(code)
    end
  end
  return table.concat(units)
end

describe("zuora.rows", function()
  local function rows(text, options)
    support.write(PATH, text)
    return zuora.rows(PATH, options)
  end

  local function all(text, options)
    local list = {}
    options = options or {}
    options.form = options.form or "array"
    for row in assert(rows(text, options)) do list[#list + 1] = row end
    return list
  end

  local function failure(text, options)
    local ok, err = pcall(all, text, options)
    assert.is_false(ok)
    return err
  end

  it("is over after an error", function()
    local it = assert(rows "a,b\n1,2\n1\n3,4\n")
    it()
    assert.is_false((pcall(it)))
    assert.is_nil(it())
    assert.is_nil(it())
  end)

  it("names the columns, and counts the rows", function()
    local it = assert(rows 'Id,"Na""me"\n1,a\n2,b\n')
    assert.same({ "Id", 'Na"me' }, it.columns)
    assert.equal(0, it.row)
    assert.same({ Id = "1", ['Na"me'] = "a" }, it())
    assert.equal(1, it.row)
    it()
    assert.is_nil(it())
    assert.is_nil(it())
    assert.equal(2, it.row)
    assert.equal("a", assert(rows "\239\187\191a,b\n").columns[1])
    assert.same({}, assert(rows "").columns)
  end)

  it("gives keyed tables, arrays, or one lazy row", function()
    local text = "a,b\n1,2\n3,4\n"
    assert.same({ { a = "1", b = "2" }, { a = "3", b = "4" } }, all(text, { form = "keyed" }))
    local first
    local seen = {}
    for row in assert(rows(text, { form = "lazy" })) do
      first = first or row
      assert.equal(first, row)
      assert.equal(2, #row)
      seen[#seen + 1] = row.a .. row[2] .. tostring(row.none) .. tostring(row[3])
    end
    assert.same({ "12nilnil", "34nilnil" }, seen)
    assert.error_matches(function() return first.a end, "valid until the next one")
  end)

  it("keeps only the columns that are wanted, in their order", function()
    assert.same({ { "3", "1" } }, all("a,b,c\n1,2,3\n", { columns = { "c", "a" } }))
    assert.same({ { c = "3" } }, all("a,b,c\n1,2,3\n", { columns = { "c" }, form = "keyed" }))
    local it, err = rows("a,b\n", { columns = { "a", "z" } })
    assert.is_nil(it)
    assert.equal("text", err.kind)
    assert.matches('the file has no column z, but "a", "b"$', err.message)
    it, err = rows("Account: Name,b\n", { types = { ["Account.Name"] = "integer" } })
    assert.is_nil(it)
    assert.equal("text", err.kind)
    assert.matches('the file has no column Account.Name, but "Account: Name", "b"$', err.message)
    err = select(2, rows(("column,"):rep(100000) .. "last\n", { columns = { "z" }, strict = false }))
    assert.is_true(#err.message <= 1000)
  end)

  it("makes values of the types that are asked for", function()
    local text = "i,n,b,t,s\n-5,1.50,TRUE,2026-08-04T20:11:15+1000,7\n,,,,\n"
    local types = { i = "integer", n = "number", b = "boolean", t = "time" }
    local list = all(text, { types = types, form = "keyed" })
    assert.same({ i = -5, n = 1.5, b = true, t = 1785838275, s = "7" }, list[1])
    assert.equal("integer", math.type(list[1].i))
    assert.same({ s = "" }, list[2])
    list = all(text, { types = types })
    assert.equal(zuora.null, list[2][1])
    assert.equal("", list[2][5])
  end)

  it("knows the times that Zuora writes", function()
    local function time(text) return all("t\n" .. text .. "\n", { types = { t = "time" } })[1][1] end
    assert.equal(0, time "1970-01-01T00:00:00Z")
    assert.equal(0, time "1970-01-01")
    assert.equal(-36000, time "1970-01-01T00:00:00+10:00")
    assert.equal(951782400, time "2000-02-29T00:00:00+0000")
    assert.equal(1409732407, time "2014-09-03 08:20:07")
    assert.equal(0.25, time "1970-01-01T00:00:00.250Z")
    assert.equal(-86400, time "1969-12-31")
    for _, bad in ipairs { "2026-02-29", "2026-04-31", "1970-01-01T00:00:00+24:00", "yesterday", "2026-13-01",
      "2026-01-01T25:00:00Z", "2026-01-01x", "2026-1-1" } do
      assert.matches("column t: no time: \"", failure("t\n" .. bad .. "\n", { types = { t = "time" } }).message)
    end
  end)

  it("takes a text for empty when told so", function()
    assert.same({ { "", "NULLs", zuora.null } }, all("a,b,c\nNULL,NULLs,NULL\n", { null = "NULL", types = { c = "integer" } }))
  end)

  it("stops at what is not as it should be, and says where", function()
    for text, words in pairs {
      ["a,b\n1,2\n1\n"] = "row 2, byte 9: the row has 1 cells, the header has 2",
      ["a,b\n1,2,3\n"] = "row 1, byte 5: the row has 3 cells, the header has 2",
      ['a,b\n1,"x\n2,3\n'] = "row 1, byte 7: a quote is opened and never closed",
      ['a,b\n1,"x"y\n'] = "row 1, byte 10: something stands between",
      ['a,b\n1,"x"\r2,3\n'] = "row 1, byte 10: something stands between",
      ["a,b\n1,x\0y\n"] = "row 1, byte 8: a NUL byte",
      ["a,b\n1,x\255y\n"] = "row 1, byte 8: bytes that are no UTF%-8",
      ["a,b\n1,\237\160\128\n"] = "row 1, byte 7: bytes that are no UTF%-8",
    } do
      local err = failure(text)
      assert.equal("text", err.kind, text)
      assert.matches(words, err.message)
      assert.is_number(err.row)
      assert.is_number(err.byte)
    end
    local it, err = rows "a,b,a\n1,2,3\n"
    assert.is_nil(it)
    assert.matches("names the column a twice", err.message)
    for kind, bad in pairs { integer = { "x", "+-5", "++5", "1.5", "0x10", " 1", "9223372036854775808" },
      number = { "x", "1e999", "nan", "0x1p4" },
      boolean = { "yes", "1" } } do
      for _, value in ipairs(bad) do
        assert.matches("column v: ", failure("v\n" .. value .. "\n", { types = { v = kind } }).message)
      end
    end
  end)

  it("pads, keeps or replaces when it is not strict", function()
    local function lenient(text, options)
      options = options or {}
      options.strict = false
      return all(text, options)
    end
    assert.same({ { "1", "" }, { "1", "2" } }, lenient "a,b\n1\n1,2,3\n")
    assert.same({ { "1", '"x"y' } }, lenient 'a,b\n1,"x"y\n')
    assert.same({ { "1", '"x\n2,3\n' } }, lenient 'a,b\n1,"x\n2,3\n')
    assert.same({ { "1", "x\u{FFFD}y" } }, lenient "a,b\n1,x\255y\n")
    assert.same({ { "1", "x\0y" } }, lenient "a,b\n1,x\0y\n")
    assert.same({ { "x" } }, lenient("v\nx\n", { types = { v = "integer" } }))
    assert.same({ { a = "1", b = "2" } }, lenient("a,b,a\n1,2,3\n", { form = "keyed", columns = { "a", "b" } }))
  end)

  it("reads UTF-16 of both ends, with a mark or without, and gzip of one member or more", function()
    local text = 'Id\tNäme\n1\t"日本\n🙂"\n'
    local wanted = { { "1", "日本\n🙂" } }
    assert.same(wanted, all(utf16(text)))
    assert.same(wanted, all("\255\254" .. utf16(text)))
    assert.same(wanted, all("\254\255" .. utf16(text, true)))
    assert.same(wanted, all(utf16(text, true)))
    local zlib = require "zlib"
    local function gzip(part) return (zlib.deflate(6, 31)(part, "finish")) end
    assert.same(wanted, all(gzip(text)))
    assert.same(wanted, all(gzip(utf16(text))))
    assert.same(wanted, all(gzip(text:sub(1, 10)) .. gzip(text:sub(11))))
    assert.matches("the gzip data ends too early", failure(gzip(text:rep(50)):sub(1, -9)).message)
    assert.matches("the gzip data is damaged", failure(gzip(text) .. "junk").message)
    assert.matches("zip archive", failure("PK\3\4xxxx").message)
    assert.matches("half a UTF%-16 character", failure(utf16(text) .. "x").message)
    assert.matches("half a pair", failure("\255\254" .. utf16 "a\n" .. "\0\216" .. utf16 "b\n").message)
  end)

  it("gives back what was written, however the pieces are cut", function()
    local alphabet = { "a", "b", '"', ",", "\t", "\n", "\r\n", "é", "日", "🙂", " ", "x", "", "1", "''", "\r", ";" }
    for seed = 1, 60 do
      local pick = random_of(seed * 7919)
      local columns, count = pick(5), pick(12) - 1
      local delimiter = pick(2) == 1 and "," or "\t"
      local newline = pick(2) == 1 and "\n" or "\r\n"
      local function cell()
        local parts = {}
        for i = 1, pick(6) - 1 do parts[i] = alphabet[pick(#alphabet)] end
        return table.concat(parts)
      end
      local function written(value)
        if value:find('[",\t\r\n]') or pick(4) == 1 then return '"' .. value:gsub('"', '""') .. '"' end
        return value
      end
      local header, lines, expected = {}, {}, {}
      for c = 1, columns do header[c] = "c" .. c end
      lines[1] = table.concat(header, delimiter)
      for r = 1, count do
        local cells, shown = {}, {}
        for c = 1, columns do
          cells[c] = cell()
          shown[c] = written(cells[c])
        end
        if columns == 1 and shown[1] == "" then shown[1] = '""' end
        expected[r], lines[r + 1] = cells, table.concat(shown, delimiter)
      end
      local text = table.concat(lines, newline) .. (pick(2) == 1 and newline or "")
      for _, encoded in ipairs { text, "\255\254" .. utf16(text), "\254\255" .. utf16(text, true) } do
        support.write(PATH, encoded)
        for _, chunk in ipairs { 1, 2, 3, 7, 64, 262144 } do
          local it = assert(core.rows(PATH, { form = "array", chunk = chunk, fail = function(message) error(message, 0) end }))
          local seen = {}
          for row in it do seen[#seen + 1] = row end
          assert.same(expected, seen, ("seed %d, chunk %d"):format(seed, chunk))
        end
      end
    end
  end)

  -- In a process of its own: what is tried here is to make it read memory that it has given back.
  local function with_finalisers(code)
    local text, status = support.lua([[
      local core = require "zuora.core"
      local path = "build/spec/rows-finalisers.csv"
      local head, cells = {}, {}
      for i = 1, 200 do
        head[i] = "c" .. i
        cells[i] = i % 2 == 0 and "\"v" .. i .. "\"\"" .. ("x"):rep(300) .. "\"" or "w" .. i .. "\255" .. ("y"):rep(300)
      end
      local file = io.open(path, "wb")
      file:write(table.concat(head, ","), "\n", (table.concat(cells, ",") .. "\n"):rep(300))
      file:close()
      local wanted = {}
      for i = 1, 200 do wanted[i] = i % 2 == 0 and "v" .. i .. "\"" .. ("x"):rep(300) or "w" .. i .. "\u{FFFD}" .. ("y"):rep(300) end

      -- Calls `act` in a finaliser, as often as the collector can be made to run.
      local acting
      local function arm(act)
        setmetatable({}, { __gc = function()
          if acting then
            act()
            arm(act)
          end
        end })
      end
      local function open(form) return core.rows(path, { form = form, strict = false, fail = error }) end
      local function check(row, form)
        for i = 1, 200 do assert(row[form == "keyed" and head[i] or i] == wanted[i], i) end
      end
      collectgarbage("incremental", 10, 1000)
      for _, form in ipairs { "keyed", "array", "lazy" } do
]] .. code .. [[
      end
      print "ended well"]], os.getenv "SPEC_LUA_PREFIX")
    assert.equal(0, status, text)
    assert.equal("ended well\n", text)
  end

  it("outlives a finaliser that closes it while a row is being made", function()
    with_finalisers [[
      local closed = 0
      for _ = 1, 20 do
        local it = open(form)
        acting = true
        arm(function()
          it:close()
          closed = closed + 1
        end)
        while true do
          local row = it()
          if form ~= "lazy" then acting = false end
          if not row then break end
          if form ~= "lazy" then
            check(row, form)
          else -- it may be over between two cells
            for i = 1, 200 do
              local there, cell = pcall(function() return row[i] end)
              if not there then break end
              assert(cell == wanted[i], i)
            end
          end
          acting = true
        end
        acting = false
        assert(it() == nil)
      end
      assert(closed > 0)
    ]]
  end)

  it("refuses a finaliser that wants the next one while a row is being made", function()
    with_finalisers [[
      local it, refused, given = open(form), 0, 0
      arm(function()
        local there, problem = pcall(it)
        if there then
          given = given + 1
        else
          assert(tostring(problem):find "while one of them is being made", problem)
          refused = refused + 1
        end
      end)
      local count = 0
      while true do
        acting = true
        local row = it()
        acting = form == "lazy"
        if not row then break end
        count = count + 1
        if form ~= "lazy" then
          check(row, form)
        else
          for i = 1, 200 do
            local there, cell = pcall(function() return row[i] end)
            assert(not there or cell == wanted[i], i)
          end
        end
      end
      acting = false
      assert(refused > 0, refused)
      assert(count + given == 300 or it.row == 300, count .. " " .. given)
    ]]
  end)

  it("leaves no row out when there was no memory for one", function()
    support.write(PATH, "a,b\n1,2\n3," .. ("x"):rep(8 * 1024 * 1024) .. "\n5,6\n")
    local function run(kib)
      local text, status = support.lua([[
        local core = require "zuora.core"
        local it = core.rows("build/spec/rows.csv", { form = "array", fail = error })
        assert(it()[2] == "2")
        local ok, problem = pcall(it)
        if not ok then
          assert(tostring(problem):find "memory", problem)
          local again, row = pcall(it)
          assert(not again or row == nil, "a row was left out")
          it:close()
        end
        print(ok)]], kib and support.with_memory(kib))
      assert.equal(0, status, text)
      return text == "true\n"
    end
    assert.is_true(run())
    local failed = 0
    for mib = 4, 36, 4 do -- for the text some, and some for the string
      if not run(mib * 1024) then failed = failed + 1 end
    end
    assert.is_true(failed > 2, failed)
  end)

  it("is closed by the loop that leaves it, by <close>, and twice", function()
    collectgarbage() -- what other examples have left
    collectgarbage()
    local before = support.descriptors()
    for row in assert(rows "a\n1\n2\n") do
      if row.a == "1" then break end
    end
    do
      local it <close> = assert(rows "a\n1\n2\n")
      it()
    end
    local it = assert(rows "a\n1\n2\n")
    it:close()
    it:close()
    assert.is_nil(it())
    assert.equal(before, support.descriptors())
  end)

  it("reads long cells and records, up to a limit", function()
    local long = ("x"):rep(1000000)
    assert.equal(long, all('a,b\n1,"' .. long .. '"\n')[1][2])
    support.write(PATH, 'a,b\n1,"' .. long)
    local ok, message = pcall(function()
      local it = core.rows(PATH, { form = "array", limit = 100000, fail = function(m) error(m, 0) end })
      return it()
    end)
    assert.is_false(ok)
    assert.matches("too long", message)
  end)

  it("takes quotes by the million in linear time", function()
    assert.equal(500000, #all('a,b\n1,"' .. ('""'):rep(500000) .. '"\n')[1][2])
  end)

  it("tells of files that cannot be read", function()
    local it, err = zuora.rows "build/spec/none.csv"
    assert.is_nil(it)
    assert.equal("file", err.kind)
    assert.matches("none.csv: No such file", err.message)
    err = select(2, zuora.rows "build")
    assert.equal("file", err.kind)
    assert.matches("Is a directory", err.message)
  end)

  it("checks its options", function()
    for name, bad in pairs { form = "rows", columns = {}, types = "x", null = 5, strict = "no", colunms = {} } do
      local ok, message = pcall(zuora.rows, PATH, { [name] = bad })
      assert.is_false(ok)
      assert.matches("'" .. name .. "' to zuora.rows", message)
    end
    assert.has_error(function() zuora.rows(PATH, { types = { a = "date" } }) end)
    assert.has_error(function() zuora.rows() end)
    assert.has_error(function() zuora.rows "a\0b" end)
    for _, number in ipairs { -1, 1 << 32, math.maxinteger } do
      assert.matches("descriptor expected", select(2, pcall(core.rows, number, { fail = error })))
    end
  end)

  -- For zuora.load.postgresql alone.
  it("gives pieces of text as PostgreSQL's COPY reads them", function()
    local function copy(text, null)
      support.write(PATH, text)
      local it <close> = assert(core.rows(PATH, { form = "copy", null = null,
        fail = function(message) error(message, 0) end }))
      local pieces = {}
      for piece in it do pieces[#pieces + 1] = piece end
      return table.concat(pieces), #pieces
    end
    assert.equal("1\t\\\\.\t\n2\ta\\tb\t\"q\"\n3\ta\\r\\nb\\\\\t\n",
      (copy 'a,b,c\n1,\\.,\n2,"a\tb","""q"""\n3,"a\r\nb\\",""\n'))
    assert.equal("1\t\n\tb\n", (copy("a,b\n1,-\n-,b\n", "-")))
    assert.equal("", (copy "a,b\n"))
    local whole, count = copy("a,b\n" .. ("x\\,y\n"):rep(50000))
    assert.equal(("x\\\\\ty\n"):rep(50000), whole)
    assert.is_true(count > 3)
    assert.matches("NUL", select(2, pcall(copy, "a,b\n1,x\0y\n")))
    assert.has_error(function() core.rows(PATH, { form = "copy", strict = false, fail = error }) end)
  end)
end)
