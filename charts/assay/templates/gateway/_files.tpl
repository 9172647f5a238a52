{{/* Files that a gateway reads: its certificate, and authorities of its issuer. */}}

{{- define "assay.gateway.mounts" -}}
{{- if .Values.gateway.tls.secretName }}
- {name: tls, mountPath: /etc/assay/tls, readOnly: true}
{{- end }}
{{- if .Values.gateway.auth.jwks.caSecretName }}
- {name: jwks-ca, mountPath: /etc/assay/jwks-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "assay.gateway.volumes" -}}
{{- with .Values.gateway.tls.secretName }}
- name: tls
  secret: {secretName: {{ . }}}
{{- end }}
{{- with .Values.gateway.auth.jwks.caSecretName }}
- name: jwks-ca
  secret: {secretName: {{ . }}}
{{- end }}
{{- end }}
