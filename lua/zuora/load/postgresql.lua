--- Loads files into PostgreSQL, by psql: one script, and in it one transaction.

local counts = require "zuora.load.counts"
local dialects = require "zuora.load.dialects"
local disk = require "zuora.extract.base.disk"
local error_value = require "zuora.error"
local mark_table = require "zuora.extract.base.mark_table"
local merge = require "zuora.load.merge"
local psql = require "zuora.extract.base.psql"
local rows = require "zuora.rows"
local server = require "zuora.extract.base.server"
local tables = require "zuora.load.tables"

local postgresql = {}

local Target = tables.class()

local STAGE = "zuora_stage"

local quoted, literal = dialects.quoted, dialects.literal

-- --- marks --------------------------------------------------------------------------------------------

-- A statement with literals in the place of its question marks.
local function filled(sql, ...)
  local values, i = table.pack(...), 0
  return (sql:gsub("%?", function()
    i = i + 1
    return (literal(tostring(values[i])))
  end))
end

-- A block of statements, whatever is in it.
local function block(body)
  local tag = "$zuora$"
  while body:find(tag, 1, true) do tag = "$z" .. tag:sub(2) end
  return ("DO %s %s %s;"):format(tag, body, tag)
end

-- Writes statements down, in the place of running them; what each must change is checked where it runs.
local function recorder(self)
  return { prefix = self.store.prefix, lines = {}, run = function(book, sql, ...)
    table.insert(book.lines, block(("DECLARE n bigint; BEGIN %s; GET DIAGNOSTICS n = ROW_COUNT; IF n <> 1 THEN "
      .. "RAISE EXCEPTION 'zuora: mark'; END IF; END"):format(filled(sql, ...))))
    return 1
  end }
end

-- --- staging ------------------------------------------------------------------------------------------

local raise = error_value.raise

-- Writes the rows of files as PostgreSQL's COPY reads them, and gives their header.
local function write_stage(paths, path, pulse)
  os.remove(path) -- whoever still reads one that was left here reads on in it
  local out, problem = io.open(path, "wb")
  if not out then raise("file", "%s", problem) end
  local open <close>, header = out, nil
  open:setvbuf "no"
  for _, of in ipairs(paths) do
    local it <close>, err = rows.open(of, { form = "copy" }, of)
    if not it then error(err, 0) end
    header = tables.same_header(of, it.columns, header)
    for piece in it do
      local done, wrong = open:write(piece)
      if not done then raise("file", "%s", path .. ": " .. wrong) end
      if pulse then pulse() end
    end
  end
  return header
end

-- --- loading ------------------------------------------------------------------------------------------

--- See zuora.load.sqlite.
function Target:columns(name)
  return tables.names(self.store:rows([[SELECT column_name AS name FROM information_schema.columns
    WHERE table_name = ? AND table_schema = ?]], name, self.schema))
end

--- See zuora.load.sqlite.
function Target:tables()
  return tables.set_of(self.store:rows([[SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = ?]], self.schema))
end

local function table_lines(self, load, there)
  local statements, names = tables.statements(load, there, self.spec.columns)
  if not there and load.key then statements[#statements + 1] = tables.index(load) end
  for i, statement in ipairs(statements) do statements[i] = statement .. ";" end
  return statements, names
end

local function loads_line(self, read)
  return filled(tables.NOTE:format(self.store.prefix), tables.note_of(read)) .. ";"
end

-- A connection of our own: it waits for locks no longer than psql does.
local function connected(uri, schema)
  return server.connect(uri, schema, { "SET client_min_messages = warning",
    ("SET lock_timeout = %d"):format(tables.LOCK_SECONDS * 1000 // 1) })
end

-- Whatever became of a COMMIT: what is loaded is written down in the target. The connection may be gone with it.
local function was_loaded(self, read)
  local ok, there = pcall(function()
    self.store:reconnect()
    return #tables.lacking(self.store, { read }) == 0
  end)
  return ok and there
end

local function step_line(load, step)
  if not step.check then return step.sql .. ";" end
  local culprit = step.problem ~= "twice" and "''"
    or ("(SELECT %s FROM %s GROUP BY 1 HAVING count(*) > 1 LIMIT 1)"):format(quoted(load.key.staged), load.stage)
  return block(("BEGIN IF (%s) <> %s THEN RAISE EXCEPTION 'zuora: %s %%', %s; END IF; END"):format(step.sql, step.check,
    step.problem, culprit))
end

-- What a check of ours has found, in words of ours.
local function explain(load, err)
  local problem = err.message:match "zuora: (%l+)"
  if problem == "count" then
    err.kind, err.message = "incomplete", load.item .. ": not all rows of the file were staged"
  elseif problem == "twice" then
    err.kind, err.message = "incomplete", ("%s: the %s '%s' is there twice in one file"):format(load.item,
      load.key.name, err.message:match "zuora: twice (.*)$")
  elseif problem == "missing" then
    err.kind, err.message = "incomplete", tables.SWALLOWED:format(load.item)
  elseif problem == "keyless" then
    err.kind, err.message = "incomplete", ("%s: a row of the file has no %s"):format(load.item, load.key.name)
  elseif problem == "mark" then
    err.kind, err.message = "busy", ("the mark of %s was set by another run"):format(load.item)
  end
  return err
end

local function first_lines()
  return { "BEGIN;", ("SET LOCAL lock_timeout = %d;"):format(tables.LOCK_SECONDS * 1000 // 1),
    "SET LOCAL TimeZone = 'UTC';", "SET LOCAL DateStyle = 'ISO, YMD';", "SET LOCAL standard_conforming_strings = on;",
    "\\encoding UTF8" }
end

local function stage_lines(stage_path, header)
  local columns = {}
  for i, name in ipairs(header) do columns[i] = quoted(name) .. " text" end
  return ("CREATE TEMP TABLE %s (%s) ON COMMIT DROP;"):format(STAGE, table.concat(columns, ", ")),
    ("\\copy %s from %s"):format(STAGE, literal(stage_path))
end

-- Through a stage, into a table that may be there.
local function staged_lines(self, load, add, there, stage_path, header)
  local create, copy = stage_lines(stage_path, header)
  add(create)
  add(copy)
  -- Two entities may come with the same table at once.
  add(("SELECT pg_advisory_xact_lock(hashtext(%s));"):format(literal("zuora " .. load.table)))
  local made, added = table_lines(self, load, there)
  for _, line in ipairs(made) do add(line) end
  for _, step in ipairs(merge.statements(load)) do add(step_line(load, step)) end
  return added
end

-- Into a table that is made for them rows go without a stage, before there is an index, and are checked in there.
local function direct_lines(load, add, stage_path, header)
  local places, read, deleted = {}, quoted(merge.OWN.read), quoted(merge.OWN.deleted)
  for _, column in ipairs(load.columns) do places[column.staged] = quoted(column.name) end
  local names = {}
  for i, name in ipairs(header) do names[i] = places[name] or deleted end
  add((tables.create(load):gsub("IF NOT EXISTS ", "", 1)) .. ";")
  add(("ALTER TABLE %s ALTER %s SET DEFAULT false, ALTER %s SET DEFAULT %s;"):format(load.table, deleted, read,
    literal(load.read)))
  add(("\\copy %s (%s) from %s with (null '')"):format(load.table, table.concat(names, ", "), literal(stage_path)))
  add(("ALTER TABLE %s ALTER %s DROP DEFAULT, ALTER %s DROP DEFAULT;"):format(load.table, deleted, read))
  if load.deleted then add(("UPDATE %s SET %s = false WHERE %s IS NULL;"):format(load.table, deleted, deleted)) end
  if load.key then add(tables.index(load) .. ";") end
  for _, statement in ipairs(tables.note_columns(load, true)) do add(statement .. ";") end
  for _, step in ipairs(merge.checks(load)) do add(step_line(load, step)) end
end

local function script_of(self, load, there, list, stage_path, header, advance)
  local lines = first_lines()
  local function add(line) lines[#lines + 1] = line end
  for _, read in ipairs(list) do add(loads_line(self, read)) end
  local added
  if there or load.entity ~= "" or load.deletes == "remove" and load.deleted then
    added = staged_lines(self, load, add, there, stage_path, header)
  else
    direct_lines(load, add, stage_path, header)
  end
  if advance then
    local book = recorder(self)
    advance { mark = function(_, of) return self:mark(of) end,
      set_mark = function(_, of, before, after) mark_table.set(book, of, before, after) end }
    for _, line in ipairs(book.lines) do add(line) end
  end
  add "COMMIT;"
  return table.concat(lines, "\n") .. "\n", added or {}
end

--- Brings the files of reads into their table; see zuora.load.sqlite.
function Target:load(item, list, output, deleted, advance, bucket)
  local stage_path = ("%s/.stage.%s%s%s"):format(output, item.name, list[1].entity, self.suffix or "")
  local lacking = tables.lacking(self.store, list)
  if #lacking == 0 then
    os.remove(stage_path) -- of a run that ended behind its COMMIT
    return {}
  end
  local there = self:columns(item.name)
  local _ <close> = disk.passing(stage_path)
  local header = write_stage(tables.paths(list, output), stage_path, self.pulse)
  local left_out = tables.check_there(self.store, item, header, there, list[1])
  local load = tables.of_files(self, item, list, header, deleted, bucket, left_out)
  local script, added = script_of(self, load, there, lacking, stage_path, header, advance)
  local done, err = pcall(self.psql.script, self.psql, script)
  if not done and not was_loaded(self, lacking[1]) then error(error_value.is(err) and explain(load, err) or err, 0) end
  return added
end

--- See zuora.load.sqlite.
function Target:counts(subject, path)
  local stage_path = path .. ".stage"
  local _ <close> = disk.passing(stage_path)
  local header = write_stage({ path }, stage_path, self.pulse)
  local lines = first_lines()
  lines[#lines + 1], lines[#lines + 2] = stage_lines(stage_path, header)
  lines[#lines + 1] = counts.query(self, subject, STAGE, header) .. ";"
  lines[#lines + 1] = "ROLLBACK;\n"
  local list = {}
  for line in self.psql:script(table.concat(lines, "\n")):gmatch "[^\n]+" do
    local bucket, cells = line:match "^([^|]*)|(.*)$"
    list[#list + 1] = { bucket = bucket, cells = cells }
  end
  return counts.read(self, subject, list)
end

--- Raises when a target is another's, and makes nothing.
function postgresql.check_owner(uri, spec, plan, tenant)
  local schema = spec.schema or "public"
  local held <close> = connected(uri, schema)
  tables.check_owner(held, ("(SELECT tablename AS name FROM pg_tables WHERE schemaname = %s)"):format(literal(schema)),
    plan, tenant)
end

--- Opens a target.
---@param uri string
---@param spec table of the plan
---@param sleep fun(seconds: number)
---@param looks boolean|"unless there"|nil see zuora.load
function postgresql.open(uri, spec, sleep, looks)
  local schema = spec.schema or "public"
  local self = setmetatable({ store = connected(uri, schema), psql = psql.open(uri, sleep), spec = spec,
    schema = schema, dialect = dialects.postgresql, stage = STAGE }, Target)
  local function make()
    self.store:run(("CREATE SCHEMA IF NOT EXISTS %s"):format(quoted(schema)))
    tables.make_own(self.store)
  end
  if looks == "unless there" then looks = not self:tables().zuora_target end
  if looks then
    self.store:run "BEGIN" -- and no COMMIT
    make()
  else
    self.store:make(make)
  end
  return self
end

return postgresql
