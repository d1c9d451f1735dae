---@meta
--- Types for the Lua language server: the tables of options that methods take. Comments only; never loaded.

--- What every call takes.
---@class zuora.CallOptions
---@field track_id? string 1 to 64 printable ASCII characters: Zuora-Track-Id
---@field entity_id? string a UUID: for this call, in place of the client's
---@field timeout? number seconds of one attempt, from its going out to its answer
---@field total_timeout? number seconds over all attempts
---@field retries? integer attempts after the first

--- What a call takes that creates something.
---@class zuora.CreateOptions: zuora.CallOptions
---@field idempotency_key? string 1 to 255 printable ASCII characters: under it the same call is done once in 24 hours

--- How patient a wait is.
---@class zuora.WaitOptions: zuora.CallOptions
---@field timeout? number seconds of the whole wait (900)
---@field request_timeout? number seconds of one poll
---@field min? number seconds between the first polls (1)
---@field max? number seconds between polls in the end (20)
---@field factor? number what the pause grows by (1.5)
---@field jitter? boolean draw the pause from its upper part (true)
---@field on_poll? fun(record: zuora.ReportRun|zuora.Job|zuora.QueryJob, attempt: integer, elapsed: number):boolean|nil told of each poll; false ends the wait

---@class zuora.FileOptions: zuora.CallOptions
---@field on_progress? fun(bytes: integer, total: integer|nil, batch: string|nil) bytes on the disk, and of how many; of a job: the batch's name

---@class zuora.FileDownloadOptions: zuora.FileOptions
---@field resume? boolean go on where an earlier call or process ended, and leave `path.part` to a later one (false)
---@field strict? boolean false: ragged rows, odd quotes and bad UTF-8 are no failure of what is counted or written anew (true)
---@field verify? boolean true: refused unless its records can be counted, or it is a zip archive (false)

---@class zuora.BatchDownloadOptions: zuora.FileDownloadOptions
---@field verify? boolean false: neither is the number of records held against what Zuora says, nor is a header wanted (true)

---@class zuora.ReportRunDownloadOptions: zuora.FileOptions
---@field pivoted? boolean as a summary shows it (false)
---@field raw? boolean the server's bytes (false)
---@field strict? boolean as of a file (true)
---@field verify? boolean hold the number of records against report data's total, one call more (false)

---@class zuora.QueryDownloadOptions: zuora.BatchDownloadOptions
---@field outputFormat? "CSV"|"TSV"|"DSV"|"JSON" where the job does not say it

--- How rows are read.
---@class zuora.RowOptions
---@field form? "keyed"|"array"|"lazy" "lazy": one object for every row, good until the next ("keyed")
---@field columns? string[] only these, in this order
---@field types? table<string, "string"|"integer"|"number"|"boolean"|"time"> all others are strings
---@field null? string a text that is taken for empty
---@field strict? boolean false: fill up short rows, cut off long ones, keep odd cells, replace bad UTF-8 (true)

---@class zuora.FileRowOptions: zuora.FileOptions, zuora.RowOptions

---@class zuora.BatchRowOptions: zuora.FileRowOptions
---@field verify? boolean as of a download

---@class zuora.ReportRunRowOptions: zuora.BatchRowOptions
---@field pivoted? boolean as of a download

---@class zuora.QueryRowOptions: zuora.BatchRowOptions
---@field outputFormat? "CSV"|"TSV"|"DSV"|"JSON" as of a download

---@class zuora.ReportRunStartOptions: zuora.CreateOptions
---@field view "Detail"|"Summary"
---@field filters? table Zuora's list of filters (in place of all of the report's)

---@class zuora.ReportRunEachOptions: zuora.CallOptions
---@field status? zuora.ReportRunStatus[] the three in progress, unless they are given
---@field columns? string[]
---@field sort? table[] `{ field = "startedOn", direction = "desc", priority = 0 }`, unless it is given
---@field page_size? integer runs on a page (250)

---@class zuora.ReportRunListOptions: zuora.ReportRunEachOptions
---@field page? integer from 1

---@class zuora.ReportRunPagesOptions: zuora.CallOptions
---@field page_size? integer records (200)

---@class zuora.ReportRunDataOptions: zuora.ReportRunPagesOptions
---@field offset? integer records to skip (1: the header)

---@class zuora.ReportFindOptions: zuora.CallOptions
---@field namespace? string "ADVANCED", unless it is given

---@class zuora.ReportEachOptions: zuora.ReportFindOptions
---@field order_by? "name"|"updated_on"
---@field ascending? boolean (true)

---@class zuora.ReportSearchOptions: zuora.ReportEachOptions
---@field start? integer how many to skip (0)

---@class zuora.ReportLabelledOptions: zuora.CallOptions
---@field order_by? "name"|"updated_on"
---@field ascending? boolean (true)
---@field page? integer from 0
---@field page_size? integer (20)

---@class zuora.ReportCopyOptions: zuora.CreateOptions
---@field name? string of the copy
---@field label_ids? string[]

--- Either ids or names.
---@class zuora.ReportTransferOptions: zuora.CreateOptions
---@field ids? string[] of reports
---@field names? string[] of reports
---@field to string the id of their new owner

---@class zuora.ReportSettingsOptions: zuora.CreateOptions
---@field emailDomains string[] empty: all

---@class zuora.ReportFetchOptions: zuora.ReportRunStartOptions, zuora.WaitOptions, zuora.ReportRunDownloadOptions
---@field namespace? string where the report is given by its name

--- A job of AQuA, by its own names. Options of the call go beside them, and are not sent.
---@class zuora.JobSubmit: zuora.CreateOptions
---@field queries? table<string, string>|string[]|zuora.JobQuery[] by name; texts; or Zuora's own form. Needed, but with useLastCompletedJobQueries
---@field name? string
---@field partner? string with project: a stateful job
---@field project? string
---@field format? string "csv" (default), "zip" or "gzip"
---@field version? string|number chosen to fit
---@field encrypted? "none"|"pgp"
---@field useQueryLabels? boolean columns are called "Account.Name", and not "Account: Name"
---@field dateTimeUtc? boolean
---@field nullReplacement? string
---@field notifyUrl? string https
---@field incrementalTime? string
---@field offset? integer seconds
---@field useLastCompletedJobQueries? boolean
---@field sourceData? "LIVE"
---@field warehouseSize? string

---@class zuora.JobQuery
---@field query string
---@field name? string
---@field type? "zoql"|"zoqlexport"
---@field apiVersion? string|number
---@field convertToCurrencies? string|string[]
---@field deleted? { column: string, format: "Numeric"|"Boolean", forceExport: boolean|nil }

---@class zuora.JobLastOptions: zuora.CallOptions
---@field partner string
---@field project string

---@class zuora.JobRecoverOptions: zuora.JobLastOptions
---@field since? zuora.Job|string the last job that is known, its id (one call more), or its startTime
---@field timeout? number seconds to go on looking for a newer one that has completed (0)
---@field request_timeout? number seconds of one poll

---@class zuora.JobFetchOptions: zuora.CreateOptions, zuora.WaitOptions, zuora.BatchDownloadOptions

--- A job of Data Query, by its own names.
---@class zuora.QuerySubmit: zuora.CreateOptions
---@field query string
---@field outputFormat? "CSV"|"TSV"|"DSV"|"JSON" ("CSV")
---@field compression? "NONE"|"GZIP"|"ZIP" ("NONE")
---@field output? table `{ target = "S3" }`, unless it is given
---@field columnSeparator? string of DSV
---@field encryptionKey? string
---@field readDeleted? boolean
---@field useIndexJoin? boolean
---@field sourceData? "LIVE"
---@field warehouseSize? string

---@class zuora.QueryListOptions: zuora.CallOptions
---@field status? zuora.QueryStatus
---@field page_size? integer 1000 at most

--- Where a file goes whose name Zuora gives.
---@class zuora.Directory
---@field directory string

--- Any call of Zuora's.
---@class zuora.Request: zuora.CreateOptions
---@field path string "/v1/accounts/A-1", each part of it escaped (zuora.escape)
---@field method? "GET"|"POST"|"PUT"|"PATCH"|"DELETE"|"HEAD" ("GET")
---@field query? table<string, string|integer|boolean|(string|integer|boolean)[]>
---@field body? any a table is sent as JSON, a string as it is
---@field content_type? string ("application/json", of a body)
---@field accept? string ("application/json")
---@field headers? table<string, string> more of them
---@field base? "rest"|"reporting"|"aqua"|"files"|"queries"|"describe" what the path is below ("rest")
---@field safe? boolean true: a POST that only reads, and may be sent again

---@class zuora.MapOptions
---@field concurrency? integer items at a time (8)
---@field on_error? "stop"|"collect" "stop": the first failure cancels what goes on ("stop")
