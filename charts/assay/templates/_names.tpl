{{/* Names and labels. */}}

{{- define "assay.fullname" -}}
{{- $name := default "assay" .Values.nameOverride -}}
{{- $full := printf "%s-%s" .Release.Name $name -}}
{{- if contains $name .Release.Name }}{{ $full = .Release.Name }}{{ end -}}
{{- default $full .Values.fullnameOverride | trunc 40 | trimSuffix "-" | replace "." "-" -}}
{{- end }}

{{/* The name of an object outside of namespaces. A namespace has no dot in its name, so no two releases share one. */}}
{{- define "assay.clusterName" -}}
{{- printf "%s-%s.%s" (include "assay.fullname" .root) .component .root.Release.Namespace -}}
{{- end }}

{{/* What a component is known by; never changes over upgrades. Takes root, component and perhaps pool. */}}
{{- define "assay.selector" -}}
app.kubernetes.io/name: assay
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
assay.dev/pool: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The labels of an object. Takes root, component and perhaps pool. */}}
{{- define "assay.labels" -}}
{{- $labels := include "assay.selector" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- merge $labels .root.Values.commonLabels | toYaml -}}
{{- end }}

{{- define "assay.image" -}}
{{- printf "%s/%s:%s" .root.Values.image.registry .component (default .root.Chart.AppVersion .root.Values.image.tag) -}}
{{- end }}

{{- define "assay.postgresSecret" -}}
{{- default (printf "%s-postgres" (include "assay.fullname" .)) .Values.postgres.existingSecret -}}
{{- end }}

{{- define "assay.redisSecret" -}}
{{- default (printf "%s-redis" (include "assay.fullname" .)) .Values.redis.existingSecret -}}
{{- end }}

{{- define "assay.externalMetricsService" -}}
{{- printf "%s-external-metrics" (include "assay.fullname" .) -}}
{{- end }}

{{/* Whether callers have to say who they are: empty if not. */}}
{{- define "assay.asksCallers" -}}
{{- with .Values.gateway.auth }}{{ if or .jwks.url .secret.name .tokenReview.enabled }}true{{ end }}{{ end -}}
{{- end }}

{{/* The port of the gateway's Service by name: it says how to speak to it. */}}
{{- define "assay.gatewayScheme" -}}
{{- ternary "https" "http" (ne .Values.gateway.tls.secretName "") -}}
{{- end }}
