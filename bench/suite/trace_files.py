# SPDX-License-Identifier: BSD-3-Clause
"""Reads access traces: files of ids, in the formats of published traces.

    *.trace.xz   big-endian ids of 32 or of 64 bits
    *.lis.zst    lines "first-id count 0 sequence": count ids from the first

The width of the first kind is known by name, or else told from the words:
in ids of 64 bits the first half goes with the second.
"""

import array
import lzma
import os
import subprocess
import sys

WIDTHS = {"scarab-recs": 8, "scarab-prods": 8, "corda": 8,
          "orm-night": 4, "orm-busy": 4, "web07": 4, "web12": 4}


def find(folder):
    """The traces of a folder: name and path of each."""
    found = []
    for name in sorted(os.listdir(folder)):
        for end in (".trace.xz", ".lis.zst"):
            if name.endswith(end):
                found.append((name[:-len(end)], os.path.join(folder, name)))
    return found


def follow(words, start):
    """How often a word that came before has the same word before it."""
    before = {}
    again = same = 0
    for i in range(start + 1, min(len(words), 400000), 2):
        word = words[i]
        if word in before:
            again += 1
            same += before[word] == words[i - 1]
        before[word] = words[i - 1]
    return same / again if again else 0.0


def id_bytes(name, data):
    """Whether the ids of big-endian data are of 4 or of 8 bytes."""
    if name in WIDTHS:
        return WIDTHS[name]
    if len(data) % 8 != 0:
        return 4
    words = array.array("I", data)
    high = words[0:400000:2]
    if high.count(0) > 0.9 * len(high):
        return 8
    return 8 if follow(words, 0) > follow(words, 1) + 0.3 else 4


def read_words(name, path):
    with lzma.open(path) as f:
        data = f.read()
    ids = array.array("i" if id_bytes(name, data) == 4 else "q", data)
    if sys.byteorder == "little":
        ids.byteswap()
    return array.array("q", ids)


def read_lines(path):
    done = subprocess.run(["zstd", "-q", "-d", "-c", path],
                          capture_output=True, check=True)
    ids = array.array("q")
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) >= 2:
            first = int(fields[0])
            ids.extend(range(first, first + int(fields[1])))
    return ids


def read(name, path, most):
    """The first `most` ids of a trace, as 64-bit numbers."""
    ids = read_words(name, path) if path.endswith(".xz") \
        else read_lines(path)
    return ids[:most]
