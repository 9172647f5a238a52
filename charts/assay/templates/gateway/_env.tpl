{{/* What a gateway is told. */}}
{{- define "assay.gateway.env" -}}
{{- $gateway := .Values.gateway -}}
{{ include "assay.env.common" . }}
{{ include "assay.env.postgres" . }}
{{- with .Values.postgres.replicaUrlKey }}
- name: ASSAY_DATABASE_REPLICA_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "assay.postgresSecret" $ }}
      key: {{ . }}
{{- end }}
{{ include "assay.env.redis" . }}
{{- $settings := dict
  "ASSAY_NAMESPACE" .Release.Namespace
  "ASSAY_POOLS" (include "assay.pools" .)
  "ASSAY_DATABASE_CONNECTIONS" (int64 $gateway.databaseConnections)
  "ASSAY_MIRROR_BATCH_OVERFLOW" $gateway.mirror.batchOverflow
  "ASSAY_MIRROR_LIVE_LIMIT" (int64 $gateway.mirror.liveLimit)
  "ASSAY_BODY_LIMIT" (int64 $gateway.bodyLimit)
  "ASSAY_IN_FLIGHT" (int64 $gateway.inFlight)
  "ASSAY_CONNECTIONS" (int64 $gateway.connections)
  "ASSAY_RATE_ADDRESS_READS" $gateway.rateLimits.addressReads
  "ASSAY_RATE_ADDRESS_WRITES" $gateway.rateLimits.addressWrites
  "ASSAY_RATE_SUBJECT_READS" $gateway.rateLimits.subjectReads
  "ASSAY_RATE_SUBJECT_WRITES" $gateway.rateLimits.subjectWrites
  "ASSAY_TENANT_ACTIVE_JOBS" (int64 $gateway.tenantActiveJobs)
  "ASSAY_IDEMPOTENCY_TTL" $gateway.idempotencyTtl
  "ASSAY_DRAIN_DELAY" $gateway.drain.delay
  "ASSAY_DRAIN_GRACE" $gateway.drain.grace
  "ASSAY_TRUSTED_PROXIES" (join "," $gateway.trustedProxies)
  "ASSAY_CORS_ORIGINS" (join "," $gateway.corsOrigins)
  "ASSAY_TLS_CERT" (ternary "/etc/assay/tls/tls.crt" "" (ne $gateway.tls.secretName ""))
  "ASSAY_TLS_KEY" (ternary "/etc/assay/tls/tls.key" "" (ne $gateway.tls.secretName ""))
}}
{{- range $name, $value := $settings }}
{{- if ne (toString $value) "" }}
- name: {{ $name }}
  value: {{ toString $value | quote }}
{{- end }}
{{- end }}
{{ include "assay.gateway.env.auth" . }}
{{- end }}

{{/* Whom it lets in. */}}
{{- define "assay.gateway.env.auth" -}}
{{- $auth := .Values.gateway.auth -}}
{{- $review := $auth.tokenReview -}}
{{- $settings := dict
  "ASSAY_AUTH_JWKS_URL" $auth.jwks.url
  "ASSAY_AUTH_JWKS_CA_FILE" (ternary (printf "/etc/assay/jwks-ca/%s" $auth.jwks.caKey) "" (ne $auth.jwks.caSecretName ""))
  "ASSAY_AUTH_ISSUER" $auth.issuer
  "ASSAY_AUTH_AUDIENCE" (join "," $auth.audiences)
  "ASSAY_AUTH_TENANT_CLAIM" $auth.claims.tenant
  "ASSAY_AUTH_SUBJECT_CLAIM" $auth.claims.subject
  "ASSAY_AUTH_ROLE_CLAIM" $auth.claims.role
  "ASSAY_AUTH_DEFAULT_TENANT" $auth.defaultTenant
  "ASSAY_AUTH_TOKEN_REVIEW" $review.enabled
-}}
{{- if $review.enabled }}
{{- $_ := set $settings "ASSAY_AUTH_TOKEN_REVIEW_AUDIENCE" (join "," $review.audiences) }}
{{- $_ := set $settings "ASSAY_AUTH_SERVICE_ACCOUNT_ROLE" $review.role }}
{{- $_ := set $settings "ASSAY_AUTH_ADMIN_SERVICE_ACCOUNTS" (join "," $review.admins) }}
{{- end }}
{{- range $name, $value := $settings }}
{{- if ne (toString $value) "" }}
- name: {{ $name }}
  value: {{ toString $value | quote }}
{{- end }}
{{- end }}
{{- with $auth.secret.name }}
- name: ASSAY_AUTH_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $auth.secret.key }}
{{- end }}
{{- end }}
