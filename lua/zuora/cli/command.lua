--- One command as it is carried out: its client, what is told meanwhile, where the result goes, and how to go on with
--- what it leaves in Zuora when it ends too early.

local core = require "zuora.core"
local exits = require "zuora.cli.exits"
local output = require "zuora.cli.output"
local progress = require "zuora.cli.progress"
local put = require "zuora.cli.put"
local settings = require "zuora.cli.settings"
local target = require "zuora.cli.target"
local terminal = require "zuora.cli.terminal"
local texts = require "zuora.cli.texts"
local zuora = require "zuora"

local command = {}

---@class zuora.cli.Command
---@field args table its words, as argparse has them
---@field progress zuora.cli.Progress
---@field environment fun(name: string): string|nil
---@field terminal zuora.cli.Terminal what stands behind standard output
---@field tmpdir string|nil where rows are kept until they are proven, once there is a client
local Command = {}
Command.__index = Command

-- Seconds between two looks at the clock while something is waited for.
local TICK = 0.2

-- --- the client --------------------------------------------------------------------------------------

local function told_request(info)
  return ("> %s %s (%s, attempt %d)%s"):format(info.method or "?", info.url or "?", info.operation, info.attempt,
    info.parameters and " " .. info.parameters or "")
end

local function told_response(info)
  return ("< %d (%s, %d bytes, %.3f s%s)%s"):format(info.status, info.operation, info.bytes, info.seconds,
    info.request_id and ", request id " .. info.request_id or "", info.body and " " .. info.body or "")
end

-- What is told while calls are made.
local function hooks(self, options)
  options.on_retry = function(info)
    self.progress:line(("%s: %s; again in %.1f s"):format(info.operation,
      info.status and "HTTP " .. info.status or info.kind, info.delay))
  end
  options.log = function(line)
    if line:find "^query \"" then self.progress:line("warning: " .. line, true) end
  end
  if self.args.debug then
    options.on_request = function(info) self.progress:line(told_request(info), true) end
    options.on_response = function(info) self.progress:line(told_response(info), true) end
  end
end

--- The client of this command, made when it is first needed.
---@param given table|nil options of zuora.new that stand in a file of the command's; a client of others is closed
---@return zuora.Client
function Command:client(given)
  if self.made and not given then return self.made end
  if self.made then self.made:close() end
  local options, _, overridden = settings.read(self.args, self.environment, given)
  if #overridden > 0 then
    self.progress:line(("warning: %s in the environment, before what profile '%s' says"):format(
      table.concat(overridden, ", "), self.args.profile), true)
  end
  hooks(self, options)
  local client = zuora.new(options)
  self.tmpdir = options.tmpdir or (self.environment "TMPDIR" or ""):match "^.+" or "/tmp"
  self.made = client
  if self.progress.mode == "bar" then
    client:spawn(function()
      while true do
        client:sleep(TICK)
        self.progress:tick()
      end
    end)
  end
  return client
end

-- --- what runs in Zuora ------------------------------------------------------------------------------

-- Flags that belong to the line that goes on with what a command has left.
local KEPT = { "profile", "environment", "base_url", "legacy", "entity", "track_id", "ca_file", "format", "json",
  "output", "directory", "pivoted", "raw", "verify" }

local function resume_line(self, words)
  local line = { "zuora" }
  for _, word in ipairs(words) do line[#line + 1] = texts.quoted(word) end
  for _, name in ipairs(KEPT) do
    local value = self.args[name]
    if value then
      line[#line + 1] = "--" .. name:gsub("_", "-")
      if value ~= true then line[#line + 1] = texts.quoted(value) end
    end
  end
  if self.args.columns then line[#line + 1] = "--columns " .. texts.quoted(table.concat(self.args.columns, ",")) end
  return table.concat(line, " ")
end

--- Something is about to be started in Zuora: should this command end before the answer, or have none that says what
--- became of it, it is said that it may be.
---@param name string
---@param look string how to see whether it is
function Command:begins(name, look) self.begun = { name = name, look = look } end

--- Something in Zuora is this command's from now on: however it ends, it is said how to go on with it (once it is
--- known that there is such a thing).
---@param name string what to call it
---@param thing table a run or a job
---@param words string[] the command that goes on with it
---@return table subject with `item`, its line of progress
function Command:holds(name, thing, words)
  self.subject = { name = name, thing = thing, words = words, item = self.progress:item(name) }
  return self.subject
end

--- A run or a job that is known by its id alone: what can be done with it, its resource does.
---@param resource table client.jobs and the like
---@param id string
---@return table thing
function Command.known(_, resource, id)
  return setmetatable({ id = id }, { __index = function(_, verb)
    return function(_, ...) return resource[verb](resource, id, ...) end
  end })
end

--- Should this command end early, the same command goes on with what it has begun.
---@param name string what to call it
---@param words string[] the command
function Command:repeats(name, words) self.subject = { name = name, words = words, again = true } end

--- Something that is fetched, with a line of progress; nothing of it goes on in Zuora.
---@param name string
---@param thing table
---@return table subject
function Command:shows(name, thing) return { name = name, thing = thing, item = self.progress:item(name) } end

--- Waits until it has settled, as --wait and --poll say.
---@param subject table
---@return any|nil record, zuora.Error|nil err
function Command:wait(subject)
  local args, item = self.args, subject.item
  local options = { timeout = args.wait, min = args.poll, max = args.poll and math.max(20, args.poll) or nil,
    on_poll = function(record, _, elapsed)
      subject.seen = true
      item:waiting(record.status or record.queryStatus, elapsed)
    end }
  local record, err = subject.thing:wait(options)
  subject.settled = record ~= nil
  return record, err
end

-- --- where the result goes ---------------------------------------------------------------------------

function Command:format() return self.args.json and "json" or self.args.format end

-- To standard output; that nobody reads on is no failure.
local function printed(done, message, is_pipe)
  if done or is_pipe then return true end
  return nil, { exit = exits.failure, message = "standard output: " .. message }
end

local function standard_output(self)
  self.progress:close()
  return output.new { format = self:format(), stream = io.stdout, terminal = self.terminal }
end

--- Prints one record; without one, what came in its place is what there is to tell.
---@param record table|nil
---@param err table|nil
---@return true|nil done, table|nil err
function Command:print_record(record, err)
  if not record then return nil, err end
  return printed(standard_output(self):record(record))
end

--- Prints records.
---@param list table[]
---@param columns string[]|nil of a table, and of CSV
---@return true|nil done, table|nil err
function Command:print_records(list, columns) return printed(standard_output(self):records(list, columns)) end

--- Prints lines of text.
---@param text string
---@return true|nil done, table|nil err
function Command:print_text(text) return self:print_bytes(text:gsub("\n?$", "\n", 1)) end

--- Prints bytes as they came; on a terminal, as lines without what steers it.
---@param text string
---@return true|nil done, table|nil err
function Command:print_bytes(text)
  self.progress:close()
  if self.terminal.is_terminal and text ~= "" then
    text = text:gsub("[^\n]+", terminal.safe):gsub("\n?$", "\n", 1)
  end
  return printed(put(io.stdout, text))
end

--- Is what is printed a table?
---@return boolean
function Command:shows_table()
  local format = self:format()
  return format == "table" or not format and self.terminal.is_terminal
end

-- Rows to what cannot be taken back, standard output or a pipe: not before all of them have been read.
local function write_through(self, item, rows, path)
  local spool <close>, err = target.spool(self.tmpdir, rows, self:format(), not path and self.terminal or nil)
  if not spool then return nil, err end
  item:done(path)
  if path then return target.copy(spool, path) end
  self.progress:close()
  return printed(target.pour(spool, io.stdout))
end

--- Brings the rows of a result to where they are wanted.
---@param subject table whose thing has `download(path, options)` and `rows(options)`
---@param more table|nil options of both
---@return true|nil done, zuora.Error|table|nil err
function Command:deliver(subject, more)
  local args, item, options = self.args, subject.item, {}
  for name, value in pairs(more or {}) do options[name] = value end
  options.on_progress = function(bytes, total) item:receiving(bytes, total) end
  local path = args.output ~= "-" and args.output or nil
  local is_replaced = path and target.replaces(path)
  if is_replaced and not args.columns and (self:format() or "csv") == "csv" then
    options.raw = args.raw
    local written, err = subject.thing:download(path, options)
    if not written then return nil, err end
    item:written(written)
    return true
  end
  options.form, options.columns = "array", args.columns
  local rows, err = subject.thing:rows(options)
  if not rows then
    if args.columns and err.row == 0 then -- they are not there
      err.exit, args.columns = exits.usage, nil
    end
    return nil, err
  end
  local open <close> = rows
  if is_replaced then
    local done
    done, err = target.replace(path, open, self:format())
    if done then item:done(path) end
    return done, err
  end
  return write_through(self, item, open, path)
end

--- Waits until it has settled, unless there is no waiting, and brings its rows to where they are wanted.
---@param subject table
---@param more table|nil as of deliver
---@return true|nil done, zuora.Error|table|nil err
function Command:fetch(subject, more)
  if not self.args.no_wait then
    local settled, err = self:wait(subject)
    if not settled then return nil, err end
  end
  return self:deliver(subject, more)
end

-- --- the end -----------------------------------------------------------------------------------------

-- What an error says: one line.
local function line_of(err)
  if type(err) ~= "table" then return "zuora: " .. tostring(err) end
  local meta = getmetatable(err)
  if meta and meta.__tostring then return tostring(err) end
  return "zuora: " .. (err.kind and err.kind .. ": " or "") .. tostring(err.message)
end

-- The words of misuse, without the place in our own files.
local function misuse_of(message)
  local plain = message:gsub("^[^\n]-:%d+: ", "")
  local argument, problem = plain:match "^bad argument '(.-)' to zuora%.new %((.*)%)$"
  if argument then return ("setting '%s': %s"):format(argument, problem) end
  argument, problem = plain:match "^bad argument '(.-)' to client[.:].- %((.*)%)$"
  if argument then return ("%s: %s"):format(argument, problem) end
  return plain:match "^client[.:].*" and plain or nil
end

-- The line that goes on with what was left, unless Zuora itself has ended it.
local function tell_rest(self, code, is_unknown)
  local subject, begun = self.subject, self.begun
  local is_cut = code == exits.interrupted or code == exits.terminated
  if not subject and begun and (is_cut or is_unknown) then
    self.progress:line(("%s may have been started in Zuora all the same; see %s"):format(begun.name, begun.look), true)
  end
  if not subject or code == exits.ok or code == exits.failed then return end
  if not (begun or subject.seen or subject.settled or subject.again or is_cut) then return end
  local where = subject.again and "is not done" or subject.settled and "is done in Zuora" or "goes on in Zuora"
  self.progress:line(("%s %s; to go on with it: %s"):format(subject.name, where,
    resume_line(self, subject.words)), true)
end

local function cancel(self)
  local subject = self.subject
  if not (subject and self.args.cancel_on_interrupt) or subject.settled then return false end
  local done, err = subject.thing:cancel { total_timeout = 10 }
  self.progress:line(done and subject.name .. " is cancelled" or line_of(err), true)
  return done ~= nil
end

-- Ctrl-C and SIGTERM are told from each other by their name and number alone.
local function cut_by() return core.terminated() and "terminated" or "interrupted" end

local function interrupted(self)
  local name = cut_by()
  self.progress:line("zuora: " .. name, true)
  if not cancel(self) then tell_rest(self, exits[name]) end
  return exits[name]
end

local function failed(self, err)
  -- (In plain lines, the line that follows says it.)
  local item = self.subject and self.subject.item
  if item and self.progress.mode ~= "plain" then item:failed(err.kind or err.message) end
  self.progress:line(line_of(err), true)
  local code = exits.of(err)
  if err.kind == "auth" then self.progress:line("zuora doctor says more", true) end
  tell_rest(self, code, err.unknown_outcome)
  return code
end

local function broken(self, message, trace)
  if message:find "interrupted!$" then return interrupted(self) end
  local misuse = misuse_of(message)
  if misuse then return failed(self, { exit = exits.usage, message = misuse }) end
  local missing = message:match "module '[^']*' not found"
  if missing then return failed(self, { exit = exits.usage, message = missing .. "; zuora doctor says more" }) end
  if self.args.debug then io.stderr:write(trace, "\n") end
  return failed(self, { exit = exits.failure, message = "a mistake of this program: " .. message })
end

-- Where the result is to go is tried first: nothing is started in Zuora that then has no place.
local function act(self)
  local args = self.args
  local done, err = true, nil
  if args.output and args.output ~= "-" then done, err = target.try(args.output) end
  if done and args.directory then done, err = target.try_directory(args.directory) end
  if not done then return nil, err end
  return args.action(self, args)
end

local function carry_out(self)
  local trace
  local ok, done, err = xpcall(act, function(problem)
    if type(problem) == "string" then trace = debug.traceback(problem, 2) end
    return problem
  end, self)
  if not ok and type(done) == "string" then return broken(self, done, trace) end
  if not ok or done == nil then return failed(self, ok and err or done) end
  return done == true and exits.ok or done
end

-- Where a stream is closed from the beginning, a file or a connection would get its number, and what is meant for the
-- stream: something that takes nothing is put there.
local function take_numbers()
  local taken = {}
  for i, file in ipairs { io.stdin, io.stdout, io.stderr } do
    if not core.mode(file) then taken[i] = io.open("/dev/null", "rb") end
  end
  return taken
end

---@param args table
---@param environment fun(name: string): string|nil
---@return integer code
function command.run(args, environment)
  local self = setmetatable({ args = args, environment = environment, terminal = terminal.new(1, environment),
    progress = progress.new { mode = args.quiet and "quiet" or args.progress, stream = io.stderr,
      terminal = terminal.new(2, environment), now = core.now }, taken = take_numbers() }, Command)
  core.heed_sigterm()
  local ok, code = pcall(carry_out, self)
  if not ok then code = tostring(code):find "interrupted!$" and exits[cut_by()] or exits.failure end
  self.progress:close()
  if self.made then pcall(self.made.close, self.made) end
  return code
end

return command
