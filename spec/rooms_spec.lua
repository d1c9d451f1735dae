-- Who may know whom: each room knows only what lies below it. And how long a file and a function may be.
--
-- What breaks a rule today stands in EXCEPTIONS, with its reason; one that is not needed any more fails, too.

local support = require "spec.support"

-- --- the rules ----------------------------------------------------------------------------------------

-- A room, and the rooms that its files may know besides their own. Rooms are folders; the files at the top of
-- lua/zuora, and core.c, are rooms by their names.
local C_ROOMS = {
  base = {},
  data = { "base" },
  http = { "base" },
  api = { "base", "data", "http" },
  core = { "base", "data", "http", "api" },
}

local LUA_ROOMS = {
  support = {},
  codes = {}, -- what Zuora's error codes mean
  error = { "support", "codes" },
  time = { "support", "error" },
  rows = { "support", "error" },
  tasks = { "support", "error" },
  caller = { "support", "codes", "error", "rows", "tasks" },
  resources = { "support", "error", "rows", "tasks", "caller" },
  settings = { "support", "caller" },
  version = {},
  client = { "version", "support", "error", "rows", "tasks", "caller", "resources", "settings" },
  loops = { "support" }, -- a client is handed to them
  init = { "support", "codes", "error", "rows", "time", "caller", "client" },
  -- (It stands on the public face: a client is what it is given.)
  ["extract/base"] = { "version", "support", "error" },
  ["extract/sources"] = { "support", "error" },
  load = { "support", "error", "rows", "extract/base" },
  extract = { "version", "support", "error", "rows", "extract/base", "extract/sources", "load" },
  tap = { "support", "error", "rows", "init", "extract", "extract/base", "extract/sources" },
  meta = {}, -- comments only
  -- The command line stands on the public face alone (and words its messages as extractions do).
  cli = { "version", "init", "extract", "extract/base", "tap", "cli/doctor" },
  ["cli/doctor"] = { "init", "cli" },
  -- A local Zuora has its facts by itself: it and the client are each other's oracle.
  ["simulator/engine"] = {},
  ["simulator/http"] = { "simulator/engine" },
  simulator = { "simulator/engine", "simulator/http" },
}

-- The files that may require zuora.core.
local CORE_USERS = [[
  caller/download caller/envelopes caller/init caller/responses caller/trace
  cli/command cli/doctor/machine cli/doctor/network cli/profiles cli/target cli/terminal
  client init rows time support/check
  extract/base/disk extract/base/json extract/base/psql extract/base/server extract/base/times
  extract/claims extract/context extract/history extract/plan extract/publish extract/run extract/work load/init
  resources/batches resources/describe resources/files resources/jobs resources/queries resources/report_lists
  resources/reportruns resources/reports resources/request resources/submit
  simulator/engine/json simulator/engine/objects simulator/engine/queries
  simulator/http/aqua simulator/http/bucket simulator/http/describe simulator/init
  tap/messages tap/sync
]]

local LONGEST_FILE, LONGEST_FUNCTION = 400, 60

-- What a system header is included for, as patterns of words; the one header of a room includes those whose
-- types its declarations need.
local SYSTEM = {
  ["curl/curl.h"] = "curl_[%w_]+ CURL[%w_]*", ["dlfcn.h"] = "dl[%w_]+ RTLD_[%w_]+",
  ["emmintrin.h"] = "_mm_[%w_]+ __m128i", ["immintrin.h"] = "_mm256_[%w_]+ __m256i",
  ["crt_externs.h"] = "_NSGetEnviron",
  ["errno.h"] = "errno E%u+", ["fcntl.h"] = "O_%u+ F_%u+ open fcntl AT_%u+", ["lauxlib.h"] = "luaL_[%w_]+",
  ["limits.h"] = "%u+_MAX %u+_MIN PIPE_BUF", ["lua.h"] = "lua_[%w_]+",
  ["math.h"] = "floor ceil fabs fmod isfinite isnan isinf trunc HUGE_VAL NAN INFINITY ldexp pow",
  ["pthread.h"] = "pthread_[%w_]+",
  ["stdatomic.h"] = "atomic_[%w_]+", ["signal.h"] = "sig[%w_]+ SIG%u+ kill", ["spawn.h"] = "posix_spawn[%w_]*",
  ["stdbool.h"] = "bool", ["stddef.h"] = "size_t NULL ptrdiff_t",
  ["stdint.h"] = "u?int%d+_t SIZE_MAX u?intptr_t U?INT%d+_MAX U?INT%d+_C u?intmax_t",
  ["stdio.h"] = "%a*printf fileno FILE rename remove fopen fdopen fclose fread fwrite fgets fflush EOF %a*scanf",
  ["stdlib.h"] = "malloc calloc realloc free strto%a+ getenv abort qsort mkstemp mkostemp abs llabs bsearch realpath",
  ["string.h"] = "mem%a+ str%a+ explicit_bzero", ["strings.h"] = "str%a*casecmp", ["sys/file.h"] = "flock LOCK_%u+",
  ["sys/ioctl.h"] = "ioctl TIOC%u+ winsize",
  ["sys/random.h"] = "getentropy getrandom", ["sys/select.h"] = "fd_set FD_%u+ select",
  ["netinet/in.h"] = "sockaddr_in6? ntohs",
  ["sys/socket.h"] = "socket[%w_]* getsockopt setsockopt getsockname AF_%u+ SO_%u+ SOL_%u+ sockaddr[%w_]* recv MSG_%u+",
  ["sys/statvfs.h"] = "statvfs",
  ["sys/stat.h"] = "stat fstat lstat S_%u+ fchmod mode_t umask chmod mkdir fchmodat", ["time.h"] = "clock_gettime timespec time_t time",
  ["sys/types.h"] = "off_t ssize_t pid_t mode_t", ["sys/wait.h"] = "wait%a* W%u+",
  ["unistd.h"] = "read write close lseek fsync getpid unlink ftruncate dup2? fork access pread isatty fdatasync link fchown "
    .. "getppid getuid geteuid execvp? _exit pipe pwrite fchmod getentropy STD%u+_FILENO",
  ["isa-l/crc.h"] = "crc32_gzip_refl", ["isa-l/igzip_lib.h"] = "isal_[%w_]+ ISAL_[%w_]+ inflate_state",
  ["zlib.h"] = "inflate[%w_]* deflate[%w_]* z_stream Z_%u+ crc32",
}

-- What breaks a rule, in the words of the failure, and why it may.
local EXCEPTIONS = {
  ["lua/zuora/cli/simulate.lua requires zuora.simulator"] = "it is what a user asks for there",
}

-- --- reading ------------------------------------------------------------------------------------------

local function list(command)
  local paths = {}
  for path in support.shell(command):gmatch "[^\n]+" do paths[#paths + 1] = path end
  assert.is_true(#paths > 20, command)
  return paths
end

-- A C file without its comments and strings (but those of includes), so that only code is looked at.
local function c_code(path)
  local text = support.read(path):gsub("/%*.-%*/", ""):gsub("//[^\n]*", "")
  return (text:gsub('([^\n]*)', function(line)
    return line:find "^%s*#%s*include" and line or (line:gsub('"[^"]*"', '""'))
  end))
end

local function lua_code(path)
  return (support.read(path):gsub("%-%-%[%[.-%]%]", ""):gsub("%-%-[^\n]*", ""))
end

-- src/http/sink.c -> http; src/core.c -> core; lua/zuora/simulator/http/app.lua -> simulator/http
local function room_of(path, top)
  local below = path:sub(#top + 1)
  return below:match "^(.*)/[^/]*$" or below:match "^([^.]*)"
end

-- "zuora.caller.hosts" -> lua/zuora/caller/hosts.lua
local function file_of(module)
  local base = "lua/" .. module:gsub("%.", "/")
  return support.read(base .. ".lua") and base .. ".lua" or base .. "/init.lua"
end

local function normal(path)
  local before
  repeat
    before = path
    path = path:gsub("[^/]+/%.%./", "", 1)
  until path == before
  return path
end

local function knows(rooms, from, to)
  if from == to then return true end
  for _, room in ipairs(rooms[from] or {}) do
    if room == to then return true end
  end
  return false
end

-- --- holding them -------------------------------------------------------------------------------------

describe("the rooms", function()
  local excused = {}

  -- Everything that breaks the rule and is not excused, with its reason.
  local function hold(broken)
    local left = {}
    for _, name in ipairs(broken) do
      if EXCEPTIONS[name] then excused[name] = true else left[#left + 1] = name end
    end
    assert.same({}, left)
  end

  it("of the C core know only what lies below them", function()
    local broken = {}
    for _, path in ipairs(list "find src -name '*.[ch]' | sort") do
      for name in c_code(path):gmatch '#%s*include%s+"([^"]+)"' do
        local included = normal(path:match "^.*/" .. name)
        assert.is_string(support.read(included), path .. " includes " .. included)
        if not knows(C_ROOMS, room_of(path, "src/"), room_of(included, "src/")) then
          broken[#broken + 1] = path .. " includes " .. included
        end
      end
    end
    hold(broken)
  end)

  it("of the core name Zuora only in src/api", function()
    local broken = {}
    for _, path in ipairs(list "find src -name '*.[ch]' | sort") do
      local room = room_of(path, "src/")
      if room ~= "api" and room ~= "core" and support.read(path):gsub("zuora[._]%l", ""):lower():find("zuora", 1, true) then
        broken[#broken + 1] = path .. " names Zuora"
      end
    end
    hold(broken)
  end)

  it("of the Lua face know only what lies below them, and nobody the simulator", function()
    local broken = {}
    for _, path in ipairs(list "find lua/zuora -name '*.lua' | sort") do
      local code, room = lua_code(path), room_of(path, "lua/zuora/")
      for module in code:gmatch 'require%s*%(?%s*"(zuora[%w.]*)"' do
        local target = file_of(module)
        if module ~= "zuora.core" and module:sub(-1) ~= "." and not knows(LUA_ROOMS, room, room_of(target, "lua/zuora/")) then
          broken[#broken + 1] = path .. " requires " .. module
        end
      end
      -- (A module's name may be put together: then its beginning says where it is from.)
      for module in code:gmatch 'require%s*%(%s*"(zuora[%w.]*)"%s*%.%.' do
        if not ((room == "simulator" or room == "cli") and module == "zuora." .. room .. ".") then
          broken[#broken + 1] = path .. " requires what begins with " .. module
        end
      end
    end
    hold(broken)
  end)

  it("that need C are these files", function()
    local users, named = {}, {}
    for _, path in ipairs(list "find lua/zuora -name '*.lua' | sort") do
      if lua_code(path):find('require "zuora.core"', 1, true) then users[#users + 1] = path:match "^lua/zuora/(.*)%.lua$" end
    end
    for name in CORE_USERS:gmatch "%S+" do named[#named + 1] = name end
    table.sort(named)
    table.sort(users)
    assert.same(named, users)
  end)

  -- (That every required module and every local function is used, luacheck and the compilers see.)
  it("include no header that they do not need", function()
    local broken = {}
    for _, path in ipairs(list "find src -name '*.[ch]' | sort") do
      local code = c_code(path)
      local words, seen = {}, {}
      for word in code:gsub("#%s*include[^\n]*", ""):gmatch "[%a_][%w_]*" do words[word] = true end
      for header in code:gmatch "#%s*include%s+<([^>]+)>" do
        local patterns = SYSTEM[header] or error("what is <" .. header .. "> included for? Say so in SYSTEM")
        local needed = false
        for pattern in patterns:gmatch "%S+" do
          for word in pairs(words) do needed = needed or word:find("^" .. pattern .. "$") ~= nil end
        end
        if not needed or seen[header] then broken[#broken + 1] = path .. " includes <" .. header .. ">" end
        seen[header] = true
      end
    end
    hold(broken)
  end)

  it("have no file that is too long", function()
    local broken = {}
    for _, path in ipairs(list "find src lua -name '*.[ch]' -o -name '*.lua' | sort") do
      local _, lines = support.read(path):gsub("\n", "")
      if lines > LONGEST_FILE then broken[#broken + 1] = path end
    end
    hold(broken)
  end)

  it("have no function that is too long", function()
    local broken = {}
    local function note(path, first, last, line)
      if last - first + 1 > LONGEST_FUNCTION then
        broken[#broken + 1] = ("%s: %s"):format(path, line:match "([%w_.:]+)%s*%(" or line)
      end
    end
    for _, path in ipairs(list "find src lua -name '*.c' -o -name '*.lua' | sort") do
      local is_lua, open, number = path:find "%.lua$", {}, 0
      for line in support.read(path):gsub('"[^"\n]*"', '""'):gmatch "([^\n]*)\n" do
        number = number + 1
        -- Both languages are indented by a tool: a function ends where its indentation comes back.
        local indent = line:match "^%s*"
        local ends = is_lua and line:find "^%s*end%f[%W]" or not is_lua and line:find "^}"
        if ends and open[indent] then
          note(path, open[indent].number, number, open[indent].line)
          open[indent] = nil
        end
        local begins = is_lua and line:find "%f[%w]function%f[%W].*%)" and not line:find "%f[%w]end%f[%W]"
          or not is_lua and line:find "^[%w_].*%).*{$"
        if begins then open[indent] = { number = number, line = line } end
      end
    end
    hold(broken)
  end)

  it("need all the exceptions that they have", function()
    local stale = {}
    for name in pairs(EXCEPTIONS) do
      if not excused[name] then stale[#stale + 1] = name end
    end
    assert.same({}, stale)
  end)
end)

describe("the guide for contributors", function()
  it("names files that are there", function()
    local count = 0
    for path in support.read(".github/CONTRIBUTING.md"):gmatch "`(%l+/[%w_./-]+)`" do
      count = count + 1
      local file = assert(io.open(path), path .. " is not there")
      file:close()
    end
    assert.is_true(count > 20)
  end)
end)
