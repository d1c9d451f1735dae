--- What Zuora's error codes mean: which kind of failure they name, what to do about it, and whether
--- another try may help. Codes are text, whatever came over the wire.

local codes = {}

--- AQuA's own five-digit codes. `retryable`: the same submit may be taken a little later.
---@type table<string, { meaning: string, advice: string, retryable: boolean|nil }>
codes.aqua = {
  ["90001"] = { meaning = "there is no such batch", advice = "check the batch id" },
  ["90002"] = { meaning = "there is no such job", advice = "check the job id, and that it is not older than 180 days" },
  ["90003"] = { meaning = "the job to be cancelled is not there, or has ended",
    advice = "get the job: it may have completed" },
  ["90004"] = { meaning = "more than 50 queries", advice = "split the job" },
  ["90005"] = { meaning = "a query cannot be read", advice = "mend the query that the message names" },
  ["90006"] = { meaning = "Zuora could not store the result", advice = "submit again later", retryable = true },
  ["90007"] = { meaning = "the job was aborted", advice = "see the messages of its batches" },
  ["90008"] = { meaning = "Zuora's database could not be reached", advice = "submit again later", retryable = true },
  ["90009"] = { meaning = "not authorized", advice = "check the user's permissions for the AQuA API" },
  ["90010"] = { meaning = "an error of Zuora's server", advice = "submit again later", retryable = true },
  ["90012"] = { meaning = "deleted records in a stateless job", advice = "set forceExport = true in `deleted`" },
  ["90014"] = { meaning = "notifyUrl has 5000 characters or more", advice = "shorten notifyUrl" },
  ["90015"] = { meaning = "incrementalTime cannot be read", advice = "write it as yyyy-MM-dd HH:mm:ss" },
  ["90016"] = { meaning = "no queries", advice = "give queries: only a stateful job can run its last ones again" },
  ["90017"] = { meaning = "deleted records of this object cannot be had", advice = "leave `deleted` out" },
  ["90018"] = { meaning = "no permission for an object; its queries were ignored",
    advice = "ask for the permission, or leave the object out" },
  ["90019"] = { meaning = "the partner is unknown", advice = "use the partner id that Zuora's support has given" },
  ["90020"] = { meaning = "distinct without count", advice = "write count(distinct …), or leave distinct out" },
  ["90021"] = { meaning = "a currency in convertToCurrencies is unknown", advice = "check convertToCurrencies" },
  ["90022"] = { meaning = "an internal error", advice = "submit again later", retryable = true },
  ["90027"] = { meaning = "a query took more than three hours", advice = "narrow the query, or split it by time" },
  ["90028"] = { meaning = "too many jobs at once: 50 stateful and 50 stateless ones run side by side",
    advice = "submit again when some have ended", retryable = true },
  ["90029"] = { meaning = "the job is stuck", advice = "cancel it and submit again" },
}

-- Data Query's.
local QUERY_ADVICE = {
  ["1001"] = "there is no such query job: check its id",
  ["1003"] = "only a query job that is accepted or in progress can be cancelled",
  ["1009"] = "the query job belongs to another user",
}

-- The last two digits of an eight-digit code. (60 comes with HTTP 500 when it is worth another try.)
local CATEGORIES = {
  ["10"] = { "permission" }, ["11"] = { "authentication" }, ["20"] = { "bad_value" }, ["21"] = { "unknown_field" },
  ["22"] = { "missing_field" }, ["23"] = { "missing_parameter" }, ["27"] = { "bad_query_parameter" },
  ["30"] = { "rule" }, ["40"] = { "not_found" }, ["45"] = { "unsupported_method" }, ["50"] = { "lock", true },
  ["60"] = { "internal" }, ["61"] = { "temporary", true }, ["70"] = { "over_limit", true },
  ["90"] = { "malformed" }, ["99"] = { "integration", true },
}

local OVER_LIMIT = { ["70"] = true, REQUEST_EXCEEDED_LIMIT = true }

-- Six digits of resource (500000 to 679999, or with a leading 9: authentication, and the unexpected) and
-- two of category.
local function category_of(code)
  if OVER_LIMIT[code] then return CATEGORIES["70"] end
  local resource, category = code:match "^(%d%d%d%d%d%d)(%d%d)$"
  if not resource then return nil end
  local number = tonumber(resource)
  if number >= 500000 and number <= 679999 or number >= 900000 then return CATEGORIES[category] end
  return nil
end

--- The kind of failure that a code names: "not_found", "lock" … Nil where Zuora's scheme does not apply,
--- as to AQuA's codes.
---@param code string
---@return string|nil
function codes.category(code)
  local category = category_of(code)
  return category and category[1]
end

--- What to do about it, in words; nil: nothing better than the message.
---@param code string
---@return string|nil
function codes.advice(code)
  if codes.aqua[code] then return codes.aqua[code].advice end
  if code == "90000020" then return "check the entity: this user or token has no access to it" end
  return QUERY_ADVICE[code]
end

---@param code string|nil
---@return boolean
function codes.is_retryable(code)
  if not code then return false end
  if codes.aqua[code] then return codes.aqua[code].retryable == true end
  local category = category_of(code)
  return category ~= nil and category[2] == true
end

return codes
