{{/*
The collector's configuration: every failed, slow or substituted request is kept, and a share of the rest.
Names of attributes are the application's (serve/telemetry.py).
*/}}

{{- define "atelier.collectorConfig" -}}
{{- $collector := .Values.otelCollector -}}
extensions:
  health_check:
    endpoint: 0.0.0.0:13133
receivers:
  otlp:
    protocols:
      http:
        endpoint: 0.0.0.0:4318
processors:
  memory_limiter:
    check_interval: 1s
    limit_percentage: 80
    spike_limit_percentage: 20
  tail_sampling:
    decision_wait: {{ int64 $collector.tailSampling.decisionWaitSeconds }}s
    num_traces: {{ int64 $collector.tailSampling.tracesInMemory }}
    policies:
      - name: failed
        type: status_code
        status_code:
          status_codes: [ERROR]
      - name: slow
        type: latency
        latency:
          threshold_ms: {{ int64 $collector.tailSampling.slowerThanMs }}
      - name: substituted
        type: boolean_attribute
        boolean_attribute:
          key: atelier.substituted
          value: true
      - name: not-ok
        type: string_attribute
        string_attribute:
          key: atelier.outcome
          values: [refused_capacity, refused_budget, deadline_exceeded, out_of_memory, model_error, model_gone]
      - name: share-of-the-rest
        type: probabilistic
        probabilistic:
          sampling_percentage: {{ $collector.tailSampling.othersPercent }}
  batch:
    timeout: 1s
    send_batch_size: 512
    send_batch_max_size: 1024
exporters:
  {{- if .Values.audit.enabled }}
  {{- /* Audits end long before the next one: what they reported stays to be scraped. */}}
  prometheus:
    endpoint: 0.0.0.0:8889
    metric_expiration: 8760h
    add_metric_suffixes: false
  {{- end }}
  otlphttp:
    endpoint: {{ $collector.exporter.endpoint | quote }}
    {{- if $collector.exporter.headersSecret }}
    headers:
      authorization: ${env:EXPORTER_AUTHORIZATION}
    {{- end }}
    {{- if $collector.exporter.insecureSkipVerify }}
    tls:
      insecure_skip_verify: true
    {{- end }}
    retry_on_failure:
      enabled: true
      max_elapsed_time: 300s
    sending_queue:
      enabled: true
      queue_size: 2000
service:
  extensions: [health_check]
  telemetry:
    metrics:
      readers:
        - pull:
            exporter:
              prometheus:
                host: 0.0.0.0
                port: 8888
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, tail_sampling, batch]
      exporters: [otlphttp]
    {{- if .Values.audit.enabled }}
    metrics:
      receivers: [otlp]
      processors: [memory_limiter, batch]
      exporters: [prometheus]
    {{- end }}
{{- end -}}
