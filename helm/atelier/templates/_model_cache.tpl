{{/*
Where weights come from: a shared claim filled by one Job, or a folder of each node or pod filled by an init container.
*/}}

{{- define "atelier.modelCacheClaim" -}}
{{- default (printf "%s-models" (include "atelier.fullname" .)) .Values.modelCache.pvc.existingClaim -}}
{{- end -}}

{{- define "atelier.modelCacheVolume" -}}
{{- $cache := .Values.modelCache -}}
{{- if eq $cache.kind "pvc" }}
- name: models
  persistentVolumeClaim:
    claimName: "{{ include "atelier.modelCacheClaim" . }}"
{{- else if eq $cache.kind "hostPath" }}
- name: models
  hostPath:
    path: "{{ $cache.hostPath }}"
    type: DirectoryOrCreate
{{- else if eq $cache.kind "emptyDir" }}
- name: models
  emptyDir:
    sizeLimit: "{{ $cache.emptyDirSizeLimit }}"
{{- end }}
{{- if and (ne $cache.kind "none") $cache.models }}
- name: model-list
  configMap:
    name: "{{ include "atelier.fullname" . }}-models"
{{- end }}
{{- end -}}

{{/* The list of models as the fetching program reads it. */}}
{{- define "atelier.modelList" -}}
{{- dict "root" .Values.modelCache.mountPath "models" .Values.modelCache.models | toPrettyJson -}}
{{- end -}}

{{/* Arguments: root, mode (fetch or wait). */}}
{{- define "atelier.modelCacheContainer" -}}
{{- $root := .root -}}
{{- $cache := $root.Values.modelCache -}}
name: "{{ .mode }}-models"
image: "{{ include "atelier.appImage" $root }}"
imagePullPolicy: "{{ $root.Values.image.pullPolicy }}"
command: [python, /etc/atelier/model-list/fetch_models.py, {{ .mode }}, /etc/atelier/model-list/models.json]
env:
  - {name: HOME, value: /tmp/home}
  - {name: HF_HOME, value: /tmp/hub}
{{- if eq .mode "fetch" }}
{{- with $cache.hubEndpoint }}
  - {name: HF_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- with $cache.tokenSecret }}
  - name: HF_TOKEN
    valueFrom:
      secretKeyRef: {name: "{{ . }}", key: "{{ $cache.tokenKey }}"}
{{- end }}
{{- end }}
resources:
  {{- include "atelier.resources" (dict "resources" $cache.resources) | nindent 2 }}
securityContext:
  {{- include "atelier.containerSecurityContext" $root | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: models, mountPath: "{{ $cache.mountPath }}"{{ if eq .mode "wait" }}, readOnly: true{{ end }}}
  - {name: model-list, mountPath: /etc/atelier/model-list, readOnly: true}
{{- end -}}

{{/* A pod waits for the Job that fills the shared claim; where there is no shared claim it fills its own folder. */}}
{{- define "atelier.modelCacheInitContainers" -}}
{{- if and (ne .Values.modelCache.kind "none") .Values.modelCache.models -}}
- {{ include "atelier.modelCacheContainer" (dict "root" . "mode" (ternary "wait" "fetch" (eq .Values.modelCache.kind "pvc"))) | indent 2 | trim }}
{{- end -}}
{{- end -}}
