# The table of circuits, who may use it, and what tells people about it. The same as
# cloudformation.yml.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

variable "table_name" {
  description = "The name that DynamoDbStore is given"
  type        = string
  default     = "CircuitBreakerState"
}

variable "point_in_time_recovery" {
  description = "Circuits close and are probed again without it"
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Without the table each process protects itself alone"
  type        = bool
  default     = true
}

variable "process_services" {
  description = "The services that may take on the role of processes"
  type        = list(string)
  default     = ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"]
}

variable "metrics_namespace" {
  description = "The CloudWatch namespace of the metrics of processes; empty for no alarms on them"
  type        = string
  default     = "Payments"
}

variable "notices" {
  description = "What the topic is told of circuits; all tells of each failed probe as well"
  type        = string
  default     = "openings"

  validation {
    condition     = contains(["none", "openings", "all"], var.notices)
    error_message = "It is none, openings or all."
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_dynamodb_table" "circuits" {
  name                        = var.table_name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  stream_enabled              = true
  stream_view_type            = "NEW_AND_OLD_IMAGES"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "id"
    type = "S"
  }

  ttl {
    attribute_name = "expiration"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }
}

# What a process does: attach it to roles of your own, or use the role below.
data "aws_iam_policy_document" "processes" {
  statement {
    effect = "Allow"
    actions = [
      "dynamodb:GetItem",
      "dynamodb:UpdateItem",
    ]
    resources = [aws_dynamodb_table.circuits.arn]
  }
}

# What an operator does: look at all circuits, hold and release them, and `verify`.
data "aws_iam_policy_document" "operators" {
  statement {
    effect = "Allow"
    actions = [
      "dynamodb:DescribeTable",
      "dynamodb:DescribeTimeToLive",
      "dynamodb:GetItem",
      "dynamodb:Scan",
      "dynamodb:UpdateItem",
    ]
    resources = [aws_dynamodb_table.circuits.arn]
  }
}

data "aws_iam_policy_document" "process_services" {
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = var.process_services
    }
  }
}

# For whom in this account a policy of their own lets assume the role of operators.
data "aws_iam_policy_document" "this_account" {
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

resource "aws_iam_policy" "processes" {
  name_prefix = "${var.table_name}-processes-"
  description = "What a process that uses circuits does"
  policy      = data.aws_iam_policy_document.processes.json
}

resource "aws_iam_policy" "operators" {
  name_prefix = "${var.table_name}-operators-"
  description = "What an operator of circuits does"
  policy      = data.aws_iam_policy_document.operators.json
}

resource "aws_iam_role" "processes" {
  description        = "A process that uses circuits"
  assume_role_policy = data.aws_iam_policy_document.process_services.json
}

resource "aws_iam_role" "operators" {
  description        = "An operator of circuits"
  assume_role_policy = data.aws_iam_policy_document.this_account.json
}

resource "aws_iam_role_policy_attachment" "processes" {
  role       = aws_iam_role.processes.name
  policy_arn = aws_iam_policy.processes.arn
}

resource "aws_iam_role_policy_attachment" "operators" {
  role       = aws_iam_role.operators.name
  policy_arn = aws_iam_policy.operators.arn
}

# Not encrypted with the key of AWS for topics, by which alarms could not publish.
resource "aws_sns_topic" "circuits" {}

locals {
  # The queries sum over what DynamoDB tells of each operation: there is no such metric of a table.
  # Labels stand in quotes, since many words are reserved.
  table_alarms = {
    throttled = {
      description = "DynamoDB refuses requests of circuits; many processes call one circuit (docs/runbook.md#the-table-cannot-be-read)"
      query       = "SELECT SUM(ThrottledRequests) FROM \"AWS/DynamoDB\" WHERE \"TableName\" = '${var.table_name}'"
      period      = 60
      threshold   = 0
      periods     = 5
      breaching   = 2
    }
    system-errors = {
      description = "DynamoDB fails; circuits that are closed let calls through meanwhile (docs/runbook.md#the-table-cannot-be-read)"
      query       = "SELECT SUM(SystemErrors) FROM \"AWS/DynamoDB\" WHERE \"TableName\" = '${var.table_name}'"
      period      = 60
      threshold   = 0
      periods     = 5
      breaching   = 2
    }
  }

  # A function tells its gauges only when it is called: so two minutes of five, not two in a row.
  # Each circuit is a contributor, with a state and notices of its own: one that is down for long
  # does not hide the next.
  process_alarms = {
    circuit-open = {
      description = "A dependency fails; calls of its circuit are rejected (docs/runbook.md#a-circuit-is-open)"
      query       = "SELECT MAX(fuseboard_circuit_down) FROM \"${var.metrics_namespace}\" WHERE \"why\" = 'failing' GROUP BY \"circuit\" ORDER BY MAX() DESC"
      period      = 60
      threshold   = 0
      periods     = 5
      breaching   = 2
    }
    circuit-throttled = {
      description = "A dependency asks for fewer calls; those of its circuit are rejected (docs/runbook.md#a-circuit-is-open)"
      query       = "SELECT MAX(fuseboard_circuit_down) FROM \"${var.metrics_namespace}\" WHERE \"why\" = 'throttled' GROUP BY \"circuit\" ORDER BY MAX() DESC"
      period      = 60
      threshold   = 0
      periods     = 5
      breaching   = 2
    }
    # Down in each of three periods, since a query does not know what time it is. One that closes
    # and opens again in each counts as well.
    circuit-down-for-long = {
      description = "A circuit is down for a quarter of an hour (docs/runbook.md#it-does-not-close)"
      query       = "SELECT MAX(fuseboard_circuit_down) FROM \"${var.metrics_namespace}\" GROUP BY \"circuit\" ORDER BY MAX() DESC"
      period      = 300
      threshold   = 0
      periods     = 3
      breaching   = 3
    }
    # Three hours are as far as an alarm on a query looks back.
    circuit-held-for-long = {
      description = "An operator holds a circuit, open or closed, for three hours (docs/runbook.md#it-does-not-close)"
      query       = "SELECT MAX(fuseboard_circuit_held) FROM \"${var.metrics_namespace}\" GROUP BY \"circuit\" ORDER BY MAX() DESC"
      period      = 900
      threshold   = 0
      periods     = 12
      breaching   = 11
    }
    failing-open = {
      description = "A process cannot read the item of a circuit, and lets calls through (docs/runbook.md#the-table-cannot-be-read)"
      query       = "SELECT MAX(fuseboard_failing_open) FROM \"${var.metrics_namespace}\" GROUP BY \"circuit\" ORDER BY MAX() DESC"
      period      = 60
      threshold   = 0
      periods     = 5
      breaching   = 2
    }
    # One in ten seconds, for ten minutes.
    store-faults = {
      description = "Operations of circuits on the table fail; the log of the processes says why (docs/runbook.md#the-table-cannot-be-read)"
      query       = "SELECT SUM(fuseboard_store_faults_total) FROM \"${var.metrics_namespace}\" GROUP BY \"kind\" ORDER BY SUM() DESC"
      period      = 300
      threshold   = 30
      periods     = 2
      breaching   = 2
    }
    misconfigured = {
      description = "A process protects itself alone; its log says what to change (docs/runbook.md#the-table-cannot-be-read)"
      query       = "SELECT MAX(fuseboard_store_misconfigured) FROM \"${var.metrics_namespace}\""
      period      = 60
      threshold   = 0
      periods     = 5
      breaching   = 2
    }
    settings-refused = {
      description = "A process refuses its settings file, and keeps to earlier ones (docs/runbook.md#change-a-threshold)"
      query       = "SELECT MAX(fuseboard_settings_refused) FROM \"${var.metrics_namespace}\""
      period      = 60
      threshold   = 0
      periods     = 5
      breaching   = 1
    }
    subscriber-lags = {
      description = "A subscriber was too slow; it has not heard of every transition (docs/runbook.md#before-you-need-it)"
      query       = "SELECT SUM(fuseboard_lagged_total) FROM \"${var.metrics_namespace}\""
      period      = 300
      threshold   = 0
      periods     = 3
      breaching   = 1
    }
  }

  alarms = merge(
    local.table_alarms,
    { for name, alarm in local.process_alarms : name => alarm if var.metrics_namespace != "" },
  )
}

resource "aws_cloudwatch_metric_alarm" "circuits" {
  for_each            = local.alarms
  alarm_name          = "${var.table_name}-${each.key}"
  alarm_description   = each.value.description
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.breaching
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.circuits.arn]
  ok_actions          = [aws_sns_topic.circuits.arn]

  metric_query {
    id          = "query"
    expression  = each.value.query
    period      = each.value.period
    return_data = true
  }
}

locals {
  openings = [
    # A circuit that had no item.
    {
      eventName = ["INSERT"]
      dynamodb = {
        NewImage = { state = { S = ["OPEN"] } }
      }
    },
    # A circuit that was closed.
    {
      eventName = ["MODIFY"]
      dynamodb = {
        OldImage = { state = { S = ["CLOSED"] } }
        NewImage = { state = { S = ["OPEN"] } }
      }
    },
    # A circuit that was probed, and that an operator holds.
    {
      eventName = ["MODIFY"]
      dynamodb = {
        OldImage = { state = { S = ["HALF_OPEN"] } }
        NewImage = { state = { S = ["OPEN"] }, half_open_owner = { S = [{ prefix = "hold#" }] } }
      }
    },
  ]

  # A circuit whose probe failed: in an outage, once in each recovery_timeout.
  reopenings = [
    {
      eventName = ["MODIFY"]
      dynamodb = {
        OldImage = { state = { S = ["HALF_OPEN"] } }
        NewImage = { state = { S = ["OPEN"] } }
      }
    },
  ]

  filters = concat(local.openings, [for pattern in local.reopenings : pattern if var.notices == "all"])
}

data "aws_iam_policy_document" "pipes_service" {
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["pipes.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

data "aws_iam_policy_document" "pipe" {
  statement {
    effect = "Allow"
    actions = [
      "dynamodb:DescribeStream",
      "dynamodb:GetRecords",
      "dynamodb:GetShardIterator",
      "dynamodb:ListStreams",
    ]
    resources = [aws_dynamodb_table.circuits.stream_arn]
  }

  statement {
    effect    = "Allow"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.circuits.arn]
  }
}

resource "aws_iam_role" "pipe" {
  count              = var.notices == "none" ? 0 : 1
  description        = "Reads the stream of the table, and tells the topic of circuits that became open"
  assume_role_policy = data.aws_iam_policy_document.pipes_service.json
}

resource "aws_iam_role_policy" "pipe" {
  count  = var.notices == "none" ? 0 : 1
  name   = "pipe"
  role   = aws_iam_role.pipe[0].name
  policy = data.aws_iam_policy_document.pipe.json
}

# "Circuit X became OPEN". One of the filters has to match. All writes of a circuit are in the
# stream, also those that renew a lease.
resource "aws_pipes_pipe" "circuits" {
  count       = var.notices == "none" ? 0 : 1
  description = "Circuits that became open"
  role_arn    = aws_iam_role.pipe[0].arn
  source      = aws_dynamodb_table.circuits.stream_arn
  target      = aws_sns_topic.circuits.arn
  depends_on  = [aws_iam_role_policy.pipe]

  source_parameters {
    dynamodb_stream_parameters {
      starting_position = "LATEST"
      batch_size        = 1
      # A notice that cannot be delivered holds up those behind it.
      maximum_record_age_in_seconds = 3600
      maximum_retry_attempts        = 10
    }

    filter_criteria {
      dynamic "filter" {
        for_each = local.filters
        content {
          pattern = jsonencode(filter.value)
        }
      }
    }
  }

  target_parameters {
    # Not by jsonencode, which would escape the angle brackets. What not every item has is in the
    # item alone: an object, and so without quotes.
    input_template = <<-JSON
      {"circuit": "<$.dynamodb.Keys.id.S>",
       "state": "<$.dynamodb.NewImage.state.S>",
       "failure_count": "<$.dynamodb.NewImage.failure_count.N>",
       "item": <$.dynamodb.NewImage>}
    JSON
  }
}

output "table_arn" {
  value = aws_dynamodb_table.circuits.arn
}

output "process_policy_arn" {
  value = aws_iam_policy.processes.arn
}

output "process_role_arn" {
  value = aws_iam_role.processes.arn
}

output "operator_role_arn" {
  value = aws_iam_role.operators.arn
}

output "topic_arn" {
  value = aws_sns_topic.circuits.arn
}
