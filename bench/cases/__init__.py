# SPDX-License-Identifier: BSD-3-Clause
"""The parts of the benchmark, in the order in which they run.

A part has a name, a title, the rows it owes the table of targets, the
seconds that it takes in full, and a function run(bench, section).
"""

from . import (checks, churn, density, expiry, idle, kept_restart,
               kept_stalls, kept_writes, requests, stalls, traces, workers)

PARTS = {part.NAME: part for part in [
    checks, requests.G1, requests.G2, requests.G3, requests.Depth,
    requests.G4, density, traces, expiry, workers, idle, churn, stalls,
    kept_writes.G12, kept_writes.G13, kept_restart, kept_stalls]}
