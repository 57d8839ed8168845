"""Which changes of an item the pipe tells of, and what: its filters and its template, over records
as the stream has them."""

import json
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


# What says why, since when, until when, and who.
TOLD = ("cause", "down_since", "open_until", "hold_until", "hold_by", "hold_reason")


class Items:
    """Items as the crate and Powertools leave them, from the one in the documentation."""

    def __init__(self, crate):
        self.crate = crate
        documented, now = crate.item, crate.item["opened_at"]
        lasting = {name: documented[name] for name in (crate.key, "expiration")}
        down = {"down_since": now, "cause": "within(5,30s)"}
        opened = {**lasting, "state": "OPEN", "opened_at": now}
        terms = {"hold_until": now + 3600, "hold_by": "alice", "hold_reason": "deploy"}
        self.probed = {**documented, **down}
        self.taken_over = {**self.probed, "half_open_owner": "task-42/0c1d2e3f"}
        self.probed_well = {**self.probed, "success_count": 1}
        self.closed = {**lasting, "state": "CLOSED", "failure_count": 0}
        self.released = {**self.closed, "released": now + 100}
        self.open = {**opened, **down, "failure_count": 5}
        asked = {"cause": "open_for", "failure_count": 1, "open_until": now + 600}
        self.open_for = {**self.open, **asked}
        self.reopened = {**opened, **down, "failure_count": 0}
        self.reopened_later = {**self.reopened, "failed_probes": 3}
        held = {**opened, "failure_count": 0, "half_open_owner": f"{crate.hold}deploy"}
        self.held = {**held, **terms, "down_since": now, "cause": "hold"}
        self.held_longer = {**self.held, "opened_at": now + 3600, "hold_until": now + 7200}
        # Of an older version, and by nobody who said who.
        self.held_plainly = held
        self.held_closed = {**self.released, **terms, "hold": "closed"}
        self.held_closed_longer = {**self.held_closed, "hold_until": now + 7200}
        # Powertools leaves out what is not set, and does not know what this crate adds.
        known = [name for name in documented if name != "success_count"]
        self.probed_by_python = {name: documented[name] for name in known}
        self.open_by_python = {**opened, "failure_count": 5}
        for item in vars(self).values():
            if isinstance(item, dict) and not set(item) <= crate.attributes:
                raise Wrong(f"no item has {sorted(set(item) - crate.attributes)}")

    def openings(self):
        """What happens, the item before and after, and which notices tell of it."""
        return [
            ("the first trip", None, self.open, "openings"),
            ("a trip", self.closed, self.open, "openings"),
            ("a trip of Powertools", self.closed, self.open_by_python, "openings"),
            ("a trip after a release", self.released, self.open, "openings"),
            (
                "a trip by a call that was told when to come back",
                self.closed,
                self.open_for,
                "openings",
            ),
            # Nothing is written while it lasts, and nothing when it ends.
            ("a trip after a hold closed is over", self.held_closed, self.open, "openings"),
            ("a hold of a circuit without an item", None, self.held, "openings"),
            ("a hold of a closed circuit", self.closed, self.held, "openings"),
            ("a hold of a circuit that is held closed", self.held_closed, self.held, "openings"),
            ("a hold of a circuit that is probed", self.probed, self.held, "openings"),
            ("a hold of an older version", self.closed, self.held_plainly, "openings"),
            ("a failed probe", self.probed, self.reopened, "all"),
            ("a failed probe, with a back-off", self.probed_well, self.reopened_later, "all"),
            ("a failed probe of Powertools", self.probed_by_python, self.open_by_python, "all"),
        ]

    def others(self):
        """What else happens, of which no notice tells."""
        return [
            ("a hold of an open circuit", self.open, self.held),
            ("a longer hold", self.held, self.held_longer),
            ("a hold closed of a circuit without an item", None, self.held_closed),
            ("a hold closed", self.closed, self.held_closed),
            ("a hold closed of an open circuit", self.open, self.held_closed),
            ("a hold closed of a circuit that is probed", self.probed, self.held_closed),
            ("a hold closed of a circuit that is held", self.held, self.held_closed),
            ("a longer hold closed", self.held_closed, self.held_closed_longer),
            ("a release of a hold closed", self.held_closed, self.released),
            ("an election", self.open, self.probed),
            ("an election without an item", None, self.probed),
            ("an election after a hold", self.held, self.probed),
            ("a lease that changes hands", self.probed, self.taken_over),
            ("a good probe", self.probed, self.probed_well),
            ("a closing", self.probed_well, self.closed),
            ("a release", self.held, self.released),
            ("an open item that expired", self.open, None),
            ("a closed item that expired", self.closed, None),
            ("an item of something else", None, {self.crate.key: "a"}),
        ]

    def changes(self):
        return [*self.openings(), *((*change, None) for change in self.others())]


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
            found += untold(pipe["template"], event, what)
    unused = [str(number + 1) for number in range(len(pipe["filters"])) if number not in used]
    if unused:
        found.append(f"nothing matches filter {', '.join(unused)}")
    return found


def untold(template, event, what):
    """The values of a notice that a record does not have, and what a notice leaves out."""
    notice = {}
    for name, value in template.items():
        kind, value = (dict, value["object"]) if isinstance(value, dict) else (str, value)
        notice[name] = event
        for part in re.fullmatch(r"<\$\.([\w.]+)>", value)[1].split("."):
            notice[name] = notice[name].get(part) if isinstance(notice[name], dict) else None
        if not isinstance(notice[name], kind):
            yield f"{what} has no {value} that is a {kind.__name__}"
    text = json.dumps(notice)
    for name, value in event["dynamodb"]["NewImage"].items():
        if name in TOLD and json.dumps({name: value})[1:-1] not in text:
            yield f"the notice of {what} does not tell {name}"


def example_faults(crate, pipe, text):
    """Whether the notice in the README is one that the template makes."""
    example = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    if list(example) != list(pipe["template"]):
        yield f"README.md shows a notice of {list(example)}, not of {list(pipe['template'])}"
    elif not {*TOLD[:2], *TOLD[3:]} <= set(example["item"]) <= crate.attributes:
        yield f"README.md shows an item of {sorted(example['item'])}"
