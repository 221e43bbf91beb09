#!/usr/bin/python3
"""The distributor's unit tests once more, with every shop's database on a PostgreSQL server that is made for this run.

    test_postgres.py TEST...        two at a time; a test's output is shown when it fails"""
import concurrent.futures
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "household"))
import cluster  # noqa: E402


def run(test, connection):
    ended = subprocess.run([test], env={**os.environ, "TOWN_POSTGRES": connection, "HEARTH_DOUBT": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=250, check=False)
    return os.path.basename(test), ended.returncode, ended.stdout.decode(errors="replace")


def main():
    with cluster.Cluster() as pg:
        tests = sys.argv[1:]
        print(f"TAP version 13\n1..{len(tests)}", flush=True)
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for n, (name, code, output) in enumerate(pool.map(lambda t: run(t, pg.connection), tests), 1):
                print(f"{'not ok' if code else 'ok'} {n} - {name}", flush=True)
                if code:
                    failed += 1
                    print("".join(f"# {line}\n" for line in output.splitlines()[-60:]), end="", flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
