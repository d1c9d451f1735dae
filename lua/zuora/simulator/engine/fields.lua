--- The fields of a tenant's objects: their types, and the objects that they are joined with.

local fields = {}

local ENDINGS = { Date = "date", Balance = "decimal", Amount = "decimal", Quantity = "decimal", Price = "decimal" }
local DATETIMES = { createddate = true, updateddate = true, createdon = true, updatedon = true }

--- A field's type, in Zuora's words, by its name.
---@param column string
---@return string
function fields.type_of(column)
  local name = column:match "[^.]*$"
  if name == "Status" then return "picklist" end
  if DATETIMES[name:lower()] then return "datetime" end
  return ENDINGS[name:match "%u%l+$"] or "text"
end

--- AccountNumber -> Account Number
function fields.label_of(name)
  return (name:gsub("__c$", ""):gsub("(%l)(%u)", "%1 %2"))
end

--- The object of that name, whatever its case.
---@return string name, table|nil object
function fields.object(tenant, wanted)
  for name, object in pairs(tenant.objects) do
    if name:lower() == wanted:lower() then return name, object end
  end
  return wanted, nil
end

--- What an object is joined with: an account has its contact; a column such as AccountId leads to another object.
---@param tenant table
---@param name string the object's
---@param object table
---@return { name: string, label: string, target: string, key: integer|nil }[] relations key: the column whose cell
--- is the other's Id
function fields.relations(tenant, name, object)
  local found = {}
  if name == "Account" then
    found[1] = { name = "BillToContact", label = "Bill To", target = "Contact", key = object:place "BillToId" }
  end
  for place, column in ipairs(object.columns) do
    local other = column:match "^(.+)Id$"
    if other and tenant.objects[other] then
      found[#found + 1] = { name = other, label = fields.label_of(other), target = other, key = place }
    end
  end
  return found
end

return fields
