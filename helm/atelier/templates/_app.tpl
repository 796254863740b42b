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
{{- $policy := dict "path" (printf "%s/%s" (include "atelier.policyDir" .) .Values.policy.key) -}}
{{- with .Values.policy.reloadIntervalSeconds }}{{- $_ := set $policy "reload_interval_s" . }}{{ end -}}
{{- $_ := set $app "policy" $policy -}}
{{- toYaml $app -}}
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
