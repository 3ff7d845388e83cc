{{- define "fanlight.name" -}}
{{- if contains "fanlight" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-fanlight" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "fanlight.selector" -}}
app.kubernetes.io/name: fanlight
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "fanlight.labels" -}}
{{ include "fanlight.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "fanlight.image" -}}
{{ required "image.repository: build the image of deploy/images and say where you pushed it" .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "fanlight.secret" -}}
{{ required "clickhouse.existingSecret: a Secret with the keys store-url and writer-password; see values.yaml" .Values.clickhouse.existingSecret }}
{{- end }}

{{- define "fanlight.clickhouse.host" -}}
{{- if .Values.clickhouse.operator.enabled -}}
clickhouse-{{ include "fanlight.name" . }}
{{- else -}}
{{ required "clickhouse.host: where your ClickHouse answers, or clickhouse.operator.enabled" .Values.clickhouse.host }}
{{- end -}}
{{- end }}

{{- define "fanlight.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "fanlight.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
