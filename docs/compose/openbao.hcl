# OpenBao of docker-compose.yml. Plain HTTP, for it is published on loopback only; give the listener a certificate before you publish it further.
ui            = false
disable_mlock = true
api_addr      = "http://openbao:8200"
cluster_addr  = "http://openbao:8201"

storage "raft" {
  path    = "/openbao/file"
  node_id = "openbao"
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_disable     = true
}

seal "static" {
  current_key_id = "1"
  current_key    = "file:///openbao/seal/seal.key"
}

# Audit devices can be declared here only, not made by API. The log is in a volume of its own, which the vault worker reads to see who has read what.
audit "file" "to-file" {
  description = "every request, for watching readers"
  options {
    file_path = "/openbao/logs/audit.log"
    mode      = "0644"
  }
}
