{{/* Parts of NetworkPolicies. */}}

{{- define "assay.policy.ports" -}}
{{- range . }}
- {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}

{{/* Names, Postgres and Redis: what each service needs to reach. Takes root. */}}
{{- define "assay.policy.egress" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
{{- range $policy.dnsPorts }}
  - {protocol: UDP, port: {{ . }}}
  - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- if .Values.postgres.existingSecret }}
- ports:
{{- include "assay.policy.ports" $policy.postgresPorts | indent 2 }}
{{- with $policy.postgresTo }}
  to:
{{ toYaml . | indent 2 }}
{{- end }}
{{- else }}
- ports: [{protocol: TCP, port: 5432}]
  to:
  - podSelector:
      matchLabels:
{{ include "assay.selector" (dict "root" . "component" "postgres") | indent 8 }}
{{- end }}
{{- if .Values.redis.existingSecret }}
- ports:
{{- include "assay.policy.ports" $policy.redisPorts | indent 2 }}
{{- with $policy.redisTo }}
  to:
{{ toYaml . | indent 2 }}
{{- end }}
{{- else }}
- ports: [{protocol: TCP, port: 6379}]
  to:
  - podSelector:
      matchLabels:
{{ include "assay.selector" (dict "root" . "component" "redis") | indent 8 }}
{{- end }}
{{- if .Values.tracing.endpoint }}
- ports:
{{- include "assay.policy.ports" $policy.outsidePorts | indent 2 }}
{{- end }}
{{- end }}

{{/* The head of a policy. Takes root and component. */}}
{{- define "assay.policy.head" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "assay.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
{{ include "assay.labels" . | indent 4 }}
spec:
  podSelector:
    matchLabels:
{{ include "assay.selector" . | indent 6 }}
  policyTypes: [Ingress, Egress]
{{- end }}
