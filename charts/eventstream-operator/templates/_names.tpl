{{/* Name of the application, for labels. */}}
{{- define "eventstream-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
Name of the objects: <release>-<chart>, or the release's name where that has the chart's in it. A Service's name may not begin
with a digit, so a release like 1e3 comes behind the chart's name.
*/}}
{{- define "eventstream-operator.fullname" -}}
{{- $name := include "eventstream-operator.name" . -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- if regexMatch "^[0-9]" $full -}}
{{- $full = printf "%s-%s" $name .Release.Name -}}
{{- end -}}
{{- end -}}
{{- $full | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The objects' name with an ending, at most 63 characters. Takes (list <context> <ending>). */}}
{{- define "eventstream-operator.suffixed" -}}
{{- $suffix := printf "-%s" (index . 1) -}}
{{- $room := int (sub 63 (len $suffix)) -}}
{{- printf "%s%s" (include "eventstream-operator.fullname" (index . 0) | trunc $room | trimSuffix "-") $suffix -}}
{{- end -}}

{{- define "eventstream-operator.serviceAccountName" -}}
{{- $made := .Values.serviceAccount.create | ternary (include "eventstream-operator.fullname" .) "default" -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{/* Values of labels are quoted: a release may be called n, true or 1e3. */}}
{{- define "eventstream-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "eventstream-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "eventstream-operator.labels" -}}
{{ include "eventstream-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end -}}

{{/* An image by digest, else by tag, else by appVersion. Takes (list <context> <image>). */}}
{{- define "eventstream-operator.image" -}}
{{- $context := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default $context.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Labels of the Pod of `helm test`; it is none of the operator's Pods. */}}
{{- define "eventstream-operator.testLabels" -}}
app.kubernetes.io/name: {{ include "eventstream-operator.suffixed" (list . "test") | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}
