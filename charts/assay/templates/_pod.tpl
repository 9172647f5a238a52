{{/* What Pods of gateway, operator and scorer have in common. */}}

{{/* The head of a Pod: who it is, where it goes. Takes root, component, settings and perhaps pool. */}}
{{- define "assay.pod.head" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
{{- with .root.Values.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
{{- end }}
  seccompProfile: {type: RuntimeDefault}
enableServiceLinks: false
{{- with .settings.nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
{{ toYaml . }}
{{- end }}
{{- with .settings.affinity }}
affinity:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
{{- if .settings.topologySpreadConstraints }}
{{ toYaml .settings.topologySpreadConstraints }}
{{- else }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  # Only Pods of the same version, or a rollout would be spread around those that go.
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
{{ include "assay.selector" $ | indent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The beginning of its container. Takes root and component. */}}
{{- define "assay.pod.container" -}}
name: {{ .component }}
image: {{ include "assay.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/*
Probes. /healthz says that the process answers, and nothing of what it needs: a restart mends no Postgres. /readyz says
that it can do its work now.
*/}}
{{- define "assay.pod.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* Where the container mounts what. Takes root, settings and more (YAML). Empty when there is nothing. */}}
{{- define "assay.pod.mounts" -}}
{{- $mounts := concat (default "[]" .more | fromYamlArray) .settings.extraVolumeMounts -}}
{{- if .root.Values.postgres.ca.secretName }}
{{- $mounts = append $mounts (dict "name" "postgres-ca" "mountPath" "/etc/assay/postgres-ca" "readOnly" true) -}}
{{- end }}
{{- if .root.Values.redis.ca.secretName }}
{{- $mounts = append $mounts (dict "name" "redis-ca" "mountPath" "/etc/assay/redis-ca" "readOnly" true) -}}
{{- end }}
{{- with $mounts }}
volumeMounts:
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The volumes for that. Takes the same. */}}
{{- define "assay.pod.volumes" -}}
{{- $volumes := concat (default "[]" .more | fromYamlArray) .settings.extraVolumes -}}
{{- with .root.Values.postgres.ca.secretName }}
{{- $volumes = append $volumes (dict "name" "postgres-ca" "secret" (dict "secretName" .)) -}}
{{- end }}
{{- with .root.Values.redis.ca.secretName }}
{{- $volumes = append $volumes (dict "name" "redis-ca" "secret" (dict "secretName" .)) -}}
{{- end }}
{{- with $volumes }}
volumes:
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels and annotations of the Pods. Takes root, component, settings and perhaps pool. */}}
{{- define "assay.pod.metadata" -}}
labels:
{{ merge (include "assay.labels" . | fromYaml) .settings.podLabels | toYaml | indent 2 }}
{{- with .settings.podAnnotations }}
annotations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end }}
