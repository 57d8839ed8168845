"""The alarms of the templates: what they watch, and that alerts of Prometheus tell the same."""

import re

import yaml

from .reading import Wrong, one_line

# What DynamoDB tells CloudWatch of each operation on a table ("DynamoDB metrics and dimensions").
TABLE_METRICS = {"ThrottledRequests", "SystemErrors"}

# "Only the latest 3 hours of data can be used" by the alarms whose metrics come from a query.
LOOKS_BACK = 3 * 60 * 60

QUERY = re.compile(
    r"SELECT (?P<function>\w+)\((?P<metric>\w+)\) FROM \"(?P<namespace>[^\"]+)\""
    r"(?: WHERE \"(?P<label>\w+)\" (?P<operator>!?=) '(?P<value>[^']+)')?"
    r"(?: GROUP BY \"(?P<group>\w+)\" ORDER BY (?P<order>\w+)\(\) DESC)?"
)

# The alarm that tells what an alert tells. There is no alert on the table.
SAME = {
    "CircuitOpen": "circuit-open",
    "CircuitThrottled": "circuit-throttled",
    "CircuitDownForLong": "circuit-down-for-long",
    "CircuitHeldForLong": "circuit-held-for-long",
    "CircuitStoreMisconfigured": "misconfigured",
    "CircuitFailingOpen": "failing-open",
    "CircuitStoreFails": "store-faults",
    "CircuitSubscriberLags": "subscriber-lags",
    "CircuitSettingsRefused": "settings-refused",
}

EXPRESSION = re.compile(
    r"(?P<now>time\(\) - )?\w+(?: by \((?P<group>\w+)\))? ?\("
    r"(?:(?P<over>rate|increase)\()?(?P<metric>fuseboard_\w+)(?:\{(?P<where>[^}]*)\})?"
    r"(?:\[(?P<range>\w+)\]\))?(?: > 0)?\) > (?P<bound>[\d.]+)(?P<unless> unless .*)?"
)
UNLESS_HELD = " unless on (circuit) max by (circuit) (fuseboard_circuit_held) > 0"
NOT_TRIED = ("circuit", "!~", ".*#dry-run")

# No query of CloudWatch knows what time it is, nor does a function tell its instance.
INSTEAD = {"fuseboard_circuit_down_since_seconds": "fuseboard_circuit_down"}
GROUPS = {"instance": None, "job": None}


def expect(what, found, wanted):
    if found != wanted:
        yield f"{what} is {found!r}, not {wanted!r}"


def query_faults(name, alarm, crate):
    """What is wrong with the query of an alarm."""
    parsed = QUERY.fullmatch(alarm["query"])
    if not parsed:
        yield f"alarm {name} has a query that nothing checks: {alarm['query']}"
        return
    of = parsed.groupdict()
    function, metric, label = of["function"], of["metric"], of["label"]
    if metric in TABLE_METRICS:
        found = (function, of["namespace"], label, of["operator"], of["value"], alarm["when"])
        wanted = ("SUM", "AWS/DynamoDB", "TableName", "=", "<table_name>", None)
        yield from expect(f"the query of {name}", found, wanted)
        return
    if metric not in crate.metrics:
        yield f"alarm {name} watches {metric}, which docs/metrics.md does not have"
        return
    kind, labels = crate.metrics[metric]
    wanted = {"gauge": "MAX", "counter": "SUM"}.get(kind)
    yield from expect(f"the function of {name}", function, wanted)
    found = (of["namespace"], alarm["when"])
    wanted = ("<metrics_namespace>", "metrics_namespace != ''")
    yield from expect(f"the metrics of {name}", found, wanted)
    if label and (label not in labels or of["value"] not in (labels[label] or ())):
        asked = f"{label} {of['operator']} {of['value']}"
        yield f"alarm {name} asks for {asked}, which {metric} does not have"
    if of["group"] and of["group"] not in labels:
        yield f"alarm {name} groups by {of['group']}, which {metric} does not have"
    if of["group"] and of["order"] != function:
        yield f"alarm {name} orders by {of['order']}, not by {function}"


def faults(one, crate):
    for name, alarm in one["alarms"].items():
        yield from query_faults(name, alarm, crate)
        yield from expect(f"{name}'s actions", alarm["actions"], (["<topic>"], ["<topic>"]))
        yield from expect(f"{name} without data", alarm["missing"], "notBreaching")
        if not 1 <= alarm["breaching"] <= alarm["periods"]:
            yield f"alarm {name} wants {alarm['breaching']} periods of {alarm['periods']}"
        if alarm["periods"] * alarm["period"] > LOOKS_BACK:
            yield f"alarm {name} wants to look back further than {LOOKS_BACK} s"
    queries = [QUERY.fullmatch(alarm["query"]) for alarm in one["alarms"].values()]
    watched = {query["metric"] for query in queries if query} & TABLE_METRICS
    yield from expect("what alarms watch of the table", watched, TABLE_METRICS)
    namespace = one["parameters"]["metrics_namespace"]["default"]
    yield from expect("the namespace by default", namespace, crate.namespace)


def seconds(text):
    """`3h` as seconds."""
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def alert(rule):
    """What an alert of Prometheus watches, as far as an alarm can."""
    name = rule["alert"]
    parsed = EXPRESSION.fullmatch(one_line(rule["expr"]))
    if not parsed:
        raise Wrong(f"alert {name} has an expression that nothing checks: {rule['expr']}")
    of = parsed.groupdict()
    metric, bound = of["metric"], float(of["bound"])
    where = re.findall(r"(\w+)(!?[=~]~?)\"([^\"]*)\"", of["where"] or "")
    # The gauge that an alarm asks for is 0 under a hold, and is not set for one that is tried.
    if metric.startswith("fuseboard_circuit_down") and of["unless"] != UNLESS_HELD:
        raise Wrong(f"alert {name} tells of circuits that are held")
    if metric in INSTEAD and NOT_TRIED not in where:
        raise Wrong(f"alert {name} tells of circuits that are only tried")
    if of["now"]:
        waits = bound
    else:
        waits = seconds(rule.get("for") or of["range"] or "0s")
    return {
        "metric": INSTEAD.get(metric, metric),
        "where": [each for each in where if each != NOT_TRIED],
        "group": GROUPS.get(of["group"], of["group"]),
        "bound": bound if of["over"] == "rate" else 0,
        "waits": waits,
    }


def alarm_as_alert(alarm):
    of = QUERY.fullmatch(alarm["query"])
    if not of:
        raise Wrong(f"an alarm has a query that nothing checks: {alarm['query']}")
    return {
        "metric": of["metric"],
        "where": [(of["label"], of["operator"], of["value"])] if of["label"] else [],
        "group": of["group"],
        "bound": alarm["threshold"] / alarm["period"],
    }


def parity_faults(one, text):
    """Where the alerts of Prometheus tell something else than the alarms of the templates."""
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    names = [rule["alert"] for rule in rules]
    yield from expect("what Prometheus alerts of", sorted(names), sorted(SAME))
    process_alarms = {
        name.removeprefix("<table_name>-"): of for name, of in one["alarms"].items() if of["when"]
    }
    yield from expect("what alarms tell", sorted(process_alarms), sorted(SAME.values()))
    for rule in rules:
        alarm = process_alarms.get(SAME.get(rule["alert"]))
        if not alarm:
            continue
        wanted, found = alert(rule), alarm_as_alert(alarm)
        waits = wanted.pop("waits")
        for what in wanted:
            yield from expect(
                f"{what} of {SAME[rule['alert']]}, beside alert {rule['alert']},",
                found[what],
                wanted[what],
            )
        # A process may tell CloudWatch less often than it is scraped: of some periods not all.
        least, most = (alarm[each] * alarm["period"] for each in ("breaching", "periods"))
        if not least <= waits <= most:
            yield f"alert {rule['alert']} waits {waits:g} s, and its alarm {least} to {most} s"
