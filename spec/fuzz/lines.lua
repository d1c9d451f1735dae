-- Notes which lines of the module's Lua files are reached, and writes them down when the state is closed.

local reached = {}

debug.sethook(function(_, line)
  local source = debug.getinfo(2, "S").source
  local lines = reached[source]
  if not lines then
    lines = {}
    reached[source] = lines
  end
  lines[line] = true
end, "l")

local path = os.getenv "FUZZ_LINES"
return setmetatable({}, { __gc = function()
  local file = assert(io.open(path, "w"))
  for source, lines in pairs(reached) do
    local name = source:match "lua/zuora/.*$"
    for line in pairs(name and lines or {}) do file:write(name, ":", line, "\n") end
  end
  file:close()
end })
