"""Reads `cloudformation.yml` as the description that `main.tf` has to give too."""

import json
import re

import yaml

from .reading import Fields, Wrong, one_line, snake, sole, template

# What stands for a reference in both files.
NAMES = {
    "AWS::AccountId": "<account>",
    "AWS::NoValue": None,
    "AWS::Partition": "<partition>",
    "OperatorPolicy": "<operators.policy>",
    "OperatorRole.Arn": "<operators.role>",
    "PipeRole.Arn": "<pipe.role>",
    "ProcessPolicy": "<processes.policy>",
    "ProcessRole.Arn": "<processes.role>",
    "Table.Arn": "<table>",
    "Table.StreamArn": "<stream>",
    "Topic": "<topic>",
}

CONDITIONS = {
    "HasMetrics": ("metrics_namespace != ''", ("Not", [("Equals", ["<metrics_namespace>", ""])])),
    "HasNotices": ("notices != none", ("Not", [("Equals", ["<notices>", "none"])])),
    "HasAllNotices": ("notices == all", ("Equals", ["<notices>", "all"])),
}

ALARMS = {
    "ThrottledAlarm": None,
    "SystemErrorsAlarm": None,
    "CircuitOpenAlarm": "HasMetrics",
    "CircuitThrottledAlarm": "HasMetrics",
    "CircuitDownForLongAlarm": "HasMetrics",
    "CircuitHeldForLongAlarm": "HasMetrics",
    "FailingOpenAlarm": "HasMetrics",
    "StoreFaultsAlarm": "HasMetrics",
    "MisconfiguredAlarm": "HasMetrics",
    "SettingsRefusedAlarm": "HasMetrics",
    "SubscriberLagsAlarm": "HasMetrics",
}


class Loader(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


def reference(name):
    if name in NAMES:
        return NAMES[name]
    if "." in name or "::" in name:
        raise Wrong(f"cloudformation.yml refers to {name}, which nothing checks")
    return f"<{snake(name)}>"


def function(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    else:
        value = loader.construct_sequence(node, deep=True)
    if name in ("Ref", "GetAtt"):
        return reference(value)
    if name == "Sub":
        return re.sub(r"\$\{([^}]*)\}", lambda found: reference(found[1]), value)
    return (name, value)


Loader.add_multi_constructor("!", function)


def read(text):
    """The description of the file."""
    whole = Fields("cloudformation.yml", yaml.load(text, Loader))
    whole.must("AWSTemplateFormatVersion", "2010-09-09")
    whole.take("Description")
    parameters = {
        snake(name): parameter(name, of) for name, of in whole.take("Parameters").items()
    }
    conditions = {name: wanted for name, (_, wanted) in CONDITIONS.items()}
    whole.must("Conditions", conditions)
    resources = whole.within("Resources")
    described = {
        "parameters": parameters,
        "table": table(resource(resources, "Table", "AWS::DynamoDB::Table")),
        "alarms": dict(alarm(resources, name, condition) for name, condition in ALARMS.items()),
        "processes": role(resources, "Process"),
        "operators": role(resources, "Operator"),
        "pipe": pipe(resources),
        "outputs": {snake(name): of["Value"] for name, of in whole.take("Outputs").items()},
    }
    resource(resources, "Topic", "AWS::SNS::Topic", fields={}).end()
    resources.end()
    whole.end()
    return described


def parameter(name, of):
    of = Fields(f"Parameters.{name}", of)
    kind, default = of.take("Type"), of.take("Default")
    of.take("Description")
    allowed = of.left.pop("AllowedValues", None)
    of.end()
    if allowed == ["true", "false"]:
        return {"default": default == "true", "allowed": None}
    if kind == "CommaDelimitedList":
        return {"default": default.split(","), "allowed": None}
    return {"default": default, "allowed": allowed}


def resource(resources, name, kind, condition=None, fields=None):
    """The properties of a resource."""
    of = resources.within(name)
    of.must("Type", kind)
    if condition:
        of.must("Condition", condition)
    if kind == "AWS::DynamoDB::Table":
        of.must("DeletionPolicy", "Delete")
        of.must("UpdateReplacePolicy", "Delete")
    properties = Fields(name, of.left.pop("Properties", fields))
    of.end()
    return properties


def table(of):
    attributes = [
        (each["AttributeName"], each["AttributeType"]) for each in of.take("AttributeDefinitions")
    ]
    key = [(each["AttributeName"], each["KeyType"]) for each in of.take("KeySchema")]
    expiry, stream = of.within("TimeToLiveSpecification"), of.within("StreamSpecification")
    recovery = of.within("PointInTimeRecoverySpecification")
    described = {
        "name": of.take("TableName"),
        "billing": of.take("BillingMode"),
        "attributes": attributes,
        "key": key,
        "expiry": (expiry.take("AttributeName"), expiry.take("Enabled")),
        "stream": stream.take("StreamViewType"),
        "recovery": recovery.take("PointInTimeRecoveryEnabled"),
        "protection": of.take("DeletionProtectionEnabled"),
    }
    for fields in (of, expiry, stream, recovery):
        fields.end()
    return described


def alarm(resources, resource_name, condition):
    of = resource(resources, resource_name, "AWS::CloudWatch::Alarm", condition)
    query = Fields(f"{resource_name}.Metrics", sole(resource_name, of.take("Metrics")))
    described = {
        "description": of.take("AlarmDescription"),
        "query": one_line(query.take("Expression")),
        "period": query.take("Period"),
        "id": query.take("Id"),
        "returned": query.take("ReturnData"),
        "comparison": of.take("ComparisonOperator"),
        "threshold": of.take("Threshold"),
        "periods": of.take("EvaluationPeriods"),
        "breaching": of.take("DatapointsToAlarm"),
        "missing": of.take("TreatMissingData"),
        "actions": (of.take("AlarmActions"), of.take("OKActions")),
        "when": CONDITIONS[condition][0] if condition else None,
    }
    name = of.take("AlarmName")
    for fields in (of, query):
        fields.end()
    return name, described


def many(value):
    return value if isinstance(value, list) else [value]


def statements(place, document):
    """The statements of a policy, each as what the other file's reader makes of it."""
    document = Fields(place, document)
    document.must("Version", "2012-10-17")
    described = []
    for number, statement in enumerate(document.take("Statement")):
        of = Fields(f"{place}[{number}]", statement)
        described.append(
            {
                "effect": of.take("Effect"),
                "actions": sorted(many(of.take("Action"))),
                "resources": many(of.left.pop("Resource", [])),
                "principals": of.left.pop("Principal", {}),
                "conditions": of.left.pop("Condition", {}),
            }
        )
        of.end()
    document.end()
    return described


def role(resources, who):
    policy = resource(resources, f"{who}Policy", "AWS::IAM::ManagedPolicy")
    of = resource(resources, f"{who}Role", "AWS::IAM::Role")
    described = {
        "policy": statements(f"{who}Policy", policy.take("PolicyDocument")),
        "trust": statements(f"{who}Role", of.take("AssumeRolePolicyDocument")),
        "attached": of.take("ManagedPolicyArns"),
        "descriptions": (policy.take("Description"), of.take("Description")),
    }
    policy.end()
    of.end()
    return described


def pipe(resources):
    of = resource(resources, "Pipe", "AWS::Pipes::Pipe", "HasNotices")
    source = of.within("SourceParameters")
    stream = source.within("DynamoDBStreamParameters")
    criteria, target = source.within("FilterCriteria"), of.within("TargetParameters")
    permitted = resource(resources, "PipeRole", "AWS::IAM::Role", "HasNotices")
    policy = Fields("PipeRole.Policies", sole("PipeRole.Policies", permitted.take("Policies")))
    policy.must("PolicyName", "pipe")
    described = {
        "stream": {snake(name): value for name, value in stream.left.items()},
        "filters": [one_filter(each) for each in criteria.take("Filters")],
        "template": template(target.take("InputTemplate")),
        "ways": (of.take("Source"), of.take("RoleArn"), of.take("Target")),
        "when": CONDITIONS["HasNotices"][0],
        "policy": statements("PipeRole", policy.take("PolicyDocument")),
        "trust": statements("PipeRole", permitted.take("AssumeRolePolicyDocument")),
        "descriptions": (of.take("Description"), permitted.take("Description")),
    }
    for fields in (of, source, criteria, target, permitted, policy):
        fields.end()
    return described


def one_filter(of):
    when = None
    if isinstance(of, tuple):
        name, (condition, of, otherwise) = of
        if name != "If" or otherwise is not None or condition not in CONDITIONS:
            raise Wrong(f"Pipe has a filter that nothing checks: {of!r}")
        when = CONDITIONS[condition][0]
    of = Fields("Pipe.Filters", of)
    pattern = json.loads(of.take("Pattern"))
    of.end()
    return {"pattern": pattern, "when": when}
