# OpenBao / Vault: read. Made by `npm run gen` from providers/vault/manifest.ts.
# {placeholders} are for you to fill in; where a block has {path}, write one for each store of the inventory.

# look
path "auth/+/role/+/secret-id" {
  capabilities = ["list"]
}

# look
path "auth/token/accessors" {
  capabilities = ["list", "sudo"]
}

# look
path "auth/+/role/+/role-id" {
  capabilities = ["read"]
}

# look
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

# look
path "identity/entity/id/+" {
  capabilities = ["read"]
}

# look
path "sys/audit" {
  capabilities = ["read", "sudo"]
}

# look
path "sys/auth" {
  capabilities = ["read"]
}

# look
path "sys/internal/ui/mounts/*" {
  capabilities = ["read"]
}

# look
path "sys/policies/acl/+" {
  capabilities = ["read"]
}

# look
path "auth/+/role/+/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

# look
path "auth/token/lookup" {
  capabilities = ["update"]
}

# look
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}

# look
path "auth/token/renew-self" {
  capabilities = ["update"]
}

# look
path "identity/lookup/entity" {
  capabilities = ["update"]
}

# look
path "sys/audit-hash/+" {
  capabilities = ["update"]
}

# look
path "sys/capabilities-self" {
  capabilities = ["update"]
}

# look
path "sys/leases/lookup" {
  capabilities = ["update"]
}
