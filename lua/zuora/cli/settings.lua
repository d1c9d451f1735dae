--- Which tenant, and who asks: what zuora.new is given, and where each of it came from.
--
-- A flag goes before the environment, that before a profile. A secret is never a flag: others could read it in the
-- list of processes, and it would stay in the shell's history.

local profiles = require "zuora.cli.profiles"
local usage = require "zuora.cli.texts".usage

local settings = {}

local TRUTH = { ["1"] = true, ["true"] = true, yes = true, ["0"] = false, ["false"] = false, no = false }

--- What flags and the environment can say. `alone`: of the settings of that name, only those of the one place are
--- taken that has any of them first.
--- `kind`: of credentials. `words`: for the help.
---@type { option: string, flag: string?, variable: string?, alone: string?, kind: string?, words: string?,
--- truth: boolean? }[]
settings.table = {
  { option = "environment", flag = "environment", variable = "ZUORA_ENVIRONMENT", alone = "place",
    words = "the data centre, such as us2-sandbox" },
  { option = "base_url", flag = "base_url", variable = "ZUORA_BASE_URL", alone = "place",
    words = "the REST base, instead of an environment" },
  { option = "reporting_url", alone = "place" },
  { option = "aqua_url", alone = "place" },
  { option = "files_url", alone = "place" },
  { option = "client_id", variable = "ZUORA_CLIENT_ID", kind = "oauth", words = "OAuth: the client's id" },
  { option = "client_secret", variable = "ZUORA_CLIENT_SECRET", kind = "oauth", words = "and its secret" },
  { option = "token", variable = "ZUORA_TOKEN", kind = "token", words = "or a bearer token" },
  { option = "username", variable = "ZUORA_USERNAME", kind = "password", words = "or a user's name" },
  { option = "password", variable = "ZUORA_PASSWORD", kind = "password", words = "and password" },
  { option = "client_secret_command", kind = "oauth" },
  { option = "token_command", kind = "token" },
  { option = "password_command", kind = "password" },
  { option = "legacy", flag = "legacy", variable = "ZUORA_LEGACY", words = "1: the older hosts", truth = true },
  { option = "entity_id", flag = "entity", variable = "ZUORA_ENTITY_ID", alone = "entity",
    words = "the entity of a multi-entity tenant" },
  { option = "entity_name", alone = "entity" },
  { option = "track_id", flag = "track_id" },
  { option = "ca_file", flag = "ca_file", variable = "ZUORA_CA_FILE", words = "the certificates to trust" },
}

local ROWS = {} -- the same, by option
for _, row in ipairs(settings.table) do ROWS[row.option] = row end

local function of_environment(row, environment)
  local text = row.variable and environment(row.variable) or ""
  if text == "" then return nil end
  if not row.truth then return text end
  if TRUTH[text] == nil then usage(("%s is neither 1 nor 0"):format(row.variable)) end
  return TRUTH[text]
end

-- What flags and the environment say: values, and where they came from.
local function said(args, environment)
  local flags, variables = {}, {}
  for _, row in ipairs(settings.table) do
    flags[row.option] = row.flag and args[row.flag]
    variables[row.option] = of_environment(row, environment)
  end
  return flags, variables
end

-- A setting that the source has of all those with that mark.
local function any_of(source, name, value)
  for _, row in ipairs(settings.table) do
    if row[name] == value and source[row.option] ~= nil then return row end
  end
  return nil
end

-- The kind of credentials that the first source with any has.
local function kind_of(sources, variables)
  for _, source in ipairs(sources) do
    local found
    for _, kind in ipairs { "token", "oauth", "password" } do
      local row = any_of(source, "kind", kind)
      if row and found then
        usage(("%s and %s are both set: one kind of credentials is needed"):format(
          source == variables and found.variable or found.option, source == variables and row.variable or row.option))
      end
      found = found or row
    end
    if found then return found.kind end
  end
  return nil
end

-- Of several sources, the first goes before the others.
local function merge(sources, variables, origin_of)
  local options, origin, kind = {}, {}, kind_of(sources, variables)
  for i, source in ipairs(sources) do
    for option, value in pairs(source) do
      local row = ROWS[option] or {}
      local fits = row.kind == nil or row.kind == kind
      for j = 1, row.alone and i - 1 or 0 do fits = fits and not any_of(sources[j], "alone", row.alone) end
      if fits and options[option] == nil then options[option], origin[option] = value, origin_of(i, option) end
    end
  end
  return options, origin
end

local function has_credentials(source)
  for _, row in ipairs(settings.table) do
    if row.kind and source[row.option] ~= nil then return true end
  end
  return false
end

local function check_whole(options)
  if not (options.environment or options.base_url or options.reporting_url) then
    usage "which tenant? Give --environment, or ZUORA_ENVIRONMENT, or a profile (zuora help environment)"
  end
  if not has_credentials(options) then
    usage "no credentials: set ZUORA_CLIENT_ID and ZUORA_CLIENT_SECRET, or write a profile (zuora help environment)"
  end
end

-- Variables that go before what the profile says.
local function overridden(profile, origin)
  local names, is_whole = {}, has_credentials(profile)
  for _, row in ipairs(settings.table) do
    local is_said = profile[row.option] ~= nil or row.kind and is_whole
      or row.alone and any_of(profile, "alone", row.alone)
    if is_said and (origin[row.option] or ""):find "^environment " then names[#names + 1] = row.variable end
  end
  return names
end

--- What zuora.new is to be given.
---@param args table the flags, as argparse has them
---@param environment fun(name: string): string|nil
---@param given table|nil options of zuora.new that a command has from elsewhere: they go behind the flags
---@return table options
---@return table<string, string> origin by option: "flag", "environment ZUORA_X" or "profile NAME"; what is not in it
--- is as it is by default
---@return string[] overridden variables that go before the profile which a flag asks for
function settings.read(args, environment, given)
  local flags, variables = said(args, environment)
  local profile, name = profiles.read(environment, args.profile)
  local options, origin = merge({ flags, given or {}, variables, profile }, variables, function(place, option)
    if place < 3 then return place == 1 and "flag" or "given" end
    return place == 3 and "environment " .. ROWS[option].variable or "profile " .. name
  end)
  check_whole(options)
  for _, row in ipairs(settings.table) do -- a secret comes from where its program is named
    local secret = row.option:match "^(.*)_command$"
    if secret and options[secret] == nil and origin[row.option] then
      origin[secret], origin[row.option] = origin[row.option] .. ", by " .. row.option, nil
    end
  end
  profiles.fetch_secrets(options)
  return options, origin, args.profile and overridden(profile, origin) or {}
end

return settings
