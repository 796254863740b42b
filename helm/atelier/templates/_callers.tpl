{{/*
Spec of a pod that calls the endpoint: the release test, the load test and the audit.
Arguments: root, component, resources, arguments (the command as a list), and script (or nil), a file of the
release's ConfigMap of scripts that is mounted at /etc/atelier/scripts. Optional: volumes and mounts besides, and
reports (true where the pod sends metrics).
*/}}
{{- define "atelier.callerPod" -}}
{{- $root := .root -}}
restartPolicy: Never
serviceAccountName: "{{ include "atelier.fullname" $root }}-job"
automountServiceAccountToken: false
enableServiceLinks: false
{{- with include "atelier.pullSecrets" $root }}
{{ . }}
{{- end }}
securityContext:
  {{- include "atelier.podSecurityContext" $root | nindent 2 }}
containers:
  - name: "{{ .component }}"
    image: "{{ include "atelier.appImage" $root }}"
    imagePullPolicy: "{{ $root.Values.image.pullPolicy }}"
    command:
      {{- toYaml .arguments | nindent 6 }}
    env:
      - {name: HOME, value: /tmp/home}
      {{- if .reports }}
      {{- with include "atelier.otlpEndpoint" $root }}
      - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "{{ . }}"}
      {{- end }}
      {{- end }}
    resources:
      {{- include "atelier.resources" (dict "resources" .resources) | nindent 6 }}
    securityContext:
      {{- include "atelier.containerSecurityContext" $root | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- if .script }}
      - {name: scripts, mountPath: /etc/atelier/scripts, readOnly: true}
      {{- end }}
      {{- with .mounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- if include "atelier.callerKey" $root }}
      - {name: api-keys, mountPath: /etc/atelier/api-keys, readOnly: true}
      {{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 256Mi}
  {{- with .script }}
  - name: scripts
    configMap:
      name: "{{ . }}"
  {{- end }}
  {{- with .volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with include "atelier.callerKey" $root }}
  - name: api-keys
    secret:
      secretName: "{{ $root.Values.apiKeys.existingSecret }}"
      defaultMode: 0440
      items:
        - {key: "{{ . }}", path: "{{ . }}"}
  {{- end }}
{{- end -}}

{{/* The key of the Secret that holds the one API key of these pods; empty without API keys. */}}
{{- define "atelier.callerKey" -}}
{{- if .Values.apiKeys.existingSecret }}{{ .Values.apiKeys.testKey }}{{ end -}}
{{- end -}}
