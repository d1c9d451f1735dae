--- Texts that a command is given: by word, or as @FILE (@-: standard input).

local zuora = require "zuora"

local texts = {}

--- Raises what the user is told of a mistake in the command's words, or in the configuration.
---@param message string
---@param code integer|nil the exit code (2)
function texts.usage(message, code) error({ exit = code or 2, message = message }, 0) end

local usage = texts.usage

--- A word as a shell reads it back.
---@type fun(word: string): string
texts.quoted = require "zuora.extract.base.phrases".quoted

--- What is in a file; "-" is standard input.
---@param path string
---@return string
function texts.file(path)
  local file, problem = path == "-" and io.stdin, nil
  if not file then file, problem = io.open(path, "rb") end
  if not file then usage(problem) end
  local text
  text, problem = file:read "a"
  if file ~= io.stdin then file:close() end
  if not text then usage(("%s: %s"):format(path == "-" and "standard input" or path, problem)) end
  return text
end

--- A word, or the text that @FILE stands for.
---@param word string
---@return string
function texts.of(word)
  local path = word:match "^@(.+)$"
  return path and texts.file(path) or word
end

--- A JSON value.
---@param word string the text, or @FILE
---@param name string the option, for messages
---@return any
function texts.json(word, name)
  local value, problem = zuora.decode(texts.of(word))
  if value == nil then usage(("%s: that is no JSON: %s"):format(name, problem)) end
  return value
end

--- The filters of a report: groups, each by itself or in lists, as one list.
---@param words string[]
---@return table[]|nil
function texts.filters(words)
  if #words == 0 then return nil end
  local groups = {}
  for _, word in ipairs(words) do
    local value = texts.json(word, "--filter")
    if type(value) ~= "table" then usage "--filter: a group of filters, or a list of them, is needed" end
    for _, group in ipairs(next(value) ~= nil and #value == 0 and { value } or value) do groups[#groups + 1] = group end
  end
  return groups
end

--- "name=value": its two parts.
---@param word string
---@param name string the option, for messages
---@return string key, string value
function texts.pair(word, name)
  local key, value = word:match "^([^=]+)=(.*)$"
  if not key then usage(("%s: name=value expected, got '%s'"):format(name, word)) end
  return key, value
end

return texts
