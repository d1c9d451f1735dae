--- What the words of a command mean, by argparse: one file for each noun says which verbs it has, and here is what
--- they have in common.

local argparse = require "argparse"

local parser = {}

-- Columns of a help text.
local WIDTH = 90

-- --- options that many verbs have --------------------------------------------------------------------

local function number_of(least)
  return function(text)
    local number = tonumber(text)
    if number and number >= least and number < math.huge then return number end
    return nil, ("'%s' is no number of %g or more"):format(text, least)
  end
end

--- A number of seconds.
parser.seconds = number_of(0)

--- A whole number above 0.
function parser.count(text)
  local number = math.tointeger(tonumber(text))
  if not number or number < 1 then return nil, ("'%s' is no whole number above 0"):format(text) end
  return number
end

--- A file or a directory.
function parser.path(text)
  if text == "" then return nil, "'' is no path" end
  return text
end

local function list_of(text)
  local list = {}
  for name in (text .. ","):gmatch "([^,]*)," do list[#list + 1] = name end
  return list
end

local groups = {}

local function told_options(verb)
  local progress = verb:option "--progress":choices { "bar", "plain", "json", "quiet" }
    :description "How progress is told on standard error."
  local quiet = verb:flag "--quiet":description "The same as --progress quiet."
  verb:mutex(progress, quiet)
  return progress, quiet,
    verb:flag "--debug":description "Tell every request and answer on standard error, secrets masked."
end

function groups.settings(verb)
  verb:group("Which tenant, and what is told meanwhile",
    verb:option "--profile":argname "NAME":description "A profile of the configuration file.",
    verb:option "--environment":argname "NAME":description "The data centre, such as us2-sandbox.",
    verb:option "--base-url":argname "URL":description "The REST base, instead of an environment.",
    verb:flag "--legacy":description "The older hosts, with user name and password.",
    verb:option "--entity":argname "ID":description "The entity of a multi-entity tenant.",
    verb:option "--track-id":argname "ID":description "Goes with every call as Zuora-Track-Id.",
    verb:option "--ca-file":argname "FILE":description "The certificates to trust.",
    told_options(verb))
end

function groups.format(verb)
  verb:mutex(
    verb:option "--format":choices { "table", "csv", "jsonl", "json" }
      :description "A table on a terminal, csv (rows) or jsonl (records) in a pipe, unless this says otherwise.",
    verb:flag "--json":description "The same as --format json.")
end

function groups.rows(verb)
  groups.format(verb)
  verb:option "-o --output":argname "FILE":convert(parser.path)
    :description "Write the rows into FILE, which is replaced when all of them are there."
  verb:option "--columns":argname "A,B":convert(list_of):description "Only these columns, in this order."
end

function groups.time(verb)
  return verb:option "--wait":argname "SECONDS":convert(parser.seconds)
    :description "How long to wait for it (900). What has not settled then goes on in Zuora: exit code 6."
end

function groups.waiting(verb)
  verb:mutex(groups.time(verb), verb:flag "--no-wait":description "Do not wait for it.")
  groups.polling(verb)
end

function groups.poll(verb)
  verb:option "--poll":argname "SECONDS":convert(parser.seconds)
    :description "The first pause between two looks at it (1); it grows to 20."
end

function groups.polling(verb)
  groups.poll(verb)
  verb:flag "--cancel-on-interrupt":description "Ctrl-C and SIGTERM cancel it in Zuora, too."
end

-- --- nouns and verbs ---------------------------------------------------------------------------------

-- A verb's own options first; both names of an option on one line, and its words below them.
local function tidied(text)
  text = text:gsub("(\n\nWhich tenant.*)\n\nOther options:(.*)$", "\n\nOptions:%2%1")
  local margin = "\n" .. (" "):rep(25)
  return (text:gsub("\n +(%-%a) %S+, +([^\n]*)\n   (%-%-%S+ %S+) *([^\n]*)", function(short, words, long, rest)
    return ("\n   %s, %s%s%s%s"):format(short, long, margin, words, rest ~= "" and margin .. rest or "")
  end))
end

-- Help is handed to whoever prints it: by itself it would end the process, printed or not.
local function with_help(one)
  return one:add_help { action = function() error({ help = tidied(one:get_help()) }, 0) end }
end

--- Adds what stands in a verb's line without a flag.
---@param verb table of argparse's
---@param name string as the help shows it
---@param target string as args has it
---@param args "?"|"+"|nil there may be none, or there may be several
---@return table argument
function parser.argument(verb, name, target, args)
  local shown = args == "?" and "[" .. name .. "]" or args == "+" and name .. "..." or name
  verb.words = (verb.words or "") .. " " .. shown
  return verb:argument(name):target(target):argname(name):args(args or 1)
end

--- Adds a verb to a noun.
---@param noun table of argparse's
---@param name string|nil nil: the noun is a command by itself
---@param summary string
---@param shared string the names of groups above, with blanks between them
---@param action fun(command: zuora.cli.Command, args: table): any carries it out
---@return table verb for what it has besides
function parser.verb(noun, name, summary, shared, action)
  local verb = name and with_help(noun:command(name)) or noun
  verb:summary(summary):description(summary:sub(1, 1):upper() .. summary:sub(2) .. (summary:find "%?$" and "" or "."))
  verb:action(function(args) args.action = action end)
  table.insert(noun.verbs, { verb = verb, shared = shared, name = name })
  return verb
end

-- A parser of the one noun that is wanted, or of all; and all verbs in it. What a verb has by itself comes before what
-- it shares with others, if that is to be in it at all.
local function root_of(nouns, wanted, alone)
  local root, verbs = argparse("zuora", "Reports and queries of Zuora, from a shell."):help_max_width(WIDTH), {}
  with_help(root)
  for _, noun in ipairs(nouns) do
    local name, words, file = table.unpack(noun)
    if wanted == nil or name == wanted then
      local command = with_help(root:command(name)):summary(words)
        :description(words:sub(1, 1):upper() .. words:sub(2) .. "."):usage("Usage: zuora " .. name .. " VERB [options]")
      command.verbs = {}
      if file then require("zuora.cli." .. file).define(command, parser) end
      for _, one in ipairs(command.verbs) do
        one.verb:usage(("Usage: zuora %s [options]%s"):format(one.name and name .. " " .. one.name or name,
          one.verb.words or ""))
        for group in (alone and "" or one.shared):gmatch "%S+" do groups[group](one.verb) end
        verbs[#verbs + 1] = one.verb
      end
    end
  end
  return root, verbs
end

--- Reads the words of a command.
---@param nouns table[]
---@param argv string[]
---@return table|nil args nil: it has been said what is wrong with them, or they ask for help
---@return string|nil help the text of it
function parser.parse(nouns, argv)
  local root = root_of(nouns, argv[1])
  local problem
  function root.error(current, message)
    problem = { usage = current:get_usage(), message = message:gsub("'\nDid you mean", "'. Did you mean") }
    error(problem, 0)
  end
  local ok, args = pcall(root.parse, root, argv)
  if ok then
    args.argv = argv
    return args
  end
  if type(args) == "table" and args.help then return nil, args.help end
  if args ~= problem then error(args, 0) end
  io.stderr:write("zuora: ", (problem.message:gsub("[%c\127]", " ")), "\n", problem.usage, "\n")
  return nil
end

--- What a shell completes commands with.
---@param nouns table[]
---@param shell string|nil
---@return string|nil
function parser.completion(nouns, shell)
  if shell ~= "bash" and shell ~= "zsh" and shell ~= "fish" then return nil end
  local root = root_of(nouns)
  return root["get_" .. shell .. "_complete"](root)
end

--- All verbs with their options, as text for a manual.
---@param nouns table[]
---@return string
function parser.manual(nouns)
  local texts, _, verbs = {}, root_of(nouns, nil, true)
  local shared = argparse():add_help(false):usage "":help_max_width(WIDTH)
  for _, name in ipairs { "rows", "waiting", "settings" } do groups[name](shared) end
  for i, verb in ipairs(verbs) do
    local usage, text = verb:get_help():match "^Usage: ([^\n]*)\n\n(.*)$"
    text = text:gsub("\n   %-h, %-%-help[^\n]*", ""):gsub("\n\nOptions:", "\n"):gsub("\n\nArguments:", "\n")
    texts[i] = ("*%s*\n\n%s\n\n%s"):format(usage:match "^[^%[]*%w", usage, text)
  end
  texts[#texts + 1] = "*Options that many have*" .. tidied(shared:get_help()):gsub("^\n\nOptions:", "\n")
  return tidied(table.concat(texts, "\n\n"))
end

return parser
