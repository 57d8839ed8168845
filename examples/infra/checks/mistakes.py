"""Mistakes that the checks have to find, each made in copies of the files.

A mistake that is made in both files alike is one that only the crate's own documents and
sources can tell.
"""

from . import alarm_mistakes

CLOUDFORMATION, TERRAFORM = "cloudformation.yml", "main.tf"

# What is wrong; file, old and new text, for each place; and how what is found of it begins.
MISTAKES = [
    *alarm_mistakes.MISTAKES,
    (
        "time-to-live on another attribute, in one file",
        [(TERRAFORM, 'attribute_name = "expiration"', 'attribute_name = "expires_at"')],
        "table.expiry:",
    ),
    (
        "time-to-live on another attribute, in both",
        [
            (TERRAFORM, 'attribute_name = "expiration"', 'attribute_name = "expires_at"'),
            (CLOUDFORMATION, "AttributeName: expiration", "AttributeName: expires_at"),
        ],
        "time-to-live is",
    ),
    (
        "another key, in both",
        [
            (TERRAFORM, '= "id"\n  stream', '= "name"\n  stream'),
            (TERRAFORM, 'name = "id"', 'name = "name"'),
            (
                CLOUDFORMATION,
                "AttributeName: id\n          Key",
                "AttributeName: name\n          Key",
            ),
            (
                CLOUDFORMATION,
                "AttributeName: id\n          Attr",
                "AttributeName: name\n          Attr",
            ),
        ],
        "the key is",
    ),
    (
        "an action that operators lack, in one file",
        [(CLOUDFORMATION, "              - dynamodb:Scan\n", "")],
        "operators.policy",
    ),
    (
        "an action that operators lack, in both",
        [
            (CLOUDFORMATION, "              - dynamodb:DescribeTimeToLive\n", ""),
            (TERRAFORM, '      "dynamodb:DescribeTimeToLive",\n', ""),
        ],
        "the policy of operators is",
    ),
    (
        "an action too many for processes, in both",
        [
            (
                CLOUDFORMATION,
                "GetItem\n              - dynamodb:Up",
                "GetItem\n              - dynamodb:PutItem\n              - dynamodb:Up",
            ),
            (
                TERRAFORM,
                'GetItem",\n      "dynamodb:Up',
                'GetItem",\n      "dynamodb:PutItem",\n      "dynamodb:Up',
            ),
        ],
        "the policy of processes is",
    ),
    (
        "permission on every table",
        [
            (
                TERRAFORM,
                'GetItem",\n      "dynamodb:UpdateItem",\n    ]\n    resources = [',
                'GetItem",\n      "dynamodb:UpdateItem",\n    ]\n    resources = ["*", ',
            ),
        ],
        "processes.policy",
    ),
    (
        "different parameters",
        [(TERRAFORM, 'default     = "openings"', 'default     = "all"')],
        "parameters.notices.default:",
    ),
    (
        "a filter on an attribute that no item has, in both",
        [
            (
                CLOUDFORMATION,
                '"OldImage": {"state": {"S": ["CLOSED"]}}',
                '"OldImage": {"status": {"S": ["CLOSED"]}}',
            ),
            (
                TERRAFORM,
                'OldImage = { state = { S = ["CLOSED"] } }',
                'OldImage = { status = { S = ["CLOSED"] } }',
            ),
        ],
        "a trip is told by notices = None",
    ),
    (
        "a filter on a value of another type, in both",
        [
            (
                CLOUDFORMATION,
                '"OldImage": {"state": {"S": ["CLOSED"]}}',
                '"OldImage": {"state": {"N": ["CLOSED"]}}',
            ),
            (
                TERRAFORM,
                'OldImage = { state = { S = ["CLOSED"] } }',
                'OldImage = { state = { N = ["CLOSED"] } }',
            ),
        ],
        "nothing matches filter 2",
    ),
    (
        "a filter that lets failed probes through, in both",
        [
            (
                CLOUDFORMATION,
                ",\n                                           "
                '"half_open_owner": {"S": [{"prefix": "hold#"}]}}}}',
                "}}}",
            ),
            (TERRAFORM, ', half_open_owner = { S = [{ prefix = "hold#" }] } }', " }"),
        ],
        "a failed probe is told by notices = openings",
    ),
    (
        "a filter with an operator that pipes do not have, in both",
        [
            (CLOUDFORMATION, '{"S": ["CLOSED"]}', '{"S": [{"anything-but": {"prefix": "O"}}]}'),
            (TERRAFORM, '{ S = ["CLOSED"] }', '{ S = [{ anything-but = { prefix = "O" } }] }'),
        ],
        "a filter says {'anything-but'",
    ),
    (
        "a notice of a value that not every record has, in both",
        [
            (
                CLOUDFORMATION,
                "<$.dynamodb.NewImage.failure_count.N>",
                "<$.dynamodb.OldImage.failure_count.N>",
            ),
            (
                TERRAFORM,
                "<$.dynamodb.NewImage.failure_count.N>",
                "<$.dynamodb.OldImage.failure_count.N>",
            ),
        ],
        "the first trip has no <$.dynamodb.OldImage",
    ),
    (
        "a notice that leaves out who holds a circuit, in both",
        [
            (file, '.N>",\n' + " " * indent + '"item": <$.dynamodb.NewImage>}', '.N>"}')
            for file, indent in ((CLOUDFORMATION, 11), (TERRAFORM, 7))
        ],
        "the notice of a hold of a closed circuit does not tell hold_by",
    ),
    (
        "a notice of the item as it was, in both",
        [
            (file, "<$.dynamodb.NewImage>", "<$.dynamodb.OldImage>")
            for file in (CLOUDFORMATION, TERRAFORM)
        ],
        "the first trip has no <$.dynamodb.OldImage> that is a dict",
    ),
    (
        "an object between quotes, in both",
        [
            (file, "<$.dynamodb.NewImage>", '"<$.dynamodb.NewImage>"')
            for file in (CLOUDFORMATION, TERRAFORM)
        ],
        "a trip has no <$.dynamodb.NewImage> that is a str",
    ),
    (
        "a notice that the README does not show, in both",
        [(file, '{"circuit": ', '{"name": ') for file in (CLOUDFORMATION, TERRAFORM)],
        "README.md shows a notice of",
    ),
    (
        "a filter that lets circuits through that are held closed, in both",
        [
            (
                CLOUDFORMATION,
                '["INSERT"],\n                 "dynamodb": {"NewImage": {"state": {"S": ["OPEN"]',
                '["INSERT"],\n                 "dynamodb": '
                '{"NewImage": {"state": {"S": ["OPEN", "CLOSED"]',
            ),
            (
                TERRAFORM,
                '["INSERT"]\n      dynamodb = {\n        NewImage = { state = { S = ["OPEN"]',
                '["INSERT"]\n      dynamodb = {\n        '
                'NewImage = { state = { S = ["OPEN", "CLOSED"]',
            ),
        ],
        "a hold closed of a circuit without an item is told by notices = openings",
    ),
    (
        "a filter that tells of a trip after a hold closed alone, in both",
        [
            (
                CLOUDFORMATION,
                '"OldImage": {"state": {"S": ["CLOSED"]}}',
                '"OldImage": {"state": {"S": ["CLOSED"]}, "hold": {"S": [{"prefix": ""}]}}',
            ),
            (
                TERRAFORM,
                'OldImage = { state = { S = ["CLOSED"] } }',
                'OldImage = { state = { S = ["CLOSED"] }, hold = { S = [{ prefix = "" }] } }',
            ),
        ],
        "a trip is told by notices = None",
    ),
    (
        "a stream without the old images, in both",
        [
            (CLOUDFORMATION, "StreamViewType: NEW_AND_OLD_IMAGES", "StreamViewType: NEW_IMAGE"),
            (TERRAFORM, '"NEW_AND_OLD_IMAGES"', '"NEW_IMAGE"'),
        ],
        "the stream is",
    ),
    (
        "a misspelt argument in HCL",
        [(TERRAFORM, "stream_view_type ", "stream_view_typ  ")],
        "main.tf: Wrong: aws_dynamodb_table.circuits has no stream_view_type",
    ),
    (
        "an argument too many in HCL",
        [(TERRAFORM, "stream_enabled ", 'table_clas = "STANDARD"\n  stream_enabled ')],
        "main.tf: Wrong: aws_dynamodb_table.circuits has table_clas",
    ),
    (
        "an argument that the provider does not know",
        [(TERRAFORM, "maximum_retry_attempts  ", "maximum_retries         ")],
        "provider: aws_pipes_pipe.circuits.source_parameters.dynamodb_stream_parameters has "
        "maximum_retries",
    ),
    (
        "an argument that the provider asks for, left out",
        [(TERRAFORM, '      starting_position = "LATEST"\n', "")],
        "provider: aws_pipes_pipe.circuits.source_parameters.dynamodb_stream_parameters has no "
        "starting_position",
    ),
    (
        "a block that the provider does not know, among those that are computed",
        [(TERRAFORM, 'dynamic "filter" {', 'dynamic "filtre" {')],
        "provider: aws_pipes_pipe.circuits.source_parameters.filter_criteria has filtre",
    ),
    (
        "a text in place of a list",
        [(TERRAFORM, "= [aws_sns_topic.circuits.arn]\n  ok", '= "topic"\n  ok')],
        "provider: aws_cloudwatch_metric_alarm.circuits.alarm_actions is 'topic'",
    ),
    (
        "a number in place of a text",
        [(TERRAFORM, 'treat_missing_data  = "notBreaching"', "treat_missing_data  = 1")],
        "provider: aws_cloudwatch_metric_alarm.circuits.treat_missing_data is 1",
    ),
    (
        "an argument in place of a block",
        [(TERRAFORM, "  ttl {", "  ttl = {")],
        "provider: aws_dynamodb_table.circuits.ttl is no block",
    ),
    (
        "a reference to an attribute that no table has",
        [
            (
                TERRAFORM,
                "source      = aws_dynamodb_table.circuits.stream_arn",
                "source      = aws_dynamodb_table.circuits.streams_arn",
            )
        ],
        "provider: no aws_dynamodb_table has streams_arn",
    ),
    (
        "a brace that is missing in HCL",
        [(TERRAFORM, 'variable "notices" {', 'variable "notices"')],
        "main.tf: UnexpectedToken",
    ),
    (
        "a reference to what is not there, in HCL",
        [
            (
                TERRAFORM,
                "target      = aws_sns_topic.circuits.arn",
                "target      = aws_sns_topic.circuit.arn",
            )
        ],
        "pipe.ways:",
    ),
    (
        "a misspelt property in YAML",
        [(CLOUDFORMATION, "TimeToLiveSpecification:", "TimeToLifeSpecification:")],
        "cfn-lint: E3002",
    ),
    (
        "a reference to what is not there, in YAML",
        [(CLOUDFORMATION, "Target: !Ref Topic", "Target: !Ref Topics")],
        "cfn-lint: E1020",
    ),
    (
        "an indentation that is off, in YAML",
        [(CLOUDFORMATION, "      BillingMode:", "     BillingMode:")],
        "cloudformation.yml: ParserError",
    ),
]


def changed(texts, edits):
    """Copies of the files with the edits, each of which has to fit one place."""
    texts = dict(texts)
    for name, old, new in edits:
        if texts[name].count(old) != 1:
            raise SystemExit(f"{name} has {texts[name].count(old)} times: {old}")
        texts[name] = texts[name].replace(old, new)
    return texts


def not_found(texts, described, checks):
    """The mistakes that are not found, by the check that each is for."""
    missed, made = [], 0
    for what, edits, wanted in MISTAKES:
        check = checks.get(wanted.partition(":")[0], described)
        if not check:
            print(f"not made, without --provider: {what}")
            continue
        made += 1
        found = check(changed(texts, edits))
        if any(fault.startswith(wanted) for fault in found):
            print(f"found: {what}")
        else:
            missed.append(f"not found: {what}: {found}")
    print(f"{made - len(missed)} of {made} mistakes are found")
    return missed
