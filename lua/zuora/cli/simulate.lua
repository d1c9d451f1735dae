--- zuora simulate: a local Zuora, until Ctrl-C.

local simulator = require "zuora.simulator"
local texts = require "zuora.cli.texts"

local simulate = {}

-- Seconds between two looks at whether to end.
local TURN = 0.2

-- Files of a directory as { [name] = { csv = path } }.
local function tables_of(directory)
  local found, tables = io.popen(("ls -- %s 2> /dev/null"):format(texts.quoted(directory))), {}
  for name in found:lines() do
    local stem = name:match "^(.+)%.csv$"
    if stem then tables[stem] = { csv = directory .. "/" .. name } end
  end
  if not found:close() then texts.usage(directory .. " cannot be read") end
  if next(tables) == nil then texts.usage(directory .. " has no file whose name ends with .csv") end
  return tables
end

local function settings_of(args)
  local settings = args.settings and texts.json("@" .. args.settings, "--settings") or {}
  settings.port, settings.seconds = args.port or settings.port, args.seconds or settings.seconds
  settings.looks, settings.tls = args.looks or settings.looks, args.tls or settings.tls
  settings.objects = args.objects and tables_of(args.objects) or settings.objects
  settings.reports = args.reports and tables_of(args.reports) or settings.reports
  return settings
end

-- What a shell reads to talk to it. (It is no secret: there is nothing behind it.)
local function exports(sim)
  local lines = {}
  for i, name in ipairs { "url", "client_id", "client_secret", "ca_file" } do
    local variable = "ZUORA_" .. (name == "url" and "BASE_URL" or name:upper())
    if sim[name] then lines[i] = ("export %s=%s\n"):format(variable, texts.quoted(sim[name])) end
  end
  return table.concat(lines)
end

-- What it cannot be started with is told without the place in its files.
local function open(settings)
  local ok, sim = pcall(simulator.open, settings)
  if ok then return sim end
  if tostring(sim):find "module '[^']*' not found" then error(sim, 0) end
  texts.usage((tostring(sim):gsub("^[^\n]-:%d+: ", "")))
end

local function serve(command, sim)
  local done, err = command:print_text(exports(sim))
  if not done then return nil, err end
  command.progress:line(sim.url .. " until Ctrl-C")
  while not sim.app.stopped do sim:step(TURN) end
  return true
end

local function run(command, args)
  local sim <close> = open(settings_of(args))
  local ok, done, err = pcall(serve, command, sim)
  if ok then return done, err end
  if not tostring(done):find "interrupted!$" then error(done, 0) end
  return true
end

-- (A larger number would be taken for another, less 65536.)
local function port(text)
  local number = math.tointeger(tonumber(text))
  if number and number >= 1 and number <= 65535 then return number end
  return nil, ("'%s' is no port: 1 to 65535"):format(text)
end

function simulate.define(noun, parser)
  parser.verb(noun, nil, "a local Zuora, to try things out", "", run)
  noun:option "--port":argname "N":convert(port):description "The port of 127.0.0.1 (any free one)."
  noun:option "--objects":argname "DIR":convert(parser.path):description "Objects: a file Name.csv for each."
  noun:option "--reports":argname "DIR":convert(parser.path)
    :description "Results of reports: a file ID.csv for each."
  noun:option "--looks":argname "N":convert(parser.seconds):description "How often each status is seen (1)."
  noun:option "--seconds":argname "S":convert(parser.seconds):description "How long each status lasts, instead."
  noun:flag "--tls":description "By https; the certificate to trust is in ZUORA_CA_FILE."
  noun:option "--settings":argname "FILE":convert(parser.path)
    :description "More settings, as JSON: see zuora.simulator."
end

return simulate
