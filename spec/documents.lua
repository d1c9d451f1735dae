--- The JSON answers that the five documents print, as they print them (with the comma that one page forgets):
--- what specs hold the simulator's answers against.

return {
  get_report_run = [[
{
  "success": true,
  "response": {
    "reportType": "Detail",
    "id": "ff808081529f4e3401529fd61f080074",
    "reportId": "ff808081529f4e3401529fd373730070",
    "startedOn": 1453166692000,
    "status": "COMPLETED",
    "reportDefinition": "...",
    "updatedOn": 1453166695000
  }
}
]],
  cancelled = [[
{
  "success" : true,
  "response" : "The report run has been canceled"
}
]],
  cancelled_before = [[
{
"success": true,
"response": "The report run was canceled"
}
]],
  job = [[
{
    "batches": [
        {
            "full": true,
            "name": "AccountingPeriod",
            "message": "",
            "query": "select Id,StartDate,EndDate,FiscalYear,Name,Status from AccountingPeriod",
            "status": "completed",
            "recordCount": 1,
            "apiVersion": "60.0",
            "fileId": "402881824835bb2a01483c19f8190259",
            "batchType": "zoqlexport",
            "batchId": "402881824835bb2a01483c19f7da0257"
        }
    ],
    "project": "00170000011K3Ub",
    "partner": "salesforce",
    "name": "Example",
    "id": "402881824835bb2a01483c19f7d70256",
    "version": "1.1",
    "format": "CSV",
    "startTime": "2014-09-03 08:20:07",
    "status": "completed",
    "encrypted": "none"
}
]],
  job_segmented = [[
{ 
  "batches" : [ { 
    "full" : true, 
    "name" : "AccountingPeriod", 
    "query" : "select Id,StartDate,EndDate,FiscalYear,Name,Status from AccountingPeriod", 
    "status" : "completed", 
    "recordCount" : 132, 
    "batchId" : "e20b07474841608a01484592147305d3", 
    "apiVersion" : "59.0", 
    "segments" : [ "e20b07474841608a01484592159c05d7" ], 
    "batchType" : "zoqlexport" } ], 
  "project" : "00170000011K3Ub", 
  "partner" : "salesforce", 
  "name" : "Example", "id" : "e20b07474841608a01484592147005d2", 
  "version" : "1.1", 
  "startTime" : "2014-09-05 04:27:54", 
  "format" : "CSV", 
  "status" : "completed", 
  "encrypted" : "none" 
  }
]],
  last_job = [[
{
    "batches": [
        {
            "full": false,
            "name": "AccountingPeriod",
            "message": "",
            "query": "select Id,StartDate,EndDate,FiscalYear,Name,Status from AccountingPeriod",
            "status": "completed",
            "recordCount": 0,
            "apiVersion": "60.0",
            "fileId": "402881824835bb2a01483c1e67c7025d",
            "batchType": "zoqlexport",
            "batchId": "402881824835bb2a01483c1e678c025b"
        }
    ],
    "project": "00170000011K3Ub",
    "partner": "salesforce",
    "name": "Example",
    "id": "402881824835bb2a01483c1e678a025a",
    "version": "1.1",
    "format": "CSV",
    "startTime": "2014-09-03 08:24:58",
    "status": "completed",
    "encrypted": "none"
}
]],
  last_job_segmented = [[
{ 
"batches" : [ { 
  "full" : true, 
  "name" : "AccountingPeriod", 
  "query" : "select Id,StartDate,EndDate,FiscalYear,Name,Status from AccountingPeriod", 
  "status" : "completed", 
  "recordCount" : 1, 
  "apiVersion" : "60.0", 
  "batchType" : "zoqlexport", 
  "batchId" : "402881824835bb2a01484577116e035e", 
  "segments" : [ "402881824835bb2a0148457711ae0361" ] 
} ], 
"project" : "00170000011K3Ub", 
"partner" : "salesforce", 
"name" : "Example", 
"id" : "402881824835bb2a01484577116c035d", 
"version" : "1.1", 
"format" : "CSV", 
"startTime" : "2014-09-05 03:58:24", 
"status" : "completed", 
"encrypted" : "none" 
}
]],
}
