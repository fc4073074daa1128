"""Describes the two dashboards, and writes them as the JSON that Grafana reads.

    python dashboards.py            writes dashboards/*.json
    python dashboards.py --check    fails if they differ from this description
"""

import sys
from itertools import count
from pathlib import Path

from grafana_foundation_sdk.builders import common as looks
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"

# What the three variables filter, for each set of labels that a metric may carry.
TILL = 'register=~"$register",terminal=~"$terminal",driver=~"$driver"'
PLACE = 'register=~"$register",terminal=~"$terminal"'
DEVICE = 'terminal=~"$terminal",driver=~"$driver"'
TERMINAL = 'terminal=~"$terminal"'

COLOURS = {
    "approved": GREEN,
    "declined": YELLOW,
    "cancelled": BLUE,
    "failed": "orange",
    "expired": "purple",
    "in_doubt": RED,
}

IN_DOUBT_LINK = ("Payments in doubt", "http://${page:raw}/?state=in_doubt")
TERMINALS_LINK = ("Terminals on the operator's page", "http://${page:raw}/?view=terminals")


# ---- small parts ---------------------------------------------------------------------------------------------------


def quantile(share, metric, selector, by=""):
    """A quantile of a histogram. `>= 0` leaves out the NaN of a time in which nothing was observed."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{selector}}}[$__rate_interval]))) >= 0"


def reachable(selector=""):
    """The share of the configured terminals that can be reached. Those that a reload removed have the info 0."""
    up = f"tillswitch_terminal_up{{{selector}}}" if selector else "tillswitch_terminal_up"
    info = f"tillswitch_terminal_info{{{selector}}}" if selector else "tillswitch_terminal_info"
    configured = f"max by (terminal, driver) ({info})"
    return f"sum({up} * on (terminal, driver) {configured}) / (sum({configured}) > 0)"


def query(expr, legend="", instant=False, heat=False):
    """One question to Prometheus."""
    asked = prometheus.Dataquery().expr(expr).legend_format(legend or "__auto").datasource(SOURCE)
    if heat:
        asked = asked.format(PromQueryFormat.HEATMAP)
    return asked.instant() if instant else asked.range()


def thresholds(*steps):
    """From these values on a colour; the first has none."""
    levels = [Threshold(value=value, color=colour) for value, colour in steps]
    return board.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(levels)


def words(**values):
    """What a number is called. `n0="off"` names 0."""
    options = {key.removeprefix("n"): ValueMappingResult(text=text, color=colour) for key, (text, colour) in values.items()}
    return [ValueMap(options=options)]


def link(title, url):
    return board.DashboardLink(title).type(DashboardLinkType.LINK).url(url).target_blank(True)


def finish(panel, title, text, queries, unit, decimals=None, links=(), empty=None):
    """What every panel has."""
    panel = panel.title(title).description(text).datasource(SOURCE).unit(unit)
    for letter, asked in zip("ABCDEF", queries):
        panel = panel.with_target(asked.ref_id(letter))
    if decimals is not None:
        panel = panel.decimals(decimals)
    if empty:
        panel = panel.no_value(empty)
    return panel.links([link(*one) for one in links]) if links else panel


def tile(title, text, expr, unit=units.NoUnit, steps=((None, GREY),), maps=None, empty="no data", legend="", name=False, **more):
    """One number or word."""
    panel = (
        stat.Panel()
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(looks.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .text_mode(common.BigValueTextMode.NAME if name else common.BigValueTextMode.VALUE)
        .thresholds(thresholds(*steps))
        .color_scheme(board.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )
    if maps:
        panel = panel.mappings(maps)
    return finish(panel, title, text, [query(expr, legend, instant=True)], unit, empty=empty, **more)


def curves(title, text, queries, unit, stacked=False, colours=None, **more):
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(25 if stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .min(0)
        .legend(looks.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(looks.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    )
    if stacked:
        panel = panel.stacking(looks.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    return finish(panel, title, text, [query(*one) for one in queries], unit, **more)


def states(title, text, expr, legend, maps, **more):
    """Words over time, one line for each series."""
    panel = (
        statetimeline.Panel()
        .show_value(common.VisibilityMode.ALWAYS)
        .merge_values(True)
        .fill_opacity(70)
        .mappings(maps)
        .color_scheme(board.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )
    return finish(panel, title, text, [query(expr, legend)], units.NoUnit, **more)


def heat(title, text, expr, unit):
    """How many fell into each bucket, over time."""
    panel = (
        heatmap.Panel()
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(32))
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .cell_gap(1)
    )
    return finish(panel, title, text, [query(expr, "{{le}}", heat=True)], unit)


def choice(name, label, metric):
    """A variable: several choices, all of them at first, asked anew whenever the time changes."""
    return (
        board.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": f"label_values({metric}, {name})", "refId": f"values of {name}"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(VariableOption(text="All", value="$__all"))
    )


def annotation(name, expr, colour):
    return board.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expr)


def dashboard(uid, title, text, since):
    """What both dashboards share: the data source, the marks, the links."""
    source = board.DatasourceVariable("datasource").label("Data source").type("prometheus")
    page = (
        board.QueryVariable("page")
        .hide(VariableHide.HIDE_VARIABLE)
        .datasource(SOURCE)
        .query({"query": "label_values(tillswitch_build_info, instance)", "refId": "address of the page"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )
    others = (
        board.DashboardLink("Tillswitch")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["tillswitch"])
        .as_dropdown(False)
        .include_vars(False)
        .keep_time(False)
    )
    return (
        board.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags(["tillswitch"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time(since, "now")
        .timezone("browser")
        .refresh("30s")
        .with_variable(source)
        .with_variable(page)
        .link(others)
        .annotation(annotation("Restarts", 'changes(process_start_time_seconds{job="tillswitch"}[$__rate_interval]) > 0', RED))
        .annotation(
            annotation("Configuration reloads", "changes(tillswitch_config_last_reload_timestamp_seconds[$__rate_interval]) > 0", BLUE)
        )
    )


def placed(built, rows):
    """Puts panels from left to right: `rows` is (title or None, [(height, [(width, panel)…])…])."""
    down, number = 0, count(1)
    for title, lines in rows:
        if title:
            built = built.with_row(board.Row(title).id(next(number)).grid_pos(GridPos(h=1, w=24, x=0, y=down)))
            down += 1
        for height, panels in lines:
            across = 0
            for width, panel in panels:
                built = built.with_panel(panel.id(next(number)).grid_pos(GridPos(h=height, w=width, x=across, y=down)))
                across += width
            down += height
    return built


# ---- Payments ------------------------------------------------------------------------------------------------------


def now():
    return ("Now", [(4, [
        (3, tile(
            "In doubt",
            "Payments whose outcome is missing. Must be 0: act on every one of them that stays for a minute. Nothing shown means that Tillswitch is not being read.",
            f"sum(tillswitch_payments_in_doubt{{{PLACE}}})",
            steps=((None, GREEN), (1, RED)), maps=words(n0=("none", GREEN)), empty="not read", links=[IN_DOUBT_LINK],
        )),
        (3, tile(
            "Terminals",
            "Share of the terminals that could be reached when they were last needed; one that was never needed counts as reachable. Act when it stays below 100 % for two minutes. Nothing shown means that no terminal is chosen.",
            reachable(DEVICE),
            units.PercentUnit, steps=((None, RED), (1, GREEN)), maps=words(n0=("none", RED), n1=("all", GREEN)), empty="no terminal",
            links=[TERMINALS_LINK],
        )),
        (3, tile(
            "At a terminal",
            "Payments that a terminal is at right now. Nothing to act on; a number that stays for five minutes is a terminal that hangs. Nothing shown means that Tillswitch is not being read.",
            f"sum(tillswitch_payments_in_progress{{{PLACE}}})", empty="not read",
        )),
        (3, tile(
            "In this period",
            "Payments that came to an outcome in the period chosen above. Compare with what the shop should have; act when it stays at 0 while customers pay. Nothing shown means no data in this period.",
            f'round(sum(increase(tillswitch_payments_total{{{TILL},outcome!="in_doubt"}}[$__range])))', units.Short, empty="no data",
        )),
        (3, tile(
            "Approved",
            "Share of the answered payments that were approved in this period. Banks decide; act below 70 % by looking at the reasons. Nothing shown means that no payment was answered yet.",
            f'sum(increase(tillswitch_payments_total{{{TILL},outcome="approved"}}[$__range])) / (sum(increase(tillswitch_payments_total{{{TILL},outcome=~"approved|declined|cancelled"}}[$__range])) > 0)',
            units.PercentUnit, steps=((None, YELLOW), (0.7, GREEN)), empty="no payment yet",
        )),
        (3, tile(
            "Slow ones take",
            "Nineteen of twenty payments in this period took at most this long, customer included. Act above a minute. Nothing shown means that no payment ended yet.",
            f"histogram_quantile(0.95, sum by (le) (increase(tillswitch_payment_duration_seconds_bucket{{{DEVICE}}}[$__range]))) >= 0",
            units.Seconds, steps=((None, GREEN), (60, RED)), empty="no payment yet",
        )),
        (3, tile(
            "Tillswitch",
            "Whether Prometheus can read Tillswitch. Act when it says down: cards cannot be taken. Nothing shown means that nobody watches it.",
            'min(up{job="tillswitch"})', maps=words(n0=("down", RED), n1=("up", GREEN)), steps=((None, RED), (1, GREEN)), empty="not watched",
        )),
        (3, tile(
            "Version",
            "The program that runs. Nothing to act on unless it differs from what was installed. Nothing shown means that Tillswitch is not being read.",
            "tillswitch_build_info", legend="{{version}}", name=True, empty="not read",
        )),
    ])])


def payments():
    return ("Payments", [(8, [
        (12, curves(
            "Payments by outcome",
            "Payments per second that came into each state; one in doubt and approved later counts under both. Act on any in_doubt, and on declined or failed that grows beyond approved.",
            [(f"sum by (outcome) (rate(tillswitch_payments_total{{{TILL}}}[$__rate_interval]))", "{{outcome}}")],
            units.RequestsPerSecond, stacked=True, colours=COLOURS, links=[IN_DOUBT_LINK],
        )),
        (12, curves(
            "How long payments take",
            "From the terminal's start to its outcome, customer included: half, 95 and 99 of a hundred took at most this long. Act when 95 % stays above a minute.",
            [(quantile(share, "tillswitch_payment_duration_seconds", DEVICE), name) for share, name in ((0.5, "half"), (0.95, "95 %"), (0.99, "99 %"))],
            units.Seconds, empty="no payment in this period",
        )),
    ]), (8, [
        (8, heat(
            "Spread of payment times",
            "How many payments per second took how long. Two bands are usual (contactless and PIN); act when a band wanders upwards over days.",
            f"sum by (le) (rate(tillswitch_payment_duration_seconds_bucket{{{DEVICE}}}[$__rate_interval]))", units.Seconds,
        )),
        (8, curves(
            "Declines by reason",
            "Declined payments per second by what the terminal said. Act when one reason other than the card itself dominates: host and network reasons are the provider's.",
            [(f"sum by (reason) (rate(tillswitch_declines_total{{{TERMINAL}}}[$__rate_interval])) > 0", "{{reason}}")],
            units.RequestsPerSecond, stacked=True, empty="no decline",
        )),
        (8, curves(
            "In doubt, and how it was resolved",
            "Payments that came into doubt, and those that were resolved, in each interval. Act when what the operator resolved grows, or when more come in than go out.",
            [(f'sum(increase(tillswitch_payments_total{{{TILL},outcome="in_doubt"}}[$__rate_interval]))', "came into doubt"),
             ("sum by (how) (increase(tillswitch_in_doubt_resolved_total[$__rate_interval]))", "resolved by {{how}}")],
            units.Short, links=[IN_DOUBT_LINK],
        )),
    ]), (7, [
        (8, curves(
            "Left to a person",
            "Share of payments that needed a person to find their outcome; 0.05 % is promised. Act when the hour's line is above 0.72 % or the six hours' above 0.3 %.",
            [("tillswitch:payments_undecided:ratio1h", "1 hour"), ("tillswitch:payments_undecided:ratio6h", "6 hours"), ("tillswitch:payments_undecided:ratio3d", "3 days")],
            units.PercentUnit,
        )),
        (8, tile(
            "Oldest payment in doubt",
            "How long the oldest payment in doubt has been waiting. Act after a minute; the next payment at its terminal has to wait too. Nothing shown means that none is in doubt.",
            "time() - (tillswitch_in_doubt_oldest_timestamp_seconds > 0)", units.Seconds,
            steps=((None, YELLOW), (60, RED)), empty="none", links=[IN_DOUBT_LINK],
        )),
        (8, tile(
            "Contradictions",
            "Incidents in this period: a terminal said something that contradicts its journal. Act on every one by comparing with the receipt. Nothing shown means that Tillswitch is not being read.",
            f"round(sum(increase(tillswitch_incidents_total{{{TERMINAL}}}[$__range])))", units.Short,
            steps=((None, GREEN), (1, RED)), maps=words(n0=("none", GREEN)), empty="not read",
        )),
    ])])


def terminals():
    return ("Terminals", [(7, [
        (16, states(
            "Can the terminals be reached?",
            "Whether each terminal could be reached when it was last needed; yes before it was ever needed. Act when one says no for two minutes: power, cable, address.",
            f"tillswitch_terminal_up{{{DEVICE}}} and on (terminal, driver) (tillswitch_terminal_info{{{DEVICE}}} == 1)",
            "{{terminal}}", words(n0=("no", RED), n1=("yes", GREEN)), links=[TERMINALS_LINK],
        )),
        (8, curves(
            "Silent for",
            "Time since each terminal answered last. Long is normal when nobody pays; act when it grows during payments.",
            [(f"time() - (tillswitch_terminal_last_seen_timestamp_seconds{{{TERMINAL}}} > 0)", "{{terminal}}")],
            units.Seconds, empty="never heard",
        )),
    ]), (7, [
        (12, curves(
            "Link errors by kind",
            "Payments and questions per second that ended without the terminal's answer, by what went wrong. Act when they repeat: unreachable means power, cable or address, a lost link the network.",
            [(f"sum by (terminal, kind) (rate(tillswitch_link_errors_total{{{TERMINAL}}}[$__rate_interval])) > 0", "{{terminal}} {{kind}}")],
            units.RequestsPerSecond, empty="no error",
        )),
        (12, curves(
            "Payments by terminal",
            "Payments per second that came to an outcome, by terminal. Act when one stays at 0 while its registers sell: cashiers may do without it.",
            [(f'sum by (terminal) (rate(tillswitch_payments_total{{{TILL},outcome!="in_doubt"}}[$__rate_interval]))', "{{terminal}}")],
            units.RequestsPerSecond, stacked=True,
        )),
    ]), (7, [
        (8, curves(
            "Confirmed within",
            "99 of a hundred commands to each terminal were confirmed within this time, without customer and bank; a plain HTTP terminal confirms nothing before the outcome. Act when it grows towards seconds: the terminal or its network is overloaded.",
            [(quantile(0.99, "tillswitch_protocol_response_seconds", TERMINAL, "terminal"), "{{terminal}}")],
            units.Seconds, empty="no command in this period",
        )),
        (8, curves(
            "New connections and repeated frames",
            "Connections opened to each terminal, and frames that a serial line had to send again, in each interval. Act when a terminal with `connection = \"keep\"` connects with every payment (something cuts idle links), or when frames are repeated daily: cable or adapter.",
            [
                (f"sum by (terminal) (increase(tillswitch_link_connects_total{{{TERMINAL}}}[$__rate_interval]))", "{{terminal}} connections"),
                (f"sum by (terminal) (increase(tillswitch_link_retransmissions_total{{{TERMINAL}}}[$__rate_interval]))", "{{terminal}} repeated"),
            ],
            units.Short,
        )),
        (8, curves(
            "Waiting at each terminal",
            "How full the queue in front of each terminal is, and the journal's. Act above 80 %: the next payments will be refused as busy.",
            [('tillswitch_queue_depth{terminal=~"$terminal|"} / (tillswitch_queue_capacity{terminal=~"$terminal|"} > 0)', "{{queue}} {{terminal}}")],
            units.PercentUnit,
        )),
    ])])


def webhooks():
    return ("Webhooks", [(7, [
        (8, curves(
            "Webhooks by answer",
            "Webhooks per second by class of the answer. 402 for a declined card is a 4xx and normal; act when 5xx appear or when nothing comes in opening hours.",
            [("sum by (status_class) (rate(tillswitch_webhook_requests_total[$__rate_interval]))", "{{status_class}}")],
            units.RequestsPerSecond, stacked=True,
        )),
        (8, curves(
            "Turned away",
            "Webhooks per second that started no payment, by reason. Act on unknown_register and unknown_payment_event at once: a sale was not charged; on bad_signature when it repeats.",
            [("sum by (reason) (rate(tillswitch_webhook_rejected_total[$__rate_interval])) > 0", "{{reason}}")],
            units.RequestsPerSecond, stacked=True, empty="none turned away",
        )),
        (8, curves(
            "Repeats",
            "Webhooks per second that were delivered again and got the answer of their payment. Harmless; act when it equals the number of payments: two webhooks are registered.",
            [("sum(rate(tillswitch_webhook_duplicates_total[$__rate_interval]))", "repeats")],
            units.RequestsPerSecond,
        )),
    ]), (7, [
        (12, curves(
            "Webhooks are on disk within",
            "99 of a hundred webhooks were received, checked and durably stored within this time. Act above 250 ms: the disk is slow.",
            [(quantile(0.99, "tillswitch_webhook_ack_duration_seconds", ""), "99 %")],
            units.Seconds, empty="no webhook in this period",
        )),
        (12, curves(
            "Signature keys in use",
            "Webhooks per second by the key that fitted, counted from 1 in the configuration. Act after a rotation: once the old key's line stays at 0 for a day, remove it.",
            [("sum by (key) (rate(tillswitch_webhook_signatures_total[$__rate_interval]))", "key {{key}}")],
            units.RequestsPerSecond, empty="webhooks are not signed",
        )),
    ])])


def engine():
    return ("Engine", [(7, [
        (12, curves(
            "Our own share by stage",
            "99 of a hundred payments spent at most this long in each stage of Tillswitch itself, without terminal and customer. Act above 250 ms: usually the disk.",
            [(quantile(0.99, "tillswitch_router_overhead_seconds", "", "stage"), "{{stage}}")],
            units.Seconds, empty="no payment in this period",
        )),
        (12, curves(
            "Journal writes",
            "99 of a hundred writes to the journal, and syncs to the disk, took at most this long. Act above 100 ms: the disk is worn or shared.",
            [(quantile(0.99, "tillswitch_journal_append_seconds", ""), "write"), (quantile(0.99, "tillswitch_journal_fsync_seconds", ""), "sync")],
            units.Seconds, empty="nothing written in this period",
        )),
    ]), (7, [
        (6, curves(
            "Journal and disk",
            "Size of the journal, and the room left beside it. Act below 256 MiB of room: at `min_free` no payment starts any more.",
            [("tillswitch_journal_bytes", "journal"), ("tillswitch_journal_free_bytes", "free")],
            units.BytesIEC,
        )),
        (6, states(
            "Can the journal be written?",
            "Whether payments can be stored. Act at once when it says no: every new payment is refused until the disk is mended and Tillswitch restarted.",
            "tillswitch_journal_read_only", "journal", words(n0=("yes", GREEN), n1=("no", RED)),
        )),
        (6, curves(
            "Journal errors",
            "Errors of the journal by what failed, in each interval. Act on every one.",
            [("sum by (op) (increase(tillswitch_journal_errors_total[$__rate_interval]))", "{{op}}")], units.Short,
        )),
        (6, curves(
            "Found at the last start",
            "Open payments that the journal held when Tillswitch started, by what was made of them. Act when in_doubt is not resolved within minutes.",
            [("sum by (result) (tillswitch_recovery_records_total)", "{{result}}")], units.Short,
        )),
    ]), (4, [
        (12, tile(
            "Payments in the journal",
            "All payments that are kept. Nothing to act on unless it shrinks before the years of retention are over. Nothing shown means that Tillswitch is not being read.",
            "sum(tillswitch_journal_records)", units.Short, empty="not read",
        )),
        (12, tile(
            "The last start settled what was open in",
            "Time that the last start needed to find what a crash or restart had left open. Act above ten seconds: the disk is slow. Nothing shown means that Tillswitch is not being read.",
            "max(tillswitch_recovery_duration_seconds)", units.Seconds, steps=((None, GREEN), (10, YELLOW)), empty="not read",
        )),
    ])])


def process():
    return ("Process", [(7, [
        (6, curves(
            "Memory",
            "Resident memory of Tillswitch. About 15 to 40 MiB is usual; act when it grows for days.",
            [('process_resident_memory_bytes{job="tillswitch"}', "resident")], units.BytesIEC,
        )),
        (6, curves(
            "Open files",
            "File descriptors in use and allowed. Act when the first comes near the second: connections are not closed.",
            [('process_open_fds{job="tillswitch"}', "in use"), ('process_max_fds{job="tillswitch"}', "allowed")], units.Short,
        )),
        (6, curves(
            "Processor time",
            "Share of one processor core that Tillswitch uses. A few percent are usual; act when it stays near 100 %.",
            [('rate(process_cpu_seconds_total{job="tillswitch"}[$__rate_interval])', "used")], units.PercentUnit,
        )),
        (6, curves(
            "Connections",
            "Open connections by listener, and how many of them are told events as they happen. Act when the public one stays near `max_connections`, or the events near 32: no further listener gets in.",
            [
                ("sum by (listener) (tillswitch_http_connections)", "{{listener}}"),
                ("sum by (listener) (tillswitch_sse_clients)", "{{listener}}, events"),
            ], units.Short,
        )),
    ]), (6, [
        (8, curves(
            "Log-ins to the page",
            "Exchanges of the token for a session of the page, in each interval. Act when wrong tokens come in rows: somebody tries them out.",
            [("sum by (result) (increase(tillswitch_admin_logins_total[$__rate_interval]))", "{{result}}")], units.Short,
        )),
        (8, curves(
            "Threads busy",
            "Share of the last seconds in which the program's threads were at work; 100 % is all of them. Act when it stays above 80 %: payments wait for the processor.",
            [("tillswitch_runtime_busy_ratio", "busy")], units.PercentUnit,
        )),
        (8, curves(
            "Tasks alive",
            "Tasks of the program that have not ended: some for each terminal and each connection. Act when it grows for days while the connections do not.",
            [("tillswitch_runtime_alive_tasks", "tasks")], units.Short,
        )),
    ])])


def payments_board():
    built = dashboard("tillswitch-payments", "Payments", "What becomes of card payments, and whether everything that they need works.", "now-6h")
    for name, label, metric in (("register", "Register", "tillswitch_payments_total"),
                                ("terminal", "Terminal", 'tillswitch_payments_total{register=~"$register"}'),
                                ("driver", "Driver", 'tillswitch_payments_total{register=~"$register",terminal=~"$terminal"}')):
        built = built.with_variable(choice(name, label, metric))
    return placed(built, [now(), payments(), terminals(), webhooks(), engine(), process()])


# ---- Shop today ----------------------------------------------------------------------------------------------------


def shop_board():
    """Eight tiles for whoever owns the shop."""
    everything = (
        '(sum(tillswitch_payments_in_doubt) == bool 0) * (max(tillswitch_journal_read_only) == bool 0)'
        ' * (min(tillswitch_terminal_up) == bool 1) * min(up{job="tillswitch"})'
    )
    total = 'round(sum(increase(tillswitch_payments_total{{{}}}[$__range])))'
    tiles = [
        tile("Is everything all right?",
             "Yes when all terminals answer, no payment is unclear, and payments can be stored. When it says no, look at the other tiles. Nothing shown means that Tillswitch does not run: call whoever looks after it.",
             everything, maps=words(n0=("Please look", RED), n1=("Yes", GREEN)), steps=((None, RED), (1, GREEN)), empty="No contact",
             links=[TERMINALS_LINK]),
        tile("Payments to clear up",
             "Payments for which nobody knows yet whether the customer paid. Usually 0 again within a minute; otherwise look at the terminal's receipt and do not charge again. Nothing shown means no contact.",
             "sum(tillswitch_payments_in_doubt)", maps=words(n0=("none", GREEN)), steps=((None, GREEN), (1, RED)), empty="No contact",
             links=[IN_DOUBT_LINK]),
        tile("Terminals ready",
             "How many of your terminals answer. Act when it is not all of them: check power and cable of the silent one. Nothing shown means no contact.",
             reachable(), units.PercentUnit, maps=words(n0=("none", RED), n1=("all", GREEN)), steps=((None, RED), (1, GREEN)),
             empty="No contact", links=[TERMINALS_LINK]),
        tile("Customers paying right now",
             "Customers who stand at a terminal at this moment. Only when the same number stays for five minutes is something stuck. Nothing shown means no contact.",
             "sum(tillswitch_payments_in_progress)", maps=words(n0=("nobody", GREY)), empty="No contact"),
        tile("Paid by card today",
             "Card sales since midnight that went through. Act when it stays at 0 although customers pay by card. Nothing shown means that today has no data yet.",
             total.format('operation="sale",outcome="approved"'), units.Short, empty="nothing yet"),
        tile("Given back today",
             "Card refunds and cancelled sales since midnight that went through. Act when there are more than you know of. Nothing shown means that today has no data yet.",
             total.format('operation=~"refund|reversal",outcome="approved"'), units.Short, empty="nothing yet"),
        tile("Cards turned down today",
             "Payments since midnight that the customer's bank refused. A few are normal; when it is every second card, call the terminal's provider. Nothing shown means that today has no data yet.",
             total.format('outcome="declined"'), units.Short, empty="nothing yet"),
        tile("A payment usually takes",
             "Half of today's payments were quicker than this, the customer's time included. Act when it is more than half a minute: the terminal's connection is slow. Nothing shown means that nobody has paid yet.",
             "histogram_quantile(0.5, sum by (le) (increase(tillswitch_payment_duration_seconds_bucket[$__range]))) >= 0",
             units.Seconds, steps=((None, GREEN), (30, YELLOW)), empty="nobody paid yet"),
    ]
    lines = [(6, [(6, one) for one in tiles[:4]]), (6, [(6, one) for one in tiles[4:]])]
    built = dashboard("tillswitch-shop", "Shop today", "Eight answers for whoever owns the shop.", "now/d")
    return placed(built, [(None, lines)])


BOARDS = {"payments.json": payments_board, "shop-today.json": shop_board}


def main(check):
    stale = []
    for name, describe in BOARDS.items():
        text = JSONEncoder(sort_keys=True, indent=2).encode(describe().build()) + "\n"
        path = FOLDER / name
        if check and (not path.exists() or path.read_text() != text):
            stale.append(name)
        elif not check:
            path.write_text(text)
    if stale:
        sys.exit(f"differ from their description, run `python dashboards.py`: {', '.join(stale)}")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
