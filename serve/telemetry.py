"""Names of the spans, attributes and metrics of the gateway, each with its unit.

Metrics go out through Ray's own metrics agent; there they carry the prefix `ray_`.
"""

from opentelemetry import trace

# Attributes that replicas write too.
from deployments.telemetry import ATTR_MODEL as ATTR_MODEL
from deployments.telemetry import ATTR_OUTCOME as ATTR_OUTCOME
from deployments.telemetry import ATTR_REQUEST_ID as ATTR_REQUEST_ID
from deployments.telemetry import ATTR_SEED as ATTR_SEED

tracer = trace.get_tracer("atelier.serve")

# Spans. The HTTP span is named "{method} {route}", as OpenTelemetry's conventions say.
SPAN_DECIDE = "policy.decide"
SPAN_RENDER = "image.render"
SPAN_SHADOW = "image.shadow"
SPAN_HANDLE = "handle.render"
SPAN_RESPOND = "http.respond"
SPAN_BATCH_LINE = "batch.line"

# Attributes.
ATTR_POLICY_VERSION = "atelier.policy_version"
ATTR_ROUTE = "atelier.route"
ATTR_REASON = "atelier.reason"
ATTR_BUDGET_MS = "atelier.budget_ms"
ATTR_GATE_MS = "atelier.gate_ms"
ATTR_REMAINING_MS = "atelier.remaining_ms"
ATTR_PREDICTED_MS = "atelier.predicted_ms"
ATTR_SUBSTITUTED = "atelier.substituted"
ATTR_CACHE = "atelier.cache"
ATTR_RUNG = "atelier.rung"

# Metrics: name, then label names.
METRIC_REQUESTS = "atelier_requests_total"  # route, model, outcome
METRIC_DURATION_MS = "atelier_request_duration_ms"  # histogram: route, outcome
METRIC_BUDGET = "atelier_budget_requests_total"  # route, met ("true" | "false")
METRIC_SUBSTITUTIONS = "atelier_substitutions_total"  # route, model (that failed), outcome
METRIC_CACHE = "atelier_cache_images_total"  # result ("hit" | "shared" | "miss")
METRIC_SHADOW_MS = "atelier_shadow_duration_ms"  # histogram: route, model, outcome
METRIC_GPU_SECONDS = "atelier_gpu_seconds_total"  # model
METRIC_COST_USD = "atelier_cost_usd_total"  # route, model
METRIC_QUEUE_MS = "atelier_queue_ms"  # histogram: model
METRIC_PREDICTION_ERROR = "atelier_prediction_error_ratio"  # histogram: model; |predicted - taken| / taken
METRIC_POLICY_RELOADS = "atelier_policy_reloads_total"  # result ("accepted" | "refused")
METRIC_POLICY_STALE = "atelier_policy_stale"  # gauge: 1 while the newest policy text was refused
METRIC_BATCH_LINES = "atelier_batch_lines"  # gauge: of all batches, not yet ended; each router says the same
METRIC_BREAKER_OPEN = "atelier_breaker_open"  # gauge: model; 1 until it is known to answer again

DURATION_BOUNDARIES_MS = [5, 10, 25, 50, 100, 200, 300, 500, 800, 1200, 2000, 5000, 10_000, 30_000, 60_000]
RATIO_BOUNDARIES = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
