"""Shows that the tests of the alerts can fail: breaks every alert in several ways, and expects `promtool test rules` to notice.

    python mutants.py
"""

import copy
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "prometheus"
TESTS = ["alerts_test.yml", "alerts_slow_test.yml"]


def mutants(alert):
    """Copies of an alert that are wrong."""
    expr = alert["expr"]
    yield "mute", {**alert, "expr": f"({expr}) and on () vector(1) == 0"}
    yield "over-eager", {**alert, "expr": f"({expr}) or on () vector(1)", "for": "0s"}
    yield "with another severity", {**alert, "labels": {"severity": "page"}}
    if " and " in expr:
        yield "without its last condition", {**alert, "expr": expr.rpartition(" and ")[0]}
    if "for" in alert:
        yield "impatient", {**alert, "for": "0s"}
        yield "too patient", {**alert, "for": "30d"}


def tests_of(name):
    """The tests of one alert, in the files that they are in."""
    for file in TESTS:
        whole = yaml.safe_load((FOLDER / file).read_text())
        whole["tests"] = [test for test in whole["tests"] if test["name"].split()[0] == name]
        if whole["tests"]:
            yield file, whole


def passes(alerts, name):
    """Whether one alert's tests pass with these alerts."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "recording.yml").write_text((FOLDER / "recording.yml").read_text())
        (folder / "alerts.yml").write_text(yaml.safe_dump(alerts))
        for file, tests in tests_of(name):
            (folder / file).write_text(yaml.safe_dump(tests))
            ran = subprocess.run(["promtool", "test", "rules", file], cwd=folder, capture_output=True, timeout=120)
            if ran.returncode:
                return False
    return True


def cases():
    """Every alert as it is, then each of its mutants: (name, what, alerts, whether the tests should pass)."""
    good = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    for group, rules in enumerate(good["groups"]):
        for place, alert in enumerate(rules["rules"]):
            yield alert["alert"], "as it is", good, True
            for what, mutant in mutants(alert):
                alerts = copy.deepcopy(good)
                alerts["groups"][group]["rules"][place] = mutant
                yield alert["alert"], what, alerts, False


def fault(case):
    """What is wrong with the tests of an alert, if anything."""
    name, what, alerts, expected = case
    kinds = {test["name"] for _, tests in tests_of(name) for test in tests["tests"]}
    if kinds != {f"{name} fires", f"{name} stays silent"}:
        return f"{name} needs a test that fires and one that stays silent"
    if passes(alerts, name) != expected:
        return f"{name} {what}: its tests {'fail' if expected else 'pass all the same'}"
    return None


def main():
    with ThreadPoolExecutor(2) as pool:
        todo = list(cases())
        faults = [found for found in pool.map(fault, todo) if found]
    print("\n".join(faults) or f"{len(todo)} copies, every wrong one was noticed")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
