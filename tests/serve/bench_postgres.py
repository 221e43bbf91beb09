#!/usr/bin/python3
"""The load of bench-load on a PostgreSQL server of its own, which syncs every commit: bench_postgres.py BENCH-LOAD PROGRAM FILLER."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "household"))
import cluster  # noqa: E402

with cluster.Cluster(durable=True) as pg:
    pg.create("load")
    environment = dict(os.environ, HEARTH_LOAD_DATABASE=f"postgresql:{pg.connection} dbname=load")
    sys.exit(subprocess.run([sys.argv[1], sys.argv[2], sys.argv[3], "limits", "postgres"], env=environment, check=False).returncode)
