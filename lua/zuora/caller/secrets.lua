--- What came from outside, as people see it: should a server have sent a secret back, it goes no further.

local error_value = require "zuora.error"
local mask = require "zuora.caller.mask"

-- Methods of the caller; see caller/init.lua.
local Secrets = {}

-- What an error has from outside. (Its kind and the like are our own words, whatever a password is.)
local FROM_OUTSIDE = { "message", "body", "code", "process_id", "request_id", "track_id" }

--- The text without the client's secrets, and without links that bear their own signature.
---@param text string|nil
---@return string|nil
function Secrets:masked(text)
  return text and mask.links(mask.text(self.credentials:mask(text), self.proxy_secrets))
end

--- Takes them out of an error.
---@param err zuora.Error
function Secrets:mask(err)
  for _, name in ipairs(FROM_OUTSIDE) do err[name] = self:masked(err[name]) end
  for _, reason in ipairs(err.reasons or {}) do
    for _, name in ipairs(FROM_OUTSIDE) do reason[name] = self:masked(reason[name]) end
  end
end

--- What a call or a wait returns, with no secret in its error: for errors that did not go through Caller:perform.
---@return any ...
function Secrets:shown(value, err, ...)
  if value == nil and error_value.is(err) then self:mask(err) end
  return value, err, ...
end

-- So many words of servers are remembered to hold no secret.
local WORDS = 100

--- A word of a server's that is shown to people, such as a status, without the secrets.
---@param word any
---@return any
function Secrets:word(word)
  local words = self.words
  if words[word] or type(word) ~= "string" then return word end
  local masked = self:masked(word)
  if masked == word and #word <= 32 and words.count < WORDS then
    words[word], words.count = true, words.count + 1
  end
  return masked
end

return Secrets
