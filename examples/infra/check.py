"""Checks that `cloudformation.yml` and `main.tf` describe the same, and what the crate needs, and
that their alarms tell what the alerts of `examples/prometheus` do.

`python check.py` checks the files; `python check.py --mistakes` makes mistakes in copies of
them, one at a time, and checks that each is found. Needs what is in `requirements.txt`. With
`--provider` and the wheel of pulumi-aws it checks the arguments of `main.tf` as well.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from cfnlint.api import ManualArgs, lint

# The folder is left as it was.
sys.dont_write_bytecode = True

from checks import alarms, cloudformation, mistakes, notices, provider, terraform
from checks.alarms import expect
from checks.crate import Crate
from checks.reading import Wrong

HERE = Path(__file__).resolve().parent
FILES = ("cloudformation.yml", "main.tf")
ALERTS, README = "alerts.yml", "README.md"
READERS = {"cloudformation.yml": cloudformation.read, "main.tf": terraform.read}

# What the list of circuits needs, beside what `verify` and processes do.
LISTING = "dynamodb:Scan"
READING_A_STREAM = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"]


def differences(one, other, place=""):
    """Where two descriptions differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}, key=str):
            yield from differences(one.get(name), other.get(name), f"{place}.{name}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (each, its) in enumerate(zip(one, other)):
            yield from differences(each, its, f"{place}[{number}]")
    elif type(one) is not type(other) or one != other:
        yield f"{place}: {FILES[0]} has {one!r}, {FILES[1]} has {other!r}"


def table_faults(one, crate):
    table, parameters = one["table"], one["parameters"]
    yield from expect("the table's name", table["name"], "<table_name>")
    yield from expect("the name by default", parameters["table_name"]["default"], crate.table)
    yield from expect("the key", table["key"], [(crate.key, "HASH")])
    yield from expect("the key's type", table["attributes"], [(crate.key, crate.key_type)])
    yield from expect("time-to-live", table["expiry"], (crate.expiry, True))
    yield from expect("billing", table["billing"], crate.billing)
    yield from expect("the stream", table["stream"], "NEW_AND_OLD_IMAGES")
    yield from expect("recovery", table["recovery"], "<point_in_time_recovery>")
    yield from expect("protection", table["protection"], "<deletion_protection>")


def allowed(actions, resource):
    nobody = {"principals": {}, "conditions": {}}
    return {"effect": "Allow", "actions": actions, "resources": [resource], **nobody}


def permission_faults(one, crate):
    operators = sorted([*crate.process_actions, *crate.describing_actions, LISTING])
    reading = [f"dynamodb:{action}" for action in READING_A_STREAM]
    for who, wanted in [
        ("processes", [allowed(crate.process_actions, "<table>")]),
        ("operators", [allowed(operators, "<table>")]),
        ("pipe", [allowed(reading, "<stream>"), allowed(["sns:Publish"], "<topic>")]),
    ]:
        yield from expect(f"the policy of {who}", one[who]["policy"], wanted)
    for who, principals in [
        ("processes", {"Service": "<process_services>"}),
        ("operators", {"AWS": "arn:<partition>:iam::<account>:root"}),
        ("pipe", {"Service": "pipes.amazonaws.com"}),
    ]:
        trust = one[who]["trust"]
        found = [each["principals"] for each in trust if each["actions"] == ["sts:AssumeRole"]]
        yield from expect(f"who is the role of {who}", found, [principals])
    for who in ("processes", "operators"):
        yield from expect(f"the policies of {who}", one[who]["attached"], [f"<{who}.policy>"])


def described(texts):
    """What is wrong with what the files describe."""
    found, descriptions = [], []
    for name, read in READERS.items():
        try:
            descriptions.append(read(texts[name]))
        # The parsers have errors of their own, and a file may be of another shape altogether.
        except Exception as error:  # noqa: BLE001
            found.append(f"{name}: {type(error).__name__}: {error}")
    if found:
        return found
    crate = Crate()
    found += differences(*descriptions)
    # One is enough: they differ, or they are the same.
    one = descriptions[0]
    for check in (
        lambda: table_faults(one, crate),
        lambda: permission_faults(one, crate),
        lambda: alarms.faults(one, crate),
        lambda: alarms.parity_faults(one, texts[ALERTS]),
        lambda: notices.faults(crate, one["pipe"]),
        lambda: notices.example_faults(crate, one["pipe"], texts[README]),
    ):
        try:
            found += check()
        except Wrong as wrong:
            found.append(str(wrong))
    return found


def linted(texts):
    """What cfn-lint finds, with what it finds only worth a remark."""
    found = lint(texts["cloudformation.yml"], config=ManualArgs(include_checks=["I"]))
    return [f"cfn-lint: {each.rule.id} in line {each.linenumber}: {each.message}" for each in found]


def formatted():
    """What `terraform` itself says of the file, where there is one: without its provider, no more
    than whether it can be read."""
    if not shutil.which("terraform"):
        print("main.tf is not read by terraform itself, which is not here")
        return []
    print("main.tf is read by terraform fmt, not by terraform validate, which needs the provider")
    command = ["terraform", "fmt", "-check", "-diff", str(HERE / "main.tf")]
    run = subprocess.run(command, capture_output=True, text=True)
    return [] if run.returncode == 0 else [f"terraform fmt: {run.stdout}{run.stderr}"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--mistakes", action="store_true", help="check the checks")
    arguments.add_argument("--provider", metavar="WHEEL", help="the wheel of pulumi-aws")
    arguments = arguments.parse_args()
    paths = {name: HERE / name for name in (*FILES, README)}
    paths[ALERTS] = HERE.parent / "prometheus" / ALERTS
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}

    def provided(texts):
        return list(provider.faults(texts["main.tf"], arguments.provider))

    checks = {"cfn-lint": linted, "provider": provided if arguments.provider else None}
    if arguments.mistakes:
        found = mistakes.not_found(texts, described, checks)
    else:
        found = described(texts) + linted(texts) + formatted()
        if arguments.provider:
            found += provided(texts)
        else:
            print("the arguments of main.tf are not compared with the provider's: no --provider")
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    try:
        main()
    except Wrong as wrong:
        sys.exit(str(wrong))
