--- Lists that come page by page, as one iterator.

local error_value = require "zuora.error"

local pages = {}

--- Raises the error of a list that ends before it should.
---@param label string
---@param received integer
---@param count integer
function pages.fail_short(label, received, count)
  error(error_value.new { kind = "incomplete",
    message = ("%s ended after %d, and there should be %d"):format(label, received, count) }, 0)
end

--- How many there are in all, as Zuora says it.
---@param value any
---@return integer|nil
function pages.total(value) return math.tointeger(tonumber(value)) end

--- An iterator over the items of all pages. Nothing is given twice, though pages overlap when the list
--- changes meanwhile. It ends with an empty page, or with a short one when Zuora's total says that it is the
--- last: without a total a short page may be one that the server cut. Where it ends before the total is
--- reached, and where a full page comes twice, so that the rest cannot be had, an error is raised; a nil
--- would look like the end.
---@param label string "the search for reports", for messages
---@param size integer items of a full page
---@param fetch fun(received: integer, page: integer): table|nil, integer|zuora.Error|nil the next page: a list of
--- items with `id`, and where Zuora says so, how many there are in all; or nil and an error
---@return fun(): table|nil
function pages.each(label, size, fetch)
  local seen, page, at, number, received, over = {}, {}, 0, 0, 0, false

  local function fail(problem)
    over = true
    error(problem, 0)
  end

  local function turn()
    number = number + 1
    local items, total = fetch(received, number)
    if not items then fail(total) end
    page, at = {}, 0
    for _, item in ipairs(items) do
      if not seen[item.id] then
        seen[item.id] = true
        page[#page + 1] = item
      end
    end
    if #items >= size and #page == 0 then
      fail(error_value.new { kind = "incomplete", message = label .. " gave the same page twice" })
    end
    received = received + #items
    over = #page == 0 or #items < size and total ~= nil and received >= total
    if over and total and received < total then pages.fail_short(label, received, total) end
  end

  return function()
    while at >= #page and not over do turn() end
    at = at + 1
    return page[at]
  end
end

return pages
