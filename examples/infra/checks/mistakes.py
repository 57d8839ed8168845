"""Mistakes that the checks have to find, each made in copies of the files.

A mistake that is made in both files alike is one that only the crate's own documents and
sources can tell.
"""

CLOUDFORMATION, TERRAFORM, ALERTS = "cloudformation.yml", "main.tf", "alerts.yml"

# What is wrong; file, old and new text, for each place; and how what is found of it begins.
MISTAKES = [
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
        "an alarm on a metric that does not exist, in both",
        [
            (CLOUDFORMATION, "MAX(fuseboard_failing_open)", "MAX(fuseboard_fails_open)"),
            (TERRAFORM, "MAX(fuseboard_failing_open)", "MAX(fuseboard_fails_open)"),
        ],
        "alarm <table_name>-failing-open watches fuseboard_fails_open",
    ),
    (
        "an alarm on a label that the metric does not have, in both",
        [
            (CLOUDFORMATION, "\"why\" = 'failing'", "\"state\" = 'failing'"),
            (TERRAFORM, "\\\"why\\\" = 'failing'", "\\\"state\\\" = 'failing'"),
        ],
        "alarm <table_name>-circuit-open asks for state",
    ),
    (
        "an alarm on a value that the label does not have, in both",
        [(CLOUDFORMATION, "= 'failing'", "= 'Failing'"), (TERRAFORM, "= 'failing'", "= 'Failing'")],
        "alarm <table_name>-circuit-open asks for why",
    ),
    (
        "a query whose label is not in quotes, in both",
        [
            (CLOUDFORMATION, "\"why\" = 'failing'", "why = 'failing'"),
            (TERRAFORM, "\\\"why\\\" = 'failing'", "why = 'failing'"),
        ],
        "alarm <table_name>-circuit-open has a query that nothing checks",
    ),
    (
        "a group by a label that the metric does not have, in both",
        [
            (CLOUDFORMATION, '"kind" ORDER BY', '"circuit" ORDER BY'),
            (TERRAFORM, '\\"kind\\" ORDER BY', '\\"circuit\\" ORDER BY'),
        ],
        "alarm <table_name>-store-faults groups by circuit",
    ),
    (
        "groups in another order, in both",
        [
            (CLOUDFORMATION, "ORDER BY SUM()", "ORDER BY MAX()"),
            (TERRAFORM, "ORDER BY SUM()", "ORDER BY MAX()"),
        ],
        "alarm <table_name>-store-faults orders by MAX",
    ),
    (
        "a counter taken for a gauge, in both",
        [
            (
                CLOUDFORMATION,
                "SUM(fuseboard_store_faults_total)",
                "MAX(fuseboard_store_faults_total)",
            ),
            (TERRAFORM, "SUM(fuseboard_store_faults_total)", "MAX(fuseboard_store_faults_total)"),
        ],
        "the function of <table_name>-store-faults is",
    ),
    (
        "a namespace that the example does not write to, in both",
        [
            (CLOUDFORMATION, "Default: Payments", "Default: Circuits"),
            (TERRAFORM, 'default     = "Payments"', 'default     = "Circuits"'),
        ],
        "the namespace by default is",
    ),
    (
        "different thresholds",
        [(CLOUDFORMATION, "Threshold: 30", "Threshold: 300")],
        "alarms.<table_name>-store-faults.threshold:",
    ),
    (
        "different parameters",
        [(TERRAFORM, 'default     = "openings"', 'default     = "all"')],
        "parameters.notices.default:",
    ),
    (
        "an alarm that cannot be reached, in both",
        [
            (CLOUDFORMATION, "EvaluationPeriods: 2", "EvaluationPeriods: 1"),
            (TERRAFORM, "periods     = 2", "periods     = 1"),
        ],
        "alarm <table_name>-store-faults wants",
    ),
    (
        "an alarm that looks back further than CloudWatch does, in both",
        [
            (CLOUDFORMATION, "Period: 900", "Period: 1200"),
            (TERRAFORM, "period      = 900", "period      = 1200"),
        ],
        "alarm <table_name>-circuit-held-for-long wants to look back",
    ),
    (
        "an alarm that a hold sets off, in both",
        [
            (
                CLOUDFORMATION,
                "MAX(fuseboard_circuit_down) FROM \"${MetricsNamespace}\"\n"
                "            WHERE \"why\" = 'failing'",
                "MAX(fuseboard_circuit_state) FROM \"${MetricsNamespace}\"\n"
                "            WHERE \"state\" != 'CLOSED'",
            ),
            (
                TERRAFORM,
                "MAX(fuseboard_circuit_down) FROM \\\"${var.metrics_namespace}\\\" "
                "WHERE \\\"why\\\" = 'failing'",
                "MAX(fuseboard_circuit_state) FROM \\\"${var.metrics_namespace}\\\" "
                "WHERE \\\"state\\\" != 'CLOSED'",
            ),
        ],
        "metric of circuit-open, beside alert CircuitOpen, is 'fuseboard_circuit_state'",
    ),
    (
        "an alert for another reason than the alarm's",
        [(ALERTS, 'why="throttled"', 'why="failing"')],
        "where of circuit-throttled, beside alert CircuitThrottled,",
    ),
    (
        "one alarm for all circuits, in both",
        [
            (
                CLOUDFORMATION,
                "'failing' GROUP BY \"circuit\" ORDER BY MAX() DESC",
                "'failing'",
            ),
            (
                TERRAFORM,
                "'failing' GROUP BY \\\"circuit\\\" ORDER BY MAX() DESC",
                "'failing'",
            ),
        ],
        "group of circuit-open, beside alert CircuitOpen, is None",
    ),
    (
        "an alert of circuits that are held",
        [
            (
                ALERTS,
                'why="throttled"}) > 0\n          unless on (circuit) '
                "max by (circuit) (fuseboard_circuit_held) > 0",
                'why="throttled"}) > 0',
            )
        ],
        "alert CircuitThrottled tells of circuits that are held",
    ),
    (
        "an alert of circuits that are only tried",
        [(ALERTS, '{circuit!~".*#dry-run"}', "")],
        "alert CircuitDownForLong tells of circuits that are only tried",
    ),
    (
        "an alert that no alarm tells",
        [(ALERTS, "alert: CircuitHeldForLong", "alert: CircuitHeldForDays")],
        "what Prometheus alerts of is",
    ),
    (
        "an alert that waits for longer than its alarm",
        [(ALERTS, "for: 3h", "for: 4h")],
        "alert CircuitHeldForLong waits 14400 s, and its alarm 9900 to 10800 s",
    ),
    (
        "an alert of an outage that waits for less than its alarm",
        [(ALERTS, "> 0) > 900", "> 0) > 300")],
        "alert CircuitDownForLong waits 300 s, and its alarm 900 to 900 s",
    ),
    (
        "an alert of more faults than its alarm",
        [(ALERTS, "[5m])) > 0.1", "[5m])) > 1")],
        "bound of store-faults, beside alert CircuitStoreFails,",
    ),
    (
        "an alert that nothing here can read",
        [(ALERTS, "max(fuseboard_store_misconfigured) > 0", "absent(fuseboard_failing_open)")],
        "alert CircuitStoreMisconfigured has an expression that nothing checks",
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


def not_found(texts, described, linted):
    """The mistakes that are not found, by the check that each is for."""
    missed = []
    for what, edits, wanted in MISTAKES:
        check = linted if wanted.startswith("cfn-lint") else described
        found = check(changed(texts, edits))
        if any(fault.startswith(wanted) for fault in found):
            print(f"found: {what}")
        else:
            missed.append(f"not found: {what}: {found}")
    print(f"{len(MISTAKES) - len(missed)} of {len(MISTAKES)} mistakes are found")
    return missed
