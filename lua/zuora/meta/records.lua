---@meta
--- Types for the Lua language server: what Zuora sent, as users hold it, and what is made of it. Methods are annotated
--- where they stand. Comments only; never loaded.

---@alias zuora.ReportRunStatus "STARTED"|"QUERYDATA"|"PROCESSINGDATA"|"COMPLETED"|"CANCELLED"|"INVALID"|"ERROR"

--- A report run, by Zuora's own names. After `start` it has no status yet.
---@class zuora.ReportRun
---@field id string
---@field reportRunId? string as `start` was answered
---@field reportId string
---@field reportType "Detail"|"Summary"
---@field status? zuora.ReportRunStatus
---@field startedOn? integer|string milliseconds since the epoch, or ISO text, as Zuora sent it
---@field updatedOn? integer|string
---@field reportDefinition? string JSON text

---@alias zuora.JobStatus "submitted"|"executing"|"completed"|"error"|"aborted"|"cancelled"

--- An AQuA job, by Zuora's own names.
---@class zuora.Job
---@field id string
---@field status zuora.JobStatus
---@field batches zuora.Batch[]
---@field name? string
---@field partner? string
---@field project? string
---@field version? string|number
---@field format? string
---@field startTime? string "2014-09-03 08:20:07", without a zone
---@field errorCode? string
---@field message? string

--- One query of a job.
---@class zuora.Batch
---@field batchId? string
---@field name? string
---@field query string
---@field status string
---@field recordCount? integer|string
---@field full? boolean
---@field message? string
---@field fileId? string
---@field segments? string[]

--- A report, by Zuora's own names.
---@class zuora.Report
---@field id string
---@field name string
---@field number? string
---@field type? string
---@field datasource? any
---@field dsName? string
---@field namespace? string
---@field definition? string JSON text
---@field description? string
---@field createdOn? string
---@field updatedOn? string
---@field userId? string its owner
---@field executedOn? integer milliseconds since the epoch

---@alias zuora.QueryStatus "submitted"|"accepted"|"in_progress"|"completed"|"failed"|"cancelled"

--- A Data Query job, by Zuora's own names.
---@class zuora.QueryJob
---@field id string
---@field query string
---@field queryStatus zuora.QueryStatus
---@field dataFile? string a signed link to the result: whoever has it can read it
---@field outputRows? integer
---@field errorCode? string
---@field errorMessage? string

--- What describe says of an object.
---@class zuora.Object
---@field name string
---@field label string
---@field fields zuora.Field[]
---@field related zuora.ObjectReference[] what it can be joined with

---@class zuora.Field
---@field name string
---@field label string
---@field type string
---@field selectable boolean
---@field createable boolean
---@field updateable boolean
---@field filterable boolean
---@field required boolean
---@field custom boolean
---@field maxlength? integer
---@field contexts string[]
---@field options string[]

---@class zuora.ObjectReference
---@field name string
---@field label string
---@field href string

--- A label (a folder) of reports.
---@class zuora.ReportLabel
---@field id string
---@field name string

--- A page of a run's rows.
---@class zuora.ReportData
---@field page table[]
---@field offset integer
---@field size integer
---@field total integer

--- A file that was written.
---@class zuora.Written
---@field path string
---@field bytes integer
---@field records? integer where they were counted
---@field record_count? integer as many as Zuora says that there are, where it says so and they were held together
---@field request_ids? string[] of the answers that it came by, for Zuora's support
---@field name? string of a job's batch

--- What client.files:status says.
---@class zuora.FileStatus
---@field success? boolean
---@field accessible? boolean
---@field status? string

---@alias zuora.Cell string|integer|number|boolean|lightuserdata
---@alias zuora.Row table<string, zuora.Cell|nil>|zuora.Cell[]|userdata by columns, in their order, or lazy

--- Rows, one for each call of it: what a `for` walks over, and closes.
---@class zuora.Rows: userdata
---@field columns string[] the header
---@field row integer the number of the row given last
---@field close fun(self: zuora.Rows) lets the file go; twice is fine
---@operator call: zuora.Row|nil
