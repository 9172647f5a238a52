{{/*
How fast a pool grows and shrinks: doubling each 15 s, or by ten, while there is work; slowly back, when less has been
enough for a while. Takes what holds for the pool's autoscaling.
*/}}
{{- define "assay.scorer.behavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
  - {type: Percent, value: 100, periodSeconds: 15}
  - {type: Pods, value: 10, periodSeconds: 15}
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownStabilizationSeconds }}
  selectPolicy: Max
  policies:
  - {type: Percent, value: {{ .scaleDownPercentPerMinute }}, periodSeconds: 60}
  # Or of few scorers none would ever go.
  - {type: Pods, value: 1, periodSeconds: 60}
{{- end }}

{{/* How many jobs, waiting and running, one scorer works off within the target time. Takes what holds for the pool. */}}
{{- define "assay.scorer.jobsPerScorer" -}}
{{- $auto := .autoscaling -}}
{{- $jobs := divf (mulf .concurrency $auto.targetDrainSeconds) $auto.expectedJobSeconds -}}
{{- max 1 (floor $jobs | int64) -}}
{{- end }}
