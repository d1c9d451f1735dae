--- Who else does such work: programs in spec/bench/peers/ that take the same arguments as ours.lua and print the same
--- line. One whose probe, which tells its version, fails is not here.

local peers = {}

local function output_of(command)
  local pipe = assert(io.popen("{ " .. command .. "; } 2>/dev/null"))
  local text = pipe:read "a":gsub("%s+$", "")
  return pipe:close() and text ~= "" and text or nil
end

-- Debian's modules are seen by Debian's Python, which need not be the first in the path.
local PYTHON = output_of "test -x /usr/bin/python3 && echo /usr/bin/python3" or "python3"
local LUA = os.getenv "LUA" or "lua5.4"

local ALL = {
  { name = "libcurl + cjson", program = LUA .. " spec/bench/floors/lua.lua" },
  { name = "Go", program = "build/bench/peer", probe = "test -x build/bench/peer && go version | cut -d ' ' -f 3 | cut -c 3-" },
  { name = "curl", program = "sh spec/bench/peers/curl.sh", probe = "curl --version | head -n 1 | cut -d ' ' -f 2" },
  { name = "pycurl", program = PYTHON .. " spec/bench/peers/with_pycurl.py",
    probe = PYTHON .. " -c 'import pycurl; print(pycurl.version.split()[0][7:])'" },
  { name = "requests", program = PYTHON .. " spec/bench/peers/with_requests.py",
    probe = PYTHON .. " -c 'import requests; print(requests.__version__)'" },
  { name = "Python", program = PYTHON .. " spec/bench/peers/with_csv.py",
    probe = PYTHON .. " -c 'import platform; print(platform.python_version())'" },
  { name = "Node", program = "node spec/bench/peers/peer.js", probe = "node --version | cut -c 2-" },
  { name = "LuaSocket", program = LUA .. " spec/bench/peers/with_luasocket.lua",
    probe = LUA .. " -e 'print((require \"socket\"._VERSION:gsub(\"^LuaSocket \", \"\")))'" },
  { name = "Lua-cURLv3", program = LUA .. " spec/bench/peers/with_luacurl.lua",
    probe = LUA .. " -e 'print((require \"lcurl\".version():match \"^%S+\"))'" },
}

--- Looks for them.
---@return table<string, table> found by name: program, version
---@return string[] missing their names
---@return string[] names of those that are found, in order
function peers.find()
  local found, missing, names = {}, {}, {}
  for _, peer in ipairs(ALL) do
    peer.version = peer.probe and output_of(peer.probe)
    if peer.version or not peer.probe then
      found[peer.name] = peer
      names[#names + 1] = peer.name
    else
      missing[#missing + 1] = peer.name
    end
  end
  return found, missing, names
end

return peers
