--- zuora tap (zuora-tap): a Singer tap.

local exits = require "zuora.cli.exits"
local put = require "zuora.cli.put"
local tap = require "zuora.tap"

-- What ends all when nothing more can be written.
local Closed = {}

local function write(text)
  local done, message, is_pipe = put(io.stdout, text)
  if not done then error(setmetatable({ message = message, is_pipe = is_pipe }, Closed), 0) end
end

-- The client of the tenant that a configuration means.
local function connect(command, config)
  if not config.tenants then return command:client(config.settings) end
  return tap.find(config.tenants, function(environment)
    local settings = { environment = environment }
    for name, value in pairs(config.settings) do settings[name] = value end
    return command:client(settings)
  end)
end

local function read_files(args)
  local config, err = tap.config(args.config)
  if not config then return nil, err end
  local catalogue, state
  if args.catalog or args.properties then
    catalogue, err = tap.read(args.catalog or args.properties)
    if not catalogue then return nil, err end
  end
  if args.state then
    state, err = tap.read(args.state)
    if not state then return nil, err end
  end
  return config, nil, catalogue, state
end

local function code_of(results)
  local errors = {}
  for _, result in ipairs(results) do errors[#errors + 1] = result.err end
  if #errors == 0 then return true end
  return nil, { exit = exits.of_several(errors, #errors < #results),
    message = ("%d of %d streams failed"):format(#errors, #results) }
end

local function run(command, args)
  local config, err, catalogue, state = read_files(args)
  if not config then return nil, err end
  local function log(line) command.progress:line(line, line:find "^[EW]" ~= nil) end
  for _, name in ipairs(config.unknown) do log("WARNING config: nothing is known of '" .. name .. "'") end
  if not (catalogue or args.discover or config.select) then
    return nil, { exit = exits.usage, message = "which streams? Give --catalog, or 'select' in the configuration; "
      .. "--discover says which there are" }
  end
  local client
  client, err = connect(command, config)
  if not client then return nil, err end
  if args.discover or not catalogue then
    catalogue, err = tap.discover(client, { select = config.select, log = log })
    if not catalogue then return nil, err end
    if args.discover then return command:print_text(tap.encode(catalogue)) end
  end
  local ok, results, problem = pcall(tap.run, client, catalogue, { state = state, plan = config.plan,
    start = config.start, decimals = args.decimals or config.decimals, poll = args.poll, wait = args.wait,
    tmpdir = command.tmpdir, write = write, log = log })
  ---@cast results any
  if not ok then
    if getmetatable(results) ~= Closed then error(results, 0) end
    if results.is_pipe then return true end
    return nil, { exit = exits.failure, message = "standard output: " .. results.message }
  end
  if not results then return nil, problem end
  return code_of(results)
end

local CONFIGURATION = [[
The configuration is JSON. client_id and client_secret, or username and password;
environment or base_url, or what tap-zuora has for it: sandbox, european, auth_type (its
partner_id and api_type are not needed). start_date: from when on, where --state knows
nothing of a stream. select: names of objects to be read, in place of a catalogue.
every (1h), settle (2h): a bookmark is the last point on the grid of the one that is past
by the other; until the next one a stream is up to date. split ("id:250000"): a first load
by pages of so many rows. concurrency (4): streams at once. wait, decimals: see there.
And what else a profile may have: entity_id, ca_file, proxy. What is not in it comes from
the environment, or from a profile (zuora help environment).]]

local tap_noun = {}

function tap_noun.define(noun, parser)
  local verb = parser.verb(noun, nil, "write objects as messages that any of Singer's loaders takes",
    "poll settings", run)
  verb:epilog(CONFIGURATION)
  verb:option "-c --config":argname "FILE":convert(parser.path):count(1)
    :description "The configuration: see below."
  verb:flag "-d --discover":description "Print which streams there are, and end."
  verb:mutex(
    verb:option "--catalog":argname "FILE":convert(parser.path)
      :description "Which streams there are, and what of them is selected.",
    verb:option "-p --properties":argname "FILE":convert(parser.path):description "The same, by its older name.")
  verb:option "-s --state":argname "FILE":convert(parser.path):description "Where the run before has ended."
  verb:option "--decimals":choices { "number", "string" }
    :description "Decimals as they stand (number), or as texts for loaders that read floats (string)."
  verb:option "--wait":argname "SECONDS":convert(parser.seconds)
    :description "How long to wait for a job (14400). What has not settled then goes on in Zuora: exit code 6."
end

return tap_noun
