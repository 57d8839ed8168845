"""One environment of Powertools for AWS Lambda (Python), at the command of a test.

Its only argument is a JSON object: "endpoint", "table", "settings" (of the
circuits) and "names" (of the attributes). Each line of standard input orders one
call, {"circuit", "at", "outcome"}, and gets one line back. Time is what "at" says.

An outcome is "ok", "fail" or "park": the function then says {"parked": true} and
takes the next line, {"at", "outcome"}, for how it ends.
"""

import json
import sys
from importlib.metadata import version
from types import SimpleNamespace

import boto3
from botocore.config import Config

from aws_lambda_powertools.utilities import circuit_breaker as powertools
from aws_lambda_powertools.utilities.circuit_breaker import base, persistence


class StandingClock:
    """Stands in for `datetime.datetime`, of which the utility asks for no more."""

    at = 0

    @classmethod
    def now(cls):
        return SimpleNamespace(timestamp=lambda: cls.at)


for module in (base, persistence.base, persistence.dynamodb):
    if not hasattr(module, "dt"):
        sys.exit(f"{module.__name__} has another way to tell the time")
    module.dt = SimpleNamespace(datetime=StandingClock)


class Down(Exception):
    """The dependency does not answer."""


def say(answer):
    print(json.dumps(answer), flush=True)


def hear():
    """The next order, or None when there are no more."""
    line = sys.stdin.readline()
    if not line:
        return None
    order = json.loads(line)
    StandingClock.at = order["at"]
    return order


def dependency(order):
    if order["outcome"] == "park":
        say({"parked": True})
        order = hear() or sys.exit(0)
    if order["outcome"] == "fail":
        raise Down


def main():
    told = json.loads(sys.argv[1])
    client = boto3.client(
        "dynamodb",
        endpoint_url=told["endpoint"],
        region_name="eu-central-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    store = powertools.persistence.CircuitBreakerDynamoDBPersistence(
        table_name=told["table"], boto3_client=client, **told["names"]
    )
    config = powertools.CircuitBreakerConfig(**told["settings"])
    say({"powertools": version("aws-lambda-powertools")})

    while order := hear():
        made = []
        protected = powertools.circuit_breaker(
            name=order["circuit"],
            persistence_store=store,
            config=config,
            on_transition=lambda it: made.append([str(it.from_state), str(it.to_state)]),
        )(dependency)
        answer = {"made": made}
        try:
            protected(order)
            answer["result"] = "ok"
        except Down:
            answer["result"] = "fail"
        except powertools.CircuitBreakerOpenError as rejection:
            seen = rejection.circuit
            answer["result"] = "rejected"
            answer["seen"] = [str(seen.state), seen.failure_count, seen.opened_at]
        say(answer)


main()
