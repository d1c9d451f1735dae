--- zuora describe: which objects and fields there are.

local describe = {}

local OBJECT, FIELD = { "name", "label" }, { "name", "label", "type", "required", "custom", "selectable", "filterable" }

local function describe_objects(command, args)
  local found, err
  if not args.object then
    found, err = command:client().describe:objects()
    if not found then return nil, err end
    return command:print_records(found, OBJECT)
  end
  found, err = command:client().describe:object(args.object)
  if not found then return nil, err end
  if args.exportable then
    local names = {}
    for i, name in ipairs(found:exportable()) do names[i] = { name = name } end
    return command:print_records(names)
  end
  if command:format() == "json" then return command:print_record(found) end
  return command:print_records(found.fields, FIELD)
end

function describe.define(noun, parser)
  parser.verb(noun, nil, "objects, or the fields of one", "format settings", describe_objects)
  parser.argument(noun, "OBJECT", "object", "?")
  noun:flag "--exportable":description "Only the names of the fields that an export can select."
end

return describe
