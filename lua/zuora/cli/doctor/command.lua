--- The command `zuora doctor`: what the doctor is given, and how what it finds is told.

local exits = require "zuora.cli.exits"
local profiles = require "zuora.cli.profiles"
local put = require "zuora.cli.put"
local settings = require "zuora.cli.settings"
local terminal = require "zuora.cli.terminal"

local noun = {}

local COLOURS = { ok = "green", note = "yellow", fail = "red" }

-- A line for each thing that was looked at, as it comes; the cure below it.
local function printer(environment)
  local out = terminal.new(1, environment)
  return { line = function(self, state, subject, text, cure)
    local done, message, is_pipe = put(io.stdout, ("%s  %s: %s\n%s"):format(
      out:paint(COLOURS[state], ("%-4s"):format(state)), terminal.safe(subject), terminal.safe(text),
      cure and "      " .. terminal.safe(cure) .. "\n" or ""))
    if not done and not is_pipe then self.problem = "standard output: " .. message end
  end }
end

-- The same as records, for programs.
local function collector(list)
  return { line = function(_, state, subject, text, cure)
    list[#list + 1] = { state = state, subject = subject, text = text, cure = cure }
  end }
end

local function examine(command, args)
  local more = { config = profiles.path(command.environment) }
  local ok, options, origin = pcall(settings.read, args, command.environment)
  if not ok then
    if type(options) ~= "table" then error(options, 0) end
    more.problem = options.message
  end
  local list = {}
  local out = command:format() and collector(list) or printer(command.environment)
  local code = require "zuora.cli.doctor".run(ok and options or {}, ok and origin or {}, out, more)
  if out.problem then return nil, { exit = exits.failure, message = out.problem } end
  if command:format() then
    local done, err = command:print_records(list, { "state", "subject", "text", "cure" })
    if not done then return nil, err end
  end
  return code
end

function noun.define(command, parser)
  parser.verb(command, nil, "look for what keeps it from working, and say the cause and the cure", "format settings",
    examine)
end

return noun
