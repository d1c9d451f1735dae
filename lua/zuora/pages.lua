--- Lists that come page by page, as one iterator.

local pages = {}

--- An iterator over the items of all pages. Nothing is given twice, though pages overlap when the list
-- changes meanwhile; it ends with a page that brings nothing new, or that is short and leaves nothing
-- counted out. An error is raised, since a nil would look like the end.
---@param size integer items of a full page
---@param fetch fun(received: integer, page: integer): table|nil, zuora.Error|nil the next page: a list of items
--- with `id`, and `count`, where Zuora says how many there are in all
---@return fun(): table|nil
function pages.each(size, fetch)
  local seen, page, at, number, received, over = {}, {}, 0, 0, 0, false

  local function turn()
    number = number + 1
    local items, err = fetch(received, number)
    if not items then
      over = true
      error(err, 0)
    end
    page, at = {}, 0
    for _, item in ipairs(items) do
      if not seen[item.id] then
        seen[item.id] = true
        page[#page + 1] = item
      end
    end
    received = received + #items
    over = #page == 0 or #items < size and received >= (tonumber(items.count) or 0)
  end

  return function()
    while at >= #page and not over do turn() end
    at = at + 1
    return page[at]
  end
end

return pages
