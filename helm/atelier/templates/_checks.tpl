{{/*
What no JSON Schema can say: refuses, with a sentence that names the value, what KubeRay, Kubernetes or the
application would refuse later, when it is harder to see why.
*/}}

{{- define "atelier.checks" -}}
{{- include "atelier.checkName" . -}}
{{- include "atelier.checkUpgrade" . -}}
{{- include "atelier.checkRay" . -}}
{{- include "atelier.checkWorkers" . -}}
{{- include "atelier.checkModels" . -}}
{{- include "atelier.checkModelsFit" . -}}
{{- include "atelier.checkHostedModels" . -}}
{{- include "atelier.checkPolicy" . -}}
{{- include "atelier.checkExposure" . -}}
{{- include "atelier.checkCallers" . -}}
{{- include "atelier.checkModelCache" . -}}
{{- include "atelier.checkBatches" . -}}
{{- include "atelier.checkTelemetry" . -}}
{{- include "atelier.checkNetworkPolicy" . -}}
{{- end -}}

{{- define "atelier.checkName" -}}
{{- $name := include "atelier.fullname" . -}}
{{- if gt (len $name) 47 -}}
{{- fail (printf "the name %q has %d characters, but KubeRay allows a RayService 47: set a shorter fullnameOverride or release name" $name (len $name)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the name %q must start with a letter and hold only a-z, 0-9 and '-' (DNS-1035), as KubeRay demands: set fullnameOverride" $name) -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkUpgrade" -}}
{{- if include "atelier.incremental" . -}}
{{- $options := .Values.ray.upgrade.incremental -}}
{{- if not .Values.ray.autoscaler.enabled -}}
{{- fail "ray.upgrade.strategy NewClusterWithIncrementalUpgrade needs ray.autoscaler.enabled: true, or the operator refuses the RayService" -}}
{{- end -}}
{{- if not $options.gatewayClassName -}}
{{- fail "ray.upgrade.strategy NewClusterWithIncrementalUpgrade needs ray.upgrade.incremental.gatewayClassName: the GatewayClass whose Gateway shifts the traffic" -}}
{{- end -}}
{{- if gt (int64 $options.stepSizePercent) (int64 $options.maxSurgePercent) -}}
{{- fail (printf "ray.upgrade.incremental.stepSizePercent %d is greater than maxSurgePercent %d: a step cannot move more traffic than the new cluster may grow by" (int64 $options.stepSizePercent) (int64 $options.maxSurgePercent)) -}}
{{- end -}}
{{- if and (or .Values.ingress.enabled .Values.gateway.httpRoute.enabled) (not $options.gatewayService.name) -}}
{{- fail "ray.upgrade.incremental.gatewayService.name is empty: with incremental upgrades KubeRay's own Gateway splits the traffic, and an Ingress or HTTPRoute must forward to the Service of that Gateway, not past it" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkRay" -}}
{{- $ray := .Values.ray -}}
{{- $owned := list "HOME" "XDG_CACHE_HOME" "RAY_REDIS_ADDRESS" "REDIS_PASSWORD" "REDIS_USERNAME" "RAY_AUTH_MODE" "RAY_AUTH_TOKEN" "RAY_enable_autoscaler_v2" "ATELIER_API_KEYS_FILE" "OTEL_EXPORTER_OTLP_ENDPOINT" -}}
{{- range $entry := $ray.env -}}
{{- if has $entry.name $owned -}}
{{- fail (printf "ray.env sets %s, which this chart or KubeRay sets itself: use the value that belongs to it" $entry.name) -}}
{{- end -}}
{{- if and $entry.value (regexMatch "(?i)(password|passwd|secret|token|api_?key|credential)" $entry.name) -}}
{{- fail (printf "ray.env gives %s as plain text: put it into a Secret and use valueFrom.secretKeyRef" $entry.name) -}}
{{- end -}}
{{- end -}}
{{- include "atelier.checkUnique" (dict "where" "ray.env" "items" $ray.env) -}}
{{- include "atelier.checkUnique" (dict "where" "priorityClasses" "items" .Values.priorityClasses) -}}
{{- if and (eq $ray.auth.mode "disabled") $ray.auth.existingSecret -}}
{{- fail "ray.auth.existingSecret is set but ray.auth.mode is disabled: the token would be ignored" -}}
{{- end -}}
{{- $redis := $ray.gcsFaultTolerance -}}
{{- if $redis.enabled -}}
{{- if not $redis.redisAddress -}}
{{- fail "ray.gcsFaultTolerance.enabled needs ray.gcsFaultTolerance.redisAddress, such as redis.example.svc:6379" -}}
{{- end -}}
{{- if and (not $redis.existingSecret) $redis.usernameKey -}}
{{- fail "ray.gcsFaultTolerance.usernameKey is set but existingSecret, which would hold it, is empty" -}}
{{- end -}}
{{- end -}}
{{- if lt (int64 $ray.terminationGracePeriodSeconds) (add 5 (int64 $ray.drainSeconds)) -}}
{{- fail (printf "ray.terminationGracePeriodSeconds %d must be at least 5 more than ray.drainSeconds %d, or pods are killed while they drain" (int64 $ray.terminationGracePeriodSeconds) (int64 $ray.drainSeconds)) -}}
{{- end -}}
{{- end -}}

{{/* Arguments: where, items (a list of maps with a name). */}}
{{- define "atelier.checkUnique" -}}
{{- $seen := dict -}}
{{- range .items -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "%s names %q twice" $.where .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkWorkers" -}}
{{- include "atelier.checkUnique" (dict "where" "workerGroups" "items" .Values.workerGroups) -}}
{{- range $index, $group := .Values.workerGroups -}}
{{- $where := printf "workerGroups[%d] (%s)" $index $group.name -}}
{{- if gt (int64 $group.minReplicas) (int64 $group.maxReplicas) -}}
{{- fail (printf "%s: minReplicas %d is greater than maxReplicas %d" $where (int64 $group.minReplicas) (int64 $group.maxReplicas)) -}}
{{- end -}}
{{- $replicas := int64 (default $group.minReplicas $group.replicas) -}}
{{- if or (lt $replicas (int64 $group.minReplicas)) (gt $replicas (int64 $group.maxReplicas)) -}}
{{- fail (printf "%s: replicas %d is outside minReplicas %d to maxReplicas %d" $where $replicas (int64 $group.minReplicas) (int64 $group.maxReplicas)) -}}
{{- end -}}
{{- if gt (int64 (default 0 $group.pdbMinAvailable)) (int64 $group.maxReplicas) -}}
{{- fail (printf "%s: pdbMinAvailable %d is greater than maxReplicas %d, so no pod could ever be drained" $where (int64 $group.pdbMinAvailable) (int64 $group.maxReplicas)) -}}
{{- end -}}
{{- if hasKey $group.resources "nvidia.com/gpu" -}}
{{- fail (printf "%s: give GPUs by gpu.count, not in resources, so that models can be checked against them" $where) -}}
{{- end -}}
{{- end -}}
{{- if and (not .Values.workerGroups) (not .Values.head.runsReplicas) -}}
{{- fail "workerGroups is empty and head.runsReplicas is false: no node could run a model" -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkModels" -}}
{{- range $name, $autoscaling := .Values.autoscaling -}}
{{- if not (hasKey $.Values.models $name) -}}
{{- fail (printf "autoscaling.%s names no model; models are: %s" $name (keys $.Values.models | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- range $name, $model := (include "atelier.models" . | fromYaml) -}}
{{- $gpus := float64 (default 0 $model.num_gpus) -}}
{{- if and (gt $gpus 1.0) (ne $gpus (floor $gpus)) -}}
{{- fail (printf "models.%s.num_gpus %v is neither a fraction of one GPU nor a whole number" $name $gpus) -}}
{{- end -}}
{{- $autoscaling := default dict $model.autoscaling -}}
{{- $min := int64 (dig "min_replicas" 1 $autoscaling) -}}
{{- $max := int64 (dig "max_replicas" 1 $autoscaling) -}}
{{- if gt $min $max -}}
{{- fail (printf "models.%s.autoscaling.min_replicas %d is greater than max_replicas %d" $name $min $max) -}}
{{- end -}}
{{- $weights := toString (default "" $model.weights) -}}
{{- if and $weights (not (regexMatch "^[/.]" $weights)) (not $model.revision) -}}
{{- fail (printf "models.%s.weights %q is a hub id without a revision: pin models.%s.revision to a commit" $name $weights $name) -}}
{{- end -}}
{{- end -}}
{{- $router := default dict .Values.app.router -}}
{{- $url := dig "url" "memory://atelier" (default dict .Values.app.files) -}}
{{- if and (gt (int64 (dig "autoscaling" "max_replicas" 1 $router)) 1) (or (hasPrefix "memory:" $url) (hasPrefix "file:" $url) (hasPrefix "/" $url)) -}}
{{- fail (printf "app.files.url %q is local to one router replica, but app.router.autoscaling.max_replicas is %d: name a store they share, such as s3://bucket/folder" $url (int64 (dig "autoscaling" "max_replicas" 1 $router))) -}}
{{- end -}}
{{- end -}}

{{/* Can every replica be placed on some node, and the smallest load on all of them together? */}}
{{- define "atelier.checkModelsFit" -}}
{{- $nodes := list -}}
{{- $gpusOffered := 0 -}}
{{- if .Values.head.runsReplicas -}}
{{- $nodes = append $nodes (dict "cpus" (float64 (include "atelier.cpus" .Values.head.resources.cpu)) "gpus" 0.0 "type" "") -}}
{{- end -}}
{{- range .Values.workerGroups -}}
{{- $gpus := 0.0 -}}{{- $type := "" -}}
{{- with .gpu }}{{- $gpus = float64 .count -}}{{- $type = default "" .acceleratorType -}}{{- end -}}
{{- $nodes = append $nodes (dict "cpus" (float64 (include "atelier.cpus" .resources.cpu)) "gpus" $gpus "type" $type) -}}
{{- $gpusOffered = addf $gpusOffered (mulf $gpus (float64 .maxReplicas)) -}}
{{- end -}}
{{- $gpusNeeded := 0.0 -}}
{{- range $name, $model := (include "atelier.models" . | fromYaml) -}}
{{- $gpus := float64 (default 0 $model.num_gpus) -}}
{{- $cpus := float64 (ternary $model.num_cpus 1 (hasKey $model "num_cpus")) -}}
{{- $type := default "" $model.accelerator_type -}}
{{- $fits := false -}}
{{- range $nodes -}}
{{- if and (le $gpus .gpus) (le $cpus .cpus) (or (eq $type "") (eq $type .type)) -}}{{- $fits = true -}}{{- end -}}
{{- end -}}
{{- if not $fits -}}
{{- fail (printf "models.%s needs %v GPU, %v CPU%s in one node, and neither a worker group nor the head offers that" $name $gpus $cpus (ternary "" (printf " and accelerator_type %s" $type) (eq $type ""))) -}}
{{- end -}}
{{- $gpusNeeded = addf $gpusNeeded (mulf $gpus (float64 (dig "autoscaling" "min_replicas" 1 $model))) -}}
{{- end -}}
{{- if gt $gpusNeeded (addf $gpusOffered 0.000001) -}}
{{- fail (printf "models need %v GPUs at their min_replicas, but workerGroups offer %v at their maxReplicas" $gpusNeeded $gpusOffered) -}}
{{- end -}}
{{- end -}}

{{/* Has every hosted model its provider's key, and a way to its API? */}}
{{- define "atelier.checkHostedModels" -}}
{{- $keysOfKinds := dict "openai_images" "OPENAI_API_KEY" "ideogram" "IDEOGRAM_API_KEY" "openai_compatible" "" -}}
{{- $variables := list -}}
{{- range .Values.ray.env }}{{- $variables = append $variables .name -}}{{ end -}}
{{- $folder := printf "%s/" (include "atelier.providerKeysDir" .) -}}
{{- range $name, $model := .Values.models -}}
{{- if hasKey $keysOfKinds $model.kind -}}
{{- $key := default (dict "env" (get $keysOfKinds $model.kind)) $model.api_key -}}
{{- with $key.env -}}
{{- if not (has . $variables) -}}
{{- fail (printf "models.%s takes its API key from the environment variable %s, which ray.env does not set: add it there with valueFrom.secretKeyRef, or give models.%s.api_key.file" $name . $name) -}}
{{- end -}}
{{- end -}}
{{- with $key.file -}}
{{- if not (hasPrefix $folder .) -}}
{{- fail (printf "models.%s.api_key.file %s is not in %s, where the Secret of providerKeys is mounted" $name . $folder) -}}
{{- end -}}
{{- if not $.Values.providerKeys.existingSecret -}}
{{- fail (printf "models.%s.api_key.file is in %s, but providerKeys.existingSecret names no Secret" $name $folder) -}}
{{- end -}}
{{- end -}}
{{- if and $.Values.networkPolicy.enabled (not $.Values.networkPolicy.hostedApis) -}}
{{- fail (printf "models.%s is hosted, but networkPolicy.hostedApis is empty: no replica could reach its API" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A CPU quantity as the whole number that Ray counts: KubeRay rounds 500m up to 1. */}}
{{- define "atelier.cpus" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}
{{- ceil (divf (float64 (trimSuffix "m" $text)) 1000) -}}
{{- else -}}
{{- ceil (float64 $text) -}}
{{- end -}}
{{- end -}}

{{/* Names of models that a part of the policy mentions, each followed by a line end: a name, a route, or a list of them. */}}
{{- define "atelier.policyModels" -}}
{{- if kindIs "string" . -}}
{{- . }}{{ "\n" -}}
{{- else if kindIs "slice" . -}}
{{- range . }}{{ include "atelier.policyModels" . }}{{ end -}}
{{- else if kindIs "map" . -}}
{{- range $key := list "model" "stages" "any_of" "quality" "fallback" "normalize" -}}
{{- with get $ $key }}{{ include "atelier.policyModels" . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkPolicy" -}}
{{- $document := default dict .Values.policy.document -}}
{{- if $document.includes -}}
{{- fail "policy.document.includes names files that this chart does not make: put them beside the policy, as keys of a ConfigMap of your own, and set policy.existingConfigMap" -}}
{{- end -}}
{{- $routes := default list $document.model_routing -}}
{{- with $document.default }}{{ $routes = append $routes . }}{{ end -}}
{{- range $index, $route := $routes -}}
{{- range $name := include "atelier.policyModels" $route | trim | splitList "\n" -}}
{{- if and $name (not (hasKey $.Values.models $name)) -}}
{{- fail (printf "policy.document sends requests to %q (route %d), which is none of models: %s" $name $index (keys $.Values.models | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.policy.existingConfigMap .Values.policy.document -}}
{{- fail "policy.existingConfigMap and policy.document are both set: give one (set policy.document to null to use your own ConfigMap)" -}}
{{- end -}}
{{- if not (or .Values.policy.existingConfigMap .Values.policy.document) -}}
{{- fail "policy.document is empty and policy.existingConfigMap names none: without a policy nothing can be routed" -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkExposure" -}}
{{- if and .Values.ingress.enabled .Values.gateway.httpRoute.enabled -}}
{{- fail "ingress.enabled and gateway.httpRoute.enabled are both true: choose one front door" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.tlsSecretName) (not .Values.ingress.allowPlainHttp) -}}
{{- fail "ingress.tlsSecretName is empty: name the Secret of the certificate, or set ingress.allowPlainHttp: true to serve prompts and images unencrypted" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled needs ingress.host" -}}
{{- end -}}
{{- $gateway := .Values.gateway -}}
{{- if and $gateway.create.enabled (not $gateway.httpRoute.enabled) -}}
{{- fail "gateway.create.enabled needs gateway.httpRoute.enabled: a Gateway without a route serves nothing" -}}
{{- end -}}
{{- if and $gateway.create.enabled (not $gateway.create.className) -}}
{{- fail "gateway.create.enabled needs gateway.create.className" -}}
{{- end -}}
{{- if and $gateway.create.enabled (not $gateway.create.tlsSecretName) -}}
{{- fail "gateway.create.enabled needs gateway.create.tlsSecretName: the Gateway of this chart listens for HTTPS only" -}}
{{- end -}}
{{- if and $gateway.httpRoute.enabled (not $gateway.create.enabled) (not $gateway.httpRoute.parentRefs) -}}
{{- fail "gateway.httpRoute.enabled needs gateway.httpRoute.parentRefs, or gateway.create.enabled: true" -}}
{{- end -}}
{{- $parents := dict -}}
{{- range $index, $parent := $gateway.httpRoute.parentRefs -}}
{{- $key := printf "%s/%s" (default "" $parent.namespace) $parent.name -}}
{{- $sections := default list (get $parents $key) -}}
{{- $all := append $sections (default "" $parent.sectionName) -}}
{{- if and $sections (or (has "" $all) (ne (len $all) (len (uniq $all)))) -}}
{{- fail (printf "gateway.httpRoute.parentRefs[%d]: Gateway %s is named twice, which needs a different sectionName each time" $index $parent.name) -}}
{{- end -}}
{{- $_ := set $parents $key $all -}}
{{- end -}}
{{- if and $gateway.httpRoute.enabled (not $gateway.httpRoute.hostnames) -}}
{{- fail "gateway.httpRoute.enabled needs gateway.httpRoute.hostnames" -}}
{{- end -}}
{{- if and (or .Values.ingress.enabled $gateway.httpRoute.enabled) (not .Values.apiKeys.existingSecret) (not .Values.apiKeys.allowAnonymous) -}}
{{- fail "apiKeys.existingSecret is empty while the endpoint is exposed: name the Secret of the API keys, or set apiKeys.allowAnonymous: true if something in front authenticates callers" -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkCallers" -}}
{{- if dig "keys_file" "" (default dict .Values.app.auth) -}}
{{- fail "app.auth.keys_file is set: name the Secret by apiKeys.existingSecret, which the chart mounts" -}}
{{- end -}}
{{- if and .Values.loadtest.enabled .Values.apiKeys.existingSecret (not .Values.apiKeys.testKey) -}}
{{- fail "loadtest.enabled with apiKeys.existingSecret needs apiKeys.testKey: the key of that Secret that holds one API key" -}}
{{- end -}}
{{- if and .Values.audit.enabled .Values.apiKeys.existingSecret (not .Values.apiKeys.testKey) -}}
{{- fail "audit.enabled with apiKeys.existingSecret needs apiKeys.testKey: the key of that Secret that holds one API key" -}}
{{- end -}}
{{- if and .Values.audit.enabled (not .Values.audit.existingConfigMap) -}}
{{- fail "audit.enabled needs audit.existingConfigMap: a ConfigMap with the keys audit.yaml and accepted.json" -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkModelCache" -}}
{{- $cache := .Values.modelCache -}}
{{- if and (eq $cache.kind "none") $cache.models -}}
{{- fail "modelCache.models is set but modelCache.kind is none: choose pvc, hostPath or emptyDir" -}}
{{- end -}}
{{- if and (eq $cache.kind "pvc") (not $cache.pvc.existingClaim) (not $cache.pvc.size) -}}
{{- fail "modelCache.kind pvc needs modelCache.pvc.size or modelCache.pvc.existingClaim" -}}
{{- end -}}
{{- if and (eq $cache.kind "hostPath") (not $cache.hostPath) -}}
{{- fail "modelCache.kind hostPath needs modelCache.hostPath, a folder of the node such as /var/lib/atelier/models" -}}
{{- end -}}
{{- $folders := dict -}}
{{- range $index, $model := $cache.models -}}
{{- if hasKey $folders $model.folder -}}
{{- fail (printf "modelCache.models[%d].folder %q is used twice" $index $model.folder) -}}
{{- end -}}
{{- $_ := set $folders $model.folder true -}}
{{- end -}}
{{- if ne $cache.kind "none" -}}
{{- range $name, $model := .Values.models -}}
{{- $weights := toString (default "" $model.weights) -}}
{{- $prefix := printf "%s/" $cache.mountPath -}}
{{- if and $cache.models (hasPrefix $prefix $weights) (not (hasKey $folders (trimPrefix $prefix $weights | splitList "/" | first))) -}}
{{- fail (printf "models.%s.weights %s is in the model cache, but modelCache.models fills no folder %q" $name $weights (trimPrefix $prefix $weights | splitList "/" | first)) -}}
{{- end -}}
{{- if and $weights (not (hasPrefix "/" $weights)) -}}
{{- fail (printf "models.%s.weights %q is a hub id, but with a model cache replicas load offline: add it to modelCache.models and point weights to %s<folder>" $name $weights $prefix) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkBatches" -}}
{{- $batches := .Values.batches -}}
{{- if and $batches.enabled (not $batches.existingClaim) (not $batches.size) -}}
{{- fail "batches.enabled needs batches.size or batches.existingClaim" -}}
{{- end -}}
{{- range $key := list "folder" "journal" -}}
{{- if hasKey (default dict $.Values.app.batches) $key -}}
{{- fail (printf "app.batches.%s is set: use batches, which mounts a volume and sets it" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkTelemetry" -}}
{{- if and .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- fail "monitoring.podMonitor.enabled and monitoring.serviceMonitor.enabled are both true: every pod would be scraped twice, and rates would double" -}}
{{- end -}}
{{- if and .Values.otelCollector.enabled (not .Values.otelCollector.exporter.endpoint) -}}
{{- fail "otelCollector.enabled needs otelCollector.exporter.endpoint: where the sampled traces go" -}}
{{- end -}}
{{- if and .Values.otelCollector.enabled .Values.telemetry.otlpEndpoint -}}
{{- fail "telemetry.otlpEndpoint and otelCollector.enabled are both set: traces go either to your collector or to the chart's" -}}
{{- end -}}
{{- if hasKey .Values.app.telemetry "otlp_endpoint" -}}
{{- fail "app.telemetry.otlp_endpoint is set: use telemetry.otlpEndpoint or otelCollector, which NetworkPolicies know of" -}}
{{- end -}}
{{- end -}}

{{- define "atelier.checkNetworkPolicy" -}}
{{- $policy := .Values.networkPolicy -}}
{{- if and $policy.enabled .Values.ray.autoscaler.enabled (not $policy.kubernetesApi.cidrs) -}}
{{- fail "networkPolicy.kubernetesApi.cidrs is empty: the autoscaler talks to the Kubernetes API, whose addresses `kubectl get endpoints kubernetes` shows" -}}
{{- end -}}
{{- if and $policy.enabled (include "atelier.watchesPolicy" .) (not $policy.kubernetesApi.cidrs) -}}
{{- fail "networkPolicy.kubernetesApi.cidrs is empty, but policy.follow is api: routers watch the ConfigMap through the Kubernetes API, whose addresses `kubectl get endpoints kubernetes` shows" -}}
{{- end -}}
{{- if and $policy.enabled .Values.ray.gcsFaultTolerance.enabled (not $policy.redis) -}}
{{- fail "networkPolicy.redis is empty: say which pods or addresses hold the Redis of ray.gcsFaultTolerance" -}}
{{- end -}}
{{- end -}}
