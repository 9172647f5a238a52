{{/* What a scorer is told. Takes root, pool and settings. */}}
{{- define "assay.scorer.env" -}}
{{ include "assay.env.common" .root }}
{{ include "assay.env.postgres" .root }}
{{ include "assay.env.redis" .root }}
{{ include "assay.env.pod" "ASSAY_SCORER_NAME" }}
- name: ASSAY_POOL
  value: {{ .pool | quote }}
- name: ASSAY_CONCURRENCY
  value: {{ .settings.concurrency | int64 | quote }}
- name: ASSAY_LEASE
  value: {{ .root.Values.scorer.lease }}
- name: ASSAY_GRACE
  value: {{ .settings.grace }}
- name: ASSAY_MAX_TIMEOUT
  value: {{ .settings.maxTimeout }}
- name: ASSAY_CHILD_MEMORY_MIB
  value: {{ .settings.childMemoryMi | int64 | quote }}
{{- end }}
