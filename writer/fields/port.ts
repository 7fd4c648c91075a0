import type { JsonValue } from "../tables/table.ts"
import { int4 } from "./values.ts"

const largestPort = 65_535

/** Port number 0 to 65535 of a number or of digits; null for anything else. */
export const port = (value: JsonValue | undefined): number | null => {
  const n = int4(value)
  return n !== null && n >= 0 && n <= largestPort ? n : null
}

const tcp = 6
const udp = 17

/** Services by their port. Source: IANA, Service Name and Transport Protocol Port Number Registry; the rest by wide use. */
const tcpServices: ReadonlyMap<number, string> = new Map([
  [20, "FTP Data"],
  [21, "FTP"],
  [22, "SSH"],
  [23, "Telnet"],
  [25, "SMTP"],
  [53, "DNS"],
  [80, "HTTP"],
  [88, "Kerberos"],
  [110, "POP3"],
  [123, "NTP"],
  [143, "IMAP"],
  [161, "SNMP"],
  [162, "SNMP Trap"],
  [179, "BGP"],
  [389, "LDAP"],
  [443, "HTTPS"],
  [445, "SMB"],
  [465, "SMTPS"],
  [514, "Syslog"],
  [587, "Submission"],
  [636, "LDAPS"],
  [853, "DNS over TLS"],
  [993, "IMAPS"],
  [995, "POP3S"],
  [1433, "MSSQL"],
  [1521, "Oracle"],
  [1883, "MQTT"],
  [2049, "NFS"],
  [2379, "etcd"],
  [2380, "etcd Peer"],
  [3000, "Grafana"],
  [3306, "MySQL"],
  [3389, "RDP"],
  [4222, "NATS"],
  [5432, "PostgreSQL"],
  [5672, "AMQP"],
  [5900, "VNC"],
  [6343, "sFlow"],
  [6379, "Redis"],
  [6443, "Kubernetes API"],
  [8080, "HTTP Alt"],
  [8443, "HTTPS Alt"],
  [9092, "Kafka"],
  [9093, "Kafka TLS"],
  [9200, "Elasticsearch"],
  [9418, "Git"],
  [11_211, "Memcached"],
  [27_017, "MongoDB"],
  [50_051, "gRPC"]
])

const udpServices: ReadonlyMap<number, string> = new Map([
  [53, "DNS"],
  [67, "DHCP"],
  [68, "DHCP"],
  [69, "TFTP"],
  [123, "NTP"],
  [161, "SNMP"],
  [162, "SNMP Trap"],
  [443, "HTTPS"],
  [500, "IKE"],
  [514, "Syslog"],
  [631, "IPP"],
  [1194, "OpenVPN"],
  [2055, "NetFlow"],
  [3478, "STUN"],
  [4500, "IPsec NAT-T"],
  [4739, "IPFIX"],
  [4789, "VXLAN"],
  [5353, "mDNS"],
  [6343, "sFlow"],
  [51_820, "WireGuard"]
])

/** Name of the service that usually listens on a port; null when there is none, or the protocol is neither TCP nor UDP. */
export const serviceOf = (protocol: number | null, listening: number | null): string | null => {
  if (listening === null) return null
  const services = protocol === tcp ? tcpServices : protocol === udp ? udpServices : undefined
  return services?.get(listening) ?? null
}
