--- What messages have in common: the commands that they name, whole, so that they can be pasted; and numbers of things.

local phrases = {}

--- A word as a shell reads it back.
---@param word string
---@return string
function phrases.quoted(word)
  if word:find "^[%w_./:=@,+-]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- A command about an item of a plan.
---@param of { file: string|nil } file: where the plan is, if it is in a file
---@param verb string
---@param item string its name
---@param ... string further words
---@return string "zuora extract reset nightly.json --item posted"
function phrases.command(of, verb, item, ...)
  local words = { "zuora", "extract", verb, of.file or "PLAN", "--item", item, ... }
  for i, word in ipairs(words) do words[i] = phrases.quoted(word) end
  return table.concat(words, " ")
end

--- The command that reads these columns of all rows that there are.
---@param item table
---@param fields string[]
---@return string
function phrases.backfill(item, fields)
  local words = {}
  for _, field in ipairs(fields) do table.move({ "--backfill", field }, 1, 2, #words + 1, words) end
  return phrases.command(item.of, "run", item.name, table.unpack(words))
end

--- How many there are of something.
---@param number integer|string
---@param one string its name
---@return string "1 read", "3 reads"
function phrases.count(number, one) return ("%s %s%s"):format(number, one, tostring(number) == "1" and "" or "s") end

return phrases
