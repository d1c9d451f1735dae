--- The command line: what stands behind lua/bin/zuora.
--
-- A command is a noun and a verb. Only the noun that is asked for is loaded: `zuora version` needs neither the parser
-- nor the module, and a report knows nothing of jobs.

local cli = {}

-- In the order of the help: name, words, and the file below cli/ that has its verbs.
local NOUNS = {
  { "report", "search, run and fetch reports", "report" },
  { "job", "AQuA jobs: submit queries, wait, fetch their results", "job" },
  { "files", "result files of jobs", "files" },
  { "query", "Data Query: SQL over a tenant's data", "query" },
  { "describe", "objects and their fields", "describe" },
  { "request", "any other call of Zuora's REST API", "request" },
  { "extract", "plans of objects, reports and queries, read again and again", "extract" },
  { "tap", "a Singer tap: objects for any of Singer's loaders", "tap" },
  { "simulate", "a local Zuora, to try things out", "simulate" },
  { "doctor", "look for what keeps it from working", "doctor.command" },
  { "completion", "print what bash, zsh or fish completes commands with" },
  { "help", "about a command, or environment, formatting, exit-codes, plan" },
  { "version", "print the version" },
}

local function complain(text) io.stderr:write("zuora: ", text, "\n") end

local function say(text)
  local done, message, is_pipe = require "zuora.cli.put"(io.stdout, (text:gsub("\n?$", "\n", 1)))
  if done or is_pipe then return 0 end
  complain("standard output: " .. message)
  return 1
end

local function summary()
  local lines = { "Usage: zuora COMMAND [VERB] [options]", "", "Reports and queries of Zuora, from a shell.", "",
    "Commands:" }
  for _, noun in ipairs(NOUNS) do lines[#lines + 1] = ("   %-12s %s"):format(noun[1], noun[2]) end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "zuora help COMMAND and zuora COMMAND VERB --help say more. Data goes to standard output,"
  lines[#lines + 1] = "talk to standard error; zuora help exit-codes has what the numbers at the end mean."
  return table.concat(lines, "\n")
end

local function unknown(word)
  complain(("there is no command '%s'; zuora help lists them"):format(word:gsub("[^ -~]", "?")))
  return 2
end

local function find(name)
  for _, noun in ipairs(NOUNS) do
    if noun[1] == name then return noun end
  end
  return nil
end

local main = {}

function main.version()
  return say("zuora " .. require "zuora.version")
end

function main.help(argv)
  local topic = argv[2]
  if not topic then return say(summary()) end
  if (find(topic) or {})[3] then
    local words = { topic, table.unpack(argv, 3) }
    words[#words + 1] = "--help"
    local _, text = require "zuora.cli.parser".parse(NOUNS, words)
    return text and say(text) or 2
  end
  local text = require "zuora.cli.help".topic(topic, NOUNS, summary)
  if not text then return unknown(topic) end
  return say(text)
end

function main.completion(argv)
  local text = require "zuora.cli.parser".completion(NOUNS, argv[2])
  if not text then
    complain "completion needs the name of a shell: bash, zsh or fish"
    return 2
  end
  return say(text)
end

local function carry_out(argv, environment)
  local word = argv[1]
  if not word then
    io.stderr:write(summary(), "\n")
    return 2
  end
  word = ({ ["--version"] = "version", ["-V"] = "version", ["--help"] = "help", ["-h"] = "help" })[word] or word
  if main[word] then return main[word](argv) end
  if not find(word) then return unknown(word) end
  local args, text = require "zuora.cli.parser".parse(NOUNS, argv)
  if text then return say(text) end
  return args and require "zuora.cli.command".run(args, environment) or 2
end

-- Something that the program stands on is not there, or is too old: all that can be done is to say so.
local function crippled(argv, message)
  if argv[1] == "doctor" then
    require "zuora.cli.doctor.machine".versions(function(state, subject, text, cure)
      print(("%-4s  %s: %s%s"):format(state, subject, text, cure and "\n      " .. cure or ""))
    end)
  else
    complain(message .. "; zuora doctor says more")
  end
  return 2
end

--- Carries out a command.
---@param argv string[] its words, without the program's name
---@param environment fun(name: string): string|nil
---@return integer code for os.exit
function cli.main(argv, environment)
  local ok, code = pcall(carry_out, argv, environment)
  if ok then return code end
  local message = tostring(code):gsub("^[^\n]-:%d+: ", "")
  if message:find "interrupted!" then -- before there was a command that could answer
    complain "interrupted"
    return 130
  end
  if message:find "^module '.-' not found" or not pcall(require, "zuora.core") then
    return crippled(argv, (message:match "^[^\n]*":gsub(":$", "")))
  end
  error(code, 0)
end

return cli
