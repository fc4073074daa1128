"""Draws both dashboards from what a real Prometheus answers: every panel at its place, as SVG.

    python pictures.py --prometheus http://127.0.0.1:9090 --last 900 --scrape 5 --out pictures

Grafana is not needed, and not imitated in detail: this shows that every query has an answer and that the answer means something.
Exits with 1 if a panel has nothing to show and no words for that.
"""

import argparse
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent
CELL, ROW, GAP = 50, 34, 6
COLOURS = ["#3274d9", "#56a64b", "#e0752d", "#a352cc", "#e02f44", "#b8860b", "#0f9d9f", "#8f3bb8", "#5a6470", "#c15c17"]
NAMED = {"green": "#2e8b3d", "red": "#d0263a", "yellow": "#b8860b", "blue": "#3274d9", "orange": "#e0752d", "purple": "#8f3bb8", "text": "#30343b"}


# ---- asking --------------------------------------------------------------------------------------------------------


class Prometheus:
    """A Prometheus, and the stretch of time that is shown."""

    def __init__(self, address, last, scrape):
        self.address, self.end = address.rstrip("/"), time.time()
        self.begin, self.step = self.end - last, max(scrape, last / 100)
        self.variables = {"$__rate_interval": f"{int(max(4 * scrape, self.step + scrape))}s", "$__range": f"{int(last)}s"}

    def ask(self, target):
        """The series of one target: [(labels, [(time, value)…])…]."""
        expr = target["expr"]
        for name, value in self.variables.items():
            expr = expr.replace(name, value)
        expr = re.sub(r"\$(register|terminal|driver)", ".+", expr)
        if target.get("instant"):
            answer = self.get("query", query=expr, time=self.end)
            return [(one["metric"], [one["value"]]) for one in answer]
        answer = self.get("query_range", query=expr, start=self.begin, end=self.end, step=self.step)
        return [(one["metric"], one["values"]) for one in answer]

    def get(self, path, **parameters):
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]["result"]


def series_of(panel, prometheus):
    """What a panel shows: [(name, [(time, number)…])…]."""
    found = []
    for target in panel["targets"]:
        for labels, values in prometheus.ask(target):
            numbers = [(at, float(value)) for at, value in values]
            found.append((legend(target, labels), numbers))
    return found


def legend(target, labels):
    pattern = target.get("legendFormat", "__auto")
    if pattern == "__auto":
        return ", ".join(f"{key}={value}" for key, value in labels.items() if key != "__name__") or "value"
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), pattern)


# ---- words ---------------------------------------------------------------------------------------------------------


def spoken(value, unit):
    """A number in a panel's unit."""
    if math.isnan(value):
        return "NaN"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return seconds(value)
    if unit == "bytes":
        power = min(4, int(math.log(max(value, 1), 1024)))
        return f"{value / 1024**power:.3g} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}"
    if unit == "reqps":
        return f"{value:.3g}/s"
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:.3g}"


def seconds(value):
    if abs(value) < 0.001:
        return f"{value * 1e6:.3g} µs" if value else "0 s"
    if abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s" if abs(value) < 120 else f"{value / 60:.3g} min"


def mapped(panel, value):
    """The word for a value and its colour, if the panel has one."""
    for mapping in panel["fieldConfig"]["defaults"].get("mappings", []):
        found = mapping["options"].get(f"{value:g}")
        if found:
            return found["text"], NAMED.get(found["color"], "#30343b")
    return None


def threshold(panel, value):
    colour = "text"
    for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return NAMED.get(colour, "#30343b")


# ---- drawing -------------------------------------------------------------------------------------------------------


def text(x, y, words, size=11, colour="#30343b", anchor="start", weight="normal"):
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(str(words))}</text>'


def stat(panel, series, box):
    x, y, w, h = box
    if not series:
        word, colour = panel["fieldConfig"]["defaults"]["noValue"], "#6b7280"
    elif panel["options"].get("textMode") == "name":
        word, colour = series[0][0], "#30343b"
    else:
        value = series[0][1][-1][1]
        word, colour = mapped(panel, value) or (spoken(value, panel["fieldConfig"]["defaults"]["unit"]), threshold(panel, value))
    return [text(x + w / 2, y + h / 2 + 12, word, 26 if len(word) < 9 else 18, colour, "middle", "bold")]


def chart(panel, series, box, prometheus):
    x, y, w, h = box
    unit = panel["fieldConfig"]["defaults"]["unit"]
    stacked = panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal"
    left, top, wide, high = x + 52, y + 6, w - 60, h - 40
    layers = stack(series) if stacked else [(name, points, None) for name, points in series]
    peak = max((value for _, points, _ in layers for _, value in points if not math.isnan(value)), default=0) or 1
    peak = rounded_up(peak)
    across = lambda at: left + wide * (at - prometheus.begin) / (prometheus.end - prometheus.begin)
    up = lambda value: top + high - high * value / peak
    drawn = []
    for share in (0, 0.5, 1):
        drawn.append(f'<path d="M{left} {up(peak * share):.1f}h{wide}" stroke="#e3e6ea"/>')
        drawn.append(text(left - 4, up(peak * share) + 4, spoken(peak * share, unit), 9, "#6b7280", "end"))
    for share in (0, 0.5, 1):
        at = prometheus.begin + share * (prometheus.end - prometheus.begin)
        drawn.append(text(left + wide * share, top + high + 13, time.strftime("%H:%M", time.gmtime(at)), 9, "#6b7280", "middle"))
    for number, (name, points, under) in reversed(list(enumerate(layers))):
        colour = colour_of(panel, name, number)
        for run in runs(points, prometheus.step):
            line = "L".join(f"{across(at):.1f} {up(value):.1f}" for at, value in run)
            if under is not None:
                back = "L".join(f"{across(at):.1f} {up(under.get(at, 0)):.1f}" for at, _ in reversed(run))
                drawn.append(f'<path d="M{line}L{back}Z" fill="{colour}" fill-opacity=".3"/>')
            drawn.append(f'<path d="M{line}{"h2" if len(run) == 1 else ""}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    return drawn + legends(panel, [name for name, _, _ in layers], left, y + h - 10, wide)


def rounded_up(peak):
    """The next number that reads well on an axis."""
    power = 10 ** math.floor(math.log10(peak))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= peak * 0.999)


def stack(series):
    """Each series on top of those before it: [(name, points, what lies under it)…]."""
    under, layers = {}, []
    for name, points in series:
        top = [(at, under.get(at, 0) + value) for at, value in points]
        layers.append((name, top, dict(under)))
        under.update(top)
    return layers


def runs(points, step):
    """Points without a gap between them."""
    run = []
    for at, value in points:
        if math.isnan(value) or (run and at - run[-1][0] > 1.5 * step):
            if run:
                yield run
            run = []
        if not math.isnan(value):
            run.append((at, value))
    if run:
        yield run


def colour_of(panel, name, number):
    for override in panel["fieldConfig"].get("overrides", []):
        if override["matcher"]["options"] == name:
            return NAMED[override["properties"][0]["value"]["fixedColor"]]
    return COLOURS[number % len(COLOURS)]


def legends(panel, names, x, y, wide):
    drawn, at = [], x
    for number, name in enumerate(names):
        length = 18 + 5.6 * len(name)
        if at + length > x + wide and at > x:
            drawn.append(text(at, y, "…", 10))
            break
        drawn.append(f'<rect x="{at:.0f}" y="{y - 7}" width="9" height="4" fill="{colour_of(panel, name, number)}"/>')
        drawn.append(text(at + 12, y, name, 10))
        at += length
    return drawn


def timeline(panel, series, box, prometheus):
    x, y, w, h = box
    left, wide, drawn = x + 70, w - 80, []
    high = min(30, (h - 24) / max(1, len(series)))
    for number, (name, points) in enumerate(series):
        top = y + 6 + number * high
        drawn.append(text(left - 6, top + high / 2 + 3, name, 10, anchor="end"))
        begin = points[0]
        for place, (at, value) in enumerate(points):
            last = place + 1 == len(points)
            if last or points[place + 1][1] != value:
                until = prometheus.end if last else points[place + 1][0]
                drawn += bar(panel, begin, until, left, wide, top, high, prometheus)
                begin = None if last else points[place + 1]
    return drawn


def bar(panel, begin, until, left, wide, top, high, prometheus):
    word, colour = mapped(panel, begin[1]) or (f"{begin[1]:g}", "#5a6470")
    across = lambda at: left + wide * (at - prometheus.begin) / (prometheus.end - prometheus.begin)
    width = across(until) - across(begin[0])
    drawn = [f'<rect x="{across(begin[0]):.1f}" y="{top:.1f}" width="{width:.1f}" height="{high - 5:.1f}" fill="{colour}" fill-opacity=".75"/>']
    if width > 6 * len(word) + 4:
        drawn.append(text(across(begin[0]) + width / 2, top + high / 2 + 2, word, 10, "#fff", "middle"))
    return drawn


def heatmap(panel, series, box, prometheus):
    x, y, w, h = box
    rows = sorted(((float(name.replace("+Inf", "inf")), dict(points)) for name, points in series), key=lambda row: row[0])
    times = sorted({at for _, points in rows for at in points})
    left, wide, high = x + 52, w - 60, (h - 30) / max(1, len(rows))
    cells, before = {}, dict.fromkeys(times, 0)
    for number, (_, points) in enumerate(rows):
        for at in times:
            cells[number, at] = max(0, points.get(at, 0) - before[at])
            before[at] = points.get(at, before[at])
    peak = max(cells.values(), default=0) or 1
    drawn = [text(left - 4, y + h - 30 - number * high, spoken(limit, "s") if limit < math.inf else "more", 8, "#6b7280", "end") for number, (limit, _) in enumerate(rows) if number % 3 == 0]
    width = wide * prometheus.step / (prometheus.end - prometheus.begin)
    for (number, at), count in cells.items():
        if count > 0:
            across = left + (wide - width) * (at - prometheus.begin) / (prometheus.end - prometheus.begin)
            drawn.append(f'<rect x="{across:.1f}" y="{y + h - 26 - (number + 1) * high:.1f}" width="{width:.1f}" height="{high:.1f}" fill="#d9480f" fill-opacity="{0.15 + 0.85 * count / peak:.2f}"/>')
    return drawn


def drawn_panel(panel, prometheus, at):
    """A panel in its frame, and whether it had something to show or words for having nothing."""
    x, y, w, h = at
    series = series_of(panel, prometheus)
    box = (x + 4, y + 22, w - 8, h - 28)
    frame = [f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="4" fill="#fff" stroke="#d5d9df"><title>{escape(panel["description"])}</title></rect>', text(x + 9, y + 16, panel["title"], 12, weight="bold")]
    empty = panel["fieldConfig"]["defaults"].get("noValue")
    if panel["type"] == "stat":
        return frame + stat(panel, series, box), bool(series or empty)
    if not series:
        return frame + [text(x + w / 2, y + h / 2, empty or "no data", 12, "#6b7280", "middle")], bool(empty)
    draw = {"timeseries": chart, "state-timeline": timeline, "heatmap": heatmap}[panel["type"]]
    return frame + draw(panel, series, box, prometheus), True


def drawn_board(board, prometheus, rows=None):
    """A dashboard, or its first rows, as SVG; and the titles of its panels that are empty without a word."""
    drawn, mute = [], []
    starts = [place for place, panel in enumerate(board["panels"]) if panel["type"] == "row"]
    panels = board["panels"][: starts[rows]] if rows else board["panels"]
    for panel in panels:
        grid = panel["gridPos"]
        at = (grid["x"] * CELL + GAP, grid["y"] * ROW + 40, grid["w"] * CELL - GAP, grid["h"] * ROW - GAP)
        if panel["type"] == "row":
            drawn.append(text(at[0] + 2, at[1] + 20, panel["title"], 14, weight="bold"))
            continue
        part, said = drawn_panel(panel, prometheus, at)
        drawn += part
        mute += [] if said else [panel["title"]]
    bottom = max((panel["gridPos"]["y"] + panel["gridPos"]["h"]) * ROW + 46 for panel in panels)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1212 {bottom}" font-family="sans-serif"><rect width="1212" height="{bottom}" fill="#f4f5f7"/>'
    title = text(10, 26, f"{board['title']}  (drawn from Prometheus, not by Grafana)", 16, weight="bold")
    return "\n".join([head, title, *drawn, "</svg>\n"]), mute


def main():
    wanted = argparse.ArgumentParser(description="Draws the dashboards from a Prometheus.")
    wanted.add_argument("--prometheus", default="http://127.0.0.1:9090")
    wanted.add_argument("--last", type=float, default=900, help="seconds to show")
    wanted.add_argument("--scrape", type=float, default=15, help="the scrape interval in seconds")
    wanted.add_argument("--out", type=Path, default=FOLDER / "pictures")
    given = wanted.parse_args()
    prometheus, mute = Prometheus(given.prometheus, given.last, given.scrape), []
    for path in sorted((FOLDER / "dashboards").glob("*.json")):
        picture, silent = drawn_board(json.loads(path.read_text()), prometheus)
        (given.out / f"{path.stem}.svg").write_text(picture)
        mute += silent
        if path.stem == "payments":
            (given.out / "payments-first-rows.svg").write_text(drawn_board(json.loads(path.read_text()), prometheus, rows=2)[0])
    print("\n".join(f"nothing to show: {title}" for title in mute) or "every panel has something to show")
    sys.exit(1 if mute else 0)


if __name__ == "__main__":
    main()
