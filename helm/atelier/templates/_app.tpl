{{/*
The application's own configuration: what serve.config.AppConfig reads, and Ray Serve's config around it.
*/}}

{{- define "atelier.policyDir" -}}/etc/atelier/policy{{- end -}}
{{- define "atelier.providerKeysDir" -}}/etc/atelier/providers{{- end -}}

{{/* `models`, with the `autoscaling` section laid over each model's own. */}}
{{- define "atelier.models" -}}
{{- $models := deepCopy .Values.models -}}
{{- range $name, $autoscaling := .Values.autoscaling -}}
{{- $model := get $models $name -}}
{{- $_ := set $model "autoscaling" (mergeOverwrite (deepCopy (default dict $model.autoscaling)) $autoscaling) -}}
{{- end -}}
{{- toYaml $models -}}
{{- end -}}

{{- define "atelier.appConfig" -}}
{{- $app := deepCopy .Values.app -}}
{{- $_ := set $app "models" (include "atelier.models" . | fromYaml) -}}
{{- $_ := set $app "policy" (include "atelier.policySource" . | fromJson) -}}
{{- if .Values.batches.enabled -}}
{{- $journal := ternary "delete" "wal" (eq .Values.batches.accessMode "ReadWriteMany") -}}
{{- $kept := dict "folder" .Values.batches.mountPath "journal" $journal -}}
{{- $_ := set $app "batches" (merge $kept (default dict $app.batches)) -}}
{{- end -}}
{{- toYaml $app -}}
{{- end -}}

{{/* The mounted file; or the ConfigMap itself, with the mounted file for a start without the API. */}}
{{- define "atelier.policySource" -}}
{{- $policy := .Values.policy -}}
{{- $path := printf "%s/%s" (include "atelier.policyDir" .) $policy.key -}}
{{- if include "atelier.watchesPolicy" . -}}
{{- $name := include "atelier.policyConfigMap" . -}}
{{- dict "config_map" (dict "namespace" .Release.Namespace "name" $name "key" $policy.key "fallback_path" $path) | toJson -}}
{{- else -}}
{{- dict "path" $path "reload_interval_s" $policy.reloadIntervalSeconds | toJson -}}
{{- end -}}
{{- end -}}

{{- define "atelier.watchesPolicy" -}}
{{- if eq .Values.policy.follow "api" }}true{{ end -}}
{{- end -}}

{{- define "atelier.serveConfig" -}}
proxy_location: EveryNode
http_options:
  host: 0.0.0.0
  port: 8000
{{- with .Values.ray.serve.requestTimeoutSeconds }}
  request_timeout_s: {{ . }}
{{- end }}
logging_config:
  encoding: JSON
  log_level: "{{ default "INFO" .Values.app.telemetry.log_level }}"
applications:
  - name: atelier
    import_path: serve.app:build_app
    route_prefix: /
    args:
{{ include "atelier.appConfig" . | indent 6 }}
{{- end -}}
