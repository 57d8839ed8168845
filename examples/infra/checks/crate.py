"""What the crate's sources and documents say of the table, the permissions and the metrics."""

import json
import re
from pathlib import Path

from .reading import Wrong

ROOT = Path(__file__).resolve().parents[3]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def found_in(path, pattern):
    """What the group of the pattern matches in a file, each time."""
    found = re.findall(pattern, text_of(path))
    if not found:
        raise Wrong(f"{path} has nothing like {pattern}")
    return found


def one_in(path, pattern):
    found = set(found_in(path, pattern))
    if len(found) != 1:
        raise Wrong(f"{path} says {sorted(found)}")
    return found.pop()


def said_twice(document, source):
    """A name that a document and a source have to agree on: each a path and a pattern."""
    names = one_in(*document), one_in(*source)
    if len(set(names)) != 1:
        raise Wrong(f"{document[0]} and {source[0]} disagree: {names}")
    return names[0]


class Crate:
    def __init__(self):
        page = "docs/table.md"
        self.table = one_in(page, r"--table-name (\S+)")
        self.billing = one_in(page, r"--billing-mode (\S+)")
        self.key = said_twice(
            (page, r"--key-schema AttributeName=(\w+),KeyType=HASH"),
            ("src/store/dynamodb/item.rs", r'key: "(\w+)"\.to_owned\(\)'),
        )
        self.key_type = one_in(page, rf"AttributeName={self.key},AttributeType=(\w)")
        self.expiry = said_twice(
            (page, r"Enabled=true,AttributeName=(\w+)"),
            ("src/protocol/record/attribute.rs", r'Self::ExpiresAt => "(\w+)"'),
        )
        # The first is a circuit's.
        self.item = json.loads(found_in(page, r"```json\n(\{\n  \"id\"[^`]*)```")[0])
        self.attributes = {
            self.key,
            *found_in("src/protocol/record/attribute.rs", r'Self::\w+ => "(\w+)"'),
        }
        self.check_attributes(page)
        self.hold = one_in(page, r"holds the circuit open it is `(\w+#)` and the reason")
        # What `verify` asks for: the first two are what every process needs.
        verify = (
            r'const (?:GET|UPDATE): &str = "(dynamodb:\w+)"',
            r'const DESCRIBE_\w+: &str = "(dynamodb:\w+)"',
        )
        self.process_actions = sorted(found_in("src/store/dynamodb/verify.rs", verify[0]))
        self.describing_actions = sorted(found_in("src/store/dynamodb/verify.rs", verify[1]))
        self.namespace = one_in("examples/emf/src/main.rs", r'cloudwatch_namespace\("(\w+)"\)')
        self.metrics = metrics()

    def check_attributes(self, page):
        """The page tells of every attribute: in the item, or between backticks."""
        untold = self.attributes - {*self.item, *found_in(page, r"`(\w+)`")}
        if untold:
            raise Wrong(f"{page} does not tell of {sorted(untold)}")


def metrics():
    """Each metric with its kind and the values of its labels; None where those are open."""
    page = "docs/metrics.md"
    values = {}
    for names, listed in found_in(page, r"\n\| (`\w+`(?:, `\w+`)*) \| ([^\n]*) \|"):
        # What stands in brackets or after a colon explains a value.
        words = re.findall(r"`([\w ]+)`", re.sub(r"\([^)]*\)", "", listed))
        for name in re.findall(r"`(\w+)`", names):
            values[name] = set(words) or None
    told = {}
    for name, kind, rest in found_in(
        page, r"\n- `(fuseboard_\w+)` \((counter|gauge|histogram), ([^)]*)\)"
    ):
        _, _, labels = rest.partition(";")
        told[name] = (kind, {label: values[label] for label in re.findall(r"`(\w+)`", labels)})
    return told
