"""A till that never rests: sends webhooks to the router, so that the dashboards have something to show.

Three registers, mostly sales; now and then a refund, a webhook delivered twice, a project that nobody knows.
"""

import itertools
import json
import os
import random
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

ROUTER = os.environ.get("ROUTER", "http://127.0.0.1:5000/webhook/pos-payment")
PAUSE = float(os.environ.get("PAUSE", "4"))
PROJECTS = ["1", "2", "3"]


def send(body):
    request = urllib.request.Request(ROUTER, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None


def event(project, document, chance):
    amount = f"{chance.randint(150, 9000) / 100:.2f}"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"operation": "sale", "project": {"id": project}, "currency": "EUR", "amount": amount,
            "documentNumber": document, "documentType": "invoice", "createdAt": now}


def serve(project):
    """One register's day."""
    chance = random.Random(project)
    for number in itertools.count(1):
        sale = event(project, f"{project}{int(time.time())}{number}", chance)
        status = send(sale)
        if status == 200 and number % 7 == 0:
            send({**sale, "operation": "refund", "createdAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        if number % 5 == 0:
            send(sale)
        if number % 23 == 0:
            send({**sale, "project": {"id": "unknown"}})
        time.sleep(chance.uniform(0.3, 1.7) * PAUSE)


if __name__ == "__main__":
    with ThreadPoolExecutor(len(PROJECTS)) as pool:
        list(pool.map(serve, PROJECTS))
