{{/*
The alert rules for this release: without its namespace in each selector, one that works would hide that another does not.
*/}}
{{- define "assay.rules" -}}
{{- $file := .Files.Get "rules/assay.yaml" | fromYaml -}}
{{- $mine := printf "namespace=%q" .Release.Namespace -}}
{{- range $file.groups -}}
{{- range $rule := .rules -}}
{{- $selectors := regexReplaceAll "\\b((?:assay|process)_[a-z_]+)\\b" $rule.expr (printf "${1}{%s}" $mine) -}}
{{- $_ := set $rule "expr" ($selectors | replace "}{" ",") -}}
{{- $_ := set $rule.labels "namespace" $.Release.Namespace -}}
{{- with $.Values.monitoring.runbookUrl -}}
{{- $_ := set $rule.annotations "runbook_url" (replace "docs/runbook.md" . $rule.annotations.runbook_url) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $file -}}
{{- end }}
