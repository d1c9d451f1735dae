--- Proves a folder without Zuora, years later: that every file is what its manifest says, that no manifest was changed
--- or taken away, that the windows meet, and that what is known to have been there is.

local claims = require "zuora.extract.claims"
local digest = require "zuora.extract.base.digest"
local disk = require "zuora.extract.base.disk"
local journal = require "zuora.extract.journal"
local json = require "zuora.extract.base.json"
local kept = require "zuora.extract.kept"
local manifest = require "zuora.extract.base.manifest"
local phrases = require "zuora.extract.base.phrases"
local plan = require "zuora.extract.plan"
local rows = require "zuora.rows"
local summary = require "zuora.extract.summary"

local raise = require "zuora.error".raise

local verify = {}

-- The number of rows of a file, or what is wrong with it.
local function count(path)
  local it <close>, problem = rows.of_file(path, { form = "lazy" })
  if not it then return nil, tostring(problem) end
  local number = 0
  local ok, wrong = pcall(function()
    for _ in it do number = number + 1 end
  end)
  if not ok then return nil, tostring(wrong) end
  return number
end

local function had(number, one, before)
  return ("has %s, and had %s"):format(phrases.count(number, one), tostring(before))
end

local function check_file(folder, fields)
  local path = folder .. "/" .. fields.file
  local size = disk.size(path)
  if not size then return "is gone" end
  if size ~= fields.bytes then return had(size, "byte", fields.bytes) end
  local sum, problem = digest.file(path)
  if not sum then return problem end
  if sum ~= fields.sha256 then return "was changed: its SHA-256 is another" end
  local number, wrong = count(path)
  if not number then return wrong end
  if number ~= fields.records then return had(number, "record", fields.records) end
  return nil
end

-- A file is called by what it has.
local function is_called(fields)
  local name = ("%s.%s.%s.g"):format(fields.kind, fields.from ~= "" and fields.from or "begin", fields.to)
  return fields.file:find(name, 1, true) ~= nil
end

-- Those of one item and entity, by their places: a window begins where another ended.
local function check_windows(chain, problem)
  table.sort(chain, function(a, b) return manifest.place(a.fields) < manifest.place(b.fields) end)
  local ends, is_pruned = {}, manifest.place(chain[1].fields) > 1
  for _, one in ipairs(chain) do
    local fields = one.fields
    -- (The first one may begin where a target's mark was, which the folder knows nothing of.)
    if fields.kind == "window" and not next(ends) then ends[fields.from] = true end
    if fields.kind == "window" and fields.piece == "" and not ends[fields.from] and not is_pruned then
      problem(one.path, "nothing was read up to where its window begins", one.path:match "^[^/]+")
    end
    local to = fields.parent ~= "" and fields.parent:match "^.-%.[^.]*%.([^.]*)%.g%d+$" or fields.to
    local looks_back = fields.kind:find "^backfill" or fields.kind == "reconcile" or fields.kind == "audit"
    if not looks_back then ends[to] = true end
  end
end

-- By their numbers: each names the one before it.
local function check_chain(chain, problem, name)
  table.sort(chain, function(a, b) return a.fields.number < b.fields.number end)
  local replaced = {}
  for _, one in ipairs(chain) do
    for _, number in ipairs(one.fields.replaces or {}) do replaced[number] = true end
  end
  for i, one in ipairs(chain) do
    local fields, before = one.fields, chain[i - 1]
    local follows = before and before.fields.number + 1
    while follows and follows < fields.number and replaced[follows] do follows = follows + 1 end
    if before and follows ~= fields.number then
      problem(one.path, "the file before it, number " .. fields.number - 1 .. ", is gone", name)
    elseif before and not replaced[fields.number - 1]
      and (not fields.previous or fields.previous.sha256 ~= before.sha256)
    then
      problem(before.path, "was changed after " .. one.path .. " was written", name)
    end
  end
end

local function check_folder(root, name, found, problem, sums)
  local folder, known, chains = root .. "/" .. name, {}, {}
  for _, file in ipairs(disk.names(folder)) do
    local path = name .. "/" .. file
    if file:find "%.manifest%.json$" then
      local fields, wrong, sum = manifest.read(folder .. "/" .. file)
      known[file] = true
      if not fields then
        problem(path, wrong, name)
      else
        known[fields.file] = true
        local place = name .. "/" .. fields.file
        wrong = check_file(folder, fields)
        local is_same = (sums[place] or fields.sha256) == fields.sha256
        wrong = wrong or not is_same and "has another SHA-256 in SHA256SUMS"
        if wrong then problem(place, wrong, name) end
        if not is_called(fields) then problem(path, "was changed: it does not say what its name says", name) end
        sums[place] = nil
        local key = fields.entity or ""
        chains[key] = chains[key] or {}
        table.insert(chains[key], { fields = fields, path = path, sha256 = sum })
        found.files, found.records = found.files + 1, found.records + (fields.records or 0)
        found.bytes = found.bytes + (fields.bytes or 0)
      end
    end
  end
  for _, file in ipairs(disk.names(folder)) do
    local path = name .. "/" .. file
    if not known[file] then problem(path, "no manifest knows it", sums[path] and name) end
    sums[path] = nil
  end
  for _, chain in pairs(chains) do
    check_chain(chain, problem, name)
    check_windows(chain, problem)
  end
end

-- What is gone with its manifest: the last run has left its line.
local function check_sums(sums, problem)
  local paths = {}
  for path in pairs(sums) do paths[#paths + 1] = path end
  table.sort(paths)
  for _, path in ipairs(paths) do problem(path, "is gone, with its manifest", path:match "^[^/]+") end
end

-- The store of a folder's plan, where it is a file, and is there.
local function store_of(root, plan_of)
  local path = root .. "/.zuora.db"
  if disk.size(path) then return path end
  local _, _, planned = plan_of()
  path = planned and planned.store
  return path and not claims.are_at(path) and disk.size(path) and path or nil
end

-- What the store beside it, or else the last run, knows of, and what is gone with its line of SHA256SUMS. (What was an
-- item of the plan once may be gone with that.) Gives whether there was a store to be asked.
local function check_known(root, wanted, plan_of, told, problem)
  local function look(path, item, who)
    if told[path] or wanted and not wanted[item] or disk.size(root .. "/" .. path) then return end
    local _, _, _, names = plan_of()
    if names and not names[item] then return end
    problem(path, ("is gone, and %s knows of it"):format(who), item)
  end
  local store, name = store_of(root, plan_of), manifest.belongs(root).plan
  local ok, book = false, nil
  if store then ok, book = pcall(journal.open, store) end
  local _ <close> = ok and book or nil -- (one that cannot be read proves nothing)
  if ok then
    name = name or book:belongs().plan or ""
    local since, is_own = kept.pruned_at(book, name), kept.is_own(store, root)
    for _, of in ipairs(kept.items(book, name)) do
      -- (What was not read since the folder was moved is in the one before.)
      local all = (is_own or disk.is_folder(root .. "/" .. of.item)) and book:all(of) or {}
      local must = kept.reads(all, since, is_own)
      for _, read in ipairs(all) do
        if must[read] then look(read.path, of.item, store) end
      end
    end
    return true
  end
  local last = plan_of()
  for _, result in ipairs(type(last.items) == "table" and last.items or {}) do
    local newest = type(result) == "table" and type(result.files) == "table" and result.files[#result.files]
    local item = type(newest) == "string" and newest:match "^([^/.][^/]*)/[^/]+$"
    if item and not disk.names(root .. "/" .. item)[1] then look(newest, item, "run.json") end
  end
  return false
end

-- The lines of SHA256SUMS that are about an item; false: there are none.
local function take(sums, item, into)
  local has_some = false
  for path, sum in pairs(sums) do
    if path:sub(1, #item + 1) == item .. "/" then into[path], has_some = sum, true end
  end
  return has_some
end

local function check_place(path)
  if disk.is_folder(path) then return end
  raise("plan", "%s: there is no such folder", path)
end

-- The command that brings items anew.
local function command_of(file, items)
  local more = {}
  for i = 2, #items do table.move({ "--item", items[i] }, 1, 2, #more + 1, more) end
  more[#more + 1] = "--again"
  return phrases.command({ file = file }, "run", items[1], table.unpack(more))
end

-- What the last run has left, the place of its plan, that, and the names of its items: read when they are asked for.
local function plan_in(root)
  local last, file, planned, names
  return function()
    if not last then
      last = json.decode(disk.read(root .. "/run.json") or "{}")
      last = type(last) == "table" and last or {}
      file = type(last.file) == "string" and disk.size(last.file) and last.file or nil
      planned = file and plan.read(file) or nil
      names = planned and {}
      for _, item in ipairs(planned and planned.items or {}) do names[item.name] = true end
    end
    return last, file, planned, names
  end
end

-- The command that brings anew what is damaged; an item that the plan has no more is to be one of it first.
local function cure_of(plan_of, damaged)
  if not damaged[1] then return nil end
  local _, file, _, names = plan_of()
  local items = {}
  for _, one in ipairs(damaged) do
    if not names or names[one.item] then
      items[#items + 1] = one.item
    else
      one.problem.problem = ("%s; %s has no item '%s' any more: with one of that name, `%s` brings it anew (what is "
        .. "not wanted any more is to go with its lines in SHA256SUMS)"):format(one.problem.problem, file, one.item,
        command_of(file, { one.item }))
    end
  end
  return items[1] and command_of(file, items) or nil
end

--- Proves what lies in a plan's folder.
---@param root string
---@param items string[]|nil
---@return { files: integer, records: integer, bytes: integer, problems: { path: string, problem: string }[],
--- cure: string|nil } found cure: a command
function verify.folder(root, items)
  check_place(root)
  local all = summary.sums(root)
  local sums, wanted = items and {} or all, items and {}
  for _, name in ipairs(items or {}) do wanted[name] = take(all, name, sums) and "known" or "unknown" end
  local plan_of = plan_in(root)
  local found = { files = 0, records = 0, bytes = 0, problems = {} }
  local damaged, told = {}, {}
  local function problem(path, words, item)
    local one = { path = path, problem = words }
    told[path] = true
    table.insert(found.problems, one)
    if item and not damaged[item] then
      damaged[#damaged + 1], damaged[item] = { item = item, problem = one }, true
    end
  end
  for _, name in ipairs(items or disk.names(root)) do
    if disk.is_folder(root .. "/" .. name) then check_folder(root, name, found, problem, sums) end
  end
  check_sums(sums, problem)
  local has_store = check_known(root, wanted, plan_of, told, problem)
  for name, how in pairs(wanted or {}) do
    if how == "unknown" and not damaged[name] then check_place(root .. "/" .. name) end
  end
  if found.files == 0 and not found.problems[1] and not has_store then
    raise("plan", "%s: there is nothing to verify here: no file of a plan, and nothing that tells of one", root)
  end
  found.cure = cure_of(plan_of, damaged)
  return found
end

return verify
