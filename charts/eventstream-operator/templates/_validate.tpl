{{/* Rules that hold between values, which a schema can't say. */}}
{{- define "eventstream-operator.validate" -}}
{{- $pdb := .Values.podDisruptionBudget -}}
{{- $replicas := int .Values.replicaCount -}}
{{- if and $pdb.enabled (gt $replicas 1) (ge (int $pdb.maxUnavailable) $replicas) -}}
{{- fail (printf "podDisruptionBudget.maxUnavailable: wanted less than replicaCount (%d), found %d; it would protect nothing" $replicas (int $pdb.maxUnavailable)) -}}
{{- end -}}

{{- $ours := dict
  "EVENTSTREAM_WRITER_IMAGE" "writerImage"
  "EVENTSTREAM_NAMESPACES" "watchNamespaces"
  "EVENTSTREAM_LOG_LEVEL" "logLevel"
  "EVENTSTREAM_WORKERS" "reconcile.workers"
  "EVENTSTREAM_POLL_INTERVAL" "reconcile.pollInterval"
  "EVENTSTREAM_STATUS_INTERVAL" "reconcile.statusInterval"
  "EVENTSTREAM_CERTIFICATES" "identity.certManagerCSI"
-}}
{{- $fixed := list "EVENTSTREAM_LEASE" "EVENTSTREAM_IDENTITY" "EVENTSTREAM_HTTP_HOST" "EVENTSTREAM_HTTP_PORT" -}}
{{- $seen := dict -}}
{{- range .Values.extraEnv -}}
{{- if hasKey $ours .name -}}
{{- fail (printf "extraEnv: wanted variables that the chart does not set, found %s; set %s instead" .name (get $ours .name)) -}}
{{- end -}}
{{- if has .name $fixed -}}
{{- fail (printf "extraEnv: wanted variables that the chart does not set, found %s, which is fixed; leave it out" .name) -}}
{{- end -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "extraEnv: wanted each variable once, found %s twice; leave one out" .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}
