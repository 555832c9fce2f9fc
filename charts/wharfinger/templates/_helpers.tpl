{{- define "wharfinger.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "wharfinger.labels" -}}
app.kubernetes.io/name: wharfinger
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "wharfinger.selector" -}}
app.kubernetes.io/name: wharfinger
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "wharfinger.tenants" -}}
namespaceSelector:
  matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: [{{ range $i, $ns := .Values.namespaces.tenants }}{{ if $i }}, {{ end }}{{ $ns.name }}{{ end }}]
{{- end }}

{{- define "wharfinger.settings" -}}
publicUrl: {{ .Values.publicUrl | quote }}
namespaces:
  system: {{ .Release.Namespace }}
  catalog: {{ .Values.namespaces.catalog.name }}
  servers: [{{ range $i, $ns := .Values.namespaces.servers }}{{ if $i }}, {{ end }}{{ $ns.name }}{{ end }}]
  tenants: [{{ range $i, $ns := .Values.namespaces.tenants }}{{ if $i }}, {{ end }}{{ $ns.name }}{{ end }}]
images:
  base: {{ printf "%s:%s" .Values.baseImage.repository (.Values.baseImage.tag | default .Chart.AppVersion) | quote }}
  bridge: {{ include "wharfinger.image" . | quote }}
  {{- with .Values.insecureRegistries }}
  insecureRegistries: {{ toJson . }}
  {{- end }}
{{- with .Values.servers.podDefaults }}
servers: {podDefaults: {{ toJson . }}}
{{- end }}
dns: {{ toJson .Values.dns }}
{{- with .Values.teams }}
teams:
{{- range . }}
- name: {{ .name }}
  members: {{ .members | default list | toJson }}
  groups: {{ .groups | default list | toJson }}
  serviceAccounts: {{ .serviceAccounts | default list | toJson }}
{{- end }}
{{- end }}
{{- with .Values.identityProviders }}
identityProviders: {{ toJson . }}
{{- end }}
{{- with .Values.oauth }}
oauth: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "wharfinger.podSpec" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "wharfinger.spread" -}}
{{- with (index . 0).Values.topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
- {{ merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" (include "wharfinger.selector" (index $ 1) | fromYaml))) | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{- define "wharfinger.containerSecurity" -}}
{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, capabilities: {drop: [ALL]}}
{{- end }}
