{{/*
The Ray container and the pods around it, head and workers alike.
What is written here is part of rayClusterConfig: a change of it starts a new Ray cluster.
*/}}

{{/* Environment of every Ray container. A service link such as ATELIER_SERVE_SVC_PORT would be read as a setting
of the application, hence enableServiceLinks: false in the pods. */}}
{{- define "atelier.rayEnv" -}}
- name: HOME
  value: /tmp/home
- name: XDG_CACHE_HOME
  value: /tmp/cache
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
{{- with (include "atelier.otlpEndpoint" .) }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: "{{ . }}"
{{- end }}
{{- if .Values.apiKeys.existingSecret }}
- name: ATELIER_API_KEYS_FILE
  value: /etc/atelier/api-keys/{{ .Values.apiKeys.key }}
{{- end }}
{{- if ne .Values.modelCache.kind "none" }}
- name: HF_HUB_OFFLINE
  value: "1"
{{- end }}
{{- if eq .Values.ray.proxy "haproxy" }}
{{- /* As serve/proxies.py sets them, where it says why. */}}
- name: RAY_SERVE_ENABLE_HA_PROXY
  value: "1"
- name: RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD
  value: "0"
- name: RAY_SERVE_HAPROXY_BINARY_PATH
  value: /opt/atelier/bin/atelier-haproxy
{{- end }}
{{- with .Values.ray.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "atelier.otlpEndpoint" -}}
{{- if .Values.otelCollector.enabled -}}
http://{{ include "atelier.collectorName" . }}.{{ .Release.Namespace }}.svc:4318
{{- else -}}
{{- .Values.telemetry.otlpEndpoint -}}
{{- end -}}
{{- end -}}

{{/* Arguments: root, resources, gpu (or nil), head (bool). */}}
{{- define "atelier.rayContainer" -}}
{{- $root := .root -}}
name: "{{ ternary "ray-head" "ray-worker" .head }}"
image: "{{ include "atelier.appImage" $root }}"
imagePullPolicy: "{{ $root.Values.image.pullPolicy }}"
env:
{{- include "atelier.rayEnv" $root | nindent 2 }}
ports:
{{- if .head }}
  - {name: gcs-server, containerPort: 6379}
  - {name: dashboard, containerPort: 8265}
  - {name: as-metrics, containerPort: 44217}
  - {name: dash-metrics, containerPort: 44227}
{{- end }}
  - {name: serve, containerPort: 8000}
  - {name: metrics, containerPort: 8080}
resources:
{{- $devices := dict -}}
{{- with .gpu }}{{- $_ := set $devices .resourceName (int64 .count) }}{{ end -}}
{{- include "atelier.resources" (dict "resources" .resources "devices" $devices) | nindent 2 }}
securityContext:
{{- include "atelier.containerSecurityContext" $root | nindent 2 }}
startupProbe:
  httpGet: {path: /api/healthz, port: 52365}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ int64 $root.Values.ray.probes.startupFailureThreshold }}
livenessProbe:
  httpGet: {path: /api/healthz, port: 52365}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ int64 $root.Values.ray.probes.livenessFailureThreshold }}
{{- if .head }}
{{- /* KubeRay puts the head into the serve Service by a label of its own, so that its readiness says only that Ray is up. */}}
readinessProbe:
  httpGet: {path: /api/healthz, port: 52365}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 10
{{- else }}
{{- /* A worker gets traffic while its Serve proxy is healthy; one failure is enough to leave. */}}
readinessProbe:
  httpGet: {path: /-/healthz, port: serve}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 1
{{- end }}
{{- /* Endpoints forget the pod while it still answers; `ray stop` here would cut requests that run. */}}
lifecycle:
  preStop:
    exec:
      command: [sleep, {{ $root.Values.ray.drainSeconds | int64 | quote }}]
volumeMounts:
{{- include "atelier.rayVolumeMounts" $root | nindent 2 }}
{{- end -}}

{{- define "atelier.rayVolumeMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: policy, mountPath: "{{ include "atelier.policyDir" . }}", readOnly: true}
{{- if .Values.apiKeys.existingSecret }}
- {name: api-keys, mountPath: /etc/atelier/api-keys, readOnly: true}
{{- end }}
{{- if .Values.providerKeys.existingSecret }}
- {name: provider-keys, mountPath: "{{ include "atelier.providerKeysDir" . }}", readOnly: true}
{{- end }}
{{- if .Values.batches.enabled }}
- {name: batches, mountPath: "{{ .Values.batches.mountPath }}"}
{{- end }}
{{- if ne .Values.modelCache.kind "none" }}
- {name: models, mountPath: "{{ .Values.modelCache.mountPath }}", readOnly: true}
{{- end }}
{{- end -}}

{{- define "atelier.batchesClaim" -}}
{{- default (printf "%s-batches" (include "atelier.fullname" .)) .Values.batches.existingClaim -}}
{{- end -}}

{{- define "atelier.rayVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: "{{ .Values.ray.tmpSizeLimit }}"
{{- /* Mounted as a folder, not by subPath: only so does a changed ConfigMap arrive in a running pod. */}}
- name: policy
  configMap:
    name: "{{ include "atelier.policyConfigMap" . }}"
{{- with .Values.apiKeys.existingSecret }}
- name: api-keys
  secret:
    secretName: "{{ . }}"
    defaultMode: 0440
    items:
      - {key: "{{ $.Values.apiKeys.key }}", path: "{{ $.Values.apiKeys.key }}"}
{{- end }}
{{- with .Values.providerKeys.existingSecret }}
- name: provider-keys
  secret:
    secretName: "{{ . }}"
    defaultMode: 0440
{{- end }}
{{- if .Values.batches.enabled }}
- name: batches
  persistentVolumeClaim:
    claimName: "{{ include "atelier.batchesClaim" . }}"
{{- end }}
{{- include "atelier.modelCacheVolume" . }}
{{- end -}}

{{/* Labels of a Ray pod. Stable over chart upgrades. Arguments: root, component. */}}
{{- define "atelier.rayPodLabels" -}}
{{ include "atelier.selectorLabels" .root }}
app.kubernetes.io/component: "{{ .component }}"
app.kubernetes.io/part-of: atelier
{{- end -}}

{{/* Arguments: root, node (head or a worker group), gpu, head (bool). */}}
{{- define "atelier.rayPod" -}}
{{- $root := .root -}}
{{- $node := .node -}}
metadata:
  labels:
{{- include "atelier.rayPodLabels" (dict "root" $root "component" (ternary "ray-head" "ray-worker" .head)) | nindent 4 }}
{{- with $root.Values.podAnnotations }}
  annotations:
{{- toYaml . | nindent 4 }}
{{- end }}
spec:
  serviceAccountName: "{{ include "atelier.fullname" $root }}-{{ ternary "head" "worker" .head }}"
  automountServiceAccountToken: {{ or (ne (include "atelier.watchesPolicy" $root) "") (and .head $root.Values.ray.autoscaler.enabled) }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int64 $root.Values.ray.terminationGracePeriodSeconds }}
  {{- with include "atelier.pullSecrets" $root }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $node.priorityClassName }}
  priorityClassName: "{{ . }}"
  {{- end }}
  {{- with $node.runtimeClassName }}
  runtimeClassName: "{{ . }}"
  {{- end }}
  {{- with $node.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $node.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $node.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if not .head }}
  {{- with $node.topologySpread }}
  topologySpreadConstraints:
  {{- range . }}
    - maxSkew: {{ int64 .maxSkew }}
      topologyKey: "{{ .topologyKey }}"
      whenUnsatisfiable: "{{ .whenUnsatisfiable }}"
      labelSelector:
        matchLabels:
          {{- include "atelier.selectorLabels" $root | nindent 10 }}
          ray.io/group: "{{ $node.name }}"
  {{- end }}
  {{- end }}
  {{- end }}
  securityContext:
    {{- include "atelier.podSecurityContext" $root | nindent 4 }}
  {{- with include "atelier.modelCacheInitContainers" $root }}
  initContainers:
    {{- . | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "atelier.rayContainer" (dict "root" $root "resources" $node.resources "gpu" .gpu "head" .head) | indent 6 | trim }}
  volumes:
    {{- include "atelier.rayVolumes" $root | nindent 4 }}
{{- end -}}
