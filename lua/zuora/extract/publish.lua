--- Hands each file to a program of the user's, as soon as it is proven: once at least, and once more where nobody knows
--- whether it had ended.

local core = require "zuora.core"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"

local publish = {}

-- Seconds between two looks at the program.
local PAUSE = 0.02

local function fail(words, ...)
  error(error_value.new { kind = "file", retryable = true, message = words:format(...) }, 0)
end

-- Is it where a shell would find it?
local function check_program(program)
  if program:find "/" then
    if disk.is_program(program) then return end
  else
    for folder in (os.getenv "PATH" or "/bin:/usr/bin"):gmatch "[^:]+" do
      if disk.is_program(folder .. "/" .. program) then return end
    end
  end
  error_value.raise("plan", "publish: %s: there is no such program", program)
end

--- What a plan's `publish` does with a file: `{path}`, `{name}` and `{item}` stand for what they say.
---@param client zuora.Client lets other tasks go on meanwhile
---@param command string[] a program and its arguments; no shell sees them
---@return fun(path: string, item: table)
function publish.new(client, command)
  check_program(command[1])
  return function(path, item)
    local values, argv = { path = path, item = item.name, name = path:match "[^/]*$" }, {}
    for i, word in ipairs(command) do argv[i] = word:gsub("{(%l+)}", values) end
    local nothing <close> = assert(io.open "/dev/null")
    local child <close>, problem = core.spawn(argv, { stdin = nothing, stdout = io.stderr, stderr = io.stderr })
    if not child then error_value.raise("plan", "publish: %s", problem) end
    local status = child:poll()
    while not status do
      client:sleep(PAUSE)
      status = child:poll()
    end
    if status ~= 0 then fail("publish: %s of %s ended with %d", argv[1], path, status) end
  end
end

return publish
