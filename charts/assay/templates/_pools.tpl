{{/* The pools. */}}

{{/* Their names, separated by commas. */}}
{{- define "assay.pools" -}}
{{- keys .Values.scorer.pools | sortAlpha | join "," -}}
{{- end }}

{{/* What holds for a pool, as YAML: the defaults, and above them what it sets itself. Takes root and pool. */}}
{{- define "assay.pool" -}}
{{- $own := get .root.Values.scorer.pools .pool | default dict -}}
{{- mergeOverwrite (deepCopy .root.Values.scorer.defaults) (deepCopy $own) | toYaml -}}
{{- end }}
