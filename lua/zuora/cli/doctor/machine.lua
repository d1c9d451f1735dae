--- What the doctor looks at on this machine: versions, where the settings came from, who can read them, room on disks.

local machine = {}

-- Bytes: with less, no report can be expected to fit; with less, it should be known.
local TOO_LITTLE, LITTLE = 64 * 1024 * 1024, 1024 * 1024 * 1024

-- Loaded only where something asks for it: name, what to install, what needs it.
local SOFT = {
  { "argparse", "argparse (Debian: lua-argparse)", "the command line" },
  { "lxp", "LuaExpat (Debian: lua-expat)", "describe" },
  { "socket", "LuaSocket (Debian: lua-socket)", "the simulator" },
  { "ssl", "LuaSec (Debian: lua-sec)", "the simulator's TLS" },
  { "zlib", "lua-zlib (Debian: the same)", "the simulator's gzip and zip" },
  { "openssl.digest", "luaossl (Debian: lua-luaossl)", "an extraction" },
  { "lfs", "LuaFileSystem (Debian: lua-filesystem)", "an extraction" },
  { "dbd.sqlite3", "LuaDBI for SQLite (Debian: lua-dbi-sqlite3)", "an extraction" },
}

local function version_of(module)
  local ok, loaded = pcall(require, module)
  if not ok then return nil end
  local version = type(loaded) == "table" and (loaded._VERSION or loaded.version)
  return type(version) == "string" and version:match "%d+%.[%d.]*%d" or "there"
end

-- Of all that libcurl stands on: what speaks TLS and HTTP/2, and unpacks.
local function libraries_of(core)
  local names = {}
  for name in core.libraries:gmatch "%S+" do
    if name:find "^libcurl" or name:find "SSL" or name:find "TLS" or name:find "^nghttp2" or name:find "^zlib" then
      names[#names + 1] = name
    end
  end
  return table.concat(names, " ")
end

--- Lua, libcurl and what it stands on, lua-cjson, and what is not always needed.
---@param report fun(state: string, subject: string, text: string, cure: string|nil, code: integer|nil)
---@return boolean there false: this module cannot be loaded, so there is nothing more to see
function machine.versions(report)
  report("ok", "Lua", _VERSION)
  local ok, core = pcall(require, "zuora.core")
  if not ok then
    local words = tostring(core):gsub("\n.*", "")
    local is_curl = words:find("libcurl", 1, true)
    report("fail", is_curl and "libcurl" or "module", words, is_curl
      and "install libcurl 7.85.0 or newer, and see that no older one comes first (LD_LIBRARY_PATH)"
      or "build the module (make), and install it anew, for this Lua", 2)
    return false
  end
  report("ok", "libcurl", libraries_of(core))
  report("ok", "lua-cjson", version_of "cjson")
  for _, soft in ipairs(SOFT) do
    local version = version_of(soft[1])
    if version then
      report("ok", soft[1], version)
    else
      report(soft[1] == "argparse" and "fail" or "note", soft[1], "not there; " .. soft[3] .. " needs it",
        "install " .. soft[2], 2)
    end
  end
  return true
end

-- --- settings ----------------------------------------------------------------------------------------

local SECRETS = { client_secret = true, token = true, password = true }
local HIDDEN = { client_id = true, username = true }

local function shown(name, value)
  if SECRETS[name] or HIDDEN[name] then return "is set" end
  if type(value) == "table" then return table.concat(value, ",") end
  return (tostring(value):gsub("//[^/@]*@", "//***@"):gsub("^[^/@]*@", "***@"))
end

-- What came along when it was copied.
local function smudge_of(value)
  if type(value) ~= "string" then return nil end
  if value == "" then return "is empty" end
  if value:find "^%s" or value:find "%s$" then return "begins or ends with a blank" end
  if value:find "^[\"'].*[\"']$" then return "has quotation marks around it" end
  return nil
end

--- Where each setting came from; never a secret's value.
---@param report function
---@param settings table
---@param origin table<string, string>
function machine.settings(report, settings, origin)
  local names = {}
  for name, value in pairs(settings) do
    if type(value) ~= "function" or SECRETS[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local from = origin[name] or "default"
    local smudge = (SECRETS[name] or HIDDEN[name]) and smudge_of(settings[name])
    if smudge then
      report("fail", name, ("%s (%s)"):format(smudge, from), "set it anew, and nothing else with it", 2)
    else
      report("ok", name, ("%s (%s)"):format(shown(name, settings[name]), from))
    end
  end
end

local OTHERS_WRITE, OTHERS_READ = 18, 36 -- 022, 044

local function has_secret(text)
  for name in pairs(SECRETS) do
    if text:find('"' .. name .. '"%s*:') then return true end
  end
  return text:find '"proxy"%s*:%s*"[^"]*@' ~= nil
end

--- Who can read and write the file that profiles are in.
---@param report function
---@param path string|nil
function machine.config(report, path)
  if not path then return end
  local is_there, _, is_regular = require "zuora.core".mode(path)
  if is_there and not is_regular then return report("fail", "profiles", path .. " is no file", "move it away", 2) end
  local file, problem, number = io.open(path, "rb")
  if not file then
    if number == 2 or number == 20 then return report("ok", "profiles", path .. " is not there") end
    return report("fail", "profiles", problem, "let this user read it", 2)
  end
  local open <close> = file
  local mode = require "zuora.core".mode(open)
  local text = open:read "a" or ""
  local bits = ("%s has the mode %03o"):format(path, mode)
  if mode & OTHERS_WRITE ~= 0 then
    report("fail", "profiles", bits .. ": others can write it", "chmod go-w " .. path, 2)
  elseif mode & OTHERS_READ ~= 0 and has_secret(text) then
    report("fail", "profiles", bits .. ": others can read the secrets in it",
      ("chmod 600 %s, and have a new secret made: the old one may be known"):format(path), 2)
  else
    report("ok", "profiles", bits)
  end
end

-- --- disks -------------------------------------------------------------------------------------------

local function size_text(bytes)
  if bytes >= 1e9 then return ("%.1f GB free"):format(bytes / 1e9) end
  return ("%.1f MB free"):format(bytes / 1e6)
end

local function disk(report, subject, path, cure)
  local bytes, problem = require "zuora.core".space(path)
  if not bytes then return report("fail", subject, problem, cure, 1) end
  local text = ("%s: %s"):format(path, size_text(bytes))
  if bytes < TOO_LITTLE then return report("fail", subject, text .. ": the disk is full", "make room; " .. cure, 1) end
  report(bytes < LITTLE and "note" or "ok", subject, text, bytes < LITTLE and "a large report may not fit" or nil)
end

--- Room where results go, and where they are spooled to be read as rows.
---@param report function
---@param settings table
function machine.disks(report, settings)
  disk(report, "disk", ".", "write with -o to another disk")
  local tmpdir = settings.tmpdir or (os.getenv "TMPDIR" or ""):match "^.+" or "/tmp"
  disk(report, "temporary files", tmpdir, "set TMPDIR to a directory on another disk")
end

return machine
