# The bench's works in Python, by requests: one | files | first, with the arguments of ours.lua.
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests

PIECE = 1024 * 1024


def new_session(ca):
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = "Bearer t"
    session.headers["Accept"] = "application/json"
    if ca != "-":
        session.verify = ca
    return session


def job(session, base, number):
    response = session.get(base + "/v1/batch-query/jobs/j%d" % number)
    response.raise_for_status()
    found = response.json()
    assert found["status"] == "completed"
    return found["batches"][0]["recordCount"]


def download(session, base, encoding, path, name):
    coding = "gzip" if encoding == "gzip" else "identity"
    with session.get(base + "/v1/files/" + name, stream=True, headers={"Accept-Encoding": coding}) as response:
        response.raise_for_status()
        with open(path, "wb") as file:
            for piece in response.iter_content(PIECE):
                file.write(piece)
    return os.path.getsize(path)


def files(session, base, encoding, connections, directory, names):
    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(lambda name: download(session, base, encoding, directory + "/" + name, name), names))


def main(verb, base, *rest):
    if verb == "first":
        job(new_session("-"), base, 1)
        return
    session = new_session(rest[2] if verb == "one" else rest[0])
    if verb == "one":
        for _ in range(int(rest[1])):
            job(session, base, 1)
    wall, cpu = time.monotonic(), time.process_time()
    if verb == "one":
        count = int(rest[0])
        check = sum(job(session, base, number) for number in range(1, count + 1))
    else:
        count = len(rest) - 4
        check = files(session, base, rest[1], int(rest[2]), rest[3], rest[4:])
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    print("cpu=%.6f wall=%.6f count=%d check=%d" % (cpu, wall, count, check))


main(*sys.argv[1:])
