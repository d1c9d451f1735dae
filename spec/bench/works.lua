--- The works, W1 to W8, and extract: what is done, with which arguments, who else does it, and what is aimed at.

local works = {}

-- The names of the floors' programs, by verb; what is not here is done in Lua, by C.
local FLOORS = { one = "build/bench/calls", many = "build/bench/calls", waiting = "build/bench/calls",
  first = "build/bench/calls", files = "build/bench/download" }

local function floor_command(verb, arguments, place)
  if verb == "extract" then
    return ("%s spec/bench/floors/hashed.lua '%s files %s' %s"):format(place.lua, FLOORS.files, arguments,
      place.data .. "/out")
  end
  if verb == "journal" then
    local count, directory = arguments:match "^%S+ (%d+) %d+ (%S+)$"
    return ("%s spec/bench/floors/synced.lua %s %s"):format(place.lua, count, directory)
  end
  if verb == "load" then return ("%s spec/bench/floors/load.lua %s"):format(place.lua, arguments) end
  local program = FLOORS[verb] or place.lua .. " spec/bench/floors/lua.lua"
  if verb == "waiting" then return program .. " paced " .. arguments end
  if verb == "first" then return program .. " one " .. arguments .. " 1 0 -" end
  return program .. " " .. verb .. " " .. arguments
end

local function files(directory, first, last)
  local names = {}
  for i = first, last do names[#names + 1] = "part" .. i end
  return directory .. " " .. table.concat(names, " ")
end

--- A work: id and title for the table; unit ("us" a piece, "ms" a piece, "s" for all); verb and arguments; goal, in
--- words; peers, by name; spent (runs the program so many times, and counts its start); loose (the counts of what was
--- done may differ); records (there must be); memory (bytes that it needs, in the system's cache or its own).
---@param place table server, data (the directory), made (see data.lua), sizes, lua
---@return table[]
function works.list(place)
  local server, sizes, made, data = place.server, place.sizes, place.made, place.data
  local plain, secure, http2, ca = server.plain, server.secure, server.http2, server.ca_file
  local out, last = data .. "/out", #sizes.rows
  local rows = ("%s/rows%d %s/rows%d.positions "):format(data, last, data, last)
  local list = {}
  local function add(work) list[#list + 1] = work end
  local function calls(where, base, cert, peers, goal)
    add { id = "W1", title = "`jobs:get` one after another, " .. where, unit = "us", verb = "one", goal = goal,
      arguments = ("%s %d %d %s"):format(base, sizes.calls, sizes.calls // 10, cert), peers = peers }
  end
  calls("http", plain, "-", "libcurl + cjson, Go, pycurl, requests, Node, LuaSocket, Lua-cURLv3", "1.5, < Go, < pycurl")
  calls("TLS, HTTP/1.1", secure, ca, "libcurl + cjson, Go, pycurl, requests, Node, Lua-cURLv3", "1.5, < Go, < pycurl")
  calls("TLS, HTTP/2", http2, ca, "libcurl + cjson, Go, pycurl, Lua-cURLv3", "1.5")

  for _, case in ipairs { { "http", plain, "-", "Go, Node" }, { "HTTP/2", http2, ca, "Go" } } do
    for _, in_flight in ipairs { 64, 256 } do
      add { id = "W2", title = ("%d gets by `client:map`, %d in flight, %s"):format(sizes.many, in_flight, case[1]),
        unit = "us", verb = "many", arguments = ("%s %d %d %s 1"):format(case[2], sizes.many, in_flight, case[3]),
        peers = case[4], goal = "1.6, < Go" }
    end
  end

  for _, case in ipairs { { "http", plain, "-", "Go, curl, requests, Node, LuaSocket", "1.25, < Go, < curl, 24 MiB" },
    { "https", secure, ca, "Go, curl, requests, Node", "1.15, < Go, < curl, 24 MiB" } } do
    add { id = "W3", title = place.big .. " to disk, records counted, " .. case[1], unit = "s", verb = "files",
      arguments = ("%s %s - 8 %s big"):format(case[2], case[3], out), peers = case[4], goal = case[5],
      memory = sizes.copies * sizes.rows[last], records = sizes.copies * made.rows[last] }
  end
  add { id = "W3z", title = ("%s of rows, gzip on the wire, to disk, records counted"):format(place.size), unit = "s",
    verb = "files", arguments = ("%s - gzip 8 %s rows%d"):format(plain, out, last), records = made.rows[last],
    memory = sizes.rows[last], peers = "Go, curl, requests, Node", goal = "0.5 (ISA-L), 1.05 (zlib)" }

  local function read(how, title, peers, goal)
    add { id = "W4", title = ("rows of %s, %s"):format(place.size, title), unit = "s", verb = "rows",
      arguments = rows .. how, peers = peers, goal = goal }
  end
  read("array", "array", "Go, Python", "1.10")
  read("keyed", "keyed", "Go, Python", "1.10")
  read("columns", "three columns of thirteen, keyed", "", "1.25")
  read("lazy0", "lazy, no cell read", "", "1.25")
  read("lazy1", "lazy, one cell read", "Go", "1.25, < Go")
  read("lazy3", "lazy, three cells read", "Go", "1.25")
  for _, how in ipairs { "array", "keyed" } do
    add { id = "W4u", title = ("the same as UTF-16LE, %s (floor: of UTF-8)"):format(how), unit = "s", verb = "rows",
      arguments = rows .. how, ours = ("%s/utf16 - %s"):format(data, how), peers = "", goal = "1.4" }
  end
  add { id = "W5", title = place.page .. " of report data (floor: libcurl and cjson)", unit = "s", verb = "page",
    memory = 8 * sizes.page, arguments = plain .. " -", peers = "Go, pycurl, Node", goal = "1.10" }
  add { id = "W6", title = "first call of a process, http", unit = "ms", verb = "first", arguments = plain,
    spent = sizes.starts, peers = "Go, curl, pycurl, requests, Node, LuaSocket, Lua-cURLv3", goal = "1.2" }
  add { id = "W7", title = ("%d waiting jobs, %g s between polls, a poll"):format(sizes.waiting, sizes.pause), unit = "us",
    verb = "waiting", arguments = ("%s %d %g"):format(plain, sizes.waiting, sizes.pause), peers = "", loose = true,
    goal = "10 ms a second, 8 KiB each", rounds = 3 }
  add { id = "W8", title = ("10 files of %s at once, 8 connections"):format(place.part), unit = "s", verb = "files",
    arguments = ("%s - - 8 %s"):format(plain, files(out, 1, 10)), peers = "curl, Go", goal = "wall of curl -Z",
    memory = 10 * sizes.rows[place.part_number], records = 10 * made.rows[place.part_number] }
  add { id = "extract", title = ("a plan of %d items of %s (floor: the files, and sha256sum)"):format(sizes.items,
    place.part), unit = "s", verb = "extract", arguments = ("%s - - 8 %s"):format(plain, files(out, 1, sizes.items)),
    peers = "", goal = "1.15", memory = sizes.items * sizes.rows[place.part_number],
    records = sizes.items * made.rows[place.part_number] }
  for i, count in ipairs(sizes.journal) do
    add { id = "extract", title = ("the journal of a plan of %d items, an item (floor: two syncs)"):format(count),
      unit = "ms", verb = "journal", arguments = ("%s/tiny %d 8 %s"):format(plain, count, out), peers = "",
      goal = "wall 5", memory = 1, rounds = i == 1 and 3 or 1 }
  end
  for _, case in ipairs { { "sqlite", "SQLite", "sqlite3's .import", "5" }, { "postgresql", "PostgreSQL", "psql's \\copy",
    "1.2" } } do
    if case[1] == "sqlite" or not require "spec.load.cluster".missing() then
      add { id = "extract", title = ("a first load of %s into %s, a row (floor: %s)"):format(place.part, case[2], case[3]),
        unit = "us", verb = "load", peers = "", goal = case[4], arguments = ("%s %s/rows%d %s %d"):format(case[1], data,
        place.part_number, out, made.rows[place.part_number]) }
      local window = place.part_number - 1
      add { id = "extract", title = ("a later load of %s into %s, half of it new, a row (floor: by hand, ON CONFLICT)"):format(
        place.bytes(sizes.rows[window]), case[2]), unit = "us", verb = "load", peers = "", goal = case[4], rounds = 3,
        arguments = ("%s %s/rows%d %s %d %s/rows%d %d"):format(case[1], data, place.part_number, out,
        made.rows[place.part_number], data, window, made.rows[window]) }
    end
  end
  return list
end

--- What shows growth: the same work at several sizes.
---@return table[] each with id, title, and works
function works.growth(place)
  local sizes, data = place.sizes, place.data
  local list = {}
  for _, how in ipairs { "array", "keyed" } do
    local growth = { id = "W4", title = ("rows, %s, a row"):format(how) }
    for i, size in ipairs(sizes.rows) do
      local times = math.max(1, sizes.rows[2] // size)
      local work = { title = place.bytes(size), unit = "us", verb = "rows",
        arguments = ("%s/rows%d %s/rows%d.positions %s %d"):format(data, i, data, i, how, times) }
      if i ~= sizes.part then growth[#growth + 1] = work end
    end
    list[#list + 1] = growth
  end
  local growth = { id = "W2", title = "gets by `client:map`, 64 in flight, http, a call" }
  for _, part in ipairs { 100, 10, 1 } do
    local count = sizes.many // part
    growth[#growth + 1] = { title = tostring(count), unit = "us", verb = "many",
      arguments = ("%s %d 64 - %d"):format(place.server.plain, count, math.min(20, part)) }
  end
  list[#list + 1] = growth
  return list
end

-- A virtual machine may have given memory that it did not use back to its host, and each page of it that is needed
-- again costs more than writing it does: 1.5 s a GiB, for whoever happens to come first. So that it is nobody, twice as
-- much is used before each run, in pieces so large that large ones are free afterwards. The directory is empty then.
local function warm_memory(directory, size)
  if not size then return end
  assert(os.execute(("rm -rf %s && mkdir -p %s && dd if=/dev/zero of=%s/warm bs=1M count=%d status=none && rm %s/warm")
    :format(directory, directory, directory, 2 * size // 1048576 + 1, directory)))
end

--- Who takes part in a work, the floor first.
---@param work table
---@param place table
---@param peers table<string, table> those that are found
---@param rounds { all: integer, peers: integer }
---@return table[] contenders see measure.lua
function works.contenders(work, place, peers, rounds)
  local all = work.rounds and math.min(work.rounds, rounds.all) or rounds.all
  local prefix = work.spent and ("build/bench/spent %d "):format(work.spent) or ""
  local function before() warm_memory(place.data .. "/out", work.memory) end
  local list = {
    { name = "floor", command = prefix .. floor_command(work.verb, work.arguments, place), rounds = all, before = before },
    { name = "ours", rounds = all, before = before,
      command = ("%s%s spec/bench/ours.lua %s %s"):format(prefix, place.lua, work.verb, work.ours or work.arguments) },
  }
  for name in (work.peers or ""):gmatch "[^,]+" do
    local peer = peers[name:match "^%s*(.-)$"]
    if peer then
      list[#list + 1] = { name = peer.name, peer = true, rounds = math.min(all, rounds.peers), before = before,
        command = ("%s%s %s %s"):format(prefix, peer.program, work.verb, work.arguments) }
    end
  end
  return list
end

return works
