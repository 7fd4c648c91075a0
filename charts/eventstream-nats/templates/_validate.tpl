{{/* Rules between values that values.schema.json cannot say, or not in a sentence. */}}
{{- define "eventstream-nats.validate" -}}
{{- include "eventstream-nats.validateStorage" . -}}
{{- include "eventstream-nats.validateTls" . -}}
{{- if eq .Values.mode "leaf" }}{{ include "eventstream-nats.validateLeaf" . }}{{ end -}}
{{- if and (eq .Values.auth.mode "none") .Values.auth.existingSecret -}}
{{- fail (printf "auth.existingSecret: %s is not used with auth.mode none; set auth.mode to accounts" .Values.auth.existingSecret) -}}
{{- end -}}
{{- if and (eq .Values.auth.mode "none") (include "eventstream-nats.leafListener" .) (ne .Values.leafnodes.service.type "ClusterIP") -}}
{{- fail (printf "leafnodes.service.type: %s opens the hub to the outside, and auth.mode none lets everybody in; set auth.mode to accounts" .Values.leafnodes.service.type) -}}
{{- end -}}
{{- $grace := int .Values.lameDuck.gracePeriodSeconds -}}
{{- $duration := int .Values.lameDuck.durationSeconds -}}
{{- if ge $grace $duration -}}
{{- fail (printf "lameDuck.gracePeriodSeconds: %d is not less than lameDuck.durationSeconds %d, of which it is a part" $grace $duration) -}}
{{- end -}}
{{- end }}

{{- define "eventstream-nats.validateStorage" -}}
{{- $storage := .Values.jetstream.storage -}}
{{- $size := include "eventstream-nats.mebibytes" $storage.size | int64 -}}
{{- $store := include "eventstream-nats.mebibytes" $storage.maxFileStore | int64 -}}
{{- if gt (mul $store 100) (mul $size 85) -}}
{{- fail (printf "jetstream.storage.maxFileStore: %s is more than 85 %% of jetstream.storage.size %s; a full disk stops JetStream. Give at most %dMi, or a larger size" $storage.maxFileStore $storage.size (div (mul $size 85) 100)) -}}
{{- end -}}
{{- end }}

{{- define "eventstream-nats.validateTls" -}}
{{- $listeners := (include "eventstream-nats.tlsListeners" . | fromJson).names -}}
{{- if and (eq .Values.tls.mode "secret") (not $listeners) -}}
{{- fail "tls.mode: secret needs a certificate; set secretName of tls.client, tls.cluster or tls.leaf" -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "none") $listeners -}}
{{- fail (printf "tls.%s.secretName: is not used with tls.mode none; set tls.mode to secret" (first $listeners)) -}}
{{- end -}}
{{- range $listener := list "client" "leaf" -}}
{{- $settings := get $.Values.tls $listener -}}
{{- range $key := list "verify" "handshakeFirst" -}}
{{- if and (get $settings $key) (not $settings.secretName) -}}
{{- fail (printf "tls.%s.%s: this listener has no certificate; set tls.%s.secretName, or leave it false" $listener $key $listener) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tls.cluster.secretName (not (include "eventstream-nats.clustered" .)) -}}
{{- fail "tls.cluster.secretName: one server has no routes; leave it empty with replicas 1" -}}
{{- end -}}
{{- if and .Values.tls.leaf.secretName (not (include "eventstream-nats.leafListener" .)) -}}
{{- fail "tls.leaf.secretName: leaves connect to a hub with leafnodes.enabled, and this is none; leave it empty" -}}
{{- end -}}
{{- end }}

{{- define "eventstream-nats.validateLeaf" -}}
{{- $leaf := .Values.leaf -}}
{{- if eq .Values.jetstream.domain $leaf.hubDomain -}}
{{- fail (printf "jetstream.domain: %q is the hub's (leaf.hubDomain); give this leaf a domain of its own" $leaf.hubDomain) -}}
{{- end -}}
{{- if eq .Values.cluster.name $leaf.hubDomain -}}
{{- fail (printf "cluster.name: the hub's cluster is named %q after its domain, and refuses a leaf of the same name; choose another" $leaf.hubDomain) -}}
{{- end -}}
{{- range $i, $remote := $leaf.remotes -}}
{{- if and $remote.nkeySecret $remote.credentialsSecret -}}
{{- fail (printf "leaf.remotes[%d]: nkeySecret and credentialsSecret are two ways to say who connects; keep one" $i) -}}
{{- end -}}
{{- if and $remote.account (eq $.Values.auth.mode "none") -}}
{{- fail (printf "leaf.remotes[%d].account: with auth.mode none this leaf has no account %s; set auth.mode to accounts, or leave account out" $i $remote.account) -}}
{{- end -}}
{{- if and (not $remote.account) (eq $.Values.auth.mode "accounts") -}}
{{- fail (printf "leaf.remotes[%d].account: with auth.mode accounts say which account of this leaf is joined to the hub" $i) -}}
{{- end -}}
{{- end -}}
{{- end }}
