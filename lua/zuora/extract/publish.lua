--- Hands each file to a program of the user's, as soon as it is proven: once at least, and once more where nobody knows
--- whether it had ended.

local core = require "zuora.core"
local error_value = require "zuora.error"

local publish = {}

-- Seconds between two looks at the program.
local PAUSE = 0.02

local function fail(words, ...)
  error(error_value.new { kind = "file", retryable = true, message = words:format(...) }, 0)
end

--- What a plan's `publish` does with a file: `{path}`, `{name}` and `{item}` stand for what they say.
---@param client zuora.Client lets other tasks go on meanwhile
---@param command string[] a program and its arguments; no shell sees them
---@return fun(path: string, item: table)
function publish.new(client, command)
  return function(path, item)
    local values, argv = { path = path, item = item.name, name = path:match "[^/]*$" }, {}
    for i, word in ipairs(command) do argv[i] = word:gsub("{(%l+)}", values) end
    local nothing <close> = assert(io.open "/dev/null")
    local child <close>, problem = core.spawn(argv, { stdin = nothing, stdout = io.stderr, stderr = io.stderr })
    if not child then fail("publish: %s", problem) end
    local status = child:poll()
    while not status do
      client:sleep(PAUSE)
      status = child:poll()
    end
    if status ~= 0 then fail("publish: %s of %s ended with %d", argv[1], path, status) end
  end
end

return publish
