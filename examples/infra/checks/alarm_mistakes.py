"""Mistakes in alarms, and in the alerts that tell the same. As in `mistakes.py`."""

CLOUDFORMATION, TERRAFORM, ALERTS = "cloudformation.yml", "main.tf", "alerts.yml"

MISTAKES = [
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
]
