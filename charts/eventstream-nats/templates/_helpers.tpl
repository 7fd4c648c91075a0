{{/* Service names begin with a letter and hold no dot; a StatefulSet's name fits with "-" and ten characters of hash into a label. */}}
{{- define "eventstream-nats.fullname" -}}
{{- $name := .Values.fullnameOverride | default (.Release.Name | replace "." "-") -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "nats-%s" $name }}{{ end -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "eventstream-nats.headless" -}}
{{ include "eventstream-nats.fullname" . }}-headless
{{- end }}

{{- define "eventstream-nats.selectorLabels" -}}
app.kubernetes.io/name: eventstream-nats
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: {{ .Values.mode | quote }}
{{- end }}

{{/* Pods carry the selector's labels only: a new version of the chart that renders the same Pod restarts nothing. */}}
{{- define "eventstream-nats.labels" -}}
{{ include "eventstream-nats.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: eventstream
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{/* Labels of the Pod that `helm test` runs: not one of the servers. */}}
{{- define "eventstream-nats.testLabels" -}}
app.kubernetes.io/name: eventstream-nats
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: test
{{- end }}

{{- define "eventstream-nats.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end }}

{{/* "16Gi" as a number of MiB. */}}
{{- define "eventstream-nats.mebibytes" -}}
{{- mul (regexFind "^[0-9]+" .) (get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) (regexFind "[MGT]i$" .)) -}}
{{- end }}

{{/* Host names of all servers, as they find each other in their own namespace. */}}
{{- define "eventstream-nats.hosts" -}}
{{- $hosts := list -}}
{{- range $i := until (int .Values.replicas) -}}
{{- $hosts = append $hosts (printf "%s-%d.%s" (include "eventstream-nats.fullname" $) $i (include "eventstream-nats.headless" $)) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end }}

{{- define "eventstream-nats.clustered" -}}
{{- if gt (int .Values.replicas) 1 }}true{{ end -}}
{{- end }}

{{- define "eventstream-nats.leafListener" -}}
{{- if and (eq .Values.mode "hub") .Values.leafnodes.enabled }}true{{ end -}}
{{- end }}

{{/* Listeners with a certificate, as a JSON list: client, cluster, leaf. */}}
{{- define "eventstream-nats.tlsListeners" -}}
{{- $listeners := list -}}
{{- range $listener := list "client" "cluster" "leaf" -}}
{{- if (get $.Values.tls $listener).secretName }}{{ $listeners = append $listeners $listener }}{{ end -}}
{{- end -}}
{{- dict "names" $listeners | toJson -}}
{{- end }}

{{- define "eventstream-nats.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "eventstream-nats.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
# A volume of many files is not walked through at each start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}
