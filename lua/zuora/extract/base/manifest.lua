--- Manifests: what lies beside each file, and proves it. Each names the one before it by its hash, so that none can be
--- changed, or taken away, without being missed.

local digest = require "zuora.extract.base.digest"
local disk = require "zuora.extract.base.disk"
local json = require "zuora.extract.base.json"
local version = require "zuora.version"

local manifest = {}

local FORMAT = 1

local raise = require "zuora.error".raise

-- What a folder is of.
local FOLDER = ".zuora.json"

--- Raises where a folder is no plan's, and has files that would be written over.
---@param output string the plan's folder
function manifest.check_free(output)
  if disk.is_there(output .. "/" .. FOLDER) then return end
  for _, name in ipairs { "SHA256SUMS", "run.json" } do
    if disk.is_there(output .. "/" .. name) then
      raise("plan", "the folder %s has a file %s, which would be written over, and is no plan's (it has no %s): name "
        .. "another 'output', or take SHA256SUMS and run.json away", output, name, FOLDER)
    end
  end
end

--- Says whose folder it is from now on, or raises when it is another's.
---@param output string the plan's folder
---@param plan string
---@param tenant string
---@param may_write boolean false: it is only looked at
---@param beside string|nil see disk.write
function manifest.belong_to(output, plan, tenant, may_write, beside)
  local path = output .. "/" .. FOLDER
  local text = disk.read(path)
  if not text then
    return may_write and disk.write(path, json.encode { format = FORMAT, plan = plan, tenant = tenant } .. "\n", beside)
  end
  local known = json.decode(text)
  if type(known) ~= "table" or known.format ~= FORMAT then
    raise("plan", "%s: the folder is of another version of this module", path)
  end
  for name, value in pairs { plan = plan, tenant = tenant } do
    if known[name] ~= value then
      raise("plan", "the folder %s belongs to the %s '%s', not '%s': name another 'output'; or, if "
        .. "nothing in it is needed, remove it", output, name, tostring(known[name]), value)
    end
  end
end

--- Whose folder it is, as far as that is known.
---@return { plan: string|nil, tenant: string|nil }
function manifest.belongs(output)
  local known = json.decode(disk.read(output .. "/" .. FOLDER) or "{}")
  return type(known) == "table" and known or {}
end

--- Where the manifest of a read's file lies.
---@param path string the file's, below the output
---@return string
function manifest.path(path) return (path:gsub("%.csv$", ".manifest.json")) end

--- The hash of one.
---@return string|nil
function manifest.sum(output, path)
  local text = disk.read(output .. "/" .. path)
  return text and digest.text(text)
end

-- The manifest that came before, by the journal.
local function previous_of(journal, output, read)
  local number = tonumber(read.chain)
  local before = number > 1 and journal:in_chain(read, number - 1)
  local path = before and manifest.path(before.path) ---@type string|nil
  local sum = path and (before.manifest or manifest.sum(output, path))
  return sum and { file = path:match "[^/]*$", sha256 = sum } or nil
end

-- What the journal knows of a read, by the manifest's words.
local function fields_of(read)
  return { format = FORMAT, plan = read.plan, item = read.item, entity = read.entity, kind = read.kind,
    from = read.read_from, to = read.read_to, generation = read.generation, piece = read.piece, parent = read.parent,
    attempt = read.attempt, idempotency_key = read.idempotency_key, job = read.job_id,
    records = tonumber(read.records), record_count = tonumber(read.record_count), bytes = tonumber(read.bytes),
    sha256 = read.sha256, file = read.path:match "[^/]*$", number = tonumber(read.chain) }
end

--- Does it say of a read what the journal says?
---@param fields table
---@param read table
---@param replaces integer[]|nil
---@return boolean
function manifest.is_of(fields, read, replaces)
  for name, value in pairs(fields_of(read)) do
    if fields[name] ~= value then return false end
  end
  return json.encode(fields.replaces or {}) == json.encode(replaces or {})
end

--- Writes the manifest of a read whose file is there. The same read gets the same manifest again.
---@param journal table
---@param output string the plan's folder
---@param read table
---@param more table what else is known: tenant, key, cursor, columns, types, refused, lost, files, totals, request_ids
---@return string path
function manifest.write(journal, output, read, more)
  local fields = fields_of(read)
  fields.query, fields.module, fields.previous = read.query, version, previous_of(journal, output, read)
  for name, value in pairs(more) do fields[name] = value end
  local path = manifest.path(read.path)
  -- Of several workers one may come late: the first was right.
  local claims = journal.claims
  disk.write(output .. "/" .. path, json.encode(fields) .. "\n", claims and claims:scratch(output), claims ~= nil)
  return path
end

--- Reads one, or says what is wrong with it.
---@return table|nil fields
---@return string|nil problem
---@return string|nil sha256 its own
function manifest.read(path)
  local text = disk.read(path)
  if not text then return nil, "is not there" end
  local fields = json.decode(text)
  local sound = type(fields) == "table" and math.type(fields.number) == "integer"
  for _, name in ipairs { "sha256", "file", "kind", "from", "to", "piece", "parent" } do
    sound = sound and type(fields[name]) == "string"
  end
  sound = sound and (fields.previous == nil or type(fields.previous) == "table")
  if not sound then return nil, "is no manifest" end
  if fields.format ~= FORMAT then return nil, "is of another version of this module" end
  return fields, nil, digest.text(text)
end

--- Where a file is in its chain, as to what it has: one that was brought anew later is in the place of the one before.
---@return integer
function manifest.place(fields)
  local place = fields.number
  for _, number in ipairs(type(fields.replaces) == "table" and fields.replaces or {}) do
    if math.type(number) and number < place then place = number end
  end
  return place
end

--- The manifests of an item's folder, by their places; what cannot be read is left out.
---@param folder string
---@param entity string
---@return table[] of their fields
function manifest.all(folder, entity)
  local list = {}
  for _, name in ipairs(disk.names(folder)) do
    local fields = name:find "%.manifest%.json$" and manifest.read(folder .. "/" .. name)
    if fields and fields.entity == entity then list[#list + 1] = fields end
  end
  table.sort(list, function(a, b) return manifest.place(a) < manifest.place(b) end)
  return list
end

--- Takes away what there is of a file that is not proven, and not to be taken for a whole one.
---@param path string
function manifest.discard(path)
  local proof = manifest.path(path)
  for _, name in ipairs { path, path .. ".part", path .. ".part.state", proof, proof .. ".new" } do os.remove(name) end
end

return manifest
