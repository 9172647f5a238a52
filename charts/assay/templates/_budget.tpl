{{/*
A PodDisruptionBudget by what may be away, not by what must be there: of a single Pod the latter would keep a node from
ever being drained. Takes root, component, settings and perhaps pool.
*/}}
{{- define "assay.budget" -}}
{{- $most := .settings.podDisruptionBudget.maxUnavailable }}
{{- if ne (toString $most) "" }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ list (include "assay.fullname" .root) .component .pool | compact | join "-" }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
{{ include "assay.labels" . | indent 4 }}
spec:
  maxUnavailable: {{ $most }}
  # A Pod that is not ready is no use where it is.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
{{ include "assay.selector" . | indent 6 }}
{{- end }}
{{- end }}
