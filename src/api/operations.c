/*
 * The operations of both APIs, one line for each. The words in a line are those of Operation:
 *
 *   group, name   the function: core.<group>.<name>
 *   method, base  "GET" …; which of the base URLs
 *   path          "/reportruns/{id}"; a parameter in braces, "{name:type}", is required
 *   query         "name:type" separated by blanks; with "!" it is required, with "*" a list, repeated
 *   body          "" none; "json": the parameter `body`, a JSON value or text; "form …" and "fields …": the
 *                 named parameters as an HTML form or as a JSON object
 *   repeat        SAFE or KEYED
 *   result        "json", "xml" or "file"
 *   hosts         where Zuora documents the operation: "both", "rest" or "legacy"
 *
 * Types: id (letters, digits, - and _), text (no control characters; the default), integer, boolean, table,
 * any, or a choice "A|B". A path segment is checked and escaped, whatever its type.
 */
#include "api.h"

/* clang-format off */
const Operation operations[] = {
  {"oauth", "token", "POST", "oauth", "", "", "form client_id! client_secret! grant_type!", SAFE, "json", "rest"},

  {"reports", "search", "GET", "reporting", "/reports/search", "query! orderBy searchStart:integer namespace", "", SAFE, "json", "both"},
  {"reports", "mine", "GET", "reporting", "/reports", "", "", SAFE, "json", "legacy"},
  {"reports", "get", "GET", "reporting", "/reports/report/{id:id}", "", "", SAFE, "json", "legacy"},
  {"reports", "details", "GET", "reporting", "/reports/{id:id}/report-details", "", "", SAFE, "json", "legacy"},
  {"reports", "labelled", "GET", "reporting", "/reports/reportlabels/{labelId:id}/report-details", "paging orderBy", "", SAFE, "json", "legacy"},
  {"reports", "labels", "GET", "reporting", "/reportlabels", "", "", SAFE, "json", "legacy"},
  {"reports", "labels_of", "GET", "reporting", "/reports/{id:id}/reportlabels", "", "", SAFE, "json", "legacy"},
  {"reports", "attach", "POST", "reporting", "/reports/{id:id}/reportlabels", "", "json", KEYED, "json", "legacy"},
  {"reports", "detach", "DELETE", "reporting", "/reports/{id:id}/reportlabels", "", "json", SAFE, "json", "legacy"},
  {"reports", "create", "POST", "reporting", "/reports", "", "json", KEYED, "json", "legacy"},
  {"reports", "save", "POST", "reporting", "/reports/{id:id}", "", "json", KEYED, "json", "legacy"},
  {"reports", "copy", "POST", "reporting", "/reports/copy", "from:id! labelIds name", "", KEYED, "json", "legacy"},
  {"reports", "delete", "DELETE", "reporting", "/reports/{id:id}", "", "", SAFE, "json", "legacy"},
  {"reports", "transfer", "POST", "reporting", "/reports/transfer-ownership", "", "fields reportIds:table reportNames:table newOwnerUserId!", KEYED, "json", "rest"},
  {"reports", "settings", "GET", "reporting", "/settings", "", "", SAFE, "json", "legacy"},
  {"reports", "set_settings", "POST", "reporting", "/settings", "", "json", KEYED, "json", "legacy"},

  {"reportruns", "start", "POST", "reporting", "/reports/{reportId:id}/reportrun", "viewType:Detail|Summary!", "json", KEYED, "json", "both"},
  {"reportruns", "get", "GET", "reporting", "/reportruns/{id:id}", "", "", SAFE, "json", "both"},
  {"reportruns", "cancel", "DELETE", "reporting", "/reportruns/{id:id}", "", "", SAFE, "json", "both"},
  {"reportruns", "list", "POST", "reporting", "/reportruns", "status!*", "json", SAFE, "json", "both"},
  {"reportruns", "last", "GET", "reporting", "/reports/{reportId:id}/reportruns/latest", "", "", SAFE, "json", "both"},
  {"reportruns", "data", "GET", "reporting", "/reportruns/reportdata/{id:id}", "offset:integer! pageSize:integer!", "", SAFE, "json", "both"},
  {"reportruns", "export", "GET", "reporting", "/reportruns/export/{id:id}", "pivoted:boolean!", "", SAFE, "file", "both"},

  {"jobs", "submit", "POST", "aqua", "", "",
   "fields queries:table format version:any name encrypted partner project useQueryLabels:boolean"
   " dateTimeUtc:boolean nullReplacement notifyUrl incrementalTime offset:integer"
   " useLastCompletedJobQueries:boolean sourceData warehouseSize", KEYED, "json", "both"},
  {"jobs", "get", "GET", "aqua", "/jobs/{id:id}", "", "", SAFE, "json", "both"},
  {"jobs", "last", "GET", "aqua", "/jobs/partner/{partner:text}/project/{project:text}", "", "", SAFE, "json", "both"},
  {"jobs", "cancel", "DELETE", "aqua", "/jobs/{id:id}", "", "", SAFE, "json", "both"},

  {"files", "get", "GET", "files", "/{id:id}", "", "", SAFE, "file", "both"},
  {"files", "status", "GET", "files", "/{id:id}/status", "", "", SAFE, "json", "rest"},

  {"queries", "submit", "POST", "queries", "", "",
   "fields query! outputFormat! compression! output:table! columnSeparator encryptionKey"
   " readDeleted:boolean useIndexJoin:boolean sourceData warehouseSize", KEYED, "json", "rest"},
  {"queries", "list", "GET", "queries", "", "queryStatus pageSize:integer", "", SAFE, "json", "rest"},
  {"queries", "get", "GET", "queries", "/{id:id}", "", "", SAFE, "json", "rest"},
  {"queries", "cancel", "DELETE", "queries", "/{id:id}", "", "", SAFE, "json", "rest"},

  {"describe", "objects", "GET", "describe", "", "", "", SAFE, "xml", "rest"},
  {"describe", "object", "GET", "describe", "/{name:id}", "", "", SAFE, "xml", "rest"},
};
/* clang-format on */

const size_t operations_count = sizeof operations / sizeof *operations;
