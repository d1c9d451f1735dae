--- The event loops of others, for specs.

local loops = {}

--- Runs before a program that is to find Debian's Copas: it comes for older Luas only, and runs on this one.
loops.prologue = [[
for _, name in ipairs { "copas", "coxpcall" } do
  if not package.searchpath(name, package.path) then
    package.preload[name] = loadfile("/usr/share/lua/5.2/" .. name .. ".lua")
  end
end
]]

--- The first module that this code requires and that is not here, or nil.
function loops.missing(code)
  for name in code:gmatch('require "([%w_.]+)"') do
    local here = package.searchpath(name, package.path) or package.searchpath(name, package.cpath)
      or name == "copas" and io.open "/usr/share/lua/5.2/copas.lua"
    if not here then return name end
  end
end

return loops
