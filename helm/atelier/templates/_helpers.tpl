{{/*
Names, labels, images and security contexts that every template shares.
Knows nothing of Ray; _ray.tpl does.
*/}}

{{/* The name of the RayService and the prefix of everything else. Never truncated: too long is refused in _checks.tpl. */}}
{{- define "atelier.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* Labels that select: they never change during the life of a release. */}}
{{- define "atelier.selectorLabels" -}}
app.kubernetes.io/name: atelier
app.kubernetes.io/instance: "{{ .Release.Name }}"
{{- end -}}

{{/* Labels of every object. Not on Ray's pod templates: a chart version there would restart the cluster. */}}
{{- define "atelier.labels" -}}
helm.sh/chart: "{{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}"
{{ include "atelier.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: "{{ .Release.Service }}"
app.kubernetes.io/part-of: atelier
{{- end -}}

{{/* repository:tag, or repository:tag@digest where a digest is given. Argument: an image value. */}}
{{- define "atelier.image" -}}
{{- .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "atelier.appImage" -}}
{{- $image := .Values.image -}}
{{- include "atelier.image" (dict "repository" $image.repository "tag" (default .Chart.AppVersion $image.tag) "digest" $image.digest) -}}
{{- end -}}

{{- define "atelier.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: "{{ . }}"
{{- end }}
{{- end }}
{{- end -}}

{{/* Not configurable beyond the ids: a pod of this chart is never root and never privileged. */}}
{{- define "atelier.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ int64 .Values.securityContext.runAsUser }}
runAsGroup: {{ int64 .Values.securityContext.runAsGroup }}
fsGroup: {{ int64 .Values.securityContext.fsGroup }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "atelier.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "atelier.policyConfigMap" -}}
{{- default (printf "%s-policy" (include "atelier.fullname" .)) .Values.policy.existingConfigMap -}}
{{- end -}}

{{/* Names that KubeRay gives to the Services it makes for a RayService. */}}
{{- define "atelier.serveService" -}}
{{ include "atelier.fullname" . }}-serve-svc
{{- end -}}

{{- define "atelier.collectorName" -}}
{{ include "atelier.fullname" . }}-otel
{{- end -}}

{{- define "atelier.incremental" -}}
{{- if eq .Values.ray.upgrade.strategy "NewClusterWithIncrementalUpgrade" }}true{{ end -}}
{{- end -}}

{{/* Where a front door sends requests, as {name, port}: past KubeRay's Gateway while that one splits the traffic. */}}
{{- define "atelier.entrypoint" -}}
{{- $gateway := .Values.ray.upgrade.incremental.gatewayService -}}
{{- if include "atelier.incremental" . -}}
{{- dict "name" $gateway.name "port" $gateway.port | toJson -}}
{{- else -}}
{{- dict "name" (include "atelier.serveService" .) "port" 8000 | toJson -}}
{{- end -}}
{{- end -}}

{{/* The URL of the application inside the cluster. */}}
{{- define "atelier.url" -}}
{{- $entry := include "atelier.entrypoint" . | fromJson -}}
http://{{ $entry.name }}.{{ .Release.Namespace }}.svc:{{ int64 $entry.port }}
{{- end -}}

{{/* The Ray pods of this release, old and new cluster alike, as a label selector. */}}
{{- define "atelier.raySelector" -}}
matchLabels:
  {{- include "atelier.selectorLabels" . | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [ray-head, ray-worker]}
{{- end -}}

{{- define "atelier.dnsEgress" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{/* limits and requests, the same: what is promised is what may be used. Quantities become text, since a custom
resource takes a whole number or text, but not 0.5. Arguments: resources, and devices, a map of whole numbers (or nil). */}}
{{- define "atelier.resources" -}}
{{- $quantities := dict -}}
{{- range $name, $quantity := .resources }}{{ $_ := set $quantities $name (toString $quantity) }}{{ end -}}
{{- range $name, $count := .devices }}{{ $_ := set $quantities $name $count }}{{ end -}}
limits:
  {{- toYaml $quantities | nindent 2 }}
requests:
  {{- toYaml $quantities | nindent 2 }}
{{- end -}}
