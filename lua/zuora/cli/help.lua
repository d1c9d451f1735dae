--- What `zuora help TOPIC` prints. What another file knows is taken from there.

local exits = require "zuora.cli.exits"

local help = {}

local topics = {}

topics["exit-codes"] = function()
  return ([[
What the number means that zuora ends with:

%s

Of several items: 75 where another run can help every one that failed, 6 where all of them
still run, else the first that holds of 5, 4, 3, 7. A line on standard error says how to go on
with what still runs.

In a unit of systemd: RestartForceExitStatus=6 75, and SuccessExitStatus=143 for those that
are stopped.]]):format(exits.text())
end

function topics.environment()
  local lines = {}
  for _, row in ipairs(require "zuora.cli.settings".table) do
    if row.variable then lines[#lines + 1] = ("  %-20s %s"):format(row.variable, row.words) end
  end
  return ([[
A flag goes before the environment, that before a profile, that before what is so by default;
zuora doctor says where each setting came from. A secret is never a flag.

%s
  ZUORA_PROFILE        the profile to take (--profile)
  XDG_CONFIG_HOME      where zuora/config.json is, with the profiles (~/.config)
  NO_COLOR, CLICOLOR_FORCE, TERM=dumb
                       no colours; colours in a pipe, too; a terminal that cannot redraw
  https_proxy, http_proxy, all_proxy, no_proxy
                       the proxy, where the profile has none
  TMPDIR               for rows, until all of them are there (/tmp)

zuora/config.json has profiles, each with any option of zuora.new:

  { "profile": "sandbox",
    "profiles": {
      "sandbox": { "environment": "us2-sandbox", "client_id": "...",
                   "client_secret_command": ["pass", "show", "zuora/sandbox"] },
      "prod":    { "environment": "us2", "client_id": "...", "client_secret": "..." } } }

client_secret_command (token_command, password_command) is a program and its words, without a
shell; what it prints is the secret. The file is refused when others can write it or its
directory, or can read a secret in it.]]):format(
    table.concat(lines, "\n"))
end

function topics.formatting()
  return [[
Standard output has data and nothing else, and nothing is on it before all of the result is
there: all of its bytes, and as many records as Zuora counts. Where it tells no count (a
report without --verify, a file by its id), a file's records are "not verified".

  --format table       columns that fit the terminal; the usual one on a terminal
  --format csv         with a header; the usual one for rows in a pipe
  --format jsonl       an object on each line; the usual one for records in a pipe
  --format json        one array, or one object; --json for short

On a terminal characters that could steer it are shown as \x1b and the like. -o FILE replaces
FILE when all of the rows are there; without --format and --columns it has them as CSV, just as
Zuora's result is.

Standard error has bars on a terminal, else a line for each change; --progress json says the
same for programs, --quiet only what went wrong, and how to go on. --debug tells every request
and answer, secrets masked.]]
end

function topics.plan()
  local lines = {}
  for _, group in ipairs(require "zuora.extract.plan".words()) do
    lines[#lines + 1] = ("\nIn %s (* is needed):\n"):format(group.title)
    for _, one in ipairs(group) do
      lines[#lines + 1] = ("  %s %-12s %s"):format(one.is_needed and "*" or " ", one.word, one.wanted)
    end
  end
  return ([[
A plan says what is read again and again, and where to. It is JSON, in a file; zuora extract init
prints one, zuora extract run PLAN brings all of it up to date, and can be killed and run again.

  { "plan": "nightly", "output": "out",
    "items": [ { "object": "Account", "deleted": true },
               { "query": "select Amount from Payment", "name": "paid", "cursor": "UpdatedDate" },
               { "report": "Accounts by balance", "view": "Detail" } ],
    "load": { "to": "postgresql:///dw", "schema": "zuora" } }

With a cursor (of an object: UpdatedDate, else TransactionDate, else UpdatedOn) only what has
changed is read, in windows that end on the grid of "every" (1h), "settle" (2h) ago; without one
all of it is read each time. "publish" is run for each file: {path}, {name}, {item} stand for it.

"store" is a file, which one run has at a time, or postgresql://... as libpq (~/.pgpass) knows it:
there zuora extract work PLAN shares the items with as many machines as there are. Its tables are in
the schema zuora_store, which it makes; it may be the target's database, and holds many plans.
%s]]):format(table.concat(lines, "\n"))
end

--- For the program that makes the manual page.
function topics.manual(nouns, summary)
  return table.concat({ summary(), require "zuora.cli.parser".manual(nouns),
    "*Environment*\n\n" .. topics.environment(), "*Formatting*\n\n" .. topics.formatting(),
    "*Exit codes*\n\n" .. topics["exit-codes"]() }, "\n\n")
end

--- The text of a topic, or a word about a command that has no verbs.
---@param name string
---@param nouns table[]
---@param summary fun(): string
---@return string|nil
function help.topic(name, nouns, summary)
  if topics[name] then return topics[name](nouns, summary) end
  for _, noun in ipairs(nouns) do
    if noun[1] == name then return ("zuora %s: %s"):format(name, noun[2]) end
  end
  return nil
end

return help
