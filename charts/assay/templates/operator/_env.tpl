{{/* What an operator is told. */}}
{{- define "assay.operator.env" -}}
{{- $operator := .Values.operator -}}
{{ include "assay.env.common" . }}
{{ include "assay.env.postgres" . }}
{{ include "assay.env.redis" . }}
{{ include "assay.env.pod" "ASSAY_OPERATOR_NAME" }}
{{- $settings := dict
  "ASSAY_NAMESPACE" .Release.Namespace
  "ASSAY_WATCH_NAMESPACE" (ternary "" .Release.Namespace $operator.allNamespaces)
  "ASSAY_POOLS" (include "assay.pools" .)
  "ASSAY_LEASE" .Values.scorer.lease
  "ASSAY_LEADER_LEASE" $operator.leaderLease
  "ASSAY_SWEEP_AFTER" $operator.sweepAfter
  "ASSAY_AUDIT_EVERY" $operator.auditEvery
  "ASSAY_RETAIN_JOBS" $operator.retention.jobs
  "ASSAY_RETAIN_HISTORY" $operator.retention.history
  "ASSAY_RETAIN_SUBMISSIONS" $operator.retention.submissions
  "ASSAY_RETENTION_EVERY" $operator.retention.every
  "ASSAY_SCORER_PODS" (printf "app.kubernetes.io/name=assay,app.kubernetes.io/instance=%s,app.kubernetes.io/component=scorer" .Release.Name)
-}}
{{- if .Values.externalMetrics.enabled }}
{{- $_ := set $settings "ASSAY_EXTERNAL_METRICS_ADDR" (printf "0.0.0.0:%d" (int64 .Values.externalMetrics.port)) }}
{{- $_ := set $settings "ASSAY_EXTERNAL_METRICS_SERVICE" (include "assay.externalMetricsService" .) }}
{{- $_ := set $settings "ASSAY_EXTERNAL_METRICS_SECRET" (printf "%s-tls" (include "assay.externalMetricsService" .)) }}
{{- end }}
{{- range $name, $value := $settings }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
