--- What is percent-encoded: paths, queries, forms.

local form = {}

--- "%41+b" -> "A b" in a query or form, "A+b" in a path.
---@param text string
---@param plus boolean|nil whether a plus is a blank
---@return string
function form.unescape(text, plus)
  if plus then text = text:gsub("+", " ") end
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- "a=1&a=2&b=3" -> { a = "1", b = "3" }, { a = { "1", "2" }, b = { "3" } }
function form.parse(text)
  local first, all = {}, {}
  for pair in text:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name, value = form.unescape(name, true), form.unescape(value, true)
    if first[name] == nil then first[name], all[name] = value, {} end
    table.insert(all[name], value)
  end
  return first, all
end

return form
