# SPDX-License-Identifier: BSD-3-Clause
"""Turns and medians: how figures of several servers become one.

The servers take turns within each round, in an order that moves on from
round to round; a ratio is the median of the ratios of the rounds.
"""

import statistics


class Table:
    """The figures of rounds: for each name, one figure a round."""

    def __init__(self):
        self.figures = {}

    def add(self, name, figure):
        self.figures.setdefault(name, []).append(figure)

    def has(self, name):
        return name in self.figures

    def median(self, name):
        return statistics.median(self.figures[name])

    def ratio(self, name, to):
        return statistics.median(self.ratios(name, to))

    def ratios(self, name, to):
        return [a / b for a, b in zip(self.figures[name], self.figures[to])]

    def above(self, name, to):
        return statistics.median(
            a - b for a, b in zip(self.figures[name], self.figures[to]))


def turns(names, rounds, few=()):
    """(round, name) in order; those in `few` take part in two rounds."""
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if name not in few or number < 2:
                yield number, name
