"""What both readers share: how a file is read whole, and what its references become."""

import json
import re


class Wrong(Exception):
    """A file says something that it must not, or that these checks do not know."""


class Fields:
    """The fields of one block. Each is taken once; what nobody takes is misspelt, or new."""

    def __init__(self, place, fields):
        if not isinstance(fields, dict):
            raise Wrong(f"{place} has no fields: {fields!r}")
        self.place = place
        self.left = dict(fields)

    def take(self, name):
        if name not in self.left:
            raise Wrong(f"{self.place} has no {name}")
        return self.left.pop(name)

    def within(self, name):
        """The fields of a block in this one."""
        return Fields(f"{self.place}.{name}", self.take(name))

    def must(self, name, wanted):
        found = self.take(name)
        if found != wanted:
            raise Wrong(f"{self.place}.{name} is {found!r}, not {wanted!r}")

    def end(self):
        if self.left:
            raise Wrong(f"{self.place} has {', '.join(sorted(self.left))}, which nothing checks")


def sole(place, found):
    """The only one of a list."""
    if not isinstance(found, list) or len(found) != 1:
        raise Wrong(f"{place} is not one: {found!r}")
    return found[0]


def snake(name):
    """`TableName` as `table_name`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def one_line(text):
    """Text that was folded, as one line."""
    return " ".join(text.split())


def template(text):
    """A template of a pipe: JSON, but that what stands for an object has no quotes about it."""
    return json.loads(
        re.sub(r'(?<!")<\$[\w.]+>(?!")', lambda found: json.dumps({"object": found[0]}), text)
    )
