# The bench's works in Python, by pycurl and json: one | page | first, with the arguments of ours.lua.
import io
import json
import sys
import time

import pycurl


def new_handle(ca):
    handle = pycurl.Curl()
    handle.setopt(pycurl.HTTPHEADER, ["Authorization: Bearer t", "Accept: application/json"])
    handle.setopt(pycurl.ACCEPT_ENCODING, "gzip")
    handle.setopt(pycurl.PROXY, "")
    handle.setopt(pycurl.FAILONERROR, 1)
    if ca != "-":
        handle.setopt(pycurl.CAINFO, ca)
    return handle


def get(handle, url):
    body = io.BytesIO()
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.WRITEDATA, body)
    handle.perform()
    return json.loads(body.getvalue())


def job(handle, base, number):
    found = get(handle, base + "/v1/batch-query/jobs/j%d" % number)
    assert found["status"] == "completed"
    return found["batches"][0]["recordCount"]


def page(handle, base):
    data = get(handle, base + "/reporting/api/rest/v1/reportruns/reportdata/run?offset=1&pageSize=1000000")
    rows = data["response"]["page"]
    return len(rows), sum(len(row["Description"].encode()) for row in rows)


def main(verb, base, *rest):
    if verb == "first":
        job(new_handle("-"), base, 1)
        return
    handle = new_handle(rest[-1])
    for _ in range(int(rest[1]) if verb == "one" else 1):
        job(handle, base, 1)
    wall, cpu = time.monotonic(), time.process_time()
    if verb == "one":
        count = int(rest[0])
        check = sum(job(handle, base, number) for number in range(1, count + 1))
    else:
        count, check = page(handle, base)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    print("cpu=%.6f wall=%.6f count=%d check=%d" % (cpu, wall, count, check))


main(*sys.argv[1:])
