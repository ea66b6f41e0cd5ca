# SPDX-License-Identifier: BSD-3-Clause
"""Pictures: lines over an axis, one panel or several, drawn by gnuplot."""

import subprocess

from .servers import Failure

COLOURS = {"dozo": "#c0392b", "memcached": "#2c6fbb", "floor": "#888888",
           "redis": "#d98e04", "yrmcds": "#3a8f5a"}


class Panel:
    """One diagram: series of points by name, and its axes."""

    def __init__(self, title, x_label, y_label, series, log=""):
        self.title = title
        self.x_label = x_label
        self.y_label = y_label
        self.series = series
        self.log = log  # "x", "y", "xy" or nothing
        self.x_values = False  # write the series' own x at the axis

    def script(self):
        lines = [f'set title "{self.title}"', f'set xlabel "{self.x_label}"',
                 f'set ylabel "{self.y_label}"', "unset logscale",
                 "set xtics auto", "set xrange [*:*]",
                 "set yrange [%s:*]" % ("*" if "y" in self.log else "0")]
        if self.log:
            lines.append(f"set logscale {self.log}")
        if self.x_values:
            values = sorted({x for points in self.series.values()
                             for x, _ in points})
            lines.append("set xtics (" + ", ".join(
                f'"{x:g}" {x}' for x in values) + ")")
            lines.append(f"set xrange [{values[0] * 0.9}:"
                         f"{values[-1] * 1.1}]")
        plots = []
        for name, points in self.series.items():
            rows = "\n".join(f"{x} {y}" for x, y in points)
            block = "$d" + "".join(c for c in name if c.isalnum())
            lines.append(f"{block} << EOD\n{rows}\nEOD")
            colour = COLOURS.get(name.split()[0], "#555555")
            dash = 2 if "max" in name else 1
            plots.append(f'{block} with linespoints lc rgb "{colour}" lw 2 '
                         f'dt {dash} pt 7 ps 0.4 title "{name}"')
        lines.append("plot " + ", ".join(plots))
        return lines


def draw(path, panels, columns=2):
    """Writes the panels, side by side, as one SVG file."""
    columns = min(columns, len(panels))
    rows = (len(panels) + columns - 1) // columns
    lines = [f"set terminal svg size {480 * columns},{340 * rows} "
             "dynamic background rgb 'white' font 'sans,12'",
             f'set output "{path}"', "set grid", "set key below",
             f"set multiplot layout {rows},{columns}"]
    for panel in panels:
        lines += panel.script()
    lines.append("unset multiplot")
    done = subprocess.run(["gnuplot"], input="\n".join(lines) + "\n",
                          text=True, capture_output=True, check=False)
    if done.returncode != 0 or "line" in done.stderr:
        raise Failure(f"gnuplot: {done.stderr[-500:]}")
