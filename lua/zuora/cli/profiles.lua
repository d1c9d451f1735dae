--- Profiles: options of zuora.new by name, in a file of the user's.
--
--     { "profile": "sandbox",
--       "profiles": { "sandbox": { "environment": "us2-sandbox", "client_id": "…",
--                                  "client_secret_command": ["pass", "show", "zuora/sandbox"] } } }
--
-- A secret may be in there when nobody else can read the file. Better, a program gives it: any keyring has one.

local core = require "zuora.core"
local usage = require "zuora.cli.texts".usage
local zuora = require "zuora"

local profiles = {}

local GROUP_OR_OTHERS_WRITE, GROUP_OR_OTHERS_READ, STICKY = 18, 36, 512 -- 022, 044, 01000

local SECRETS = { "client_secret", "token", "password" }

-- Seconds between two looks at a program that fetches a secret.
local LOOK = 0.01

--- Where the profiles are; nil where there is no home.
---@param environment fun(name: string): string|nil
---@return string|nil
function profiles.path(environment)
  local function set(name)
    local value = environment(name) or ""
    return value ~= "" and value or nil
  end
  local home = set "HOME"
  local base = set "XDG_CONFIG_HOME" or home and home .. "/.config"
  return base and base .. "/zuora/config.json" or nil
end

local function holds_secret(profile)
  for _, name in ipairs(SECRETS) do
    if profile[name] ~= nil then return true end
  end
  return type(profile.proxy) == "string" and profile.proxy:find("@", 1, true) ~= nil
end

-- Whoever could write the file could have it run programs; whoever can read it must find no secret.
local function check_mode(path, file, all)
  local mode, is_ours = core.mode(file)
  if not mode then usage(path .. ": " .. is_ours) end
  if not is_ours then usage(path .. " belongs to another user: it is not read") end
  if mode & GROUP_OR_OTHERS_WRITE ~= 0 then usage(path .. " can be written by others: chmod go-w it") end
  if mode & GROUP_OR_OTHERS_READ == 0 then return end
  for name, profile in pairs(all) do
    if type(profile) == "table" and holds_secret(profile) then
      usage(("%s can be read by others, and there is a secret in profile '%s': chmod 600 it"):format(path, name))
    end
  end
end

-- Whoever can write the directory can put another file in its place.
local function check_place(path)
  local is_there, _, is_regular = core.mode(path)
  if is_there and not is_regular then usage(path .. " is no file") end -- and reading a pipe would wait for ever
  local directory = path:match "^(.*)/"
  local mode, is_ours = core.mode(directory)
  if not (is_there and mode) then return end
  if not is_ours then usage(directory .. " belongs to another user: what is in it is not read") end
  if mode & GROUP_OR_OTHERS_WRITE ~= 0 and mode & STICKY == 0 then
    usage(directory .. " can be written by others: chmod go-w it")
  end
end

local function read_file(path)
  check_place(path)
  local file, problem, number = io.open(path, "rb")
  if not file then
    if number == 2 or number == 20 then return nil end -- ENOENT, ENOTDIR
    usage(problem)
  end
  local text <close> = file
  local config = zuora.decode(text:read "a" or "")
  if type(config) ~= "table" or type(config.profiles) ~= "table" or #config.profiles > 0 then
    usage(path .. " is not JSON with profiles in it")
  end
  check_mode(path, file, config.profiles)
  return config
end

--- The profile that is asked for, or the file's own choice.
---@param environment fun(name: string): string|nil
---@param wanted string|nil by a flag
---@return table profile empty when there is none, and none was asked for
---@return string|nil name
function profiles.read(environment, wanted)
  local variable = environment "ZUORA_PROFILE" or ""
  wanted = wanted or variable ~= "" and variable or nil
  local path = profiles.path(environment)
  local config = path and read_file(path)
  if not config then
    if wanted then usage(("there is no profile '%s': %s is not there"):format(wanted, path or "a home directory")) end
    return {}
  end
  local name = wanted or config.profile or "default"
  local profile = config.profiles[name]
  if type(profile) == "table" then return profile, name end
  if wanted or config.profile or profile ~= nil then
    usage(("%s has no profile '%s'"):format(path, tostring(name)))
  end
  return {}
end

-- What a program says: its words as they are, with no shell between.
local function ask(name, words)
  if type(words) ~= "table" or #words == 0 then usage(name .. " is no list of words") end
  local file, problem = io.tmpfile() -- without a name: no other program finds it
  if not file then usage(("%s: no temporary file: %s"):format(name, problem), 1) end
  local told <close> = file
  local ok, child
  ok, child, problem = pcall(core.spawn, words, { stdout = told })
  if not ok then usage(name .. ": " .. tostring(child)) end
  if not child then usage(("%s: %s"):format(name, problem), 4) end
  local running <close> = child
  local pause <close> = core.session {}
  local status = running:poll()
  while not status do
    pause:step(LOOK)
    status = running:poll()
  end
  if status ~= 0 then usage(("%s: %s ended with %d"):format(name, words[1], status), 4) end
  told:seek "set"
  local text = told:read "a" or ""
  told:seek "set"
  told:write(("\0"):rep(#text)) -- it may be on a disk
  local secret = text:gsub("[\r\n]+$", "")
  if secret == "" or secret:find "[%c]" then usage(("%s: %s gave no secret"):format(name, words[1]), 4) end
  return secret
end

--- Puts in the secrets that programs give, in the place of the options that name the programs.
---@param options table
function profiles.fetch_secrets(options)
  for _, name in ipairs(SECRETS) do
    local command = name .. "_command"
    local words = options[command]
    options[command] = nil
    if words ~= nil and options[name] == nil then options[name] = ask(command, words) end
  end
end

return profiles
