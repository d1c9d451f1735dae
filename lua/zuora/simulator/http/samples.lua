--- The JSON answers that Zuora's documents print, as they are sent: the templates of the simulator's
--- answers. (Where a document forgets a comma, the comma is there.)

local samples = {}

samples.token = [[{
  "access_token": "eyJhbGciOiJSUzI1NiJ9.sample.signature",
  "token_type": "bearer",
  "expires_in": 3599,
  "scope": "user.6c8ff8a1 entity.e2d32e4f service.usage tenant.12345",
  "jti": "f9c5e2a1b7d34c6e8a90"
}]]

samples.run_started = [[{
  "success": true,
  "response": { "reportRunId": "ff808081529f4e3401529fd61f080074" }
}]]

samples.report_run = [[{
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
}]]

samples.run_cancelled = [[{
  "success": true,
  "response": "The report run has been canceled"
}]]

samples.run_cancelled_before = [[{
  "success": true,
  "response": "The report run was canceled"
}]]

samples.job = [[{
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
}]]

samples.job_segmented = [[{
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
}]]

samples.last_job = [[{
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
}]]

samples.last_job_segmented = [[{
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
}]]

return samples
