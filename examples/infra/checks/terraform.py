"""Reads `main.tf` as the description that `cloudformation.yml` has to give too."""

import re

import hcl2

from .reading import Fields, Wrong, sole, template

# What stands for a reference in both files.
NAMES = {
    "aws_dynamodb_table.circuits.arn": "<table>",
    "aws_dynamodb_table.circuits.stream_arn": "<stream>",
    "aws_iam_policy.operators.arn": "<operators.policy>",
    "aws_iam_policy.processes.arn": "<processes.policy>",
    "aws_iam_role.operators.arn": "<operators.role>",
    "aws_iam_role.pipe[0].arn": "<pipe.role>",
    "aws_iam_role.processes.arn": "<processes.role>",
    "aws_sns_topic.circuits.arn": "<topic>",
    "data.aws_caller_identity.current.account_id": "<account>",
    "data.aws_partition.current.partition": "<partition>",
}

# Read as they stand, since nothing here computes them.
HAS_NOTICES = '${var.notices == "none" ? 0 : 1}'
ALARMS = (
    "${merge(local.table_alarms, {for name, alarm in local.process_alarms : name => alarm "
    'if var.metrics_namespace != ""})}'
)
FILTERS = (
    '${concat(local.openings, [for pattern in local.reopenings : pattern if var.notices == "all"])}'
)

OPTIONS = hcl2.SerializationOptions(
    with_comments=False, explicit_blocks=False, preserve_heredocs=False, strip_string_quotes=True
)


def reference(expression):
    if expression in NAMES:
        return NAMES[expression]
    if expression.startswith("var."):
        return f"<{expression.removeprefix('var.')}>"
    # Computed: compared as it stands by whoever takes it.
    return f"${{{expression}}}"


def resolved(value):
    """A value whose references are those of both files."""
    if isinstance(value, dict):
        return {name: resolved(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner) for inner in value]
    if isinstance(value, str) and value not in (HAS_NOTICES, ALARMS, FILTERS):
        return re.sub(r"\$\{([^}]*)\}", lambda found: reference(found[1]), value)
    return value


def labelled(place, found):
    """Blocks by their label."""
    named = {}
    for block_with_label in found:
        for label, of in block_with_label.items():
            if label in named:
                raise Wrong(f"{place} has {label} twice")
            named[label] = of
    return named


def kinds(place, found):
    """Blocks of two labels, by the first: the fields of each are the blocks by the second."""
    by_kind = {}
    for block_with_label in found:
        for kind, of in block_with_label.items():
            by_kind.setdefault(kind, []).append(of)
    named = {kind: Fields(kind, labelled(kind, of)) for kind, of in by_kind.items()}
    return Fields(place, named)


def read(text):
    """The description of the file."""
    module = Fields("main.tf", hcl2.loads(text, serialization_options=OPTIONS))
    provider(Fields("terraform", sole("terraform", module.take("terraform"))))
    variables = labelled("variable", module.take("variable"))
    local = Fields(
        "local",
        {name: of for block in module.take("locals") for name, of in resolved(block).items()},
    )
    data = kinds("data", module.take("data"))
    resources = kinds("resource", module.take("resource"))
    for kind in ("aws_caller_identity", "aws_partition"):
        of_kind = data.take(kind)
        of_kind.must("current", {})
        of_kind.end()
    documents = data.take("aws_iam_policy_document")
    described = {
        "parameters": {name: variable(name, of) for name, of in variables.items()},
        "table": table(resource(resources, "aws_dynamodb_table", "circuits")),
        "alarms": alarms(resources, local),
        "processes": role(resources, documents, "processes", "process_services"),
        "operators": role(resources, documents, "operators", "this_account"),
        "pipe": pipe(resources, documents, local),
        "outputs": outputs(module.take("output")),
    }
    resource(resources, "aws_sns_topic", "circuits").end()
    for fields in [*resources.left.values(), local, documents, data, module]:
        fields.end()
    return described


def provider(of):
    of.take("required_version")
    providers = Fields(
        "required_providers", sole("required_providers", of.take("required_providers"))
    )
    aws = providers.within("aws")
    aws.must("source", "hashicorp/aws")
    aws.take("version")
    for fields in (aws, providers, of):
        fields.end()


def outputs(found):
    described = {}
    for name, of in labelled("output", found).items():
        of = Fields(f"output.{name}", resolved(of))
        described[name] = of.take("value")
        of.end()
    return described


def variable(name, of):
    of = Fields(f"variable.{name}", of)
    of.take("description")
    of.take("type")
    allowed = None
    if "validation" in of.left:
        validation = Fields("validation", sole("validation", of.take("validation")))
        condition = validation.take("condition")
        validation.take("error_message")
        validation.end()
        found = re.fullmatch(rf"\$\{{contains\(\[(.*)\], var\.{name}\)\}}", condition)
        if not found:
            raise Wrong(f"variable.{name} has a condition that nothing checks: {condition}")
        allowed = [word.strip().strip('"') for word in found[1].split(",")]
    described = {"default": of.take("default"), "allowed": allowed}
    of.end()
    return described


def resource(resources, kind, name):
    if kind not in resources.left:
        raise Wrong(f"main.tf has no {kind}")
    return Fields(f"{kind}.{name}", resolved(resources.left[kind].take(name)))


def block(of, name):
    """The only block of this name in another."""
    place = f"{of.place}.{name}"
    return Fields(place, sole(place, of.take(name)))


def table(of):
    attributes = [(each["name"], each["type"]) for each in of.take("attribute")]
    expiry, recovery = block(of, "ttl"), block(of, "point_in_time_recovery")
    of.must("stream_enabled", True)
    described = {
        "name": of.take("name"),
        "billing": of.take("billing_mode"),
        "attributes": attributes,
        "key": [(of.take("hash_key"), "HASH")],
        "expiry": (expiry.take("attribute_name"), expiry.take("enabled")),
        "stream": of.take("stream_view_type"),
        "recovery": recovery.take("enabled"),
        "protection": of.take("deletion_protection_enabled"),
    }
    for fields in (of, expiry, recovery):
        fields.end()
    return described


def alarms(resources, local):
    """Every alarm, as the one resource makes it of each in the locals."""
    local.must("alarms", ALARMS)
    each_with = [(name, of, None) for name, of in local.take("table_alarms").items()]
    when = "metrics_namespace != ''"
    each_with += [(name, of, when) for name, of in local.take("process_alarms").items()]
    shared = resource(resources, "aws_cloudwatch_metric_alarm", "circuits").left
    described = {}
    for name, values, when in each_with:
        values = dict(values)
        of = Fields(f"alarm {name}", filled(shared, name, values))
        of.must("for_each", "${local.alarms}")
        query = block(of, "metric_query")
        described[of.take("alarm_name")] = {
            "description": of.take("alarm_description"),
            "query": query.take("expression"),
            "period": query.take("period"),
            "id": query.take("id"),
            "returned": query.take("return_data"),
            "comparison": of.take("comparison_operator"),
            "threshold": of.take("threshold"),
            "periods": of.take("evaluation_periods"),
            "breaching": of.take("datapoints_to_alarm"),
            "missing": of.take("treat_missing_data"),
            "actions": (of.take("alarm_actions"), of.take("ok_actions")),
            "when": when,
        }
        for fields in (of, query, Fields(f"local alarm {name}", values)):
            fields.end()
    return described


def filled(value, name, values):
    """What `each` stands for. Takes what is used out of the values."""
    if isinstance(value, dict):
        return {key: filled(inner, name, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, name, values) for inner in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{each\.value\.(\w+)\}", value)
    if whole:
        if whole[1] not in values:
            raise Wrong(f"local alarm {name} has no {whole[1]}")
        return values.pop(whole[1])
    return value.replace("${each.key}", name)


def statements(documents, name):
    """The statements of a policy document."""
    document = Fields(f"aws_iam_policy_document.{name}", resolved(documents.take(name)))
    described = []
    for statement in document.take("statement"):
        of = Fields(document.place, statement)
        principals = [Fields("principals", each) for each in of.left.pop("principals", [])]
        conditions = [Fields("condition", each) for each in of.left.pop("condition", [])]
        described.append(
            {
                "effect": of.take("effect"),
                "actions": sorted(of.take("actions")),
                "resources": of.left.pop("resources", []),
                "principals": {
                    each.take("type"): alone(each.take("identifiers")) for each in principals
                },
                "conditions": {
                    each.take("test"): {each.take("variable"): alone(each.take("values"))}
                    for each in conditions
                },
            }
        )
        for fields in [of, *principals, *conditions]:
            fields.end()
    document.end()
    return described


def alone(values):
    """One of a list as CloudFormation has it; a variable stands for a list of its own."""
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def role(resources, documents, who, trust):
    policy = resource(resources, "aws_iam_policy", who)
    of = resource(resources, "aws_iam_role", who)
    attachment = resource(resources, "aws_iam_role_policy_attachment", who)
    policy.must("name_prefix", f"<table_name>-{who}-")
    policy.must("policy", f"${{data.aws_iam_policy_document.{who}.json}}")
    of.must("assume_role_policy", f"${{data.aws_iam_policy_document.{trust}.json}}")
    attachment.must("role", f"${{aws_iam_role.{who}.name}}")
    described = {
        "policy": statements(documents, who),
        "trust": statements(documents, trust),
        "attached": [attachment.take("policy_arn")],
        "descriptions": (policy.take("description"), of.take("description")),
    }
    for fields in (policy, of, attachment):
        fields.end()
    return described


def pipe(resources, documents, local):
    of = resource(resources, "aws_pipes_pipe", "circuits")
    permitted = resource(resources, "aws_iam_role", "pipe")
    policy = resource(resources, "aws_iam_role_policy", "pipe")
    for fields in (of, permitted, policy):
        fields.must("count", HAS_NOTICES)
    permitted.must("assume_role_policy", "${data.aws_iam_policy_document.pipes_service.json}")
    policy.must("name", "pipe")
    policy.must("role", "${aws_iam_role.pipe[0].name}")
    policy.must("policy", "${data.aws_iam_policy_document.pipe.json}")
    of.must("depends_on", ["${aws_iam_role_policy.pipe}"])
    source, target = block(of, "source_parameters"), block(of, "target_parameters")
    stream, criteria = block(source, "dynamodb_stream_parameters"), block(source, "filter_criteria")
    dynamic = block(criteria, "dynamic").within("filter")
    dynamic.must("for_each", "${local.filters}")
    dynamic.must("content", [{"pattern": "${jsonencode(filter.value)}"}])
    local.must("filters", FILTERS)
    filters = [{"pattern": of, "when": None} for of in local.take("openings")]
    filters += [{"pattern": of, "when": "notices == all"} for of in local.take("reopenings")]
    described = {
        "stream": stream.left,
        "filters": filters,
        # The parser hands the text between the markers on with its quotes escaped.
        "template": template(target.take("input_template").replace('\\"', '"')),
        "ways": (of.take("source"), of.take("role_arn"), of.take("target")),
        "when": "notices != none",
        "policy": statements(documents, "pipe"),
        "trust": statements(documents, "pipes_service"),
        "descriptions": (of.take("description"), permitted.take("description")),
    }
    for fields in (of, source, criteria, dynamic, target, permitted, policy):
        fields.end()
    return described
