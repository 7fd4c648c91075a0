{{/* tls block of a listener; `mutual`: the other side must show a certificate of ca.crt. */}}
{{- define "eventstream-nats.tlsBlock" -}}
tls {
  cert_file: "/etc/nats/tls/{{ .name }}/tls.crt"
  key_file: "/etc/nats/tls/{{ .name }}/tls.key"
{{- if .mutual }}
  ca_file: "/etc/nats/tls/{{ .name }}/ca.crt"
  verify: true
{{- end }}
{{- if .handshakeFirst }}
  handshake_first: {{ .handshakeFirst }}
{{- end }}
  min_version: {{ .minVersion | quote }}
  timeout: 5
}
{{- end }}

{{/* nats.conf. Holds no secret: seeds come from the environment, accounts and certificates from files. */}}
{{- define "eventstream-nats.config" -}}
{{- $tls := .Values.tls -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
pid_file: "/run/nats/nats.pid"
lame_duck_grace_period: "{{ .Values.lameDuck.gracePeriodSeconds }}s"
lame_duck_duration: "{{ .Values.lameDuck.durationSeconds }}s"

jetstream {
  # Not one folder for both: a cluster deletes streams that a server kept while it was alone.
  store_dir: "/data/{{ ternary "cluster" "alone" (not (empty (include "eventstream-nats.clustered" .))) }}"
  domain: {{ .Values.jetstream.domain | quote }}
  max_memory_store: 0
  max_file_store: {{ .Values.jetstream.storage.maxFileStore }}B
  sync_interval: {{ .Values.jetstream.syncInterval | quote }}
}
{{- with $tls.client }}{{ if .secretName }}

{{ include "eventstream-nats.tlsBlock" (dict "name" "client" "mutual" .verify "handshakeFirst" .handshakeFirst "minVersion" $tls.minVersion) }}
{{- end }}{{ end }}
{{- if include "eventstream-nats.clustered" . }}

cluster {
  name: {{ .Values.cluster.name | default .Values.jetstream.domain | quote }}
  listen: "0.0.0.0:6222"
  # Clients and leaves come by Service names; addresses of Pods are of no use to them.
  no_advertise: true
  routes: [
{{- range $host := splitList "," (include "eventstream-nats.hosts" .) }}
    "nats://{{ $host }}:6222"
{{- end }}
  ]
{{- if $tls.cluster.secretName }}
{{ include "eventstream-nats.tlsBlock" (dict "name" "cluster" "mutual" true "minVersion" $tls.minVersion) | indent 2 }}
{{- end }}
}
{{- end }}
{{- if include "eventstream-nats.leafListener" . }}

leafnodes {
  listen: "0.0.0.0:7422"
  no_advertise: true
{{- with $tls.leaf }}{{ if .secretName }}
{{ include "eventstream-nats.tlsBlock" (dict "name" "leaf" "mutual" .verify "handshakeFirst" .handshakeFirst "minVersion" $tls.minVersion) | indent 2 }}
{{- end }}{{ end }}
}
{{- end }}
{{- if eq .Values.mode "leaf" }}

leafnodes {
  remotes: [
{{- range $i, $remote := .Values.leaf.remotes }}
    {
      urls: {{ $remote.urls | toJson }}
{{- with $remote.account }}
      account: {{ . | quote }}
{{- end }}
{{- if $remote.nkeySecret }}
      nkey: $LEAF_REMOTE_{{ $i }}_SEED
{{- end }}
{{- if $remote.credentialsSecret }}
      credentials: "/etc/nats/remotes/{{ $i }}/credentials/user.creds"
{{- end }}
{{- with $remote.tls }}
      tls {
        ca_file: "/etc/nats/remotes/{{ $i }}/tls/ca.crt"
{{- if .clientCertificate }}
        cert_file: "/etc/nats/remotes/{{ $i }}/tls/tls.crt"
        key_file: "/etc/nats/remotes/{{ $i }}/tls/tls.key"
{{- end }}
{{- if .handshakeFirst }}
        handshake_first: true
{{- end }}
        min_version: {{ $tls.minVersion | quote }}
        timeout: 5
      }
{{- end }}
    }
{{- end }}
  ]
}
{{- end }}
{{- if eq .Values.auth.mode "accounts" }}

# Relative to this file.
include "../auth/auth.conf"
{{- end }}
{{ end }}
