{{/* Environment variables, as YAML lists. */}}

{{/* What every service is told. */}}
{{- define "assay.env.common" -}}
- name: ASSAY_LOG
  value: {{ .Values.log.level | quote }}
- name: ASSAY_LOG_FORMAT
  value: {{ .Values.log.format }}
{{- with .Values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "assay.env.postgres" -}}
- name: ASSAY_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "assay.postgresSecret" . }}
      key: {{ ternary .Values.postgres.urlKey "url" (ne .Values.postgres.existingSecret "") }}
{{- with .Values.postgres.migrationUrlKey }}
- name: ASSAY_DATABASE_MIGRATION_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "assay.postgresSecret" $ }}
      key: {{ . }}
{{- end }}
- name: ASSAY_DATABASE_POOLED
  value: {{ .Values.postgres.pooled | quote }}
- name: ASSAY_DATABASE_STATEMENT_CACHE
  value: {{ .Values.postgres.statementCache | int64 | quote }}
{{- if .Values.postgres.ca.secretName }}
- name: PGSSLROOTCERT
  value: /etc/assay/postgres-ca/{{ .Values.postgres.ca.key }}
{{- end }}
{{- end }}

{{- define "assay.env.redis" -}}
- name: ASSAY_REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "assay.redisSecret" . }}
      key: {{ ternary .Values.redis.urlKey "url" (ne .Values.redis.existingSecret "") }}
{{- end }}

{{- define "assay.env.pod" -}}
- name: {{ . }}
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}

{{/*
The variables of the chart and those of extraEnv. A variable in both would be two truths. Takes what (its place in the
values), env (YAML) and extra.
*/}}
{{- define "assay.env.all" -}}
{{- $names := list -}}
{{- range .env | fromYamlArray }}{{ $names = append $names .name }}{{ end -}}
{{- range .extra }}
{{- if has .name $names }}
{{- fail (printf "%s.extraEnv sets %s, which the chart sets by a value of its own: see docs/values.md" $.what .name) }}
{{- end }}
{{- end -}}
{{ .env }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end }}
