--- zuora files: result files of AQuA jobs.

local exits = require "zuora.cli.exits"
local texts = require "zuora.cli.texts"

local files = {}

local FILE = { "file", "path", "records", "bytes" }

local verbs = {}

-- The bytes stay the server's, but what is broken is not taken for a result without being told to.
local function fetch(command, args, file_id, path, options)
  options.verify = not args.no_verify
  local written, err = command:client().files:download(file_id, path, options)
  if err and err.kind == "text" then err.message = err.message .. " (--no-verify keeps it)" end
  return written, err
end

-- One file, to a path, or its rows to standard output.
local function download_one(command, args)
  local file_id = args.file_id[1]
  return command:deliver(command:shows("file " .. file_id, {
    rows = function(_, options)
      options.strict = not args.no_verify
      return command:client().files:rows(file_id, options)
    end,
    download = function(_, path, options) return fetch(command, args, file_id, path, options) end,
  }))
end

-- Several side by side, under the names that Zuora gives them.
local function download_all(command, args)
  local client, ids, seen = command:client(), {}, {}
  for _, file_id in ipairs(args.file_id) do
    if not seen[file_id] then ids[#ids + 1] = file_id end
    seen[file_id] = true
  end
  local results, errors = client:map(ids, function(file_id)
    local item = command.progress:item("file " .. file_id)
    local written, err = fetch(command, args, file_id, { directory = args.directory },
      { on_progress = function(bytes, total) item:receiving(bytes, total) end })
    if not written then
      item:lost(err.message)
      return nil, err
    end
    item:written(written)
    written.file = file_id
    return written
  end, { on_error = "collect" })
  local written, failed = {}, {}
  for i = 1, results.n do
    if results[i] then written[#written + 1] = results[i] else failed[#failed + 1] = errors[i] end
  end
  if #written > 0 then
    local done, err = command:print_records(written, FILE)
    if not done then return nil, err end
  end
  if #failed == 0 then return true end
  if results.n == 1 then return nil, failed[1] end
  return nil, { exit = exits.of_several(failed, #written > 0),
    message = ("%d of %d files could not be had"):format(#failed, results.n) }
end

function verbs.download(command, args)
  if not args.directory then
    if #args.file_id > 1 then texts.usage "several files need a directory (-d)" end
    return download_one(command, args)
  end
  if args.output or args.columns then texts.usage "-o and --columns are for the rows of one file, without -d" end
  return download_all(command, args)
end

function verbs.status(command, args)
  return command:print_record(command:client().files:status(args.file_id))
end

function files.define(noun, parser)
  local function verb(name, summary, shared) return parser.verb(noun, name, summary, shared, verbs[name]) end
  local download = verb("download", "fetch result files, or the rows of one", "rows settings")
  parser.argument(download, "FILE-ID", "file_id", "+")
  download:option "-d --directory":argname "DIR":convert(parser.path)
    :description "Write them into DIR, under the names that Zuora gives them."
  download:flag "--no-verify":description "Keep what is not as rows should be, too."
  parser.argument(verb("status", "can the file be had?", "format settings"), "FILE-ID", "file_id")
end

return files
