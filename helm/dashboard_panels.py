"""The panels of the chart's Grafana dashboards: a title, what it shows, and PromQL.

Knows nothing of Grafana's JSON. In queries SCOPE stands for the labels of the release, RATE for the interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph. `unit` is Grafana's name of a unit; `queries` are (legend, PromQL with SCOPE and RATE)."""

    title: str
    description: str
    unit: str
    queries: Sequence[tuple[str, str]]
    stacked: bool = False


def _quantile(quantile: float, metric: str, by: str) -> str:
    return f"histogram_quantile({quantile}, sum by ({by}, le) (rate({metric}_bucket{{SCOPE}}RATE)))"


def _rate(metric: str, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{SCOPE{where}}}RATE))"


REQUESTS = (
    Panel(
        "Requests by route",
        "Requests that ended, per second.",
        "reqps",
        [("{{route}}", _rate("ray_atelier_requests_total", "route"))],
        stacked=True,
    ),
    Panel(
        "Outcomes other than ok",
        "Why requests got no image, per second.",
        "reqps",
        [("{{outcome}}", _rate("ray_atelier_requests_total", "outcome", ',outcome!="ok"'))],
        stacked=True,
    ),
    Panel(
        "Budget attainment by route",
        "Share of requests with a latency budget that were answered within it.",
        "percentunit",
        [
            (
                "{{route}}",
                _rate("ray_atelier_budget_requests_total", "route", ',met="true"')
                + f" / {_rate('ray_atelier_budget_requests_total', 'route')}",
            )
        ],
    ),
    Panel(
        "Latency by route",
        "From arrival to answer.",
        "ms",
        [
            ("{{route}} p50", _quantile(0.5, "ray_atelier_request_duration_ms", "route")),
            ("{{route}} p99", _quantile(0.99, "ray_atelier_request_duration_ms", "route")),
        ],
    ),
    Panel(
        "Ladder of substitutions",
        "Candidates that did not answer, by model and reason, per second: the next one of the chain did.",
        "reqps",
        [("{{model}}: {{outcome}}", _rate("ray_atelier_substitutions_total", "model, outcome"))],
        stacked=True,
    ),
    Panel(
        "Share of requests with a substitution",
        "By route.",
        "percentunit",
        [
            (
                "{{route}}",
                f"{_rate('ray_atelier_substitutions_total', 'route')}"
                f" / {_rate('ray_atelier_requests_total', 'route')}",
            )
        ],
    ),
    Panel(
        "Open breakers",
        "Models that requests pass by: they kept failing and have not answered since.",
        "short",
        [("{{model}}", "max by (model) (ray_atelier_breaker_open{SCOPE})")],
    ),
    Panel(
        "Error of the predicted time",
        "|predicted - taken| / taken, median and p95: how well plans know the models.",
        "percentunit",
        [
            ("{{model}} p50", _quantile(0.5, "ray_atelier_prediction_error_ratio", "model")),
            ("{{model}} p95", _quantile(0.95, "ray_atelier_prediction_error_ratio", "model")),
        ],
    ),
    Panel(
        "Policy",
        "Texts offered per hour; stale is 1 while the newest was refused.",
        "short",
        [
            (
                "{{result}} per hour",
                "sum by (result) (increase(ray_atelier_policy_reloads_total{SCOPE}[1h]))",
            ),
            ("stale", "max(ray_atelier_policy_stale{SCOPE})"),
        ],
    ),
    Panel(
        "Images shared by equal requests",
        "From the cache (hit), from a render under way (shared), or rendered anew (miss), per second.",
        "reqps",
        [("{{result}}", _rate("ray_atelier_cache_images_total", "result"))],
        stacked=True,
    ),
    Panel(
        "Shadow renders",
        "Time of renders whose image is dropped, by model, p95.",
        "ms",
        [("{{model}}", _quantile(0.95, "ray_atelier_shadow_duration_ms", "model"))],
    ),
    Panel(
        "Batches",
        "Lines that have not ended.",
        "short",
        [("lines", "max(ray_atelier_batch_lines{SCOPE})")],
    ),
    Panel(
        "Cost by route",
        "US dollars per hour.",
        "currencyUSD",
        [("{{route}}", f"3600 * {_rate('ray_atelier_cost_usd_total', 'route')}")],
        stacked=True,
    ),
)

CAPACITY = (
    Panel(
        "GPUs granted and used",
        "Granted: what replicas hold. Used: GPU seconds of requests per second, weighted by fraction.",
        "short",
        [
            ("in the cluster", 'sum(ray_resources{SCOPE,Name="GPU"})'),
            ("granted", 'sum(ray_resources{SCOPE,Name="GPU",State="USED"})'),
            ("used", "sum(rate(ray_atelier_gpu_seconds_total{SCOPE}RATE))"),
        ],
    ),
    Panel(
        "GPU time by model",
        "GPU seconds per second.",
        "short",
        [("{{model}}", _rate("ray_atelier_gpu_seconds_total", "model"))],
        stacked=True,
    ),
    Panel(
        "GPU memory",
        "Used share by GPU.",
        "percentunit",
        [
            (
                "{{ip}} {{GpuIndex}}",
                "ray_node_gram_used{SCOPE} / (ray_node_gram_used{SCOPE} + ray_node_gram_available{SCOPE})",
            )
        ],
    ),
    Panel(
        "GPU utilisation",
        "By GPU.",
        "percent",
        [("{{ip}} {{GpuIndex}}", "ray_node_gpus_utilization{SCOPE}")],
    ),
    Panel(
        "Waiting before work",
        "By model.",
        "ms",
        [
            ("{{model}} p50", _quantile(0.5, "ray_atelier_queue_ms", "model")),
            ("{{model}} p95", _quantile(0.95, "ray_atelier_queue_ms", "model")),
        ],
    ),
    Panel(
        "Replicas",
        "Running, wanted by the autoscaling policy, and targeted after its limits.",
        "short",
        [
            (
                "{{deployment}} running",
                "sum by (deployment) (ray_serve_deployment_replica_healthy{SCOPE})",
            ),
            (
                "{{deployment}} desired",
                "max by (deployment) (ray_serve_autoscaling_desired_replicas{SCOPE})",
            ),
            (
                "{{deployment}} target",
                "max by (deployment) (ray_serve_autoscaling_target_replicas{SCOPE})",
            ),
        ],
    ),
    Panel(
        "Requests that autoscaling counts",
        "Ongoing and queued, by deployment.",
        "short",
        [
            ("{{deployment}} total", "max by (deployment) (ray_serve_autoscaling_total_requests{SCOPE})"),
            ("{{deployment}} queued", "sum by (deployment) (ray_serve_deployment_queued_queries{SCOPE})"),
        ],
    ),
    Panel(
        "Requests in replicas",
        "Being worked on, by deployment.",
        "short",
        [("{{deployment}}", "sum by (deployment) (ray_serve_replica_processing_queries{SCOPE})")],
    ),
    Panel(
        "Time of a step",
        "Mean of a denoiser call, by model and shape.",
        "s",
        [
            (
                "{{model}} {{shape}}",
                f"{_rate('ray_atelier_step_seconds_total', 'model, shape')}"
                f" / {_rate('ray_atelier_steps_total', 'model, shape')}",
            )
        ],
    ),
    Panel(
        "Error of the predicted step time",
        "Distance between predicted and taken, relative to predicted.",
        "percentunit",
        [
            (
                "{{model}} {{shape}}",
                f"{_rate('ray_atelier_step_error_seconds_total', 'model, shape')}"
                f" / {_rate('ray_atelier_step_predicted_seconds_total', 'model, shape')}",
            )
        ],
    ),
    Panel(
        "Batch of a step",
        "Requests that share a denoiser call, and how many may: memory moves the cap.",
        "short",
        [
            (
                "{{model}} {{shape}}",
                f"{_rate('ray_atelier_step_requests_total', 'model, shape')}"
                f" / {_rate('ray_atelier_steps_total', 'model, shape')}",
            ),
            ("{{model}} {{shape}} cap", "min by (model, shape) (ray_atelier_batch_cap{SCOPE})"),
        ],
    ),
    Panel(
        "Steps out of memory",
        "Denoiser calls that did not fit and were tried again in smaller batches, per second.",
        "ops",
        [("{{model}} {{shape}}", _rate("ray_atelier_step_out_of_memory_total", "model, shape"))],
    ),
    Panel(
        "Work in replicas",
        "Requests that have begun and that wait inside replicas, by model.",
        "short",
        [
            ("{{model}} running", "sum by (model) (ray_atelier_replica_running{SCOPE})"),
            ("{{model}} queued", "sum by (model) (ray_atelier_replica_queued{SCOPE})"),
        ],
    ),
    Panel(
        "Wait of a new request",
        "Predicted by the busiest replica of each model.",
        "ms",
        [("{{model}}", "max by (model) (ray_atelier_replica_wait_ms{SCOPE})")],
    ),
)
