# SPDX-License-Identifier: BSD-3-Clause
"""Reader of differences.txt, the one list of what memcached 1.6.18 does
otherwise.  The form is told at the head of that file."""

import os
import re

import server

PATH = os.path.join(server.HERE, "differences.txt")


class Entry:
    """One listed difference of a script."""

    def __init__(self, line, reason, script, case, unit, got):
        self.line, self.reason = line, reason
        self.script, self.case, self.unit, self.got = script, case, unit, got


class Rule:
    """One class of differences, by name, with its reason."""

    def __init__(self, line, name, reason):
        self.line, self.name, self.reason = line, name, reason
        self.entries, self.witnesses = [], []


def load(path=PATH):
    """All rules by name."""
    rules, rule = {}, None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            head = re.fullmatch(r"\[([a-z0-9-]+)\] (.+)", line)
            if head:
                rule = Rule(number, head.group(1), head.group(2))
                assert rule.name not in rules, line
                rules[rule.name] = rule
            elif line.startswith("witness "):
                rule.witnesses.append((line[8:], True))
            elif line.startswith("perhaps "):
                rule.witnesses.append((line[8:], False))
            elif line.startswith("    "):
                rule.reason += " " + line.strip()
            else:
                script, case, unit, got = line.split(" | ")
                rule.entries.append(Entry(number, rule.reason, script, case,
                                          unit, got))
    return rules


def entries(script, case):
    """The listed differences of one case."""
    return [entry for rule in load().values() for entry in rule.entries
            if (entry.script, entry.case) == (script, case)]
