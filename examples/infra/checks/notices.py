"""Which changes of an item the pipe tells of: its filters, over records as the stream has them."""

import re

from .reading import Wrong


def matches(pattern, event):
    """Whether an event matches a pattern of EventBridge.

    Knows values, and `prefix`; anything else is refused here, since not all that rules know works
    in the filters of a pipe.
    """
    for name, wanted in pattern.items():
        found = event.get(name) if isinstance(event, dict) else None
        if isinstance(wanted, dict):
            if not matches(wanted, found):
                return False
        elif not any(fits(each, found) for each in wanted):
            return False
    return True


def fits(wanted, found):
    if isinstance(wanted, str):
        return found == wanted
    if isinstance(wanted, dict) and list(wanted) == ["prefix"]:
        return isinstance(found, str) and found.startswith(wanted["prefix"])
    raise Wrong(f"a filter says {wanted!r}, which nothing checks")


class Items:
    """Items as the crate and Powertools leave them, from the one in the documentation."""

    def __init__(self, crate):
        self.crate = crate
        probed = crate.item
        lasting = {name: probed[name] for name in (crate.key, "expiration")}
        opened = {**lasting, "state": "OPEN", "opened_at": probed["opened_at"]}
        self.probed = probed
        self.taken_over = {**probed, "half_open_owner": "task-42/0c1d2e3f"}
        self.probed_well = {**probed, "success_count": 1}
        self.closed = {**lasting, "state": "CLOSED", "failure_count": 0}
        self.released = {**self.closed, "released": 1763668900}
        self.open = {**opened, "failure_count": 5}
        self.open_for = {**self.open, "open_until": 1763669400}
        self.reopened = {**opened, "failure_count": 0}
        self.reopened_later = {**self.reopened, "failed_probes": 3}
        self.held = {**opened, "failure_count": 0, "half_open_owner": f"{crate.hold}deploy"}
        self.held_longer = {**self.held, "opened_at": probed["opened_at"] + 3600}
        # Powertools leaves out what is not set, and does not know what this crate adds.
        self.probed_by_python = {name: probed[name] for name in probed if name != "success_count"}
        for item in vars(self).values():
            if isinstance(item, dict) and not set(item) <= crate.attributes:
                raise Wrong(f"no item has {sorted(set(item) - crate.attributes)}")

    def changes(self):
        """What happens, the item before and after, and which notices tell of it."""
        return [
            ("the first trip", None, self.open, "openings"),
            ("a trip", self.closed, self.open, "openings"),
            ("a trip after a release", self.released, self.open, "openings"),
            (
                "a trip by a call that was told when to come back",
                self.closed,
                self.open_for,
                "openings",
            ),
            ("a hold of a circuit without an item", None, self.held, "openings"),
            ("a hold of a closed circuit", self.closed, self.held, "openings"),
            ("a hold of a circuit that is probed", self.probed, self.held, "openings"),
            ("a failed probe", self.probed, self.reopened, "all"),
            ("a failed probe, with a back-off", self.probed_well, self.reopened_later, "all"),
            ("a failed probe of Powertools", self.probed_by_python, self.reopened, "all"),
            ("a hold of an open circuit", self.open, self.held, None),
            ("a longer hold", self.held, self.held_longer, None),
            ("an election", self.open, self.probed, None),
            ("an election without an item", None, self.probed, None),
            ("an election after a hold", self.held, self.probed, None),
            ("a lease that changes hands", self.probed, self.taken_over, None),
            ("a good probe", self.probed, self.probed_well, None),
            ("a closing", self.probed_well, self.closed, None),
            ("a release", self.held, self.released, None),
            ("an open item that expired", self.open, None, None),
            ("a closed item that expired", self.closed, None, None),
            ("an item of something else", None, {self.crate.key: "a"}, None),
        ]


def record(crate, before, after):
    """A record of the table's stream, with both images."""
    name = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
    images = {"OldImage": before, "NewImage": after}
    images = {name: typed(image) for name, image in images.items() if image is not None}
    key = typed({crate.key: (after or before)[crate.key]})
    change = {
        "ApproximateCreationDateTime": 1763668800,
        "Keys": key,
        **images,
        "SequenceNumber": "4421584500000000017450439091",
        "SizeBytes": 120,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    return {
        "eventName": name,
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
        "dynamodb": change,
    }


def typed(image):
    return {
        name: {"S" if isinstance(value, str) else "N": str(value)} for name, value in image.items()
    }


def faults(crate, pipe):
    """What the filters of a pipe tell of and should not, or the other way round."""
    found, used = [], set()
    for what, before, after, wanted in Items(crate).changes():
        event = record(crate, before, after)
        told = None
        for number, each in enumerate(pipe["filters"]):
            if matches(each["pattern"], event):
                used.add(number)
                told = "openings" if told == "openings" or each["when"] is None else "all"
        if told != wanted:
            found.append(f"{what} is told by notices = {told}, not {wanted}")
        elif told:
            found += missing(pipe["template"], event, what)
    unused = [str(number + 1) for number in range(len(pipe["filters"])) if number not in used]
    if unused:
        found.append(f"nothing matches filter {', '.join(unused)}")
    return found


def missing(template, event, what):
    """The values of a notice that a record does not have."""
    for value in template.values():
        at = event
        for name in re.fullmatch(r"<\$\.([\w.]+)>", value)[1].split("."):
            at = at.get(name) if isinstance(at, dict) else None
        if not isinstance(at, str):
            yield f"{what} has no {value}"
