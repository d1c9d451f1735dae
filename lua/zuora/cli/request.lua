--- zuora request: any call of Zuora's REST API.

local texts = require "zuora.cli.texts"

local request = {}

local function plain(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Parameters come with the path, as people copy it, and by -f; of one name there may be several.
local function add(query, name, value)
  local before = query[name]
  if before == nil then
    query[name] = value
  elseif type(before) == "table" then
    before[#before + 1] = value
  else
    query[name] = { before, value }
  end
end

local function query_of(text)
  local query = {}
  for pair in text:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    add(query, plain(name), plain(value))
  end
  return query
end

local WITHOUT_BODY = { GET = true, HEAD = true, DELETE = true }

local function call_of(args)
  local path, parameters = args.path:match "^([^?]*)%??(.*)$"
  local call = { method = args.method:upper(), path = path:sub(1, 1) == "/" and path or "/" .. path,
    query = query_of(parameters), safe = args.safe }
  local body = {}
  for _, word in ipairs(args.field) do
    local name, value = texts.pair(word, "-f")
    if WITHOUT_BODY[call.method] then add(call.query, name, texts.of(value)) else body[name] = texts.of(value) end
  end
  for _, word in ipairs(args.typed) do
    local name, value = texts.pair(word, "-F")
    body[name] = texts.json(value, "-F")
  end
  if args.input and next(body) ~= nil then texts.usage "--input is a whole body: no -f or -F goes into it" end
  if args.input then
    call.body, call.content_type = texts.file(args.input), args.content_type
  elseif next(body) ~= nil then
    call.body = body
  end
  call.accept = args.accept
  return call
end

local function send(command, args)
  local value, answer = command:client():request(call_of(args))
  if value == nil then return nil, answer end
  return command:print_bytes(answer.body)
end

function request.define(noun, parser)
  parser.verb(noun, nil, "any call of Zuora's REST API, with its token, retries and errors", "settings", send)
  parser.argument(noun, "METHOD", "method"):description "GET, POST, PUT, PATCH, DELETE or HEAD."
  parser.argument(noun, "PATH", "path"):description "Below the REST base: /v1/accounts/A-1; parameters may follow a ?."
  noun:option "-f --field":argname "KEY=VALUE":count "*"
    :description "A parameter of the path (GET, DELETE), or a member of the body, as text (@FILE: what is in it)."
  noun:option "-F --typed":argname "KEY=JSON":count "*":description "A member of the body, as JSON."
  noun:option "--input":argname "FILE":convert(parser.path):description "The body (-: standard input)."
  noun:option "--content-type":argname "TYPE":description "Of --input (application/json)."
  noun:option "--accept":argname "TYPE":description "The media type that is wanted (application/json)."
  noun:flag "--safe":description "It is a POST that only reads, and may be sent again."
end

return request
