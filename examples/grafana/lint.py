"""Reads dashboards, rules and README the way a strict reviewer would, and says what is wrong.

    python lint.py                      everything below this folder
    python lint.py --metrics FILE       also compares with what the program's /metrics says
    python lint.py --show-that-it-can-fail

The last one spoils a dashboard or a rule in every way that is checked, and fails if a fault goes unseen.
"""

import copy
import json
import re
import sys
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
FILTERS = ["register", "terminal", "driver"]
# Words that mean something to whoever runs Prometheus, and nothing to whoever owns a shop.
FOREIGN = re.compile(r"\b(rate|quantile|p\d\d|increase|sum|histogram|bucket|scrape|metric|series|ratio|_)\b|_", re.I)
SUFFIXES = ("_total", "_bucket", "_count", "_sum")
METRIC = re.compile(r"\b(?:tillswitch|process|tokio)_[a-z0-9_]+|\bup\b")
SELECTOR = re.compile(r"((?:tillswitch|process|tokio)_[a-z0-9_]+|\bup\b)(\{[^}]*\})?(\[[^\]]*\])?")
WINDOWED = re.compile(r"\b(?:rate|irate|increase|changes|resets|delta|deriv|predict_linear)\s*\($")


def without_text(expr):
    """The expression without what stands in quotes: label values are no metrics."""
    return re.sub(r'"[^"]*"', '""', expr)


def metrics_in(expr):
    """Every metric that an expression reads."""
    return set(METRIC.findall(without_text(expr)))


# ---- panels --------------------------------------------------------------------------------------------------------


def panel_faults(panel, filters):
    """What is wrong with one panel."""
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    text = panel.get("description", "")
    if not panel.get("title"):
        yield "has no title"
    if len(text.split()) < 12 or not re.search(r"\b[Aa]ct\b|[Ll]ook|call|stuck", text):
        yield "needs a description that says what it means and from when on to act"
    if panel["type"] == "stat" and "Nothing shown" not in text:
        yield "does not say what an empty answer means"
    if panel["type"] == "stat" and not defaults.get("noValue"):
        yield "has no text for an empty answer"
    if not defaults.get("unit"):
        yield "has no unit"
    if panel.get("datasource") != SOURCE or any(target.get("datasource") != SOURCE for target in panel["targets"]):
        yield "does not use the data source variable"
    if panel["type"] == "state-timeline" and not defaults.get("mappings"):
        yield "shows a state by colour alone"
    yield from two_state_faults(panel, defaults)
    for target in panel["targets"]:
        yield from expr_faults(target["expr"], filters)


def two_state_faults(panel, defaults):
    """A number that is 0 or 1 needs a word for both."""
    both = {"0", "1"} <= {key for mapping in defaults.get("mappings", []) for key in mapping.get("options", {})}
    is_state = any(re.search(r"\b(up\{|min\(tillswitch_terminal_up|tillswitch_journal_read_only)", target["expr"]) for target in panel["targets"])
    if is_state and not both:
        yield "is a state without words for 0 and 1"


def expr_faults(expr, filters):
    """What is wrong with one expression of a dashboard."""
    for found in SELECTOR.finditer(without_text(expr)):
        name, window, before = found[1], found[3], expr_before(expr, found)
        if name.startswith("tillswitch:"):
            continue
        counter = name.endswith(SUFFIXES)
        if counter and not window and not name.startswith("tillswitch_recovery_records"):
            yield f"reads the counter {name} outside rate or increase"
        if window and window not in ("[$__rate_interval]", "[$__range]"):
            yield f"has a fixed window {window}"
        if window and not WINDOWED.search(before):
            yield f"has a window on {name} without rate or increase"
    for name, labels in filters.items():
        for selector in re.findall(rf"\b{name}(?:_bucket|_sum|_count)?\b(\{{[^}}]*\}})?", expr):
            # `"$terminal|"` also takes what has no terminal.
            missing = [label for label in labels if not re.search(rf'{label}=~"\${label}\|?"', selector)]
            if missing:
                yield f"does not filter {name} by {', '.join(missing)}"


def expr_before(expr, found):
    return without_text(expr)[: found.start()]


# ---- dashboards ----------------------------------------------------------------------------------------------------


def dashboard_faults(board, labels):
    """What is wrong with a dashboard. `labels` says which labels each metric carries, when that is known."""
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    yield from frame_faults(board, variables)
    own = [name for name in FILTERS if name in variables]
    filters = {metric: [name for name in own if name in has] for metric, has in labels.items()}
    filters = {metric: needed for metric, needed in filters.items() if needed}
    for panel in panels:
        yield from (f"{panel.get('title') or panel.get('id')}: {fault}" for fault in panel_faults(panel, filters))
    yield from layout_faults(board["panels"])
    if board["uid"] == "tillswitch-shop":
        yield from owner_faults(panels)
    else:
        yield from (f"has no variable {name}" for name in FILTERS if name not in variables)


def frame_faults(board, variables):
    """What is wrong around the panels."""
    sources = [variable for variable in board["templating"]["list"] if variable["type"] == "datasource"]
    if len(sources) != 1 or sources[0]["name"] != "datasource":
        yield "needs exactly one data source variable, `datasource`"
    for name in FILTERS:
        variable = variables.get(name)
        if variable and not (variable["multi"] and variable["includeAll"] and variable["allValue"] == ".+" and variable["refresh"] == 2):
            yield f"variable {name} needs several choices, All as .+, and a refresh when the time changes"
    marks = {mark["name"] for mark in board["annotations"]["list"] if mark.get("expr")}
    if not {"Restarts", "Configuration reloads"} <= marks:
        yield "does not mark restarts and configuration reloads"
    if board.get("graphTooltip") != 1:
        yield "has no shared crosshair"
    if not any(link["type"] == "dashboards" and link["tags"] == ["tillswitch"] for link in board["links"]):
        yield "does not link to its sister"
    if board.get("editable") is not False or not board.get("uid"):
        yield "needs a fixed uid and must not be editable"
    if "tillswitch" not in board.get("tags", []):
        yield "lacks the tag that its sister links to"
    links = [link["url"] for panel in board["panels"] for link in panel.get("links", [])]
    for place in ("state=in_doubt", "view=terminals"):
        if not any("${page:raw}" in url and place in url for url in links):
            yield f"no panel links to the operator's page, {place}"
    around = [*board["annotations"]["list"], *(variable for variable in board["templating"]["list"] if variable["type"] != "datasource")]
    yield from (f"{one['name']} does not use the data source variable" for one in around if one.get("datasource") != SOURCE)
    yield from (f"a link names a host: {url}" for url in links if "://" in url and "://${" not in url)


def layout_faults(panels):
    """Panels that overlap or stick out, and ids used twice."""
    taken = {}
    for panel in panels:
        at = panel["gridPos"]
        if at["x"] + at["w"] > 24:
            yield f"{panel['title']}: sticks out"
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if taken.setdefault(cell, panel) is not panel:
                yield f"{panel['title']}: overlaps {taken[cell]['title']}"
                break
    ids = [panel.get("id") for panel in panels]
    if None in ids or len(set(ids)) < len(ids):
        yield "panels need ids of their own"


def owner_faults(panels):
    """What an owner would not understand."""
    if len(panels) != 8:
        yield f"has {len(panels)} tiles, an owner gets eight"
    yield from (f"{panel['title']}: an owner has no use for that word" for panel in panels if FOREIGN.search(panel["title"]))


# ---- rules and their runbook ---------------------------------------------------------------------------------------


def alert_faults(alert, sections):
    """What is wrong with an alert, given the README's sections by anchor."""
    notes = alert.get("annotations", {})
    if not re.fullmatch(r"(?:[A-Z][a-z]+)+", alert["alert"]):
        yield "is not CamelCase"
    if alert.get("labels", {}).get("severity") not in ("warning", "critical"):
        yield "needs a severity: warning or critical"
    if "{{" in notes.get("summary", "{{") or not notes["summary"].endswith("."):
        yield "needs a fixed sentence as its summary"
    if len(notes.get("description", "").split()) < 12:
        yield "needs a description with the next step"
    if "{{" not in notes.get("description", "") and not alert["expr"].startswith(("absent", "sum(")):
        yield "does not say in its description which one it is about"
    if not notes.get("dashboard_url", "").startswith("/d/tillswitch-"):
        yield "needs a dashboard_url without a host"
    page, _, anchor = notes.get("runbook_url", "").partition("#")
    section = sections.get(anchor, "")
    if page != "/examples/grafana/README.md" or anchor != alert["alert"].lower():
        yield "needs a runbook_url to its section of the README"
    if len(section.split()) < 30:
        yield f"its runbook section has {len(section.split())} words, 30 are needed"
    for word in ("Meaning", "Impact", "Look at", "Do", "Call"):
        if f"**{word}" not in section:
            yield f"its runbook section lacks: {word}"


def watch_faults(alerts, records):
    """What the alerts as a whole do not watch: the promise to the shop, the watcher itself, the disk."""
    exprs = {alert["alert"]: re.sub(r"\s+", " ", alert["expr"]).strip() for alert in alerts}
    for window in ("5m", "30m", "1h", "6h", "3d"):
        for record in (f"tillswitch:payments:increase{window}", f"tillswitch:payments_undecided:ratio{window}"):
            if record not in records:
                yield f"{record} is not recorded"
    for one, other in (("5m", "1h"), ("30m", "6h")):
        pair = [f"payments_undecided:ratio{window} " for window in (one, other)]
        if not any(all(part in expr for part in pair) and "payments:increase" in expr for expr in exprs.values()):
            yield f"no alert burns over {one} and {other}, from a number of payments on"
    if not any(alert["expr"].startswith("sum by (register, terminal) (tillswitch_payments_in_doubt) > 0") and alert.get("for") == "1m" for alert in alerts):
        yield "a payment in doubt for a minute alarms nobody"
    for what, pattern in {
        "a router that does not answer": r'\bup\{[^}]*\} == 0',
        "a router that nobody reads": r"absent\(up",
        "a reload that failed": r"tillswitch_config_last_reload_successful == 0",
        "no webhook in opening hours": r"tillswitch_webhook_requests_total.* == 0.*tillswitch:shop_open",
        "a clock that is wrong": r"> time\(\) \+|\btimestamp\(",
        "a certificate that ends": r"not_after_timestamp_seconds - time\(\)",
        "a disk that will be full": r"predict_linear\(tillswitch_journal_free_bytes",
        "a disk that is full": r"^tillswitch_journal_free_bytes < \d+$",
    }.items():
        if not any(re.search(pattern, expr) for expr in exprs.values()):
            yield f"nobody watches {what}"


def sections_of(markdown):
    """The text under every heading, by the anchor that a reader's link would use."""
    parts = re.split(r"(?m)^#+ (.+)$", markdown)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-"): text for title, text in zip(parts[1::2], parts[2::2])}


def provisioning_faults(source, provider, scrape):
    """What is wrong with what Grafana is given at its start."""
    given = source["datasources"][0]
    if given.get("uid") != "tillswitch-prometheus":
        yield "the data source has no fixed uid"
    if given["jsonData"].get("timeInterval") != scrape["global"]["scrape_interval"]:
        yield "the data source's timeInterval is not the scrape interval"
    if provider["providers"][0].get("allowUiUpdates") is not False:
        yield "the dashboards could be changed in the browser"


def compose_faults(compose):
    """What is wrong with the one command that shows all of this."""
    for name, service in compose["services"].items():
        image = service["image"]
        if "build" not in service and image != "tillswitch-demo" and not re.search(r":v?\d+\.\d+", image):
            yield f"{name} takes whatever {image} is at the time"
        yield from (f"{name} publishes {port} beyond loopback" for port in service.get("ports", []) if not port.startswith("127.0.0.1:"))
    if not any("token:/run/tillswitch" in mount for mount in compose["services"]["prometheus"]["volumes"]):
        yield "Prometheus has no token"


# ---- what the program says -----------------------------------------------------------------------------------------


def exported(text):
    """The metrics of an exposition and their labels: {name: {label…}}, histograms under their own name."""
    types = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
    found = {name: set() for name in types}
    for name, labels in re.findall(r"(?m)^([a-z_:0-9]+)(?:\{(.*)\})? \S+$", text):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        base = base if types.get(base) == "histogram" else name
        found.setdefault(base, set()).update(re.findall(r'([a-z_]+)="', labels))
    return found


def usage_faults(names, used, unused):
    """Metrics that nobody looks at, and names that nobody exports."""
    used = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in names else name for name in used}
    yield from (f"{name} is in no panel and no alert, and not listed as unused" for name in sorted(names - used - unused))
    yield from (f"{name} is listed as unused, and used" for name in sorted(unused & used))
    yield from (f"{name} is listed as unused, and not exported" for name in sorted(unused - names))
    yield from (f"{name} is asked for, and not exported" for name in sorted(used - names - {"up"}))


# ---- all of it -----------------------------------------------------------------------------------------------------


def read(name):
    text = (FOLDER / name).read_text()
    return yaml.safe_load(text) if name.endswith((".yml", ".yaml")) else text


def rules(name):
    return [rule for group in read(name)["groups"] for rule in group["rules"]]


def boards():
    return {path.name: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}


def expressions():
    """Every expression that is shown or watched."""
    found = [rule["expr"] for name in ("prometheus/recording.yml", "prometheus/alerts.yml") for rule in rules(name)]
    for board in boards().values():
        found += [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
        found += [mark["expr"] for mark in board["annotations"]["list"]]
    return found


def unused():
    lines = read("unused-metrics.txt").splitlines()
    return {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}


def all_faults(metrics=None):
    labels = exported(metrics) if metrics else {}
    for name, board in boards().items():
        yield from (f"{name}: {fault}" for fault in dashboard_faults(board, labels))
    sections = sections_of(read("README.md"))
    for alert in rules("prometheus/alerts.yml"):
        yield from (f"{alert['alert']}: {fault}" for fault in alert_faults(alert, sections))
    records = {rule["record"] for rule in rules("prometheus/recording.yml")}
    yield from watch_faults(rules("prometheus/alerts.yml"), records)
    source, provider = read("provisioning/datasources/prometheus.yml"), read("provisioning/dashboards/tillswitch.yml")
    yield from provisioning_faults(source, provider, read("prometheus/prometheus.yml"))
    yield from compose_faults(read("compose.yaml"))
    if metrics:
        used = set().union(*map(metrics_in, expressions()))
        yield from usage_faults({name for name in labels}, {name for name in used}, unused())


# ---- can it fail? --------------------------------------------------------------------------------------------------


def panel_named(board, kind):
    return next(panel for panel in board["panels"] if panel["type"] == kind)


def spoilt_boards(good):
    """Copies of a dashboard, each with one fault."""
    def spoil(change):
        board = copy.deepcopy(good)
        change(board)
        return board

    def panel(kind, change):
        return spoil(lambda board: change(panel_named(board, kind)))

    expr = 'sum(rate(tillswitch_payments_total{register=~"$register",terminal=~"$terminal",driver=~"$driver"}[$__rate_interval]))'
    ask = lambda text: panel("timeseries", lambda one: one["targets"][0].update(expr=text))
    yield "a fixed data source", panel("stat", lambda one: one.update(datasource={"type": "prometheus", "uid": "P1"}))
    yield "no title", panel("stat", lambda one: one.update(title=""))
    yield "no description", panel("stat", lambda one: one.update(description="Payments."))
    yield "no unit", panel("stat", lambda one: one["fieldConfig"]["defaults"].pop("unit"))
    yield "no text for empty", panel("stat", lambda one: one["fieldConfig"]["defaults"].pop("noValue"))
    yield "no words for a state", panel("state-timeline", lambda one: one["fieldConfig"]["defaults"].update(mappings=[]))
    yield "a fixed window", ask(expr.replace("$__rate_interval", "5m"))
    yield "a bare counter", ask(expr.replace("rate(", "(").replace("[$__rate_interval]", ""))
    yield "a selector without the variables", ask(expr.replace('register=~"$register",', ""))
    yield "an overlap", panel("stat", lambda one: one["gridPos"].update(w=4))
    yield "a panel beyond the edge", panel("timeseries", lambda one: one["gridPos"].update(x=20))
    yield "a fixed data source of a mark", spoil(lambda board: board["annotations"]["list"][0].update(datasource={"type": "prometheus", "uid": "P1"}))
    yield "a fixed data source of a choice", spoil(lambda board: board["templating"]["list"][2].update(datasource={"type": "prometheus", "uid": "P1"}))
    yield "no way to the terminals", spoil(lambda board: [panel.update(links=[link for link in panel.get("links", []) if "terminals" not in link["url"]]) for panel in board["panels"]])
    yield "no annotations", spoil(lambda board: board["annotations"].update(list=[]))
    yield "no crosshair", spoil(lambda board: board.update(graphTooltip=0))
    yield "no links", spoil(lambda board: board.update(links=[]))
    yield "a link with a host", panel("stat", lambda one: one["links"].append({"url": "http://localhost:5001/"}))
    yield "editable", spoil(lambda board: board.update(editable=True))
    yield "a single choice", spoil(lambda board: board["templating"]["list"][2].update(multi=False))
    yield "no data source variable", spoil(lambda board: board["templating"]["list"].pop(0))


def spoilt_alerts(good):
    """Copies of an alert, each with one fault."""
    def spoil(**notes):
        return {**good, "annotations": {**good["annotations"], **notes}}

    yield "a name in snake case", {**good, "alert": "payment_in_doubt"}
    yield "no severity", {**good, "labels": {}}
    yield "a templated summary", spoil(summary="{{ $value }} payments.")
    yield "no next step", spoil(description="{{ $value }} payments.")
    yield "nobody named", spoil(description="Something is wrong somewhere, so please do look at all of it and mend it quickly.")
    yield "a runbook elsewhere", spoil(runbook_url="https://example.org/#paymentindoubt")
    yield "a dashboard with a host", spoil(dashboard_url="http://localhost:3000/d/tillswitch-payments")


def unseen():
    """Faults that this file would not see."""
    labels = {"tillswitch_payments_total": {"register", "terminal", "driver"}}
    board = boards()["payments.json"]
    usual = set(dashboard_faults(board, labels))
    for what, spoilt in spoilt_boards(board):
        if not set(dashboard_faults(spoilt, labels)) - usual:
            yield what
    shop = boards()["shop-today.json"]
    shop["panels"].pop()
    if not any("eight" in fault for fault in dashboard_faults(shop, labels)):
        yield "a missing tile"
    sections = sections_of(read("README.md"))
    alert = rules("prometheus/alerts.yml")[0]
    for what, spoilt in spoilt_alerts(alert):
        if not list(alert_faults(spoilt, sections)):
            yield what
    if not list(alert_faults(alert, {})):
        yield "a missing runbook section"
    alerts, records = rules("prometheus/alerts.yml"), {rule["record"] for rule in rules("prometheus/recording.yml")}
    for name in ("PaymentInDoubt", "UndecidedPaymentsFast", "UndecidedPaymentsSlow", "RouterDown", "RouterMissing", "ConfigReloadFailed",
                 "NoWebhooks", "ClockWrong", "CertificateExpiring", "DiskFillingUp", "DiskAlmostFull"):
        if not list(watch_faults([alert for alert in alerts if alert["alert"] != name], records)):
            yield f"the lack of {name}"
    if not list(watch_faults(alerts, records - {"tillswitch:payments_undecided:ratio3d"})):
        yield "the lack of a recording rule"
    compose = read("compose.yaml")
    compose["services"]["grafana"].update(image="grafana/grafana:latest", ports=["3000:3000"])
    if len(list(compose_faults(compose))) != 2:
        yield "an image without a version, or a port for everybody"
    if len(list(usage_faults({"tillswitch_a", "tillswitch_b"}, {"tillswitch_b", "tillswitch_c"}, {"tillswitch_d"}))) != 3:
        yield "a metric that is unused, unlisted or unknown"


def main(arguments):
    if "--show-that-it-can-fail" in arguments:
        faults = [f"goes unseen: {what}" for what in unseen()]
    else:
        metrics = Path(arguments[1]).read_text() if arguments[:1] == ["--metrics"] else None
        faults = list(all_faults(metrics))
    print("\n".join(faults) or "nothing to complain about")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
